"""What the theory says of moments of J J^T, its largest eigenvalue and E ln sigma, with error bounds."""

import math

import numpy as np

from meanfield.errors import InvalidParameterError
from meanfield.freeprob import gaussian_pushforward
from meanfield.jacobian import JacobianSpectrum, jacobian_spectrum
from meanfield.maps import moments, propagate
from verify.approach import TRACY_WIDOM_MEAN, Approach, root_scale
from verify.signals import SignalSetting

__all__ = ["approaches_of_spectra", "predict_spectra"]

EPS = float(np.finfo(np.float64).eps)
# Less mass than this at slope 0 is the far tail of slopes that fade, not an interval where they vanish.
VANISHING = 1e-12
STATIONARY = 1e-9


def predict_spectra(setting: SignalSetting) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """ "jacobian_moment", "mean_log_sigma", "lambda_max": value and error bound, in the shapes of `traces.measure`.

    Notes
    -----
    m_1 = prod chi^l; relative variances add in a free product, m_2/m_1^2 = 1 + sum_l (mu_2/mu_1^2 - 1 - s_1), where s_1
    is -1 for Gaussian and 0 for orthogonal weights; ln determinants add, E ln sigma = sum_l (ln sigma_w
    + E ln phi'^2/2 - 1/2), the last term for Gaussian weights only.

    References
    ----------
    .. [1] Pennington et al., arXiv:1802.09979, eqs. 21-22. [2] U. Haagerup, F. Larsen, J. Funct. Anal. 176 (2000) 331.
    """
    q, error = _lengths(setting)
    found = {}
    if "jacobian_moment" in setting.quantities:
        found["jacobian_moment"] = _first_moments(setting, q, error)
    if "mean_log_sigma" in setting.quantities:
        found["mean_log_sigma"] = _mean_log(setting, q, error)
    if "lambda_max" in setting.quantities:
        found["lambda_max"] = _largest(setting)
    return found


def approaches_of_spectra(setting: SignalSetting) -> dict[str, Approach]:
    """How lambda_max comes to its limit, on the logarithmic scale."""
    if "lambda_max" not in setting.quantities:
        return {}
    spectrum = _spectrum(setting)
    isolated, kappa = bool(spectrum.log_outliers), _edge_scale(spectrum)
    # At a point mass, and for an outlier beyond another end than a root, there is no correction of this order.
    rate = 0.0 if math.isnan(kappa) else TRACY_WIDOM_MEAN * kappa ** (-2 / 3)
    gap = spectrum.log_outliers[-1] - spectrum.log_bulk_max if isolated else spectrum.log_gap_to_outlier
    return {"lambda_max": Approach(rate=rate, gap=gap, isolated=isolated)}


def _edge_scale(spectrum: JacobianSpectrum) -> float:
    """kappa of the density (kappa/pi) sqrt(t_max - t) of t = ln lambda at the bulk's end; nan if it is no root."""
    steps = np.array([4e-5, 1e-5])
    return root_scale(steps, np.asarray(spectrum.density_of_log(spectrum.log_bulk_max - steps)))


def _largest(setting: SignalSetting) -> tuple[np.ndarray, np.ndarray]:
    spectrum = _spectrum(setting)
    value = spectrum.largest_eigenvalue
    if math.isnan(spectrum.log_outlier_error):
        raise InvalidParameterError(
            "quantities must not hold lambda_max where the law has no upper end that networks reach: for "
            f"{setting.law.phi.name} it ends at {spectrum.lambda_max:g}"
        )
    ends_in_atom = spectrum.log_atoms and spectrum.log_atoms[-1][0] == spectrum.log_bulk_max
    if math.isnan(_edge_scale(spectrum)) and not (ends_in_atom or spectrum.log_outliers):
        raise InvalidParameterError(
            "quantities must not hold lambda_max where the density does not vanish as a root at the end of the law, as "
            f"with one layer of orthogonal weights: how networks of {setting.law.phi.name} come near to it is not known"
        )
    if not 0 < value < math.inf:
        log_value = max((*spectrum.log_outliers, spectrum.log_bulk_max))
        raise InvalidParameterError(
            "quantities must not hold lambda_max where it is beyond double precision: here ln(lambda_max) = "
            f"{log_value:g}"
        )
    error = spectrum.log_outlier_error if spectrum.log_outliers else spectrum.errors["log_lambda_max"]
    return np.array([value]), np.array([value * math.expm1(error)])


def _spectrum(setting: SignalSetting) -> JacobianSpectrum:
    """With lengths that are reset: at a fixed point, where they stay as they are."""
    law, q0 = setting.law, setting.q0
    if setting.lengths == "reset":
        end = float(propagate(law.phi, law.sigma_w, law.sigma_b, depth=2, q0=q0).q[-1])
        if abs(end / q0 - 1) > STATIONARY:
            raise InvalidParameterError(
                f'quantities must not hold lambda_max with lengths="reset" unless q0 is a fixed point: from {q0:g} the '
                f"next layer goes to {end:g}"
            )
    return jacobian_spectrum(law.phi, law.sigma_w, law.sigma_b, depth=law.depth, weights=law.weights, q0=q0)


def _lengths(setting: SignalSetting) -> tuple[np.ndarray, np.ndarray]:
    """q^l and its error, layer by layer."""
    law = setting.law
    if setting.lengths == "reset":
        return np.full(law.depth, setting.q0), np.zeros(law.depth)
    path = propagate(law.phi, law.sigma_w, law.sigma_b, depth=law.depth, q0=setting.q0)
    return path.q, path.errors["q"]


def _first_moments(setting: SignalSetting, q: np.ndarray, error: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    law = setting.law
    gaussian = float(law.weights == "gaussian")
    here, below, above = (moments(law.phi, length) for length in (q, np.maximum(q - error, 0.0), q + error))
    # An interval of q, not a slope: it holds at kinks and jumps of the moments too.
    log_chi, log_chi_error = _with_interval(*(np.log(law.sigma_w**2 * each.mu_1) for each in (here, below, above)))
    log_chi_error = log_chi_error + here.errors["mu_1"] / here.mu_1
    spread, spread_error = _with_interval(*(each.mu_2 / each.mu_1**2 - 1 for each in (here, below, above)))
    relative = here.errors["mu_2"] / here.mu_2 + 2 * here.errors["mu_1"] / here.mu_1
    spread_error = spread_error + (spread + 1) * (relative + 4 * EPS)
    first = math.exp(log_chi.sum())
    shape = 1 + float((spread + gaussian).sum())
    values = np.array([first, first**2 * shape])
    doubt = float(log_chi_error.sum()) + 4 * EPS * law.depth
    bounds = values * np.expm1(np.array([doubt, 2 * doubt])) + np.array([0.0, first**2 * float(spread_error.sum())])
    return values, bounds


def _mean_log(setting: SignalSetting, q: np.ndarray, error: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    law = setting.law
    gaussian = float(law.weights == "gaussian")
    value, bound = law.depth * (math.log(law.sigma_w) - 0.5 * gaussian), 0.0
    known: dict[float, tuple[float, float, float]] = {}
    for length, doubt in zip(q.tolist(), error.tolist(), strict=True):
        if length not in known:
            known[length] = _mean_log_slope(setting, length)
        mean, own, slope = known[length]
        value += 0.5 * mean
        bound += 0.5 * (own + slope * doubt)
    return np.array([value]), np.array([bound + 8 * EPS * law.depth])


def _mean_log_slope(setting: SignalSetting, q: float) -> tuple[float, float, float]:
    """E ln phi'^2 at variance q, its error bound, and its derivative by q in absolute value."""
    phi = setting.law.phi
    first, second = (gaussian_pushforward(phi.derivative, q, kinks=phi.kinks_between, partition=k) for k in (0, 1))
    if first.mass_at_zero > VANISHING:
        raise InvalidParameterError(
            f"quantities must not hold mean_log_sigma where phi' vanishes on an interval: for {phi.name} it is -inf"
        )
    assert first.sensitivity is not None
    slope = abs(float(np.real(first.sensitivity @ np.log(first.nodes))))
    # What the law calls 0 is a far tail of slopes, none below 1e-308.
    error = abs(first.mean_log - second.mean_log) + 1500 * first.mass_at_zero + 32 * EPS
    return first.mean_log, error, slope


def _with_interval(here, below, above) -> tuple[np.ndarray, np.ndarray]:
    return here, np.maximum(np.abs(below - here), np.abs(above - here))
