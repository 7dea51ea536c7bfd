"""Every closed form of the catalogue against quadrature and against the textbook formula in many digits.

The textbook formulas cancel or overflow in float64; mpmath does not mind. What a closed form says of its error is a
claim of its own, tested over its whole range.
"""

import dataclasses
import math

import numpy as np
import pytest
from mpmath import mp, mpf

from meanfield.activations import CATALOGUE
from meanfield.dual_kernels import dual_kernel, evaluate_kernel
from meanfield.gaussian_moments import FIELDS, evaluate
from meanfield.nonlinearity import ClosedForm, ClosedForms, Nonlinearity
from tests import oracles
from tests.problems import DUAL_PROBLEMS, MOMENT_PROBLEMS, gap, relative_gap

TINY = np.finfo(float).tiny  # below it float64 has no relative accuracy
KERNELS = ("dual_value", "dual_derivative")


# Textbook formulas: q -> (V, mu_1, mu_2), and q mu_1 - V where the largest terms are left out by hand


def two_slopes(a, b):
    return lambda q: ((a * a + b * b) * q / 2, (a * a + b * b) / 2, (a**4 + b**4) / 2)


def clip(*ends):
    def moments(q):
        total = [mpf(0)] * 4
        for end in (abs(e) for e in ends if e):
            inside, outside = mp.erf(end / mp.sqrt(2 * q)), mp.erfc(end / mp.sqrt(2 * q))
            edge = end * mp.sqrt(2 * q / mp.pi) * mp.exp(-(end**2) / (2 * q))
            side = (q * inside - edge + end**2 * outside, inside, inside, edge - end**2 * outside)
            total = [a + b / 2 for a, b in zip(total, side, strict=True)]
        return tuple(total)

    return moments


def shrink(lambd):
    """E (|x| - lambda)^2 over |x| > lambda, term by term."""

    def moments(q):
        t = lambd / mp.sqrt(2 * q)
        outside, edge = mp.erfc(t), lambd * mp.sqrt(2 * q / mp.pi) * mp.exp(-t * t)
        return (q * outside + edge) - 2 * edge + lambd**2 * outside, outside, outside, edge - lambd**2 * outside

    return moments


def exponential(scale, amplitude, rate):
    def half(k, q):
        """E[exp(k rate x); x < 0]"""
        return mp.exp((k * rate) ** 2 * q / 2) * mp.erfc(k * rate * mp.sqrt(q / 2)) / 2

    def moments(q):
        left = amplitude**2 * (half(2, q) - 2 * half(1, q) + mpf(1) / 2)
        slope = amplitude * rate
        return (
            scale**2 * q / 2 + left,
            scale**2 / 2 + slope**2 * half(2, q),
            scale**4 / 2 + slope**4 * half(4, q),
        )

    return moments


def gelu(q):
    angle, root = mp.asin(q / (1 + q)), mp.sqrt(1 + 2 * q)
    shared = angle + 2 * q / ((1 + q) * root)
    return q / 4 + q / (2 * mp.pi) * shared, mpf(1) / 4 + (shared + q / root**3) / (2 * mp.pi), None


def error_function(q):
    root = mp.sqrt(1 + 4 * q)
    V = 2 / mp.pi * mp.asin(2 * q / (1 + 2 * q))
    return V, 4 / mp.pi / root, 16 / mp.pi**2 / mp.sqrt(1 + 8 * q)


def sine(q):
    a, b = mp.exp(-2 * q), mp.exp(-8 * q)
    return (1 - a) / 2, (1 + a) / 2, mpf(3) / 8 + a / 2 + b / 8


def cosine(q):
    a, b = mp.exp(-2 * q), mp.exp(-8 * q)
    return (1 + a) / 2, (1 - a) / 2, mpf(3) / 8 - a / 2 + b / 8


SELU_SCALE, SELU_ALPHA = mpf(1.0507009873554804934193349852946), mpf(1.6732632423543772848170429916717)
CASES = (
    ("linear", {}, two_slopes(mpf(1), mpf(1))),
    ("relu", {}, two_slopes(mpf(0), mpf(1))),
    ("leaky_relu", {}, two_slopes(mpf(0.01), mpf(1))),
    ("leaky_relu", {"slope": -0.7}, two_slopes(mpf(-0.7), mpf(1))),
    ("leaky_relu", {"slope": 1e6}, two_slopes(mpf(1e6), mpf(1))),
    ("hard_tanh", {}, clip(-1, 1)),
    ("hard_tanh", {"min_val": -0.3, "max_val": 7.7}, clip(mpf(-0.3), mpf(7.7))),
    ("relu6", {}, clip(0, 6)),
    ("softshrink", {}, shrink(mpf(0.5))),
    ("softshrink", {"lambd": 3.3}, shrink(mpf(3.3))),
    ("erf", {}, error_function),
    ("sin", {}, sine),
    ("cos", {}, cosine),
    ("elu", {}, exponential(1, 1, 1)),
    ("elu", {"alpha": 0.1}, exponential(1, mpf(0.1), 1)),
    ("elu", {"alpha": 1e6}, exponential(1, mpf(1e6), 1)),
    ("celu", {}, exponential(1, 1, 1)),
    ("celu", {"alpha": 2.7}, exponential(1, mpf(2.7), 1 / mpf(2.7))),
    ("celu", {"alpha": 1e-6}, exponential(1, mpf(1e-6), 1 / mpf(1e-6))),
    ("celu", {"alpha": 1e6}, exponential(1, mpf(1e6), 1 / mpf(1e6))),
    ("selu", {}, exponential(SELU_SCALE, SELU_SCALE * SELU_ALPHA, 1)),
    ("gelu", {}, gelu),
)
IDS = ["-".join([name, *(f"{key}{value:g}" for key, value in given.items())]) for name, given, _ in CASES]


def rows_at(formula, q, digits):
    """FIELDS at q, the last two from the first: V' as a limit of differences, q mu_1 - V as it is."""
    with mp.workdps(digits):
        q = mpf(float(q))
        V, mu_1, mu_2, *ratio = formula(q)
        step = q * mpf(10) ** (-digits // 3)
        slope = (formula(q + step)[0] - formula(q - step)[0]) / (2 * step)
        return V, mu_1, mu_2, slope, ratio[0] if ratio else q * mu_1 - V


def exact_rows(formula, q):
    """The same at two precisions that agree, however much cancels; a 0 must be one to 400 digits."""
    before = rows_at(formula, q, 60)
    for digits in (120, 240, 480, 960, 1920):
        now = rows_at(formula, q, digits)
        if all(agree(a, b, digits) for a, b in zip(before, now, strict=True)):
            return now
        before = now
    raise AssertionError(f"not settled at q = {q}")


def agree(before, now, digits):
    if before is None:
        return True
    settled = now != 0 and abs(now - before) <= mpf(1e-20) * abs(now)
    return settled or (digits > 800 and abs(now) < TINY)


def without_hooks(phi: Nonlinearity) -> Nonlinearity:
    return dataclasses.replace(phi, closed_forms=ClosedForms())


def hooks_of(phi: Nonlinearity, names) -> list[tuple[str, ClosedForm]]:
    return [(name, hook) for name in names if (hook := getattr(phi.closed_forms, name)) is not None]


def test_every_family_with_closed_forms_is_here():
    have = {name for name, entry in CATALOGUE.items() if hooks_of(entry.nonlinearity(), FIELDS)}
    assert have == {name for name, _, _ in CASES}


@pytest.mark.parametrize(("name", "given", "formula"), CASES, ids=IDS)
def test_stated_errors_hold_over_the_whole_range(name, given, formula):
    """q from 1e-8 to 1e6, densely, and the far ends of the range."""
    phi = CATALOGUE[name].nonlinearity(**given)
    dense = np.geomspace(1e-8, 1e6, 85) * np.random.default_rng(5).uniform(0.85, 1.18, 85)
    lengths = np.concatenate([[1e-100, 3e-50, 1e-20], dense, [1e20, 3e50, 1e100]])
    exact = [exact_rows(formula, q) for q in lengths]
    for field, hook in hooks_of(phi, FIELDS):
        assert hook.relative_error <= 1e-12
        for q, value, wanted in zip(lengths, hook.formula(lengths), exact, strict=True):
            if hook.covers(q):
                error = abs(value - wanted[FIELDS.index(field)])
                assert error <= hook.relative_error * abs(wanted[FIELDS.index(field)]) + TINY, (field, q)


@pytest.mark.parametrize(("name", "given", "formula"), CASES, ids=IDS)
def test_closed_forms_equal_quadrature(name, given, formula):
    phi = CATALOGUE[name].nonlinearity(**given)
    q = np.geomspace(1e-8, 1e6, 57)
    if name in ("sin", "cos"):
        q = q[q <= 1e3]  # thousands of periods
    found, bounds = evaluate(without_hooks(phi), q)
    for field, hook in hooks_of(phi, FIELDS):
        row = FIELDS.index(field)
        values = hook.formula(q)
        # Twelve standard deviations on, exp(-72) = 5e-32 of q may hide where quadrature does not look.
        doubt = hook.relative_error * np.abs(values) + bounds[row] + 1e-31 * q
        assert np.all(np.abs(values - found[row])[hook.covers(q)] <= doubt[hook.covers(q)]), field


@pytest.mark.parametrize("problem", MOMENT_PROBLEMS, ids=str)
def test_closed_forms_equal_the_table(problem):
    phi = CATALOGUE[problem.phi].nonlinearity()
    for field, hook in hooks_of(phi, FIELDS):
        if hook.covers(np.array(problem.q)):
            value = float(hook.formula(np.array([problem.q]))[0])
            wanted = getattr(problem, field)
            assert relative_gap(value, wanted) <= hook.relative_error or gap(value, wanted) <= TINY


def test_a_wrong_closed_form_would_be_seen():
    """Negative control: erf's mu_1 used as its V."""
    hook = CATALOGUE["erf"].nonlinearity().closed_forms.mu_1
    assert abs(hook.formula(np.array([0.7]))[0] - error_function(mpf(0.7))[0]) > 0.1


# Dual kernels: (c, q1, q2) -> (value, derivative)


def two_slopes_kernel(a, b):
    def kernel(c, q1, q2):
        rectified, both = oracles._relu_dual(c, q1, q2)
        product = c * mp.sqrt(q1 * q2)
        return (b - a) ** 2 * rectified + a * b * product, (b - a) ** 2 * both + a * b

    return kernel


def gelu_kernel(c, q1, q2):
    """By the moments of a quadrant, with thresholds s, t standard normal and X = u - s, Y = v - t.

    phi(u)phi(v) is E[u v; X > 0, Y > 0 | u, v]; u and v are regressed on X and Y, whose second moments over the
    quadrant are those of the arc-cosine kernels. E phi'(u)phi'(v) is the slope in the covariance (Price's theorem).
    """

    def value(rho):
        a, b = 1 + q1, 1 + q2
        det, r = a * b - rho**2, rho / mp.sqrt(a * b)
        quadrant = (mp.pi - mp.acos(r)) / (2 * mp.pi)
        bulge = mp.sqrt(1 - r * r) / (2 * mp.pi)
        XX, YY, XY = a * (quadrant + r * bulge), b * (quadrant + r * bulge), mp.sqrt(a * b) * (bulge + r * quadrant)
        u = ((q1 * b - rho**2) / det, (rho * a - q1 * rho) / det)
        v = ((rho * b - q2 * rho) / det, (q2 * a - rho**2) / det)
        rest = rho - u[0] * rho - u[1] * q2
        return u[0] * v[0] * XX + (u[0] * v[1] + u[1] * v[0]) * XY + u[1] * v[1] * YY + rest * quadrant

    rho, step = c * mp.sqrt(q1 * q2), mp.sqrt(q1 * q2) * mpf(10) ** (-mp.dps // 3)
    return value(rho), (value(rho + step) - value(rho - step)) / (2 * step)


KERNEL_CASES = (
    ("linear", {}, two_slopes_kernel(mpf(1), mpf(1))),
    ("relu", {}, two_slopes_kernel(mpf(0), mpf(1))),
    ("leaky_relu", {}, two_slopes_kernel(mpf(0.01), mpf(1))),
    ("leaky_relu", {"slope": -0.7}, two_slopes_kernel(mpf(-0.7), mpf(1))),
    ("erf", {}, oracles._erf_dual),
    ("sin", {}, oracles._sin_dual),
    ("cos", {}, oracles._cos_dual),
    ("gelu", {}, gelu_kernel),
)
KERNEL_IDS = ["-".join([name, *(f"{key}{value:g}" for key, value in given.items())]) for name, given, _ in KERNEL_CASES]
CORRELATIONS = np.array(
    [
        -1.0,
        -1 + 1e-15,
        -1 + 1e-8,
        -0.999,
        -0.8,
        -0.3,
        -1e-5,
        -1e-300,
        0.0,
        1e-9,
        0.2,
        0.7,
        0.99,
        1 - 1e-7,
        1 - 2e-16,
        1.0,
    ]
)
LENGTHS = (1e-8, 1e-3, 0.6, 0.61, 0.6 + 1e-12, 40.0, 41.0, 1e6)


def test_every_kernel_with_a_closed_form_is_here():
    have = {name for name, entry in CATALOGUE.items() if hooks_of(entry.nonlinearity(), KERNELS)}
    assert have == {name for name, _, _ in KERNEL_CASES}


@pytest.mark.parametrize(("name", "given", "kernel"), KERNEL_CASES, ids=KERNEL_IDS)
def test_stated_errors_of_kernels_hold(name, given, kernel):
    """Relative to the Cauchy-Schwarz size; c near +-1, any two lengths, and the far ends of the range."""
    phi = CATALOGUE[name].nonlinearity(**given)
    pairs = [(a, b) for a in LENGTHS for b in LENGTHS] + [(1e-100, 1e100), (1e-100, 1e-100), (1e100, 1e100)]
    for q1, q2 in pairs:
        far = min(q1, q2) < 1e-8 or max(q1, q2) > 1e6
        with mp.workdps(700 if far else 80):
            sizes = [kernel(mpf(1), mpf(q), mpf(q)) for q in (q1, q2)]
            exact = [kernel(mpf(float(c)), mpf(q1), mpf(q2)) for c in CORRELATIONS]
            for row, hook in hooks_of(phi, KERNELS):
                k = KERNELS.index(row)
                values = hook.formula(CORRELATIONS, np.full(len(exact), q1), np.full(len(exact), q2))
                bound = hook.relative_error * mp.sqrt(sizes[0][k] * sizes[1][k])
                for i, value in enumerate(values):
                    assert abs(value - exact[i][k]) <= bound + TINY, (row, CORRELATIONS[i], q1, q2)


@pytest.mark.parametrize(("name", "given", "kernel"), KERNEL_CASES, ids=KERNEL_IDS)
def test_kernels_equal_quadrature(name, given, kernel):
    phi = CATALOGUE[name].nonlinearity(**given)
    bare = without_hooks(phi)
    c = np.array([-1.0, -0.9, 0.0, 0.4, 0.95, 1.0])
    for q1, q2 in ((1e-6, 1e-6), (0.3, 0.3), (0.3, 9.0), (30.0, 30.0)):
        (values, errors), (found, bounds) = (evaluate_kernel(f, c, q1, q2) for f in (phi, bare))
        assert np.all(np.abs(values - found) <= errors + bounds)


@pytest.mark.parametrize("problem", [p for p in DUAL_PROBLEMS if p.phi in {name for name, *_ in KERNEL_CASES}], ids=str)
def test_kernels_equal_the_table(problem):
    result = dual_kernel(CATALOGUE[problem.phi].nonlinearity(), problem.c, q1=problem.q1, q2=problem.q2)
    assert gap(result.value, problem.value) <= result.errors["value"]
    assert gap(result.derivative, problem.derivative) <= result.errors["derivative"]


@pytest.mark.parametrize(("name", "given", "kernel"), [KERNEL_CASES[2], KERNEL_CASES[7]], ids=["leaky_relu", "gelu"])
def test_a_zero_of_the_kernel_is_met_to_rounding_of_its_size(name, given, kernel):
    """Asked for one c alone, so that no other value of the array lends it its size."""
    phi = CATALOGUE[name].nonlinearity(**given)
    root = float(mp.findroot(lambda c: kernel(c, mpf(2), mpf(2))[0], (-0.9, 0.5), solver="anderson"))
    result = dual_kernel(phi, root, q1=2.0)
    assert abs(result.value - kernel(mpf(root), mpf(2), mpf(2))[0]) <= result.error <= 1e-13


@pytest.mark.parametrize("name", ["relu", "erf", "sin", "gelu"])
def test_kernels_at_c_1_are_moments(name):
    phi = CATALOGUE[name].nonlinearity()
    for q in (1e-7, 0.3, 77.0):
        V, mu_1 = (getattr(phi.closed_forms, field).formula(np.array([q]))[0] for field in ("V", "mu_1"))
        kernel = dual_kernel(phi, 1.0, q1=q)
        assert abs(kernel.value - V) <= 1e-14 * V
        assert abs(kernel.derivative - mu_1) <= 1e-14 * mu_1


def test_hooks_are_silent_and_finite_on_their_range():
    """filterwarnings = error turns an overflow into a failure."""
    q = np.concatenate([np.geomspace(1e-100, 1e100, 401)])
    for entry in CATALOGUE.values():
        phi = entry.nonlinearity()
        for _, hook in hooks_of(phi, FIELDS):
            assert np.isfinite(hook.formula(q)).all()
            assert hook.formula(q).shape == q.shape
        for _, hook in hooks_of(phi, KERNELS):
            for c in (-1.0, -0.3, 0.0, 1.0):
                assert np.isfinite(hook.formula(np.full_like(q, c), q, q[::-1])).all()


def test_closed_forms_are_worth_having():
    """Where all moments have one, no table is built: `evaluate` never asks phi itself."""
    phi = dataclasses.replace(
        CATALOGUE["elu"].nonlinearity(), function=pytest.fail, derivative=pytest.fail, name="hooks alone"
    )
    values, errors = evaluate(phi, np.geomspace(1e-8, 1e6, 9))
    assert np.isfinite(values).all()
    assert math.isfinite(errors.sum())
