"""Gains and initial weights."""

import math
import warnings

import numpy as np
import pytest

import meanfield as mf


def test_gain_is_the_critical_sigma_w():
    assert abs(mf.gain("relu") - math.sqrt(2)) <= 1e-14
    assert mf.gain("tanh") == 1.0
    assert mf.gain("tanh", sigma_b=0.3) == mf.critical_point("tanh", sigma_b=0.3).sigma_w
    assert isinstance(mf.gain("tanh"), float)


@pytest.mark.parametrize(("phi", "onset"), [("gelu", "0.4158"), ("silu", "0.7451")])
def test_a_gain_that_repels_warns_and_names_the_smallest_sigma_b_that_attracts(phi, onset):
    with pytest.warns(mf.UnstableCriticalPointWarning, match=onset):
        mf.gain(phi)
    with pytest.warns(mf.UnstableCriticalPointWarning) as caught:
        mf.initialize(phi, (3, 2))
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mf.gain(phi, sigma_b=float(onset) + 0.001)


def test_there_is_no_gain_without_a_critical_point():
    with pytest.raises(mf.NoCriticalPointError):
        mf.gain("softplus")


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_lengths_stay_at_the_fixed_point(weights):
    """Through layers that expand and contract, mean squares stay at q_star within the noise of one network."""
    point = mf.critical_point("tanh", sigma_b=0.2)
    widths = (400, 800, 800, 300, 600)
    rng = np.random.default_rng(3)
    x = rng.standard_normal((1, widths[0]))
    x *= math.sqrt((point.q_star - 0.04) / point.sigma_w**2 / np.mean(x**2))
    for W, b in mf.initialize("tanh", widths, sigma_b=0.2, weights=weights, rng=rng):
        h = x @ W.T + b
        # The variance of a mean of n squares is about 2 q^2/n, and layers add up.
        assert abs(np.mean(h**2) - point.q_star) <= 6 * point.q_star * math.sqrt(2 / h.size)
        x = np.tanh(h)


def test_scales_of_gaussian_weights():
    ((W, b),) = mf.initialize("tanh", (500, 400), sigma_b=0.3, rng=1)
    gain = mf.gain("tanh", sigma_b=0.3)
    assert abs(W.std() * math.sqrt(500) / gain - 1) <= 5 / math.sqrt(2 * W.size)
    assert abs(b.std() / 0.3 - 1) <= 5 / math.sqrt(2 * b.size)


def test_the_seed_decides():
    first, again, other = (mf.initialize("tanh", (5, 4, 3), sigma_b=0.1, rng=seed) for seed in (7, 7, 8))
    generator = mf.initialize("tanh", (5, 4, 3), sigma_b=0.1, rng=np.random.default_rng(np.random.SeedSequence(7)))
    for (W, b), (W_again, b_again), (W_generator, _), (W_other, _) in zip(first, again, generator, other, strict=True):
        assert np.array_equal(W, W_again)
        assert np.array_equal(b, b_again)
        assert np.array_equal(W, W_generator)
        assert not np.array_equal(W, W_other)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"widths": (10,)}, "widths must hold at least"),
        ({"widths": ()}, "widths must hold at least"),
        ({"widths": (10, 0)}, "each of widths must be >= 1, got 0"),
        ({"widths": (10, 2.5)}, "each of widths must be an integer, got 2.5"),
        ({"widths": 10}, "widths must be a sequence of integers, got 10"),
        ({"widths": (3, 2), "sigma_b": -1}, "sigma_b must be >= 0, got -1"),
        ({"widths": (3, 2), "sigma_b": math.nan}, "sigma_b must be finite, got nan"),
        ({"widths": (3, 2), "weights": "uniform"}, "weights must be one of"),
        ({"widths": (3, 2), "rng": -1}, "seed must be >= 0, got -1"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(mf.InvalidParameterError, match=message):
        mf.initialize("tanh", **arguments)


def test_what_does_not_fit_into_memory_is_refused():
    with pytest.raises(mf.InvalidParameterError, match="the network must fit into the machine's"):
        mf.initialize("tanh", (10**9, 10**9), sigma_b=0.1)
