"""A classification task in memory: inputs, one-hot targets, and where they come from."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from meanfield.errors import InvalidParameterError

__all__ = ["Dataset", "Sizes", "classification"]

ROWS = 1000


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Of a data set: length of an input and of a target, numbers of samples, bytes of an entry as it is stored."""

    dim: int
    classes: int
    train: int
    test: int
    itemsize: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """Training and test samples, one a row.

    Attributes
    ----------
    name : str
    train_inputs, test_inputs : array (samples, dim)
        Of the type they were stored in; images are bytes.
    train_targets, test_targets : array (samples, classes), float64
        One-hot rows.
    checksum : str
        SHA-256 of the samples as they were loaded.
    """

    name: str
    train_inputs: np.ndarray
    train_targets: np.ndarray
    test_inputs: np.ndarray
    test_targets: np.ndarray
    checksum: str

    @property
    def dim(self) -> int:
        """Length of an input."""
        return self.train_inputs.shape[1]

    @property
    def classes(self) -> int:
        """Length of a target."""
        return self.train_targets.shape[1]

    @property
    def sizes(self) -> Sizes:
        """All that memory and time depend on."""
        return Sizes(
            dim=self.dim,
            classes=self.classes,
            train=len(self.train_inputs),
            test=len(self.test_inputs),
            itemsize=self.train_inputs.itemsize,
        )

    def scaled(self, mean_square: float, dtype: str = "float64") -> "Dataset":
        """The same task, inputs centred and scaled so that E x^2 = `mean_square` over all training entries.

        Centred by the mean training image: without it, all images point in nearly the same direction.
        """
        centre = self.train_inputs.mean(axis=0, dtype=np.float64)
        total = sum(np.square(part - centre).sum() for part in _blocks(self.train_inputs))
        factor = np.sqrt(mean_square * self.train_inputs.size / total)

        def scaled(inputs: np.ndarray) -> np.ndarray:
            found = np.empty(inputs.shape, dtype)
            for part, into in zip(_blocks(inputs), _blocks(found), strict=True):
                into[...] = factor * (part - centre)
            return found

        return replace(
            self,
            train_inputs=scaled(self.train_inputs),
            train_targets=self.train_targets.astype(dtype, copy=False),
            test_inputs=scaled(self.test_inputs),
            test_targets=self.test_targets.astype(dtype, copy=False),
        )


def _blocks(inputs: np.ndarray) -> Iterator[np.ndarray]:
    """A few inputs at a time: in double precision, all images of a data set take eight times their size."""
    return (inputs[start : start + ROWS] for start in range(0, len(inputs), ROWS))


def classification(name: str, train: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray]) -> Dataset:
    """A Dataset of (inputs, labels) pairs: inputs of any shape (samples, ...), labels 0, 1, ..., classes - 1.

    Raises
    ------
    InvalidParameterError
        The shapes do not fit, an input is not finite or all inputs are alike, a label is no class, or there are
        fewer than two classes.
    """
    digest = hashlib.sha256()
    flat = []
    for part, (inputs, labels) in {"training": train, "test": test}.items():
        _check_pair(f"{name} {part}", inputs, labels)
        matrix = np.ascontiguousarray(inputs.reshape(len(inputs), -1))
        if not np.isfinite(matrix).all():
            raise InvalidParameterError(f"{name} {part} inputs must be finite, got {matrix[~np.isfinite(matrix)][0]}")
        numbers = np.ascontiguousarray(labels, dtype=np.int64)
        digest.update(repr((matrix.shape, matrix.dtype.str)).encode())
        digest.update(matrix.data)
        digest.update(numbers.data)
        flat.append((matrix, numbers))
    (train_inputs, train_labels), (test_inputs, test_labels) = flat
    if train_inputs.shape[1] != test_inputs.shape[1]:
        raise InvalidParameterError(
            f"{name} inputs must have one length, got {train_inputs.shape[1]} in training, "
            f"{test_inputs.shape[1]} in test"
        )
    if np.ptp(train_inputs, axis=0).max() == 0:
        raise InvalidParameterError(f"{name} training inputs must differ, got {len(train_inputs)} equal ones")
    classes = int(max(train_labels.max(), test_labels.max())) + 1
    if classes < 2:
        raise InvalidParameterError(f"{name} labels must name at least two classes, got {classes}")
    one_hot = np.eye(classes)
    return Dataset(
        name=name,
        train_inputs=train_inputs,
        train_targets=one_hot[train_labels],
        test_inputs=test_inputs,
        test_targets=one_hot[test_labels],
        checksum=digest.hexdigest(),
    )


def _check_pair(title: str, inputs: np.ndarray, labels: np.ndarray) -> None:
    if inputs.dtype.kind not in "uif" or inputs.ndim < 2 or not inputs.size:
        raise InvalidParameterError(
            f"{title} inputs must be numbers of shape (samples, ...), got {inputs.dtype} of shape {inputs.shape}"
        )
    if labels.dtype.kind not in "ui" or labels.shape != (len(inputs),):
        raise InvalidParameterError(
            f"{title} labels must be integers of shape ({len(inputs)},), got {labels.dtype} of shape {labels.shape}"
        )
    if labels.min() < 0 or labels.max() > 999:
        raise InvalidParameterError(f"{title} labels must be in [0, 999], got {labels.min()} to {labels.max()}")
