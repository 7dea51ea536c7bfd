"""Bytes and seconds that one network takes, as measured with tanh on one core: rough, and never too few bytes."""

from verify.signals import TANGENT, SignalSetting

__all__ = ["signal_cost", "spectra_cost"]

FLOAT = 8


def signal_cost(setting: SignalSetting, width: int) -> tuple[float, float]:
    """Of `signals.measure`: the images of all inputs in every layer, or one weight matrix at a time."""
    depth, inputs = setting.law.depth, 1 + len(setting.c0)
    per_layer = width * depth
    if setting.law.method == "sampled":
        seconds = (8e-8 + 8e-8 * bool(TANGENT & set(setting.quantities))) * inputs * per_layer
        return FLOAT * (3 * inputs + 2) * per_layer, 1.3e-4 * depth + seconds
    return FLOAT * (1.3 * width**2 + (2 * inputs + 4) * per_layer), 1.3e-4 * depth + 1.1e-8 * width * per_layer


def spectra_cost(setting: SignalSetting, width: int) -> tuple[float, float]:
    """Of `spectra.traces.measure`: answers of revealed weights, or products of whole matrices."""
    depth = setting.law.depth
    per_layer = width * depth
    if setting.law.method == "sampled":
        if "lambda_max" in setting.quantities:  # some 60 steps of Lanczos
            return FLOAT * 500 * per_layer, 2e-3 * depth + 4e-6 * per_layer
        return FLOAT * 40 * per_layer, 2.5e-4 * depth + 4e-7 * per_layer
    logarithms = "mean_log_sigma" in setting.quantities
    squares, seconds = (11.0, 2.5e-9) if logarithms else (5.0, 4e-10)
    return FLOAT * squares * width**2 + FLOAT * 4 * per_layer, seconds * width**2 * per_layer
