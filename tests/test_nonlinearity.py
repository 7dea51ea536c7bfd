"""What from_callable accepts: derivatives that are those of phi, kinks declared or not; what it refuses, and why."""

import math
from typing import Any

import numpy as np
import pytest

import meanfield as mf
from meanfield.activations import CATALOGUE

TANH = CATALOGUE["tanh"].nonlinearity()


def in_steps(function):
    """Values of float32 precision in float64 arrays."""
    return lambda x: function(x).astype(np.float32).astype(np.float64)


def noisy(function):
    return lambda x: function(x) * (1 + 4e-16 * np.random.default_rng(0).standard_normal(np.shape(x)))


@pytest.mark.parametrize("name", CATALOGUE)
@pytest.mark.parametrize("declared", [True, False])
def test_the_catalogue_as_callables(name, declared):
    """Accepted, kinks declared or not; with a derivative that is 1e-5 too large it is refused."""
    phi = CATALOGUE[name].nonlinearity()
    kinks = phi.kinks if declared else ()
    mf.Nonlinearity.from_callable(phi.function, phi.derivative, kinks=kinks)
    with pytest.raises(mf.NonlinearityError, match="derivative is wrong"):
        mf.Nonlinearity.from_callable(phi.function, lambda x: (1 + 1e-5) * phi.derivative(x), kinks=kinks)


@pytest.mark.parametrize(
    ("function", "derivative"),
    [
        (noisy(np.tanh), TANH.derivative),
        (in_steps(np.tanh), TANH.derivative),
        (in_steps(np.tanh), in_steps(TANH.derivative)),
        (lambda x: np.round(np.tanh(x), 7), TANH.derivative),
        (lambda x: np.log(1 + np.exp(x)), lambda x: 1 / (1 + np.exp(-x))),
        (lambda x: np.where(x > 20, x, np.log1p(np.exp(x))), lambda x: 1 / (1 + np.exp(-x))),
        (lambda x: (np.exp(x) - np.exp(-x)) / (np.exp(x) + np.exp(-x)), TANH.derivative),
        (lambda x: np.abs(np.sin(1e3 * x)), lambda x: 1e3 * np.cos(1e3 * x) * np.sign(np.sin(1e3 * x))),
        (lambda x: np.sin(1e7 * x), lambda x: 1e7 * np.cos(1e7 * x)),
        (lambda x: np.tanh(1e7 * x), lambda x: 1e7 * TANH.derivative(1e7 * x)),
        (lambda x: np.abs(x) ** 0.6, lambda x: 0.6 * np.abs(x) ** -0.4 * np.sign(x)),
        (lambda x: np.exp(x**2), lambda x: 2 * x * np.exp(x**2)),
        (lambda x: 1e-160 * np.tanh(x), lambda x: 1e-160 * TANH.derivative(x)),
        (lambda x: np.maximum(x, 0), lambda x: x > 0),
    ],
)
def test_no_derivative_is_refused_without_need(function, derivative):
    mf.Nonlinearity.from_callable(function, derivative)
    with pytest.raises(mf.NonlinearityError, match="derivative is wrong"):
        mf.Nonlinearity.from_callable(function, lambda x: 1.05 * derivative(x))


@pytest.mark.parametrize(
    ("function", "derivative", "reason"),
    [
        (np.tanh, lambda x: 1.05 / np.cosh(x) ** 2, "at x = -1.0371 it is 0.41"),
        (np.tanh, lambda x: TANH.derivative(x) * np.where((x > 0) & (x < 0.05), 1.05, 1.0), "derivative is wrong"),
        (np.sin, np.sin, "derivative is wrong"),
        (lambda x: x, lambda x: np.where(np.abs(x) > 50, 0.0, 1.0), "derivative is wrong"),
        (np.sign, np.zeros_like, "jumps from"),
        (lambda x: x + 1e-3 * (x > 0.3456), np.ones_like, "jumps from 0.3456 to 0.3466 at x = 0.3456"),
        (lambda x: 0 * x + 3, np.zeros_like, "constant"),
        (np.log, lambda x: 1 / x, "not finite at x"),
        (math.tanh, np.cos, r"phi fails on an array \(TypeError: .*must take a float64 array and return one"),
        (np.sin, lambda x: 1 if x > 0 else 0, r"phi' fails on an array \(ValueError"),
        (np.sum, np.cos, r"phi returns shape \(\)"),
        (lambda x: x + 1j, np.cos, "phi returns dtype complex128"),
        (lambda x: np.tanh(x).astype(np.float32), np.cos, "phi returns dtype float32; .* float64"),
    ],
)
def test_what_is_refused_and_why(function, derivative, reason):
    with pytest.raises(mf.NonlinearityError, match=f"^mine: .*{reason}") as caught:
        mf.Nonlinearity.from_callable(function, derivative, name="mine")
    assert "\n" not in str(caught.value)


def test_what_a_callable_raises_is_kept():
    of_numbers: Any = math.tanh
    with pytest.raises(mf.NonlinearityError) as caught:
        mf.Nonlinearity.from_callable(of_numbers, np.cos)
    assert isinstance(caught.value.__cause__, TypeError)


def test_names_are_printable_text():
    wrong: list[Any] = [5, b"tanh", ["tanh"]]
    for name in wrong:
        with pytest.raises(mf.NonlinearityError, match="name must be text, got"):
            mf.Nonlinearity.from_callable(np.tanh, TANH.derivative, name=name)
    phi = mf.Nonlinearity.from_callable(np.tanh, TANH.derivative, name="a\n\x1b[1mφ")
    assert phi.name == "a\\n\\x1b[1mφ"
    with pytest.raises(mf.NonlinearityError, match="must be callable"):
        mf.Nonlinearity.from_callable(wrong[0], np.cos)


def test_steep_steps_at_the_origin_are_seen_by_kernels_and_spectra():
    """tanh(1e7 x) is sign(x) all but for 1e-7: (2/pi) asin c, and 4/(2 pi sqrt(q1 q2 (1 - c^2))) for the slopes."""
    for c in (0.5, -0.7):
        kernel = mf.dual_kernel("tanh(1e7*x)", c, q1=1.3, q2=0.7)
        assert abs(kernel.value - 2 / math.pi * math.asin(c)) <= 1e-12
        exact = 2 / (math.pi * math.sqrt(1.3 * 0.7 * (1 - c * c)))
        assert abs(kernel.derivative - exact) <= kernel.errors["derivative"] + 1e-12 <= 1e-7
    chi_1 = mf.fixed_point("tanh(1e7*x)", 1e-4, 0.1).chi_1
    assert mf.jacobian_spectrum("tanh(1e7*x)", 1e-4, 0.1, depth=3).mean == pytest.approx(chi_1**3, rel=1e-6)
    far = mf.jacobian_spectrum("tanh", 1.5, 0.1, depth=1, q0=1e13)
    assert far.mean == pytest.approx(2.25 * mf.moments("tanh", 1e13).mu_1, rel=1e-10)


def test_breaks_are_kinks_and_fine_scales():
    assert CATALOGUE["relu"].nonlinearity().breaks_between(-1.0, 1.0).tolist() == [0.0]
    assert TANH.breaks_between(-30.0, 30.0).size == 0
    steep = mf.as_nonlinearity("tanh(1000*x)").breaks_between(-1.0, 1.0)
    assert 2.0**-14 <= steep[steep > 0].min() <= 2.0**-9
    np.testing.assert_array_equal(steep, -steep[::-1])
