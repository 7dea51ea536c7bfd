"""meanfield phase: kept strips, predicted cost, and its end by Ctrl-C."""

import json

import pytest

import meanfield as mf

PHASE = ("phase", "tanh", "--sigma-w", 0.5, 0.9, "--sigma-b", 0, 1, "--points", 9, 5)


def without_origin(record):
    return {name: value for name, value in record.items() if name != "provenance"}


def test_a_folder_is_gone_on_with(terminal, tmp_path):
    folder = tmp_path / "run"
    first = terminal.json(*PHASE, "--folder", folder)
    assert [path.suffix for path in folder.glob("[0-9]*")] == [".cell"]
    assert "unless it is to be resumed" in terminal.refused(*PHASE, "--folder", folder)["message"]
    again = terminal.json(*PHASE, "--folder", folder, "--resume")
    assert str(tmp_path) not in json.dumps(again)
    assert without_origin(again) == without_origin(first)
    assert (
        "its parameters.q0 is 1.0, now 2.0"
        in terminal.refused(*PHASE, "--folder", folder, "--resume", "--q0", 2)["message"]
    )


def test_too_little_memory_is_refused_with_the_figure(terminal):
    message = terminal.refused("phase", "tanh", "--points", 2000, 2000, "--max-memory", "1GB")["message"]
    assert "max_memory must be at least 2.2 GB for this diagram, got 1 GB" in message


def test_long_runs_are_announced(terminal, monkeypatch):
    def stopped(*_given, **_options):
        raise mf.ConvergenceError("stopped")

    monkeypatch.setattr(mf, "phase_diagram", stopped)
    assert terminal.ok(*PHASE, code=3).stderr == "Error: stopped\n"
    result = terminal.ok(*PHASE[:-2], 1000, 1000, code=3)
    assert result.stderr == "This takes about 33 s on one core and 0.7 GB of memory.\nError: stopped\n"


def test_an_interrupt_says_how_to_go_on(terminal, monkeypatch, tmp_path):
    def interrupted(*_given, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(mf, "phase_diagram", interrupted)
    assert terminal.ok(*PHASE, code=130).stderr == "Interrupted.\n"
    result = terminal.ok(*PHASE, "--folder", tmp_path / "run", code=130)
    assert result.stderr == f"Interrupted. What is finished is kept in {tmp_path / 'run'}; add --resume to go on.\n"


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_no_bit(terminal, workers):
    record = terminal.json(*PHASE, "--workers", workers)
    point = mf.fixed_point("tanh", record["sigma_w"][3], record["sigma_b"][2])
    assert abs(record["q_star"][2][3] - point.q_star) <= record["errors"]["q_star"][2][3] + point.error
    assert without_origin(record) == without_origin(json.loads(terminal.ok(*PHASE, "--json").stdout))


@pytest.mark.parametrize("more", [("--field", "chi_1"), ("--figure", "depth-scales"), ("--figure", "trainability"), ()])
def test_a_figure_of_one_cell_says_nothing(terminal, tmp_path, more):
    result = terminal.ok("phase", "tanh", "--points", 1, 1, "--output", tmp_path / "one.png", *more)
    assert "Warning" not in result.stderr


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--field", "q_star"), "--field must not be given without --output in one of .png .pdf .svg"),
        (("--figure", "trainability", "--axes", "variance"), "--figure and --axes must not be given without --output"),
        (
            ("--figure", "trainability", "--output", "a.png", "--field", "chi_1"),
            "--field must not be given with --figure",
        ),
    ],
)
def test_options_that_nothing_depends_on_are_refused(terminal, monkeypatch, tmp_path, more, message):
    monkeypatch.chdir(tmp_path)
    assert message in terminal.refused(*PHASE, *more)["message"]
