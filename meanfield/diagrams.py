"""Phase diagrams: the fixed point of every cell of a (sigma_w, sigma_b) grid."""

import functools
from dataclasses import dataclass

import numpy as np

from meanfield.arguments import interval, scalar
from meanfield.equilibrium_grids import NUMBERS, solve_cells
from meanfield.errors import InvalidParameterError
from meanfield.expressions import as_nonlinearity
from meanfield.memory import refuse_memory
from meanfield.nonlinearity import Nonlinearity
from meanfield.results import Result
from meanfield.store import Store, checked_folder, identity
from meanfield.sweeps import sweep

__all__ = ["PhaseDiagram", "phase_diagram", "predicted_cost"]

# Whole rows of about this many cells are one task: enough that they share interpolants, few enough to share out.
CELLS_OF_A_TASK = 16384
# Measured with tanh; nonlinearities with kinks take longer to start.
BYTES_OF_A_PROCESS, BYTES_OF_A_CELL = 200_000_000, 500
SECONDS_TO_START, SECONDS_OF_A_CELL = 3.0, 3e-5


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


def phase_diagram(
    phi, sigma_w, sigma_b, *, q0=1.0, executor=None, folder=None, resume=False, max_memory=None
) -> PhaseDiagram:
    """The fixed point that the length reaches from `q0` in every cell of a grid.

    Parameters
    ----------
    phi : str or Nonlinearity
    sigma_w : array (nw,), > 0
    sigma_b : array (nb,), >= 0
    q0 : float, >= 0
        Variance of the first layer's pre-activations.
    executor : concurrent.futures.Executor, optional
        Computes strips of rows; the numbers do not depend on it.
    folder : path, optional
        Where finished strips are kept, one file each, so that a run that ends early can go on.
    resume : bool
        Use what the folder holds of this very diagram. Without it such a folder is refused.
    max_memory : int, optional
        Bytes; a diagram that needs more is refused.

    Returns
    -------
    PhaseDiagram

    Raises
    ------
    InvalidParameterError
        A parameter is outside its range or not one-dimensional; the folder holds something else; too little memory.
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
    columns = _axis("sigma_w", sigma_w, open_low=True)
    rows = _axis("sigma_b", sigma_b, open_low=False)
    start = scalar("q0", q0, low=0.0)
    needed, _ = predicted_cost(columns.size * rows.size)
    refuse_memory(needed, max_memory, "this diagram")
    height = max(1, CELLS_OF_A_TASK // columns.size)
    strips = [rows[i : i + height] for i in range(0, rows.size, height)]
    store, place = None, checked_folder(folder, resume)
    if place is not None:
        parameters = {"phi": identity(nonlinearity), "sigma_w": columns, "sigma_b": rows, "q0": start}
        store = Store(place, function="phase_diagram", parameters={**parameters, "rows": height}, resume=resume)
    solved = sweep(functools.partial(_strip, nonlinearity, columns, start), strips, executor=executor, store=store)
    return _joined(columns, rows, solved)


def predicted_cost(cells: int) -> tuple[int, float]:
    """Bytes that a diagram of so many cells takes, and seconds on one core; in each worker process as many bytes."""
    return BYTES_OF_A_PROCESS + BYTES_OF_A_CELL * cells, SECONDS_TO_START + SECONDS_OF_A_CELL * cells


def _axis(name: str, value, *, open_low: bool) -> np.ndarray:
    axis = interval(name, value, low=0.0, open_low=open_low)
    if axis.ndim > 1:
        raise InvalidParameterError(f"{name} must be one-dimensional, got an array of shape {axis.shape}")
    return np.atleast_1d(axis)


def _strip(phi: Nonlinearity, sigma_w: np.ndarray, q0: float, sigma_b: np.ndarray) -> dict[str, np.ndarray]:
    across, up = np.meshgrid(sigma_w, sigma_b)
    return vars(solve_cells(phi, across.ravel(), up.ravel(), q0))


def _joined(columns: np.ndarray, rows: np.ndarray, solved: list[dict[str, np.ndarray]]) -> PhaseDiagram:
    shape = (rows.size, columns.size)
    cells = {name: np.concatenate([part[name] for part in solved], axis=-1) for name in solved[0]}
    numbers, bounds = (cells.pop(name).reshape(-1, *shape) for name in ("numbers", "bounds"))
    errors: dict[str, np.ndarray] = dict(zip(NUMBERS, bounds, strict=True))
    return PhaseDiagram(
        sigma_w=columns,
        sigma_b=rows,
        **dict(zip(NUMBERS, numbers, strict=True)),
        **{name: values.reshape(shape) for name, values in cells.items()},
        error=errors["q_star"],
        errors=errors,
    )
