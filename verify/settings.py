"""The arguments that theory and simulation share, checked before any work."""

from typing import Any

import numpy as np

from meanfield.arguments import choice, integer, interval, scalar, seed_sequence, sequence
from meanfield.errors import InvalidParameterError
from meanfield.expressions import as_nonlinearity
from meanfield.weights import ENSEMBLES
from verify.networks import DTYPES, METHODS, NetworkLaw
from verify.quantities import QUANTITIES
from verify.signals import LENGTHS, PAIRED, SignalSetting

__all__ = ["checked_budget", "checked_precision", "checked_setting", "checked_width", "checked_widths", "plain_setting"]

LENGTHS_SQUARED = (1e-300, 1e300)  # those that float64 holds with all their digits
PRECISIONS = (1e-9, 1.0)  # less is rounding, and more is no precision
FEWEST_LAYERS = 3  # for a line through the steps from layer to layer


def checked_setting(
    phi, sigma_w, sigma_b, *, depth, weights, quantities, q0, c0, lengths, method="sampled", dtype="float64"
) -> SignalSetting:
    """The setting that these arguments describe.

    Raises
    ------
    InvalidParameterError
        Names the argument, its rule and its value.
    NonlinearityError
        phi cannot be used.
    """
    names = _quantities(quantities)
    return SignalSetting(
        law=NetworkLaw(
            phi=as_nonlinearity(phi),
            sigma_w=scalar("sigma_w", sigma_w, low=0.0, open_low=True),
            sigma_b=scalar("sigma_b", sigma_b, low=0.0),
            depth=integer("depth", depth, low=FEWEST_LAYERS if {"xi_q", "xi_c"} & set(names) else 1),
            weights=choice("weights", weights, ENSEMBLES),
            method=choice("method", method, METHODS),
            dtype=_dtype(dtype, names),
        ),
        quantities=names,
        q0=scalar("q0", q0, low=LENGTHS_SQUARED[0], high=LENGTHS_SQUARED[1]),
        c0=_correlations(c0) if PAIRED & set(names) else (),
        lengths=choice("lengths", lengths, LENGTHS),
    )


def checked_width(name: str, width, setting: SignalSetting) -> int:
    """One width, with room for all inputs and one more direction."""
    return integer(name, width, low=2 + len(setting.c0))


def checked_widths(widths, setting: SignalSetting) -> tuple[int, ...]:
    """One or more widths, all different."""
    numbers = tuple(checked_width("widths", width, setting) for width in sequence("widths", widths, "integers"))
    _refuse_repeated("widths", numbers)
    return numbers


def checked_precision(precision) -> float:
    """A distance on the scale of a quantity."""
    return scalar("precision", precision, low=PRECISIONS[0], high=PRECISIONS[1])


def checked_budget(
    setting: SignalSetting, widths, networks, precision, seed
) -> tuple[tuple[int, ...], int, float | None, np.random.SeedSequence]:
    """Widths, networks of each, precision and seed in their working types."""
    return (
        checked_widths(widths, setting),
        integer("networks", networks, low=2),
        None if precision is None else checked_precision(precision),
        seed_sequence(seed),
    )


def plain_setting(setting: SignalSetting) -> dict[str, Any]:
    """The setting as the fields that predictions and simulations carry."""
    law = setting.law
    return {
        "phi": law.phi.name,
        "sigma_w": law.sigma_w,
        "sigma_b": law.sigma_b,
        "depth": law.depth,
        "weights": law.weights,
        "q0": setting.q0,
        "c0": setting.c0,
        "lengths": setting.lengths,
    }


def _quantities(given) -> tuple[str, ...]:
    if given is None:
        return tuple(name for name, quantity in QUANTITIES.items() if quantity.by_default)
    listed = (given,) if isinstance(given, str) else sequence("quantities", given, "names")
    names = tuple(choice("quantities", name, QUANTITIES) for name in listed)
    _refuse_repeated("quantities", names)
    return names


def _dtype(given, names: tuple[str, ...]) -> str:
    dtype = choice("dtype", given, DTYPES)
    layered = ("q", "c", "chi", "gradient")
    others = [name for name in names if name not in layered]
    if dtype != "float64" and others:
        raise InvalidParameterError(f"dtype must be 'float64' for quantities beside {', '.join(layered)}, got {others}")
    return dtype


def _correlations(given) -> tuple[float, ...]:
    array = interval("c0", given, low=-1.0, high=1.0)
    if array.ndim > 1:
        raise InvalidParameterError(f"c0 must be a sequence of numbers, got an array of shape {array.shape}")
    numbers = tuple(array.reshape(-1).tolist())
    _refuse_repeated("c0", numbers)
    return numbers


def _refuse_repeated(name: str, values: tuple) -> None:
    if not values:
        raise InvalidParameterError(f"{name} must not be empty, got {values!r}")
    if len(set(values)) < len(values):
        raise InvalidParameterError(f"{name} must all be different, got {values!r}")
