"""The finite-width answer against independent simulations and the known bias of critical ReLU."""

import json
import math
import re

import numpy as np
import pytest

import meanfield as mf
import verify

ANSWER = {"width": 60, "depth": 6, "networks": 200, "seed": 2}


@pytest.fixture(scope="module")
def relu():
    return verify.width_bias("relu", math.sqrt(2), 0.0, **ANSWER, quantities=("q", "chi"), precision=0.1)


def by_place(answer, quantity):
    return {each.layer: each for each in answer.deviations if each.quantity == quantity}


def test_it_is_what_a_plain_program_sees(relu):
    """ln q of networks that share no code: mean, spread, and the distance of one of them."""
    rng = np.random.default_rng(0)
    logs = []
    for _ in range(300):
        h = rng.standard_normal(60)
        h *= math.sqrt(60) / np.linalg.norm(h)
        for _ in range(5):
            h = rng.standard_normal((60, 60)) @ np.maximum(h, 0) * math.sqrt(2 / 60)
        logs.append(math.log(np.mean(h**2)))
    last = by_place(relu, "q")[6]
    plain_bias, plain_spread = np.mean(logs), np.std(logs, ddof=1)
    error = math.hypot(plain_spread / math.sqrt(300), last.spread / math.sqrt(200))
    assert abs(math.log1p(last.bias) - plain_bias) <= 4 * error
    assert abs(last.spread / plain_spread - 1) <= 4 * math.sqrt(1 / 400 + 1 / 600)
    assert last.deviation == pytest.approx(math.hypot(math.log1p(last.bias), last.spread), rel=1e-12)


def test_deeper_layers_are_further_off(relu):
    """5/(2N) of bias and 5/N of variance a layer, less in the first, where the length is set."""
    deviations = by_place(relu, "q")
    per_layer = (math.log1p(deviations[6].bias) - math.log1p(deviations[2].bias)) / 4
    assert abs(per_layer + 2.5 / 60) <= 4 * deviations[6].standard_error / 4 + 0.005
    assert deviations[1].deviation <= 1e-14
    assert deviations[6].deviation > 1.5 * deviations[2].deviation


def test_the_required_width_gives_the_precision(relu):
    """At the width that is asked for, networks are as far off as was asked."""
    last = by_place(relu, "q")[6]
    N = last.required_width
    b, v = 60 * math.log1p(last.bias), 60 * last.spread**2
    assert math.hypot(b / N, math.sqrt(v / N)) == pytest.approx(0.1, rel=1e-9)
    there = verify.width_bias("relu", math.sqrt(2), 0.0, **{**ANSWER, "width": round(N)}, quantities="q")
    assert abs(there.deviations[-1].deviation - 0.1) <= 0.1 * (3 / math.sqrt(400) + 1.5 * last.required_width_error / N)


def test_the_part_of_an_edge_falls_more_slowly():
    """lambda_max of a linear layer pair, 27/4: the root of (k N^(-2/3) + b/N)^2 + v/N = p^2, found by substitution."""
    given = {"width": 80, "depth": 2, "networks": 200, "precision": 0.1, "quantities": "lambda_max"}
    (found,) = verify.width_bias("linear", 1.0, 0.0, **given).deviations
    approach = verify.predict("linear", 1.0, 0.0, depth=2, quantities="lambda_max").approaches["lambda_max"]
    N, bias = found.required_width, math.log1p(found.bias / found.theory)
    there = approach.shift(N) + 80 * (bias - approach.shift(80)) / N
    assert math.hypot(there, math.sqrt(80 / N) * found.spread / found.theory) == pytest.approx(0.1, rel=1e-9)
    (wide,) = verify.width_bias("linear", 1.0, 0.0, **{**given, "width": round(N)}).deviations
    assert abs(wide.deviation - 0.1) <= 0.1 * (3 / math.sqrt(400) + 2 * found.required_width_error / N)


def test_correlations_have_their_own_units():
    answer = verify.width_bias("tanh", 1.5, 0.3, width=80, depth=3, networks=32, c0=(0.9,), quantities="c")
    second = answer.deviations[1]
    assert "(root mean square, in units of 1 - c^2 for c)" in answer.summary
    assert second.name == "c, c0 = 0.9, layer 2"
    on_scale = second.spread / (1 - second.theory**2)
    assert second.deviation == pytest.approx(on_scale, rel=0.05)


def test_how_many_pairs_are_asked_for_does_not_matter():
    """q is that of one input: the mean over four would spread half as much where they decorrelate."""
    setting = {"width": 50, "depth": 4, "networks": 250}
    alone = verify.width_bias("tanh", 1.5, 0.3, **setting, quantities="q").deviations[3]
    among = verify.width_bias("tanh", 1.5, 0.3, **setting, quantities=("q", "c"), c0=(0.0, 0.5, -0.5), seed=1)
    beside = by_place(among, "q")[4]
    for name in ("spread", "deviation"):
        error = math.hypot(*(getattr(each, f"{name}_error") for each in (alone, beside)))
        assert abs(getattr(alone, name) - getattr(beside, name)) <= 3 * error
        assert error < 0.1 * getattr(alone, name)


@pytest.mark.parametrize(("phi", "sigma_w", "networks"), [("tanh", 1.5, 10), ("x**3", 0.5, 50)])
def test_the_errors_are_those_seen(phi, sigma_w, networks):
    """Of 40 answers, each with other networks; x^3 has heavy tails."""
    setting = {"width": 20, "depth": 2, "networks": networks, "quantities": "q", "precision": 0.1}
    answers = [verify.width_bias(phi, sigma_w, 0.1, **setting, seed=seed).deviations[1] for seed in range(40)]
    for name, error in [("bias", "standard_error")] + [(n, f"{n}_error") for n in ("spread", "deviation")]:
        seen = np.std([getattr(each, name) for each in answers], ddof=1)
        told = np.sqrt(np.mean([getattr(each, error) ** 2 for each in answers]))
        assert 0.7 <= told / seen <= 1.5, name


def test_the_summary_names_the_worst(relu):
    worst = max(relu.deviations, key=lambda each: each.deviation)
    assert worst.name in relu.summary
    assert "(root mean square, relative for q and chi); to be within 0.1 of the theory everywhere" in relu.summary
    assert re.search(r"it takes width \d+ ± \d+, for", relu.summary)
    assert json.loads(relu.to_json())["deviations"][0]["theory"] == 1.0


def test_dead_networks_give_no_number():
    answer = verify.width_bias("relu", 1.0, 0.0, width=2, depth=30, networks=8, quantities="q")
    assert math.isnan(answer.deviations[-1].deviation)
    assert "nan" in answer.summary


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 2}, "width must be >= 3"),
        ({"networks": 1}, "networks must be"),
        ({"precision": -1}, "precision must"),
    ],
)
def test_bad_arguments(change, message):
    with pytest.raises(mf.InvalidParameterError, match=message):
        verify.width_bias("tanh", 1.5, 0.3, **{"width": 50, "depth": 2, **change})
