"""sweeps.sweep: the same bits and the same order on every executor, and clean ends."""

import functools
import multiprocessing
import os
import pickle
import threading
import time
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from meanfield import sweeps
from meanfield.errors import InvalidParameterError
from meanfield.sweeps import start_worker, stream, sweep

ITEMS = [(size, seed) for size in (3, 17, 40) for seed in range(5)]


def product(item):
    size, seed = item
    matrix = np.random.default_rng(seed).standard_normal((size, size))
    return matrix @ matrix.T


def blas_threads(_):
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


def fails_at_two(item):
    if item == 2:
        raise TypeError("two")
    return item


def stops_at_two(item):
    if item == 2:
        raise KeyboardInterrupt
    return item


def dies(_):
    os._exit(3)


class Counter:
    uses = 0


def uses_of(counter, _):
    counter.uses += 1
    return os.getpid(), counter.uses


class Recorder(Executor):
    """Runs in this process; remembers what it was given."""

    def __init__(self):
        self.chunks = []

    def map(self, fn, chunks):
        for chunk in chunks:
            self.chunks.append(chunk)
            yield fn(chunk)


@pytest.fixture(scope="module")
def processes():
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context, initializer=start_worker) as pool:
        yield pool


def same(left, right):
    return len(left) == len(right) and all(np.array_equal(a, b) for a, b in zip(left, right, strict=True))


def test_same_bits_everywhere(processes, monkeypatch):
    expected = [product(item) for item in ITEMS]
    assert same(sweep(product, ITEMS), expected)
    assert same(sweep(product, ITEMS, executor=processes), expected)
    with ThreadPoolExecutor(2) as threads:
        assert same(sweep(product, ITEMS, executor=threads), expected)
    monkeypatch.setattr(sweeps, "MOST_CHUNKS", 4)
    assert same(sweep(product, ITEMS, executor=processes), expected)


def test_no_items():
    assert sweep(product, []) == []
    assert sweep(product, iter([]), executor=Recorder()) == []


def test_chunks_are_contiguous_and_bounded():
    recorder = Recorder()
    assert sweep(abs, range(-1000, 0), executor=recorder) == list(range(1000, 0, -1))
    assert len(recorder.chunks) <= sweeps.MOST_CHUNKS
    assert [item for chunk in recorder.chunks for item in chunk] == list(range(-1000, 0))


@pytest.mark.parametrize("executor", [None, Recorder()])
def test_progress_counts_items(executor):
    seen = []
    sweep(abs, range(150), executor=executor, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (150, 150)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_blas_is_limited_in_every_process(processes):
    before = blas_threads(None)
    counts = sweep(blas_threads, range(4))
    counts += sweep(blas_threads, range(4), executor=processes)
    assert {count for each in counts for count in each} == {1}
    assert blas_threads(None) == before


def test_a_pool_made_elsewhere_is_limited_too():
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert {count for each in sweep(blas_threads, range(2), executor=pool) for count in each} == {1}


def test_results_come_as_they_are_ready():
    started = []

    def record(item):
        started.append(item)
        return item

    results = stream(record, range(10))
    assert next(results) == 0
    assert started == [0]
    results.close()
    assert started == [0]


def test_errors_of_the_function_come_through(processes):
    for executor in (None, Recorder(), processes):
        with pytest.raises(TypeError, match="two"):
            sweep(fails_at_two, range(4), executor=executor)


def test_errors_of_an_unpicklable_function_in_threads_are_its_own():
    with ThreadPoolExecutor(1) as threads, pytest.raises(TypeError, match="two"):
        sweep(lambda item: fails_at_two(item), range(4), executor=threads)


@pytest.mark.parametrize("fn", [lambda item: item, functools.partial(max, threading.Lock())])
def test_unpicklable_functions_are_refused(processes, fn):
    with pytest.raises(InvalidParameterError, match="must pickle"):
        sweep(fn, range(3), executor=processes)
    assert sweep(abs, [-1], executor=processes) == [1], "the pool is still of use"


def test_a_dead_worker_is_explained():
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool, pytest.raises(BrokenExecutor) as caught:
        sweep(dies, range(3), executor=pool)
    assert "__main__" in caught.value.__notes__[0]


def test_an_interrupt_ends_the_sweep_and_cancels_the_rest():
    with pytest.raises(KeyboardInterrupt):
        sweep(stops_at_two, range(4))
    ran = []

    def slow(item):
        ran.append(item)
        if item == 0:
            raise KeyboardInterrupt
        time.sleep(0.01)

    with ThreadPoolExecutor(1) as threads, pytest.raises(KeyboardInterrupt):
        sweep(slow, range(64), executor=threads)
    assert len(ran) < 64


def test_executors_need_a_map():
    with pytest.raises(InvalidParameterError, match="executor must have a map"):
        sweep(abs, [1], executor=3)


def test_a_worker_process_keeps_what_it_is_sent(processes):
    """So that caches by phi hold from chunk to chunk; the next sweep gets its own."""
    for _ in range(sweeps.MOST_COPIES + 2):
        uses = dict(sweep(functools.partial(uses_of, Counter()), range(100), executor=processes))
        assert sum(uses.values()) == 100


def test_the_chunk_function_pickles():
    run = functools.partial(sweeps._run_chunk, sweeps._Shared(abs, "token"), sweeps._this_process())
    assert pickle.loads(pickle.dumps(run))([-2]) == [2]
