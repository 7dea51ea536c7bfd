"""The double scaling limit of Jacobian spectra, depth to infinity and q to 0 at fixed variance, and its classes."""

import math
from dataclasses import dataclass, field

import numpy as np

from meanfield.arguments import scalar
from meanfield.errors import NonlinearityError, Status
from meanfield.expressions import as_nonlinearity
from meanfield.freeprob import CompoundPoisson, FreeProduct, Semigroup, Spectrum, point_masses
from meanfield.gaussian_moments import germ
from meanfield.jacobian import Atom, JacobianSpectrum
from meanfield.nonlinearity import Nonlinearity
from meanfield.quadrature import EPS
from meanfield.results import Result
from meanfield.spectral_results import SpectralResult

__all__ = [
    "LimitDistance",
    "LimitSpectrum",
    "Universality",
    "double_scaling_limit",
    "limit_distance",
    "residual_spectrum",
    "universality_class",
]

# Where phi' is sampled to see whether it is constant about 0, and how: neighbours are 0.5 % apart.
_SAMPLES = np.geomspace(1e-12, 1e6, 8001)
JUMP = 1e-3
SHARES = (np.arange(4000) + 0.5) / 4000  # middles of equal shares of the mass


@dataclass(frozen=True, kw_only=True, eq=False)
class Universality(Result):
    """The class of a nonlinearity.

    Attributes
    ----------
    phi : str
    name : str
        "smooth", "bernoulli", "linear" (J J^T is a multiple of the identity), or "none".
    reason : str
        A sentence.
    """

    phi: str
    name: str
    reason: str


def universality_class(phi) -> Universality:
    """Which limit the spectra of orthogonal networks have as q goes to 0 along the critical line.

    Parameters
    ----------
    phi : str or Nonlinearity

    Returns
    -------
    Universality

    Notes
    -----
    What counts is phi' about 0. Continuous and not constant there: the variances of many narrow laws of phi'^2 add up,
    "smooth". Constant up to a jump to 0: what adds up is the rare zeros, "bernoulli". With a jump at 0 itself, as for
    ReLU, or phi'(0) = 0, the law of phi'^2 never becomes narrow.

    References
    ----------
    .. [1] Pennington, Schoenholz, Ganguli, arXiv:1802.09979, section 4.

    Examples
    --------
    >>> [universality_class(name).name for name in ("tanh", "hard_tanh", "relu")]
    ['smooth', 'bernoulli', 'none']
    """
    nonlinearity = as_nonlinearity(phi)
    name, reason = _classified(nonlinearity)
    return Universality(phi=nonlinearity.name, name=name, reason=reason)


def _classified(phi: Nonlinearity) -> tuple[str, str]:
    _, below, above = germ(phi)
    if below**2 != above**2:
        return "none", f"phi'^2 jumps at 0 from {below**2:.6g} to {above**2:.6g}, so its law stays wide as q goes to 0"
    if above**2 == 0:
        return "none", "phi'(0) = 0, so that no signal passes as q goes to 0"
    with np.errstate(all="ignore"):
        sides = [phi.derivative(side * _SAMPLES) ** 2 for side in (1.0, -1.0)]
    changed = [np.flatnonzero(side != above**2) for side in sides]
    if not any(where.size for where in changed):
        return "linear", "phi'^2 is constant"
    # The side that changes first decides: farther ones are exponentially rarer.
    first = min(int(where[0]) for where in changed if where.size)
    values = [float(side[first]) for side in sides if side[first] != above**2]
    if all(abs(value / above**2 - 1) < JUMP for value in values):
        return "smooth", "phi' is continuous about 0 and not constant"
    if all(value == 0 for value in values):
        return "bernoulli", "phi' is constant about 0 up to where it jumps to 0"
    return "none", "phi' is constant about 0 up to where it jumps, but not to 0: the limit is another one"


@dataclass(frozen=True, kw_only=True, eq=False)
class LimitSpectrum(SpectralResult):
    """A limit law of the eigenvalues of J J^T; its methods are those of JacobianSpectrum.

    Attributes
    ----------
    universality : str
        "smooth", "bernoulli" or "residual".
    mean, variance : float
    lambda_max, lambda_min : float
        Ends of the support, atoms included.
    intervals : tuple of (low, high)
        The continuous part.
    atoms : tuple of Atom
    error : float
        Bound on the error of lambda_max.
    errors : dict
    status : Status
    """

    universality: str
    mean: float
    variance: float
    lambda_max: float
    lambda_min: float
    intervals: tuple[tuple[float, float], ...]
    atoms: tuple[Atom, ...]
    error: float
    errors: dict[str, float]
    status: Status
    spectrum: Spectrum | None = field(repr=False)


def double_scaling_limit(phi, *, variance) -> LimitSpectrum:
    """The law that spectra of critical orthogonal networks approach as depth grows at fixed variance.

    Parameters
    ----------
    phi : str or Nonlinearity
    variance : float, > 0
        sigma_0^2 = depth (mu_2/mu_1^2 - 1), the variance of the eigenvalues.

    Returns
    -------
    LimitSpectrum

    Raises
    ------
    InvalidParameterError
        variance is not positive.
    NonlinearityError
        The nonlinearity has no limit; the message says why.

    Notes
    -----
    S(m) = exp(-sigma_0^2 m) in the smooth class and exp(-sigma_0^2 m/(1 + m)) in the Bernoulli class. The latter has an
    atom at exp(sigma_0^2), of mass 1 - sigma_0^2, while that is positive. Finite depths come close as L^(-1/2) and
    as 1/L.

    References
    ----------
    .. [1] Pennington, Schoenholz, Ganguli, arXiv:1802.09979, section 4.

    Examples
    --------
    >>> round(double_scaling_limit("hard_tanh", variance=4.0).lambda_max / 2.718281828459045, 10)
    4.0
    """
    nonlinearity = as_nonlinearity(phi)
    c = scalar("variance", variance, low=0.0, open_low=True)
    name, reason = _classified(nonlinearity)
    if name not in _LIMITS:
        raise NonlinearityError(f"{nonlinearity.name} has no double scaling limit: {reason}")
    return _limit(name, FreeProduct((_ONE,), np.array([0.0]), (_LIMITS[name](c),)))


def _limit(name: str, product: FreeProduct) -> LimitSpectrum:
    spectrum = Spectrum(product, product)
    intervals = tuple(
        (math.exp(part.lower.log_z) if part.lower else 0.0, math.exp(part.upper.log_z))
        for part in reversed(spectrum.components)
    )
    atoms = tuple(Atom(math.exp(place), mass) for place, mass in sorted(spectrum.atoms.items()))
    ends = [*intervals, *((atom.location, atom.location) for atom in atoms)]
    low, high = min(end[0] for end in ends), max(end[1] for end in ends)
    bound = max(spectrum.edge_error(part.upper) for part in spectrum.components)
    mean = math.exp(product.log_mean)
    errors = {"mean": 4 * EPS * mean, "lambda_max": bound * high, "lambda_min": bound * low}
    return LimitSpectrum(
        universality=name,
        mean=mean,
        variance=product.relative_variance * mean**2,
        lambda_max=high,
        lambda_min=low,
        intervals=intervals,
        atoms=atoms,
        error=errors["lambda_max"],
        errors=errors | {"variance": 8 * EPS * product.relative_variance * mean**2},
        status=Status.CONVERGED,
        spectrum=spectrum,
    )


_ONE = point_masses({1.0: 1.0})
_LIMITS = {"smooth": Semigroup, "bernoulli": CompoundPoisson}


def residual_spectrum(gain) -> LimitSpectrum:
    """The law of J J^T for a deep residual network of blocks I + D W/sqrt(depth).

    Parameters
    ----------
    gain : float, > 0
        c = sigma_w^2 mu_1, averaged over the blocks; W has entries of variance sigma_w^2/width, or is sigma_w times an
        orthogonal matrix.

    Returns
    -------
    LimitSpectrum
        Its `universality` is "residual".

    Raises
    ------
    InvalidParameterError
        gain is not positive.

    Notes
    -----
    z = ((1 + m)/m) exp(c (1 + 2m)), the smooth class at variance 2c times exp(c), for both kinds of weights: mean
    exp(c), variance 2c exp(2c), and the edges' product is 1. Whatever the nonlinearity, a residual network is as
    isometric as c is small.

    References
    ----------
    .. [1] Tarnowski, Warchol, Jastrzebski, Tabor, Nowak, arXiv:1809.08848.

    Examples
    --------
    >>> law = residual_spectrum(0.5)
    >>> round(law.lambda_min * law.lambda_max, 12)
    1.0
    """
    c = scalar("gain", gain, low=0.0, open_low=True)
    return _limit("residual", FreeProduct((_ONE,), np.array([0.0]), (Semigroup(2 * c),), c))


@dataclass(frozen=True, kw_only=True, eq=False)
class LimitDistance(Result):
    """How far a spectrum, divided by its mean, is from the limit law of the same variance.

    Attributes
    ----------
    wasserstein : float
        Mean distance, in lambda/mean, by which mass has to be moved to turn one law into the other.
    edge : float
        lambda_max/mean over the limit's lambda_max, less 1.
    variance : float
        Of the limit, and of the eigenvalues over their squared mean.
    """

    wasserstein: float
    edge: float
    variance: float


def limit_distance(phi, spectrum: JacobianSpectrum) -> LimitDistance:
    """The distance of a spectrum from the double scaling limit of its nonlinearity.

    Parameters
    ----------
    phi : str or Nonlinearity
    spectrum : JacobianSpectrum
        Of that nonlinearity, with orthogonal weights; it need not be critical.

    Returns
    -------
    LimitDistance

    Raises
    ------
    NonlinearityError
        The nonlinearity has no limit.

    Examples
    --------
    >>> import meanfield as mf
    >>> point = mf.isometric_point("hard_tanh", depth=400, variance=0.25)
    >>> spectrum = mf.jacobian_spectrum("hard_tanh", point.sigma_w, point.sigma_b, depth=400, weights="orthogonal")
    >>> limit_distance("hard_tanh", spectrum).wasserstein < 0.001
    True
    """
    limit = double_scaling_limit(phi, variance=spectrum.relative_variance)
    ours, theirs = np.exp(spectrum.log_quantile(SHARES) - spectrum.log_mean), limit.quantile(SHARES)
    edge = math.expm1(spectrum.log_lambda_max - spectrum.log_mean - math.log(limit.lambda_max))
    return LimitDistance(
        wasserstein=float(np.abs(ours - theirs).mean()), edge=edge, variance=spectrum.relative_variance
    )
