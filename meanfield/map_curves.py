"""The length map and the correlation map as curves, with the orbit that a cobweb diagram follows."""

from dataclasses import dataclass

import numpy as np

from meanfield.arguments import integer, scalar
from meanfield.dual_kernels import correlation
from meanfield.equilibria import fixed_point, fixed_points
from meanfield.errors import NonlinearityError
from meanfield.expressions import as_nonlinearity
from meanfield.maps import c_map, propagate, q_map
from meanfield.results import Result

__all__ = ["MapCurve", "c_map_curve", "q_map_curve"]

POINTS = 257


@dataclass(frozen=True, kw_only=True, eq=False)
class MapCurve(Result):
    """A map y = f(x) of one layer to the next, its fixed points, and an orbit.

    Attributes
    ----------
    quantity : "q" or "c"
        The length or the correlation.
    sigma_w, sigma_b : float
    x, y : array (n,)
        The curve.
    orbit : array (layers,)
        x^1, x^2 = f(x^1), ...
    fixed : array (k,)
        Fixed points, increasing.
    slopes : array (k,)
        Of the map at each; attracting below 1.
    """

    quantity: str
    sigma_w: float
    sigma_b: float
    x: np.ndarray
    y: np.ndarray
    orbit: np.ndarray
    fixed: np.ndarray
    slopes: np.ndarray


def q_map_curve(phi, sigma_w, sigma_b, *, q0=1.0, layers=10) -> MapCurve:
    """The length map from 0 to beyond its fixed points and the orbit of `q0`.

    Parameters
    ----------
    phi : str or Nonlinearity
    sigma_w : float, > 0
    sigma_b : float, >= 0
    q0 : float, >= 0
        Variance of the first layer's pre-activations.
    layers : int, >= 2
        Length of the orbit.

    Returns
    -------
    MapCurve

    Raises
    ------
    InvalidParameterError
        A parameter is outside its range.
    NonlinearityError
        E phi^2 is infinite at a length that is reached.

    Examples
    --------
    >>> q_map_curve("tanh", 2.5, 0.3, layers=20).fixed.round(4)
    array([4.0791])
    """
    nonlinearity = as_nonlinearity(phi)
    followed = propagate(nonlinearity, sigma_w, sigma_b, depth=integer("layers", layers, low=2), q0=q0)
    points = fixed_points(nonlinearity, followed.sigma_w, followed.sigma_b)
    # The whole of a cobweb, were it not that an unbounded orbit would leave nothing of the rest to see.
    seen = [point.q_star for point in points] or [float(followed.q[min(2, layers - 1)])]
    top = 1.4 * max(*seen, float(followed.q[0]), 1e-3)
    x = np.linspace(0.0, top, POINTS)
    return MapCurve(
        quantity="q",
        sigma_w=followed.sigma_w,
        sigma_b=followed.sigma_b,
        x=x,
        y=np.asarray(q_map(nonlinearity, x, followed.sigma_w, followed.sigma_b)),
        orbit=followed.q,
        fixed=np.array([point.q_star for point in points]),
        slopes=np.array([point.alpha for point in points]),
    )


def c_map_curve(phi, sigma_w, sigma_b, *, c0=0.5, q0=1.0, layers=10) -> MapCurve:
    """The correlation map on [0, 1], or [-1, 1] for c0 < 0, at the length that `q0` leads to, and the orbit of `c0`.

    Parameters
    ----------
    phi : str or Nonlinearity
    sigma_w : float, > 0
    sigma_b : float, >= 0
    c0 : float, in [-1, 1]
        Correlation in the first layer.
    q0 : float, > 0
        Start that the length fixed point is reached from.
    layers : int, >= 2

    Returns
    -------
    MapCurve

    Raises
    ------
    InvalidParameterError
        A parameter is outside its range.
    NoFixedPointError
        The length grows without bound, so that there is no single map.
    NonlinearityError
        The length shrinks to 0, where correlations are undefined.

    Examples
    --------
    >>> c_map_curve("tanh", 2.5, 0.3).fixed.round(4)
    array([0.1221, 1.    ])
    """
    nonlinearity = as_nonlinearity(phi)
    start = float(correlation("c0", scalar("c0", c0)))
    point = fixed_point(nonlinearity, sigma_w, sigma_b, q0=q0)
    if point.q_star == 0:
        raise NonlinearityError(f"{nonlinearity.name}: lengths shrink to 0, where correlations are undefined")
    x = np.linspace(-1.0 if start < 0 else 0.0, 1.0, POINTS)
    given = (point.q_star, point.sigma_w, point.sigma_b)
    orbit = np.empty(integer("layers", layers, low=2))
    orbit[0] = start
    for layer in range(1, orbit.size):
        orbit[layer] = c_map(nonlinearity, orbit[layer - 1], *given)
    chaotic = point.c_star < 1
    return MapCurve(
        quantity="c",
        sigma_w=point.sigma_w,
        sigma_b=point.sigma_b,
        x=x,
        y=np.asarray(c_map(nonlinearity, x, *given)),
        orbit=orbit,
        fixed=np.array([point.c_star, 1.0] if chaotic else [1.0]),
        slopes=np.array([point.chi_c, point.chi_1] if chaotic else [point.chi_1]),
    )
