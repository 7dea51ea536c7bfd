"""Outliers of the Jacobian's spectrum: eigenvalues of J J^T above the bulk, which the free product does not show.

D^l = diag phi'(h^l) depends on W^l through h^l = W^l x^{l-1} + b^l, x^{l-1} = phi(h^{l-1}). Given all signals, W^l is
(h^l - b^l) v_l^T/|x^{l-1}|, v_l = x^{l-1}/|x^{l-1}|, plus a free matrix on the complement of v_l: J is the free product
but for a term of rank one in each layer but the first, whose weights are independent of h^1.
"""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from meanfield.freeprob import FreeProduct, Spectrum, log_top
from meanfield.gaussian_moments import germ
from meanfield.interpolation import chebyshev_nodes, chebyshev_polynomials, to_coefficients
from meanfield.layer_laws import LayerLaws
from meanfield.nonlinearity import Nonlinearity
from meanfield.quadrature import EPS, resolve

__all__ = ["Outliers", "outliers"]

REACH = 8.3  # standard deviations of h, as in the laws of slopes
SAME = 1e-9  # lengths that differ by less are one
SMALLEST = 1e-100  # stands for lengths of 0
FEW = 64  # different lengths that are taken one by one
SEGMENT, SEGMENT_NODES = 2.0, 20  # of ln q, for more of them: the error falls by 3.1 with every node
BEYOND = 2.0  # times M at the edge: how far the other sheet is searched, lambda being stationary in M at the edge
INFINITE = 1e6  # M beside a point mass at the top: within 1e-6 of it nothing is looked for
CLOSEST = 1 + 1e-6  # of w over the largest phi'^2: nearer ones are not resolved by the nodes
PROBE = 1e-6  # change of all lengths that measures what their errors do
BISECTIONS = 50
POLISHING = 1e-6  # of M, around a crossing that is known from elsewhere
NEWTON_STEPS = 60


@dataclass(frozen=True)
class Outliers:
    """Isolated eigenvalues above the bulk.

    Attributes
    ----------
    log_values : tuple of float
        ln lambda, by increasing lambda.
    error : float
        Estimate of their largest error; nan where nothing is known of them: there are none beyond a support that ends
        in far tails of the Gaussian, or moments are beyond float64.
    near : float
        Without outliers: how far from the edge, in ln lambda, the next one lies on the other sheet. Finite networks
        show it like an outlier unless width^(-2/3) is small beside it. inf if there is none.
    """

    log_values: tuple[float, ...] = ()
    error: float = 0.0
    near: float = math.inf


def outliers(layers: LayerLaws, sigma_w: float, sigma_b: float, spectrum: Spectrum, weights: str) -> Outliers:
    """The eigenvalues of J J^T that leave the bulk upwards.

    Parameters
    ----------
    layers : LayerLaws
        Lengths of all layers.
    sigma_w, sigma_b : float
    spectrum : Spectrum
        The bulk.
    weights : "gaussian" or "orthogonal"

    Returns
    -------
    Outliers

    Notes
    -----
    An eigenvector is followed layer by layer: f_l = D^l W^l f_{l-1} on its way up, y_l = D^l W^{l+1 T} y_{l+1} on its
    way down. What the free part of W^l makes of f is c_l y_l plus noise, and of y it is d_l f_{l-1} plus noise: for
    Gaussian weights sigma_w^2 times the trace of the response on the other side [1]_, for a Haar matrix the R-transform
    of its free cumulants takes the place of sigma_w^2 [2]_. All c_l d_l = k depend on M = E x/(lambda - x) of J J^T
    alone, and 1/(c_l d_{l+1}) = w_l with M_l(w_l) = M for the law of phi'(h^l)^2. There remain the parts along the
    signals, r_l = d_l (v_l . f_{l-1})/(u_l . y_l - d_l v_l . f_{l-1}), u = (h^l - b^l)/sqrt(V^{l-1}), V = E phi^2,
    K = w_l/(w_l - phi'^2), all at layer l:

        e_1 = E K phi' u phi/sqrt(V),  e_2 = E K phi'^2 phi^2/(w_l V),  e_3 = E K phi'^2 u^2,
        s_l = [r_l (1 - tau) - tau]/(k w_l),  p_l = 1 + r_l - e_3 s_l,  r_{l+1} = e_2 + e_1^2 s_l/p_l,  s_1 = 0,

    with k = sigma_w^2 M, tau = 0 for Gaussian weights and k = sigma_w^2 M/(1 + M), tau = M/(1 + M) for orthogonal ones.
    They are an elimination of a symmetric tridiagonal system, two pivots a layer with the product -p_l. By inertia as
    many eigenvalues lie above lambda as l = 2..L have p_l < 0 < s_l, less those with p_l < 0 > s_l [3]_. Each layer's
    part grows with the length map, so that the largest outlier grows by alpha^2 a layer where alpha^2 > chi_1.

    References
    ----------
    .. [1] M. Bayati, A. Montanari, arXiv:1001.3448. [2] S. Rangan et al., arXiv:1610.03082. [3] F. Benaych-Georges,
       R. R. Nadakuditi, arXiv:0910.2120: eigenvalues that terms of low rank move out of the bulk.
    """
    if len(layers.lengths) == 1:
        return Outliers()
    at_edge, edge, kind = _upper_end(spectrum)
    chain_of = functools.partial(_Chain.of, layers.phi, sigma_w, sigma_b, spectrum.product, weights, at_edge)
    chain = chain_of(layers.lengths)
    at_edge = min(at_edge, chain.highest)
    number = chain.count(at_edge)
    if number is None or (number <= 0 and kind == "tail"):
        return Outliers(error=math.nan)
    if number <= 0:
        highest = min(BEYOND * at_edge, chain.highest) if kind == "root" else at_edge
        virtual = highest > at_edge and (chain.count(highest) or 0) > 0
        return Outliers(near=chain.log_lambda(chain.crossing(1, at_edge, highest)) - edge if virtual else math.inf)
    places = [chain.crossing(k, 0.0, at_edge) for k in range(number, 0, -1)]
    found = np.array([chain.log_lambda(M) for M in places])
    shadow = _again(chain_of(layers.lengths, partition=1), places)
    moved = _again(chain_of(layers.lengths * (1 + PROBE)), places)
    relative = np.divide(layers.q_errors, layers.q, out=np.zeros_like(layers.q), where=layers.q > 0).max()
    by_length = np.abs(moved - found).max() / PROBE
    error = 2 * np.abs(found - shadow).max() + 2 * by_length * (relative + SAME * chain.merged)
    return Outliers(tuple(found.tolist()), error=float(error + 64 * EPS * len(layers.lengths)))


def _again(chain: "_Chain", places: Sequence[float]) -> np.ndarray:
    """ln lambda of the same outliers by another chain."""
    count = len(places)
    return np.array([chain.log_lambda(chain.crossing_near(count - i, M)) for i, M in enumerate(places)])


def _upper_end(spectrum: Spectrum) -> tuple[float, float, str]:
    """M at the upper end of the spectrum, ln lambda there, and the kind of that end.

    "root" where the density vanishes as one, "atom", "end" where the densities of slopes end, or "tail" where they do
    so for want of reach only: finite networks end before, and may have outliers before.
    """
    if not spectrum.components or spectrum.log_max > spectrum.components[0].upper.log_z:
        return INFINITE, spectrum.log_max, "atom"
    edge = spectrum.components[0].upper
    M = float(spectrum.product.state(edge.w[:, None]).M[0].real)
    tail = edge.kind != "root" and log_top(spectrum.product, edge) > edge.log_z
    return M if 0 < M < INFINITE else INFINITE, edge.log_z, "tail" if tail else edge.kind


@dataclass(frozen=True, eq=False)
class _Nodes:
    """Points of one length q: h, weights of its Gaussian, phi and phi' there, all (n,)."""

    q: float
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
        """phi' h phi/V, phi'^2 phi^2/V, phi'^2 h^2/q and phi'^2, times weights: functions of ln q that vary little."""
        f, g, h = self.function, self.slopes, self.h
        with np.errstate(all="ignore"):  # numbers beyond float64 are noticed by `count`
            integrands = np.array([g * h * f / self.V, (g * f) ** 2 / self.V, (g * h) ** 2 / self.q, self.squares])
        return self.weights * integrands

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
    """The layers of one network.

    nodes : of the lengths at which expectations are taken; at_layers : takes values there, (..., nodes), to all layers;
    q, V, V_before : (depth,) variance of h^l, E phi(h^l)^2 and E phi(h^{l-1})^2, nan for the first layer;
    merged : has a layer its length from another one? uniform : from this layer on all are alike;
    highest : the largest M.
    """

    nodes: tuple[_Nodes, ...]
    at_layers: Callable[[np.ndarray], np.ndarray]
    q: np.ndarray
    V: np.ndarray
    V_before: np.ndarray
    sigma_w: float
    sigma_b: float
    product: FreeProduct
    orthogonal: bool
    merged: bool
    uniform: int
    highest: float

    @classmethod
    def of(
        cls,
        phi: Nonlinearity,
        sigma_w: float,
        sigma_b: float,
        product: FreeProduct,
        weights: str,
        at_edge: float,
        lengths: np.ndarray,
        partition: int = 0,
    ) -> "_Chain":
        q = np.maximum(lengths, SMALLEST)
        distinct, groups = _grouped(q)
        places, at_distinct = _representatives(distinct)
        nodes = tuple(_nodes(phi, float(length), at_edge, partition) for length in places)
        with np.errstate(divide="ignore"):
            V = np.exp(at_distinct(np.log([each.V for each in nodes])))[groups]
        # Of lengths of 0 all that counts is their ratio.
        with np.errstate(over="ignore"):
            V_before = np.where(lengths > SMALLEST, np.concatenate([[math.nan], V[:-1]]), q / sigma_w / sigma_w)
        V_before[0] = math.nan
        changes = np.flatnonzero(np.diff(groups))
        return cls(
            nodes=nodes,
            at_layers=lambda values: at_distinct(values)[..., groups],
            q=q,
            V=V,
            V_before=V_before,
            sigma_w=sigma_w,
            sigma_b=sigma_b,
            product=product,
            orthogonal=weights == "orthogonal",
            merged=bool((distinct[groups] != q).any()),
            uniform=int(changes[-1]) + 2 if changes.size else 1,
            highest=min(each.highest for each in nodes),
        )

    def _places(self, M: float) -> tuple[np.ndarray, np.ndarray]:
        """w at the nodes and in all layers."""
        w = np.array([each.place(M) for each in self.nodes])
        return w, np.exp(self.at_layers(np.log(w)))

    def log_lambda(self, M: float) -> float:
        """ln lambda at M."""
        _, w = self._places(M)
        own = np.log(w).sum() + (1 - len(w)) * math.log1p(1 / M)
        return self.product.log_scale + float(own + sum(f.value(M, 1 + M).real for f in self.product.factors))

    def count(self, M: float) -> int | None:
        """How many eigenvalues lie above lambda; None where numbers are beyond float64."""
        at_nodes, w = self._places(M)
        sums = np.array([each.expectations(place) for each, place in zip(self.nodes, at_nodes, strict=True)])
        tau = M / (1 + M) if self.orthogonal else 0.0
        with np.errstate(all="ignore"):
            gain = self.sigma_w**2 * (tau if self.orthogonal else M) * w
            crossed, kept, images, powers = self.at_layers(sums.T)
            share = self.sigma_w**2 * self.V_before / self.q  # of h^l - b^l in h^l
            e_1_squared = (share * crossed) ** 2 * (self.V / self.V_before)
            e_2 = kept / w
            e_3 = share * (share * images * self.q + self.sigma_b**2 * powers) / self.V_before
        constants = np.array([e_1_squared, e_2, e_3, gain]).T
        if not (np.isfinite(constants[1:]).all() and math.isfinite(e_2[0]) and gain.min() > 0):
            return None
        r, number = float(e_2[0]), 0
        for layer, (first, second, third, k) in enumerate(constants[1:].tolist(), start=1):
            s = (r * (1 - tau) - tau) / k
            pivot = 1 + r - third * s
            signed = 0 if pivot >= 0 else 1 if s > 0 else -1
            number += signed
            following = second + first * s / (pivot or EPS)
            if layer >= self.uniform and abs(following - r) <= EPS * abs(r):
                # What follows repeats this layer.
                return number + (len(constants) - 1 - layer) * signed
            r = following
        return number

    def crossing(self, number: int, low: float, high: float) -> float:
        """Where the count reaches `number` between M = low, where it has not, and high, where it has."""
        if low == 0:
            low = high / 2
            while low > 0 and self._reaches(number, low):
                low, high = low / 2, low
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            if not low < middle < high:
                break
            low, high = (low, middle) if self._reaches(number, middle) else (middle, high)
        return high

    def crossing_near(self, number: int, M: float) -> float:
        """The same around a place that is known from elsewhere."""
        step = POLISHING
        while step < 0.5:
            low, high = M * (1 - step), min(M * (1 + step), self.highest)
            if self._reaches(number, high) and not self._reaches(number, low):
                return self.crossing(number, low, high)
            step *= 30
        return self.highest

    def _reaches(self, number: int, M: float) -> bool:
        return (self.count(M) or 0) >= number


def _grouped(q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Different lengths, and which of them each layer has."""
    ordered = np.unique(q)
    starts = [ordered[0]]
    for length in ordered[1:]:
        if length > starts[-1] * (1 + SAME):
            starts.append(length)
    distinct = np.array(starts)
    return distinct, np.searchsorted(distinct, q, side="right") - 1


def _representatives(q: np.ndarray) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
    """Lengths to take expectations at, and what takes values there, (..., n), to values at increasing q.

    Expectations are smooth in ln q: many lengths are interpolated, segment by segment, from those at Chebyshev nodes.
    """
    t = np.log(q)
    segments = max(1, math.ceil((t[-1] - t[0]) / SEGMENT))
    if len(q) <= max(FEW, segments * SEGMENT_NODES):
        return q, lambda values: values
    half = (t[-1] - t[0]) / segments / 2
    middles = t[0] + half * (2 * np.arange(segments) + 1)
    own = np.minimum(((t - t[0]) / (2 * half)).astype(int), segments - 1)
    to_q = chebyshev_polynomials((t - middles[own]) / half, SEGMENT_NODES) @ to_coefficients(SEGMENT_NODES)

    def interpolated(values: np.ndarray) -> np.ndarray:
        by_segment = values.reshape(*values.shape[:-1], segments, SEGMENT_NODES)
        return np.einsum("...qn,qn->...q", by_segment[..., own, :], to_q)

    return np.exp((middles[:, None] + half * chebyshev_nodes(SEGMENT_NODES)).ravel()), interpolated


def _nodes(phi: Nonlinearity, q: float, M: float, partition: int) -> _Nodes:
    """Points that resolve phi, phi' and 1/(w - phi'^2) at M, in two steps: w is not known before."""

    def kernel(x: np.ndarray) -> list[np.ndarray]:
        return [1 / np.maximum(w - phi.derivative(side) ** 2, (CLOSEST - 1) * w) for side in (x, -x)]

    if q <= SMALLEST:
        value, below, above = germ(phi)
        phi = Nonlinearity(
            name=phi.name,
            function=lambda x: value + np.where(x < 0, below, above) * x,
            derivative=lambda x: np.where(x < 0, below, above),
        )
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
    sides = ((x, -x), (weights, weights), (right, left), (rising, falling))
    return _Nodes(q, *(np.concatenate(pair) for pair in sides))
