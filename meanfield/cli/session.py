"""One call of the command line: what was typed and when, and the quiet end of a closed pipe."""

import os
import shlex
import sys
import time
from dataclasses import dataclass, field

__all__ = ["Session", "close_quietly"]

# Options whose value is a place on this machine, or an address of the user's.
PATHS = ("--output", "-o", "--folder", "--data-path", "--config", "--scheduler")


@dataclass(frozen=True)
class Session:
    """The words after ``meanfield``, and the clock at the start."""

    words: list[str]
    started: float = field(default_factory=time.perf_counter)

    @property
    def wall_time(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self.started

    @property
    def command(self) -> str:
        """The call as typed, without the places of files, which would be paths of one machine."""
        kept: list[str] = []
        skip = False
        for word in self.words:
            if skip or word.startswith(tuple(f"{option}=" for option in PATHS)):
                skip = False
            elif word in PATHS:
                skip = True
            else:
                kept.append(word)
        return shlex.join(["meanfield", *kept])


def close_quietly() -> None:
    """After a closed pipe: what is still in the buffers goes nowhere, without a complaint at exit."""
    hole = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            os.dup2(hole, stream.fileno())
        except (OSError, ValueError):
            continue
