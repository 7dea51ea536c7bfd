"""sympy expressions as trees; the one place that loads sympy."""

import functools
import math

import sympy
from sympy.logic.boolalg import And, BooleanFalse, BooleanTrue, Not, Or

from meanfield.compiled_trees import nonlinearity_of, shortened
from meanfield.errors import NonlinearityError
from meanfield.expression_trees import Number, Tree, X, call, joined
from meanfield.nonlinearity import Nonlinearity

__all__ = ["nonlinearity_from_sympy"]

FUNCTIONS = {
    sympy.Abs: "abs",
    sympy.exp: "exp",
    sympy.log: "log",
    sympy.sin: "sin",
    sympy.cos: "cos",
    sympy.tan: "tan",
    sympy.sinh: "sinh",
    sympy.cosh: "cosh",
    sympy.tanh: "tanh",
    sympy.asinh: "arcsinh",
    sympy.atan: "arctan",
    sympy.erf: "erf",
    sympy.erfc: "erfc",
    sympy.sign: "sign",
    Not: "not",
}
JOINED = {sympy.Add: "+", sympy.Max: "max", sympy.Min: "min", And: "and", Or: "or"}
COMPARED = {
    sympy.StrictLessThan: "<",
    sympy.LessThan: "<=",
    sympy.StrictGreaterThan: ">",
    sympy.GreaterThan: ">=",
}


def nonlinearity_from_sympy(expression, *, name: str | None = None) -> Nonlinearity:
    """The nonlinearity phi(x) = expression, in its one free symbol.

    Parameters
    ----------
    expression : sympy.Expr
        From + - * / **, numbers, Abs, exp, log, sqrt, sin, cos, tan, sinh, cosh, tanh, asinh, atan, erf, erfc, sign,
        Max, Min, Heaviside and Piecewise.
    name : str, optional
        For messages and tables; by default the expression as text.

    Returns
    -------
    Nonlinearity
        phi' by the chain rule on our own tree, so that no delta and no simplification enters.

    Raises
    ------
    NonlinearityError
        Not a sympy expression, not exactly one symbol, an unsupported function; or phi is not real, not finite or
        constant, or E phi'^2 is infinite.
    NotDifferentiableError
        phi jumps.

    Examples
    --------
    >>> import sympy
    >>> x = sympy.Symbol("x")
    >>> nonlinearity_from_sympy(sympy.tanh(x) * sympy.Abs(x)).kinks
    (0.0,)
    """
    if not isinstance(expression, sympy.Expr):
        raise NonlinearityError(f"expression must be a sympy expression, got {shortened(repr(expression))}")
    title = str(expression) if name is None else name
    symbols = sorted(map(str, expression.free_symbols))
    if len(symbols) != 1:
        told = ", ".join(symbols) if symbols else "none"
        raise NonlinearityError(f"{shortened(title)}: the expression must have one free symbol, got {told}")
    try:
        return nonlinearity_of(_Translation(shortened(title)).tree(expression), name=title, expression=None)
    except RecursionError:
        raise NonlinearityError(f"{shortened(title)}: the expression is nested too deeply") from None


class _Translation:
    """From sympy's nodes to ours."""

    def __init__(self, title: str) -> None:
        self._title = title

    def tree(self, node) -> Tree:
        if isinstance(node, sympy.Symbol):
            return X
        if isinstance(node, BooleanTrue | BooleanFalse):
            return Number(float(bool(node)))
        if isinstance(node, sympy.Expr) and node.is_number:
            return self._number(node)
        if node.func in FUNCTIONS and len(node.args) == 1:
            return call(FUNCTIONS[node.func], self.tree(node.args[0]))
        if node.func in COMPARED:
            return call(COMPARED[node.func], *map(self.tree, node.args))
        if node.func in JOINED:
            return joined(JOINED[node.func], list(map(self.tree, node.args)))
        return self._special(node)

    def _special(self, node) -> Tree:
        if isinstance(node, sympy.Mul):
            return self._product(node)
        if isinstance(node, sympy.Pow):
            return self._power(*node.args)
        if isinstance(node, sympy.Heaviside):
            return call("heaviside", self.tree(node.args[0]))
        if isinstance(node, sympy.Piecewise):
            return self._pieces(node)
        raise NonlinearityError(f"{self._title}: {node.func.__name__} is not supported")

    def _number(self, node) -> Number:
        try:
            number = float(node)
        except (TypeError, OverflowError):
            number = math.nan
        if not math.isfinite(number):
            raise NonlinearityError(f"{self._title}: {shortened(str(node))} is not a finite real number")
        return Number(number)

    def _product(self, node) -> Tree:
        """Factors with negative powers become a divisor: a/b rounds and overflows as it is written, not as a (1/b)."""
        below = [factor for factor in node.args if isinstance(factor, sympy.Pow) and factor.exp.is_negative]
        above = [factor for factor in node.args if factor not in below]
        numerator = joined("*", [self.tree(each) for each in above]) if above else Number(1.0)
        if not below:
            return numerator
        return call("/", numerator, joined("*", [self._power(each.base, -each.exp) for each in below]))

    def _power(self, base, exponent) -> Tree:
        if exponent == 1:
            return self.tree(base)
        if exponent.is_negative:
            return call("/", Number(1.0), self._power(base, -exponent))
        if exponent == sympy.Rational(1, 2):
            return call("sqrt", self.tree(base))
        return call("**", self.tree(base), self.tree(exponent))

    def _pieces(self, node) -> Tree:
        *first, (last, always) = node.args
        if not isinstance(always, BooleanTrue):
            raise NonlinearityError(f"{self._title}: the last condition of Piecewise must be True")
        pieces = reversed([(self.tree(value), self.tree(condition)) for value, condition in first])
        return functools.reduce(lambda rest, piece: call("where", piece[1], piece[0], rest), pieces, self.tree(last))
