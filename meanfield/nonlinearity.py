"""The Nonlinearity: numpy phi and phi', its kinks, and optional closed forms of its Gaussian moments."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from meanfield.errors import NonlinearityError

__all__ = ["ClosedForm", "ClosedForms", "Nonlinearity", "probe"]

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
            A function is not callable, changes the shape, or gives values that are not real and finite
            on a first probe; the derivative disagrees with the function; the function is constant or jumps.
        """
        title = name if name is not None else getattr(function, "__name__", "callable")
        if not callable(function) or not callable(derivative):
            raise NonlinearityError(f"{title}: function and derivative must be callable")
        places = kinks if callable(kinks) else tuple(sorted(float(k) for k in kinks))
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

        return nonlinearity_from_sympy(expression, name=name)


_PROBE_EDGES = np.concatenate([-np.geomspace(8.0, 0.25, 6), [0.0], np.geomspace(0.25, 8.0, 6)])


def probe(phi: Nonlinearity) -> None:
    """Refuse a phi that is not real and finite on [-8, 8], changes the shape, is constant, or is no integral of phi'.

    The last rule, phi(b) - phi(a) = int_a^b phi', finds wrong derivatives and jumps alike.

    Raises
    ------
    NonlinearityError
        Names the nonlinearity and the point or interval.
    """
    nodes, weights = np.polynomial.legendre.leggauss(32)
    edges = np.unique(np.concatenate([_PROBE_EDGES, phi.kinks_between(-8.0, 8.0)[:1000]]))
    half = np.diff(edges)[:, None] / 2
    inner = (edges[:-1, None] + half) + half * nodes
    values, slopes, ends = (
        _checked(phi.name, part, evaluate, x)
        for part, evaluate, x in (
            ("phi", phi.function, inner),
            ("phi'", phi.derivative, inner),
            ("phi", phi.function, edges),
        )
    )
    if np.ptp(np.concatenate([values.ravel(), ends])) == 0.0:
        raise NonlinearityError(f"{phi.name}: phi is constant ({values.flat[0]:g}), so no signal passes")
    rise = np.diff(ends)
    area = (half * weights * slopes).sum(axis=1)
    # Loose enough for kinks that were not declared, tight enough for a wrong formula or a jump.
    scale = np.maximum(np.abs(rise), (half * weights * np.abs(slopes)).sum(axis=1))
    wrong = np.abs(rise - area) > 0.1 * scale + 1e-12 * np.abs(ends).max()
    if wrong.any():
        k = int(np.argmax(wrong))
        raise NonlinearityError(
            f"{phi.name}: phi rises by {rise[k]:.6g} on [{edges[k]:g}, {edges[k + 1]:g}] but the derivative integrates "
            f"to {area[k]:.6g}; the derivative is wrong, or phi jumps there"
        )


def _checked(name: str, part: str, evaluate: Pointwise, x: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        values = np.asarray(evaluate(x))
    if values.shape != x.shape:
        raise NonlinearityError(f"{name}: {part} must keep the shape, got {values.shape} from {x.shape}")
    if values.dtype.kind not in "iufb":
        raise NonlinearityError(f"{name}: {part} must be real, got dtype {values.dtype}")
    bad = ~np.isfinite(values)
    if bad.any():
        raise NonlinearityError(f"{name}: {part} is not finite at x = {x[bad].flat[0]:g} (got {values[bad].flat[0]})")
    return values.astype(np.float64)
