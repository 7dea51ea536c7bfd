"""Results of long sweeps on disk: one file a task, so that a run that ends early goes on where it was.

A `Store` is a folder that belongs to one run. What decides the run's bits, its key, stands in ``run.json``: the name of
the function, its parameters, the seed, the versions of the packages and the BLAS. Each task's result is one file, named
by the hash of key and task, that begins with the hash of its content; it is written whole or not at all, read without
pickle, and computed again if it is damaged. A folder of another run is refused, with the entry that differs.

    store = Store("folder", function="simulate", parameters={"phi": "tanh", "width": 400}, seed=3, resume=True)
    results = sweep(work, items, executor=executor, store=store)

The items must follow from the key. Results may be numbers, text, None, arrays, and lists, tuples and dicts of them;
they come back as they were saved, the same from a fresh run and from a resumed one.
"""

import hashlib
import io
import json
import os
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from meanfield.errors import InvalidParameterError
from meanfield.nonlinearity import Nonlinearity
from meanfield.results import json_text, plain, provenance

__all__ = ["MISSING", "Store", "checked_folder", "fingerprint", "held", "identity"]

MISSING = object()  # what `load` returns where there is no result; None may be one
RUN = "run.json"
MOST_SHOWN = 8  # numbers of an array that the key spells out


def fingerprint(values: np.ndarray) -> str:
    """The hash of an array's type, shape and bits, as text for a key."""
    array = np.ascontiguousarray(values)
    digest = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode() + array.tobytes())
    return f"array{array.shape} {digest.hexdigest()[:16]}"


def identity(phi: Nonlinearity) -> dict[str, str]:
    """What tells a nonlinearity from others in a key: Python functions have no text, so values stand in for it."""
    x = np.linspace(-8.0, 8.0, 1025)
    return {"name": phi.name, "values": fingerprint(np.array([phi.function(x), phi.derivative(x)]))}


class Store:
    """The folder of one run; see the module.

    Parameters
    ----------
    folder : path
        Made if it does not exist. It must be empty, or of the same run.
    function : str
    parameters : mapping
        What decides the results beside function and seed: text, numbers, None, arrays, and lists and dicts of them.
    seed : int or SeedSequence, optional
    resume : bool
        Use what is there. Without it a folder that holds a run is refused.

    Raises
    ------
    InvalidParameterError
        The folder holds something else, another run, or this one and `resume` was not asked for.
    """

    def __init__(self, folder, *, function: str, parameters: Mapping[str, Any], seed=None, resume: bool = False):
        self._folder = Path(folder)
        origin = provenance(seed=seed)
        key = {
            "function": function,
            "parameters": _described(parameters),
            "seed": _seed_of(seed),
            "versions": origin["versions"],
            "blas": origin["blas"],
        }
        self._key = json_text(key, indent=None)
        self._claim(resume)

    def __getstate__(self) -> dict[str, Any]:
        return {"_folder": self._folder, "_key": self._key}

    def load(self, task: int) -> Any:
        """The result of a task; MISSING if there is none, or its file is damaged."""
        try:
            content = self._path(task).read_bytes()
        except FileNotFoundError:
            return MISSING
        if hashlib.sha256(content[32:]).digest() != content[:32]:
            return MISSING
        return _decoded(content[32:])

    def save(self, task: int, result: Any) -> Any:
        """Write the result of a task, if the folder is in reach of this machine, and return it as `load` will."""
        content = _encoded(result)
        if (self._folder / RUN).exists() and self.load(task) is MISSING:
            self._write(task, content)
        return _decoded(content)

    def replace(self, task: int, result: Any) -> None:
        """Write the result of a task in the place of the one that is there, such as the state of a run under way."""
        self._write(task, _encoded(result))

    def _write(self, task: int, content: memoryview) -> None:
        _write(self._path(task), hashlib.sha256(content).digest(), content)

    def _holds_only_this_run(self) -> bool:
        """Every result carries a hash of its run in its name."""
        return all(path == self._path(int(path.name[:6])) for path in self._folder.glob("[0-9]" * 6 + "*.cell"))

    def _path(self, task: int) -> Path:
        digest = hashlib.sha256(f"{self._key} {task}".encode()).hexdigest()
        return self._folder / f"{task:06d}-{digest[:16]}.cell"

    def _claim(self, resume: bool) -> None:
        if self._folder.exists() and not self._folder.is_dir():
            raise InvalidParameterError(f"folder must be a folder, got {self._folder.name!r}, a file")
        self._folder.mkdir(parents=True, exist_ok=True)
        mark = self._folder / RUN
        if not mark.exists():
            foreign = [entry.name for entry in self._folder.iterdir() if not entry.name.startswith(f".{RUN}")]
            if foreign:
                raise InvalidParameterError(
                    f"folder must be empty or hold a run, got {self._folder.name!r} with {sorted(foreign)[0]!r} in it"
                )
            _write(mark, self._key.encode())
            return
        try:
            saved = json.loads(mark.read_text(encoding="utf-8"))
        except ValueError:
            if not (resume and self._holds_only_this_run()):
                raise InvalidParameterError(f"folder must hold a run of its own, but {RUN} is damaged") from None
            _write(mark, self._key.encode())
            return
        _refuse_other_run(_flat(saved), _flat(json.loads(self._key)))
        if not resume:
            raise held(self._folder)


def held(folder: Path) -> InvalidParameterError:
    """The error of a folder that already holds the run that was asked for."""
    return InvalidParameterError(
        f"folder must hold no run unless it is to be resumed, got {folder.name!r}, which holds one; "
        "resume (--resume) goes on with it"
    )


def checked_folder(folder, resume: bool) -> Path | None:
    """The folder that a long call keeps its results in; None if it was given none.

    Raises
    ------
    InvalidParameterError
        `folder` is no path, or there is none to resume from.
    """
    if folder is None:
        if resume:
            raise InvalidParameterError("resume must come with the folder of the run, got folder = None")
        return None
    if not isinstance(folder, str | os.PathLike) or not os.fspath(folder):
        raise InvalidParameterError(f"folder must be a path, got {folder!r}")
    return Path(folder)


def _refuse_other_run(saved: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    for name in {**wanted, **saved}:
        if saved.get(name) != wanted.get(name):
            raise InvalidParameterError(
                f"folder must hold the same run: its {name} is {saved.get(name)!r}, now {wanted.get(name)!r}; "
                "choose another folder"
            )


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    if not isinstance(value, Mapping):
        return {name: value}
    flat: dict[str, Any] = {}
    for key, inner in value.items():
        flat |= _flat(inner, f"{name}.{key}" if name else str(key))
    return flat


def _described(value: Any) -> Any:
    """A parameter as JSON; long arrays by their hash."""
    if isinstance(value, Mapping):
        return {str(name): _described(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_described(inner) for inner in value]
    if isinstance(value, np.ndarray) and value.size > MOST_SHOWN:
        return fingerprint(value)
    return plain(value)


def _seed_of(seed) -> Any:
    if isinstance(seed, np.random.SeedSequence):
        return {"entropy": seed.entropy, "spawn_key": list(seed.spawn_key)}
    return plain(seed)


def _write(path: Path, *parts: bytes | memoryview) -> None:
    """The whole file or nothing, on the disk before it gets its name."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise type(error)(error.errno, error.strerror, str(path)) from None  # errors of writing do not know the file
    finally:
        Path(temporary).unlink(missing_ok=True)


def _encoded(result: Any) -> memoryview:
    """An NPZ of the arrays, and the structure around them as JSON."""
    arrays: dict[str, Any] = {}
    arrays["structure"] = np.array(json.dumps(_structure(result, arrays)))
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getbuffer()


def _structure(value: Any, arrays: dict[str, Any]) -> Any:
    """`value` as JSON in which every container is an object that says what it is; arrays go to `arrays`."""
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float:
        return {"float": value.hex()}  # JSON has no nan and no infinity
    if type(value) in (list, tuple):
        return {type(value).__name__: [_structure(inner, arrays) for inner in value]}
    if isinstance(value, np.ndarray | np.generic) and not value.dtype.hasobject:
        name = f"a{len(arrays)}"
        arrays[name] = np.asarray(value)
        return {"array" if isinstance(value, np.ndarray) else "number": name}
    if type(value) is dict and all(type(name) is str for name in value):
        return {"dict": {name: _structure(inner, arrays) for name, inner in value.items()}}
    raise InvalidParameterError(
        "results that are kept must be numbers, text, None, arrays, or lists, tuples and dicts of them, "
        f"got {type(value).__name__}"
    )


def _decoded(content: bytes | memoryview) -> Any:
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (ValueError, zipfile.BadZipFile):  # the hash is right: written by something else
        return MISSING
    return _restored(json.loads(str(arrays.pop("structure"))), arrays)


def _restored(value: Any, arrays: Mapping[str, Any]) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, inner),) = value.items()
    if kind == "float":
        return float.fromhex(inner)
    if kind == "array":
        return arrays[inner]
    if kind == "number":
        return arrays[inner][()]
    if kind == "dict":
        return {name: _restored(each, arrays) for name, each in inner.items()}
    items: list[Any] = [_restored(each, arrays) for each in inner]
    return tuple(items) if kind == "tuple" else items
