"""Data to train on, by name: from package wheels, made up, or from files that a user has on disk."""

from functools import lru_cache

from meanfield.arguments import choice
from meanfield.errors import InvalidParameterError
from verify.training.data.cifar10 import SIZES, load_cifar10
from verify.training.data.dataset import Dataset, Sizes, classification
from verify.training.data.idx import load_idx
from verify.training.data.npz import load_npz
from verify.training.data.packaged import load_digits, load_mnist5k
from verify.training.data.svhn import load_svhn
from verify.training.data.teacher import load_teacher

__all__ = ["KNOWN", "ON_DISK", "SOURCES", "WITHIN", "Dataset", "Sizes", "classification", "load"]

WITHIN = {"digits": load_digits, "mnist5k": load_mnist5k, "teacher": load_teacher}
ON_DISK = {"cifar10": load_cifar10, "svhn": load_svhn, "idx": load_idx, "npz": load_npz}
KNOWN = {"cifar10": SIZES}  # before its files are there
SOURCES = (*WITHIN, *ON_DISK)


@lru_cache(maxsize=2)
def load(name: str, path: str | None = None) -> Dataset:
    """The data set called `name`, unscaled.

    Parameters
    ----------
    name : "digits", "mnist5k", "teacher", "cifar10", "svhn", "idx" or "npz"
    path : str, optional
        Folder or file of the last four.

    Raises
    ------
    InvalidParameterError
        Unknown name; a package is missing, and the message says how to install it; a path is missing or not wanted;
        a file is missing, damaged or of another format.

    Examples
    --------
    >>> load("teacher").train_inputs.shape
    (2000, 64)
    """
    choice("data", name, SOURCES)
    if name in ON_DISK:
        return ON_DISK[name](path)
    if path is not None:
        raise InvalidParameterError(f"data_path must be left out for {name!r}, got {path!r}")
    return WITHIN[name]()
