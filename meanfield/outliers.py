"""Outliers of the Jacobian's spectrum: eigenvalues of J J^T above the bulk, which the free product does not show.

D^l = diag phi'(h^l) depends on W^l through h^l = W^l x^{l-1} + b^l, x^{l-1} = phi(h^{l-1}). Given all signals, W^l is
(h^l - b^l) v_l^T/|x^{l-1}|, v_l = x^{l-1}/|x^{l-1}|, plus a free matrix on the complement of v_l: J is the free product
but for a term of rank one in each layer but the first, whose weights are independent of h^1.
"""

import functools
import math
from dataclasses import dataclass

import numpy as np

from meanfield.freeprob import FreeProduct, Spectrum, log_top
from meanfield.layer_laws import LayerLaws
from meanfield.nonlinearity import Nonlinearity
from meanfield.quadrature import EPS, resolve

__all__ = ["Outliers", "outliers"]

REACH = 8.3  # standard deviations of h, as in the laws of slopes
SAME = 1e-9  # lengths that differ by less are one
SMALLEST = 1e-100  # stands for lengths of 0
BEYOND = 2.0  # times M at the edge: how far the other sheet is searched
INFINITE = 1e6  # M beside a point mass at the top
CLOSEST = 1 + 1e-6  # of w over the largest phi'^2
BISECTIONS = 80
NEWTON_STEPS = 60


@dataclass(frozen=True)
class Outliers:
    """Isolated eigenvalues above the bulk.

    Attributes
    ----------
    log_values : tuple of float
        ln lambda, by increasing lambda.
    error : float
        Bound on their errors; nan where nothing is known of them: there are none beyond a support that ends in far
        tails of the Gaussian, or moments are beyond float64.
    near : float
        Without outliers: how far from the edge, in ln lambda, the next one lies on the other sheet. Finite networks
        show it like an outlier unless width^(-2/3) is small beside it. inf if there is none.
    """

    log_values: tuple[float, ...] = ()
    error: float = 0.0
    near: float = math.inf


def outliers(layers: LayerLaws, sigma_w: float, sigma_b: float, spectrum: Spectrum, weights: str) -> Outliers:
    """The eigenvalues of J J^T that leave the bulk upwards.

    Notes
    -----
    An eigenvector's part along v_l and the response of the layers above make a chain of 2 x 2 systems. With
    M = E x/(lambda - x) of J J^T, M_l(w_l) = M for the law of phi'(h^l)^2, K = w_l/(w_l - phi'^2), V = E phi^2 and
    u = (h^l - b^l)/sqrt(V^{l-1}), all at layer l,

        e_1 = E K phi' u phi/sqrt(V),  e_2 = E K phi'^2 phi^2/(w V),  e_3 = E K phi'^2 u^2,
        s_l = [r_l (1 - tau) - tau]/(k w_l),  p_l = 1 + r_l - e_3 s_l,  r_{l+1} = e_2 + e_1^2 s_l/p_l,  s_1 = 0,

    with k = sigma_w^2 M, tau = 0 for Gaussian weights and k = sigma_w^2 M/(1 + M), tau = M/(1 + M) for orthogonal ones.
    There are as many eigenvalues above lambda as negative p_l, l = 2..L, at its M. Behind it: the free part of W^l
    answers what its adjoint has seen by a multiple of it plus noise, for Gaussian weights [1]_ the trace of the
    response on the other side, for a Haar matrix [2]_ the R-transform of its free cumulants; and terms of low rank have
    an eigenvalue where the resolvent between their vectors is singular [3]_.

    References
    ----------
    .. [1] M. Bayati, A. Montanari, arXiv:1001.3448. [2] S. Rangan et al., arXiv:1610.03082. [3] F. Benaych-Georges,
       R. R. Nadakuditi, arXiv:0910.2120.
    """
    depth = len(layers.lengths)
    if depth == 1:
        return Outliers()
    at_edge, edge, kind = _upper_end(spectrum)
    chain_of = functools.partial(_Chain.of, layers, sigma_w, sigma_b, spectrum.product, weights, at_edge)
    chain = chain_of(0)
    at_edge = min(at_edge, chain.highest)
    number = chain.count(at_edge)
    if number < 0 or (number == 0 and kind == "tail"):
        return Outliers(error=math.nan)
    if not number:
        highest = min(BEYOND * at_edge, chain.highest) if kind == "root" else at_edge
        virtual = highest > at_edge and chain.count(highest) > 0
        return Outliers(near=chain.log_lambda(chain.crossing(1, at_edge, highest)) - edge if virtual else math.inf)
    found, shadow = (
        np.array([each.log_lambda(each.crossing(k, 0.0, at_edge)) for k in range(number, 0, -1)])
        for each in (chain, chain_of(1))
    )
    relative = np.max(layers.q_errors / layers.q, where=layers.q > 0, initial=0.0)
    error = 2 * np.abs(found - shadow).max() + 10 * depth * (relative + 32 * EPS) + chain.merged
    return Outliers(tuple(found.tolist()), error=float(error))


def _upper_end(spectrum: Spectrum) -> tuple[float, float, str]:
    """M at the upper end of the spectrum, ln lambda there, and the kind of that end.

    "root" where the density vanishes as one, "atom", "end" where the densities of slopes end, or "tail" where they do
    so for want of reach only: finite networks end before, and may have outliers before.
    """
    atom = max(spectrum.atoms, default=-math.inf)
    if not spectrum.components or atom > spectrum.components[0].upper.log_z:
        return INFINITE, atom, "atom"
    edge = spectrum.components[0].upper
    M = float(spectrum.product.state(edge.w[:, None]).M[0].real)
    tail = edge.kind != "root" and log_top(spectrum.product, edge) > edge.log_z
    return M if 0 < M < INFINITE else INFINITE, edge.log_z, "tail" if tail else edge.kind


@dataclass(frozen=True, eq=False)
class _Nodes:
    """Points of one length: h, weights of its Gaussian, phi and phi' there, all (n,)."""

    h: np.ndarray
    weights: np.ndarray
    function: np.ndarray
    slopes: np.ndarray

    @functools.cached_property
    def squares(self) -> np.ndarray:
        return self.slopes**2

    @functools.cached_property
    def V(self) -> float:
        return float(self.weights @ self.function**2)

    @functools.cached_property
    def integrands(self) -> np.ndarray:
        """What the three expectations are made of: phi' h phi, phi'^2 phi^2, phi'^2 h^2, phi'^2; times weights."""
        f, g, h = self.function, self.slopes, self.h
        return self.weights * np.array([g * h * f, (g * f) ** 2, (g * h) ** 2, self.squares])

    @property
    def highest(self) -> float:
        """M at the smallest w that is used."""
        top = float(self.squares.max())
        return float((self.weights * self.squares) @ (1 / (CLOSEST * top - self.squares)))

    def place(self, M: float) -> float:
        """The w above all phi'^2 with E phi'^2/(w - phi'^2) = M, by Newton's method on 1/M, which stays on one side."""
        mass = self.weights * self.squares
        squares, masses = self._tops
        w = max(float((squares + masses / M).max()), (1 + 4 * EPS) * float(squares[0]))
        for _ in range(NEWTON_STEPS):
            kernel = 1 / (w - self.squares)
            value = float(mass @ kernel)
            step = (value / M - 1) * value / float(mass @ kernel**2)
            w += max(step, 0.0)
            if value <= M * (1 + 8 * EPS):
                break
        return w

    @functools.cached_property
    def _tops(self) -> tuple[np.ndarray, np.ndarray]:
        """phi'^2 in falling order, and E phi'^2 over all that is not less: w > phi'^2 + (its part)/M for each."""
        order = np.argsort(-self.squares)
        return self.squares[order], np.cumsum((self.weights * self.squares)[order])

    def expectations(self, w: float) -> np.ndarray:
        """Of the integrands times w/(w - phi'^2), (4,)."""
        return self.integrands @ (w / (w - self.squares))


@dataclass(frozen=True, eq=False)
class _Chain:
    """The layers of one network, `groups` (depth,) naming the nodes of each.

    share : (depth,) sigma_w^2 V^{l-1}/q^l, what h^l has of h^l - b^l, and V_before : (depth,) V^{l-1}, nan for the
    first layer; V : (depth,);
    merged : what lengths taken as one may be off; uniform : from this layer on all are alike; highest : the largest M.
    """

    nodes: tuple[_Nodes, ...]
    groups: np.ndarray
    share: np.ndarray
    V_before: np.ndarray
    V: np.ndarray
    sigma_w: float
    sigma_b: float
    product: FreeProduct
    orthogonal: bool
    merged: float
    uniform: int
    highest: float

    @classmethod
    def of(cls, layers, sigma_w, sigma_b, product, weights, at_edge, partition) -> "_Chain":
        q = np.maximum(layers.lengths, SMALLEST)
        distinct, groups = _grouped(q)
        nodes = tuple(_nodes(layers.phi, float(length), at_edge, partition) for length in distinct)
        V = np.array([each.V for each in nodes])[groups]
        V_before = np.concatenate([[math.nan], V[:-1]])
        changes = np.flatnonzero(np.diff(groups))
        return cls(
            nodes,
            groups,
            sigma_w**2 * V_before / q,
            V_before,
            V,
            sigma_w,
            sigma_b,
            product,
            weights == "orthogonal",
            10 * float(np.abs(distinct[groups] / q - 1).sum()),
            int(changes[-1]) + 2 if changes.size else 1,
            min(each.highest for each in nodes),
        )

    def log_lambda(self, M: float) -> float:
        """ln lambda at M."""
        w = np.array([each.place(M) for each in self.nodes])[self.groups]
        own = np.log(w).sum() + (1 - len(w)) * math.log1p(1 / M)
        return self.product.log_scale + float(own + sum(f.value(M, 1 + M).real for f in self.product.factors))

    def count(self, M: float) -> int:
        """How many eigenvalues lie above lambda, or -1 where that is not known."""
        w = np.array([each.place(M) for each in self.nodes])
        sums = np.array([each.expectations(place) for each, place in zip(self.nodes, w, strict=True)])
        tau = M / (1 + M) if self.orthogonal else 0.0
        gain = self.sigma_w**2 * (tau if self.orthogonal else M) * w[self.groups]
        with np.errstate(all="ignore"):
            crossed, kept, images, powers = sums[self.groups].T
            e_1_squared = (self.share * crossed) ** 2 / (self.V * self.V_before)
            e_2 = kept / (w[self.groups] * self.V)
            e_3 = self.share * (self.share * images + self.sigma_b**2 * powers) / self.V_before
        constants = np.array([e_1_squared, e_2, e_3, gain]).T
        if not (np.isfinite(constants[1:]).all() and math.isfinite(e_2[0])):
            return -1
        r, number = float(e_2[0]), 0
        for layer, (first, second, third, k) in enumerate(constants[1:].tolist(), start=1):
            s = (r * (1 - tau) - tau) / k
            pivot = 1 + r - third * s
            number += pivot < 0
            following = second + first * s / (pivot or EPS)
            if layer >= self.uniform and abs(following - r) <= EPS * abs(r):
                # What follows repeats this layer.
                return number + (len(constants) - 1 - layer) * (pivot < 0)
            r = following
        return number

    def crossing(self, number: int, low: float, high: float) -> float:
        """Where the count reaches `number` between M = low, where it has not, and high, where it has."""
        if low == 0:
            low = high / 2
            while self.count(low) >= number and low > 0:
                low, high = low / 2, low
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            if not low < middle < high:
                break
            low, high = (low, middle) if self.count(middle) >= number else (middle, high)
        return high


def _grouped(q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Different lengths, and which of them each layer has."""
    ordered = np.unique(q)
    starts = [ordered[0]]
    for length in ordered[1:]:
        if length > starts[-1] * (1 + SAME):
            starts.append(length)
    distinct = np.array(starts)
    return distinct, np.searchsorted(distinct, q, side="right") - 1


def _nodes(phi: Nonlinearity, q: float, M: float, partition: int) -> _Nodes:
    """Points that resolve phi, phi' and 1/(w - phi'^2) at M, in two steps: w is not known before."""

    def kernel(x: np.ndarray) -> list[np.ndarray]:
        return [1 / np.maximum(w - phi.derivative(side) ** 2, (CLOSEST - 1) * w) for side in (x, -x)]

    with np.errstate(all="ignore"):
        first = _resolved(phi, q, lambda x: [], partition)
        w = first.place(min(M, first.highest))
        return _resolved(phi, q, kernel, partition)


def _resolved(phi: Nonlinearity, q: float, further, partition: int) -> _Nodes:
    """Nodes on both half lines, where `further` rows are resolved beside phi and phi'."""
    spread = math.sqrt(q)
    reach = REACH * spread
    breaks = np.abs(phi.breaks_between(-reach, reach))
    grid = reach * 2.0 ** -np.arange(1, 8) * (1.0, 0.83)[partition]
    edges = np.unique(np.concatenate([[0.0, reach], breaks, grid]))

    def rows(x: np.ndarray) -> np.ndarray:
        return np.array([phi.function(x), phi.function(-x), phi.derivative(x), phi.derivative(-x), *further(x)])

    panels = resolve(rows, edges, lambda x: np.exp(-(x**2) / (2 * q)))
    x = panels.x.ravel()
    right, left, rising, falling = panels.values[:4].reshape(4, -1)
    density = np.exp(-(x**2) / (2 * q)) / math.sqrt(2 * math.pi * q)
    weights = panels.w.ravel() * density
    return _Nodes(*(np.concatenate(pair) for pair in ((x, -x), (weights, weights), (right, left), (rising, falling))))
