"""The curve of w above one component of the spectrum, along which z is real: followed from the upper edge.

The component is parametrised by v with ln z analytic in v and of slope 0 at the edges, so that a density with square
root edges is analytic in v: ln z = t - v^2 below an upper edge, or t - (t - t') sin^2(pi v/2) between two edges.
"""

import math
from dataclasses import dataclass

import numpy as np

from meanfield.freeprob.edges import Component, Edge
from meanfield.freeprob.products import FreeProduct, State

__all__ = ["Chart", "Curve", "Lost", "follow"]

TOLERANCE = 1e-9  # of the last Newton step, relative to w; the step after it would be below rounding
STALLED = 1e-5
NEWTON_STEPS = 8
MAX_STEPS = 4000
FIRST_STEP = 1e-3
SMALLEST_STEP = 1e-12
NEGLIGIBLE_MASS = 1e-13
TOLERABLE_MASS = 1e-9
NEGLIGIBLE_DENSITY = 1e-16
LARGEST_V = 1e4  # there ln lambda = -1e8, where heavy tails fall so slowly that 1 + m tells their mass


class Lost(Exception):
    """The curve could not be followed any further."""


@dataclass(frozen=True)
class Chart:
    """ln z as a function of v; `low` is None if the component reaches down to 0, and then v is unbounded."""

    high: float
    low: float | None

    def log_z(self, v: np.ndarray) -> np.ndarray:
        if self.low is None:
            return self.high - v**2
        return self.high - (self.high - self.low) * np.sin(math.pi / 2 * v) ** 2

    def slope(self, v: np.ndarray) -> np.ndarray:
        """-d ln z/dv."""
        if self.low is None:
            return 2 * v
        return (self.high - self.low) * (math.pi / 2) * np.sin(math.pi * v)

    def v(self, log_z: np.ndarray) -> np.ndarray:
        """Inverse of log_z, for values inside the component."""
        below = np.maximum(self.high - log_z, 0.0)
        if self.low is None:
            return np.sqrt(below)
        return np.arcsin(np.sqrt(np.minimum(below / (self.high - self.low), 1.0))) * (2 / math.pi)


@dataclass(frozen=True)
class Curve:
    """Points of the curve, from v = 0 on: v (n,), w and dw/dv (laws, n); rest: about the mass below the last one."""

    product: FreeProduct
    chart: Chart
    v: np.ndarray
    w: np.ndarray
    dw_dv: np.ndarray
    rest: float

    def at(self, v: np.ndarray) -> State:
        """The solved state at v (n,), by Newton's method from cubic interpolation."""
        right = np.clip(np.searchsorted(self.v, v), 1, len(self.v) - 1)
        left = right - 1
        h = self.v[right] - self.v[left]
        s = (v - self.v[left]) / h
        w = (
            (1 + 2 * s) * (1 - s) ** 2 * self.w[:, left]
            + s**2 * (3 - 2 * s) * self.w[:, right]
            + h * s * (1 - s) * ((1 - s) * self.dw_dv[:, left] - s * self.dw_dv[:, right])
        )
        state, converged = corrected(self.product, w, self.chart.log_z(v))
        if not converged.all():
            raise Lost(f"Newton's method fails at ln z = {self.chart.log_z(v[~converged])}")
        return state


def corrected(product: FreeProduct, w: np.ndarray, log_z: np.ndarray) -> tuple[State, np.ndarray]:
    """Newton's method at fixed ln z, and where it converged: to small steps, or to steps that rounding keeps going."""
    state = product.state(w)
    before = np.full(w.shape[1], np.inf)
    done = np.zeros(w.shape[1], dtype=bool)
    for _ in range(NEWTON_STEPS):
        step = product.newton_step(state, log_z)
        size = np.abs(step / state.w).max(axis=0)
        done |= (size <= TOLERANCE) | ((size <= STALLED) & (size >= before / 4))
        before = size
        state = product.state(state.w + np.where(np.isfinite(step), step, 0.0))
        if done.all():
            break
    return state, done & (state.w.imag >= -1e-9 * np.abs(state.w)).all(axis=0)


def follow(product: FreeProduct, component: Component, mass_at_zero: float) -> Curve:
    """The curve above a component, followed until it is back on the axis or the rest of the mass is negligible.

    Raises
    ------
    Lost
        No step is short enough, or too many are taken.
    """
    upper, lower = component.upper, component.lower
    chart = Chart(upper.log_z, None if lower is None else lower.log_z)
    points, v = [upper.w.astype(np.complex128)], [0.0]
    derivatives = [_derivative_at(product, upper, chart)]
    step = FIRST_STEP * (1.0 if lower is not None else math.sqrt(max(1.0, float(product.powers.sum()))))
    rest = math.inf if lower is None else 0.0
    for _ in range(MAX_STEPS):
        here = v[-1] + step
        if lower is not None and here >= 1.0:
            here = 1.0
        guess = _extrapolated(v, points, derivatives, here)
        # At an edge that is no square root w is even in v: there is no slope to extrapolate with.
        tolerated = 0.3 if len(v) > 1 or upper.square_root else 2.0
        if lower is not None and here == 1.0:
            w, derivative = lower.w.astype(np.complex128), -_derivative_at(product, lower, chart)
            state, effort = None, _effort(w, guess, points[-1])
        else:
            state, effort = _corrected_state(product, chart, here, guess, points[-1])
        if not effort <= tolerated:
            step /= 2
            if step >= SMALLEST_STEP * max(v[-1], FIRST_STEP):
                continue
            if rest <= TOLERABLE_MASS and len(v) > 1:
                break
            raise Lost(f"the curve of the spectrum is lost at ln z = {chart.log_z(np.array(v[-1])):.6g}")
        if state is not None:
            w, derivative = state.w[:, 0], _derivative(chart, state, here)
            if lower is None:
                rest = 0.0 if _faded(product, state) else _remainder(state, mass_at_zero)
        step = (here - v[-1]) * (2.0 if effort < 0.02 else 1.3 if effort < 0.1 else 0.7)
        v.append(here)
        points.append(w)
        derivatives.append(derivative)
        if here == 1.0 if lower is not None else rest <= NEGLIGIBLE_MASS or here >= LARGEST_V:
            break
    else:
        raise Lost(f"the curve of the spectrum takes more than {MAX_STEPS} steps")
    return Curve(product, chart, np.array(v), np.array(points).T, np.array(derivatives).T, rest)


def _derivative_at(product: FreeProduct, edge: Edge, chart: Chart) -> np.ndarray:
    """dw/dv at an upper edge, where d ln z = -k dv^2 = curvature dN^2/2; at a lower one it is minus that."""
    if not edge.square_root:
        return np.zeros(len(edge.w), dtype=np.complex128)
    k = 1.0 if chart.low is None else (chart.high - chart.low) * math.pi**2 / 4
    dN_dw = product.state(edge.w[:, None]).dN_dw[:, 0]
    return 1j * math.sqrt(2 * k / abs(product.curvature(edge.w))) / dN_dw


def _derivative(chart: Chart, state: State, v: float) -> np.ndarray:
    return -chart.slope(np.array(v)) / (state.slope[0] * state.dN_dw[:, 0])


def _extrapolated(v: list, points: list, derivatives: list, here: float) -> np.ndarray:
    """w by the cubic through the last two points and slopes."""
    if len(v) < 2:
        return points[-1] + (here - v[-1]) * derivatives[-1]
    h = v[-1] - v[-2]
    s = (here - v[-2]) / h
    return (
        (1 + 2 * s) * (1 - s) ** 2 * points[-2]
        + s**2 * (3 - 2 * s) * points[-1]
        + h * s * (1 - s) * ((1 - s) * derivatives[-2] - s * derivatives[-1])
    )


def _corrected_state(product, chart: Chart, v: float, guess: np.ndarray, previous: np.ndarray):
    """The solved state, and how far the guess was off relative to the step; infinitely far where Newton fails."""
    if not (np.isfinite(guess).all() and (guess.imag > -1e-3 * np.abs(guess)).all()):
        return None, math.inf
    state, converged = corrected(product, guess[:, None], np.array([chart.log_z(np.array(v))]))
    return state, _effort(state.w[:, 0], guess, previous) if converged[0] else math.inf


def _effort(w: np.ndarray, guess: np.ndarray, previous: np.ndarray) -> float:
    moved = np.abs(w - previous)
    return float((np.abs(w - guess) / np.where(moved > 0, moved, 1.0)).max())


def density_of_log(state: State) -> np.ndarray:
    """lambda rho(lambda) = -Im m/pi; taken from 1 + m where that is the smaller, to keep the digits of far tails."""
    small = np.abs(state.one_plus_M) < np.abs(state.M)
    return -np.where(small, state.one_plus_M.imag, state.M.imag) / math.pi


def _faded(product: FreeProduct, state: State) -> bool:
    """Has the curve passed below what the laws hold?"""
    spread = [(w, law.intervals[0][0]) for w, law in zip(state.w[:, 0], product.laws, strict=True) if law.intervals]
    below = bool(spread) and all(w.real < bottom for w, bottom in spread)
    return below and abs(density_of_log(state)[0]) <= NEGLIGIBLE_DENSITY


def _remainder(state: State, mass_at_zero: float) -> float:
    """About the mass in (0, z): 1 + m less the mass at 0 is E z/(z - X) over X > 0."""
    return float(abs(state.one_plus_M[0] - mass_at_zero))
