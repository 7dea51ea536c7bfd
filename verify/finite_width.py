"""How far networks of one width are from the theory of infinite width, and how wide they must be to come near."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from meanfield.arguments import integer, seed_sequence
from meanfield.results import Result
from verify.approach import DIRECT, Approach
from verify.certificate import predict
from verify.long_runs import open_store, refuse_large
from verify.quantities import QUANTITIES
from verify.records import Prediction
from verify.reports import entry_name, listed
from verify.sampling import sample
from verify.settings import checked_precision, checked_setting, checked_width

__all__ = ["Deviation", "WidthBias", "width_bias"]

Pair = tuple[np.ndarray, np.ndarray]  # values and their standard errors


@dataclass(frozen=True, kw_only=True, eq=False)
class Deviation(Result):
    """What finite width does to one number of the theory.

    Attributes
    ----------
    name, quantity, label, layer
        As in a Check.
    theory : float
        At infinite width.
    bias, standard_error : float
        Typical network (mean on the quantity's scale) less theory, and its error.
    spread, spread_error : float
        Standard deviation from network to network, of one input (of one pair for c), and its standard error: both on
        the scale, turned into units of the theory's value.
    deviation, deviation_error : float
        Root mean square distance of one network from the theory, on the scale: relative for q and chi, in units of
        1 - c^2 for c; and its standard error.
    required_width, required_width_error : float
        Where that distance comes down to the precision asked for, with its standard error; its bias and variance taken
        to fall as 1/width, but for the part of the bias that is known to fall as width^(-2/3), that of lambda_max.
    """

    name: str
    quantity: str
    label: str
    layer: int
    theory: float
    bias: float
    standard_error: float
    spread: float
    spread_error: float
    deviation: float
    deviation_error: float
    required_width: float
    required_width_error: float


@dataclass(frozen=True, kw_only=True, eq=False)
class WidthBias(Result):
    """The finite-width answer, entry by entry.

    Attributes
    ----------
    width, depth, networks : int
    precision : float
    deviations : tuple of Deviation
    summary : str
        The largest deviations and the width needed, in words.
    """

    width: int
    depth: int
    networks: int
    precision: float
    deviations: tuple[Deviation, ...]
    summary: str


def width_bias(
    phi,
    sigma_w,
    sigma_b,
    *,
    width,
    depth,
    networks=64,
    precision=0.05,
    weights="gaussian",
    quantities=None,
    q0=1.0,
    c0=(0.5,),
    lengths="free",
    method="sampled",
    seed=0,
    executor=None,
    folder=None,
    resume=False,
    max_memory=None,
) -> WidthBias:
    """How far a network of this width and depth is from the theory, measured on simulated ones.

    Parameters
    ----------
    width : int
    precision : float, in [1e-9, 1]
        The distance wanted: relative for q and chi, in units of 1 - c^2 for c.
    phi, sigma_w, sigma_b, depth, networks, weights, quantities, q0, c0, lengths, method, seed, executor, folder,
    resume, max_memory
        As for `simulate`.

    Returns
    -------
    WidthBias

    Raises
    ------
    InvalidParameterError
        An argument is outside its range.
    NonlinearityError
        phi cannot be used, or a moment is infinite.

    Notes
    -----
    With bias b/N and variance v/N at width N, one network is off by sqrt(b^2/N^2 + v/N) in the root mean square, and
    by `precision` = p at N = [v + sqrt(v^2 + 4 p^2 b^2)]/(2 p^2); the bias of lambda_max has a known term of order
    N^(-2/3) besides. That is so at one input, and of c at one pair of inputs: how many pairs `c0` has does not matter.

    Examples
    --------
    >>> answer = width_bias("tanh", 1.5, 0.3, width=100, depth=3, networks=16)
    >>> len(answer.deviations)
    9
    """
    common = {"depth": depth, "weights": weights, "quantities": quantities, "q0": q0, "c0": c0, "lengths": lengths}
    setting = checked_setting(phi, sigma_w, sigma_b, **common, method=method)
    common["quantities"] = setting.quantities
    # An average over inputs would spread less than what a network does to one of them.
    setting = replace(setting, inputs_of_q=1)
    size = checked_width("width", width, setting)
    count = integer("networks", networks, low=2)
    wanted = checked_precision(precision)
    root = seed_sequence(seed)
    refuse_large(setting, (size,), count, max_memory)
    store = open_store(folder, resume, function="width_bias", setting=setting, seed=root, widths=(size,))
    prediction = predict(phi, sigma_w, sigma_b, **common)
    samples = sample(setting, (size,), range(count), root, executor=executor, store=store)
    deviations = tuple(
        deviation
        for name in setting.quantities
        for deviation in _deviations(name, prediction, samples[name][size], size, wanted)
    )
    return WidthBias(
        width=size,
        depth=setting.law.depth,
        networks=count,
        precision=wanted,
        deviations=deviations,
        summary=_summary(deviations, size, wanted),
    )


def _deviations(
    name: str, prediction: Prediction, samples: np.ndarray, width: int, precision: float
) -> list[Deviation]:
    quantity, theory = QUANTITIES[name], prediction.values[name]
    scale, expected, networks = quantity.scale, theory.ravel(), len(samples)
    on_scale = scale.apply(samples.reshape(networks, -1)) - scale.apply(expected)
    with np.errstate(
        invalid="ignore", divide="ignore"
    ):  # the logarithm of a dead network's length; layers that are set
        bias, variance = on_scale.mean(axis=0), on_scale.var(axis=0, ddof=1)
        bias_error, variance_error = np.sqrt(variance / networks), _variance_error(on_scale)
        spread, deviation = np.sqrt(variance), np.sqrt(bias**2 + variance)
        spread_error = np.where(variance == 0, 0.0, variance_error / (2 * spread))
        deviation_error = np.hypot(bias * bias_error, variance_error / 2) / deviation
    approach = prediction.approaches.get(name, DIRECT)
    needed, needed_error = _required_width(width, (bias, bias_error), (variance, variance_error), precision, approach)
    typical = scale.invert(scale.apply(expected) + bias)
    stretch = scale.stretch(expected)
    columns = {
        "theory": expected,
        "bias": typical - expected,
        "standard_error": bias_error / scale.stretch(typical),
        "spread": spread / stretch,
        "spread_error": spread_error / stretch,
        "deviation": deviation,
        "deviation_error": np.where(deviation == 0, 0.0, deviation_error),
        "required_width": needed,
        "required_width_error": needed_error,
    }
    return [
        Deviation(
            name=entry_name(name, label, layer),
            quantity=name,
            label=label,
            layer=layer,
            **{key: float(column[index]) for key, column in columns.items()},
        )
        for index, (label, layer) in enumerate(quantity.places(theory.shape, prediction.c0))
    ]


def _variance_error(values: np.ndarray) -> np.ndarray:
    """Standard error of the variance over the first axis: from fourth moments, and that of normal values at least.

    Few values show little of a fourth moment; that of two is always the square of the second.
    """
    count = len(values)
    squares = (values - values.mean(axis=0)) ** 2
    return np.sqrt(np.maximum(squares.var(axis=0) / count, 2 * (squares.sum(axis=0) / (count - 1)) ** 2 / (count - 1)))


def _required_width(width: int, bias: Pair, variance: Pair, precision: float, approach: Approach) -> Pair:
    """The root of (shift(N) + b/N)^2 + v/N = precision^2, and its standard error from those of b and v."""
    (b, b_error), (v, v_error) = ((width * value, width * error) for value, error in (bias, variance))
    if approach.rate:
        own = b - width * float(approach.shift(width)), b_error
        first, _ = _required_with_edge(own, (v, v_error), precision, approach, width)
        # Near an outlier the shift is another one at larger widths.
        return _required_with_edge(own, (v, v_error), precision, approach, float(np.nanmax(first)))
    root = np.sqrt(v**2 + (2 * precision * b) ** 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        by_b = np.where(root == 0, 0.0, 2 * b / root) * b_error
        by_v = np.where(root == 0, 0.0, 1 + v / root) / (2 * precision**2) * v_error
    return (v + root) / (2 * precision**2), np.hypot(by_b, by_v)


def _required_with_edge(b: Pair, v: Pair, precision: float, approach: Approach, near: float) -> Pair:
    """The same with the shift k N^(-2/3) that holds near a width: of a polynomial in y = N^(-1/3), entry by entry."""
    k = float(approach.shift(near)) * near ** (2 / 3)
    needed, error = np.empty_like(b[0]), np.empty_like(b[0])
    for i, (own_b, own_v) in enumerate(zip(b[0], v[0], strict=True)):
        polynomial = np.polynomial.Polynomial([-(precision**2), 0.0, 0.0, own_v, k**2, 2 * k * own_b, own_b**2])
        roots = polynomial.roots() if np.isfinite(polynomial.coef).all() else np.empty(0)
        y = min((root.real for root in roots if abs(root.imag) <= 1e-9 * abs(root) and root.real > 0), default=math.nan)
        by_y = polynomial.deriv()(y)
        by_b, by_v = (2 * k * y**5 + 2 * own_b * y**6) / by_y, y**3 / by_y
        needed[i], error[i] = y**-3, 3 * y**-4 * math.hypot(by_b * b[1][i], by_v * v[1][i])
    return needed, error


def _summary(deviations: Sequence[Deviation], width: int, precision: float) -> str:
    worst: dict[str, Deviation] = {}
    for each in deviations:
        known = worst.get(each.quantity)
        if known is None or not each.deviation <= known.deviation:
            worst[each.quantity] = each
    units: dict[str, list[str]] = {}
    for name in worst:
        units.setdefault(QUANTITIES[name].scale.unit, []).append(name)
    needed = max(worst.values(), key=lambda each: each.required_width)
    apart = listed([f"{each.deviation:.2g} in {each.name}" for each in worst.values()])
    measured_in = ", ".join(f"{unit} for {listed(names)}" for unit, names in units.items())
    return (
        f"At width {width} one network is off by {apart} (root mean square, {measured_in}); to be within {precision:g} "
        f"of the theory everywhere, in the same units, it takes width {_two_digits(needed.required_width)} ± "
        f"{_two_digits(needed.required_width_error)}, for {needed.name}."
    )


def _two_digits(number: float) -> str:
    return f"{float(f'{number:.2g}'):.0f}"
