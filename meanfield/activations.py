"""The catalogue of nonlinearities: names, parameters, aliases, and each as an expression in elementary functions."""

import dataclasses
import difflib
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from meanfield import closed_forms, pointwise
from meanfield.arguments import scalar
from meanfield.errors import InvalidParameterError, NonlinearityError
from meanfield.nonlinearity import ClosedForms, Nonlinearity

__all__ = ["CATALOGUE", "REFUSED", "Activation", "find"]

# Wide enough for any use; within it no formula overflows before x or q does.
SCALE_BOUNDS = (1e-6, 1e6)
SLOPE_BOUNDS = (-1e6, 1e6)


@dataclass(frozen=True, kw_only=True, eq=False)
class Activation:
    """One entry of the catalogue.

    Attributes
    ----------
    name : str
        The canonical name.
    make : callable
        From the parameters, by name, to the Nonlinearity.
    expression : callable
        From the same to the same function as text, built from elementary functions only.
    parameters : mapping
        Default of every parameter, in order.
    bounds : mapping
        Closed interval of every parameter.
    aliases : tuple of str
        Other names. Case and underscores never matter: "LeakyReLU" needs no alias.
    parameter_aliases : mapping
        Other names of parameters.
    """

    name: str
    make: Callable[..., Nonlinearity]
    expression: Callable[..., str]
    parameters: Mapping[str, float] = field(default_factory=dict)
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    parameter_aliases: Mapping[str, str] = field(default_factory=dict)

    def nonlinearity(self, **given) -> Nonlinearity:
        """The nonlinearity at the given parameters, defaults elsewhere; equal parameters give the same object.

        Raises
        ------
        NonlinearityError
            A parameter does not exist, or is given twice.
        InvalidParameterError
            A parameter is outside its range.

        Examples
        --------
        >>> find("LeakyReLU").nonlinearity(negative_slope=0.2).name
        'leaky_relu(slope=0.2)'
        """
        chosen: dict[str, float] = {}
        for word, value in given.items():
            name = self.parameter_aliases.get(word, word)
            if name not in self.parameters:
                raise NonlinearityError(self._unknown(word))
            if name in chosen:
                raise NonlinearityError(f"{self.name}: {name} is given twice, the second time as {word}")
            low, high = self.bounds[name]
            chosen[name] = scalar(f"{name} of {self.name}", value, low=low, high=high)
        return _built(self.name, tuple({**self.parameters, **chosen}.values()))

    def _unknown(self, word: str) -> str:
        if not self.parameters:
            return f"{self.name} has no parameters, got {word}"
        close = difflib.get_close_matches(word, [*self.parameters, *self.parameter_aliases], n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        return f"{self.name} has no parameter {word}, only {', '.join(self.parameters)}{hint}"


@functools.lru_cache(maxsize=4096)
def _built(name: str, values: tuple[float, ...]) -> Nonlinearity:
    entry = CATALOGUE[name]
    chosen = dict(zip(entry.parameters, values, strict=True))
    told = [f"{key}={_text(value)}" for key, value in chosen.items() if value != entry.parameters[key]]
    title = f"{name}({', '.join(told)})" if told else name
    return dataclasses.replace(entry.make(**chosen), name=title, expression=title)


def _text(value: float) -> str:
    """A number as short text that is read back bit for bit."""
    return repr(value).removesuffix(".0")


# Nonlinearities that `_built` still has to name.


def _phi(function, derivative, *parameters, kinks=(), forms: ClosedForms | None = None) -> Nonlinearity:
    if parameters:
        function, derivative = (functools.partial(part, *parameters) for part in (function, derivative))
    return Nonlinearity(
        name="", function=function, derivative=derivative, kinks=kinks, closed_forms=forms or ClosedForms()
    )


def _leaky_relu(slope: float) -> Nonlinearity:
    kinks = () if slope == 1 else (0.0,)
    forms = closed_forms.two_slopes(slope, 1.0)
    return _phi(pointwise.leaky_relu, pointwise.leaky_relu_slope, slope, kinks=kinks, forms=forms)


def _exponential_unit(scale: float, amplitude: float, rate: float) -> Nonlinearity:
    shape = (scale, amplitude, rate)
    forms = closed_forms.exponential_unit(*shape)
    # phi'' jumps at 0 even where phi' does not.
    return _phi(pointwise.exponential_unit, pointwise.exponential_unit_slope, *shape, kinks=(0.0,), forms=forms)


def _clip(low: float, high: float) -> Nonlinearity:
    forms = closed_forms.clipped(low, high) if low <= 0 <= high else None
    return _phi(pointwise.clip, pointwise.clip_slope, low, high, kinks=(low, high), forms=forms)


def _hard_tanh(min_val: float, max_val: float) -> Nonlinearity:
    if not min_val < max_val:
        raise InvalidParameterError(f"max_val of hard_tanh must be > min_val = {min_val:g}, got {max_val:g}")
    return _clip(min_val, max_val)


def _soft_shrink(lambd: float) -> Nonlinearity:
    forms = closed_forms.soft_threshold(lambd)
    return _phi(pointwise.soft_shrink, pointwise.soft_shrink_slope, lambd, kinks=(-lambd, lambd), forms=forms)


def _silu(beta: float) -> Nonlinearity:
    return _phi(pointwise.silu, pointwise.silu_slope, beta)


# Text of a factor and of a divisor, nothing for 1.


def _times(value: float) -> str:
    return "" if value == 1 else f"{_text(value)}*"


def _over(value: float) -> str:
    return "" if value == 1 else f"/{_text(value)}"


def _fixed(name: str, expression: str, function, derivative, *, aliases: tuple[str, ...] = (), **details) -> Activation:
    """An entry without parameters."""
    make = functools.partial(_phi, function, derivative, **details)
    return Activation(name=name, make=make, expression=lambda: expression, aliases=aliases)


_ENTRIES = (
    _fixed(
        "linear",
        "x",
        pointwise.linear,
        pointwise.linear_slope,
        forms=closed_forms.two_slopes(1.0, 1.0),
        aliases=("identity",),
    ),
    _fixed(
        "relu",
        "max(x, 0)",
        pointwise.relu,
        pointwise.relu_slope,
        kinks=(0.0,),
        forms=closed_forms.two_slopes(0.0, 1.0),
    ),
    Activation(
        name="leaky_relu",
        make=_leaky_relu,
        expression=lambda slope: f"max(x, 0) + {_times(slope)}min(x, 0)",
        parameters={"slope": 0.01},
        bounds={"slope": SLOPE_BOUNDS},
        aliases=("lrelu",),
        parameter_aliases={"negative_slope": "slope"},
    ),
    Activation(
        name="elu",
        make=lambda alpha: _exponential_unit(1.0, alpha, 1.0),
        expression=lambda alpha: f"max(x, 0) + {_times(alpha)}expm1(min(x, 0))",
        parameters={"alpha": 1.0},
        bounds={"alpha": SCALE_BOUNDS},
    ),
    Activation(
        name="selu",
        make=lambda: _exponential_unit(pointwise.SELU_SCALE, pointwise.SELU_SCALE * pointwise.SELU_ALPHA, 1.0),
        expression=lambda: f"{pointwise.SELU_SCALE}*(max(x, 0) + {pointwise.SELU_ALPHA}*expm1(min(x, 0)))",
    ),
    Activation(
        name="celu",
        make=lambda alpha: _exponential_unit(1.0, alpha, 1 / alpha),
        expression=lambda alpha: f"max(x, 0) + {_times(alpha)}expm1(min(x, 0){_over(alpha)})",
        parameters={"alpha": 1.0},
        bounds={"alpha": SCALE_BOUNDS},
    ),
    _fixed("gelu", "x*erfc(-x/sqrt(2))/2", pointwise.gelu, pointwise.gelu_slope, forms=closed_forms.gelu()),
    _fixed(
        "gelu_tanh",
        f"x*(1 + tanh(sqrt(2/pi)*(x + {pointwise.GELU_CUBIC}*x**3)))/2",
        pointwise.gelu_tanh,
        pointwise.gelu_tanh_slope,
        aliases=("gelu_new", "gelu_pytorch_tanh"),
    ),
    Activation(
        name="quick_gelu",
        make=lambda: _silu(1.702),
        expression=lambda: "x/(1 + exp(-1.702*x))",
    ),
    Activation(
        name="silu",
        make=_silu,
        expression=lambda beta: f"x/(1 + exp(-{_times(beta)}x))",
        parameters={"beta": 1.0},
        bounds={"beta": SCALE_BOUNDS},
        aliases=("swish",),
    ),
    _fixed("mish", "x*tanh(log1p(exp(x)))", pointwise.mish, pointwise.mish_slope),
    Activation(
        name="softplus",
        make=lambda beta: _phi(pointwise.softplus, pointwise.softplus_slope, beta),
        expression=lambda beta: f"log1p(exp({_times(beta)}x)){_over(beta)}",
        parameters={"beta": 1.0},
        bounds={"beta": SCALE_BOUNDS},
    ),
    # phi'' jumps at 0.
    _fixed("softsign", "x/(1 + abs(x))", pointwise.softsign, pointwise.softsign_slope, kinks=(0.0,)),
    _fixed("tanh", "tanh(x)", np.tanh, pointwise.tanh_slope),
    _fixed("sigmoid", "1/(1 + exp(-x))", pointwise.expit, pointwise.sigmoid_slope, aliases=("logistic",)),
    _fixed("log_sigmoid", "-log1p(exp(-x))", pointwise.log_sigmoid, pointwise.log_sigmoid_slope),
    _fixed("erf", "erf(x)", pointwise.erf, pointwise.erf_slope, forms=closed_forms.error_function()),
    Activation(
        name="hard_tanh",
        make=_hard_tanh,
        expression=lambda min_val, max_val: f"min(max(x, {_text(min_val)}), {_text(max_val)})",
        parameters={"min_val": -1.0, "max_val": 1.0},
        bounds={"min_val": SLOPE_BOUNDS, "max_val": SLOPE_BOUNDS},
    ),
    _fixed(
        "hard_sigmoid",
        "min(max(x + 3, 0), 6)/6",
        pointwise.hard_sigmoid,
        pointwise.hard_sigmoid_slope,
        kinks=(-3.0, 3.0),
    ),
    Activation(name="relu6", make=lambda: _clip(0.0, 6.0), expression=lambda: "min(max(x, 0), 6)"),
    _fixed(
        "hardswish",
        "x*min(max(x + 3, 0), 6)/6",
        pointwise.hard_swish,
        pointwise.hard_swish_slope,
        kinks=(-3.0, 3.0),
        aliases=("hard_silu",),
    ),
    _fixed("tanhshrink", "x - tanh(x)", pointwise.tanh_shrink, pointwise.tanh_shrink_slope),
    Activation(
        name="softshrink",
        make=_soft_shrink,
        expression=lambda lambd: f"max(x - {_text(lambd)}, 0) + min(x + {_text(lambd)}, 0)",
        parameters={"lambd": 0.5},
        bounds={"lambd": SCALE_BOUNDS},
        parameter_aliases={"threshold": "lambd"},
    ),
    _fixed("arctan", "arctan(x)", np.arctan, pointwise.arctan_slope, aliases=("atan",)),
    _fixed("sin", "sin(x)", np.sin, np.cos, forms=closed_forms.sine(), aliases=("sine",)),
    _fixed("cos", "cos(x)", np.cos, pointwise.cos_slope, forms=closed_forms.cosine(), aliases=("cosine",)),
)

CATALOGUE: Mapping[str, Activation] = MappingProxyType({entry.name: entry for entry in _ENTRIES})

_JUMP = "jumps, so phi' holds a delta and E phi'^2 is infinite"
_VECTOR = "acts on a whole vector; the theory is of functions of one number"
REFUSED: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(("step", "sign", "heaviside"), f"it {_JUMP}; a steep tanh(10*x) does not")
    | dict.fromkeys(("hardshrink", "hard_shrink"), f"it {_JUMP}; softshrink does not")
    | {"threshold": f"it {_JUMP}; relu does not"}
    | dict.fromkeys(("softmax", "log_softmax", "softmin", "glu", "maxout"), f"it {_VECTOR}")
    | {
        "prelu": "it learns its slope; name one, as in leaky_relu(slope=0.25)",
        "rrelu": "it draws its slope at random; name one, as in leaky_relu(slope=0.23)",
    }
)


def _key(name: str) -> str:
    return name.replace("_", "").lower()


_BY_KEY = {_key(word): entry for entry in _ENTRIES for word in (entry.name, *entry.aliases)}


def find(name: str) -> Activation | None:
    """The entry of this name or alias, in any case, with or without underscores; None if there is none.

    Examples
    --------
    >>> find("Swish").name, find("HardTanh").name, find("step")
    ('silu', 'hard_tanh', None)
    """
    return _BY_KEY.get(_key(name))
