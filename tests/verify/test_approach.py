"""How extreme eigenvalues come to their limit: the shift that is known, what is open, and matrices that show it."""

import math

import numpy as np
import pytest
from scipy.linalg import eigh_tridiagonal

from verify.approach import TRACY_WIDOM_MEAN, Approach, root_scale


def test_an_edge_has_its_first_correction_and_doubts_the_square():
    edge = Approach(rate=-2.0)
    assert edge.shift(1000) == pytest.approx(-0.02, rel=1e-14)
    assert edge.doubt(1000) == pytest.approx(0.0004, rel=1e-14)
    assert np.allclose(edge.shift(np.array([125.0, 1000.0])), [-0.08, -0.02], rtol=1e-14)


def test_an_outlier_has_no_shift_and_no_doubt_far_from_the_edge():
    outlier = Approach(rate=-2.0, gap=0.05, isolated=True)
    assert outlier.shift(1000) == 0
    assert 0 < outlier.doubt(1000) < 0.02
    assert outlier.doubt(10**6) == 0


def test_near_an_outlier_an_edge_may_have_all_of_its_shift_or_none():
    near = Approach(rate=-2.0, gap=0.05)
    assert near.shift(1000) + near.doubt(1000) == pytest.approx(0.0, abs=1e-15)
    assert near.shift(1000) - near.doubt(1000) == pytest.approx(-0.02, rel=1e-14)
    # Wide networks tell them apart.
    assert near.shift(10**6) == pytest.approx(-0.0002, rel=1e-12)


def largest_of_wigner(width, spike, count, rng):
    """Of GOE matrices with spectrum [-2, 2] and `spike` in one corner, in Dumitriu and Edelman's tridiagonal form."""
    found = []
    for _ in range(count):
        diagonal = math.sqrt(2 / width) * rng.standard_normal(width)
        diagonal[0] += spike
        beside = np.sqrt(rng.chisquare(np.arange(width - 1, 0, -1)) / width)
        found.append(eigh_tridiagonal(diagonal, beside, select="i", select_range=(width - 1, width - 1))[0][0])
    return np.array(found)


@pytest.mark.parametrize("spike", [0.0, 0.5, 0.8, 0.95, 1.05, 1.2, 1.5, 2.5])
def test_spiked_matrices_are_within_the_doubt(spike):
    """Outliers of GOE at theta + 1/theta for theta > 1; rho = sqrt(2 - x)/pi at the edge, kappa = 1."""
    rng = np.random.default_rng(5)
    place = spike + 1 / spike if spike else math.inf
    isolated = spike > 1
    approach = Approach(rate=TRACY_WIDOM_MEAN, gap=place - 2, isolated=isolated)
    for width in (50, 200):
        values = largest_of_wigner(width, spike, 400, rng) - (place if isolated else 2.0)
        error = values.std(ddof=1) / math.sqrt(len(values))
        # What is left falls as 1/width; its factor stays below 3 here.
        assert abs(values.mean() - approach.shift(width)) <= approach.doubt(width) + 4 * error + 3 / width


def test_without_the_shift_the_edge_is_missed():
    values = largest_of_wigner(200, 0.0, 400, np.random.default_rng(6)) - 2.0
    edge = Approach(rate=TRACY_WIDOM_MEAN)
    allowed = edge.doubt(200) + 4 * values.std(ddof=1) / 20 + 3 / 200
    assert abs(values.mean() - edge.shift(200)) <= allowed < abs(values.mean())


def test_the_scale_of_a_root():
    steps = np.array([4e-5, 1e-5])
    assert root_scale(steps, 3 / math.pi * np.sqrt(steps) * (1 + 2 * steps)) == pytest.approx(3.0, rel=1e-8)
    assert math.isnan(root_scale(steps, 1 / np.sqrt(steps)))
    assert math.isnan(root_scale(steps, np.zeros(2)))
