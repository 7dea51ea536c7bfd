"""What all results share: frozen fields, read-only arrays, error bounds, provenance, plain-type export."""

import dataclasses
import functools
import json
import math
import platform
from collections.abc import Mapping
from enum import IntEnum
from importlib.metadata import PackageNotFoundError, version
from types import MappingProxyType
from typing import Any

import numpy as np

__all__ = ["Result", "json_text", "plain", "provenance"]


class Result:
    """Base of result dataclasses: declare subclasses with ``@dataclass(frozen=True, kw_only=True, eq=False)``.

    Array fields are made read-only copies and mappings read-only views, so that a result can be shared and cached.
    """

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                value = value.copy()
                value.flags.writeable = False
            elif isinstance(value, np.generic):
                value = value.item()
            elif isinstance(value, Mapping):
                value = MappingProxyType(dict(value))
            else:
                continue
            object.__setattr__(self, field.name, value)

    def __getstate__(self) -> dict[str, Any]:
        return {k: dict(v) if isinstance(v, MappingProxyType) else v for k, v in self.__dict__.items()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            object.__setattr__(self, name, MappingProxyType(value) if isinstance(value, dict) else value)

    def to_dict(self) -> dict[str, Any]:
        """The fields in plain Python types (float, int, str, bool, list, dict); arrays become nested lists."""
        return {field.name: plain(getattr(self, field.name)) for field in dataclasses.fields(self)}  # type: ignore[arg-type]

    def to_json(self, **context: Any) -> str:
        """One JSON object of the fields; nan and infinities become null; `context` adds fields in front."""
        return json_text({**context, **self.to_dict()})


def plain(value: Any) -> Any:
    """`value` in plain Python types; a status becomes its lower-case name."""
    if isinstance(value, IntEnum):
        return value.name.lower()
    if isinstance(value, Result):
        return value.to_dict()
    if isinstance(value, np.ndarray):
        return [plain(item) for item in value] if value.dtype == object else value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def json_text(value: Any, *, indent: int | None = 2) -> str:
    """Strict JSON: nan and infinities, which JSON cannot hold, become null."""
    return json.dumps(_finite(plain(value)), indent=indent, allow_nan=False, ensure_ascii=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return value


@functools.cache
def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for distribution in ("meanfield-dnn", "numpy", "scipy", "numba"):
        try:
            found[distribution] = version(distribution)
        except PackageNotFoundError:
            found[distribution] = "not installed"
    return found


@functools.cache
def _blas() -> str:
    config: dict[str, Any] = np.show_config(mode="dicts")  # type: ignore[assignment]
    blas = config.get("Build Dependencies", {}).get("blas", {})
    return f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip()


def provenance(
    *, seed: np.random.SeedSequence | int | None = None, command: str | None = None, wall_time: float | None = None
) -> dict[str, Any]:
    """Where a number comes from: versions, BLAS, seed entropy, command, wall time in seconds.

    It holds no user name, host name or path.
    """
    if isinstance(seed, np.random.SeedSequence):
        entropy: Any = seed.entropy
    else:
        entropy = seed
    return {
        "versions": dict(_versions()),
        "blas": _blas(),
        "seed": entropy,
        "command": command,
        "wall_time": wall_time,
    }
