"""What the tests of the command line share."""

import json
from importlib.resources import files

import jsonschema
import pytest
from click.testing import CliRunner

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


def validate(record, name):
    schema = json.loads(files("meanfield.cli").joinpath("schemas", f"{name}.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(record, schema, cls=jsonschema.Draft202012Validator)


@pytest.fixture
def terminal():
    return Terminal()
