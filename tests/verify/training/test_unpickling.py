"""The restricted unpickler: hostile pickles run nothing, and pickles of other things are told so."""

import pickle

import numpy as np
import pytest

from tests.verify.training.data_samples import Marker, refused, some_images
from verify.training.data.unpickling import unpickled_batch


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
