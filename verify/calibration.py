"""How often a verdict is wrong: false alarms on right theories, and the power to see wrong ones, over many seeds."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.special import bdtr, betaincinv, stdtr

from meanfield.arguments import integer, interval, scalar
from meanfield.errors import InvalidParameterError
from meanfield.results import Result
from meanfield.sweeps import sweep
from verify.certificate import predict
from verify.comparison import Comparison, compare_all, judge
from verify.long_runs import open_store, refuse_large
from verify.records import Prediction, Simulation
from verify.reports import listed
from verify.sampling import sample
from verify.settings import checked_budget, checked_setting, plain_setting
from verify.signals import SignalSetting
from verify.wrong_theories import controls, off_by, wrong_networks

__all__ = ["Alternative", "Calibration", "binomial_band", "calibrate", "share"]

DETECTED = 0.99  # what counts as seen, in the power curves
MOST_RUNS = 10**6
REJECTED = 0.9  # what every gross error has to reach


@dataclass(frozen=True, kw_only=True, eq=False)
class Alternative(Result):
    """A wrong theory and how often it was rejected.

    Attributes
    ----------
    name : str
        What is wrong with the theory, or with how networks are drawn.
    parameter : str
        "sigma_w" or "sigma_b" for a point of a power curve, "control" for a gross error.
    size : float
        Relative error of the parameter; nan for a control.
    rejected : int
        Runs that rejected it.
    rate, low, high : float
        Share of the runs, with its 95 % confidence interval (Clopper and Pearson).
    expected : float
        The share to expect of the most telling check by itself, from how far the predictions are apart and the standard
        errors seen; nan where the networks are wrong, not the theory.
    visible : bool
        `expected` is 99 % or nan: rejections may be demanded.
    """

    name: str
    parameter: str
    size: float
    rejected: int
    rate: float
    low: float
    high: float
    expected: float
    visible: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class Calibration(Result):
    """Error rates of the verdict at one point and one budget.

    Attributes
    ----------
    runs : int
    level : float
        The false-alarm rate that verdicts promise not to exceed.
    false_alarms : int
        Runs in which the right theory was rejected.
    false_alarm_rate, low, high : float
        Their share, with its 95 % confidence interval (Clopper and Pearson).
    band : tuple of int
        False alarms that 99 % of all calibrations would see if the rate were the level exactly. Only its upper end is
        tested: the level is promised at most, and Holm's method stays below it where checks are correlated.
    alternatives : tuple of Alternative
    smallest : mapping
        For sigma_w and sigma_b the smallest relative error tried from which on all, of either sign, were rejected in
        99 % of the runs; nan if there is none.
    passed : bool
        No more false alarms than the band allows, every visible control rejected in 90 % of the runs, and one visible.
    summary : str
        The same in words.
    """

    runs: int
    level: float
    false_alarms: int
    false_alarm_rate: float
    low: float
    high: float
    band: tuple[int, int]
    alternatives: tuple[Alternative, ...]
    smallest: Mapping[str, float]
    passed: bool
    summary: str


@dataclass(frozen=True, kw_only=True, eq=False)
class _Plan:
    setting: SignalSetting
    widths: tuple[int, ...]
    networks: int
    seed: np.random.SeedSequence
    level: float
    predictions: tuple[Prediction, ...]
    wrong_networks: tuple[SignalSetting, ...]


def calibrate(
    phi,
    sigma_w,
    sigma_b,
    *,
    runs=100,
    depth=10,
    widths=(250, 500, 1000),
    networks=64,
    weights="gaussian",
    quantities=None,
    q0=1.0,
    c0=(0.5,),
    lengths="free",
    method="sampled",
    level=0.01,
    sigma_w_errors=(0.0025, 0.005, 0.01, 0.02, 0.05),
    sigma_b_errors=(0.01, 0.02, 0.05, 0.1, 0.2),
    seed=0,
    executor=None,
    folder=None,
    resume=False,
    max_memory=None,
) -> Calibration:
    """Run a check `runs` times with new networks, against the right theory and against wrong ones.

    Parameters
    ----------
    runs : int, from 10 to 1 000 000
    sigma_w_errors, sigma_b_errors : sequence of float, in (0, 1)
        Relative errors of the power curves; both signs of each are tried. There may be none.
    phi, sigma_w, sigma_b, depth, widths, networks, weights, quantities, q0, c0, lengths, method, level, seed, executor
        As for `check`. An executor gets one run at a time.
    folder : path, optional
        Where the verdicts of each finished run are kept, so that a calibration that ends early can go on; with more
        runs it goes on too.
    resume, max_memory
        As for `check`.

    Returns
    -------
    Calibration

    Raises
    ------
    InvalidParameterError
        An argument is outside its range.
    NonlinearityError
        phi cannot be used, or a moment is infinite.

    Notes
    -----
    The law of the weights does not enter what the theory says of q, c, chi and gradient: to calibrate against the law
    of the other ensemble ask for "jacobian_moment" or "mean_log_sigma", and for "trace" with orthogonal weights to
    calibrate against QR factors that are not Haar.

    Examples
    --------
    >>> found = calibrate("tanh", 1.5, 0.3, runs=10, depth=3, widths=(50, 100), networks=8)
    >>> found.false_alarms <= found.band[1]
    True
    """
    common = {"depth": depth, "weights": weights, "quantities": quantities, "q0": q0, "c0": c0, "lengths": lengths}
    setting = checked_setting(phi, sigma_w, sigma_b, **common, method=method)
    common["quantities"] = setting.quantities
    count = integer("runs", runs, low=10, high=MOST_RUNS)
    chance = scalar("level", level, low=0.0, high=1.0, open_low=True, open_high=True)
    sizes = {
        "sigma_w": _errors("sigma_w_errors", sigma_w_errors),
        "sigma_b": _errors("sigma_b_errors", sigma_b_errors) if setting.law.sigma_b > 0 else (),
    }
    sizes_of_networks, size, _, root = checked_budget(setting, widths, networks, None, seed)
    refuse_large(setting, sizes_of_networks, size, max_memory, repeated=count)
    key = {"widths": sizes_of_networks, "networks": size, "level": chance, "errors": sizes}
    store = open_store(folder, resume, function="calibrate", setting=setting, seed=root, **key)
    wrong = [*off_by(setting, sizes), *controls(setting)]
    drawn = wrong_networks(setting)
    plan = _Plan(
        setting=setting,
        widths=sizes_of_networks,
        networks=size,
        seed=root,
        level=chance,
        predictions=(predict(phi, sigma_w, sigma_b, **common), *(each.prediction for each in wrong)),
        wrong_networks=tuple(drawn.values()),
    )
    judged = np.array(sweep(partial(_judge_run, plan), range(count), executor=executor, store=store), dtype=np.float64)
    rejected, expected = judged[:, 0].sum(axis=0), judged[:, 1].mean(axis=0)
    names = [(each.name, each.parameter, each.size) for each in wrong]
    names += [(name, "control", math.nan) for name in drawn]
    alternatives = tuple(
        _alternative(*name, int(times), count, float(power))
        for name, times, power in zip(names, rejected[1:], expected[1:], strict=True)
    )
    return _calibration(int(rejected[0]), count, chance, alternatives)


def share(times: int, runs: int) -> tuple[float, float, float]:
    """times/runs and its 95 % confidence interval.

    References
    ----------
    .. [1] C. Clopper, E. S. Pearson, Biometrika 26 (1934) 404.
    """
    low = float(betaincinv(times, runs - times + 1, 0.025)) if times else 0.0
    high = float(betaincinv(times + 1, runs - times, 0.975)) if times < runs else 1.0
    return times / runs, low, high


def binomial_band(runs: int, rate: float) -> tuple[int, int]:
    """The counts that an event of this rate has with probability 0.99, 0.005 at most on either side."""
    below = bdtr(np.arange(runs + 1), runs, rate)
    return int(np.searchsorted(below, 0.005, side="right")), int(np.searchsorted(below, 0.995))


def _errors(name: str, sizes) -> tuple[float, ...]:
    if isinstance(sizes, Sequence) and not sizes:
        return ()
    array = interval(name, sizes, low=0.0, high=1.0, open_low=True, open_high=True)
    if array.ndim > 1:
        raise InvalidParameterError(f"{name} must be a sequence of numbers, got an array of shape {array.shape}")
    return tuple(sorted(array.reshape(-1).tolist()))


def _judge_run(plan: _Plan, run: int) -> list[list[float]]:
    """Does a check with this run's networks reject each of the predictions, and the right one wrong networks?

    First 1 for yes and 0 for no, then the powers to be expected.
    """
    seed = np.random.SeedSequence(plan.seed.entropy, spawn_key=(*plan.seed.spawn_key, run))
    right, *others = (
        Simulation(
            samples=sample(setting, plan.widths, range(plan.networks), seed),
            **plain_setting(setting),
        )
        for setting in (plan.setting, *plan.wrong_networks)
    )
    compared = [compare_all(prediction, right) for prediction in plan.predictions]
    of_wrong_networks = [compare_all(plan.predictions[0], wrong) for wrong in others]
    return [
        [float(_is_rejected(each, plan.level)) for each in (*compared, *of_wrong_networks)],
        [*(_expected_power(each, compared[0], plan.level) for each in compared), *(math.nan for _ in others)],
    ]


def _is_rejected(comparisons: Sequence[Comparison], level: float) -> bool:
    *_, contradicts = judge(comparisons, level)
    return bool(np.any(contradicts))


def _expected_power(wrong: Sequence[Comparison], right: Sequence[Comparison], level: float) -> float:
    """With what probability the shift between the predictions takes the most telling check past its critical value."""
    single = level / sum(len(each.places) for each in wrong)
    values = {each.quantity: each.distance for each in right}
    powers = []
    for each in wrong:
        beyond = np.abs(each.distance - values[each.quantity]) - each.resolution(single)
        with np.errstate(divide="ignore", invalid="ignore"):
            power = stdtr(each.found.degrees_of_freedom, beyond / each.found.standard_error)
        # A prediction that is not finite fails.
        powers.append(np.where(each.undecided(single), 0.0, np.where(np.isnan(power), 1.0, power)).max())
    return float(max(powers))


def _alternative(name: str, parameter: str, size: float, rejected: int, runs: int, expected: float) -> Alternative:
    rate, low, high = share(rejected, runs)
    return Alternative(
        name=name,
        parameter=parameter,
        size=size,
        rejected=rejected,
        rate=rate,
        low=low,
        high=high,
        expected=expected,
        visible=not expected < DETECTED,
    )


def _calibration(false_alarms: int, runs: int, level: float, alternatives: Sequence[Alternative]) -> Calibration:
    band = binomial_band(runs, level)
    rate, low, high = share(false_alarms, runs)
    gross = [each for each in alternatives if each.parameter == "control"]
    missed = [each.name for each in gross if each.visible and each.rate < REJECTED]
    small = [each.name for each in gross if not each.visible and each.rate < REJECTED]
    blind = bool(gross) and not any(each.visible for each in gross)
    smallest = {parameter: _smallest(alternatives, parameter) for parameter in ("sigma_w", "sigma_b")}
    passed = false_alarms <= band[1] and not missed and not blind
    return Calibration(
        runs=runs,
        level=level,
        false_alarms=false_alarms,
        false_alarm_rate=rate,
        low=low,
        high=high,
        band=band,
        alternatives=tuple(alternatives),
        smallest=smallest,
        passed=passed,
        summary=_summary(false_alarms, runs, level, band, smallest) + _on_gross_errors(missed, small, blind),
    )


def _smallest(alternatives: Sequence[Alternative], parameter: str) -> float:
    """From the largest error down, the last one before either sign is missed."""
    own = [each for each in alternatives if each.parameter == parameter]
    found = math.nan
    for size in sorted({abs(each.size) for each in own}, reverse=True):
        if any(each.rate < DETECTED for each in own if abs(each.size) == size):
            break
        found = size
    return found


def _summary(false_alarms, runs, level, band, smallest) -> str:
    text = (
        f"The right theory was rejected in {false_alarms} of {runs} runs; a rate of at most {level:g}, as the level "
        f"promises, gives no more than {band[1]} (with probability 0.995)."
    )
    for parameter, size in smallest.items():
        if size == size:
            text += f" An error of {100 * size:g} % in {parameter} was seen in at least 99 % of these runs."
    return text


def _on_gross_errors(missed: Sequence[str], small: Sequence[str], blind: bool) -> str:
    text = f" Missed too often: {listed(missed)}." if missed else ""
    if blind:
        return f"{text} No gross error changes the prediction by more than these networks could show."
    return text + (f" Too small a change for these networks to show: {listed(small)}." if small else "")
