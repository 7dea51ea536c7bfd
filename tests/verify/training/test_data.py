"""Data: what is packaged, what makes no sense, and sources that are not there."""

import sys

import numpy as np
import pytest

from tests.verify.training.data_samples import refused
from verify.training import data
from verify.training.data.dataset import classification


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
