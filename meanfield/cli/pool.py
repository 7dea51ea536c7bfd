"""Worker processes and the progress bar, both as an executor: the one thing `sweeps.sweep` knows."""

import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Any

__all__ = ["pool", "progress_bar"]


class _Watched(Executor):
    """An executor whose `map` tells a progress bar of every chunk that is done."""

    def __init__(self, inner: Executor | None, progress: Any, label: str) -> None:
        self._inner = inner
        self._progress = progress
        self._label = label

    def map(self, fn: Callable, *iterables: Iterable, **options: Any) -> Iterator:
        chunks = [list(each) for each in iterables]
        task = self._progress.add_task(self._label, total=len(chunks[0]))
        results = self._inner.map(fn, *chunks, **options) if self._inner is not None else map(fn, *chunks)
        for result in results:
            self._progress.advance(task)
            yield result


@contextmanager
def pool(workers: int, label: str) -> Iterator[Executor | None]:
    """An executor of `workers` fresh processes, or None for one; with a progress bar if stderr is a terminal."""
    inner = _processes(workers) if workers > 1 else None
    try:
        if not sys.stderr.isatty():
            yield inner
            return
        with progress_bar() as progress:
            yield _Watched(inner, progress, label)
    finally:
        if inner is not None:
            inner.shutdown(cancel_futures=True)


def _processes(workers: int) -> Executor:
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    # spawn: a fork after numba or BLAS has started threads can hang or be killed
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))


def progress_bar():
    """A bar on stderr, a context manager."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True, markup=False),
        transient=True,
    )
