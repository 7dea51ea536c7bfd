"""Edges and point masses of a free product's spectrum."""

import itertools
import math
from dataclasses import dataclass, replace

import numpy as np

from meanfield.freeprob.gaps import SIGNIFICANT, Edge, Gap, Table, gaps_of, log_z_at, same_M
from meanfield.freeprob.laws import Law
from meanfield.freeprob.products import FreeProduct

__all__ = ["Component", "Edge", "log_bottom", "log_top", "point_masses_of", "support"]

NEXT = 1 + 1e-9
NEXT_LOG = 1e-9
MASS_ROUNDING = 1e-15
VANISHED = 1e-9


@dataclass(frozen=True)
class Component:
    """An interval of the continuous spectrum; no lower edge if it reaches down to 0."""

    upper: Edge
    lower: Edge | None

    def shifted(self, log_scale: float) -> "Component":
        """Of the product times exp(log_scale)."""
        upper = replace(self.upper, log_z=self.upper.log_z + log_scale)
        return Component(upper, self.lower and replace(self.lower, log_z=self.lower.log_z + log_scale))


def point_masses_of(product: FreeProduct, mass_at_zero: float = 0.0) -> dict[float, float]:
    """ln of the location to the mass of the point masses of a product, -inf for 0.

    A product of laws has a point mass at a_1 ... a_L, a_l any point mass > 0 of law l, of mass sum_l mass_l - (L - 1),
    where that is positive; at 0, the largest that a law has there. `mass_at_zero` is that of the
    factors.

    References
    ----------
    .. [1] S. Belinschi, The atoms of the free multiplicative convolution of two probability distributions,
       Integral Equations and Operator Theory 46 (2003) 377.
    """
    zero = max([mass_at_zero, *(law.mass_at_zero for law, power in _used(product) if power)])
    found = {-math.inf: zero} if zero > 0 else {}
    heaviest = _heaviest_atoms(product)
    if heaviest is None:
        return found
    place, mass = heaviest
    rounding = MASS_ROUNDING * (1 + float(product.powers.sum()))
    # Of masses whose defects sum to less than 1 all but one exceed 1/2, and so are the heaviest of their law.
    candidates = {place: mass}
    for law, _ in _used(product):
        best = max(_positive_atoms(law))
        for other, location in _positive_atoms(law):
            if location != best[1]:
                candidates[place + math.log(location / best[1])] = mass - (best[0] - other)
    return found | {at: left for at, left in candidates.items() if left > rounding}


def _used(product: FreeProduct) -> list[tuple[Law, float]]:
    return [(law, float(power)) for law, power in zip(product.laws, product.powers, strict=True) if power]


def _positive_atoms(law: Law) -> list[tuple[float, float]]:
    """(mass, location) of the point masses above 0."""
    return [(float(m), float(a)) for a, m in zip(law.locations, law.masses, strict=True) if a > 0]


def _heaviest_atoms(product: FreeProduct) -> tuple[float, float] | None:
    """ln of the product of every law's heaviest atom, and sum_l mass_l - (L - 1); None if a law or factor has none."""
    place, mass = product.log_scale, 1.0
    for factor in product.factors:
        atom = factor.atom()
        if atom is None:
            return None
        mass, place = mass - atom[0], place + atom[1]
    for law, power in _used(product):
        atoms = _positive_atoms(law)
        if not atoms:
            return None
        own, at = max(atoms)
        mass, place = mass - power * (1 - own), place + power * math.log(at)
    return place, mass


def support(product: FreeProduct) -> tuple[Component, ...]:
    """The components of the continuous spectrum, from the top down."""
    if product.is_scaled_law:
        return tuple(_image_of(product, *interval) for interval in reversed(product.laws[0].intervals))
    gaps = [gap for gap in gaps_of(product) if _is_true(product, gap)]
    gaps.sort(key=lambda gap: -gap.sort_key)
    found = []
    for above, below in itertools.zip_longest(gaps, gaps[1:]):
        if above.low is None:
            break
        lower = below.high if below is not None else None
        if lower is None or lower.log_z < above.low.log_z:
            found.append(Component(above.low, lower))
    return tuple(part for component in found for part in _split(product, component))


def _image_of(product: FreeProduct, low: float, high: float) -> Component:
    """An interval of the one law of a scaled law."""
    upper, lower = (Edge(np.array([x]), product.log_scale + math.log(x), "end") if x > 0 else None for x in (high, low))
    assert upper is not None
    return Component(upper, lower)


def _split(product: FreeProduct, component: Component) -> tuple[Component, ...]:
    """Cut where a point mass has just vanished: there the density is infinite as an inverse square root."""
    heaviest = _heaviest_atoms(product) if product.powers.sum() > 1 else None
    if heaviest is None or abs(heaviest[1]) > VANISHED:
        return (component,)
    bottom = -math.inf if component.lower is None else component.lower.log_z
    if not bottom + NEXT_LOG < heaviest[0] < component.upper.log_z - NEXT_LOG:
        return (component,)
    w = np.array([max(_positive_atoms(law))[1] for law in product.laws])
    cut = Edge(w, heaviest[0], "atom")
    return Component(component.upper, cut), Component(cut, component.lower)


def _is_true(product: FreeProduct, gap: Gap) -> bool:
    """False for what looks like a gap below a law's bulk where the law only fades out towards 0.

    A square root edge that is passed before counts as the end of the spectrum all the same, unless 1 + M is rounding.
    """
    if gap.high is None:
        return True
    fading = [(w, law) for w, law in zip(gap.high.w, product.laws, strict=True) if law.intervals and law.bottom == 0]
    if all(w > law.intervals[0][0] for w, law in fading):
        return True
    one_plus_m = product.state(gap.high.w[:, None]).one_plus_m[0] - product.laws[0].mass_at_zero
    return gap.low is None and gap.high.kind == "root" and abs(one_plus_m) >= SIGNIFICANT


def log_top(product: FreeProduct, edge: Edge) -> float:
    """ln of the supremum of the continuous spectrum: its upper `edge`, unless far tails of a law reach higher."""
    tails = [law.intervals and law.top > max(law.intervals[-1][1], *law.locations, 0.0) * NEXT for law in product.laws]
    tops = np.array([law.top for law in product.laws])
    if not any(tail and w < top for tail, w, top in zip(tails, edge.w, tops, strict=True)):
        return edge.log_z
    return math.inf if np.isinf(tops).any() else _image(product, tops, np.nanargmin)


def log_bottom(product: FreeProduct, edge: Edge | None) -> float:
    """ln of the infimum of the continuous spectrum, -inf for 0; `edge` is its lower edge, None if it reaches 0."""
    if edge is None:
        return -math.inf
    tails = [law.intervals and law.bottom * NEXT < law.intervals[0][0] for law in product.laws]
    bottoms = np.array([law.bottom for law in product.laws])
    if not any(tail and w > bottom for tail, w, bottom in zip(tails, edge.w, bottoms, strict=True)):
        return edge.log_z
    return -math.inf if (bottoms == 0).any() else _image(product, bottoms, np.nanargmax)


def _image(product: FreeProduct, places: np.ndarray, first) -> float:
    found = [law.transform(np.array([x + 0j])) for law, x in zip(product.laws, places, strict=True)]
    reference = int(first([t.M[0].real for t in found]))  # nan at a point mass, where M is infinite
    w = places.copy()
    for j, law in enumerate(product.laws):
        if j != reference:
            outside = (places[j], math.inf) if first is np.nanargmin else (-math.inf, places[j])
            w[j] = same_M(Table.of(law, *outside), found[reference])[0]
    return log_z_at(product, w[:, None])
