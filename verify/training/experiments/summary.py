"""One row for each group and length: the rates that were chosen, and means over seeds with their intervals."""

from typing import Any

import numpy as np

from verify.intervals import over_seeds
from verify.training.experiments.evidence import Evidence

__all__ = ["LOGARITHMIC", "PLAIN", "summary_rows"]

# Means of the first are arithmetic, of the second geometric.
PLAIN = ("test_accuracy",)
LOGARITHMIC = ("epochs_to_goal", "lambda_max_start", "condition_number_start", "sigma_max_jacobian_start")


def summary_rows(evidence: Evidence) -> list[dict[str, Any]]:
    """The rows, each with mean, low and high (95 %) of every quantity.

    `reached` is the share of runs that came to the goal. If it is not 1, epochs_to_goal and its high are inf, and its
    low is the lower bound that remains: the others count in it with the length of a run.
    `gradient_descent_limit` is 2/lambda_max, the largest rate at which plain gradient descent is stable at the start.
    """
    rows = []
    for group in sorted(evidence.groups):
        for q in evidence.lengths:
            row: dict[str, Any] = {
                "group": group,
                "q_star": q,
                "rate": float(evidence.start("rate", group, q)[0]),
                "readout_rate": float(evidence.start("readout_rate", group, q)[0]),
                "reached": float(evidence.arrived(group, q).mean()),
            }
            for name in (*PLAIN, *LOGARITHMIC):
                values = evidence.time(group, q) if name == "epochs_to_goal" else evidence.start(name, group, q)
                found = over_seeds(values if name in PLAIN else np.log(values))
                numbers = np.array([found.mean, found.low, found.high])
                mean, low, high = (numbers if name in PLAIN else np.exp(numbers)).tolist()
                if name == "epochs_to_goal" and row["reached"] < 1:
                    mean, high = np.inf, np.inf
                row |= {name: mean, f"{name}_low": low, f"{name}_high": high}
            row["gradient_descent_limit"] = 2 / row["lambda_max_start"]
            rows.append(row)
    return rows
