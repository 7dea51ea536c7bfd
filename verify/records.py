"""What the theory predicts and what was measured, as records that can be compared."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from meanfield.arguments import choice, integer
from meanfield.errors import InvalidParameterError
from meanfield.results import Result
from verify.approach import Approach
from verify.quantities import QUANTITIES

__all__ = ["Prediction", "Simulation"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Prediction(Result):
    """What the theory says of networks of infinite width.

    Attributes
    ----------
    phi, sigma_w, sigma_b, depth, weights, q0, c0, lengths
        As given to `predict`; phi by its name.
    values, errors : mapping of quantity to array
        "q" and "chi" (depth,), "c" (len(c0), depth), and absolute bounds of their errors.
    approaches : mapping of quantity to Approach
        Of those whose mean over networks comes to its limit more slowly than by 1/width, on the quantity's scale.
    """

    phi: str
    sigma_w: float
    sigma_b: float
    depth: int
    weights: str
    q0: float
    c0: tuple[float, ...]
    lengths: str
    values: Mapping[str, np.ndarray]
    errors: Mapping[str, np.ndarray]
    approaches: Mapping[str, Approach] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("values", "errors"):
            object.__setattr__(self, name, {key: _frozen(key, array) for key, array in getattr(self, name).items()})
        super().__post_init__()


@dataclass(frozen=True, kw_only=True, eq=False)
class Simulation(Result):
    """What was measured on networks of finite width: by `simulate`, or by a user's own program.

    Only `samples` is needed, and `c0` if "c" is among them; the other fields say where they come from.

    Attributes
    ----------
    samples : mapping of quantity to mapping of width to array
        "q" and "chi" (networks, depth), "c" (networks, len(c0), depth): one row for each of at least two independent
        networks; of "xi_q" and "xi_c" jackknife pseudo-values, as `verify.decay.depth_scales_by_network` gives.
    c0 : tuple of float
        Correlations of the pairs of inputs in layer 1.
    phi, sigma_w, sigma_b, weights, q0, lengths, method, seed
        As given to `simulate`; phi by its name.
    precision : float or None
        The precision that was asked for.
    dtype : str
        As given to `simulate`.
    drift : mapping of quantity to array
        How far float32 is from float64 on the same networks: one network's shape, on the quantity's scale.
    """

    samples: Mapping[str, Mapping[int, np.ndarray]]
    c0: tuple[float, ...] = ()
    phi: str = ""
    sigma_w: float = math.nan
    sigma_b: float = math.nan
    depth: int | None = None
    weights: str = ""
    q0: float = math.nan
    lengths: str = ""
    method: str = ""
    seed: int | tuple[int, ...] | None = None
    precision: float | None = None
    dtype: str = "float64"
    drift: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        samples = {
            choice("quantity", name, QUANTITIES): {
                integer("width", width, low=1): _frozen(name, array)
                for width, array in _mapping(f"samples of {name}", arrays).items()
            }
            for name, arrays in _mapping("samples", self.samples).items()
        }
        object.__setattr__(self, "samples", samples)
        object.__setattr__(self, "drift", {name: _frozen(name, array) for name, array in self.drift.items()})
        for name, arrays in samples.items():
            _check_samples(name, arrays, self.c0)
        super().__post_init__()

    @property
    def widths(self) -> tuple[int, ...]:
        """All widths, in increasing order."""
        return tuple(sorted({width for arrays in self.samples.values() for width in arrays}))

    @property
    def networks(self) -> int:
        """Networks of each width; the smallest number if they differ."""
        return min(len(array) for arrays in self.samples.values() for array in arrays.values())


def _mapping(name: str, given) -> Mapping:
    if not isinstance(given, Mapping):
        raise InvalidParameterError(f"{name} must be a mapping, got {type(given).__name__}")
    return given


def _frozen(name: str, values) -> np.ndarray:
    try:
        array = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise InvalidParameterError(
            f"samples of {name} must be arrays of numbers, got {type(values).__name__}"
        ) from None
    array.flags.writeable = False
    return array


def _check_samples(name: str, arrays: Mapping[int, np.ndarray], c0: tuple[float, ...]) -> None:
    shapes = {array.shape[1:] for array in arrays.values()}
    if len(shapes) != 1 or min(len(array) for array in arrays.values()) < 2:
        raise InvalidParameterError(
            f"samples of {name} must hold arrays (networks >= 2, ...) of one shape for each width, got "
            f"{[array.shape for array in arrays.values()]}"
        )
    (shape,) = shapes
    places = len(QUANTITIES[name].places(shape, c0)) if shape else 0
    if places == 0 or places != math.prod(shape):
        raise InvalidParameterError(f"samples of {name} must have one entry a layer (and pair c0), got shape {shape}")
