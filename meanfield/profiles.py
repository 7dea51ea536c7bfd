"""The moments of a nonlinearity along a grid of lengths: the map on which every search for roots begins."""

import functools
import math
from dataclasses import dataclass

import numpy as np

from meanfield.errors import NonlinearityError
from meanfield.gaussian_moments import FIELDS, evaluate, germ
from meanfield.nonlinearity import Nonlinearity

__all__ = ["FAR", "PROFILE_RANGE", "TOP", "UNRESOLVED", "Profile", "far_profile", "growth", "profile"]

PROFILE_RANGE = (1e-12, 1e8)
FAR = (1e10, 1e16, 1e40, 1e150)  # where a root beyond the profile is looked for
PROFILE_POINTS_PER_DECADE = 16


@dataclass(frozen=True, eq=False)
class Profile:
    """Moments along a logarithmic grid of q.

    q : (n,); rows : (5, n) in the order of FIELDS; bounds : (5, n); end : why it ends where it does;
    explodes : that is because E phi^2 or E phi'^2 is infinite, or lost to overflow, at larger q.
    """

    q: np.ndarray
    rows: np.ndarray
    bounds: np.ndarray
    end: str
    explodes: bool

    def row(self, name: str) -> np.ndarray:
        return self.rows[FIELDS.index(name)]

    def bound(self, name: str) -> np.ndarray:
        return self.bounds[FIELDS.index(name)]

    @property
    def searched(self) -> float:
        """The largest q at which a root is looked for."""
        return FAR[-1] if self.end == TOP else float(self.q[-1])


TOP = "no larger q is searched"
INFINITE = "above it E phi^2 or E phi'^2 is infinite, or phi^2 grows beyond double precision within the Gaussian's tail"
UNRESOLVED = "above it phi turns too fast for the integrals; scale x down, and sigma_w and sigma_b up"
SMALL, LARGE = 1e-75, 1e75  # phi'^4 is within double precision


@functools.lru_cache(maxsize=256)
def profile(phi: Nonlinearity) -> Profile:
    """The moments of `phi` for q in [1e-12, 1e8], cut where they stop being finite or resolved to six digits.

    Raises
    ------
    NonlinearityError
        There is no such q, or the squares of phi' are not within double precision.
    """
    _refuse_size(phi)
    low, high = (math.log10(end) for end in PROFILE_RANGE)
    q = np.logspace(low, high, round((high - low) * PROFILE_POINTS_PER_DECADE) + 1)
    parts, end = [], TOP
    for octave in np.split(q, np.flatnonzero(np.diff(np.frexp(np.sqrt(q))[1])) + 1):
        try:
            rows, bounds = evaluate(phi, octave)
        except NonlinearityError:
            end = INFINITE
            break
        finite = np.isfinite(bounds[0] + bounds[1])
        good = finite & _are_resolved(phi, octave, rows, bounds)
        stop = len(octave) if good.all() else int(np.argmin(good))
        parts.append((octave[:stop], rows[:, :stop], bounds[:, :stop]))
        if stop < len(octave):
            end = UNRESOLVED if finite[stop] and _fits(phi, 1e3 * math.sqrt(octave[stop])) else INFINITE
            break
    if not parts or not parts[0][0].size:
        raise NonlinearityError(f"{phi.name}: the search for q ends at q = {PROFILE_RANGE[0]:g} already: {end}")
    q, rows, bounds = (np.concatenate([part[i] for part in parts], axis=-1) for i in range(3))
    return Profile(q, rows, bounds, end, end == INFINITE)


@functools.lru_cache(maxsize=256)
def far_profile(phi: Nonlinearity) -> Profile:
    """The profile of `phi` and, where no moment ends it, a coarse continuation up to q = 1e150."""
    near = profile(phi)
    if near.end != TOP:
        return near
    q = np.concatenate([np.logspace(8, 16, 33)[1:], np.logspace(17, 30, 14), np.logspace(40, 150, 12)])
    rows, bounds = evaluate(phi, q)
    kept = np.isfinite(bounds[:2]).all(axis=0)
    q, rows, bounds = (
        np.concatenate([one, other[..., kept]], axis=-1)
        for one, other in ((near.q, q), (near.rows, rows), (near.bounds, bounds))
    )
    return Profile(q, rows, bounds, near.end, near.explodes)


def _are_resolved(phi: Nonlinearity, q: np.ndarray, rows: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """Where V and mu_1 are known to six digits, or are lost in a tail: below it no search can tell them from 0.

    Lost are both below 1e-20 of what the steepest slope in reach would give, and mu_1 far below V/q: no length is
    critical there.
    """
    x, slopes = _steepest_slopes(phi)
    with np.errstate(over="ignore"):
        least = 1e-20 * slopes[np.searchsorted(x, 64 * np.sqrt(q), side="right") - 1] ** 2
    V, mu_1 = rows[:2]
    known = bounds[:2] <= 1e-6 * np.maximum([V, mu_1], [q * least, np.maximum(least, V / q)])
    return known.all(axis=0) | (rows[:2] == 0).any(axis=0)


def _steepest_slopes(phi: Nonlinearity) -> tuple[np.ndarray, np.ndarray]:
    """Points x and the largest finite |phi'| seen in [-x, x]."""
    x = 2.0 ** np.arange(-20, 60.25, 0.25)
    with np.errstate(all="ignore"):
        slopes = np.abs([phi.derivative(x), phi.derivative(-x)])
    return x, np.maximum.accumulate(np.where(np.isfinite(slopes), slopes, 0.0).max(axis=0))


def _refuse_size(phi: Nonlinearity) -> None:
    x, slopes = _steepest_slopes(phi)
    near, anywhere = max(*map(abs, germ(phi)[1:]), slopes[x <= 1][-1]), slopes[-1]
    if near > LARGE or 0 < anywhere < SMALL:
        raise NonlinearityError(
            f"{phi.name}: phi' is of size {near if near > LARGE else anywhere:.3g}, so the moments leave double "
            "precision; scale phi, and divide sigma_w by the same factor"
        )


def _fits(phi: Nonlinearity, x: float) -> bool:
    """Are phi^2 and phi'^4 finite at x and -x?"""
    both = np.array([x, -x])
    with np.errstate(all="ignore"):
        return bool(np.isfinite(phi.function(both) ** 2 + phi.derivative(both) ** 4).all())


@functools.lru_cache(maxsize=256)
def growth(phi: Nonlinearity) -> float:
    """What E phi^2/q tends to as q grows, or a bound from below: inf if it grows on, 0 if it does not settle."""
    x = 2.0 ** np.array([70.0, 80.0])
    with np.errstate(all="ignore"):
        before, after = (((phi.function(x) / x) ** 2 + (phi.function(-x) / x) ** 2) / 2).tolist()
    if not after >= before * (1 - 1e-9):  # it falls, or is nan
        return 0.0
    return after if after <= before * (1 + 1e-9) else math.inf
