"""critical, fixed-points, line, phase, init: answers, files, and what they refuse."""

import csv
import io
import json
import math
import os

import numpy as np
import pytest

import meanfield as mf


def test_critical_tanh(terminal):
    record = terminal.json("critical", "tanh", "--sigma-b", 0.3)
    assert abs(record["sigma_w"] - 1.3955839751) <= 1e-10
    assert abs(record["q_star"] - 0.7634747669) <= 1e-10
    assert record["stable"] is True
    assert record["others"] == []
    assert record["command"] == "critical"
    assert record["provenance"]["command"] == "meanfield critical tanh --sigma-b 0.3 --json"
    text = terminal.ok("critical", "tanh", "--sigma-b", 0.3)
    assert "1.39558397" in text.stdout
    assert text.stderr == ""


def test_critical_of_an_expression(terminal):
    record = terminal.json("critical", "sin(x)/(1+abs(x))", "--sigma-b", 0.1)
    point = mf.critical_point("sin(x)/(1+abs(x))", sigma_b=0.1)
    assert record["sigma_w"] == point.sigma_w


def test_phi_may_start_with_a_minus(terminal):
    plain = terminal.json("critical", "tanh(x)-0.2*x", "--sigma-b", 0.1)
    for words in (["-0.2*x+tanh(x)", "--sigma-b", 0.1], ["--sigma-b", 0.1, "--", "-0.2*x+tanh(x)"]):
        record = json.loads(terminal.ok("critical", "--json", *words).stdout)
        assert abs(record["sigma_w"] - plain["sigma_w"]) <= 1e-10
    assert terminal.ok("critical", "-h").stdout == terminal.ok("critical", "--help").stdout


def test_critical_silu_shows_the_unstable_point_beside_the_stable_one(terminal):
    result = terminal.ok("critical", "silu", "--sigma-b", 0.2)
    assert result.stderr.startswith("Warning: ")
    assert result.stderr.count("\n") == 1
    assert "0.6894525" in result.stdout
    assert "1.0987" in result.stdout
    assert "0.19403" in result.stdout
    record = terminal.json("critical", "silu", "--sigma-b", 0.2)
    assert abs(record["q_star"] - 0.689453) <= 1e-6
    assert abs(record["alpha"] - 1.09873) <= 1e-5
    assert record["stable"] is False
    lower, upper = record["fixed_points"]
    assert abs(lower["q_star"] - 0.194038) <= 1e-6
    assert lower["stable"] is True
    assert upper["stable"] is False


def test_critical_softplus_has_no_answer(terminal):
    error = terminal.refused("critical", "softplus", "--sigma-b", 0.1, code=3)
    assert error["type"] == "NoCriticalPointError"


def test_fixed_points(terminal):
    record = terminal.json("fixed-points", "tanh", "--sigma-w", 2.5, "--sigma-b", 0.3)
    assert abs(record["q_star"] - 4.0791) <= 1e-4
    assert record["phase"] == "chaotic"
    assert record["reached_from_q0"] is True
    both = terminal.json("fixed-points", "silu", "--sigma-w", 1.65, "--sigma-b", 0.2)
    assert len(both["others"]) >= 1
    assert "chaotic" in terminal.ok("fixed-points", "tanh", "--sigma-w", 2.5, "--sigma-b", 0.3).stdout


def test_no_digit_within_the_error_is_shown(terminal):
    result = terminal.ok("fixed-points", "sin(20*x)", "--sigma-w", 1, "--sigma-b", 0.1)
    assert result.stderr.startswith("Warning: ")
    row = result.stdout.splitlines()[3].split()
    assert row[5].startswith("<")
    assert float(row[5][1:]) <= 1e-10
    assert [row[6][0], row[7][0]] == ["<", "<"]


def test_fixed_points_of_a_network_that_grows(terminal):
    error = terminal.refused("fixed-points", "relu", "--sigma-w", 1.5, "--sigma-b", 0.1, code=3)
    assert "without bound" in error["message"]


def test_where_every_length_is_fixed(terminal):
    record = terminal.json("fixed-points", "relu", "--sigma-w", repr(math.sqrt(2)), "--sigma-b", 0, "--q0", 3)
    assert record["q_star"] == 3
    assert record["xi_q"] is None
    assert record["others"] == []
    assert record["status"] == "every_q_fixed"


def test_line(terminal):
    record = terminal.json("line", "tanh", "--sigma-b", 0, 0.5, "--points", 6)
    assert record["sigma_b"] == list(np.linspace(0, 0.5, 6))
    assert record["sigma_w"][0] == 1
    assert "critical line of tanh" in terminal.ok("line", "tanh", "--points", 5).stdout


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["softplus", "--sigma-b", 0, 1], "at every q searched"),
        (["softplus"], "at every q searched"),
        (["sigmoid", "--q-star", 0.1, 10], "attainable is q_star from 45.6243"),
    ],
)
def test_a_line_without_a_point_has_no_answer(terminal, words, reason):
    error = terminal.refused("line", *words, "--points", 3, code=3)
    assert error["type"] == "NoCriticalPointError"
    assert reason in error["message"]


def test_points_beside_the_line_are_null_and_a_dash(terminal):
    words = ("line", "sigmoid", "--q-star", 10, 1000, "--points", 3)
    record = terminal.json(*words)
    assert [w is None for w in record["sigma_w"]] == [True, False, False]
    assert record["status"] == ["no_critical_point", "converged", "converged"]
    assert terminal.ok(*words).stdout.splitlines()[3].split() == ["-"] * 5 + ["no_critical_point"]


@pytest.mark.parametrize(
    ("phi", "low", "high"), [("tanh", 1e-3, 10), ("sigmoid", 45.6243, 456243), ("exp(x)", 1, None)]
)
def test_the_default_range_of_a_line_is_where_it_is(terminal, phi, low, high):
    record = terminal.json("line", phi, "--points", 5)
    assert None not in record["sigma_w"]
    assert record["q_star"][0] == pytest.approx(low, rel=1e-5)
    if high is None:  # E phi'^4 = exp(8 q) leaves double precision
        assert 30 <= record["q_star"][-1] <= 709.8 / 4
    else:
        assert record["q_star"][-1] == pytest.approx(high, rel=0.02)


PHASE = ("phase", "tanh", "--sigma-w", 0.5, 2.5, "--sigma-b", 0, 1, "--points", 9, 5)


def test_phase(terminal):
    record = terminal.json(*PHASE)
    assert np.shape(record["phase"]) == (5, 9)
    assert record["phase"][0][0] == "ordered"
    assert record["phase"][0][-1] == "chaotic"
    text = terminal.ok(*PHASE).stdout
    assert "#" in text.splitlines()[-2]


@pytest.mark.parametrize("phi", ["sinh(x)", "cosh(x)", "exp(x)", "softshrink"])
def test_the_default_window_of_phi_that_grows_fast_or_has_a_dead_zone(terminal, phi):
    record = terminal.json("phase", phi, "--points", 9, 2)
    assert {"ordered", "unbounded"} <= set(np.ravel(record["phase"])) <= {"ordered", "chaotic", "unbounded"}


def test_files_of_every_kind(terminal, tmp_path):
    for suffix in ("png", "pdf", "svg", "csv", "npz", "json"):
        result = terminal.ok(*PHASE, "--output", tmp_path / f"phase.{suffix}")
        assert result.stdout == ""
        assert f"phase.{suffix}" in result.stderr
    assert (tmp_path / "phase.png").read_bytes().startswith(b"\x89PNG")
    assert b"meanfield phase tanh" in (tmp_path / "phase.png").read_bytes()
    assert (tmp_path / "phase.pdf").read_bytes().startswith(b"%PDF")
    assert "<svg" in (tmp_path / "phase.svg").read_text()
    with np.load(tmp_path / "phase.npz", allow_pickle=False) as arrays:
        assert arrays["chi_1"].shape == (5, 9)
        assert json.loads(str(arrays["provenance"]))["versions"]
    rows = list(csv.DictReader(io.StringIO((tmp_path / "phase.csv").read_text())))
    assert len(rows) == 45
    assert float(rows[0]["sigma_w"]) == 0.5
    record = json.loads((tmp_path / "phase.json").read_text())
    assert str(tmp_path) not in json.dumps(record)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"phase.{suffix}" for suffix in ("csv", "json", "npz", "pdf", "png", "svg")
    ]


def test_init_writes_the_weights(terminal, tmp_path):
    path = tmp_path / "weights.npz"
    words = ("init", "tanh", 30, 20, 10, "--sigma-b", 0.05, "--weights", "orthogonal", "--seed", 3)
    terminal.ok(*words, "--output", path)
    sigma_w = mf.gain("tanh", sigma_b=0.05)
    with np.load(path, allow_pickle=False) as arrays:
        assert sorted(arrays) == ["W1", "W2", "b1", "b2", "provenance"]
        assert np.allclose(arrays["W1"] @ arrays["W1"].T, sigma_w**2 * np.eye(20), atol=1e-12)
        assert json.loads(str(arrays["provenance"]))["seed"] == 3
    assert terminal.json(*words)["gain"] == sigma_w
    assert "30" in terminal.ok(*words).stdout


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["critical", "tahn"], ["tanh"]),
        (["critical", "__import__('os')"], []),
        (["critical", "tanh", "--sigma-b", "nan"], ["sigma_b must be", "nan"]),
        (["critical", "tanh", "--sigma-b", "inf"], ["sigma_b must be", "inf"]),
        (["critical", "tanh", "--sigma-b", "-1"], ["sigma_b must be >= 0", "-1"]),
        (["critical", "tanh", "--sigma-w", "0"], ["sigma_w must be > 0", "0"]),
        (["critical", "tanh", "--sigma-w", "1.5", "--sigma-b", "0"], ["exactly one"]),
        (["fixed-points", "tanh", "--sigma-w", "-1", "--sigma-b", "0"], ["sigma_w must be > 0"]),
        (["fixed-points", "tanh", "--sigma-w", "1", "--sigma-b", "0", "--q0", "-1"], ["q0 must be >= 0"]),
        (["fixed-points", "tanh", "--sigma-w", "1e155", "--sigma-b", "0"], ["sigma_w must be <= 1e+150", "1e+155"]),
        (["critical", "tanh", "--sigma-b", "1e155"], ["sigma_b must be <= 1e+150", "1e+155"]),
        (["critical", "tanh", "--q-star", "1e300"], ["q_star must be <= 1e+150", "1e+300"]),
        (["phase", "tanh", "--q0", "1e308"], ["q0 must be <= 1e+150", "1e+308"]),
        (["critical", "leaky_relu(slope=0.1, slope=0.2)"], ["slope is given twice"]),
        (["line", "tanh", "--q-star", "0", "1"], ["q_star must be > 0"]),
        (["line", "tanh", "--sigma-b", "-1", "1"], ["sigma_b must be >= 0"]),
        (["phase", "tanh", "--sigma-w", "nan", "1"], ["sigma_w must be finite"]),
        (["phase", "tanh", "--workers", "0"], ["--workers"]),
        (["init", "tanh", "10"], ["widths"]),
        (["init", "tanh", "10", "0"], ["widths"]),
        (["init", "tanh", "10", "5", "--seed", "-1"], ["seed must be >= 0"]),
    ],
)
def test_bad_input_is_one_line(terminal, words, parts):
    message = terminal.refused(*words)["message"]
    for part in parts:
        assert part in message


def test_outputs_are_checked_before_the_work(terminal, tmp_path, monkeypatch):
    def work(*_args, **_options):
        raise AssertionError("the work had begun")

    monkeypatch.setattr(mf, "phase_diagram", work, raising=False)
    assert "must end in" in terminal.refused("phase", "tanh", "--output", tmp_path / "phase.docx")["message"]
    assert "cannot write" in terminal.refused("phase", "tanh", "--output", tmp_path / "none" / "phase.png")["message"]
    (tmp_path / "folder.png").mkdir()
    assert "is a directory" in terminal.refused("phase", "tanh", "--output", tmp_path / "folder.png")["message"]
    if os.getuid():
        locked = tmp_path / "locked"
        locked.mkdir(mode=0o500)
        assert "cannot write" in terminal.refused("phase", "tanh", "--output", locked / "phase.png")["message"]


def test_text_cells_of_a_csv_are_no_formulas():
    from meanfield.cli.output import _csv_text

    text = _csv_text({"name": ["=1+1", "+x", "-x", "@x", "tanh"], "value": [-1.5, 0.0, 1.0, 2.0, 3.0]})
    assert [row[0] for row in csv.reader(io.StringIO(text))] == ["name", "'=1+1", "'+x", "'-x", "'@x", "tanh"]
    assert text.splitlines()[1].endswith(",-1.5")
