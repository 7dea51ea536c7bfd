"""Expressions in x as trees: how they are evaluated, and the chain rule for their slopes."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from meanfield.extended_range import Extended, as_float
from meanfield.nonlinearity import Nonlinearity

__all__ = [
    "RULES",
    "Call",
    "Composition",
    "Number",
    "Tree",
    "Variable",
    "X",
    "call",
    "joined",
    "value",
    "value_and_slope",
    "walk",
]


@dataclass(frozen=True)
class Number:
    """A constant."""

    value: float


@dataclass(frozen=True)
class Variable:
    """x itself."""


@dataclass(frozen=True)
class Call:
    """A function of RULES, operators included, at its arguments."""

    function: str
    arguments: tuple["Tree", ...]


@dataclass(frozen=True)
class Composition:
    """A nonlinearity with a slope of its own, applied to a tree."""

    phi: Nonlinearity
    inner: "Tree"


Tree = Number | Variable | Call | Composition
X = Variable()


@dataclass(frozen=True)
class Rule:
    """A function and its partial derivatives.

    value : from the arguments to the value;
    partials : one per argument, from (value, *arguments); None where the derivative is 0 almost everywhere.
    """

    value: Callable[..., Any]
    partials: tuple[Callable[..., Any] | None, ...]


def _one(*_: Any) -> float:
    return 1.0


def _times(partial: Any, slope: Any) -> Any:
    """One term of the chain rule. A boolean factor selects; beyond float64's range a true 0 wins over any slope."""
    if getattr(partial, "dtype", None) is np.dtype(bool):
        return np.where(partial, slope, 0.0)
    if isinstance(partial, Extended) or isinstance(slope, Extended):
        return np.where((partial == 0) | (slope == 0), 0.0, partial * slope)
    return partial * slope


def _truth(difference: Any, is_true: Any) -> Any:
    """1 or 0; nan where the sides cannot be compared, as inf and inf that may be two different overflows."""
    return np.where(np.isnan(difference), np.nan, is_true)


def _heaviside(u: Any) -> Any:
    return np.where(np.isnan(u), np.nan, np.where(u == 0, 0.5, np.where(u > 0, 1.0, 0.0)))


def _gauss(u: Any) -> Any:
    return 2 / math.sqrt(math.pi) * np.exp(-u * u)


RULES = {
    "+": Rule(np.add, (_one, _one)),
    "-": Rule(np.subtract, (_one, lambda v, a, b: -1.0)),
    "*": Rule(np.multiply, (lambda v, a, b: b, lambda v, a, b: a)),
    "/": Rule(np.divide, (lambda v, a, b: 1 / b, lambda v, a, b: -v / b)),
    "**": Rule(
        np.power,
        (lambda v, a, b: b * np.power(a, b - 1.0), lambda v, a, b: _times(v, np.log(a))),
    ),
    "negative": Rule(np.negative, (lambda v, u: -1.0,)),
    "exp": Rule(np.exp, (lambda v, u: v,)),
    "expm1": Rule(np.expm1, (lambda v, u: np.exp(u),)),
    "log": Rule(np.log, (lambda v, u: 1 / u,)),
    "log1p": Rule(np.log1p, (lambda v, u: 1 / (1 + u),)),
    "sqrt": Rule(np.sqrt, (lambda v, u: 0.5 / v,)),
    "sin": Rule(np.sin, (lambda v, u: np.cos(u),)),
    "cos": Rule(np.cos, (lambda v, u: -np.sin(u),)),
    "tan": Rule(np.tan, (lambda v, u: 1 + v * v,)),
    "sinh": Rule(np.sinh, (lambda v, u: np.cosh(u),)),
    "cosh": Rule(np.cosh, (lambda v, u: np.sinh(u),)),
    "tanh": Rule(np.tanh, (lambda v, u: 1 / np.cosh(u) ** 2.0,)),  # 1 - v^2 would cancel
    "arcsinh": Rule(np.arcsinh, (lambda v, u: 1 / np.sqrt(1 + u * u),)),
    "arctan": Rule(np.arctan, (lambda v, u: 1 / (1 + u * u),)),
    "erf": Rule(special.erf, (lambda v, u: _gauss(u),)),
    "erfc": Rule(special.erfc, (lambda v, u: -_gauss(u),)),
    "abs": Rule(np.absolute, (lambda v, u: np.sign(u),)),
    # Deltas are left out: whether phi jumps is decided from its values.
    "sign": Rule(np.sign, (None,)),
    "heaviside": Rule(_heaviside, (None,)),
    "max": Rule(np.maximum, (lambda v, a, b: a >= b, lambda v, a, b: a < b)),
    "min": Rule(np.minimum, (lambda v, a, b: a <= b, lambda v, a, b: a > b)),
    "where": Rule(
        lambda c, a, b: np.where(np.isnan(c), np.nan, np.where(c != 0, a, b)),
        (None, lambda v, c, a, b: c != 0, lambda v, c, a, b: c == 0),
    ),
    "<": Rule(lambda a, b: _truth(a - b, a < b), (None, None)),
    "<=": Rule(lambda a, b: _truth(a - b, a <= b), (None, None)),
    ">": Rule(lambda a, b: _truth(a - b, a > b), (None, None)),
    ">=": Rule(lambda a, b: _truth(a - b, a >= b), (None, None)),
    # nan is "unknown": it decides nothing where the other side does.
    "and": Rule(lambda a, b: np.where((a == 0) | (b == 0), 0.0, a * b), (None, None)),
    "or": Rule(lambda a, b: np.where((a == 1) | (b == 1), 1.0, a + b), (None, None)),
    "not": Rule(lambda a: 1.0 - a, (None,)),
}


def call(function: str, *arguments: Tree) -> Tree:
    """The call, folded to a Number (perhaps not a finite one) where its arguments are constant."""
    if function == "where" and isinstance(arguments[0], Number):
        return arguments[1] if arguments[0].value else arguments[2]
    made = Call(function, arguments)
    if not all(isinstance(each, Number) for each in arguments):
        return made
    with np.errstate(all="ignore"):
        return Number(float(_value(made, np.float64(0))))


def joined(function: str, parts: Sequence[Tree]) -> Tree:
    """The parts under an associative function of two arguments, halved again and again so that the tree stays flat."""
    if len(parts) == 1:
        return parts[0]
    middle = len(parts) // 2
    return call(function, joined(function, parts[:middle]), joined(function, parts[middle:]))


def walk(tree: Tree) -> Iterator[Tree]:
    """Every node, children before their parent."""
    children = tree.arguments if isinstance(tree, Call) else (tree.inner,) if isinstance(tree, Composition) else ()
    for child in children:
        yield from walk(child)
    yield tree


def _value(tree: Tree, x: Any) -> Any:
    match tree:
        case Number():
            return np.float64(tree.value)
        case Variable():
            return x
        case Composition():
            return tree.phi.function(_argument(_value(tree.inner, x)))
        case Call():
            return RULES[tree.function].value(*(_value(each, x) for each in tree.arguments))


def _value_and_slope(tree: Tree, x: Any) -> tuple[Any, Any]:
    """Value and slope; the slope is None where the tree is locally constant."""
    match tree:
        case Number():
            return np.float64(tree.value), None
        case Variable():
            return x, 1.0
        case Composition():
            inner, slope = _value_and_slope(tree.inner, x)
            plain = _argument(inner)
            outer = None if slope is None else _times(tree.phi.derivative(plain), slope)
            return tree.phi.function(plain), outer
        case Call():
            rule = RULES[tree.function]
            arguments, slopes = zip(*(_value_and_slope(each, x) for each in tree.arguments), strict=True)
            found = rule.value(*arguments)
            terms = [
                _times(partial(found, *arguments), slope)
                for partial, slope in zip(rule.partials, slopes, strict=True)
                if partial is not None and slope is not None
            ]
            return found, sum(terms[1:], start=terms[0]) if terms else None


def _argument(u: Any) -> np.ndarray:
    """A float64 argument for a nonlinearity."""
    return u.clipped() if isinstance(u, Extended) else u


def value(tree: Tree, x: np.ndarray) -> np.ndarray:
    """The tree at x: float64 of x's shape, inf or nan only where the result itself overflows or does not exist."""
    return _complete(lambda points: [_value(tree, points)], x)[0]


def value_and_slope(tree: Tree, x: np.ndarray) -> np.ndarray:
    """The tree and its derivative by the chain rule, shape (2, *x.shape)."""

    def both(points: Any) -> list[Any]:
        found, slope = _value_and_slope(tree, points)
        return [found, 0.0 if slope is None else slope]

    return _complete(both, x)


def _complete(evaluate: Callable[[Any], list[Any]], x: np.ndarray) -> np.ndarray:
    flat = np.asarray(x, dtype=np.float64).ravel()
    with np.errstate(all="ignore"):
        rows = np.array([np.broadcast_to(row, flat.shape) for row in evaluate(flat)], dtype=np.float64)
        lost = ~np.isfinite(rows).all(axis=0)
        if lost.any():
            again = np.array([np.broadcast_to(as_float(r), (int(lost.sum()),)) for r in evaluate(Extended(flat[lost]))])
            # A finite value stands beside a slope that is not.
            rows[:, lost] = np.where(np.isfinite(rows[0, lost]) & np.isfinite(rows[:, lost]), rows[:, lost], again)
    return rows.reshape(len(rows), *np.shape(x))
