"""What the theory says of measured signals, with error bounds."""

import numpy as np

from meanfield.equilibria import fixed_point
from meanfield.errors import InvalidParameterError, NoFixedPointError
from meanfield.maps import dual_kernel, propagate
from meanfield.neural_kernels import kernels_from, tangent
from verify.decay import depth_scale
from verify.networks import NetworkLaw
from verify.signals import TANGENT, SignalSetting

__all__ = ["predict_signals", "stationary_length"]

# How far a fit to the theory's own path may be from the depth scale at the fixed point, relative to it.
GEOMETRIC = 0.15


def predict_signals(setting: SignalSetting) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """All that `signals.measure` knows: value and error bound, in the shapes of a network's values.

    Raises
    ------
    InvalidParameterError
        A depth scale is asked for where the decay from q0 or c0 is not geometric, or a tangent kernel of a network
        whose lengths are reset.
    """
    path = _step_by_step(setting) if setting.lengths == "reset" else _free(setting)
    chi, error = path["chi"]
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        gradient = np.cumprod(chi[::-1])[::-1]
        path["gradient"] = gradient, gradient * np.cumsum((error / chi)[::-1])[::-1]
    if TANGENT & set(setting.quantities):
        path |= _tangent_kernel(setting)
    scales = [name for name in ("xi_q", "xi_c") if name in setting.quantities]
    return {name: path[name] for name in setting.quantities if name not in scales} | {
        name: _depth_scale(setting, name, path[name[-1]][0]) for name in scales
    }


def stationary_length(law: NetworkLaw) -> float:
    """q_star, reached from 1: where networks stay if they start there.

    Raises
    ------
    NoFixedPointError
        Lengths grow without bound.
    """
    q_star = fixed_point(law.phi, law.sigma_w, law.sigma_b).q_star
    # At 0 the law is a limit: a kink there is seen from both sides only by pre-activations that are not 0.
    return max(q_star, 1e-16)


def _free(setting: SignalSetting) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    law = setting.law
    path = propagate(law.phi, law.sigma_w, law.sigma_b, depth=law.depth, q0=setting.q0, c0=_start(setting))
    return {name: (getattr(path, name), error) for name, error in path.errors.items()}


def _step_by_step(setting: SignalSetting) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Every layer starts from length q0 again, at the correlation that it was handed."""
    law, start = setting.law, _start(setting)
    found: dict[str, tuple[np.ndarray, np.ndarray]] = {
        name: (np.empty(law.depth), np.zeros(law.depth)) for name in ("q", "chi")
    }
    if start is not None:
        found["c"] = np.empty((len(start), law.depth)), np.zeros((len(start), law.depth))
    correlation, error = start, 0.0
    for layer in range(law.depth):
        step = propagate(law.phi, law.sigma_w, law.sigma_b, depth=2, q0=setting.q0, c0=correlation)
        for name in ("q", "chi"):
            source = min(layer, 1) if name == "q" else 0
            found[name][0][layer] = getattr(step, name)[source]
            found[name][1][layer] = step.errors[name][source]
        if correlation is not None and step.c is not None:
            found["c"][0][:, layer], found["c"][1][:, layer] = correlation, error
            slope = np.abs(dual_kernel(law.phi, correlation, q1=setting.q0).derivative)
            error = step.errors["c"][:, 1] + law.sigma_w**2 * slope * setting.q0 / step.q[1] * error
            correlation = step.c[:, 1]
    return found


def _tangent_kernel(setting: SignalSetting) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """ntk and ntk_cosine: the first weights, which come before h^1, and the biases are not counted."""
    law = setting.law
    if setting.lengths == "reset":
        raise InvalidParameterError("quantities must not hold ntk or ntk_cosine with lengths='reset'")
    cosines = np.array([1.0, *setting.c0])
    covariance = setting.q0 * np.outer(cosines, cosines)
    np.fill_diagonal(covariance, setting.q0)
    kernels = kernels_from(law.phi, covariance, law.sigma_w, law.sigma_b, depth=law.depth)
    counted = np.append(0.0, np.ones(law.depth))
    theta, error = (part[-1] for part in tangent(kernels, law.sigma_w, counted, np.zeros_like(counted)))
    cosine = theta[0, 1:] / theta[0, 0]
    return {
        "ntk": (theta[0, :1], error[0, :1]),
        "ntk_cosine": (cosine, (error[0, 1:] + np.abs(cosine) * error[0, 0]) / theta[0, 0]),
    }


def _start(setting: SignalSetting) -> np.ndarray | None:
    return np.array(setting.c0) if setting.c0 else None


def _depth_scale(setting: SignalSetting, name: str, path: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """xi_q or xi_c of the fixed point; its error covers how far a fit to the theory's own path is from it."""
    law = setting.law
    what = {"xi_q": "lengths do", "xi_c": "correlations do"}[name]
    rule = f"quantities must not hold {name} where {what} not decay geometrically"
    try:
        point = fixed_point(law.phi, law.sigma_w, law.sigma_b, q0=setting.q0)
    except NoFixedPointError as error:
        raise InvalidParameterError(f"{rule}: {error}") from None
    scale = getattr(point, name)
    fitted = depth_scale(np.atleast_2d(path))
    departure = np.abs(fitted - scale)
    if not 0 < scale < np.inf:
        raise InvalidParameterError(f"{rule}: at this point {name} is {scale:g}")
    if not np.all(departure <= GEOMETRIC * scale):
        at = f"q_star = {point.q_star:.5g}" if name == "xi_q" else f"c_star = {point.c_star:.5g}, with q0 = q_star"
        shown = ", ".join(f"{value:.4g}" for value in fitted)
        raise InvalidParameterError(
            f"{rule}: over {law.depth} layers the theory's own path would give {shown} instead of {scale:.4g}; "
            f"start nearer to {at}, but not there"
        )
    return np.full(len(fitted), scale), departure + point.errors[name]
