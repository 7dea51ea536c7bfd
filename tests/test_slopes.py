"""Depth scales with bounds, and the slopes at a length that is a little off."""

import math

import mpmath
import numpy as np
import pytest

import meanfield as mf
from meanfield.gaussian_moments import evaluate, scan
from meanfield.slopes import BESIDE, depth_scale, depth_scale_bound, is_lost, is_one, slopes_at


def test_depth_scales_and_their_limits():
    slopes = np.array([0.0, 0.3, 1 - 1e-9, 1.0, 2.5, np.nan])
    scales = depth_scale(slopes)
    for k in (1, 2, 4):
        with mpmath.workdps(30):
            assert abs(scales[k] - float(-1 / mpmath.log(mpmath.mpf(slopes[k])))) <= 1e-15 * abs(scales[k]) ** 2
    assert (scales[0], scales[3]) == (0.0, math.inf)
    assert math.isnan(scales[5])


@pytest.mark.parametrize("slope", [1e-3, 0.4, 0.999, 1.001, 7.0])
def test_the_bound_is_the_largest_move_within(slope):
    bound = 0.4 * min(slope, abs(math.log(slope)) * slope)
    limit = float(depth_scale_bound(np.array(slope), np.array(bound)))
    moved = np.abs(depth_scale(slope + bound * np.linspace(-1, 1, 201)) - depth_scale(np.array(slope)))
    assert moved.max() * (1 - 1e-12) <= limit <= moved.max() * (1 + 1e-12)


def test_the_bound_is_infinite_where_1_is_within():
    slope = np.array([0.1, 1.7, 0.9, 1.0, 2.0, np.nan])
    bounds = depth_scale_bound(slope, np.array([0.91, 0.7, 0.11, 0.0, 2.5, 0.1]))
    assert (bounds[:5] == np.inf).all()
    assert math.isnan(bounds[5])


@pytest.mark.parametrize(("slope", "bound"), [(0.1, 0.1), (1e-31, 1e-12), (0.3, 0.6), (0.0, 0.2)])
def test_the_bound_covers_every_scale_down_to_0_where_0_is_within(slope, bound):
    within = depth_scale(np.linspace(0, slope + bound, 2001))
    moved = np.abs(within - depth_scale(np.array(slope)))
    assert moved.max() <= float(depth_scale_bound(np.array(slope), np.array(bound))) <= within.max() * (1 + 1e-12)


def test_a_slope_is_lost_within_its_bound_unless_both_underflow():
    assert is_lost(np.array([1e-31, -1e-16, 0.0]), np.array([1e-12, 1e-14, 1e-15])).all()
    assert not is_lost(np.array([0.0, 0.0, 0.1]), np.array([0.0, 1e-310, 0.09])).any()


def test_what_counts_as_one():
    eps = np.finfo(float).eps
    assert is_one(np.array([1 + 8 * eps, 1 - 8 * eps, 1.01]), np.array([0.0, 0.0, 0.02])).all()
    assert not is_one(1 + 1e-13, 5e-14)


@pytest.mark.parametrize("shift", [1e-9, -1e-9])
def test_bounds_cover_a_length_that_is_off(shift):
    """sin: the fixed point, moved, is still within its error, and so are the slopes there."""
    phi, sigma_w, sigma_b = mf.as_nonlinearity("sin"), 1.8, 0.3
    exact = mf.fixed_point(phi, sigma_w, sigma_b)
    q = np.array([exact.q_star * (1 + shift), 0.0])
    beside = scan(phi, q[0] * np.array(BESIDE[1:]))[[3, 1]]
    error, alpha, chi_1, alpha_bound, chi_bound = slopes_at(q, sigma_w, sigma_b, *evaluate(phi, q), beside)
    assert abs(q[0] - exact.q_star) <= error[0] <= 1.1 * abs(q[0] - exact.q_star)
    assert abs(alpha[0] - exact.alpha) <= alpha_bound[0] <= 3 * abs(alpha[0] - exact.alpha)
    assert abs(chi_1[0] - exact.chi_1) <= chi_bound[0] <= 3 * abs(chi_1[0] - exact.chi_1)
    assert (alpha[1], alpha_bound[1], error[1]) == (chi_1[1], chi_bound[1], 0.0)
    assert chi_1[1] == pytest.approx(sigma_w**2, rel=1e-15)
