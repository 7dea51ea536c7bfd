"""What the commands share: the PHI argument, their options, and a parser for which PHI may start with "-"."""

import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from meanfield.errors import InvalidParameterError

__all__ = [
    "SCHEDULER",
    "Numbers",
    "PhiCommand",
    "declare",
    "ordered",
    "phi_argument",
    "refuse_ignored",
    "seed_option",
    "simulation_options",
    "workers_option",
]


class PhiCommand(click.Command):
    """A command whose positional words may start with one "-", as an expression does: ``-x+tanh(x)``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        options, words = self._split(args)
        return super().parse_args(ctx, [*options, "--", *words] if words else options)

    def _split(self, args: list[str]) -> tuple[list[str], list[str]]:
        arity = {"--help": 0, "-h": 0}
        for param in self.params:
            if isinstance(param, click.Option):
                arity |= dict.fromkeys((*param.opts, *param.secondary_opts), 0 if param.is_flag else param.nargs)
        options: list[str] = []
        words: list[str] = []
        rest = list(args)
        while rest:
            head = rest.pop(0)
            if head == "--":
                words += rest
                break
            if head in arity:
                options += [head, *rest[: arity[head]]]
                del rest[: arity[head]]
            elif head.startswith("--"):
                options.append(head)  # --name=value, or unknown, which click says better
            else:
                words.append(head)
        return options, words


class OutputFile(click.ParamType):
    """A file that can be written, with one of the suffixes; found out before the long work, not after it."""

    name = "file"

    def __init__(self, suffixes: tuple[str, ...]) -> None:
        self.suffixes = suffixes

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        path = Path(value)
        if path.suffix.lower() not in self.suffixes:
            self.fail(f"{str(value)!r} must end in one of {' '.join(self.suffixes)}", param, ctx)
        if path.is_dir():
            self.fail(f"{str(value)!r} is a directory", param, ctx)
        try:
            with tempfile.TemporaryFile(dir=path.parent):
                pass
        except OSError as error:
            self.fail(f"cannot write {str(value)!r}: {error.strerror}", param, ctx)
        if path.exists() and not os.access(path, os.W_OK):
            self.fail(f"cannot write {str(value)!r}: it is read-only", param, ctx)
        return path


class Numbers(click.ParamType):
    """Numbers of one kind with commas in between, such as 250,500,1000."""

    def __init__(self, kind: type) -> None:
        self.kind = kind
        self.name = f"{kind.__name__},..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple:
        if isinstance(value, tuple):
            return value
        try:
            return tuple(self.kind(part) for part in value.split(","))
        except ValueError:
            self.fail(f"{value!r} must be numbers with commas in between", param, ctx)


def ordered(name: str, ends: Iterable[float], points: int) -> tuple[float, float]:
    """LOW and HIGH of a range, if LOW < HIGH, or LOW = HIGH and it is one point."""
    low, high = map(float, ends)
    if low > high or (low == high and points > 1):
        raise InvalidParameterError(f"{name} must be LOW < HIGH for {points} points, got {low:g} {high:g}")
    return low, high


class Folder(click.ParamType):
    """A folder that is named; click's own path takes an empty name for the folder one is in."""

    name = "folder"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        if str(value) == "":
            self.fail("a folder must have a name, got ''", param, ctx)
        return Path(value)


IMAGES = (".png", ".pdf", ".svg")


def refuse_ignored(where: str, *names: str) -> None:
    """Refuse the options with these names, if they were given: `where`, as in "with --map", they would mean nothing."""
    context = click.get_current_context()
    given = [
        parameter.opts[0]
        for parameter in context.command.params
        if parameter.name in names and context.get_parameter_source(parameter.name) is not ParameterSource.DEFAULT
    ]
    if given:
        raise InvalidParameterError(f"{' and '.join(given)} must not be given {where}, where nothing depends on it")


def refuse_without_figure(output: Path | None, *names: str) -> None:
    """Refuse the options with these names, if they were given and no figure is drawn."""
    if output is None or output.suffix.lower() not in IMAGES:
        refuse_ignored(f"without --output in one of {' '.join(IMAGES)}", *names)


phi_argument = click.argument("phi")

seed_option = click.option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    help="Seed of all randomness; the same seed gives the same numbers.",
)

SCHEDULER = "meanfield.scheduler"  # its place in the context's meta, where `pool` finds it


def _remember_scheduler(ctx: click.Context, _param: click.Parameter, address: str | None) -> None:
    ctx.meta[SCHEDULER] = address


def workers_option(function: Callable) -> Callable:
    """--workers, and --scheduler, of which the command need not know."""
    function = click.option(
        "--scheduler",
        metavar="ADDRESS",
        expose_value=False,
        callback=_remember_scheduler,
        help="Dask scheduler, such as tcp://host:8786, whose workers take the place of --workers.",
    )(function)
    return click.option(
        "--workers",
        type=click.IntRange(1, 1000),
        default=1,
        show_default=True,
        help="Worker processes; the numbers do not depend on it.",
    )(function)


_SIMULATION = (
    click.option("--depth", type=int, default=10, show_default=True, help="Hidden layers."),
    click.option(
        "--widths",
        type=Numbers(int),
        default="250,500,1000",
        show_default=True,
        help="Widths of the networks; the bias of finite width is extrapolated from them.",
    ),
    click.option("--networks", type=int, default=64, show_default=True, help="Networks of each width."),
    click.option(
        "--weights",
        type=click.Choice(["gaussian", "orthogonal"]),
        default="gaussian",
        show_default=True,
        help="Their law.",
    ),
    click.option(
        "--level", type=float, default=0.01, show_default=True, help="Chance, at most, of rejecting a right theory."
    ),
    seed_option,
    workers_option,
)


_CHECKED = (
    click.option("--sigma-w", type=float, help="Standard deviation of the weights times sqrt(fan_in); else critical."),
    click.option("--sigma-b", type=float, default=0.05, show_default=True, help="Standard deviation of the biases."),
    click.option("--q0", type=float, default=1.0, show_default=True, help="Variance of the first pre-activation."),
    click.option(
        "--c0", type=Numbers(float), default="0.5", show_default=True, help="Correlations of pairs of inputs."
    ),
    click.option(
        "--quantities",
        type=Numbers(str),
        metavar="NAME,...",
        help="What is compared, by default q,c,chi; also gradient, xi_q, xi_c, ntk, ntk_cosine, jacobian_moment, "
        "mean_log_sigma, lambda_max, trace.",
    ),
)


def simulation_options(function: Callable) -> Callable:
    """The options of every command that simulates networks."""
    return _with(_SIMULATION, function)


def checked_options(function: Callable) -> Callable:
    """The options of every command that holds a theory against networks: the point, the inputs, what is compared."""
    return _with(_CHECKED, function)


def _with(options: Sequence[Callable], function: Callable) -> Callable:
    for option in reversed(options):
        function = option(function)
    return function


def declare(
    name: str, *, example: str, suffixes: tuple[str, ...], cls: type[click.Command] = PhiCommand
) -> Callable[[Callable], click.Command]:
    """The decorator of every command: --json, --output, --traceback and the example in its help."""

    def decorate(function: Callable) -> click.Command:
        for option in (
            click.option("--traceback", is_flag=True, expose_value=False, help="Show where an error comes from."),
            click.option(
                "--output",
                "-o",
                type=OutputFile(suffixes),
                metavar="FILE",
                help=f"Write the result to FILE instead; its suffix, {' '.join(suffixes)}, is the format.",
            ),
            click.option("--json", "as_json", is_flag=True, help="Print one JSON object."),
        ):
            function = option(function)
        epilog = f"\b\nExample:\n  {example}"
        return click.command(name, cls=cls, epilog=epilog, context_settings={"max_content_width": 100})(function)

    return decorate
