"""What one training run is made of; every field can be written as JSON, so that a run is known by its settings."""

from dataclasses import asdict, dataclass
from typing import Any

from meanfield.arguments import choice, integer, scalar
from meanfield.errors import InvalidParameterError
from verify.training.data import ON_DISK, SOURCES
from verify.training.losses import LOSSES
from verify.training.manifolds import MANIFOLDS
from verify.training.optimisers import OPTIMISERS

__all__ = ["DTYPES", "TrainingConfig"]

DTYPES = ("float64", "float32")


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """One run of training.

    Attributes
    ----------
    phi : str
        A nonlinearity as `as_nonlinearity` reads it.
    q_star : float, > 0
        Mean square of the inputs, and the length at whose critical point the network starts.
    sigma_w, sigma_b : float or None
        Scales at the start; both None: those of the critical point at q_star.
    manifold : "euclidean", "stiefel" or "oblique"
    weights : "orthogonal" or "gaussian"
        At the start; only Euclidean training can start from Gaussian ones.
    depth, width : int, >= 1
        Hidden layers and their width.
    data : str
        "digits", "mnist5k", "teacher", or one of the formats on disk, "cifar10", "svhn", "idx", "npz".
    data_path : str or None
        Where those are.
    loss : "cross_entropy" or "squared"
    optimiser : "adam", "momentum" or "sgd"
    rate, scale_rate, readout_rate : float, >= 0
        Of the manifold variables, the scales, and the read-out with all biases; with Adam, changes per entry and step.
    beta, beta_2, epsilon : float
        Memory of momentum and Adam, memory of Adam's squares, and Adam's floor.
    penalty, clip : float
        Of the oblique manifold: omega of (omega/2) |X^T X - I|^2, and the longest column of a gradient.
    batch_size, epochs : int
        Batches of more than all training inputs hold those; so do the samples below.
    measure_every : int, >= 1
        Costly measurements are taken at epochs 0, 1, every multiple of this, and the last.
    fisher_samples : int, >= 2
        Training inputs that the Fisher information is measured on.
    jacobian_samples : int, >= 1
        Fixed inputs that the Jacobian is measured on.
    dtype : "float64" or "float32"
    seed : int, >= 0
    """

    phi: str = "tanh"
    q_star: float = 1 / 64
    sigma_w: float | None = None
    sigma_b: float | None = None
    manifold: str = "stiefel"
    weights: str = "orthogonal"
    depth: int = 16
    width: int = 64
    data: str = "digits"
    data_path: str | None = None
    loss: str = "cross_entropy"
    optimiser: str = "adam"
    rate: float = 3e-4
    scale_rate: float = 0.01
    readout_rate: float = 0.01
    beta: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    penalty: float = 0.1
    clip: float = 0.1
    batch_size: int = 100
    epochs: int = 20
    measure_every: int = 5
    fisher_samples: int = 100
    jacobian_samples: int = 30
    dtype: str = "float64"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, options in {
            "manifold": MANIFOLDS,
            "weights": ("orthogonal", "gaussian"),
            "data": SOURCES,
            "loss": LOSSES,
            "optimiser": OPTIMISERS,
            "dtype": DTYPES,
        }.items():
            choice(name, getattr(self, name), options)
        for name in ("depth", "width", "batch_size", "measure_every", "jacobian_samples"):
            integer(name, getattr(self, name), low=1)
        integer("epochs", self.epochs, low=0)
        integer("fisher_samples", self.fisher_samples, low=2)
        integer("seed", self.seed, low=0)
        for name in ("q_star", "epsilon", "clip"):
            scalar(name, getattr(self, name), low=0.0, open_low=True)
        for name in ("rate", "scale_rate", "readout_rate", "penalty"):
            scalar(name, getattr(self, name), low=0.0)
        for name in ("beta", "beta_2"):
            scalar(name, getattr(self, name), low=0.0, high=1.0, open_high=True)
        self._check_pairs()

    def _check_pairs(self) -> None:
        if not isinstance(self.phi, str):
            raise InvalidParameterError(f"phi must be text, so that a run can be resumed, got {self.phi!r}")
        if (self.sigma_w is None) != (self.sigma_b is None):
            raise InvalidParameterError(
                f"sigma_w and sigma_b must be given together, got {self.sigma_w} and {self.sigma_b}"
            )
        if self.sigma_w is not None:
            scalar("sigma_w", self.sigma_w, low=0.0, open_low=True)
            scalar("sigma_b", self.sigma_b, low=0.0)
        if self.weights != "orthogonal" and self.manifold != "euclidean":
            raise InvalidParameterError(f"weights must be 'orthogonal' on the manifold {self.manifold!r}")
        if (self.data in ON_DISK) != (self.data_path is not None):
            needs = "must be given" if self.data in ON_DISK else "must be left out"
            raise InvalidParameterError(f"data_path {needs} for data {self.data!r}, got {self.data_path!r}")

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain types, but for data_path: the data are known by their checksum, wherever they are."""
        return {name: value for name, value in asdict(self).items() if name != "data_path"}
