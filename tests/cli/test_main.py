"""The command line as a whole: help, exit codes, errors, closed pipes, cold starts."""

import json
import os
import shlex
import signal
import subprocess
import sys
import warnings
from importlib import import_module
from importlib.resources import files

import click
import jsonschema
import pytest
from click.testing import CliRunner

import meanfield
from meanfield.cli import main
from meanfield.cli.main import COMMANDS, run

PROGRAM = [sys.executable, "-c", "from meanfield.cli.main import run; run()"]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(terminal, name):
    text = terminal.ok(name, "--help").stdout
    assert f"meanfield {name}" in text
    assert "Example" in text
    assert "--json" in text
    assert terminal.ok(name, "-h").stdout == text


def examples(name):
    """The commands after "Example:" in the help of a command, without the word meanfield."""
    command = import_module(f"meanfield.cli.{COMMANDS[name][0]}").command
    lines = command.epilog.partition("Example:")[2].strip().splitlines()
    return [shlex.split(line)[1:] for line in lines]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_example_can_be_typed(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for words in examples(name):
        assert words[0] == name
        command = import_module(f"meanfield.cli.{COMMANDS[name][0]}").command
        if "--help" not in words:
            with command.make_context(name, words[1:]) as context:
                assert context.params


@pytest.mark.parametrize("name", ["critical", "fixed-points", "line", "propagate", "init", "list"])
def test_quick_examples_run(terminal, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for words in examples(name):
        terminal.ok(*words)
        written = [words[place + 1] for place, word in enumerate(words) if word == "--output"]
        assert [path.name for path in tmp_path.iterdir()] == written


@pytest.mark.parametrize("name", COMMANDS)
def test_the_summary_in_the_list_is_the_commands_own(name):
    module, summary = COMMANDS[name]
    command = import_module(f"meanfield.cli.{module}").command
    assert isinstance(command, click.Command)
    assert command.name == name
    assert command.get_short_help_str(limit=200) == summary


@pytest.mark.parametrize("path", sorted(files("meanfield.cli").joinpath("schemas").iterdir()), ids=lambda p: p.name)
def test_schemas_are_schemas(path):
    jsonschema.Draft202012Validator.check_schema(json.loads(path.read_text(encoding="utf-8")))


def test_every_command_has_a_schema():
    present = {path.name.removesuffix(".json") for path in files("meanfield.cli").joinpath("schemas").iterdir()}
    assert present == {*COMMANDS, "error"}


def test_version(terminal):
    assert terminal.ok("--version").stdout == f"meanfield {meanfield.__version__}\n"


def test_nothing_typed_shows_the_help(terminal):
    assert terminal.ok().stdout == terminal.ok("--help").stdout


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["critcal", "tanh"], "did you mean 'critical'?"),
        (["xyzzy"], "the commands are critical"),
        (["critical"], "Missing argument"),
        (["critical", "tanh", "--sigma"], "--sigma"),
        (["critical", "tanh", "--sigma-b", "much"], "'much' is not a valid float"),
        (["critical", "tanh", "relu"], "unexpected extra argument"),
        (["fixed-points", "tanh"], "--sigma-w"),
    ],
)
def test_bad_usage(terminal, words, part):
    assert part in terminal.refused(*words)["message"]


def failing(error):
    @click.command("failing")
    @click.option("--json", "as_json", is_flag=True)
    @click.option("--traceback", is_flag=True)
    def command(as_json, traceback):
        raise error

    return command


def call_failing(monkeypatch, error, *words):
    monkeypatch.setattr(main.LazyGroup, "get_command", lambda *_: failing(error))
    return CliRunner().invoke(run, ["critical", *words])


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (meanfield.InvalidParameterError("q must be > 0, got -1"), 2, "Error: q must be > 0, got -1\n"),
        (meanfield.NonlinearityError("no"), 2, "Error: no\n"),
        (meanfield.NoCriticalPointError("none"), 3, "Error: none\n"),
        (meanfield.NoFixedPointError("none"), 3, "Error: none\n"),
        (meanfield.ConvergenceError("two\nlines"), 3, "Error: two lines\n"),
        (PermissionError(13, "Permission denied", "out.png"), 2, "Error: cannot use 'out.png': Permission denied\n"),
        (KeyboardInterrupt(), 130, "Interrupted.\n"),
        (BrokenPipeError(32, "Broken pipe"), 0, ""),
    ],
)
def test_exit_codes(monkeypatch, error, code, text):
    result = call_failing(monkeypatch, error)
    assert (result.exit_code, result.stderr) == (code, text)


def test_an_internal_error_is_one_line_and_says_how_to_report_it(monkeypatch):
    result = call_failing(monkeypatch, ZeroDivisionError("oh"))
    assert result.exit_code == 70
    assert result.stderr.count("\n") == 1
    assert "ZeroDivisionError: oh" in result.stderr
    assert "--traceback" in result.stderr
    shown = call_failing(monkeypatch, ZeroDivisionError("oh"), "--traceback")
    assert shown.exit_code == 70
    assert "Traceback (most recent call last)" in shown.stderr


def test_warnings_are_one_line_each(monkeypatch):
    @click.command("warning")
    def command():
        for text in ("first\nof two lines", "second"):
            warnings.warn(text, meanfield.AccuracyWarning, stacklevel=1)

    monkeypatch.setattr(main.LazyGroup, "get_command", lambda *_: command)
    result = CliRunner().invoke(run, ["critical"])
    assert result.exit_code == 0
    assert result.stderr == "Warning: first of two lines\nWarning: second\n"


def test_a_closed_pipe_is_silent():
    script = f"{' '.join(map(shell_quoted, PROGRAM))} line tanh --points 3000 | head -n 1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == "0"


def shell_quoted(word):
    return "'" + word.replace("'", "'\\''") + "'"


def test_symbols_do_not_break_an_ascii_terminal():
    done = subprocess.run(
        [*PROGRAM, "critical", "tanh", "--sigma-b", "0.3"],
        capture_output=True,
        env={"PYTHONIOENCODING": "ascii", "PATH": "/usr/bin:/bin"},
        check=True,
    )
    assert done.stderr == b""
    assert b"1.39558397" in done.stdout


def test_shell_completion_names_the_commands():
    environment = {"_MEANFIELD_COMPLETE": "bash_complete", "COMP_WORDS": "meanfield cri", "COMP_CWORD": "1"}
    done = subprocess.run(PROGRAM, capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.split(",")[-1].strip() == "critical"


def test_a_process_that_is_asked_to_end_leaves_nothing_behind(terminal, monkeypatch, tmp_path):
    import verify

    def asked(*_given, **_options):
        assert list(tmp_path.iterdir()), "the report is under way"
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(verify, "check", asked)
    assert terminal.ok("report", "tanh", "--output", tmp_path / "r", code=130).stderr.endswith("Interrupted.\n")
    assert not list(tmp_path.iterdir())
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.parametrize("name", COMMANDS)
def test_defaults_are_shown_as_they_are_typed(terminal, name):
    assert "[default: (" not in " ".join(terminal.ok(name, "--help").stdout.split())
