"""Means, extrapolation, Student's t and Holm's method, against plain formulas, scipy and their own false alarms."""

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats
from scipy.special import digamma, polygamma

from verify.statistics import extrapolate, holm, p_values, t_quantile


def normal_samples(widths, networks, entries, *, a=0.0, b=0.0, c=0.0, v=1.0, seed=0):
    """Networks whose values have mean a + b/N + c/N^2 and variance v/N."""
    rng = np.random.default_rng(seed)
    return {
        width: a + b / width + c / width**2 + np.sqrt(v / width) * rng.standard_normal((networks, entries))
        for width in widths
    }


def spread_pair(mean, variance):
    """Two values with exactly this mean and (unbiased) variance."""
    half = np.sqrt(np.asarray(variance) / 2)
    return np.array([mean - half, mean + half])


def test_a_straight_line_is_continued_exactly():
    samples = {width: np.full((3, 2), [1.0 + 5 / width, -2 / width]) for width in (100, 250, 700)}
    found = extrapolate(samples)
    assert np.abs(found.value - [1.0, 0.0]).max() <= 1e-14
    assert np.abs(found.slope - [5.0, -2.0]).max() <= 1e-11
    assert np.all(found.standard_error <= 1e-15)


def test_it_is_weighted_least_squares():
    samples = {width: values[: 5 + width // 50] for width, values in normal_samples((50, 150, 300), 20, 4).items()}
    found = extrapolate(samples)
    widths = np.array(sorted(samples), float)
    counts = np.array([len(samples[int(width)]) for width in widths])
    for entry in range(4):
        means = [samples[int(width)][:, entry].mean() for width in widths]
        slope, value = np.polyfit(1 / widths, means, 1, w=np.sqrt(counts * widths))
        assert np.isclose(found.value[entry], value, rtol=1e-10)
        assert np.isclose(found.slope[entry], slope, rtol=1e-10)


def test_the_order_of_widths_does_not_matter():
    samples = normal_samples((50, 100, 200), 5, 3)
    turned = extrapolate(dict(reversed(samples.items())))
    assert np.array_equal(extrapolate(samples).value, turned.value)


def test_one_width_is_a_mean_and_says_nothing_of_the_bias():
    samples = normal_samples((80,), 6, 3)
    found = extrapolate(samples)
    assert np.allclose(found.value, samples[80].mean(axis=0), rtol=1e-14)
    assert np.allclose(found.standard_error, stats.sem(samples[80]), rtol=1e-12)
    assert np.all(found.degrees_of_freedom == 5)
    assert np.isnan(found.slope).all()
    assert np.all(found.curvature_bound == 0)


def test_two_equal_groups_have_welchs_degrees_of_freedom():
    """With two widths the intercept is a difference of means, c_2 m_2 - c_1 m_1."""
    samples = normal_samples((100, 200), 9, 1, seed=4)
    found = extrapolate(samples)
    first, second = -1 * samples[100][:, 0], 2 * samples[200][:, 0]  # intercept = 2 m(200) - m(100)
    welch = stats.ttest_ind(second, -first, equal_var=False)
    assert np.isclose(found.degrees_of_freedom[0], welch.df, rtol=1e-10)
    assert np.isclose(found.value[0] / found.standard_error[0], welch.statistic, rtol=1e-10)


def test_standard_errors_are_those_seen():
    found = extrapolate(normal_samples((50, 100, 200), 16, 20000, a=0.3, b=2.0, v=3.0))
    seen = found.value.std(ddof=1)
    # The mean of s^2 is unbiased; 20000 values give the ratio to 1 %.
    assert abs(np.sqrt(np.mean(found.standard_error**2)) / seen - 1) <= 0.025
    assert abs(found.value.mean() - 0.3) <= 4 * seen / np.sqrt(20000)
    assert abs(found.spread.mean() / 3.0 - 1) <= 0.02


@pytest.mark.parametrize("networks", [3, 8, 32])
def test_students_t_keeps_its_level_where_a_normal_z_does_not(networks):
    count, level = 20000, 0.01
    found = extrapolate(normal_samples((50, 100, 200), networks, count, seed=networks))
    p = p_values(np.abs(found.value), found.standard_error, found.degrees_of_freedom)
    alarms = np.mean(p < level)
    band = 3 * np.sqrt(level * (1 - level) / count)
    assert alarms <= level + band
    if networks >= 8:  # with fewer, Welch's test is on the safe side
        assert alarms >= level - band
    normal = np.mean(2 * stats.norm.sf(np.abs(found.value / found.standard_error)) < level)
    assert normal > alarms + (0.02 if networks == 3 else 0.001)


@pytest.mark.parametrize("depth", [2, 3, 10, 50, 200])
@pytest.mark.parametrize("widths", [(250, 500, 1000), (100, 1000), (20, 40, 80)])
def test_the_curvature_bound_covers_what_a_linear_network_needs(depth, widths):
    """ln(q^l/q^1) of a linear network is a sum of l - 1 independent ln(chi^2_N/N), of mean psi(N/2) - ln(N/2)."""
    samples = {
        width: spread_pair(
            (depth - 1) * (digamma(width / 2) - np.log(width / 2)), (depth - 1) * polygamma(1, width / 2)
        ).reshape(2, 1)
        for width in widths
    }
    found = extrapolate(samples)
    assert 0 < abs(found.value[0]) <= found.curvature_bound[0]


def test_the_curvature_bound_is_no_free_pass():
    """With the default widths it stays below the standard error of 64 networks up to depth 30."""
    widths = (250, 500, 1000)
    samples = normal_samples(widths, 64, 1, b=-30.0, v=60.0)
    found = extrapolate(samples)
    assert found.curvature_bound[0] <= found.standard_error[0] / 2


def test_values_that_are_not_finite_stay_visible():
    samples = normal_samples((50, 100), 4, 3)
    samples[50][0, 1] = -np.inf
    found = extrapolate(samples)
    p = p_values(np.abs(found.value), found.standard_error, found.degrees_of_freedom)
    assert np.isnan(found.value).tolist() == [False, True, False]
    assert np.isnan(p).tolist() == [False, True, False]


def test_p_values_are_those_of_scipy():
    t, freedom = np.array([0.5, 2.0, 8.0, 40.0]), np.array([1.5, 7.0, 63.0, 200.0])
    assert np.allclose(p_values(0.1 * t, np.full(4, 0.1), freedom), 2 * stats.t.sf(t, freedom), rtol=1e-12)
    assert np.allclose(t_quantile(1e-4, freedom), stats.t.isf(5e-5, freedom), rtol=1e-9)
    assert np.all(t_quantile(1e-308, freedom) >= t_quantile(1e-100, freedom))


def test_without_spread_only_the_excess_counts():
    assert p_values(np.array([0.0, 1e-9]), np.zeros(2), np.full(2, 7.0)).tolist() == [1.0, 0.0]


def holm_by_its_definition(p, level):
    """The hypotheses rejected, one after the other from the smallest p."""
    rejected = np.zeros(len(p), bool)
    for step, index in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        if not p[index] * (len(p) - step) < level:
            break
        rejected[index] = True
    return rejected


@given(hnp.arrays(float, st.integers(1, 12), elements=st.floats(0, 1)), st.floats(1e-4, 0.5))
def test_holm_rejects_what_its_definition_rejects(p, level):
    adjusted = holm(p)
    assert np.array_equal(adjusted < level, holm_by_its_definition(p, level))
    assert np.all(adjusted >= p)
    assert np.all(adjusted <= 1)


def test_holm_keeps_shapes_and_counts_nan_as_a_test():
    adjusted = holm(np.array([[0.01, np.nan], [0.2, 0.5]]))
    assert adjusted.shape == (2, 2)
    assert np.isnan(adjusted[0, 1])
    assert np.isclose(adjusted[0, 0], 0.03)
    assert not np.nan < 0.05


@pytest.mark.parametrize("correlation", [0.0, 0.9])
def test_holm_keeps_the_family_wise_level(correlation):
    rng = np.random.default_rng(2)
    count, tests, level = 4000, 20, 0.05
    common, own = rng.standard_normal((count, 1)), rng.standard_normal((count, tests))
    z = np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own
    alarms = np.mean([(holm(p) < level).any() for p in 2 * stats.norm.sf(np.abs(z))])
    assert alarms <= level + 3 * np.sqrt(level * (1 - level) / count)
    assert alarms >= (0.03 if correlation == 0 else 0.005)
