"""Reports and records: what they say, what they carry, what they refuse."""

import dataclasses
import json
import math
import pickle
import re

import numpy as np
import pytest

import meanfield as mf
import verify

SMALL = {"depth": 4, "widths": (50, 100, 200), "networks": 24}
SIGMA_W, SIGMA_B = 1.5, 0.3


@pytest.fixture(scope="module")
def simulation():
    return verify.simulate("tanh", SIGMA_W, SIGMA_B, **SMALL, seed=1)


def test_the_report_explains_itself():
    report = verify.check("tanh", SIGMA_W, SIGMA_B, **SMALL)
    assert report.verdict.startswith("The theory holds: all 12 checks of q, c and chi agree with simulated networks of")
    assert "width 50, 100 and 200" in report.verdict
    assert "would have been noticed" in report.notes[0]
    assert [check.name for check in report.checks[3:6]] == [
        "q, layer 4",
        "c, c0 = 0.5, layer 1",
        "c, c0 = 0.5, layer 2",
    ]
    record = json.loads(report.to_json())
    assert record["checks"][0]["theory"] == 1.0
    assert record["level"] == 0.01
    assert pickle.loads(pickle.dumps(report)).to_dict() == report.to_dict()
    assert report.raise_if_failed() is report
    with pytest.raises(dataclasses.FrozenInstanceError):
        report.passed = False


def test_a_failed_report_is_an_error_that_carries_it(simulation):
    report = verify.compare(verify.predict("tanh", 2.0, SIGMA_B, depth=4), simulation)
    worst = max(report.checks, key=lambda check: abs(check.z))
    assert not worst.passed
    assert f"most of all {worst.name}: theory {worst.theory:.5g}" in report.verdict
    with pytest.raises(verify.VerificationError, match="The theory fails") as caught:
        report.raise_if_failed()
    assert caught.value.report is report
    assert isinstance(caught.value, mf.MeanFieldError)
    assert pickle.loads(pickle.dumps(caught.value)).report.to_dict() == report.to_dict()


def test_a_check_fits_its_own_numbers(simulation):
    """z, p, resolution and passed of every check belong together."""
    report = verify.compare(verify.predict("tanh", 1.53, SIGMA_B, depth=4), simulation, level=0.05)
    for check in report.checks:
        assert check.passed == (check.p_value >= 0.05)
        if check.layer > 1:
            assert np.sign(check.z) in (0, np.sign(check.estimate - check.theory))
            distance = abs(check.estimate - check.theory)
            assert (distance > check.resolution) <= (not check.passed)
            assert abs(check.z) <= distance / check.standard_error * 1.2 + 0.05
        else:
            assert check.passed == (check.quantity != "chi" or check.p_value >= 0.05)


def test_the_level_is_a_threshold(simulation):
    prediction = verify.predict("tanh", 1.53, SIGMA_B, depth=4)
    adjusted = min(check.p_value for check in verify.compare(prediction, simulation).checks)
    assert 0 < adjusted < 0.5
    assert verify.compare(prediction, simulation, level=adjusted * 0.999).passed
    assert not verify.compare(prediction, simulation, level=min(adjusted * 1.001, 0.999)).passed


def test_where_networks_differ_too_much_the_report_says_so():
    """Lengths of critical ReLU layers wander, the more the deeper."""
    settings = {"depth": 30, "widths": (50, 100, 200), "networks": 24, "quantities": ("q", "jacobian_moment")}
    report = verify.check("relu", math.sqrt(2), 0.0, **settings)
    assert report.passed, report.verdict
    assert re.match(
        r"Too little is known of q from layer \d+ on, jacobian_moment at k = 1 and jacobian_moment at k = 2, where the "
        r"networks differ too much: take larger widths, fewer layers or lengths=\"reset\"\.",
        report.notes[0],
    )
    assert re.match(r"Elsewhere differences of \d+ % in q would have been noticed\.", report.notes[1])


@pytest.mark.parametrize(
    "settings",
    [
        {"widths": (3, 4, 5), "networks": 4, "depth": 3},
        # Correlations of such narrow networks reach 1 and lose their spread, far from the theory.
        {"widths": (3, 4), "networks": 2, "depth": 200},
    ],
)
def test_too_few_networks_cannot_tell(settings):
    report = verify.check("tanh", 1.0, 0.05, **settings)
    assert not report.passed
    assert report.verdict.startswith("Cannot tell whether the theory holds")
    assert all(check.undecided and check.passed for check in report.checks if check.layer > 1)
    if all(check.p_value >= report.level for check in report.checks):
        assert "more networks tell which" not in report.verdict
    with pytest.raises(verify.VerificationError, match="Cannot tell"):
        report.raise_if_failed()


def test_heavy_tails_do_not_fail_a_right_theory_nor_hide_a_wrong_one():
    """x^3: chi has moments that converge far beyond 32 networks, while q and c of the second layer are known."""
    setting = {"depth": 4, "widths": (100, 200, 400), "networks": 32}
    report = verify.check("x**3", 0.5, 0.1, **setting)
    assert report.passed, report.verdict
    (first,) = (check for check in report.checks if (check.quantity, check.layer) == ("chi", 1))
    assert first.p_value < report.level
    assert first.undecided
    assert "as far as can be told: 6 of 12 checks of q and c agree" in report.verdict
    assert "; the other 6 are undecided. Of the undecided, " in report.verdict
    assert report.verdict.endswith("heavy tails do that, and so does a wrong theory; more networks tell which.")
    simulated = verify.simulate("x**3", 0.5, 0.1, **setting)
    assert verify.compare(verify.predict("x**3", 0.7, 0.1, depth=4), simulated).verdict.startswith("The theory fails")


def test_dead_networks_are_named():
    report = verify.check("relu", 1.0, 0.0, depth=30, widths=(3, 4), networks=8)
    assert not report.passed
    assert report.verdict.startswith("The theory cannot be held against simulated networks of width 3 and 4: in ")
    assert "their signals or gradients are 0" in report.verdict
    hurried = verify.check("relu", 1.0, 0.0, depth=30, widths=(3, 4), networks=8, precision=0.1)
    assert hurried.notes[-1].endswith("the largest standard error is nan.")


def test_a_users_own_measurements(simulation):
    """A plain program's numbers, of two quantities and fewer layers than predicted."""
    rng = np.random.default_rng(0)
    samples = {}
    for width in (60, 120):
        rows = []
        for _ in range(40):
            h, q = rng.standard_normal(width), []
            h *= math.sqrt(width) / np.linalg.norm(h)
            for _ in range(3):
                q.append(np.mean(h**2))
                W = rng.standard_normal((width, width)) * SIGMA_W / math.sqrt(width)
                h = W @ np.tanh(h) + SIGMA_B * rng.standard_normal(width)
            rows.append(q)
        samples[width] = np.array(rows)
    mine = verify.Simulation(samples={"q": samples})
    assert (mine.widths, mine.networks) == ((60, 120), 40)
    report = verify.compare(verify.predict("tanh", SIGMA_W, SIGMA_B, depth=8), mine)
    assert [check.name for check in report.checks] == ["q, layer 1", "q, layer 2", "q, layer 3"]
    assert report.passed, report.verdict
    assert not verify.compare(verify.predict("tanh", 1.8, SIGMA_B, depth=8), mine).passed


def test_only_what_both_have_is_compared(simulation):
    lengths = verify.predict("tanh", SIGMA_W, SIGMA_B, depth=2, quantities=("q", "chi"))
    report = verify.compare(lengths, simulation)
    assert [(check.quantity, check.layer) for check in report.checks] == [("q", 1), ("q", 2), ("chi", 1), ("chi", 2)]
    assert "Not compared: q from layer 3 on, c and chi from layer 3 on, which only the simulation has." in report.notes
    assert "The theory is for depth = 2, the simulation for depth = 4." in report.notes
    correlations = verify.predict("tanh", SIGMA_W, SIGMA_B, depth=4, quantities="c", c0=0.1)
    with pytest.raises(mf.InvalidParameterError, match="must share a quantity"):
        verify.compare(correlations, simulation)


def test_pairs_and_layers_without_a_partner_are_named(simulation):
    predicted = verify.predict("tanh", SIGMA_W, SIGMA_B, depth=5, c0=(0.5, 0.1), quantities=("q", "c", "gradient"))
    report = verify.compare(predicted, simulation)
    (note,) = (note for note in report.notes if note.startswith("Not compared"))
    assert note == (
        "Not compared: q from layer 5 on, c at c0 = 0.5 from layer 5 on, c at c0 = 0.1 and gradient, which only the "
        "theory has; chi, which only the simulation has."
    )
    whole = verify.compare(verify.predict("tanh", SIGMA_W, SIGMA_B, depth=4), simulation)
    assert not any("Not compared" in note or "is for" in note for note in whole.notes)


def test_what_is_no_record_is_refused(simulation):
    with pytest.raises(mf.InvalidParameterError, match="prediction must be a Prediction, got NoneType"):
        verify.compare(None, simulation)
    with pytest.raises(mf.InvalidParameterError, match="simulation must be a Simulation, got dict"):
        verify.compare(verify.predict("tanh", SIGMA_W, SIGMA_B, depth=4), {"q": simulation.samples["q"]})


@pytest.mark.parametrize(
    "samples",
    [
        {"q": {10: np.ones((1, 3))}},
        {"q": {10: np.ones(3)}},
        {"q": {10: np.ones((4, 3)), 20: np.ones((4, 2))}},
        {"q": {}},
        {"q": np.ones((4, 3))},
        {"q": {10: "fast"}},
    ],
)
def test_samples_of_a_wrong_shape_are_refused(samples):
    with pytest.raises(mf.InvalidParameterError, match="samples of q"):
        verify.Simulation(samples=samples)


def test_samples_of_an_unknown_quantity_are_refused():
    with pytest.raises(mf.InvalidParameterError, match="quantity must be one of"):
        verify.Simulation(samples={"speed": {10: np.ones((4, 3))}})
    with pytest.raises(mf.InvalidParameterError, match="samples must be a mapping, got NoneType"):
        verify.Simulation(samples=None)
    with pytest.raises(mf.InvalidParameterError, match="width must be an integer, got"):
        verify.Simulation(samples={"q": {10.5: np.ones((4, 3))}})


def test_sequences_may_be_generators():
    given = {"depth": 2, "networks": 4}
    report = verify.check(
        "tanh", 1.5, 0.3, **given, widths=(w for w in (20, 40)), quantities=(name for name in ("q", "chi"))
    )
    assert (
        report.to_dict() == verify.check("tanh", 1.5, 0.3, **given, widths=(20, 40), quantities=("q", "chi")).to_dict()
    )
    answer = verify.width_bias("tanh", 1.5, 0.3, **given, width=20, quantities=(name for name in ("q",)))
    assert len(answer.deviations) == 2


BAD = [
    ({"sigma_w": 0.0}, "sigma_w must be > 0"),
    ({"sigma_w": math.nan}, "sigma_w must be finite"),
    ({"sigma_b": -0.1}, "sigma_b must be >= 0"),
    ({"depth": 0}, "depth must be >= 1"),
    ({"depth": 2.5}, "depth must be an integer"),
    ({"widths": ()}, "widths must not be empty"),
    ({"widths": (100, 100)}, "widths must all be different"),
    ({"widths": (2, 100)}, "widths must be >= 3"),
    ({"widths": 100}, "widths must be a sequence"),
    ({"networks": 1}, "networks must be >= 2"),
    ({"weights": "unitary"}, "weights must be one of"),
    ({"quantities": ("q", "speed")}, "quantities must be one of"),
    ({"quantities": ()}, "quantities must not be empty"),
    ({"quantities": 3}, "quantities must be a sequence"),
    ({"q0": -1.0}, r"q0 must be in \[1e-300, 1e\+300\]"),
    ({"q0": 1e-308}, r"q0 must be in \[1e-300, 1e\+300\]"),
    ({"c0": (0.5, 1.5)}, r"c0 must be in \[-1, 1\]"),
    ({"c0": (0.5, 0.5)}, "c0 must all be different"),
    ({"c0": [[0.5]]}, "c0 must be a sequence"),
    ({"c0": ()}, "c0 must not be empty"),
    ({"lengths": "fixed"}, "lengths must be one of"),
    ({"method": "fast"}, "method must be one of"),
    ({"precision": 0.0}, r"precision must be in \[1e-09, 1\]"),
    ({"precision": 1e-308}, r"precision must be in \[1e-09, 1\]"),
    ({"widths": np.array(100)}, "widths must be a sequence"),
    ({"quantities": np.array("q")}, "quantities must be a sequence"),
    ({"depth": 10**11}, "depth must be <= 1000000"),
    ({"networks": 10**30}, "networks must be <= "),
    ({"widths": (10**12, 2 * 10**12)}, "this simulation must fit into the machine's .* GB of memory, needs"),
    ({"networks": 10**13}, "this simulation must fit into the machine's"),
    ({"level": 0.0}, r"level must be in \(0, 1\)"),
    ({"level": 1.0}, r"level must be in \(0, 1\)"),
    ({"seed": -1}, "seed must be >= 0"),
]


@pytest.mark.parametrize(("change", "message"), BAD)
def test_bad_arguments_are_named_before_any_work(monkeypatch, change, message):
    def no_work(*args, **kwargs):
        raise AssertionError("work before the arguments were checked")

    monkeypatch.setattr("verify.sampling.sweep", no_work)
    monkeypatch.setattr("verify.certificate.predict", no_work)
    with pytest.raises(mf.InvalidParameterError, match=message):
        verify.check(**{"phi": "tanh", "sigma_w": 1.5, "sigma_b": 0.3, **change})
