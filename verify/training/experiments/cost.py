"""What an experiment will take, before it starts."""

from dataclasses import dataclass

from verify.training.cost import predicted_cost
from verify.training.data import Sizes
from verify.training.experiments.plan import Plan

__all__ = ["Prediction", "predict_cost"]


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """Of a whole experiment.

    Attributes
    ----------
    tasks : int
        Trials and runs.
    core_seconds : float
        Of one core, all tasks together; divide by the number of workers.
    bytes_each : int
        Memory of one worker.
    """

    tasks: int
    core_seconds: float
    bytes_each: int


def predict_cost(plan: Plan, max_memory: float | None = None, *, sizes: Sizes | None = None) -> Prediction:
    """Time and memory of `plan`, from the size of the data and the time of one matrix product measured now.

    With the `sizes` of the data nothing is loaded.

    Raises
    ------
    InvalidParameterError
        One worker needs more memory than allowed, or than the machine has.
    """
    trials = plan.trials()
    runs = len(plan.groups) * len(plan.q_star) * plan.seeds
    _, trial_seconds = predicted_cost(trials[0].config, max_memory, sizes=sizes)
    bytes_each, run_seconds = predicted_cost(plan.training, max_memory, sizes=sizes)
    return Prediction(
        tasks=len(trials) + runs,
        core_seconds=len(trials) * trial_seconds + runs * run_seconds,
        bytes_each=bytes_each,
    )
