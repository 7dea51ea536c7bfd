"""Networks of the whole catalogue, spectra at critical points, and what every spectrum has to fulfil."""

import warnings

import numpy as np

import meanfield as mf
from meanfield.errors import NoCriticalPointError, NoFixedPointError, UnstableCriticalPointWarning

__all__ = ["critical", "networks_of", "spectrum_of", "wrong_integrals"]

ATTEMPTS = ({"sigma_b": 0.1}, {"sigma_b": 0.0}, {"sigma_b": 0.5}, {"q_star": 100.0})
PHASES = ("ordered", "chaotic", "critical")
DOCUMENTED = 1e-8


def networks_of(phi: str) -> dict[str, tuple[float, float, float | None]]:
    """(sigma_w, sigma_b, q0) of an ordered, a critical and a chaotic network; any two where no point is critical."""
    point = _critical_point(phi)
    if point is None:
        return {"ordered": (0.7, 0.1, None), "chaotic": (3.0, 0.1, 1.0)}
    return {
        "ordered": (0.8 * point.sigma_w, point.sigma_b + 0.05, None),
        "critical": (point.sigma_w, point.sigma_b, point.q_star),
        "chaotic": (1.5 * point.sigma_w, point.sigma_b + 0.05, None),
    }


def _critical_point(phi: str) -> mf.CriticalPoint | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnstableCriticalPointWarning)
        for given in ATTEMPTS:
            try:
                return mf.critical_point(phi, **given)
            except NoCriticalPointError:
                continue
    return None


def spectrum_of(phi: str, phase: str, depth: int, weights: str) -> mf.JacobianSpectrum:
    """At the fixed point, or from q0 = 1 where the length grows without bound."""
    networks = networks_of(phi)
    sigma_w, sigma_b, q0 = networks.get(phase, networks["ordered"])
    try:
        return mf.jacobian_spectrum(phi, sigma_w, sigma_b, depth=depth, weights=weights, q0=q0)
    except NoFixedPointError:
        return mf.jacobian_spectrum(phi, sigma_w, sigma_b, depth=depth, weights=weights, q0=1.0)


def critical(phi: str, q: float, depth: int, weights: str) -> mf.JacobianSpectrum:
    """At the critical point whose fixed length is q, the length of its input as well."""
    (point,) = mf.critical_points(phi, q_star=q)
    return mf.jacobian_spectrum(phi, point.sigma_w, point.sigma_b, depth=depth, weights=weights, q0=q)


def wrong_integrals(spectrum: mf.JacobianSpectrum) -> dict[str, float]:
    """Integrals of the density that are off by more than 1e-8, or than the result says: nothing, if all is well."""
    zero = sum(mass for place, mass in spectrum.atoms if place == 0)
    law = spectrum.spectrum.law
    off = {
        "mass": law.mass - 1,
        "mean": law.expectation(lambda t: np.exp(t - spectrum.log_mean)) - 1,
        "second moment": law.expectation(lambda t: np.exp(2 * (t - spectrum.log_mean)))
        / (1 + spectrum.relative_variance)
        - 1,
        "variance": (law.expectation(lambda t: np.expm1(t - spectrum.log_mean) ** 2) + zero)
        - spectrum.relative_variance,
    }
    off["variance"] /= max(spectrum.relative_variance, DOCUMENTED)
    return {name: value for name, value in off.items() if not abs(value) <= max(DOCUMENTED, spectrum.cdf_error)}
