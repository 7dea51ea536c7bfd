"""What an experiment will take, before it starts."""

from dataclasses import dataclass

from verify.training.cost import measurement_seconds, memory_needed, seconds_needed
from verify.training.data import load
from verify.training.experiments.plan import Plan
from verify.training.parameters import Shape

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


def predict_cost(plan: Plan) -> Prediction:
    """Time and memory of `plan`, from the size of the data and the time of one matrix product measured now."""
    data = load(plan.training.data, plan.training.data_path)
    training = plan.training
    shape = Shape(dim=data.dim, width=training.width, depth=training.depth, outputs=data.classes)
    samples = len(data.train_inputs)
    trials = plan.trials()
    runs = len(plan.groups) * len(plan.q_star) * plan.seeds

    def seconds(run_config, measured: int) -> float:
        return seconds_needed(run_config, shape, samples) + measured * measurement_seconds(run_config, shape)

    measured = 2 + training.epochs // training.measure_every
    total = len(trials) * seconds(trials[0].config, 3) + runs * seconds(training, measured)
    return Prediction(
        tasks=len(trials) + runs,
        core_seconds=total,
        bytes_each=memory_needed(training, shape, samples + len(data.test_inputs)),
    )
