"""Worker processes, Dask workers and the progress bar, all as an executor: the one thing `sweeps.sweep` knows."""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import click

from meanfield.cli.options import SCHEDULER

__all__ = ["begin_worker", "pool", "progress_bar"]


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
    """The executor that --workers or --scheduler ask for, None for neither; a progress bar if stderr is a terminal."""
    with _executor(workers) as inner:
        if not sys.stderr.isatty():
            yield inner
            return
        with progress_bar() as progress:
            yield _Watched(inner, progress, label)


def _executor(workers: int) -> AbstractContextManager[Executor | None]:
    context = click.get_current_context(silent=True)
    address = None if context is None else context.meta.get(SCHEDULER)
    if address is not None:
        return _cluster(address)
    return _started(workers) if workers > 1 else nullcontext()


@contextmanager
def _started(workers: int) -> Iterator[Executor]:
    # spawn: a fork after numba or BLAS has started threads can hang or be killed
    spawn = multiprocessing.get_context("spawn")
    executor = _Processes(workers, mp_context=spawn, initializer=begin_worker)
    try:
        yield executor
    except KeyboardInterrupt:
        for child in multiprocessing.active_children():
            child.terminate()
        raise
    finally:
        executor.shutdown(cancel_futures=True)


class _Processes(ProcessPoolExecutor):
    """Worker processes whose start, which is part of `submit`, no Ctrl-C can cut in half."""

    def submit(self, fn: Callable, /, *args: Any, **options: Any) -> Future:
        with _no_interrupt():
            return super().submit(fn, *args, **options)


@contextmanager
def _no_interrupt() -> Iterator[None]:
    """Ctrl-C waits until the end, and for good in a process that is started meanwhile."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def begin_worker() -> None:
    """In a worker process: leave Ctrl-C to the process that started it, and do not outlive that one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def _cluster(address: str) -> Iterator[Executor]:
    try:
        from distributed import Client
    except ImportError:
        raise click.UsageError("--scheduler needs Dask: pip install 'meanfield-dnn[dask]'") from None
    try:
        client = Client(address)
    except (OSError, ValueError) as error:
        raise click.UsageError(f"--scheduler: cannot reach {address!r}: {error}") from None
    with client:
        yield client.get_executor()


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
