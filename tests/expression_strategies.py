"""Random expressions for hypothesis: text beside the same function in mpmath, which shares no code with the package."""

from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import strategies as st
from mpmath import mp, mpf

from tests import oracles


@dataclass(frozen=True)
class Sample:
    """Text, and the function it stands for, from mpf to mpf."""

    text: str
    function: Callable

    def __repr__(self) -> str:
        return self.text


def _value(pair: Callable) -> Callable:
    return lambda u: pair(u)[0]


X = Sample("x", lambda x: x)
UNARY = {
    "abs": abs,
    "sin": mp.sin,
    "cos": mp.cos,
    "tanh": mp.tanh,
    "arctan": mp.atan,
    "arcsinh": mp.asinh,
    "erf": mp.erf,
    "erfc": mp.erfc,
    **{
        name: _value(getattr(oracles, name))
        for name in ("relu", "elu", "gelu", "silu", "sigmoid", "softplus", "softsign", "mish", "leaky_relu")
    },
    # Inside their domains, and far from overflow.
    "exp(-abs({}))": lambda u: mp.exp(-abs(u)),
    "expm1(min({}, 1))": lambda u: mp.expm1(min(u, mpf(1))),
    "log(1 + ({})**2)": lambda u: mp.log(1 + u**2),
    "log1p(abs({}))": lambda u: mp.log(1 + abs(u)),
    "sqrt(1 + ({})**2)": lambda u: mp.sqrt(1 + u**2),
    "abs({})**1.5": lambda u: abs(u) ** mpf(1.5),
    "sinh(max(min({}, 2), -2))": lambda u: mp.sinh(max(min(u, mpf(2)), mpf(-2))),
    "1/cosh(arctan({}))": lambda u: 1 / mp.cosh(mp.atan(u)),
    "tan(sin({}))": lambda u: mp.tan(mp.sin(u)),
    "sign({0})*({0})**2": lambda u: mp.sign(u) * u**2,
    "heaviside({0})*({0})": lambda u: u if u > 0 else mpf(0),
    "2**tanh({})": lambda u: mpf(2) ** mp.tanh(u),
    "(2 + sin({0}))**arctan({0})": lambda u: (2 + mp.sin(u)) ** mp.atan(u),
    "-({})": lambda u: -u,
}
BINARY = {
    "{} + {}": lambda a, b: a + b,
    "({}) - ({})": lambda a, b: a - b,
    "({})*({})": lambda a, b: a * b,
    "({})/(1 + abs({}))": lambda a, b: a / (1 + abs(b)),
    "max({}, {})": max,
    "minimum({}, {})": min,
    "where({0} < {1}, {0}, {1})": min,
}


@st.composite
def _affine(draw):
    slope = draw(st.integers(-200, 200)) / 100
    shift = draw(st.integers(-200, 200)) / 100
    return Sample(f"({slope}*x + {shift})", lambda x: mpf(slope) * x + mpf(shift))


@st.composite
def _applied(draw, inner):
    name, argument = draw(st.sampled_from(sorted(UNARY))), draw(inner)
    outer = UNARY[name]
    text = name.format(argument.text) if "{" in name else f"{name}({argument.text})"
    return Sample(text, lambda x: outer(argument.function(x)))


@st.composite
def _combined(draw, inner):
    form, one, other = draw(st.sampled_from(sorted(BINARY))), draw(inner), draw(inner)
    join = BINARY[form]
    return Sample(f"({form.format(one.text, other.text)})", lambda x: join(one.function(x), other.function(x)))


def samples(leaves: int = 5) -> st.SearchStrategy[Sample]:
    """Real, continuous functions; `leaves` bounds their size."""
    return st.recursive(
        st.just(X) | _affine(), lambda inner: _applied(inner) | _combined(inner), max_leaves=leaves
    ).filter(lambda sample: len(sample.text) < 300)
