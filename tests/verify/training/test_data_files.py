"""Data on disk: IDX, NPZ, CIFAR-10 and SVHN, whole, damaged and hostile."""

import gzip
import hashlib
import io
import pickle
import struct
import zipfile

import numpy as np
import pytest
from scipy.io import savemat

from tests.verify.training.data_samples import Marker, refused, some_images
from verify.training import data
from verify.training.data import cifar10, svhn
from verify.training.data.files import KnownFile, unpacked
from verify.training.data.idx import parse_idx

RNG = np.random.default_rng(0)


# IDX


def idx_bytes(array, code=0x08):
    return bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_idx(place, packed=False):
    for prefix, samples in (("train", 30), ("t10k", 10)):
        images, labels = some_images(samples, 12)
        files = {"images-idx3-ubyte": images.reshape(samples, 3, 4), "labels-idx1-ubyte": labels.astype(np.uint8)}
        for kind, array in files.items():
            content = idx_bytes(array)
            name = f"{prefix}-{kind}"
            (place / (f"{name}.gz" if packed else name)).write_bytes(gzip.compress(content) if packed else content)


@pytest.mark.parametrize("packed", [False, True])
def test_idx(tmp_path, packed):
    write_idx(tmp_path, packed)
    found = data.load("idx", str(tmp_path))
    images, labels = some_images(30, 12)
    assert np.array_equal(found.train_inputs, images)
    assert np.array_equal(found.train_targets.argmax(axis=1), labels)
    assert found.test_inputs.shape == (10, 12)


@pytest.mark.parametrize(("kind", "code"), [(">i2", 0x0B), (">i4", 0x0C), (">f4", 0x0D), (">f8", 0x0E), ("i1", 0x09)])
def test_idx_of_every_type(kind, code):
    array = np.array([[1, -2, 3], [4, 5, -6]], dtype=kind)
    assert np.array_equal(parse_idx("a", idx_bytes(array, code)), array)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "IDX header"),
        (b"PK\x03\x04", "IDX header"),
        (bytes([0, 0, 0x07, 1, 0, 0, 0, 1, 0]), "IDX header"),
        (bytes([0, 0, 8, 200]), "IDX header"),
        (bytes([0, 0, 8, 3, 0, 0]), "3 axes"),
        (bytes([0, 0, 8, 1, 0, 0, 0, 5, 1, 2]), "must have 13 bytes"),
        (bytes([0, 0, 8, 1, 0, 0, 0, 1, 1, 2]), "must have 9 bytes"),
        (bytes([0, 0, 14, 4]) + b"\xff" * 16, "must have"),  # claims 10^38 numbers
    ],
)
def test_damaged_idx(content, match):
    with refused(match):
        parse_idx("file", content)


def test_gzip_that_is_cut_or_a_bomb():
    whole = gzip.compress(bytes(100_000))
    with refused("whole gzip file"):
        unpacked("file", whole[:-10])
    with refused("whole gzip file"):
        unpacked("file", b"\x1f\x8b" + b"garbage")
    with refused("at most 1000 bytes"):
        unpacked("file", whole, most=1000)
    assert unpacked("file", whole) == bytes(100_000)


# NPZ


def test_npz(tmp_path):
    images, labels = some_images(30, 12)
    path = tmp_path / "task.npz"
    np.savez(path, x_train=images, y_train=labels[:, None], x_test=images[:10], y_test=labels[:10])
    found = data.load("npz", str(path))
    assert np.array_equal(found.train_targets.argmax(axis=1), labels)


def test_npz_with_objects_runs_nothing(tmp_path):
    path, mark = tmp_path / "task.npz", tmp_path / "ran"
    hostile = np.array([Marker(mark)], dtype=object)
    images, labels = some_images(30, 12)
    np.savez(path, x_train=hostile, y_train=labels, x_test=images, y_test=labels)
    with refused("NPZ file of numbers"):
        data.load("npz", str(path))
    assert not mark.exists()


@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04garbage", pickle.dumps([1])])
def test_files_that_are_no_npz(tmp_path, content):
    path = tmp_path / "task.npz"
    path.write_bytes(content)
    with refused("NPZ file"):
        data.load("npz", str(path))


def test_npz_without_the_arrays_or_with_a_header_that_lies(tmp_path):
    images, _ = some_images(30, 12)
    path = tmp_path / "task.npz"
    np.savez(path, x_train=images)
    with refused("must hold the arrays"):
        data.load("npz", str(path))
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f8", "fortran_order": False, "shape": (10**9, 10**9)})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x_train.npy", buffer.getvalue())
        for name in ("y_train", "x_test", "y_test"):
            archive.writestr(f"{name}.npy", b"")
    with refused("NPZ file"):
        data.load("npz", str(path))


# CIFAR-10


def binary_batch(samples, seed):
    images, labels = some_images(samples, 3072, seed)
    return np.concatenate([labels[:, None].astype(np.uint8), images], axis=1).tobytes()


BINARY = tuple(KnownFile(name=file.name) for file in cifar10.BINARY)
PYTHON = tuple(KnownFile(name=file.name) for file in cifar10.PYTHON)


def test_binary_cifar10(tmp_path):
    for number, file in enumerate(BINARY):
        (tmp_path / file.name).write_bytes(binary_batch(20, number))
    found = cifar10.load_cifar10(tmp_path, binary=BINARY)
    images, labels = some_images(20, 3072, seed=1)
    assert np.array_equal(found.train_inputs[20:40], images)
    assert np.array_equal(found.train_targets[20:40].argmax(axis=1), labels)
    assert found.test_inputs.shape == (20, 3072)
    with refused("must have 30730000 bytes, got 61460"):
        data.load("cifar10", str(tmp_path))
    (tmp_path / BINARY[2].name).write_bytes(binary_batch(20, 2)[:-1])
    with refused("whole number of records"):
        cifar10.load_cifar10(tmp_path, binary=BINARY)
    (tmp_path / BINARY[2].name).write_bytes(bytes([77]) + binary_batch(20, 2)[1:])
    with refused("labels below 10"):
        cifar10.load_cifar10(tmp_path, binary=BINARY)
    (tmp_path / BINARY[3].name).unlink()
    with refused("must hold data_batch_4.bin"):
        cifar10.load_cifar10(tmp_path, binary=BINARY)


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_python_cifar10(tmp_path, protocol):
    for number, file in enumerate(PYTHON):
        images, labels = some_images(20, 3072, number)
        batch = {b"data": images, b"labels": labels.tolist(), b"batch_label": b"training batch"}
        (tmp_path / file.name).write_bytes(pickle.dumps(batch, protocol=protocol))
    found = cifar10.load_cifar10(tmp_path, python=PYTHON)
    images, labels = some_images(20, 3072, seed=1)
    assert np.array_equal(found.train_inputs[20:40], images)
    assert np.array_equal(found.train_targets[20:40].argmax(axis=1), labels)
    with refused("must have the MD5"):
        data.load("cifar10", str(tmp_path))


# SVHN

FILES = tuple(KnownFile(name=file.name) for file in svhn.FILES)


def write_mat(path, images, labels):
    buffer = io.BytesIO()
    savemat(buffer, {"X": images, "y": labels})
    path.write_bytes(buffer.getvalue())


def test_svhn(tmp_path):
    images = RNG.integers(0, 256, (32, 32, 3, 20), dtype=np.uint8)
    labels = (np.arange(20) % 10 + 1).astype(np.uint8)[:, None]
    for file in FILES:
        write_mat(tmp_path / file.name, images, labels)
    found = svhn.load_svhn(tmp_path, files=FILES)
    assert np.array_equal(found.train_inputs[3], images[..., 3].ravel())
    assert found.train_targets[9].argmax() == 0  # the label 10 is the digit 0
    assert found.train_targets[3].argmax() == 4
    with refused("must have 182040794 bytes"):
        data.load("svhn", str(tmp_path))
    known = [
        KnownFile(name=file.name, md5=hashlib.md5((tmp_path / file.name).read_bytes()).hexdigest()) for file in FILES
    ]
    assert svhn.load_svhn(tmp_path, files=known).checksum == found.checksum
    damaged = bytearray((tmp_path / FILES[1].name).read_bytes())
    damaged[-3] ^= 1
    (tmp_path / FILES[1].name).write_bytes(damaged)
    with refused("the file is damaged"):
        svhn.load_svhn(tmp_path, files=known)


@pytest.mark.parametrize(
    ("images", "labels", "match"),
    [
        (np.zeros((32, 32, 3, 4)), np.ones((4, 1)), "bytes of shape"),
        (np.zeros((4, 32, 32, 3), np.uint8), np.ones((4, 1), np.uint8), "bytes of shape"),
        (np.zeros((32, 32, 3, 4), np.uint8), np.ones((5, 1), np.uint8), "one label"),
        (np.zeros((32, 32, 3, 4), np.uint8), np.zeros((4, 1), np.uint8), "labels 1..10"),
    ],
)
def test_svhn_of_other_things(tmp_path, images, labels, match):
    write_mat(tmp_path / FILES[0].name, images, labels)
    with refused(match):
        svhn.load_svhn(tmp_path, files=FILES[:1] * 2)


@pytest.mark.parametrize("content", [b"", b"garbage" * 100, b"MATLAB 5.0 MAT-file" + bytes(200), b"\x89HDF\r\n\x1a\n"])
def test_files_that_are_no_mat(tmp_path, content):
    (tmp_path / FILES[0].name).write_bytes(content)
    with refused("MATLAB file|must hold X"):
        svhn.load_svhn(tmp_path, files=FILES[:1] * 2)


def test_files_that_are_too_large_are_not_read(tmp_path, monkeypatch):
    from verify.training.data import files

    (tmp_path / "big").write_bytes(bytes(1000))
    monkeypatch.setattr(files, "MOST_BYTES", 100)
    with refused("at most 100"):
        files.read(tmp_path, KnownFile(name="big"))
