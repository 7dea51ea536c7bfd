"""One quantity of the theory against its samples, entry by entry, on the quantity's scale."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from meanfield.errors import InvalidParameterError
from verify.approach import DIRECT, Approach
from verify.quantities import QUANTITIES, Place
from verify.records import Prediction, Simulation
from verify.reports import Check, entry_name, listed
from verify.sampling import estimate
from verify.scales import LOG, ROUNDING, Scale
from verify.statistics import Extrapolation, holm, p_values, t_quantile

__all__ = [
    "UNKNOWN",
    "Comparison",
    "compare_all",
    "compare_quantity",
    "coverage",
    "differences",
    "judge",
    "left_out",
    "make_checks",
]

# On every scale a difference of this size is a large one: 65 % of a length.
LARGE = 0.5
UNKNOWN = "Too little is known of"
SETTING = ("phi", "sigma_w", "sigma_b", "depth", "weights", "q0", "lengths")


@dataclass(frozen=True, kw_only=True, eq=False)
class Comparison:
    """The entries that theory and simulation share, all arrays (entries,).

    Attributes
    ----------
    theory : array
        In the quantity's own units.
    found : Extrapolation
        Of the samples, on the scale.
    distance : array
        Simulation less theory on the scale.
    allowance : array
        What rounding, the theory's error and curvature in 1/width may explain of it.
    approach : Approach
        What is known beforehand of the difference between a width and infinite width, on the scale.
    """

    quantity: str
    places: Sequence[Place]
    theory: np.ndarray
    found: Extrapolation
    distance: np.ndarray
    allowance: np.ndarray
    approach: Approach = DIRECT

    @property
    def excess(self) -> np.ndarray:
        """The part of |distance| beyond the allowance."""
        return np.maximum(np.abs(self.distance) - self.allowance, 0.0)

    @property
    def z(self) -> np.ndarray:
        """The excess in standard errors, with the sign of the distance."""
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.copysign(self.excess / self.found.standard_error, self.distance)
        return np.where(self.excess == 0, 0.0, ratio)

    @property
    def p(self) -> np.ndarray:
        """p-values, each for itself."""
        return p_values(self.excess, self.found.standard_error, self.found.degrees_of_freedom)

    @property
    def estimate(self) -> np.ndarray:
        """In the quantity's own units."""
        return self._scale.invert(self.found.value)

    @property
    def standard_error(self) -> np.ndarray:
        """Of `estimate`."""
        with np.errstate(divide="ignore"):  # of an infinite depth scale
            return self.found.standard_error / self._scale.stretch(self.estimate)

    @property
    def width_bias(self) -> np.ndarray:
        """Fitted difference between the largest width and infinite width, in the quantity's own units."""
        widest = self.found.widths[-1]
        with np.errstate(invalid="ignore"):
            typical = self.found.value + self.approach.shift(widest) + self.found.slope / widest
            return self._scale.invert(typical) - self.estimate

    def resolution(self, level: float) -> np.ndarray:
        """The smallest distance on the scale that a test at this level rejects."""
        return self.allowance + t_quantile(level, self.found.degrees_of_freedom) * self.found.standard_error

    @property
    def random(self) -> np.ndarray:
        """Where networks differ: not so in a first layer that is set."""
        return self.found.standard_error > ROUNDING

    def undecided(self, level: float) -> np.ndarray:
        """Where a test at this level could not see a LARGE distance: heavy tails may then look like one.

        Networks without spread have lost it where they had one in an earlier layer, as correlations that reach 1.
        """
        resolution = self.resolution(level)
        coarse = self.random & ~((resolution <= LARGE) & np.isfinite(self.in_units(resolution)))
        coarse &= np.isfinite(self.theory)  # a theory without a value is wrong
        first: dict[str, int] = {}
        for (label, layer), bad in zip(self.places, coarse, strict=True):
            if bad:
                first[label] = min(layer, first.get(label, layer))
        later = np.array([layer > first.get(label, layer) for label, layer in self.places])
        return coarse | (later & (self.found.standard_error <= ROUNDING))

    def in_units(self, distance: np.ndarray) -> np.ndarray:
        """A distance from the theory on the scale, in the quantity's own units."""
        scale = self._scale
        return np.abs(scale.invert(scale.apply(self.theory) + distance) - self.theory)

    @property
    def _scale(self):
        return QUANTITIES[self.quantity].scale


def compare_quantity(
    name: str,
    places: Sequence[Place],
    theory: np.ndarray,
    error: np.ndarray,
    samples: Mapping[int, np.ndarray],
    drift: np.ndarray | float = 0.0,
    approach: Approach = DIRECT,
) -> Comparison:
    """Theory with its error bound (entries,) against {width: array (networks, entries)}.

    `drift` is what single precision may have done to the samples, on the scale.
    """
    scale = QUANTITIES[name].scale
    found = estimate(name, samples, approach)
    expected = scale.apply(theory)
    # Of the value, and of its place on the scale: where networks have no spread, nothing else covers it.
    rounding = _reach(scale, theory, scale.rounding(theory)) + ROUNDING * np.abs(expected)
    return Comparison(
        quantity=name,
        places=places,
        theory=theory,
        found=found,
        distance=found.value - expected,
        allowance=_reach(scale, theory, error) + found.leverage * (rounding + drift) + found.curvature_bound,
        approach=approach,
    )


def _reach(scale: Scale, theory: np.ndarray, error: np.ndarray) -> np.ndarray:
    """How far an error of the theory goes on the scale."""
    expected = scale.apply(theory)
    return np.maximum(scale.apply(theory + error) - expected, expected - scale.apply(theory - error))


def compare_all(prediction: Prediction, simulation: Simulation) -> list[Comparison]:
    """A comparison for every quantity that both have, over the places that both have.

    Raises
    ------
    InvalidParameterError
        There is none.
    """
    _check_records(prediction, simulation)
    predicted, measured = _places_of_theory(prediction), _places_of_networks(simulation)
    found = []
    for name, values in prediction.values.items():
        arrays = simulation.samples.get(name, {})
        theirs = {place: index for index, place in enumerate(measured.get(name, []))}
        shared = [(index, place) for index, place in enumerate(predicted[name]) if place in theirs]
        if not shared:
            continue
        own = [index for index, _ in shared]
        other = [theirs[place] for _, place in shared]
        samples = {width: array.reshape(len(array), -1)[:, other] for width, array in arrays.items()}
        found.append(
            compare_quantity(
                name,
                [place for _, place in shared],
                values.ravel()[own],
                prediction.errors[name].ravel()[own],
                samples,
                drift=simulation.drift[name].ravel()[other] if name in simulation.drift else 0.0,
                approach=prediction.approaches.get(name, DIRECT),
            )
        )
    if not found:
        raise InvalidParameterError(
            "prediction and simulation must share a quantity, with equal c0 for c: got "
            f"{', '.join(prediction.values)} and {', '.join(simulation.samples)}"
        )
    return found


def left_out(prediction: Prediction, simulation: Simulation) -> list[str]:
    """What only one of the two has, in a sentence; none if there is nothing."""
    sides = _places_of_theory(prediction), _places_of_networks(simulation)
    parts = []
    for (own, other), who in zip((sides, sides[::-1]), ("theory", "simulation"), strict=True):
        lone = [words for name, places in own.items() for words in _lone(name, places, other.get(name, []))]
        if lone:
            parts.append(f"{listed(lone)}, which only the {who} has")
    return [f"Not compared: {'; '.join(parts)}."] if parts else []


def _lone(name: str, places: Sequence[Place], others: Sequence[Place]) -> list[str]:
    """The places without one among the others, in words: a series as a whole, or from some layer on."""
    if not others:
        return [name]
    first: dict[str, int] = {}
    for label, layer in places:
        if (label, layer) not in others:
            first.setdefault(label, layer)
    return [
        f"{name}{f' at {label}' if label else ''}{f' from layer {layer} on' if layer > 1 else ''}"
        for label, layer in first.items()
    ]


def differences(prediction: Prediction, simulation: Simulation) -> list[str]:
    """Where the two are not of the same networks, as far as the simulation says what its are, in a sentence."""
    pairs = [(name, getattr(prediction, name), getattr(simulation, name)) for name in SETTING]
    pairs = [(name, ours, theirs) for name, ours, theirs in pairs if theirs not in ("", None) and theirs == theirs]
    named = [(f"{name} = {ours}", f"{name} = {theirs}") for name, ours, theirs in pairs if ours != theirs]
    if not named:
        return []
    ours, theirs = (listed(side) for side in zip(*named, strict=True))
    return [f"The theory is for {ours}, the simulation for {theirs}."]


def _places_of_theory(prediction: Prediction) -> dict[str, list[Place]]:
    return {name: QUANTITIES[name].places(each.shape, prediction.c0) for name, each in prediction.values.items()}


def _places_of_networks(simulation: Simulation) -> dict[str, list[Place]]:
    return {
        name: QUANTITIES[name].places(next(iter(arrays.values())).shape[1:], simulation.c0)
        for name, arrays in simulation.samples.items()
    }


def _check_records(prediction, simulation) -> None:
    for name, given, kind in (("prediction", prediction, Prediction), ("simulation", simulation, Simulation)):
        if not isinstance(given, kind):
            raise InvalidParameterError(f"{name} must be a {kind.__name__}, got {type(given).__name__}")


def judge(comparisons: Sequence[Comparison], level: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of every entry its adjusted p-value, whether too little is known of it, and whether it contradicts the theory.

    Undecided entries count among the tests, so that leaving them out keeps the level.
    """
    adjusted = holm(np.concatenate([each.p for each in comparisons]))
    undecided = np.concatenate([each.undecided(level / adjusted.size) for each in comparisons])
    return adjusted, undecided, ~undecided & ~(adjusted >= level)


def make_checks(comparisons: Sequence[Comparison], level: float) -> list[Check]:
    """A check for every entry, at the level of all together."""
    adjusted, undecided, contradicts = judge(comparisons, level)
    single = level / adjusted.size
    checks = []
    for comparison in comparisons:
        columns = {
            "theory": comparison.theory,
            "estimate": comparison.estimate,
            "standard_error": comparison.standard_error,
            "degrees_of_freedom": comparison.found.degrees_of_freedom,
            "width_bias": comparison.width_bias,
            "z": comparison.z,
            "resolution": comparison.in_units(comparison.resolution(single)),
        }
        for index, (label, layer) in enumerate(comparison.places):
            number = len(checks)
            checks.append(
                Check(
                    name=entry_name(comparison.quantity, label, layer),
                    quantity=comparison.quantity,
                    label=label,
                    layer=layer,
                    p_value=float(adjusted[number]),
                    undecided=bool(undecided[number]),
                    passed=not contradicts[number],
                    **{name: float(column[index]) for name, column in columns.items()},
                )
            )
    return checks


def coverage(comparisons: Sequence[Comparison], level: float, *, lengths: str) -> list[str]:
    """What the comparisons could have noticed, each at this level, and where that is too little to say much."""
    seen, unseen = [], []
    for comparison in comparisons:
        resolution = comparison.resolution(level)
        undecided = comparison.undecided(level)
        fine = comparison.random & ~undecided
        if fine.any():
            worst = np.where(fine, comparison.in_units(resolution), 0.0)
            size = (
                f"{100 * np.expm1(resolution[fine].max()):.2g} %" if _is_relative(comparison) else f"{worst.max():.2g}"
            )
            seen.append(f"{size} in {comparison.quantity}")
        blurred = [place for place, bad in zip(comparison.places, undecided, strict=True) if bad]
        first = min((layer for _, layer in blurred), default=0)
        if first:
            unseen.append(f"{comparison.quantity} from layer {first} on")
        else:
            unseen += [f"{comparison.quantity}{f' at {label}' if label else ''}" for label, _ in blurred]
    if not unseen:
        return [f"Differences of {listed(seen)} would have been noticed in every layer."] if seen else []
    remedy = "larger widths or fewer layers" if lengths == "reset" else 'larger widths, fewer layers or lengths="reset"'
    notes = [f"{UNKNOWN} {listed(unseen)}, where the networks differ too much: take {remedy}."]
    return [*notes, f"Elsewhere differences of {listed(seen)} would have been noticed."] if seen else notes


def _is_relative(comparison: Comparison) -> bool:
    return QUANTITIES[comparison.quantity].scale is LOG
