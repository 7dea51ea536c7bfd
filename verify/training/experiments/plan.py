"""What an experiment consists of: groups of networks, lengths, seeds, the search for rates, and the shared settings."""

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from meanfield.arguments import choice, integer, interval, scalar
from meanfield.errors import InvalidParameterError
from verify.training.configuration import TrainingConfig

__all__ = ["GROUPS", "SCALES", "Plan", "Run", "read_plan", "shipped_plan"]

# Sokol and Park's groups: nonlinear networks on three manifolds, and linear ones that start orthogonal.
GROUPS: dict[str, dict[str, str]] = {
    "euclidean": {"phi": "tanh", "manifold": "euclidean"},
    "stiefel": {"phi": "tanh", "manifold": "stiefel"},
    "oblique": {"phi": "tanh", "manifold": "oblique"},
    "linear": {"phi": "linear", "manifold": "euclidean"},
}
SCALES = ("laptop", "paper")
# Rates are chosen on networks that the experiment itself does not use.
SEARCH_SEED = 1000


@dataclass(frozen=True)
class Run:
    """One training run of a plan: its place in the grid and its settings."""

    group: str
    q_star: float
    seed: int
    config: TrainingConfig

    @property
    def name(self) -> str:
        """A file name that tells the place and the rates."""
        return f"{self.group}-q{self.q_star:g}-seed{self.seed}-rate{self.config.rate:g}-{self.config.readout_rate:g}"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A grid of groups x lengths x seeds, every group and length with rates of its own.

    Attributes
    ----------
    groups : tuple of str
        Of `GROUPS`.
    q_star : tuple of float
    seeds : int, >= 2
        Networks of each group and length.
    goal : float, > 0
        Training loss whose time is taken.
    rates, readout_rates : tuple of float
        Every pair is tried, for every group and length alike: rates of the manifold variables, and rates of the
        read-out, biases and scales.
    search_epochs : int
        Length of a trial; the rates of the lowest training loss at its end are kept.
    training : TrainingConfig
        What all runs share.
    """

    groups: tuple[str, ...] = tuple(GROUPS)
    q_star: tuple[float, ...] = (9.2e-4, 1 / 64, 0.5, 8.0)
    seeds: int = 5
    goal: float = 0.1
    rates: tuple[float, ...] = (3e-5, 1e-4, 3e-4, 1e-3, 3e-3)
    readout_rates: tuple[float, ...] = (1e-3, 1e-2, 3e-2)
    search_epochs: int = 8
    training: TrainingConfig = field(default_factory=TrainingConfig)

    def __post_init__(self) -> None:
        for name in ("groups", "q_star", "rates", "readout_rates"):
            given = getattr(self, name)
            if not isinstance(given, list | tuple) or not given or len(set(map(repr, given))) != len(given):
                raise InvalidParameterError(f"{name} must be a list without repetitions, got {given!r}")
            object.__setattr__(self, name, tuple(given))
        for group in self.groups:
            choice("each of groups", group, GROUPS)
        for name in ("q_star", "rates", "readout_rates"):
            interval(name, getattr(self, name), low=0.0, open_low=True)
        integer("seeds", self.seeds, low=2, high=SEARCH_SEED)
        integer("search_epochs", self.search_epochs, low=1)
        scalar("goal", self.goal, low=0.0, open_low=True)

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain types."""
        return {**asdict(self), "training": self.training.to_dict()}

    def trials(self) -> list[Run]:
        """The runs of the search."""
        base = {"epochs": self.search_epochs, "measure_every": self.search_epochs, "fisher_samples": 2}
        return [
            self._run(group, q, SEARCH_SEED, rate, readout_rate, base | {"jacobian_samples": 1})
            for group in self.groups
            for q in self.q_star
            for rate in self.rates
            for readout_rate in self.readout_rates
        ]

    def runs(self, chosen: Mapping[tuple[str, float], tuple[float, float]]) -> list[Run]:
        """The runs of the grid, with the rates chosen for each group and length."""
        return [
            self._run(group, q, seed, *chosen[group, q], {})
            for group in self.groups
            for q in self.q_star
            for seed in range(self.seeds)
        ]

    def _run(
        self, group: str, q: float, seed: int, rate: float, readout_rate: float, changes: Mapping[str, Any]
    ) -> Run:
        rates = {"rate": rate, "readout_rate": readout_rate, "scale_rate": readout_rate}
        config = replace(self.training, **GROUPS[group], q_star=q, seed=seed, **rates, **changes)
        return Run(group, q, seed, config)


def shipped_plan(scale: str, **changes: Any) -> Plan:
    """The plan called "laptop" or "paper" that comes with the package; `changes` are of the shared settings.

    Examples
    --------
    >>> plan = shipped_plan("laptop")
    >>> len(plan.groups) * len(plan.q_star) * plan.seeds
    80
    """
    text = files("verify.training.experiments").joinpath("plans", f"{choice('scale', scale, SCALES)}.toml").read_text()
    return _plan(tomllib.loads(text), changes)


def read_plan(path: str | Path, **changes: Any) -> Plan:
    """The plan in a TOML file with the tables experiment, search and training; `changes` are of the last.

    Parameters
    ----------
    path : path
        [experiment]: groups, q_star, seeds, goal. [search]: rates, readout_rates, epochs (`search_epochs` of Plan).
        [training]: the fields of TrainingConfig, without those that the plan sets for each run: phi, manifold, q_star,
        seed, sigma_w, sigma_b and the rates. What is left out has its default.
    changes
        Fields of TrainingConfig that go before the file's, such as data_path.

    Raises
    ------
    InvalidParameterError
        It is no TOML, or holds a table or key that is not known, or a value that breaks its rule.
    """
    try:
        tables = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidParameterError(f"config must be a TOML file: {error}") from None
    return _plan(tables, changes)


def _plan(tables: Mapping[str, Any], changes: Mapping[str, Any]) -> Plan:
    training_names = {each.name for each in fields(TrainingConfig)} - {
        "phi",
        "manifold",
        "q_star",
        "seed",
        "sigma_w",
        "sigma_b",
    }
    known = {
        "experiment": {"groups", "q_star", "seeds", "goal"},
        "search": {"rates", "readout_rates", "epochs"},
        "training": training_names - {"rate", "readout_rate", "scale_rate"},
    }
    for title, table in tables.items():
        if title not in known or not isinstance(table, Mapping):
            raise InvalidParameterError(f"config must hold the tables {', '.join(known)}, got {title!r}")
        for key in table:
            choice(f"each key of [{title}]", key, sorted(known[title]))
    search = dict(tables.get("search", {}))
    if "epochs" in search:
        search["search_epochs"] = search.pop("epochs")
    training = TrainingConfig(**{**tables.get("training", {}), **changes})
    return Plan(**tables.get("experiment", {}), **search, training=training)
