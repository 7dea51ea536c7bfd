"""What the tests of the command line share."""

import json
import pickle
from concurrent.futures import Executor
from contextlib import contextmanager
from functools import cache
from importlib.resources import files

import jsonschema
import pytest
from click.testing import CliRunner
from matplotlib.figure import Figure

from meanfield.cli.main import run


class Terminal:
    """Runs commands in this process and reads what they print."""

    def __call__(self, *words):
        return CliRunner().invoke(run, [str(word) for word in words])

    def ok(self, *words, code=0):
        result = self(*words)
        assert result.exit_code == code, result.output
        return result

    def json(self, *words, code=0):
        """The JSON object of a command, checked against the schema that ships."""
        result = self.ok(*words, "--json", code=code)
        record = json.loads(result.stdout, parse_constant=pytest.fail)
        validate(record, words[0])
        return record

    def refused(self, *words, code=2):
        """The one line of an error; with --json the same one in an object."""
        result = self.ok(*words, code=code)
        lines = [line for line in result.stderr.splitlines() if not line.startswith("Warning: ")]
        assert len(lines) == 1, result.stderr
        assert lines[0].startswith("Error: ")
        assert "Traceback" not in result.output
        told = self.ok(*words, "--json", code=code)
        record = json.loads(told.stderr.splitlines()[-1])
        validate(record, "error")
        assert lines[0] == f"Error: {record['error']['message']}"
        return record["error"]


@cache
def validator(name):
    schema = json.loads(files("meanfield.cli").joinpath("schemas", f"{name}.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def validate(record, name):
    validator(name).validate(record)


class Pickled(Executor):
    """Hands work over as processes do, from one pickle to the next, but does it here."""

    def map(self, fn, *chunks, **options):
        for chunk in zip(*chunks, strict=True):
            work, arguments = pickle.loads(pickle.dumps((fn, chunk)))
            yield pickle.loads(pickle.dumps(work(*arguments)))


@pytest.fixture
def terminal():
    return Terminal()


@pytest.fixture
def pickled(monkeypatch):
    """In the place of worker processes, whose start takes seconds: how many were asked for, each time."""
    asked = []

    @contextmanager
    def started(workers):
        asked.append(workers)
        yield Pickled()

    monkeypatch.setattr("meanfield.cli.pool._started", started)
    return asked


@pytest.fixture
def undrawn(monkeypatch):
    """Figures are made, and written as these few bytes."""
    content = b"a figure"
    monkeypatch.setattr(Figure, "savefig", lambda figure, file, **options: file.write(content))
    return content
