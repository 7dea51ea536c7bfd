"""phase_diagram: cells as accurate as the solver of one point, regions of the right kinds, the same bits always."""

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import meanfield as mf
from meanfield import diagrams
from meanfield.equilibrium_grids import NUMBERS

CUSTOM = "sin(x)/(1+abs(x))"
WINDOWS = {
    "tanh": ((0.4, 3.5), (0.0, 1.2)),
    "relu": ((0.4, 2.0), (0.0, 1.0)),
    "gelu": ((0.8, 2.4), (0.0, 0.9)),
    "silu": ((0.8, 2.4), (0.0, 1.2)),
    "sigmoid": ((0.5, 16.0), (0.0, 3.0)),
    "sin": ((0.4, 3.0), (0.0, 1.2)),
    "hard_tanh": ((0.4, 3.0), (0.0, 1.2)),
    CUSTOM: ((0.4, 2.2), (0.0, 0.4)),
}
_DIAGRAMS = {}


def diagram_of(phi):
    if phi not in _DIAGRAMS:
        across, up = WINDOWS[phi]
        _DIAGRAMS[phi] = mf.phase_diagram(phi, np.linspace(*across, 25), np.linspace(*up, 9))
    return _DIAGRAMS[phi]


def agrees(diagram, row, column, point):
    for name in NUMBERS:
        ours, theirs = float(getattr(diagram, name)[row, column]), getattr(point, name)
        bound = diagram.errors[name][row, column] + point.errors[name]
        if math.isnan(theirs) or math.isinf(theirs):
            assert ours == theirs or (math.isnan(ours) and math.isnan(theirs)), name
        elif math.isfinite(bound):
            assert abs(ours - theirs) <= bound, f"{name}: {ours!r} {theirs!r} {bound:.1e}"


@pytest.mark.parametrize("phi", WINDOWS)
def test_random_cells_are_those_of_the_single_point_solver(phi):
    diagram = diagram_of(phi)
    rng = np.random.default_rng(5)
    cells = [(int(rng.integers(9)), int(rng.integers(25))) for _ in range(12)] + [(0, int(rng.integers(25)))]
    for row, column in cells:
        where = diagram.sigma_w[column], diagram.sigma_b[row]
        assert diagram.n_fixed_points[row, column] == len(mf.fixed_points(phi, *where))
        try:
            point = mf.fixed_point(phi, *where)
        except mf.NoFixedPointError:
            assert diagram.phase[row, column] == "unbounded"
            assert diagram.status[row, column] == mf.Status.UNBOUNDED
            assert np.isnan([getattr(diagram, name)[row, column] for name in NUMBERS]).all()
            continue
        assert diagram.phase[row, column] == point.phase
        assert diagram.stable[row, column] == point.stable
        assert diagram.status[row, column] == point.status
        agrees(diagram, row, column, point)


@pytest.mark.parametrize("phi", WINDOWS)
def test_bounds_are_small_where_nothing_is_marginal(phi):
    diagram = diagram_of(phi)
    clear = np.isfinite(diagram.q_star) & (np.abs(1 - diagram.alpha) > 0.05) & (np.abs(1 - diagram.chi_1) > 0.05)
    assert (diagram.error <= 1e-12 * diagram.q_star)[clear].all()
    assert diagram.errors["chi_1"][clear].max() <= 1e-12
    correlated = clear & (diagram.q_star > 0)
    for name in ("c_star", "chi_c"):
        assert diagram.errors[name][correlated].max() <= 1e-10


def test_literature_values():
    """Poole et al., arXiv:1606.05340: tanh at sigma_b = 0.3."""
    diagram = mf.phase_diagram("tanh", [2.5, 4.0], [0.3])
    assert np.abs(diagram.q_star - [4.0791, 12.604]).max() <= 1e-3
    assert np.abs(diagram.chi_1 - [1.5852, 2.3673]).max() <= 1e-4
    assert np.abs(diagram.c_star - [0.1221, 0.0297]).max() <= 1e-4


def test_tanh_orders_below_its_line_and_is_chaotic_above():
    diagram = diagram_of("tanh")
    for row, sigma_b in enumerate(diagram.sigma_b):
        critical = mf.critical_point("tanh", sigma_b=sigma_b).sigma_w
        assert ((diagram.phase[row] == "chaotic") == (diagram.sigma_w > critical)).all()
    assert (diagram.n_fixed_points[1:] == 1).all()
    assert (diagram.n_fixed_points[0] == np.where(diagram.sigma_w > 1, 2, 1)).all()


def test_relu_is_ordered_up_to_its_point_and_unbounded_beyond():
    diagram = diagram_of("relu")
    bounded = diagram.sigma_w < math.sqrt(2)
    assert (diagram.phase[1:] == np.where(bounded, "ordered", "unbounded")).all()
    exact = diagram.sigma_b[1:, None] ** 2 / (1 - diagram.sigma_w[bounded] ** 2 / 2)
    assert (np.abs(diagram.q_star[1:, bounded] - exact) <= diagram.error[1:, bounded] + 1e-15 * exact).all()
    marginal = mf.phase_diagram("relu", [np.sqrt(2)], [0.0], q0=3.0)
    assert marginal.phase.item() == "critical"
    assert marginal.q_star.item() == 3.0
    assert marginal.status.item() == mf.Status.EVERY_Q_FIXED


@pytest.mark.parametrize(("phi", "onset"), [("gelu", 0.416), ("silu", 0.745)])
def test_bistable_wedges(phi, onset):
    """Below the onset two fixed points, the upper one repelling; q0 decides; the wedge ends in unbounded growth."""
    diagram = diagram_of(phi)
    low = (diagram.sigma_b > 0.05) & (diagram.sigma_b < onset - 0.05)
    assert (diagram.n_fixed_points[low] == 2).any()
    assert set(np.unique(diagram.phase[low])) == {"ordered", "unbounded"}
    row, column = np.argwhere((diagram.n_fixed_points == 2) & (diagram.phase == "unbounded") & low[:, None])[0]
    smaller = mf.phase_diagram(phi, diagram.sigma_w[[column]], diagram.sigma_b[[row]], q0=1e-3)
    assert smaller.phase.item() == "ordered"
    upper = mf.fixed_points(phi, diagram.sigma_w[column], diagram.sigma_b[row])[-1]
    assert not upper.stable
    for q0, phase in ((0.99 * upper.q_star, "ordered"), (1.01 * upper.q_star, "unbounded")):
        cell = mf.phase_diagram(phi, diagram.sigma_w[[column]], diagram.sigma_b[[row]], q0=q0)
        assert cell.phase.item() == phase


def test_sigmoid_is_chaotic_only_beyond_its_high_line():
    diagram = diagram_of("sigmoid")
    chaotic = diagram.phase == "chaotic"
    assert chaotic.any()
    assert diagram.sigma_w[np.nonzero(chaotic)[1]].min() > 10


def test_fold_pairs_between_grid_points_are_counted():
    """Close below the fold two fixed points lie within a fraction of a profile step; above it there is none."""
    sigma_b = 0.2
    low, high = 1.0, 3.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if mf.fixed_points("silu", middle, sigma_b) else (low, middle)
    near = low * (1 - np.array([1e-9, 1e-7, 1e-5, 1e-4, 1e-3]))
    diagram = mf.phase_diagram("silu", [*near[::-1], low * (1 + 1e-7)], [sigma_b], q0=1e-3)
    assert diagram.n_fixed_points.tolist() == [[2, 2, 2, 2, 2, 0]]
    for column in range(5):
        agrees(diagram, 0, column, mf.fixed_point("silu", diagram.sigma_w[column], sigma_b, q0=1e-3))


@pytest.mark.parametrize("q0", [0.0, 1e-14, 0.3, 50.0, 1e12])
def test_every_start(q0):
    """cos decreases with q, so that orbits jump over fixed points; starts outside the tables are followed too."""
    for phi in ("cos", "gelu"):
        diagram = mf.phase_diagram(phi, [0.7, 1.3, 2.2], [0.0, 0.4], q0=q0)
        for row, sigma_b in enumerate(diagram.sigma_b):
            for column, sigma_w in enumerate(diagram.sigma_w):
                try:
                    point = mf.fixed_point(phi, sigma_w, sigma_b, q0=q0)
                except mf.NoFixedPointError:
                    assert diagram.phase[row, column] == "unbounded"
                else:
                    agrees(diagram, row, column, point)


def test_cells_whose_moments_are_infinite_say_so():
    phi = mf.Nonlinearity.from_callable(
        lambda x: np.exp(x**2 / 8), lambda x: x / 4 * np.exp(x**2 / 8), name="exp(x^2/8)"
    )
    diagram = mf.phase_diagram(phi, [0.3, 0.5], [0.1], q0=5.0)
    assert diagram.phase.tolist() == [["", ""]]
    assert (diagram.status == mf.Status.MOMENT_NOT_FINITE).all()
    assert (mf.phase_diagram(phi, [0.3], [0.1], q0=0.1).phase == "ordered").all()


def test_the_same_bits_on_threads_and_in_tasks_of_the_same_rows(monkeypatch):
    axes = np.linspace(0.5, 3.0, 40), np.linspace(0.0, 1.0, 12)
    monkeypatch.setattr(diagrams, "CELLS_OF_A_TASK", 80)
    serial = mf.phase_diagram("tanh", *axes)
    with ThreadPoolExecutor(2) as threads:
        threaded = mf.phase_diagram("tanh", sigma_w=axes[0], sigma_b=axes[1], executor=threads)
    for name in (*NUMBERS, "phase", "status", "n_fixed_points", "stable", "error"):
        assert np.array_equal(getattr(serial, name), getattr(threaded, name), equal_nan=name in (*NUMBERS, "error"))


def test_arguments_are_checked_before_any_work():
    for given, message in (
        ({"sigma_w": [[1.0]], "sigma_b": [0.0]}, "sigma_w must be one-dimensional"),
        ({"sigma_w": [0.0], "sigma_b": [0.0]}, "sigma_w must be > 0"),
        ({"sigma_w": [1.0], "sigma_b": [-0.1]}, "sigma_b must be >= 0"),
        ({"sigma_w": [], "sigma_b": [0.1]}, "sigma_w must not be empty"),
    ):
        with pytest.raises(mf.InvalidParameterError, match=message):
            mf.phase_diagram("tanh", **given)


def test_results_are_read_only():
    with pytest.raises(ValueError, match="read-only"):
        diagram_of("tanh").q_star[0, 0] = 1.0


def test_where_phi_turns_too_often_only_the_correlation_is_missing():
    """x + sin(2x)/2 at q = 9e3: hundreds of turns within reach, and c_star close to 1."""
    phi = mf.Nonlinearity.from_callable(lambda x: x + np.sin(2 * x) / 2, lambda x: 1 + np.cos(2 * x), name="wave")
    sigma_w = math.sqrt(1 - 1e-3)
    diagram = mf.phase_diagram(phi, [0.9, sigma_w], [3.0])
    assert (diagram.phase == "chaotic").all()
    assert diagram.status.tolist() == [[mf.Status.CONVERGED, mf.Status.NOT_CONVERGED]]
    assert np.isnan([getattr(diagram, name)[0, 1] for name in ("c_star", "chi_c", "xi_c")]).all()
    assert abs(diagram.q_star[0, 1] - (9 + sigma_w**2 / 8) / (1 - sigma_w**2)) <= diagram.error[0, 1] + 1e-9
    assert abs(diagram.chi_1[0, 1] - 1.5 * sigma_w**2) <= 1e-12
    with pytest.raises(mf.ConvergenceError, match="turns too often") as caught:
        mf.fixed_point(phi, sigma_w, 3.0)
    assert abs(caught.value.partial - diagram.q_star[0, 1]) <= 2 * diagram.error[0, 1]
    agrees(diagram, 0, 0, mf.fixed_point(phi, 0.9, 3.0))


@pytest.mark.parametrize("phi", ["exp(x)", "sinh(x)"])
def test_fast_growth_is_followed(phi):
    """V grows by six orders of magnitude over a segment of the interpolant in ln q."""
    sigma_w, sigma_b = [0.03, 0.06, 0.1], [1.1, 1.5]
    diagram = mf.phase_diagram(phi, sigma_w, sigma_b)
    for row, column in np.ndindex(2, 3):
        points = mf.fixed_points(phi, sigma_w[column], sigma_b[row])
        assert diagram.n_fixed_points[row, column] == len(points)
        if points:
            assert abs(diagram.q_star[row, column] / points[0].q_star - 1) <= 1e-12
