"""One function over many items, serially or on any executor, with the same bits: the only code that calls one."""

import contextlib
import functools
import os
import pickle
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor
from typing import Any

from threadpoolctl import threadpool_limits

from meanfield.errors import InvalidParameterError
from meanfield.store import MISSING, Store

__all__ = ["start_worker", "stream", "sweep"]

# Enough to share out and to show progress, few enough that a call's own cost stays small.
MOST_CHUNKS = 64
MOST_COPIES = 4  # functions of earlier sweeps that a worker process remembers

_PROCESS = uuid.uuid4().hex
_worker_lock = threading.Lock()
_worker_started: int | None = None


def sweep(
    fn: Callable[[Any], Any],
    items: Iterable[Any],
    *,
    executor: Executor | None = None,
    progress: Callable[[int, int], object] | None = None,
    store: Store | None = None,
) -> list:
    """``[fn(item) for item in items]``, on an executor if one is given, with the same bits either way.

    Parameters
    ----------
    fn : callable
        Called once per item, always with one item, so that its numbers do not depend on how items are shared out.
        For worker processes it has to pickle: a module-level function, or functools.partial of one.
    items : iterable
    executor : concurrent.futures.Executor, optional
        Anything with such a ``map``: pools of threads or processes, ``dask.distributed.Client.get_executor()``,
        MPIPoolExecutor. It stays the caller's: nothing is shut down here. None: one item after the other.
    progress : callable, optional
        Called as ``progress(done, total)``, in items, whenever results arrive.
    store : Store, optional
        Keeps each result in its folder as soon as there is one; those that it has already are not computed again.

    Returns
    -------
    list
        In the order of the items.

    Raises
    ------
    InvalidParameterError
        `executor` has no ``map``, or `fn` cannot be sent to the worker processes.

    Notes
    -----
    BLAS runs on one thread for the whole call, here and in every worker process: nested threads are slower, and
    another number of threads can give other last bits. An exception of `fn` ends the sweep.

    Examples
    --------
    >>> sweep(abs, [-2, -1, 3])
    [2, 1, 3]
    """
    return list(stream(fn, items, executor=executor, progress=progress, store=store))


def stream(
    fn: Callable[[Any], Any],
    items: Iterable[Any],
    *,
    executor: Executor | None = None,
    progress: Callable[[int, int], object] | None = None,
    store: Store | None = None,
) -> Iterator[Any]:
    """The results of `sweep` one by one, in order, as they come; closing the iterator drops what has not started."""
    if executor is not None and not callable(getattr(executor, "map", None)):
        raise InvalidParameterError(f"executor must have a map method or be None, got {executor!r}")
    work = list(items)
    if store is not None:
        return _kept(fn, work, executor, progress, store)
    if executor is None or not work:
        return _serial(fn, work, progress)
    return _shared_out(fn, work, executor, progress)


def start_worker() -> None:
    """Limit BLAS to one thread in this worker process, once; also an ``initializer`` for process pools.

    A chunk of a sweep does it by itself in a process that has not, so executors made elsewhere need nothing.
    """
    global _worker_started
    with _worker_lock:
        if _worker_started != os.getpid():
            threadpool_limits(1)
            _worker_started = os.getpid()


def _kept(fn, work: list, executor: Executor | None, progress, store: Store) -> Iterator[Any]:
    """What the store has, and the rest computed: each result is written where it is found, before its chunk is done."""
    known = {task: found for task in range(len(work)) if (found := store.load(task)) is not MISSING}
    ready = len(known)
    if progress is not None and ready:
        progress(ready, len(work))
    more = None if progress is None else lambda done, _: progress(ready + done, len(work))
    missing = [(task, item) for task, item in enumerate(work) if task not in known]
    fresh = stream(functools.partial(_compute, fn, store), missing, executor=executor, progress=more)
    with contextlib.closing(fresh):  # type: ignore[type-var]
        for task in range(len(work)):
            # Saved here too, for workers on machines that do not see the folder.
            yield known.pop(task) if task in known else store.save(task, next(fresh))


def _compute(fn, store: Store, numbered: tuple[int, Any]) -> Any:
    task, item = numbered
    return store.save(task, fn(item))


def _serial(fn, work: list, progress) -> Iterator[Any]:
    with threadpool_limits(1):
        for done, item in enumerate(work, start=1):
            result = fn(item)
            if progress is not None:
                progress(done, len(work))
            yield result


def _shared_out(fn, work: list, executor: Executor, progress) -> Iterator[Any]:
    size = -(-len(work) // MOST_CHUNKS)
    chunks = [work[start : start + size] for start in range(0, len(work), size)]
    run = functools.partial(_run_chunk, _Shared(fn, uuid.uuid4().hex), _this_process())
    done = 0
    with threadpool_limits(1):
        results = None
        try:
            results = iter(executor.map(run, chunks))
            for chunk in results:
                done += len(chunk)
                if progress is not None:
                    progress(done, len(work))
                yield from chunk
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            if not _ran(error):
                _refuse_unpicklable(fn, error)
            raise
        except BrokenExecutor as error:
            error.add_note(
                "A worker process ended early. It must be able to import the script that started it (keep the call "
                'under `if __name__ == "__main__":`) and every function it is sent, and needs enough memory.'
            )
            raise
        finally:
            # Cancels what has not started, on errors, on Ctrl-C and when the caller stops early.
            if hasattr(results, "close"):
                results.close()  # type: ignore[union-attr]


class _Shared:
    """The function of one sweep, one object for all its chunks in a worker process: what it caches by phi is kept."""

    def __init__(self, fn: Callable[[Any], Any], token: str) -> None:
        self.fn, self._token = fn, token

    def __reduce__(self):
        return _first_copy, (self._token, self.fn)


_copies: dict[str, _Shared] = {}


def _first_copy(token: str, fn: Callable[[Any], Any]) -> _Shared:
    for old in list(_copies)[:-MOST_COPIES]:
        _copies.pop(old, None)
    return _copies.setdefault(token, _Shared(fn, token))


def _run_chunk(shared: _Shared, origin: tuple[str, int], chunk: Sequence) -> list:
    # In threads of the calling process the limit is set already, and setting it from several threads races.
    if _this_process() != origin:
        start_worker()
    return [shared.fn(item) for item in chunk]


def _this_process() -> tuple[str, int]:
    # A forked process shares the token, a process of another machine may share the number.
    return _PROCESS, os.getpid()


def _ran(error: Exception) -> bool:
    """Did a thread of this process raise it while it ran a chunk?"""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code is not _run_chunk.__code__:
        trace = trace.tb_next
    return trace is not None


def _refuse_unpicklable(fn, error: Exception) -> None:
    try:
        pickle.dumps(fn)
    except Exception as failure:  # noqa: BLE001 - whatever it is, it is the reason
        raise InvalidParameterError(
            "what is sent to worker processes must pickle: write phi, and the functions it is made of, as functions "
            f"at the top of a module, or use threads ({failure})"
        ) from error
