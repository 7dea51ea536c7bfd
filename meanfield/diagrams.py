"""Phase diagrams: the fixed point of every cell of a (sigma_w, sigma_b) grid."""

import functools
from dataclasses import dataclass

import numpy as np

from meanfield.arguments import interval, scalar
from meanfield.equilibrium_grids import NUMBERS, Cells, solve_cells
from meanfield.errors import InvalidParameterError
from meanfield.expressions import as_nonlinearity
from meanfield.nonlinearity import Nonlinearity
from meanfield.results import Result
from meanfield.sweeps import sweep

__all__ = ["PhaseDiagram", "phase_diagram"]

# Whole rows of about this many cells are one task: enough that they share interpolants, few enough to share out.
CELLS_OF_A_TASK = 16384


@dataclass(frozen=True, kw_only=True, eq=False)
class PhaseDiagram(Result):
    """The fields of FixedPoint over a grid, as arrays of shape (len(sigma_b), len(sigma_w)).

    Attributes
    ----------
    sigma_w : array (nw,)
    sigma_b : array (nb,)
    q_star, alpha, chi_1, c_star, chi_c, xi_q, xi_c, xi_gradient : array (nb, nw)
        nan where the length is unbounded or the cell failed.
    stable : array of bool
    phase : array of str
        "ordered", "chaotic", "critical", "unbounded", or "" where the cell failed.
    n_fixed_points : array of int
        How many fixed points the length map has, stable or not.
    status : array of int
        Codes of `Status`.
    error : array
        Absolute error bound of q_star.
    errors : dict of arrays
        Bounds of every number.
    """

    sigma_w: np.ndarray
    sigma_b: np.ndarray
    q_star: np.ndarray
    alpha: np.ndarray
    stable: np.ndarray
    chi_1: np.ndarray
    c_star: np.ndarray
    chi_c: np.ndarray
    xi_q: np.ndarray
    xi_c: np.ndarray
    xi_gradient: np.ndarray
    phase: np.ndarray
    n_fixed_points: np.ndarray
    status: np.ndarray
    error: np.ndarray
    errors: dict[str, np.ndarray]


def phase_diagram(phi, sigma_w, sigma_b, *, q0=1.0, executor=None) -> PhaseDiagram:
    """The fixed point that the length reaches from `q0` in every cell of a grid.

    Parameters
    ----------
    phi : str or Nonlinearity
    sigma_w : array (nw,), > 0
    sigma_b : array (nb,), >= 0
    q0 : float, >= 0
        Variance of the first layer's pre-activations.
    executor : concurrent.futures.Executor, optional
        Computes the rows; the numbers do not depend on it.

    Returns
    -------
    PhaseDiagram

    Raises
    ------
    InvalidParameterError
        A parameter is outside its range or not one-dimensional.
    NonlinearityError
        E phi^2 or E phi'^2 is infinite for every q.

    Notes
    -----
    The fixed points and their slopes are those of `fixed_point`, cell by cell, to the same accuracy.

    Examples
    --------
    >>> diagram = phase_diagram("tanh", [0.8, 2.5], [0.3])
    >>> diagram.phase.tolist()
    [['ordered', 'chaotic']]
    """
    nonlinearity = as_nonlinearity(phi)
    columns = interval("sigma_w", sigma_w, low=0.0, open_low=True)
    rows = interval("sigma_b", sigma_b, low=0.0)
    for name, axis in (("sigma_w", columns), ("sigma_b", rows)):
        if axis.ndim > 1:
            raise InvalidParameterError(f"{name} must be one-dimensional, got an array of shape {axis.shape}")
    columns, rows = np.atleast_1d(columns), np.atleast_1d(rows)
    start = scalar("q0", q0, low=0.0)
    strip = max(1, CELLS_OF_A_TASK // columns.size)
    strips = [rows[i : i + strip] for i in range(0, rows.size, strip)]
    solved = sweep(functools.partial(_strip, nonlinearity, columns, start), strips, executor=executor)
    shape = (rows.size, columns.size)
    numbers, bounds = (
        np.concatenate([getattr(cells, name) for cells in solved], axis=1).reshape(-1, *shape)
        for name in ("numbers", "bounds")
    )
    errors: dict[str, np.ndarray] = dict(zip(NUMBERS, bounds, strict=True))
    return PhaseDiagram(
        sigma_w=columns,
        sigma_b=rows,
        **dict(zip(NUMBERS, numbers, strict=True)),
        **{
            name: np.concatenate([getattr(cells, name) for cells in solved]).reshape(shape)
            for name in ("stable", "phase", "status", "n_fixed_points")
        },
        error=errors["q_star"],
        errors=errors,
    )


def _strip(phi: Nonlinearity, sigma_w: np.ndarray, q0: float, sigma_b: np.ndarray) -> Cells:
    across, up = np.meshgrid(sigma_w, sigma_b)
    return solve_cells(phi, across.ravel(), up.ravel(), q0)
