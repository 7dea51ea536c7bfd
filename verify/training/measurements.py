"""What is measured on a network in training, on fixed inputs, and what each measurement costs."""

import time
from dataclasses import dataclass

import numpy as np

from meanfield.nonlinearity import Nonlinearity
from verify.curvature import fisher_eigenvalues, fisher_gram, sigma_max_jacobian
from verify.training.losses import Loss
from verify.training.network import Layers, backward, forward

__all__ = ["COSTS", "Measurement", "Probe", "measure", "orthogonality_defect", "tangent_kernel"]

COSTS = ("fisher", "jacobian", "tangent_kernel", "gradient")
EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, kw_only=True, eq=False)
class Probe:
    """The inputs of all measurements.

    Attributes
    ----------
    inputs, targets : array (samples, dim) and (samples, classes)
        Where the Fisher information and the gradients are measured.
    fixed : array (fixed samples, dim)
        Where the Jacobian and the tangent kernel are measured.
    """

    inputs: np.ndarray
    targets: np.ndarray
    fixed: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class Measurement:
    """The numbers of one epoch; see `TrainingRecord`. `costs` holds the seconds of each of `COSTS`."""

    lambda_max: float
    condition_number: float
    numerical_rank: int
    sigma_max_jacobian: float
    ntk_drift: float
    gradient_norms: np.ndarray
    costs: dict[str, float]


def measure(layers: Layers, phi: Nonlinearity, probe: Probe, loss: Loss, kernel_at_start: np.ndarray) -> Measurement:
    """All costly quantities of one network, in float64 whatever it is trained in."""
    layers = [(W.astype(np.float64, copy=False), b.astype(np.float64, copy=False)) for W, b in layers]
    clock = [time.perf_counter()]
    eigenvalues = fisher_eigenvalues(layers, phi, probe.inputs, output=loss.output)
    resolved = eigenvalues[eigenvalues > len(eigenvalues) * EPS * eigenvalues[0]]
    clock.append(time.perf_counter())
    sigma_max = float(sigma_max_jacobian(layers, phi, probe.fixed).mean())
    clock.append(time.perf_counter())
    kernel = tangent_kernel(layers, phi, probe.fixed)
    drift = float(np.linalg.norm(kernel - kernel_at_start) / np.linalg.norm(kernel_at_start))
    clock.append(time.perf_counter())
    passed = forward(layers, phi, probe.inputs)
    gradients = backward(layers, passed, loss.gradient(passed.outputs, probe.targets))
    norms = np.array([np.linalg.norm(weight) for weight, _ in gradients])
    clock.append(time.perf_counter())
    return Measurement(
        lambda_max=float(eigenvalues[0]),
        # A network whose outputs do not depend on its parameters has no spectrum to speak of.
        condition_number=float(resolved[0] / resolved[-1]) if len(resolved) else np.nan,
        numerical_rank=len(resolved),
        sigma_max_jacobian=sigma_max,
        ntk_drift=drift,
        gradient_norms=norms,
        costs=dict(zip(COSTS, np.diff(clock).tolist(), strict=True)),
    )


def tangent_kernel(layers: Layers, phi: Nonlinearity, inputs: np.ndarray) -> np.ndarray:
    """J J^T/samples of the outputs by all weights and biases, shape (samples x outputs, samples x outputs)."""
    return fisher_gram(layers, phi, inputs, output="linear")


def orthogonality_defect(points: list[np.ndarray]) -> float:
    """max |M^T M - I| over stacks of tall matrices."""
    return max(float(np.abs(M.mT @ M - np.eye(M.shape[-1])).max()) for M in points if M.size)
