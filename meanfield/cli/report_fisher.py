"""The Fisher numbers that `meanfield report` shows, with a few measured networks beside them."""

from dataclasses import dataclass
from typing import Any

__all__ = ["WIDTH", "FisherNumbers", "report_fisher"]

WIDTH, NETWORKS, SAMPLES, OUTPUTS = 128, 4, 40, 10


@dataclass(frozen=True, kw_only=True)
class FisherNumbers:
    """Karakida's statistics, the bounds and measured networks; all None, and the reason, where there are none."""

    statistics: Any = None
    bound: Any = None
    measured: Any = None
    reason: str = ""

    def to_dict(self) -> dict[str, Any] | None:
        """The fields of report.json."""
        if self.statistics is None:
            return None
        return {"statistics": self.statistics, "bound": self.bound, "simulation": self.measured}


def report_fisher(phi, point, reached, *, depth: int, seed: int) -> FisherNumbers:
    """The numbers at the report's point, with inputs that put the first layer at its fixed point."""
    import meanfield as mf
    import verify
    from meanfield.cli.defaults import input_norm

    if reached is None:
        return FisherNumbers(reason="No length is known to settle here, so the Fisher information has no limit.")
    shape: dict[str, Any] = {"depth": depth, "width": WIDTH, "samples": SAMPLES, "outputs": OUTPUTS}
    where = (phi, point.sigma_w, point.sigma_b)
    inputs: dict[str, Any] = {"input_norm": input_norm(point.sigma_w, point.sigma_b, reached.q_star)}
    try:
        bound = mf.fisher_bound(*where, **shape, **inputs, weights="orthogonal")
        statistics = mf.fisher_statistics(*where, **shape, **inputs, biases=True)
        setting = verify.fisher_setting(*where, **shape, **inputs, weights="orthogonal")
        measured = verify.fisher_outliers(setting, networks=NETWORKS, seed=seed)
    except mf.MeanFieldError as error:
        return FisherNumbers(reason=str(error))
    return FisherNumbers(statistics=statistics, bound=bound, measured=measured)
