"""The spectrum of J J^T, J the input-output Jacobian of a wide random network."""

import functools
import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from meanfield.arguments import integer, scalar
from meanfield.equilibria import fixed_point
from meanfield.errors import Status
from meanfield.expressions import as_nonlinearity
from meanfield.freeprob import Factor, FreeProduct, Projection, Spectrum, Wishart, log_bottom, log_top
from meanfield.layer_laws import LayerLaws, layer_laws
from meanfield.maps import propagate
from meanfield.nonlinearity import Nonlinearity
from meanfield.outliers import Outliers, outliers
from meanfield.quadrature import EPS
from meanfield.spectral_results import SpectralResult
from meanfield.weights import ensemble

__all__ = ["Atom", "JacobianSpectrum", "jacobian_spectrum"]

DOCUMENTED_ACCURACY = 1e-8
LARGEST_LOG = math.log(np.finfo(np.float64).max)


class Atom(NamedTuple):
    """A point mass of the eigenvalues."""

    location: float
    mass: float


@dataclass(frozen=True, kw_only=True, eq=False)
class JacobianSpectrum(SpectralResult):
    """The law of the eigenvalues lambda of J J^T; its methods give density, distribution, quantiles and moments.

    Attributes
    ----------
    sigma_w, sigma_b : float
        Standard deviations of weights and biases.
    depth : int
        Number of factors D W in J.
    weights : str
        "gaussian" or "orthogonal".
    q_star : float
        Variance of the pre-activations in the last layer: the fixed point, or with q0 what layer `depth` has of it.
    mean, variance : float
        Of lambda; inf or 0 where they leave the range of float64.
    lambda_max, lambda_min : float
        Ends of the support, atoms included.
    bulk_max, bulk_min : float
        Ends of what holds all of the mass but about 1e-12: the support may reach farther by the far tails of the
        Gaussian pre-activations, where no finite network has eigenvalues.
    intervals : tuple of (low, high)
        Components of the continuous part within the bulk, by increasing lambda.
    atoms : tuple of Atom
        Point masses (location, mass), by increasing location.
    log_mean, relative_variance, log_lambda_max, log_lambda_min : float
        ln(mean), variance/mean^2 and the logarithms of the edges, which do not overflow.
    error : float
        Absolute error bound of lambda_max.
    errors : dict
        Bounds of the numeric fields; `cdf_error` and `density_of_log_error` have those of the methods.
    status : Status
    """

    sigma_w: float
    sigma_b: float
    depth: int
    weights: str
    q_star: float
    mean: float
    variance: float
    lambda_max: float
    lambda_min: float
    bulk_max: float
    bulk_min: float
    intervals: tuple[tuple[float, float], ...]
    atoms: tuple[Atom, ...]
    log_mean: float
    relative_variance: float
    log_lambda_max: float
    log_lambda_min: float
    error: float
    errors: dict[str, float]
    status: Status
    spectrum: Spectrum | None = field(repr=False)
    layers: LayerLaws | None = field(repr=False)

    @property
    def log_outliers(self) -> tuple[float, ...]:
        """ln of the eigenvalues that leave the bulk upwards, by increasing lambda; of no mass, so no part of the law.

        D^l depends on W^l through the signal that both see, and along the signal J follows the length map. Where
        alpha^2 > chi_1, as at critical points that repel, the largest outlier of many layers grows by alpha^2 a layer;
        others there are too. W^1 is taken to be independent of h^1.
        """
        return self._outliers.log_values

    @property
    def outliers(self) -> tuple[float, ...]:
        """The eigenvalues of `log_outliers` themselves."""
        with np.errstate(over="ignore"):
            return tuple(float(np.exp(t)) for t in self.log_outliers)

    @property
    def log_outlier_error(self) -> float:
        """Estimate of their largest error; nan where they are not known: where only far tails reach the end."""
        return self._outliers.error

    @property
    def log_gap_to_outlier(self) -> float:
        """Without outliers: how far the bulk's edge is, in ln lambda, from where one would leave it; inf if none does.

        Finite networks show one already where width^(-2/3) is not small beside it.
        """
        return self._outliers.near

    @property
    def largest_eigenvalue(self) -> float:
        """What lambda_max of wide networks tends to: the largest outlier, `bulk_max` if none is known."""
        return max((*self.outliers, self.bulk_max))

    @property
    def log_bulk_max(self) -> float:
        """ln of `bulk_max`, which does not overflow."""
        if self.spectrum is None:
            return -math.inf
        return self.spectrum.log_max

    @functools.cached_property
    def _outliers(self) -> Outliers:
        if self.spectrum is None or self.layers is None:
            return Outliers()
        return outliers(self.layers, self.sigma_w, self.sigma_b, self.spectrum, self.weights)

    def to_dict(self):
        fields = {name: value for name, value in super().to_dict().items() if name != "layers"}
        return {**fields, "log_outliers": list(self.log_outliers), "log_outlier_error": self.log_outlier_error}


def jacobian_spectrum(
    phi, sigma_w, sigma_b, *, depth, weights="gaussian", q0=None, input_aspect=1.0, output_aspect=None
) -> JacobianSpectrum:
    """The law of the squared singular values of J = D^L W^L ... D^1 W^1 in the limit of large width.

    Parameters
    ----------
    phi : str or Nonlinearity
    sigma_w : float, > 0
    sigma_b : float, >= 0
    depth : int, >= 1
        Number L of hidden layers.
    weights : "gaussian" or "orthogonal"
    q0 : float, >= 0, optional
        Variance of the first layer's pre-activations; every layer then has its own. Without it every layer is at the
        fixed point that is reached from 1.
    input_aspect : float, > 0
        Width over input size: the shape of W^1, fan_out/fan_in.
    output_aspect : float, > 0, optional
        Output size over width of a linear read-out on top, of the same ensemble with variance 1/width (orthogonal:
        orthonormal rows, or columns times the root of the aspect). J J^T is then outputs x outputs. None: no read-out.

    Returns
    -------
    JacobianSpectrum

    Raises
    ------
    InvalidParameterError
        An argument is outside its range.
    NoFixedPointError
        The length grows without bound.
    NonlinearityError
        E phi'^2 is infinite.

    Notes
    -----
    S_{J J^T} = prod_l S_{W^l W^l^T} S_{D_l^2}, D_l^2 the law of phi'(sqrt(q^l) z)^2, solved in the variable w in which
    ln z is explicit [1]_; the density is -Im m(lambda + i0)/(pi lambda).

    References
    ----------
    .. [1] Pennington, Schoenholz, Ganguli, arXiv:1711.04735, section 2. [2] The same, arXiv:1802.09979, section 3.

    Examples
    --------
    >>> spectrum = jacobian_spectrum("hard_tanh", 1.0129248, 0.0, depth=16, weights="orthogonal", q0=0.2)
    >>> len(spectrum.atoms)
    2
    """
    aspect = scalar("input_aspect", input_aspect, low=0.0, open_low=True)
    output = None if output_aspect is None else scalar("output_aspect", output_aspect, low=0.0, open_low=True)
    return _spectrum(
        as_nonlinearity(phi),
        scalar("sigma_w", sigma_w, low=0.0, open_low=True),
        scalar("sigma_b", sigma_b, low=0.0),
        integer("depth", depth, low=1),
        ensemble(weights).name,
        None if q0 is None else scalar("q0", q0, low=0.0),
        aspect,
        output,
    )


@functools.lru_cache(maxsize=32)
def _spectrum(phi, sigma_w, sigma_b, depth, weights, q0, input_aspect, output_aspect) -> JacobianSpectrum:
    layers, status = _layers(phi, sigma_w, sigma_b, depth, q0)
    given = {"sigma_w": sigma_w, "sigma_b": sigma_b, "depth": depth, "weights": weights, "q_star": layers.last}
    if any(law.mean == 0 for law in layers.laws()):
        return _no_signal(**given, status=status)
    shapes = _SHAPES[weights](depth, input_aspect, output_aspect)
    log_scale = 2 * depth * math.log(sigma_w)
    product, shadow = (
        FreeProduct(layers.laws(partition), layers.powers, shapes.factors, log_scale + shapes.log_scale)
        for partition in (0, 1)
    )
    spectrum = Spectrum(product, shadow, shapes.mass_at_zero, shapes.share)
    # E lambda^k of the eigenvalues kept is that of all of them times share.
    log_mean = layers.log_mean + log_scale
    own, other = ((1 + each.relative_variance) / shapes.share - 1 for each in (product, shadow))
    relative_variance_error = abs(own - other) + layers.unrepresented + _variance_drift(product, layers)
    edges = _ends(spectrum, layers)
    logs = {"log_mean": log_mean, "log_lambda_max": edges.log_max, "log_lambda_min": edges.log_min}
    with np.errstate(over="ignore", invalid="ignore"):
        mean, lambda_max, lambda_min, bulk_max, bulk_min = (
            float(np.exp(t)) for t in (*logs.values(), edges.log_bulk_max, edges.log_bulk_min)
        )
        variance = float(own * np.square(mean))
        log_mean_error = layers.log_mean_error + layers.unrepresented + 4 * EPS * abs(log_mean)
        errors = {
            "q_star": float(layers.q_errors[-1]),
            "log_mean": log_mean_error,
            "relative_variance": relative_variance_error,
            "log_lambda_max": edges.error,
            "log_lambda_min": edges.error if edges.log_min > -math.inf else 0.0,
            "mean": mean * log_mean_error,
            "variance": float((relative_variance_error + 2 * own * log_mean_error) * np.square(mean)),
            "lambda_max": lambda_max * edges.error,
            "lambda_min": lambda_min * edges.error,
            "bulk_max": bulk_max * edges.error,
            "bulk_min": bulk_min * edges.error,
        }
        intervals = tuple(
            (float(np.exp(c.lower.log_z)) if c.lower else 0.0, float(np.exp(c.upper.log_z)))
            for c in reversed(spectrum.components)
        )
        atoms = tuple(Atom(float(np.exp(place)), mass) for place, mass in sorted(spectrum.atoms.items()))
    return JacobianSpectrum(
        **given,
        mean=mean,
        variance=variance,
        lambda_max=lambda_max,
        lambda_min=lambda_min,
        bulk_max=bulk_max,
        bulk_min=bulk_min,
        intervals=intervals,
        atoms=atoms,
        relative_variance=own,
        error=errors["lambda_max"],
        errors=errors,
        status=_status(status, edges, log_mean, relative_variance_error),
        spectrum=spectrum,
        layers=layers,
        **logs,
    )


def _layers(phi: Nonlinearity, sigma_w, sigma_b, depth: int, q0: float | None) -> tuple[LayerLaws, Status]:
    if q0 is None:
        point = fixed_point(phi, sigma_w, sigma_b)
        return layer_laws(phi, np.full(depth, point.q_star), np.full(depth, point.error)), point.status
    orbit = propagate(phi, sigma_w, sigma_b, depth=depth, q0=q0)
    return layer_laws(phi, orbit.q, orbit.errors["q"]), Status.CONVERGED


@dataclass(frozen=True)
class _Shapes:
    """What the weights contribute to the product, and the `share` of its eigenvalues above 0 in the one asked for."""

    factors: tuple[Factor, ...]
    mass_at_zero: float
    log_scale: float
    share: float


def _gaussian_shapes(depth: int, input_aspect: float, output_aspect: float | None) -> _Shapes:
    square = depth if input_aspect == 1 else depth - 1
    factors: list[Factor] = [Wishart(float(square))] if square else []
    if input_aspect != 1:
        factors.append(Wishart(1.0, input_aspect))
    if output_aspect is None:
        return _Shapes(tuple(factors), max(0.0, 1 - 1 / input_aspect), 0.0, 1.0)
    # W^T W of the read-out stands for W W^T: the same eigenvalues above 0, their share of all in the inverse ratio.
    factors.append(Wishart(1.0, 1 / output_aspect))
    zero = max(0.0, 1 - 1 / input_aspect, 1 - output_aspect)
    return _Shapes(tuple(factors), zero, math.log(output_aspect), 1 / output_aspect)


def _orthogonal_shapes(depth: int, input_aspect: float, output_aspect: float | None) -> _Shapes:
    factors: list[Factor] = [Projection(1 / input_aspect)] if input_aspect > 1 else []
    if output_aspect is None:
        return _Shapes(tuple(factors), max(0.0, 1 - 1 / input_aspect), 0.0, 1.0)
    if output_aspect < 1:
        factors.append(Projection(output_aspect))
    zero = max(0.0, 1 - 1 / input_aspect, 1 - output_aspect)
    return _Shapes(tuple(factors), zero, math.log(output_aspect), 1 / output_aspect)


_SHAPES = {"gaussian": _gaussian_shapes, "orthogonal": _orthogonal_shapes}


@dataclass(frozen=True)
class _Ends:
    """ln of the ends of the support and of the bulk, and a bound on the error of those that are finite."""

    log_max: float
    log_min: float
    log_bulk_max: float
    log_bulk_min: float
    error: float


def _ends(spectrum: Spectrum, layers: LayerLaws) -> _Ends:
    product, places = spectrum.product, list(spectrum.atoms)
    tops, bottoms, bulk_bottoms, error = places[:], places[:], places[:], 0.0
    if spectrum.components:
        upper, lower = spectrum.components[0].upper, spectrum.components[-1].lower
        tops.append(log_top(product, upper))
        bottoms.append(log_bottom(product, lower))
        bulk_bottoms.append(-math.inf if lower is None else lower.log_z)
        for edge in (upper, lower):
            if edge is not None:
                drift = float(np.abs(product.sensitivity(edge.w[:, None], layers.q_errors)[0]))
                error = max(error, spectrum.edge_error(edge) + drift)
    rounding = (
        16
        * EPS
        * (float(product.powers.sum()) + max((abs(t) for t in [*tops, *bottoms] if math.isfinite(t)), default=0.0))
    )
    return _Ends(
        max(tops), min(bottoms), spectrum.log_max, min(bulk_bottoms), error + 10 * layers.unrepresented + rounding
    )


def _variance_drift(product: FreeProduct, layers: LayerLaws) -> float:
    """How far the relative variance moves with the errors of the lengths."""
    total = 0.0
    for law, power, error in zip(product.laws, product.powers, layers.q_errors, strict=True):
        if law.sensitivity is not None and law.nodes.size:
            moved = (law.sensitivity @ (law.nodes - law.mean) ** 2).real / law.mean**2
            moved -= 2 * law.relative_variance * (law.sensitivity @ law.nodes).real / law.mean
            total += power * abs(float(moved)) * error
    return total


def _status(status: Status, edges: _Ends, log_mean: float, relative_variance_error: float) -> Status:
    if not max(edges.error, relative_variance_error) <= DOCUMENTED_ACCURACY:
        return Status.LOW_ACCURACY
    if max(abs(log_mean), abs(edges.log_bulk_max)) > LARGEST_LOG:
        return Status.BEYOND_FLOAT64
    if edges.log_max > edges.log_bulk_max + DOCUMENTED_ACCURACY:
        return Status.EMPTY_TAIL
    return status


def _no_signal(**given) -> JacobianSpectrum:
    """J = 0: all eigenvalues are 0."""
    zeros = dict.fromkeys(("mean", "variance", "lambda_max", "lambda_min", "bulk_max", "bulk_min"), 0.0)
    logs = dict.fromkeys(("log_mean", "log_lambda_max", "log_lambda_min"), -math.inf)
    errors: dict[str, float] = dict.fromkeys((*zeros, *logs, "q_star", "relative_variance"), 0.0)
    atoms = (Atom(0.0, 1.0),)
    return JacobianSpectrum(
        **given,
        **zeros,
        **logs,
        relative_variance=math.nan,
        intervals=(),
        atoms=atoms,
        error=0.0,
        errors=errors,
        spectrum=None,
        layers=None,
    )
