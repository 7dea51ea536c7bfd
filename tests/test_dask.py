"""A Dask cluster of two worker processes, started here: the same bits as serial, also when a worker dies."""

import json
import logging
import os
import signal
from concurrent.futures import Executor

import numpy as np
import pytest
from click.testing import CliRunner

import meanfield as mf
import verify
from meanfield import diagrams
from meanfield.cli.main import run
from meanfield.equilibrium_grids import NUMBERS

distributed = pytest.importorskip("distributed")

# The phase that needs no correlations, to spare each worker their tables.
AXES = np.linspace(0.5, 0.95, 50), np.linspace(0.05, 1.0, 24)


@pytest.fixture(scope="module")
def cluster():
    settings = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with distributed.LocalCluster(**settings, host="127.0.0.1", silence_logs=logging.CRITICAL) as local:
        yield local


@pytest.fixture
def serial(monkeypatch):
    monkeypatch.setattr(diagrams, "CELLS_OF_A_TASK", 100)
    return mf.phase_diagram("tanh", *AXES)


class Fatal(Executor):
    """Kills a worker process after the first result."""

    def __init__(self, inner, victim):
        self.inner, self.victim = inner, victim

    def map(self, fn, chunks):
        for number, result in enumerate(self.inner.map(fn, chunks)):
            if number == 0:
                os.kill(self.victim, signal.SIGKILL)
            yield result


def assert_same_bits(left, right):
    for name in (*NUMBERS, "error", "phase", "status", "stable", "n_fixed_points"):
        assert getattr(left, name).tobytes() == getattr(right, name).tobytes(), name


def test_the_same_bits_also_when_a_worker_is_killed(cluster, serial, tmp_path):
    with distributed.Client(cluster) as client:
        assert_same_bits(mf.phase_diagram("tanh", *AXES, executor=client.get_executor()), serial)
        first, _ = client.run(os.getpid).values()
        fatal = Fatal(client.get_executor(pure=False), first)
        assert_same_bits(mf.phase_diagram("tanh", *AXES, executor=fatal, folder=tmp_path / "run"), serial)
        assert first not in client.run(os.getpid).values()
    assert len(list((tmp_path / "run").glob("*.cell"))) == 12


def test_simulations_have_the_same_bits(cluster, tmp_path):
    point, given = ("tanh", 1.5, 0.3), {"depth": 3, "widths": (20, 40), "networks": 8}
    alone = verify.simulate(*point, **given)
    with distributed.Client(cluster) as client:
        shared = verify.simulate(*point, **given, executor=client.get_executor(), folder=tmp_path / "run")
    for name, arrays in alone.samples.items():
        assert all(array.tobytes() == shared.samples[name][width].tobytes() for width, array in arrays.items())
    assert len(list((tmp_path / "run").glob("*.cell"))) == 16


def test_the_command_line_takes_a_scheduler(cluster):
    words = ["phase", "erf", "--sigma-w", "0.5", "2", "--sigma-b", "0", "1", "--points", "7", "5", "--json"]
    shared = CliRunner().invoke(run, [*words, "--scheduler", cluster.scheduler_address])
    assert shared.exit_code == 0, shared.stderr
    alone = CliRunner().invoke(run, words)
    assert json.loads(shared.stdout)["c_star"] == json.loads(alone.stdout)["c_star"]


def test_a_scheduler_that_is_not_there():
    result = CliRunner().invoke(run, ["phase", "erf", "--scheduler", "nonsense://host"])
    assert result.exit_code == 2
    assert "--scheduler: cannot reach 'nonsense://host'" in result.stderr
