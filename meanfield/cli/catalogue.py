"""``meanfield list``: the nonlinearities known by name."""

from typing import Any

from meanfield.cli.options import declare
from meanfield.cli.output import Answer, deliver, print_table

HEADERS = ("name", "parameters", "aliases", "expression")


@declare("list", example="meanfield list", suffixes=(".json", ".csv"))
def command(as_json, output) -> None:
    """The nonlinearities known by name.

    With their parameters and defaults, other names, and what they are in elementary functions of x. Case and
    underscores do not matter: LeakyReLU is leaky_relu.
    """
    from meanfield.activations import CATALOGUE

    entries = list(CATALOGUE.values())
    rows = [(e.name, _parameters(e), ", ".join(e.aliases), e.expression(**e.parameters)) for e in entries]
    records = [
        {
            "name": entry.name,
            "parameters": dict(entry.parameters),
            "aliases": list(entry.aliases),
            "expression": entry.expression(**entry.parameters),
        }
        for entry in entries
    ]

    def show() -> None:
        print_table(HEADERS, rows)

    table = {header: [row[index] for row in rows] for index, header in enumerate(HEADERS)}
    deliver("list", Answer(data={"nonlinearities": records}, show=show, table=table), as_json=as_json, output=output)


def _parameters(entry: Any) -> str:
    """Parameters with their defaults, other names of them in brackets."""
    texts = []
    for name, value in entry.parameters.items():
        others = [alias for alias, target in entry.parameter_aliases.items() if target == name]
        texts.append(f"{name}={value:g}" + (f" ({', '.join(others)})" if others else ""))
    return ", ".join(texts)
