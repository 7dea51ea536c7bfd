"""Where a run starts: the one place of training that asks the theory, for the critical point at a wanted length."""

from dataclasses import replace

from meanfield.criticality import critical_point
from verify.training.configuration import TrainingConfig

__all__ = ["resolved"]


def resolved(config: TrainingConfig) -> TrainingConfig:
    """The configuration with sigma_w and sigma_b in place: as given, else those of the critical point at q_star.

    Raises
    ------
    NoCriticalPointError
        The critical line does not pass through this q_star.

    Examples
    --------
    >>> config = resolved(TrainingConfig(phi="tanh", q_star=0.5))
    >>> round(config.sigma_w, 6), round(config.sigma_b, 6)
    (1.299221, 0.195042)
    """
    if config.sigma_w is not None:
        return config
    point = critical_point(config.phi, q_star=config.q_star)
    return replace(config, sigma_w=point.sigma_w, sigma_b=point.sigma_b)
