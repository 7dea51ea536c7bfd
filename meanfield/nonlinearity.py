"""The Nonlinearity: numpy phi and phi', its kinks, and optional closed forms of its Gaussian moments."""

import functools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from meanfield.arguments import scalar, sequence
from meanfield.errors import NonlinearityError

__all__ = ["ClosedForm", "ClosedForms", "Nonlinearity", "finest_scale", "probe"]

Pointwise = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, kw_only=True)
class ClosedForm:
    """A formula with the range of q in which a test proves it equal to quadrature.

    Attributes
    ----------
    formula : callable
        Vectorised: ``formula(q)`` for a moment, ``formula(c, q1, q2)`` for a dual kernel.
    q_min, q_max : float
        Closed range of every q it is used for; outside it quadrature is used.
    relative_error : float
        Bound on its relative rounding error inside that range; of a dual kernel relative to its Cauchy-Schwarz
        bound, the geometric mean of the kernels at c = 1.
    """

    formula: Callable[..., np.ndarray]
    q_min: float = 0.0
    q_max: float = math.inf
    relative_error: float = 1e-14

    def covers(self, q: np.ndarray) -> np.ndarray:
        """Elementwise: is the formula proved at q?"""
        return (q >= self.q_min) & (q <= self.q_max)


@dataclass(frozen=True, kw_only=True)
class ClosedForms:
    """Closed forms of the Gaussian moments of one nonlinearity; None where quadrature has to serve.

    V = E phi^2, mu_1 = E phi'^2, mu_2 = E phi'^4, V_slope = dV/dq = E[phi phi' z]/sqrt(q),
    critical_ratio = q mu_1 - V (sigma_b^2/sigma_w^2 on the critical line), all at variance q;
    dual_value = E phi(u)phi(v) and dual_derivative = E phi'(u)phi'(v) at correlation c and variances q1, q2.
    """

    V: ClosedForm | None = None
    mu_1: ClosedForm | None = None
    mu_2: ClosedForm | None = None
    V_slope: ClosedForm | None = None
    critical_ratio: ClosedForm | None = None
    dual_value: ClosedForm | None = None
    dual_derivative: ClosedForm | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Nonlinearity:
    """A scalar nonlinearity phi with what the theory needs of it.

    Attributes
    ----------
    name : str
        For messages, tables and file names.
    function, derivative : callable
        phi and phi', each from a float64 array to a float64 array of the same shape, finite wherever phi is.
    kinks : tuple of float, or callable
        Points where phi' jumps; periodic ones as a function ``(low, high) -> sorted array`` of those in between.
        A kink that is left out costs time, not correctness.
    closed_forms : ClosedForms
        Optional exact moments.
    expression : str or None
        The nonlinearity as text that `as_nonlinearity` reads back, where there is such a text.
    """

    name: str
    function: Pointwise
    derivative: Pointwise
    kinks: tuple[float, ...] | Callable[[float, float], np.ndarray] = ()
    closed_forms: ClosedForms = field(default_factory=ClosedForms)
    expression: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", _printable(self.name))

    def __call__(self, x) -> np.ndarray:
        return self.function(np.asarray(x, dtype=np.float64))

    def __repr__(self) -> str:
        return f"Nonlinearity({self.name!r})"

    def kinks_between(self, low: float, high: float) -> np.ndarray:
        """Sorted kinks strictly between `low` and `high`, shape (n,)."""
        if callable(self.kinks):
            found = np.asarray(self.kinks(low, high), dtype=np.float64)
        else:
            found = np.array(sorted(self.kinks), dtype=np.float64)
        return found[(found > low) & (found < high)]

    def breaks_between(self, low: float, high: float) -> np.ndarray:
        """Sorted places where panels on (low, high) should end: kinks, and powers of 2 down to the scale of phi at 0.

        A step there is so narrow beside a wide interval that it would lie before the first node of every panel.
        """
        finest = finest_scale(self)
        first, last = finest if finest < COARSEST else 0, math.floor(math.log2(max(-low, high))) - 12
        scales = 2.0 ** np.arange(first, last + 1)
        scales = np.concatenate([-scales[::-1], scales])
        return np.union1d(self.kinks_between(low, high), scales[(scales > low) & (scales < high)])

    @classmethod
    def from_callable(
        cls,
        function: Pointwise,
        derivative: Pointwise,
        *,
        kinks: Iterable[float] | Callable[[float, float], np.ndarray] = (),
        name: str | None = None,
    ) -> "Nonlinearity":
        """A nonlinearity from two vectorised Python functions; see the class for what they must do.

        Raises
        ------
        NonlinearityError
            A function is not callable, raises on an array, changes the shape, or gives values that are not float64
            and finite on a first probe; the derivative is not the function's; the function is constant or jumps; the
            name is not text.

        Notes
        -----
        phi' is held against difference quotients of phi to 1e-6 of their size. In a phi that moves in steps, or in a
        feature between the places looked at, an error can stay unseen.
        """
        title = _printable(getattr(function, "__name__", "callable") if name is None else name)
        if not callable(function) or not callable(derivative):
            raise NonlinearityError(f"{title}: function and derivative must be callable")
        places = (
            kinks
            if callable(kinks)
            else tuple(sorted(scalar("each of kinks", k) for k in sequence("kinks", kinks, "numbers")))
        )
        candidate = cls(name=title, function=function, derivative=derivative, kinks=places)
        probe(candidate)
        return candidate

    @classmethod
    def from_sympy(cls, expression, *, name: str | None = None) -> "Nonlinearity":
        """A nonlinearity from a sympy expression in one real symbol; phi' follows by the chain rule.

        Raises
        ------
        NonlinearityError, NotDifferentiableError
            More than one free symbol, an unsupported function, or a jump.
        """
        # Upward on purpose: the only sympy lives there, and only this call needs it.
        from meanfield.symbolic import nonlinearity_from_sympy

        return nonlinearity_from_sympy(expression, name=None if name is None else _printable(name))


def _printable(name: str) -> str:
    """The name with control characters shown, not sent: it goes into messages, tables and pages."""
    if not isinstance(name, str):
        raise NonlinearityError(f"name must be text, got {name!r}")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


COARSEST = -4


@functools.lru_cache(maxsize=512)
def finest_scale(phi: Nonlinearity) -> int:
    """k of the smallest 2^k at which phi' still changes by a tenth of its size, near 0; -4 if it has none below."""
    k = np.arange(COARSEST, -251, -1)
    x = 2.0**k
    with np.errstate(all="ignore"):
        slopes = np.array([phi.derivative(x), phi.derivative(-x)])
        change = np.abs(np.diff(slopes, axis=1)) > 0.1 * np.abs(slopes).max(axis=1, keepdims=True)
    finest = int(k[1:][change.any(axis=0)].min(initial=COARSEST))
    return finest if finest > -240 else COARSEST  # a pole of phi' has no scale: bisection finds that it never ends


# Places far from the round numbers where kinks are, from fine to coarse; up to NEAR phi must be finite.
NEAR = 8.0
_PLACES = np.concatenate([-1.0371 * np.geomspace(1e3, 1e-8, 89), 1.0743 * np.geomspace(1e-8, 1e3, 89)])
_EDGES = np.concatenate([-np.geomspace(NEAR, 0.25, 6), [0.0], np.geomspace(0.25, NEAR, 6)])
_STEPS = 4.0 ** -np.arange(18)[:, None] / 2  # relative to x
AGREEMENT = 1e-6  # of phi' and the slope of phi, relative to both at these and smaller arguments
_HALVINGS = 24
_MOST_PANELS = 256


def probe(phi: Nonlinearity) -> None:
    """Refuse a phi that is not real and finite on [-8, 8], changes the shape, is constant, jumps, or has another slope.

    Raises
    ------
    NonlinearityError
        Names the nonlinearity and the point or interval.
    """
    kinks = phi.kinks_between(-NEAR, NEAR)[:1000]
    edges = np.unique(np.concatenate([_EDGES, kinks]))
    inner = _nodes(edges[:-1], edges[1:])[0]
    values, ends = (_checked(phi.name, "phi", phi.function, x) for x in (inner, edges))
    _checked(phi.name, "phi'", phi.derivative, inner)
    if np.ptp(np.concatenate([values.ravel(), ends])) == 0.0:
        raise NonlinearityError(f"{phi.name}: phi is constant ({values.flat[0]:g}), so no signal passes")
    _refuse_wrong_slope(phi)
    _refuse_jump(phi, edges)


def _refuse_wrong_slope(phi: Nonlinearity) -> None:
    """Hold phi' against Richardson's extrapolation of difference quotients, at steps of many sizes.

    A kink spoils the steps that reach over it; a derivative is wrong if no step agrees with it and one is sure of that.
    """
    x, h = _PLACES, _STEPS * np.abs(_PLACES)

    def function(at: np.ndarray) -> np.ndarray:
        return _checked(phi.name, "phi", phi.function, at)

    slope = _checked(phi.name, "phi'", phi.derivative, x)
    with np.errstate(all="ignore"):
        wide, middle, narrow = ((function(x + s) - function(x - s)) / (2 * s) for s in (h, h / 2, h / 4))
        once, again = (4 * middle - wide) / 3, (4 * narrow - middle) / 3
        found = (16 * again - once) / 15
        size, moves = _largest(function(x)), np.abs(slope) * h
        # Cancellation in phi; or steps, if phi stands still where phi' says that it moves.
        still = (narrow == 0)[-3:] & (moves > 1e-12 * size)[-3:]
        noise = 1e-6 if still.any() else 1e-11
        gap = np.abs(found - slope)
        doubt = 2 * np.abs(again - once) + noise * size / h
        known = np.isfinite(gap + doubt)
        # Steps over which phi turns many times may agree with each other by chance.
        sure = known & (gap > 3 * doubt + AGREEMENT * _largest(slope)) & (moves <= size)
        nearest = np.where(known, gap + doubt, np.inf).min(axis=0)
    worst = np.where(sure, gap, 0.0).max(axis=0)
    wrong = nearest > 0.1 * worst
    wrong &= worst > 0
    if wrong.any():
        k = np.argmin(np.where(wrong, np.abs(np.log(np.abs(x))), np.inf))
        best = found[np.argmin(np.where(sure[:, k], doubt[:, k], np.inf)), k]
        raise NonlinearityError(
            f"{phi.name}: the derivative is wrong: at x = {x[k]:.6g} it is {slope[k]:.8g}, but phi has slope {best:.8g}"
        )


def _largest(values: np.ndarray) -> np.ndarray:
    """For each of _PLACES the largest finite size of the values at arguments up to there, or to 1."""
    distance = np.abs(_PLACES)
    order = np.argsort(distance)
    sizes = np.where(np.isfinite(values), np.abs(values), 0.0)[order]
    within = np.searchsorted(distance[order], np.maximum(distance, 1.0), side="right") - 1
    return np.maximum.accumulate(sizes)[within]


def _refuse_jump(phi: Nonlinearity, edges: np.ndarray) -> None:
    """Halve the panels on which phi does not rise by the integral of phi': a kink fades, a jump stays."""
    left, right = edges[:-1], edges[1:]
    rounding = 1e-12 * np.abs(_checked(phi.name, "phi", phi.function, edges[np.abs(edges) <= 1])).max()
    for _ in range(_HALVINGS):
        nodes, weights = _nodes(left, right)
        slopes = _checked(phi.name, "phi'", phi.derivative, nodes)
        low, high = (_checked(phi.name, "phi", phi.function, x) for x in (left, right))
        size = np.maximum(np.abs(low), np.abs(high)) + (weights * np.abs(slopes)).sum(axis=1)
        jump = np.abs(high - low - (weights * slopes).sum(axis=1))
        bad = np.flatnonzero(jump > AGREEMENT * size + rounding)
        if not bad.size:
            return
        steep = 2 * (right - left)[bad] * np.abs(slopes[bad]).max(axis=1)
        k = bad[np.argmax(jump[bad] - steep)]
        place, before, after, jumps = left[k], low[k], high[k], jump[k] > steep.max()
        bad = bad[:: -(-bad.size // _MOST_PANELS)]
        middle = (left[bad] + right[bad]) / 2
        left, right = np.concatenate([left[bad], middle]), np.concatenate([middle, right[bad]])
    if jumps:
        raise NonlinearityError(f"{phi.name}: phi jumps from {before:.6g} to {after:.6g} at x = {place:.6g}")


def _nodes(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre nodes and weights of panels, (n, 32)."""
    nodes, weights = np.polynomial.legendre.leggauss(32)
    half = (right - left)[:, None] / 2
    return (left[:, None] + half) + half * nodes, half * weights


def _checked(name: str, part: str, evaluate: Pointwise, x: np.ndarray) -> np.ndarray:
    """evaluate(x), if it is an array of float64 or integers of x's shape, and finite up to NEAR."""
    wanted = "it must take a float64 array and return one of the same shape"
    try:
        with np.errstate(all="ignore"):
            values = np.asarray(evaluate(x))
    except Exception as error:
        raise NonlinearityError(
            f"{name}: {part} fails on an array ({type(error).__name__}: {error}); {wanted}"
        ) from error
    if values.shape != x.shape:
        raise NonlinearityError(f"{name}: {part} returns shape {values.shape} from {x.shape}; {wanted}")
    if values.dtype.kind not in "iufb" or (values.dtype.kind == "f" and values.dtype.itemsize < 8):
        raise NonlinearityError(f"{name}: {part} returns dtype {values.dtype}; {wanted}")
    bad = ~np.isfinite(values) & (np.abs(x) <= NEAR)
    if bad.any():
        raise NonlinearityError(f"{name}: {part} is not finite at x = {x[bad].flat[0]:g} (got {values[bad].flat[0]})")
    return values.astype(np.float64)
