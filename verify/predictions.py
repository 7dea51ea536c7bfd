"""What the theory says of measured quantities, with error bounds: the only place in verify that sees its solvers."""

import numpy as np

from meanfield.equilibria import fixed_point
from meanfield.maps import dual_kernel, propagate
from verify.networks import NetworkLaw
from verify.signals import SignalSetting

__all__ = ["predict_signals", "stationary_length"]


def predict_signals(setting: SignalSetting) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """q, c, chi and gradient: value and error bound, in the shapes that `signals.measure` gives."""
    path = _step_by_step(setting) if setting.lengths == "reset" else _free(setting)
    chi, error = path["chi"]
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        gradient = np.cumprod(chi[::-1])[::-1]
        path["gradient"] = gradient, gradient * np.cumsum((error / chi)[::-1])[::-1]
    return {name: path[name] for name in setting.quantities}


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


def _start(setting: SignalSetting) -> np.ndarray | None:
    return np.array(setting.c0) if "c" in setting.quantities else None
