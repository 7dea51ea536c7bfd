"""What the commands of long runs share: a bound on memory, a folder to go on from, a bar of epochs."""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from meanfield.cli.options import Folder
from meanfield.cli.output import Answer, deliver

__all__ = [
    "LONG",
    "MemorySize",
    "announce",
    "deliver_prediction",
    "epoch_bar",
    "folder_options",
    "kept_in",
    "refuse_predicted_files",
]

LONG = 10.0  # seconds from which a run is announced

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


class MemorySize(click.ParamType):
    """A number of bytes such as 500MB or 4GB."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)b?\s*", value, flags=re.IGNORECASE | re.ASCII)
        if found is None:
            self.fail(f"{value!r} must be a size such as 500MB or 4GB", param, ctx)
        return int(float(found[1]) * _UNITS[found[2].lower()])


def folder_options(what: str) -> Callable[[Callable], Callable]:
    """--folder, --resume and --max-memory; `what` is kept in the folder."""

    def decorate(function: Callable) -> Callable:
        for option in (
            click.option(
                "--max-memory", type=MemorySize(), metavar="SIZE", help="Refuse what needs more, such as 4GB."
            ),
            click.option("--resume", is_flag=True, help="Go on with what is in the folder."),
            click.option("--folder", type=Folder(), metavar="FOLDER", help=f"Keep {what} there."),
        ):
            function = option(function)
        return function

    return decorate


def announce(needed: int, seconds: float, max_memory: int | None) -> None:
    """Memory in bytes and time on one core, on stderr before the start, if it will take long and is not refused."""
    from meanfield.memory import refuse_memory

    if max_memory is None:
        refuse_memory(needed, None, "this run")
    if seconds >= LONG and (max_memory is None or needed <= max_memory):
        click.echo(f"This takes about {seconds:.0f} s on one core and {needed / 1e9:.1f} GB of memory.", err=True)


def refuse_predicted_files(predict: bool, output: Path | None) -> None:
    """A prediction is written to no file."""
    if predict and output is not None:
        raise click.UsageError("give --predict without --output", click.get_current_context())


def deliver_prediction(name: str, prediction: dict[str, Any], *, as_json: bool) -> None:
    """What --predict found, as JSON if asked for; readers have it on stderr."""
    deliver(name, Answer(data={"prediction": prediction}, show=lambda: None), as_json=as_json, output=None)


@contextmanager
def kept_in(folder: Path | None) -> Iterator[None]:
    """Around a run that keeps its parts in `folder`: an interrupt says how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        if folder is None:
            raise
        raise KeyboardInterrupt(f"What is finished is kept in {folder}; add --resume to go on.") from None


@contextmanager
def epoch_bar(label: str) -> Iterator[Callable[[int, int], None] | None]:
    """A callback ``(done, total)`` that moves a bar on stderr; None if stderr is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from meanfield.cli.pool import progress_bar

    with progress_bar() as progress:
        task = progress.add_task(label, total=None)

        def move(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        yield move
