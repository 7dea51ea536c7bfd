"""Every snippet of README.md runs and prints what it says."""

import doctest
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from meanfield.cli.main import run

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = (
    "python3.11 -m venv .venv && .venv/bin/pip install . && .venv/bin/meanfield report tanh",
    "python3.11 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/python -m pytest",
)


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


CONSOLE = [tuple(block.split("\n", 1)) for block in blocks("console")]


def test_the_two_commands_are_there_word_for_word():
    assert blocks("sh") == [f"{command}\n" for command in COMMANDS]


@pytest.mark.parametrize(("line", "expected"), CONSOLE, ids=[line for line, _ in CONSOLE])
def test_commands_print_what_the_readme_says(line, expected):
    program, *words = shlex.split(line.removeprefix("$ "))
    assert program == "meanfield"
    result = CliRunner().invoke(run, words)
    assert result.exit_code == 0
    assert same(expected, result.stdout)


def same(expected, actual):
    """Equal word by word, numbers up to their last printed digits and error bounds up to a factor of ten."""
    ours, theirs = expected.split(), actual.split()
    return len(ours) == len(theirs) and all(map(same_word, ours, theirs))


def same_word(expected, actual):
    try:
        wanted, found = float(expected), float(actual)
    except ValueError:
        return expected == actual
    if wanted == found:  # infinities too
        return True
    if abs(wanted) < 1e-9:
        return wanted / 10 <= found <= wanted * 10
    return abs(found - wanted) <= 1e-6 * abs(wanted)


def test_python_snippets():
    text = "\n".join(blocks("python"))
    test = doctest.DocTestParser().get_doctest(text, {}, "README.md", "README.md", 0)
    result = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test)
    assert result.attempted >= 10
    assert result.failed == 0


def test_links_to_files_exist():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("https://") or (ROOT / target).exists(), target


def test_ci_finds_the_test_command():
    found = subprocess.run(
        ["grep", "-cE", r"^ *python3\.11 -m venv .*-m pytest$", "README.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == "1"
