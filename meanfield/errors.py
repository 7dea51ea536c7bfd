"""Exceptions, warnings and the status codes that results carry."""

import inspect
import warnings
from enum import IntEnum

__all__ = [
    "AccuracyWarning",
    "ConvergenceError",
    "InvalidParameterError",
    "MeanFieldError",
    "NoCriticalPointError",
    "NoFixedPointError",
    "NonlinearityError",
    "NotDifferentiableError",
    "Status",
    "UnstableCriticalPointWarning",
    "warn",
]


class MeanFieldError(Exception):
    """Base of every error that the package raises on purpose."""


class InvalidParameterError(MeanFieldError, ValueError):
    """An argument breaks its rule; the message names the argument, the rule and the value."""


class NonlinearityError(MeanFieldError, ValueError):
    """A nonlinearity cannot be used: bad text, not real, not finite, a jump, constant, infinite moment."""


class NotDifferentiableError(NonlinearityError):
    """The nonlinearity jumps, so its derivative holds a delta and the theory's slopes do not exist."""


class NoFixedPointError(MeanFieldError):
    """No length fixed point is reached from the given start."""


class NoCriticalPointError(MeanFieldError):
    """The critical line does not pass through the value asked for; the message says what is attainable."""


class ConvergenceError(MeanFieldError):
    """An iteration stopped short of its tolerance; `partial` holds what it had."""

    def __init__(self, message: str, partial: object = None) -> None:
        super().__init__(message)
        self.partial = partial

    def __reduce__(self):
        return type(self), (*self.args, self.partial)


class AccuracyWarning(UserWarning):
    """The reported error bound is larger than the documented accuracy."""


class UnstableCriticalPointWarning(UserWarning):
    """The critical point is a repelling fixed point of the length map: lengths drift away from it."""


def warn(message: str, category: type[Warning]) -> None:
    """Warn at the line that called into the package, however deep inside it the reason was found."""
    package, level = __name__.partition(".")[0], 1
    frame = inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] == package:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


class Status(IntEnum):
    """Outcome of one solve, or of one cell of a grid; `message` says what it means and what to do."""

    CONVERGED = 0
    EVERY_Q_FIXED = 1
    UNBOUNDED = 2
    NO_CRITICAL_POINT = 3
    LOW_ACCURACY = 4
    NOT_CONVERGED = 5
    MOMENT_NOT_FINITE = 6
    BEYOND_FLOAT64 = 7
    EMPTY_TAIL = 8

    @property
    def message(self) -> str:
        return _STATUS_MESSAGES[self]


_STATUS_MESSAGES = {
    Status.CONVERGED: "Converged to within the reported error.",
    Status.EVERY_Q_FIXED: "Every q is a fixed point of the q-map, so q_star is q0; choose the length by q0.",
    Status.UNBOUNDED: "q grows without bound from q0; lower sigma_w, or start from a q0 below the basin's edge.",
    Status.NO_CRITICAL_POINT: "The critical line has no point here; choose a value inside the attainable range.",
    Status.LOW_ACCURACY: "The reported error exceeds the documented accuracy; rely on it only to that error.",
    Status.NOT_CONVERGED: "The solver stopped short of its tolerance; move the parameters and compare.",
    Status.MOMENT_NOT_FINITE: "A Gaussian moment is infinite at this q; choose a nonlinearity that grows more slowly.",
    Status.BEYOND_FLOAT64: "A value leaves the range of float64; read the fields and methods in logarithms.",
    Status.EMPTY_TAIL: "The support ends where no finite network has an eigenvalue; compare networks with bulk_max.",
}
