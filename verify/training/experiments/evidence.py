"""The tables of an experiment, cell by cell of the grid, as arrays over seeds."""

import numpy as np

from verify.training.experiments.tables import Tables

__all__ = ["Evidence"]


class Evidence:
    """What claims are judged on.

    Parameters
    ----------
    tables : Tables
    longest : int
        Epochs of a run, which stands for the time of one that never reached the goal.
    """

    def __init__(self, tables: Tables, longest: int) -> None:
        self._tables = tables
        self._longest = longest
        self.lengths: list[float] = sorted(set(tables.runs["q_star"].tolist()))
        self.groups: set[str] = set(tables.runs["group"].tolist())

    def start(self, column: str, group: str, q: float) -> np.ndarray:
        """A column of the runs, shape (seeds,)."""
        runs = self._tables.runs
        rows = (runs["group"] == group) & (runs["q_star"] == q)
        return runs[column][rows][np.argsort(runs["seed"][rows])]

    def time(self, group: str, q: float) -> np.ndarray:
        """Epochs to the goal, shape (seeds,), capped at the length of a run."""
        return np.minimum(self.start("epochs_to_goal", group, q), self._longest)

    def arrived(self, group: str, q: float) -> np.ndarray:
        """Which runs came to the goal, shape (seeds,)."""
        return np.isfinite(self.start("epochs_to_goal", group, q))

    def time_ratio(self, one: tuple[str, float], other: tuple[str, float], *, limit: float = 1.0) -> np.ndarray:
        """Epochs to the goal of one group and length over those of another, shape (seeds,).

        Where only one of the two arrived, a bound on the ratio; nan where that does not tell the side of the limit, and
        where some seeds have a lower bound and some an upper one.
        """
        ratio = self.time(*one) / self.time(*other)
        late, early = (~self.arrived(*cell) for cell in (one, other))
        unknown = (late & early) | (late & (ratio < limit)) | (early & (ratio > limit)) | (late.any() and early.any())
        return np.where(unknown, np.nan, ratio)

    def course(self, column: str, group: str, q: float) -> dict[int, dict[int, float]]:
        """What was measured: {seed: {epoch: value}}."""
        table = self._tables.courses
        rows = (table["group"] == group) & (table["q_star"] == q) & np.isfinite(table[column])
        found: dict[int, dict[int, float]] = {}
        for seed, epoch, value in zip(*(table[name][rows].tolist() for name in ("seed", "epoch", column)), strict=True):
            found.setdefault(int(seed), {})[int(epoch)] = value
        return dict(sorted(found.items()))

    def rise(self, group: str, q: float, early: int) -> np.ndarray:
        """lambda_max at its largest in epochs 1 to `early`, over its start; shape (seeds,), nan where there is none."""
        ratios = []
        for course in self.course("lambda_max", group, q).values():
            first = [value for epoch, value in course.items() if 0 < epoch <= early]
            ratios.append(max(first, default=np.nan) / course[0])
        return np.array(ratios)

    def late_mean(self, column: str, group: str, q: float, early: int) -> np.ndarray:
        """Geometric mean of a column from epoch `early` on, shape (seeds,); nan for a run that ended before."""
        logs = []
        for course in self.course(column, group, q).values():
            late = [np.log(value) for epoch, value in course.items() if epoch >= early]
            logs.append(np.mean(late) if late else np.nan)
        return np.exp(logs)
