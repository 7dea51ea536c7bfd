"""The curve of w above one component of the spectrum, along which z is real: followed from the upper edge.

The component is parametrised by v with ln z analytic in v and of slope 0 at the edges, so that a density with square
root edges is analytic in v: ln z = t - v^2 below an upper edge, or t - (t - t') sin^2(pi v/2) between two edges.
"""

import cmath
import math
from dataclasses import dataclass

import numpy as np

from meanfield.freeprob.edges import Component, Edge
from meanfield.freeprob.factors import ComplexArray
from meanfield.freeprob.products import FreeProduct, State
from meanfield.quadrature import EPS

__all__ = ["Chart", "Curve", "LostError", "Tail", "density_of_log", "follow"]

TOLERANCE = 1e-9  # of the last Newton step, relative to w; the step after it would be below rounding
STALLED = 1e-5
NEAR_ATOM = 1e-4
BACKWARD = 1e-13
NEWTON_STEPS = 20
MAX_STEPS = 4000
FIRST_STEP = 1e-3
SMALLEST_STEP = 1e-12
LONGEST_STEP = 8.0  # of ln w
NEGLIGIBLE_MASS = 1e-13
LARGEST_RATE = 0.9  # below the bulk 1 + m falls like z, and its imaginary part is rounding
SIMPLE_MASS = 1e-10
CLEAR = 1e-3  # relative error of a tail whose slope is known
TOLERABLE_ERROR = 1e-8
NEGLIGIBLE_DENSITY = 1e-16
SMALLEST_LOG_W = -322.0  # the inverse square of w is still a number
LARGEST_LOG_W = 340.0
LARGEST_V = 1e4  # there ln lambda = -1e8, where heavy tails fall so slowly that 1 + m tells their mass


class LostError(Exception):
    """The curve could not be followed at `v`."""

    def __init__(self, message: str, v: float) -> None:
        super().__init__(message)
        self.v = v


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
class Tail:
    """Mass below the last point of a curve, falling with t = ln lambda like exp(rate t); a bound on its error."""

    mass: float
    rate: float
    error: float = 0.0

    @property
    def is_simple(self) -> bool:
        """Is it so small that nothing is lost by taking it for an exponential?"""
        return self.mass <= SIMPLE_MASS and self.error <= NEGLIGIBLE_MASS


NO_TAIL = Tail(0.0, 0.0)
UNKNOWN_TAIL = Tail(math.inf, 0.0, math.inf)


@dataclass(frozen=True)
class Curve:
    """Points of the curve, from v = 0 on.

    v (n,); ln w and its slopes (laws, n); tails : what lies below each point, of infinite mass where that is not known.
    """

    product: FreeProduct
    chart: Chart
    v: np.ndarray
    log_w: ComplexArray
    slopes: ComplexArray
    tails: tuple[Tail, ...]

    @property
    def tail(self) -> Tail:
        return self.tails[-1]

    def cut_before(self, v: float) -> "Curve":
        """The curve as far as the last point above v with a known tail, for the noise below it to be left out.

        Raises
        ------
        LostError
            More than a tail lies below.
        """
        count = int(np.searchsorted(self.v, v))
        while count and not self.tails[count - 1].error <= TOLERABLE_ERROR:
            count -= 1
        if count < 3:
            raise LostError(f"the curve of the spectrum is lost at ln z = {self.chart.log_z(self.v[-1]):.6g}", v)
        keep = slice(0, count)
        return Curve(
            self.product, self.chart, self.v[keep], self.log_w[:, keep], self.slopes[:, keep], self.tails[keep]
        )

    def guess(self, v: np.ndarray) -> ComplexArray:
        """ln w (laws, n) near v (n,), by cubic interpolation."""
        right = np.clip(np.searchsorted(self.v, v), 1, len(self.v) - 1)
        left = right - 1
        return _cubic(
            v,
            (self.v[left], self.v[right]),
            (self.log_w[:, left], self.log_w[:, right]),
            (self.slopes[:, left], self.slopes[:, right]),
        )

    def at(self, v: np.ndarray, guess: ComplexArray) -> State:
        """The solved state at v (n,), by Newton's method from a guess of ln w."""
        state, converged = corrected(self.product, np.exp(guess), self.chart.log_z(v))
        if not converged.all():
            first = float(v[~converged].min())
            raise LostError(f"Newton's method fails at ln z = {self.chart.log_z(np.array(first)):.6g}", first)
        return state


def corrected(product: FreeProduct, w: ComplexArray, log_z: np.ndarray) -> tuple[State, np.ndarray]:
    """Newton's method at fixed ln z, and where it converged: to small steps, or to steps that rounding keeps going."""
    state = product.state(w)
    moving, open_ = state, np.arange(w.shape[1])
    before = np.full(open_.shape, np.nan)
    converged = np.zeros(open_.shape, dtype=bool)
    for _ in range(NEWTON_STEPS):
        step = product.newton_step(moving, log_z[open_])
        # Next to a point mass, where N vanishes, the step has to be small beside the distance from it.
        near = np.where(np.abs(moving.N) < NEAR_ATOM, np.abs(moving.N_slope / moving.N), 0.0)
        size = (np.abs(step) * np.maximum(1 / np.abs(moving.w), near)).max(axis=0)
        # Sizes square from step to step: the third criterion is on the next one.
        done = (size <= TOLERANCE) | ((size <= STALLED) & (size >= before / 4)) | (size**3 <= EPS * before**2)
        # In ln w, for far down a step may be of the size of w.
        relative = np.where(np.isfinite(step), step / moving.w, 0.0)
        moving = product.state(moving.w * np.exp(relative / np.maximum(1.0, np.abs(relative))))
        converged[open_[done]] = True
        if done.all():
            break
        if done.any():
            state.put(open_, moving)
            moving, open_, size = moving.at(~done), open_[~done], size[~done]
        before = size
    if moving.w.shape == state.w.shape:
        state = moving
    else:
        state.put(open_, moving)
    # Next to an edge no step is small, but ln z may be right all the same.
    off = np.abs(log_z - state.log_z - state.mismatch)
    converged |= off <= BACKWARD * (1 + product.powers.sum())
    return state, converged & (state.w.imag >= -1e-7 * np.abs(state.w)).all(axis=0)


def follow(product: FreeProduct, component: Component, mass_at_zero: float) -> Curve:
    """The curve above a component, followed until it is back on the axis or the rest of the mass is negligible.

    Raises
    ------
    LostError
        No step is short enough, or too many are taken.
    """
    walk = _Walk(product, component)
    step = FIRST_STEP if walk.chart.low is not None else FIRST_STEP * math.sqrt(max(1.0, float(product.powers.sum())))
    tails = [UNKNOWN_TAIL]
    for _ in range(MAX_STEPS):
        here = min(walk.v[-1] + step, walk.end)
        point, slope, state, effort = walk.attempt(here)
        # At an edge that is no square root, or hardly one, there is no slope to extrapolate with.
        if not effort <= (0.3 if len(walk.v) > 1 else 2.0):
            step /= 2
            if step >= SMALLEST_STEP * max(walk.v[-1], FIRST_STEP):
                continue
            if _is_below_bulk(product, np.exp(walk.points[-1])):
                tails[-1] = NO_TAIL
            break
        step = (here - walk.v[-1]) * (2.0 if effort < 0.02 else 1.3 if effort < 0.1 else 0.7)
        moved = max(float(np.abs(point - walk.points[-1]).max()), EPS)
        step = min(step, (here - walk.v[-1]) * LONGEST_STEP / moved)
        walk.append(here, point, slope, effort)
        tails.append(NO_TAIL if state is None or _has_faded(product, state) else _tail(state, mass_at_zero))
        if here == walk.end:
            break
        if walk.chart.low is not None:
            tails[-1] = UNKNOWN_TAIL
        elif tails[-1].is_simple or here >= LARGEST_V or point.real.min() <= SMALLEST_LOG_W:
            break
    else:
        raise LostError(f"the curve of the spectrum takes more than {MAX_STEPS} steps", walk.v[-1])
    points, slopes = np.array(walk.points).T, np.array(walk.slopes).T
    curve = Curve(product, walk.chart, np.array(walk.v), points, slopes, tuple(tails))
    return curve if walk.v[-1] == walk.end or here >= LARGEST_V else curve.cut_before(math.inf)


class _Walk:
    """Steps along the curve above a component: cubic extrapolation of ln w, then Newton's method."""

    def __init__(self, product: FreeProduct, component: Component) -> None:
        self.product = product
        self.component = component
        lower = component.lower
        self.chart = Chart(component.upper.log_z, None if lower is None else lower.log_z)
        self.end = math.inf if lower is None else 1.0
        self.v = [0.0]
        self.points = [np.log(component.upper.w.astype(np.complex128))]
        self.slopes = [self._slope_at(component.upper)]

    @property
    def log_z(self) -> float:
        return float(self.chart.log_z(np.array(self.v[-1])))

    def attempt(self, here: float) -> tuple[ComplexArray, ComplexArray, State | None, float]:
        """ln w and its slope at v = here, the state unless that is the end, and how far it is from the extrapolation.

        The distance is relative to the step, infinite where Newton's method fails.
        """
        guess = self._extrapolated(here)
        lower = self.component.lower
        if lower is not None and here == self.end:
            point: ComplexArray = np.log(lower.w.astype(np.complex128))
            slope = -self._slope_at(lower)
            if lower.kind == "atom":
                slope = (point - self.points[-1]) / (here - self.v[-1])
            return point, slope, None, self._effort(point, guess)
        if not (np.isfinite(guess).all() and (guess.imag > -1e-3).all() and np.abs(guess.real).max() < LARGEST_LOG_W):
            return guess, guess, None, math.inf
        state, converged = corrected(self.product, np.exp(guess[:, None]), self.chart.log_z(np.array([here])))
        point = np.log(state.w[:, 0])
        slope = -self.chart.slope(np.array(here)) / (state.slope[0] * state.N_slope[:, 0] * state.w[:, 0])
        return point, slope, state, self._effort(point, guess) if converged[0] else math.inf

    def append(self, here: float, point: ComplexArray, slope: ComplexArray, effort: float) -> None:
        if len(self.v) == 1 and effort > 0.1 and self.component.upper.kind != "end":
            self.slopes[0] = (point - self.points[0]) / here
        self.v.append(here)
        self.points.append(point)
        self.slopes.append(slope)

    def _extrapolated(self, here: float) -> ComplexArray:
        if len(self.v) > 1:
            return _cubic(here, self.v[-2:], self.points[-2:], self.slopes[-2:])
        return self.points[0] + here * (1j if self.component.upper.kind == "atom" else self.slopes[0])

    def _slope_at(self, edge: Edge) -> ComplexArray:
        """d ln w/dv at an upper edge, where d ln z = -k dv^2 = curvature dN^2/2; at a lower one it is minus that."""
        if edge.kind != "root":
            return np.zeros(len(edge.w), dtype=np.complex128)
        k = 1.0 if self.chart.low is None else (self.chart.high - self.chart.low) * math.pi**2 / 4
        N_slope = self.product.state(edge.w[:, None]).N_slope[:, 0]
        return 1j * math.sqrt(2 * k / abs(self.product.curvature(edge.w))) / (N_slope * edge.w)

    def _effort(self, point: ComplexArray, guess: ComplexArray) -> float:
        moved = np.abs(point - self.points[-1])
        return float((np.abs(point - guess) / np.where(moved > 0, moved, 1.0)).max())


def _cubic(v, ends, points, slopes):
    """The cubic with the given values and slopes at two ends; also outside of them."""
    h = ends[1] - ends[0]
    s = (v - ends[0]) / h
    return (
        (1 + 2 * s) * (1 - s) ** 2 * points[0]
        + s**2 * (3 - 2 * s) * points[1]
        + h * s * (1 - s) * ((1 - s) * slopes[0] - s * slopes[1])
    )


def density_of_log(state: State) -> np.ndarray:
    """lambda rho(lambda) = -Im m/pi; taken from 1 + m where that is the smaller, to keep the digits of far tails."""
    small = np.abs(state.one_plus_m) < np.abs(state.M)
    return -np.where(small, state.one_plus_m.imag, state.M.imag) / math.pi


def _has_faded(product: FreeProduct, state: State) -> bool:
    """Has the curve passed below what the laws hold?"""
    spread = [(w, law.intervals[0][0]) for w, law in zip(state.w[:, 0], product.laws, strict=True) if law.intervals]
    below = bool(spread) and all(w.real < bottom for w, bottom in spread)
    return below and abs(density_of_log(state)[0]) <= NEGLIGIBLE_DENSITY


def _is_below_bulk(product: FreeProduct, w: ComplexArray) -> bool:
    """Is there next to no mass of the laws below w?"""
    return all(
        law.distribution is not None
        and 0 < x < law.intervals[-1][1]
        and law.distribution.cdf_of_log(np.log([x]))[0] <= NEGLIGIBLE_MASS
        for x, law in zip(w.real, product.laws, strict=True)
    )


def _tail(state: State, mass_at_zero: float) -> Tail:
    """Mass F in (0, z) and its logarithmic slope, by the better of two expansions of 1 + m less the mass at 0.

    That is F - i pi F' - (pi^2/3) F'' + ... for a mass that falls slowly with t = ln z; it is
    F pi r (cot(pi r) - i), of argument -pi r, for F proportional to exp(r t), as at a hard edge at 0.
    """
    left = state.one_plus_m[0] - mass_at_zero
    if left == 0:
        return NO_TAIL
    dm_dt = -(state.M[0] ** 2) / state.slope[0]
    found = [UNKNOWN_TAIL]
    mass, density = float(left.real - math.pi / 3 * dm_dt.imag), max(0.0, -left.imag / math.pi)
    # In the midst of the spectrum the expansion says nothing, and its sum may be any number.
    if 0 < mass < 1:
        # The first term left out is 7 pi^4/45 times the fourth derivative.
        found.append(Tail(mass, density / mass, 15.2 * (density / mass) ** 4 * mass))
    rate = -cmath.phase(left) / math.pi
    if 0 < rate < LARGEST_RATE:
        off = abs(dm_dt / left - rate)
        found.append(Tail(density / rate, rate, off * density / rate))
    best = min(found, key=lambda tail: tail.error)
    # What is both negligible and of no clear slope is rounding.
    negligible = abs(left) <= NEGLIGIBLE_MASS and not best.error < CLEAR * best.mass
    return NO_TAIL if negligible else best
