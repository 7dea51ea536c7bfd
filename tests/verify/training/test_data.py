"""Data: what is packaged, what is read from disk, and what hostile or damaged files are told."""

import gzip
import hashlib
import io
import os
import pickle
import struct
import sys
import zipfile

import numpy as np
import pytest
from scipy.io import savemat

from meanfield.errors import InvalidParameterError
from verify.training import data
from verify.training.data import cifar10, svhn
from verify.training.data.dataset import classification
from verify.training.data.files import KnownFile, unpacked
from verify.training.data.idx import parse_idx
from verify.training.data.unpickling import unpickled_batch

RNG = np.random.default_rng(0)


def refused(match):
    return pytest.raises(InvalidParameterError, match=match)


def some_images(samples, dim, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (samples, dim), dtype=np.uint8), np.arange(samples) % 10


@pytest.mark.parametrize(
    ("name", "train", "test", "dim"),
    [("teacher", 2000, 500, 64), ("digits", 1438, 359, 64), ("mnist5k", 4000, 1000, 784)],
)
def test_what_comes_inside_packages(name, train, test, dim):
    found = data.load(name)
    assert found.train_inputs.shape == (train, dim)
    assert found.test_inputs.shape == (test, dim)
    assert found.classes == 10
    assert np.array_equal(found.train_targets.sum(axis=1), np.ones(train))
    counts = found.train_targets.sum(axis=0)
    assert counts.min() > 0
    joined = np.concatenate([found.train_inputs, found.test_inputs])
    if name == "digits":
        from sklearn.datasets import load_digits

        assert abs(joined.sum() - load_digits().data.sum() / 16) <= 1e-6


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_inputs_are_centred_and_scaled(dtype):
    scaled = data.load("digits").scaled(1 / 64, dtype)
    assert scaled.train_inputs.dtype == scaled.train_targets.dtype == dtype
    assert abs(np.mean(scaled.train_inputs.astype(float) ** 2) * 64 - 1) <= 1e-6
    assert np.abs(scaled.train_inputs.mean(axis=0)).max() <= 1e-7
    # One factor and one centre for both parts.
    raw = data.load("digits")
    ratio = np.ptp(scaled.test_inputs, axis=0).max() / np.ptp(raw.test_inputs, axis=0).max()
    assert (
        abs(ratio / (np.ptp(scaled.train_inputs) / np.ptp(raw.train_inputs - raw.train_inputs.mean(axis=0))) - 1)
        <= 1e-5
    )


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    data.load.cache_clear()
    with refused(r"pip install 'meanfield-dnn\[data\]'"):
        data.load("digits")
    data.load.cache_clear()


@pytest.mark.parametrize(
    ("train", "test", "match"),
    [
        ((np.zeros((3, 4)), np.arange(3)), (np.ones((2, 4)), np.arange(2)), "must differ"),
        ((np.eye(3), np.arange(3)), (np.eye(2), np.arange(2)), "one length"),
        ((np.eye(3), np.arange(2)), (np.eye(3), np.arange(3)), r"labels must be integers of shape \(3,\)"),
        ((np.eye(3), np.arange(3) - 1), (np.eye(3), np.arange(3)), r"labels must be in \[0, 999\]"),
        ((np.eye(3), np.zeros(3, int)), (np.eye(3), np.zeros(3, int)), "two classes"),
        ((np.eye(3) * np.nan, np.arange(3)), (np.eye(3), np.arange(3)), "finite"),
        ((np.array([["a"]] * 3), np.arange(3)), (np.eye(3), np.arange(3)), "must be numbers"),
        ((np.empty((0, 3)), np.empty(0, int)), (np.eye(3), np.arange(3)), "must be numbers"),
    ],
)
def test_tasks_that_make_no_sense(train, test, match):
    with refused(match):
        classification("made up", train, test)


@pytest.mark.parametrize(
    ("name", "path", "match"),
    [
        ("imagenet", None, "data must be one of"),
        ("digits", "/tmp", "must be left out"),
        ("cifar10", None, "must name the folder"),
        ("cifar10", "/no/such/place", "must be a folder"),
        ("svhn", "/no/such/place", "must be a folder"),
        ("idx", "/no/such/place", "must be a folder"),
        ("npz", "/no/such/file.npz", "must be an NPZ file"),
        ("npz", None, "must be an NPZ file"),
    ],
)
def test_sources_that_are_not_there(name, path, match):
    with refused(match):
        data.load(name, path)


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


class Marker:
    """A pickle that writes a file when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


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


def batch_of(**changes):
    images, labels = some_images(4, 3072)
    return pickle.dumps({"data": images, "labels": labels.tolist()} | changes, protocol=2)


def protocol_2(module, name, *arguments):
    """A pickle that calls module.name(*arguments), written by hand."""
    words = b"".join(b"U" + bytes([len(word)]) + word.encode() for word in arguments)
    return b"\x80\x02c" + f"{module}\n{name}\n".encode() + b"(" + words + b"tR."


@pytest.mark.parametrize(
    ("module", "name", "arguments"),
    [
        ("os", "system", ["touch ran"]),
        ("builtins", "eval", ["open('ran','w')"]),
        ("builtins", "exec", ["open('ran','w')"]),
        ("builtins", "getattr", ["x", "y"]),
        ("numpy", "load", ["x"]),
        ("numpy.core.multiarray", "fromfile", ["x"]),
        ("subprocess", "run", ["touch ran"]),
        ("posix", "system", ["touch ran"]),
    ],
)
def test_pickles_that_call_something_run_nothing(tmp_path, monkeypatch, module, name, arguments):
    monkeypatch.chdir(tmp_path)
    with refused(f"names {module}.{name}, which is not allowed"):
        unpickled_batch("batch", protocol_2(module, name, *arguments))
    assert not list(tmp_path.iterdir())


def test_pickled_objects_run_nothing(tmp_path):
    mark = tmp_path / "ran"
    for hostile in (Marker(mark), np.array([Marker(mark)], dtype=object)):
        with refused("which is not allowed"):
            unpickled_batch("batch", batch_of(extra=hostile))
    assert not mark.exists()


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "batch of images"),
        (b"garbage", "batch of images"),
        (batch_of()[:-20], "batch of images"),
        (pickle.dumps([1, 2]), "dictionary"),
        (batch_of(data=[1, 2]), "dictionary"),
        (batch_of(labels="0123"), "dictionary"),
        (batch_of(labels=[0, 1, 2, "3"]), "labels from 0 to 999"),
        (batch_of(labels=[0, 1, 2, -3]), "labels from 0 to 999"),
        (batch_of(data=np.zeros((4, 3072))), "matrix of bytes"),
        (batch_of(data=np.zeros(4, dtype=np.uint8)), "matrix of bytes"),
        (batch_of(data=np.array([["a"]])), "matrix of bytes"),
        (b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n(tR.", "dictionary"),
        (b"\x80\x02c_codecs\nencode\n(U\x01xU\x05utf-8tR.", "latin1"),
        (b"\x80\x02Uxpersistent\nP.", "batch of images"),
    ],
)
def test_pickles_of_other_things(content, match):
    with refused(match):
        unpickled_batch("batch", content)


def test_a_pickled_matrix_that_lies_about_its_shape():
    content = batch_of(data=np.zeros((2, 6), dtype=np.uint8))
    shape = b"K\x02K\x06\x86"
    assert content.count(shape) == 1
    for lie in (b"K\x02K\x07\x86", b"K\x7fK\x7f\x86"):
        with refused("matrix of bytes"):
            unpickled_batch("batch", content.replace(shape, lie))


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
