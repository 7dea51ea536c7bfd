"""Text to a tree: Python's own grammar, cut down by a white list; nothing is evaluated but arithmetic of constants."""

import ast
import difflib
import math
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import NoReturn

from meanfield import activations
from meanfield.compiled_trees import shortened
from meanfield.errors import MeanFieldError, NonlinearityError
from meanfield.expression_trees import Composition, Number, Tree, X, call, joined
from meanfield.nonlinearity import Nonlinearity

__all__ = ["MAX_CHARACTERS", "Reader"]

MAX_CHARACTERS = 1000
MAX_NODES = 200
MAX_DEPTH = 50

CONSTANTS = {"pi": math.pi, "e": math.e, "E": math.e}
NOT_FINITE = ("nan", "NaN", "inf", "Inf", "infinity", "oo", "zoo")
FUNCTIONS = frozenset(
    "abs exp expm1 log log1p sqrt sin cos tan sinh cosh tanh arcsinh arctan erf erfc sign heaviside".split()  # noqa: SIM905
)
# What numpy, sympy, torch and others call them.
SPELLINGS = {
    "Abs": "abs",
    "absolute": "abs",
    "fabs": "abs",
    "ln": "log",
    "atan": "arctan",
    "asinh": "arcsinh",
    "sgn": "sign",
    "Heaviside": "heaviside",
    "step": "heaviside",
    "Max": "max",
    "maximum": "max",
    "Min": "min",
    "minimum": "min",
    "Pow": "pow",
    "power": "pow",
    "clamp": "clip",
}
OPERATORS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**"}
COMPARISONS = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}
JUNCTIONS = {ast.And: "and", ast.Or: "or", ast.BitAnd: "and", ast.BitOr: "or"}
HINTS = {
    ast.BitXor: "^ is no power here; write **",
    ast.Attribute: "attributes are not allowed; write tanh, not np.tanh",
    ast.Subscript: "subscripts are not allowed",
    ast.Lambda: "lambda is not allowed; write the expression in x alone",
    ast.IfExp: "if and else are not allowed; write where(condition, a, b)",
}


class Reader:
    """One text on its way to a tree. Every refusal names the text, the position and the reason.

    Attributes
    ----------
    text : str
        On one line, so that a column is a position.
    """

    def __init__(self, text: str) -> None:
        self.text = " ".join(text.split())
        self._forms: dict[type, Callable[..., Tree]] = {
            ast.Constant: self._constant,
            ast.Name: self._name,
            ast.UnaryOp: self._unary,
            ast.BinOp: self._binary,
            ast.Call: self._call,
            ast.Compare: self._indicator,
            ast.BoolOp: self._indicator,
        }
        self._special: dict[str, Callable[[ast.Call], Tree]] = {
            "where": self._where,
            "Piecewise": self._piecewise,
            "max": self._extremum,
            "min": self._extremum,
            "clip": self._clip,
            "pow": self._pow,
        }

    def read(self) -> Nonlinearity | Tree:
        """The catalogue's nonlinearity where the text names one, as "tanh" and "tanh(x)" do; else the tree.

        Raises
        ------
        NonlinearityError
        """
        root = self._parse()
        if isinstance(root, ast.Name) and root.id not in ("x", *CONSTANTS):
            return self._entry(root).nonlinearity()
        if isinstance(root, ast.Call) and isinstance(root.func, ast.Name) and not root.args:
            return self._with_parameters(self._entry(root.func), root)
        tree = self._tree(root)
        if tree == X:
            return activations.CATALOGUE["linear"].nonlinearity()
        if isinstance(tree, Number):
            self._refuse(root, f"phi is constant ({tree.value:.6g}), so no signal passes")
        return tree.phi if isinstance(tree, Composition) and tree.inner == X else tree

    def _refuse(self, where: ast.AST | int, reason: str) -> NoReturn:
        start = where if isinstance(where, int) else getattr(where, "col_offset", 0)
        stop = None if isinstance(where, int) else getattr(where, "end_col_offset", None)
        part = self.text[start:stop]
        part = part if len(part) <= 24 else f"{part[:20]}..."
        message = f"cannot read {shortened(self.text)!r} at character {start + 1} ({part!r}): {reason}"
        raise NonlinearityError(message) from None

    def _source(self, node: ast.expr) -> str:
        return self.text[node.col_offset : node.end_col_offset]

    # The syntax.

    def _parse(self) -> ast.expr:
        if not self.text:
            raise NonlinearityError("phi is empty; name a nonlinearity, or write an expression in x")
        for position, character in enumerate(self.text):
            if not (character.isascii() and character.isprintable()):
                self._refuse(position, "only printable ASCII characters are allowed")
            if character == "#":
                self._refuse(position, "comments are not allowed")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the tokenizer's, about text that is refused anyway
                root = ast.parse(self.text, mode="eval").body
        except SyntaxError as error:
            position = min(max((error.offset or 1) - 1, 0), len(self.text) - 1)
            hint = "; products need *, as in 2*x" if "decimal literal" in error.msg else ""
            self._refuse(position, error.msg + hint)
        except (RecursionError, MemoryError, ValueError):
            self._refuse(0, "it is nested too deeply")
        self._refuse_size(root)
        return root

    def _refuse_size(self, root: ast.expr) -> None:
        level, depth, count = [root], 1, 1
        while level := [child for node in level for child in _children(node)]:
            depth += 1
            count += len(level)
            if depth > MAX_DEPTH:
                self._refuse(level[0], f"it is nested more than {MAX_DEPTH} deep; brackets can balance a long sum")
            if count > MAX_NODES:
                self._refuse(0, f"it has more than {MAX_NODES} numbers, names and operations")

    # Expressions.

    def _tree(self, node: ast.expr) -> Tree:
        form = self._forms.get(type(node))
        if form is None:
            self._refuse(node, HINTS.get(type(node), "this is no part of an expression in x"))
        return form(node)

    def _folded(self, node: ast.expr, function: str, *arguments: Tree) -> Tree:
        return self._finite(node, call(function, *arguments))

    def _finite(self, node: ast.expr, tree: Tree) -> Tree:
        if isinstance(tree, Number) and not math.isfinite(tree.value):
            self._refuse(node, "this constant is not a finite real number")
        return tree

    def _constant(self, node: ast.Constant) -> Tree:
        number = node.value
        if isinstance(number, bool) or not isinstance(number, int | float):
            self._refuse(node, f"only real numbers are allowed, not {type(number).__name__}")
        return self._finite(node, Number(float(number) if abs(number) <= sys.float_info.max else math.inf))

    def _name(self, node: ast.Name) -> Tree:
        if node.id in CONSTANTS:
            return Number(CONSTANTS[node.id])
        if node.id != "x":
            self._entry(node)
            self._refuse(node, f"{node.id} is a function; did you mean {node.id}(x)?")
        return X

    def _unary(self, node: ast.UnaryOp) -> Tree:
        if isinstance(node.op, ast.Not | ast.Invert):
            return self._indicator(node)
        inner = self._tree(node.operand)
        return self._folded(node, "negative", inner) if isinstance(node.op, ast.USub) else inner

    def _binary(self, node: ast.BinOp) -> Tree:
        if type(node.op) in JUNCTIONS:
            return self._indicator(node)
        operator = OPERATORS.get(type(node.op))
        if operator is None:
            self._refuse(node, HINTS.get(type(node.op), "only the operators + - * / ** are allowed"))
        return self._folded(node, operator, self._tree(node.left), self._tree(node.right))

    def _indicator(self, node: ast.expr) -> Tree:
        """A condition among numbers is 1 or 0, as in numpy's x*(x > 0)."""
        return call("where", self._condition(node), Number(1.0), Number(0.0))

    def _condition(self, node: ast.expr) -> Tree:
        if isinstance(node, ast.Compare):
            return self._comparison(node)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.Invert):
            return call("not", self._condition(node.operand))
        if isinstance(node, ast.BoolOp):
            return joined(JUNCTIONS[type(node.op)], [self._condition(each) for each in node.values])
        if not isinstance(node, ast.BinOp) or type(node.op) not in JUNCTIONS:
            self._refuse(node, "a condition compares two numbers, as in x > 0")
        return call(JUNCTIONS[type(node.op)], self._condition(node.left), self._condition(node.right))

    def _comparison(self, node: ast.Compare) -> Tree:
        sides = [self._tree(each) for each in (node.left, *node.comparators)]
        parts = []
        for operator, one, other in zip(node.ops, sides, sides[1:], strict=False):
            if type(operator) not in COMPARISONS:
                self._refuse(node, "only < <= > >= are allowed; equality holds at single points")
            parts.append(call(COMPARISONS[type(operator)], one, other))
        return joined("and", parts)

    # Calls.

    def _call(self, node: ast.Call) -> Tree:
        if not isinstance(node.func, ast.Name):
            self._refuse(node.func, HINTS.get(type(node.func), "only named functions can be called; products need *"))
        name = SPELLINGS.get(node.func.id, node.func.id)
        if activations.find(name) is not None:
            return self._activation(node, name)
        if name in self._special:
            self._refuse_keywords(node)
            return self._special[name](node)
        if name not in FUNCTIONS:
            self._refuse_name(node.func)
        self._refuse_keywords(node)
        arguments = [self._tree(each) for each in node.args]
        if name == "heaviside" and len(arguments) == 2 and isinstance(arguments[1], Number):
            arguments.pop()  # its value at the jump, a single point
        if len(arguments) != 1:
            self._refuse(node, f"{name} takes one argument, got {len(arguments)}")
        return self._folded(node, name, *arguments)

    def _refuse_keywords(self, node: ast.Call) -> None:
        if node.keywords:
            self._refuse(node, f"{self._source(node.func)} takes no named arguments")

    def _where(self, node: ast.Call) -> Tree:
        if len(node.args) != 3:
            self._refuse(node, f"where takes a condition and two values, got {len(node.args)} arguments")
        condition, one, other = node.args
        return call("where", self._condition(condition), self._tree(one), self._tree(other))

    def _piecewise(self, node: ast.Call) -> Tree:
        pairs = [each.elts for each in node.args if isinstance(each, ast.Tuple) and len(each.elts) == 2]
        last = pairs[-1][1] if pairs else None
        if len(pairs) < len(node.args) or not (isinstance(last, ast.Constant) and last.value is True):
            self._refuse(node, "Piecewise takes pairs (value, condition), the last with the condition True")
        tree = self._tree(pairs[-1][0])
        for part, condition in reversed(pairs[:-1]):
            tree = call("where", self._condition(condition), self._tree(part), tree)
        return tree

    def _extremum(self, node: ast.Call) -> Tree:
        name = SPELLINGS.get(self._source(node.func), self._source(node.func))
        if len(node.args) < 2:
            self._refuse(node, f"{name} takes two or more arguments, as in {name}(x, 0)")
        return joined(name, [self._tree(each) for each in node.args])

    def _clip(self, node: ast.Call) -> Tree:
        if len(node.args) != 3:
            self._refuse(node, "clip takes a value and two bounds, as in clip(x, -1, 1)")
        inner, low, high = (self._tree(each) for each in node.args)
        return call("min", call("max", inner, low), high)

    def _pow(self, node: ast.Call) -> Tree:
        if len(node.args) != 2:
            self._refuse(node, "pow takes two arguments, as in pow(x, 2)")
        base, exponent = (self._tree(each) for each in node.args)
        return self._folded(node, "**", base, exponent)

    # Names of the catalogue.

    def _entry(self, node: ast.Name) -> activations.Activation:
        """The catalogue's entry; refuses names that are none."""
        found = activations.find(node.id)
        if found is None:
            self._refuse_name(node)
        return found

    def _refuse_name(self, node: ast.Name) -> NoReturn:
        name = node.id
        if name in NOT_FINITE:
            self._refuse(node, "only finite numbers are allowed")
        reason = activations.REFUSED.get(name.lower())
        if reason is not None:
            self._refuse(node, f"{name} is not offered: {reason}")
        if SPELLINGS.get(name, name) in (*FUNCTIONS, *self._special):
            self._refuse(node, f"{name} is a function; did you mean {name}(x)?")
        if name in ("x", *CONSTANTS):
            self._refuse(node, f"{name} is a number, no function; products need *")
        known = [*activations.CATALOGUE, *(a for entry in activations.CATALOGUE.values() for a in entry.aliases)]
        known += [*FUNCTIONS, *self._special, *SPELLINGS]
        close = difflib.get_close_matches(name.lower(), known)
        close.sort(key=lambda each: sorted(each) != sorted(name.lower()))  # swapped letters first
        self._refuse(node, f"unknown name; did you mean {close[0]}?" if close else "unknown name; the variable is x")

    def _with_parameters(self, entry: activations.Activation, node: ast.Call) -> Nonlinearity:
        given = {}
        for keyword in node.keywords:
            number = self._tree(keyword.value)
            if keyword.arg is None or not isinstance(number, Number):
                self._refuse(keyword.value, "parameters are given as name=number")
            if keyword.arg in given:
                self._refuse(keyword.value, f"{keyword.arg} is given twice")
            given[keyword.arg] = number.value
        try:
            return entry.nonlinearity(**given)
        except MeanFieldError as error:
            self._refuse(node, str(error))

    def _activation(self, node: ast.Call, name: str) -> Tree:
        entry = activations.find(name)
        assert entry is not None
        phi = self._with_parameters(entry, node)
        first = next(iter(entry.parameters), None)
        written = self._source(node.func)
        told = [self._source(each) for each in node.args]
        if len(told) == 2 and first:
            self._refuse(node, f"did you mean {written}({told[0]}, {first}={told[1]})?")
        if len(told) != 1:
            self._refuse(node, f"{written} takes one argument; did you mean {written}(x)?")
        inner = self._tree(node.args[0])
        if not isinstance(inner, Number):
            return Composition(phi, inner)
        if first and not node.keywords:
            self._refuse(node, f"did you mean {written}({first}={told[0]})?")
        return self._finite(node, Number(float(phi(inner.value))))


def _children(node: ast.AST) -> Iterator[ast.expr]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr):
            yield child
        else:
            yield from _children(child)
