"""How extreme eigenvalues come to their limit: the shift that is known, and what is left open."""

import math

import numpy as np
import pytest

from verify.approach import Approach, root_scale


def test_an_edge_has_its_first_correction_and_doubts_the_square():
    edge = Approach(rate=-2.0)
    assert edge.shift(1000) == pytest.approx(-0.02, rel=1e-14)
    assert edge.doubt(1000) == pytest.approx(0.0004, rel=1e-14)
    assert np.allclose(edge.shift(np.array([125.0, 1000.0])), [-0.08, -0.02], rtol=1e-14)


def test_an_outlier_far_from_the_edge_has_none():
    outlier = Approach(rate=-2.0, gap=0.5, isolated=True)
    assert outlier.shift(1000) == 0
    assert outlier.doubt(1000) == 0


@pytest.mark.parametrize("isolated", [False, True])
def test_near_the_edge_both_are_possible(isolated):
    near = Approach(rate=-2.0, gap=0.05, isolated=isolated)
    assert near.shift(1000) + near.doubt(1000) == pytest.approx(0.0, abs=1e-15)
    assert near.shift(1000) - near.doubt(1000) == pytest.approx(-0.02, rel=1e-14)
    # Wide networks tell them apart.
    assert near.shift(10**6) == pytest.approx(0.0 if isolated else -0.0002, rel=1e-12)


def test_the_scale_of_a_root():
    steps = np.array([4e-5, 1e-5])
    assert root_scale(steps, 3 / math.pi * np.sqrt(steps) * (1 + 2 * steps)) == pytest.approx(3.0, rel=1e-8)
    assert math.isnan(root_scale(steps, 1 / np.sqrt(steps)))
    assert math.isnan(root_scale(steps, np.zeros(2)))
