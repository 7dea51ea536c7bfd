"""Curves of the length and correlation maps, and their orbits."""

import numpy as np
import pytest

import meanfield as mf
from meanfield.map_curves import c_map_curve, q_map_curve


def test_the_length_map_of_tanh():
    curve = q_map_curve("tanh", 2.5, 0.3, q0=0.3, layers=30)
    (point,) = mf.fixed_points("tanh", 2.5, 0.3)
    assert curve.quantity == "q"
    assert curve.fixed.tolist() == [point.q_star]
    assert curve.slopes.tolist() == [point.alpha]
    assert np.array_equal(curve.y, mf.q_map("tanh", curve.x, 2.5, 0.3))
    assert np.array_equal(curve.orbit, mf.propagate("tanh", 2.5, 0.3, depth=30, q0=0.3).q)
    assert curve.x[0] == 0
    assert curve.x[-1] > point.q_star


def test_a_length_map_with_two_fixed_points_and_one_without():
    curve = q_map_curve("silu", 1.65, 0.2)
    assert [slope < 1 for slope in curve.slopes] == [True, False]
    unbounded = q_map_curve("relu", 1.6, 0.3, layers=4)
    assert unbounded.fixed.size == 0
    assert unbounded.x[-1] >= unbounded.orbit[2]


def test_the_correlation_map_has_its_fixed_points():
    curve = c_map_curve("tanh", 2.5, 0.3, c0=0.9, layers=100)
    point = mf.fixed_point("tanh", 2.5, 0.3)
    assert curve.fixed.tolist() == [point.c_star, 1.0]
    assert curve.slopes.tolist() == [point.chi_c, point.chi_1]
    assert abs(curve.orbit[-1] - point.c_star) <= 1e-8
    assert np.abs(np.interp(curve.fixed, curve.x, curve.y) - curve.fixed).max() <= 1e-4
    assert c_map_curve("tanh", 0.8, 0.3, c0=-0.5).fixed.tolist() == [1.0]
    assert c_map_curve("tanh", 0.8, 0.3, c0=-0.5).x[0] == -1


def test_where_there_is_no_correlation_map():
    with pytest.raises(mf.NoFixedPointError):
        c_map_curve("relu", 1.6, 0.3)
    with pytest.raises(mf.NonlinearityError, match="shrink to 0"):
        c_map_curve("tanh", 0.5, 0.0)
    with pytest.raises(mf.InvalidParameterError, match="c0 must be in"):
        c_map_curve("tanh", 1.5, 0.3, c0=1.5)
    with pytest.raises(mf.InvalidParameterError, match="layers must be >= 2"):
        q_map_curve("tanh", 1.5, 0.3, layers=1)
