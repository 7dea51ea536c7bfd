"""Theories that are wrong on purpose, for a verdict to reject: parameters a little off, and gross errors."""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from meanfield.errors import AccuracyWarning, InvalidParameterError
from meanfield.nonlinearity import Nonlinearity
from meanfield.weights import ENSEMBLES
from verify.certificate import predict
from verify.networks import RAW_FACTOR
from verify.quantities import QUANTITIES
from verify.records import Prediction
from verify.signals import TANGENT, SignalSetting

__all__ = ["WrongTheory", "controls", "off_by", "wrong_networks"]


# Depth scales, and the end of a spectrum, that not every theory has.
NOT_ALWAYS = ("xi_q", "xi_c", "lambda_max")


@dataclass(frozen=True, kw_only=True, eq=False)
class WrongTheory:
    """A prediction and what is wrong with it.

    Attributes
    ----------
    name : str
    parameter : str
        "sigma_w" or "sigma_b" where that is off by the relative error `size`; "control" for a gross error.
    size : float
    prediction : Prediction
    """

    name: str
    parameter: str
    size: float
    prediction: Prediction


def off_by(setting: SignalSetting, sizes: Mapping[str, Sequence[float]]) -> list[WrongTheory]:
    """Each parameter raised and lowered by each of its relative errors, where that theory has the quantities."""
    found = []
    for parameter, errors in sizes.items():
        for size in (sign * size for size in errors for sign in (1, -1)):
            prediction = _predicted(setting, **{parameter: getattr(setting.law, parameter) * (1 + size)})
            if prediction is not None:
                name = f"{parameter} off by {100 * size:+g} %"
                found.append(WrongTheory(name=name, parameter=parameter, size=size, prediction=prediction))
    return found


def controls(setting: SignalSetting) -> list[WrongTheory]:
    """Errors that people make.

    One that changes nothing here, such as a variance of 1 for a deviation, or has none of the quantities is left out.
    """
    law = setting.law
    found = {"depth off by one": _one_layer_late(setting)}
    if law.sigma_w != 1:
        found["variance of the weights for their deviation"] = _predicted(setting, sigma_w=law.sigma_w**2)
    if law.sigma_b not in (0, 1):
        found["variance of the biases for their deviation"] = _predicted(setting, sigma_b=law.sigma_b**2)
    for weights in ENSEMBLES:
        if weights != law.weights:
            found[f"the law of {weights} weights"] = _predicted(setting, weights=weights)
    if ({"chi", "gradient"} | TANGENT) & set(setting.quantities):
        found["phi in place of its derivative"] = _predicted(setting, phi=_with_derivative(law.phi, law.phi.function))
        found["1 in place of the derivative"] = _predicted(setting, phi=_with_derivative(law.phi, np.ones_like))
    right = _predicted_all(setting)
    return [
        WrongTheory(name=name, parameter="control", size=math.nan, prediction=prediction)
        for name, prediction in found.items()
        if prediction is not None
        and any(not np.array_equal(value, right.values[quantity]) for quantity, value in prediction.values.items())
    ]


def wrong_networks(setting: SignalSetting) -> dict[str, SignalSetting]:
    """Errors in drawing the networks, and what to measure on such ones, where the quantities can tell."""
    if setting.law.weights != "orthogonal" or "trace" not in setting.quantities:
        return {}
    raw = replace(setting, law=replace(setting.law, method=RAW_FACTOR), quantities=("trace",))
    return {"a QR factor without random signs for a Haar matrix": raw}


def _predicted(setting: SignalSetting, **changed) -> Prediction | None:
    """A prediction, without what a wrong theory may not have where it has none; None if nothing else was asked for."""
    rest = tuple(name for name in setting.quantities if name not in NOT_ALWAYS)
    try:
        return _predicted_all(setting, **changed)
    except InvalidParameterError:
        if rest == setting.quantities:
            raise
        return _predicted_all(replace(setting, quantities=rest), **changed) if rest else None


def _predicted_all(setting: SignalSetting, **changed) -> Prediction:
    law = setting.law
    arguments = {
        "phi": law.phi,
        "sigma_w": law.sigma_w,
        "sigma_b": law.sigma_b,
        "depth": law.depth,
        "weights": law.weights,
        **changed,
    }
    with warnings.catch_warnings():
        # Of a theory that is wrong on purpose nobody needs to hear how accurate it is.
        warnings.simplefilter("ignore", AccuracyWarning)
        return predict(
            **arguments,
            quantities=setting.quantities,
            q0=setting.q0,
            c0=setting.c0,
            lengths=setting.lengths,
        )


def _one_layer_late(setting: SignalSetting) -> Prediction | None:
    deeper = _predicted(setting, depth=setting.law.depth + 1)
    if deeper is None:
        return None
    return replace(
        deeper,
        depth=setting.law.depth,
        values={name: _without_first_layer(name, value, setting) for name, value in deeper.values.items()},
        errors={name: _without_first_layer(name, error, setting) for name, error in deeper.errors.items()},
    )


def _without_first_layer(name: str, array: np.ndarray, setting: SignalSetting) -> np.ndarray:
    layered = any(layer for _, layer in QUANTITIES[name].places(array.shape, setting.c0))
    return array[..., 1:] if layered else array


def _with_derivative(phi: Nonlinearity, derivative) -> Nonlinearity:
    return Nonlinearity(name=f"{phi.name}, wrong", function=phi.function, derivative=derivative, kinks=phi.kinks)
