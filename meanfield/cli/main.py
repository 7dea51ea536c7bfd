"""The command `meanfield`: finds the command asked for, runs it, and turns every end into an exit code.

0 ok; 1 ran, and the verification failed; 2 bad usage or input; 3 no answer exists or not converged;
70 internal error; 130 interrupted, or asked to end. A closed pipe is silent.
"""

import difflib
import errno
import io
import os
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

import click

from meanfield.cli.session import Session, close_quietly
from meanfield.errors import InvalidParameterError, MeanFieldError, NonlinearityError

__all__ = ["COMMANDS", "run"]

# Where the answer goes is full: a disk, or a user's share of it.
FULL = (errno.ENOSPC, errno.EDQUOT)

OK, VERDICT_NO, BAD_INPUT, NO_ANSWER, INTERNAL, INTERRUPTED = 0, 1, 2, 3, 70, 130

COMMANDS = {
    "critical": ("critical", "Critical (sigma_w, sigma_b) to initialise PHI with."),
    "fixed-points": ("fixed_points", "All length fixed points of PHI, with stability, phase and depth scales."),
    "line": ("line", "The critical line of PHI."),
    "phase": ("phase", "The phase diagram of PHI."),
    "spectrum": ("spectrum", "The law of the Jacobian's squared singular values."),
    "fisher": ("fisher", "The Fisher information's largest eigenvalue at initialisation and what bounds it."),
    "propagate": ("propagate", "Follow PHI through the layers."),
    "init": ("init", "Weights and biases of a network at criticality."),
    "validate": ("validate", "Hold the theory of PHI against simulated networks."),
    "calibrate": ("calibrate", "How often a verdict on PHI is wrong."),
    "train": ("train", "Train one network and measure it on the way."),
    "experiment": ("experiment", "Train networks on manifolds and hold the paper's claims against them."),
    "report": ("report", "Everything about PHI in one folder: report.html, figures, report.json."),
    "explore": ("explore", "One page in which a point is dragged through the phase plane of many nonlinearities."),
    "list": ("catalogue", "The nonlinearities known by name."),
    "doctor": ("doctor", "Check this installation."),
}

EPILOG = """\b
PHI is a name (tanh), a name with parameters ("leaky_relu(slope=0.2)") or an expression in x ("sin(x)/(1+abs(x))").
\b
Shell completion, for bash (or zsh, fish):
  eval "$(_MEANFIELD_COMPLETE=bash_source meanfield)"
"""


class LazyGroup(click.Group):
    """The commands of `COMMANDS`, imported one by one when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        return import_module(f"meanfield.cli.{COMMANDS[cmd_name][0]}").command

    def resolve_command(self, ctx: click.Context, args: list[str]):
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            close = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"the commands are {', '.join(COMMANDS)}"
            raise click.UsageError(f"no such command {args[0]!r}; {hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        # From the table alone: listing must not import the commands.
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def main(self, args=None, prog_name=None, complete_var=None, standalone_mode=True, **extra):
        if "_MEANFIELD_COMPLETE" in os.environ:
            return super().main(args, "meanfield", complete_var, standalone_mode, **extra)
        sys.exit(_run(self, list(sys.argv[1:] if args is None else args)))


def _version(ctx: click.Context, _param: click.Parameter, wanted: bool) -> None:
    if wanted:
        from meanfield import __version__

        click.echo(f"meanfield {__version__}")
        ctx.exit()


@click.group(
    cls=LazyGroup,
    epilog=EPILOG,
    context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 100},
)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
def run() -> None:
    """A calculator for wide random networks: critical initialisation, phases, and a check by simulation."""


def _run(group: click.Group, words: list[str]) -> int:
    """The exit code of one call; nothing but KeyboardInterrupt in this very function escapes it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot show a symbol must not end the run
    interrupts: list[int] = []
    try:
        with warnings.catch_warnings(), _noted(interrupts):
            warnings.simplefilter("default")
            warnings.showwarning = _show_warning
            with group.make_context("meanfield", list(words) or ["--help"], obj=Session(words)) as context:
                code = group.invoke(context) or OK
                sys.stdout.flush()
                return code
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except (KeyboardInterrupt, EOFError, click.Abort) as stop:
        _say(" ".join(["Interrupted.", *(str(word) for word in stop.args if isinstance(stop, KeyboardInterrupt))]))
        return INTERRUPTED
    except OSError as error:
        if error.errno == errno.EPIPE:
            close_quietly()
            return OK
        return _fail(error, words)
    except Exception as error:  # noqa: BLE001 the last resort: becomes one line and exit code 70
        if interrupts:
            _say("Interrupted.")  # an import that Ctrl-C stops half-way fails with an error of its own
            return INTERRUPTED
        return _fail(error, words)


@contextmanager
def _noted(interrupts: list[int]) -> Iterator[None]:
    """Every Ctrl-C is put on the list as well; SIGTERM, by which a system asks a process to end, is one more."""
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    ours = {number: handler for number, handler in usual.items() if signal.getsignal(number) == handler}

    def note(number, frame):
        interrupts.append(number)
        signal.default_int_handler(number, frame)

    for number in ours:
        signal.signal(number, note)
    try:
        yield
    finally:
        for number, handler in ours.items():
            signal.signal(number, handler)


def _exit_code(error: Exception) -> int:
    if isinstance(error, click.ClickException | InvalidParameterError | NonlinearityError | MemoryError):
        return BAD_INPUT
    if isinstance(error, MeanFieldError):
        return NO_ANSWER
    if isinstance(error, OSError) and (error.filename is not None or error.errno in FULL):
        return BAD_INPUT
    return INTERNAL


def _message(error: Exception, code: int) -> str:
    if isinstance(error, click.UsageError):
        path = error.ctx.command_path if error.ctx else "meanfield"
        return f"{error.format_message().rstrip('.')}. Try '{path} --help'."
    if isinstance(error, click.ClickException):
        return error.format_message()
    if code == INTERNAL:
        return (
            f"internal error, {type(error).__name__}: {error}. This is a bug: please report it with "
            "the command and what --traceback shows."
        )
    if isinstance(error, MemoryError):
        return f"these sizes need more memory than there is: {error or 'choose smaller ones'}"
    if isinstance(error, OSError) and error.filename is not None:
        return f"cannot use {str(error.filename)!r}: {error.strerror}"
    if isinstance(error, OSError):
        return f"cannot write: {error.strerror}"
    return str(error)


def _fail(error: Exception, words: list[str]) -> int:
    code = _exit_code(error)
    if "--traceback" in words:
        import traceback

        traceback.print_exception(error)
    text = " ".join(_message(error, code).split())
    if "--json" in words:
        from meanfield.results import json_text

        _say(json_text({"error": {"type": type(error).__name__, "message": text}}, indent=None))
    else:
        _say(f"Error: {text}")
    return code


def _say(text: str) -> None:
    """One line on stderr; if nobody listens there, nothing."""
    try:
        click.echo(text, err=True)
    except OSError:
        close_quietly()


def _show_warning(message, category, filename, lineno, file=None, line=None) -> None:
    _say(f"Warning: {' '.join(str(message).split())}")
