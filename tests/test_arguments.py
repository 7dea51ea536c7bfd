"""What every function asks of its numbers: the name, the rule and the value stand in one clear line."""

import math

import numpy as np
import pytest

import meanfield as mf
import verify
from meanfield.arguments import integer, interval, seed_sequence, sequence
from meanfield.errors import InvalidParameterError

HUGE = 10**400

RULES = [
    (lambda: mf.fixed_point("tanh", 1e155, 0.1), "sigma_w must be <= 1e+150, for its square is formed in double"),
    (lambda: mf.fixed_points("tanh", 1.0, 1e155), "sigma_b must be <= 1e+150, for its square is formed in double"),
    (lambda: mf.critical_point("tanh", sigma_b=1e155), "got 1e+155"),
    (lambda: mf.critical_line("tanh", sigma_b=[0.1, 1e160]), "got 1e+160"),
    (lambda: mf.phase_diagram("tanh", [1.0, 1e200], [0.1]), "sigma_w must be <= 1e+150"),
    (lambda: mf.q_map("tanh", 1.0, 1e200, 0.1), "sigma_w must be <= 1e+150"),
    (lambda: mf.propagate("tanh", 1.0, 1e200, depth=3), "sigma_b must be <= 1e+150"),
    (lambda: mf.jacobian_spectrum("tanh", 1.0, 1e200, depth=3), "sigma_b must be <= 1e+150"),
    (lambda: mf.ntk("tanh", np.eye(2), 1e200, 0.1, depth=3), "sigma_w must be <= 1e+150"),
    (lambda: mf.gain("tanh", sigma_b=1e200), "sigma_b must be <= 1e+150"),
    (lambda: verify.check("tanh", 1e200, 0.1), "sigma_w must be <= 1e+150"),
    (lambda: mf.fixed_point("tanh", HUGE, 0.1), "sigma_w must be within double precision, got an integer of 1329 bits"),
    (lambda: mf.propagate("tanh", 1.0, 0.1, depth=10**7), "depth must be <= 1000000, got 10000000"),
    (lambda: mf.propagate("tanh", 1.0, 0.1, depth=HUGE), "depth must be <= 1000000, got an integer of 1329 bits"),
    (lambda: mf.jacobian_spectrum("tanh", 1.0, 0.1, depth=10**20), "depth must be <= 1000000"),
    (lambda: mf.initialize("tanh", [3, HUGE]), "each of widths must be <= 9007199254740992, got an integer"),
    (lambda: mf.initialize("tanh", [3, 2], rng=-HUGE), "must be"),
    (lambda: mf.initialize("tanh", np.array(3)), "widths must be a sequence of integers, got array(3)"),
    (lambda: verify.check("tanh", 1.5, 0.3, widths=np.array(3)), "widths must be a sequence of integers, got array(3)"),
    (lambda: verify.check("tanh", 1.5, 0.3, quantities=np.array(3)), "quantities must be a sequence of names, got"),
    (
        lambda: mf.Nonlinearity.from_callable(np.sin, np.cos, kinks=np.array(3.0)),  # pyright: ignore[reportArgumentType]
        "kinks must be a sequence of numbers, got array(3.)",
    ),
    (lambda: mf.Nonlinearity.from_callable(np.sin, np.cos, kinks=[math.nan]), "each of kinks must be finite, got nan"),
]


@pytest.mark.parametrize(("call", "rule"), RULES, ids=[rule for _, rule in RULES])
def test_one_line_says_what_is_wrong(call, rule):
    with pytest.raises(InvalidParameterError) as caught:
        call()
    assert rule in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


def test_sizes_up_to_the_limit_and_squares_that_underflow_are_taken():
    assert interval("sigma_w", 1e150, low=0.0, open_low=True) == 1e150
    assert interval("q", 1e200) == 1e200
    for phi, sigma_w, sigma_b in (("tanh", 0.5, 1e-170), ("relu", 1e-170, 1e-170)):
        (point,) = mf.fixed_points(phi, sigma_w, sigma_b)
        assert (point.q_star, point.phase) == (0.0, "ordered")
        assert mf.fixed_point(phi, sigma_w, sigma_b).q_star == 0


def test_integers_of_any_size_are_numbers():
    assert interval("q", 10**30) == 1e30
    np.testing.assert_array_equal(interval("q", [10**30, 1, 0.5]), [1e30, 1.0, 0.5])
    assert integer("samples", 2**53) == 2**53
    assert seed_sequence(2**127 + 1).entropy == 2**127 + 1
    for value in ([10**30, True], [10**30, "1"], [None]):
        with pytest.raises(InvalidParameterError, match="q must be real numbers"):
            interval("q", value)


def test_sequences():
    assert sequence("widths", np.array([3, 4]), "integers") == (3, 4)
    for value in ("34", b"34", 3, None):
        with pytest.raises(InvalidParameterError, match="widths must be a sequence of integers, got"):
            sequence("widths", value, "integers")
