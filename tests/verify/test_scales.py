"""The scales: inverse, slope and rounding."""

import numpy as np
import pytest

from verify.scales import FISHER, LINEAR, LOG, ROUNDING

VALUES = {
    LINEAR: np.array([-3.0, 0.0, 0.2, 7.0]),
    LOG: np.array([1e-300, 1e-8, 0.3, 1.0, 1e300]),
    FISHER: np.array([-0.999, -0.2, 0.0, 0.5, 1 - 1e-4]),
}


@pytest.mark.parametrize("scale", VALUES, ids=lambda scale: scale.name)
def test_invert_undoes_apply(scale):
    values = VALUES[scale]
    assert np.all(np.abs(scale.invert(scale.apply(values)) - values) <= 1e-12 * np.abs(values))


@pytest.mark.parametrize("scale", VALUES, ids=lambda scale: scale.name)
def test_stretch_is_the_slope(scale):
    values = VALUES[scale]
    step = 1e-4 / scale.stretch(values)
    slope = (scale.apply(values + step) - scale.apply(values - step)) / (2 * step)
    assert np.all(np.abs(slope / scale.stretch(values) - 1) <= 1e-6)


def test_correlations_that_rounding_cannot_tell_from_1_are_one_value():
    same = FISHER.apply(np.array([1.0, 1 + 2e-16, 1 - 2e-16]))
    assert np.ptp(same) == 0
    assert np.isfinite(same).all()
    assert FISHER.apply(np.array([-1.0]))[0] == -same[0]
    assert FISHER.apply(np.array([1 - 1e-12]))[0] < same[0]


def test_a_logarithm_of_nothing_is_not_finite():
    assert np.isneginf(LOG.apply(np.array([0.0])))
    assert np.isnan(LOG.apply(np.array([-1.0])))


def test_rounding_is_relative_for_lengths_and_absolute_for_correlations():
    assert LOG.rounding(np.array([1e-200])) == 1e-200 * ROUNDING
    assert FISHER.rounding(np.array([1e-200])) == LINEAR.rounding(np.array([5.0])) == ROUNDING
