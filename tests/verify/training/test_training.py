"""Whole runs: the same bits with and without a break, divergence, and what is measured on the way."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import meanfield as mf
import verify
from meanfield.errors import InvalidParameterError
from meanfield.store import MISSING
from verify.training.configuration import TrainingConfig
from verify.training.cost import PROCESS_BYTES, fitted, memory_needed, predicted_cost, seconds_needed
from verify.training.loop import _checkpoint, train
from verify.training.parameters import Shape
from verify.training.record import SERIES
from verify.training.run import Training

TINY = TrainingConfig(
    data="teacher",
    depth=3,
    width=16,
    epochs=4,
    measure_every=2,
    fisher_samples=12,
    jacobian_samples=5,
    q_star=0.5,
    seed=3,
)
RATES = {"euclidean": 1e-3, "stiefel": 0.03, "oblique": 0.01}
EXACT = (*SERIES, "gradient_norms", "epochs")


def same_bits(one, other):
    return all(np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True) for name in EXACT)


def dense_jacobian(layers, x):
    """Derivative of the outputs of one input by all weights and biases, (C, P), written out."""
    states, slopes = [x], []
    for W, b in layers[:-1]:
        h = W @ states[-1] + b
        states.append(np.tanh(h))
        slopes.append(1 - np.tanh(h) ** 2)
    back = np.eye(len(layers[-1][1]))
    blocks = []
    for number in range(len(layers) - 1, -1, -1):
        blocks.append(
            np.concatenate([np.einsum("ci,j->cij", back, states[number]).reshape(len(back), -1), back], axis=1)
        )
        if number:
            back = (back @ layers[number][0]) * slopes[number - 1]
    return np.concatenate(blocks[::-1], axis=1)


def softmax(outputs):
    weights = np.exp(outputs - outputs.max())
    return weights / weights.sum()


@pytest.mark.parametrize("manifold", RATES)
def test_a_run_learns_and_stays_where_it_should(manifold):
    record = train(replace(TINY, manifold=manifold, rate=RATES[manifold], epochs=6))
    assert record.status == "finished"
    assert record.epochs.tolist() == list(range(7))
    assert record.train_loss[-1] < 0.8 * record.train_loss[0]
    assert record.test_accuracy[-1] > record.test_accuracy[0] + 0.1
    measured = [0, 1, 2, 4, 6]
    for name in ("lambda_max", "condition_number", "sigma_max_jacobian", "ntk_drift", "numerical_rank"):
        assert np.flatnonzero(np.isfinite(getattr(record, name))).tolist() == measured
    assert record.orthogonality_defect[0] <= 1e-13
    assert record.ntk_drift[0] == 0
    assert (record.orthogonality_defect.max() <= 1e-12) == (manifold == "stiefel")
    assert record.full_rank == 12 * 9
    assert (record.numerical_rank[measured] <= record.full_rank).all()
    assert record.gradient_norms.shape == (7, 4)
    assert set(record.costs) == {"training", "fisher", "jacobian", "tangent_kernel", "gradient"}
    assert record.to_dict()["config"]["sigma_w"] == mf.critical_point("tanh", q_star=0.5).sigma_w


def test_measurements_are_those_of_dense_linear_algebra():
    """lambda_max and condition number from the P x P Fisher matrix, sigma_max from an SVD, the kernel from J J^T."""
    config = replace(TINY, epochs=1, depth=2)
    run = Training(replace(config, sigma_w=1.3, sigma_b=0.2))
    run.advance()
    run.advance()
    record, layers = run.record(), run.layers()
    fisher, squares = 0.0, []
    inputs = run.data.train_inputs[:12]
    for x in inputs:
        J = dense_jacobian(layers, x)
        h = x
        for W, b in layers[:-1]:
            h = np.tanh(W @ h + b)
        p = softmax(layers[-1][0] @ h + layers[-1][1])
        fisher = fisher + J.T @ (np.diag(p) - np.outer(p, p)) @ J / len(inputs)
    values = np.linalg.eigvalsh(fisher)[::-1]
    rank = int(record.numerical_rank[-1])
    assert rank == 12 * 9 == record.full_rank
    assert abs(record.lambda_max[-1] / values[0] - 1) <= 1e-10
    assert abs(record.condition_number[-1] / (values[0] / values[rank - 1]) - 1) <= 1e-5
    for x in inputs[:5]:
        h, J = x, np.eye(len(x))
        for W, b in layers[:-1]:
            h = np.tanh(W @ h + b)
            J = (1 - h**2)[:, None] * (W @ J)
        squares.append(np.linalg.svd(J, compute_uv=False)[0])
    assert abs(record.sigma_max_jacobian[-1] / np.mean(squares) - 1) <= 1e-10
    kernels = [np.concatenate([dense_jacobian(at, x) for x in inputs[:5]]) for at in (start_of(run), layers)]
    before, after = (J @ J.T for J in kernels)
    assert abs(record.ntk_drift[-1] / (np.linalg.norm(after - before) / np.linalg.norm(before)) - 1) <= 1e-9


def start_of(run):
    return Training(run.config).layers()


def test_the_same_seed_gives_the_same_bits_and_another_does_not():
    assert same_bits(train(TINY), train(TINY))
    assert train(replace(TINY, seed=4)).train_loss[0] != train(TINY).train_loss[0]


def test_runs_of_one_seed_start_alike_on_every_manifold():
    losses = {train(replace(TINY, manifold=name, epochs=0)).train_loss[0] for name in RATES}
    assert len(losses) == 1


class StopError(Exception):
    """Ends a run from its progress."""


def stop_after(last, config, folder):
    """Run to an epoch, its checkpoint written, and break off in the next."""

    def stop(epoch, _epochs):
        if epoch > last:
            raise StopError

    with pytest.raises(StopError):
        train(config, folder=folder, progress=stop)


@pytest.mark.parametrize("manifold", RATES)
def test_a_broken_run_goes_on_to_the_same_bits(tmp_path, manifold):
    config = replace(TINY, manifold=manifold, rate=RATES[manifold])
    stop_after(2, config, tmp_path)
    with pytest.raises(InvalidParameterError, match="must hold no run unless"):
        train(config, folder=tmp_path)
    seen = []
    resumed = train(config, folder=tmp_path, resume=True, progress=lambda epoch, _: seen.append(epoch))
    assert seen == [3, 4]
    assert same_bits(resumed, train(config))
    assert same_bits(train(config, folder=tmp_path, resume=True), resumed)


SCRIPT = """
import sys
from verify.training import loop
from tests.verify.training.test_training import LONG
if __name__ == "__main__":
    print("go", flush=True)
    loop.train(LONG, folder=sys.argv[1], progress=lambda epoch, epochs: print(epoch, flush=True))
"""
LONG = replace(TINY, epochs=400, measure_every=5)


def test_kill_9_and_resume_end_in_the_same_bits(tmp_path):
    worker = subprocess.Popen([sys.executable, "-c", SCRIPT, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None
    while (line := worker.stdout.readline().strip()) != "13":
        assert line, "the run ended early"
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    worker.stdout.close()
    # The file on disk is of some epoch before the end; the last epochs are cut off here to save time.
    run = Training(replace(LONG, **point()))
    state = _checkpoint(tmp_path, run, True).load(0)
    assert state is not MISSING
    assert int(state["epoch"]) >= 10
    run.restore(state)
    whole = Training(replace(LONG, **point()))
    while whole.epoch < run.epoch + 2:
        whole.advance()
    run.advance()
    run.advance()
    assert all(np.array_equal(run.blocks[name], whole.blocks[name]) for name in run.blocks)
    assert same_bits(run.record(), whole.record())


def point():
    found = mf.critical_point("tanh", q_star=TINY.q_star)
    return {"sigma_w": found.sigma_w, "sigma_b": found.sigma_b}


def test_a_folder_of_another_run_is_refused_by_the_setting_that_differs(tmp_path):
    train(replace(TINY, epochs=0), folder=tmp_path)
    with pytest.raises(InvalidParameterError, match=r"its parameters\.config\.rate is 0\.0003, now 0\.02"):
        train(replace(TINY, epochs=0, rate=0.02), folder=tmp_path, resume=True)
    with pytest.raises(InvalidParameterError, match=r"parameters\.config\.data"):
        train(replace(TINY, epochs=0, data="digits"), folder=tmp_path, resume=True)


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-100], lambda b: b"", lambda b: b[:300] + b"\x00" * 40 + b[340:], bytes]
)
def test_a_damaged_checkpoint_is_found_and_made_again(tmp_path, damage):
    config = replace(TINY, epochs=2)
    whole = train(config, folder=tmp_path)
    (path,) = tmp_path.glob("*.cell")
    path.write_bytes(damage(path.read_bytes()))
    assert same_bits(train(config, folder=tmp_path, resume=True), whole)


FULL = """
import resource, signal, sys
from verify.training import loop
from tests.verify.training.test_training import TINY
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
try:
    loop.train(TINY, folder=sys.argv[1], resume=True)
except OSError as error:
    print(error.filename, error.strerror)
"""


def test_a_full_disk_stops_with_the_files_name_and_loses_nothing(tmp_path):
    stop_after(1, TINY, tmp_path)
    (path,) = tmp_path.glob("*.cell")
    kept = path.read_bytes()
    done = subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"{path} File too large"
    assert path.read_bytes() == kept
    assert sorted(found.name for found in tmp_path.iterdir()) == [path.name, "run.json"]
    assert same_bits(train(TINY, folder=tmp_path, resume=True), train(TINY))


@pytest.mark.parametrize(
    "changes",
    [
        {"manifold": "euclidean", "optimiser": "sgd", "rate": 1e200, "readout_rate": 1e200, "loss": "squared"},
        {"manifold": "stiefel", "optimiser": "sgd", "scale_rate": 1e300, "readout_rate": 1e300, "loss": "squared"},
        {"manifold": "oblique", "optimiser": "sgd", "phi": "relu", "scale_rate": 1e300, "loss": "squared"},
        {"manifold": "euclidean", "dtype": "float32", "optimiser": "momentum", "rate": 1e30, "loss": "squared",
         "readout_rate": 1e30},
    ],
)  # fmt: skip
def test_divergence_is_recorded_and_ends_the_run(changes):
    record = train(replace(TINY, **changes))
    assert record.status == "diverged"
    assert np.isnan(record.train_loss[-1])
    assert np.isfinite(record.train_loss[:-1]).all()
    assert record.epochs[-1] < TINY.epochs
    assert np.isnan(record.lambda_max[-1])
    assert len(record.costs["training"]) == len(record.epochs)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_both_precisions_see_nearly_the_same(dtype):
    record = train(replace(TINY, dtype=dtype, epochs=1))
    double = train(replace(TINY, epochs=1))
    assert np.abs(record.train_loss / double.train_loss - 1).max() <= (1e-5 if dtype == "float32" else 0)
    assert record.orthogonality_defect.max() <= (1e-5 if dtype == "float32" else 1e-12)


def test_rates_belong_to_their_groups():
    base = replace(TINY, rate=0.0, scale_rate=0.0, readout_rate=0.0, sigma_w=1.2, sigma_b=0.1)
    groups = {
        "rate": {"first", "hidden"},
        "scale_rate": {"scales"},
        "readout_rate": {"biases", "readout", "readout_bias"},
    }
    for rate, moved in groups.items():
        run = Training(replace(base, **{rate: 0.1}))
        before = {name: block.copy() for name, block in run.blocks.items()}
        assert run.step(run.data.train_inputs[:50], run.data.train_targets[:50])
        assert {name for name, block in run.blocks.items() if not np.allclose(block, before[name], atol=1e-13)} == moved


def test_the_first_steps_of_rectangular_layers_change_little():
    """Singular values stay those of the start: nothing jumps in a layer that is not square."""
    for width in (16, 100):
        run = Training(replace(TINY, width=width, rate=1e-3, sigma_w=1.2, sigma_b=0.1))
        before = np.linalg.svd(run.layers()[0][0], compute_uv=False)
        run.step(run.data.train_inputs[:50], run.data.train_targets[:50])
        after = np.linalg.svd(run.layers()[0][0], compute_uv=False)
        assert np.abs(after / before - 1).max() <= 0.01
        assert np.ptp(before) <= 1e-13


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"manifold": "sphere"}, "manifold must be one of"),
        ({"weights": "gaussian"}, "weights must be 'orthogonal'"),
        ({"depth": 0}, "depth must be >= 1"),
        ({"width": 2.5}, "width must be an integer"),
        ({"q_star": 0.0}, "q_star must be > 0"),
        ({"rate": -1.0}, "rate must be >= 0"),
        ({"beta": 1.0}, r"beta must be in \[0, 1\)"),
        ({"sigma_w": 1.0}, "given together"),
        ({"data": "cifar10"}, "data_path must be given"),
        ({"data_path": "x"}, "data_path must be left out"),
        ({"phi": np.tanh}, "phi must be text"),
        ({"epochs": -1}, "epochs must be >= 0"),
        ({"seed": -1}, "seed must be >= 0"),
        ({"dtype": "float16"}, "dtype must be one of"),
        ({"loss": "hinge"}, "loss must be one of"),
        ({"optimiser": "lbfgs"}, "optimiser must be one of"),
        ({"epsilon": 0.0}, "epsilon must be > 0"),
        ({"fisher_samples": 1}, "fisher_samples must be >= 2"),
    ],
)
def test_settings_that_break_a_rule(changes, match):
    with pytest.raises(InvalidParameterError, match=match):
        replace(TINY, **changes)


def test_no_critical_point_is_told():
    with pytest.raises(mf.NoCriticalPointError):
        train(replace(TINY, phi="softplus"))


def test_memory_is_predicted_and_refused():
    shape = Shape(dim=64, width=TINY.width, depth=TINY.depth, outputs=10)
    needed = memory_needed(TINY, shape, 2500)
    with pytest.raises(InvalidParameterError, match="max_memory must be at least"):
        train(TINY, max_memory=needed // 2)
    train(replace(TINY, epochs=0), max_memory=needed)
    assert memory_needed(replace(TINY, jacobian_samples=2000), shape, 2500) > needed + 8 * 2 * 20_000**2
    for change in ({"width": 10**6}, {"width": 10**12}, {"depth": 10**6, "width": 1000}):
        for run in (train, predicted_cost):
            with pytest.raises(InvalidParameterError, match=r"must fit into the machine's .* GB of memory, needs"):
                run(replace(TINY, **change))


def test_no_batch_and_no_probe_holds_more_than_all_inputs():
    large = replace(TINY, batch_size=10**12, fisher_samples=10**9, jacobian_samples=70)
    assert fitted(large, 60) == replace(TINY, batch_size=60, fisher_samples=60, jacobian_samples=60)
    assert fitted(TINY, 60) == replace(TINY, batch_size=60)
    run = Training(replace(TINY, **point(), batch_size=10**12))
    assert run.config.batch_size == len(run.data.train_inputs)


MEASURE = """
import re
from dataclasses import replace
from verify.training import loop
from verify.training.configuration import TrainingConfig
small = TrainingConfig(data="teacher", depth=1, width=8, epochs=1, fisher_samples=2, jacobian_samples=1)
large = replace(small, depth=8, width=300, batch_size=1000, fisher_samples=40)
def peak():
    with open("/proc/self/status") as file:
        return int(re.search(r"VmHWM:\\s+(\\d+)", file.read())[1])
loop.train(small)
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")  # forgets the peak so far
before = peak()
loop.train(large)
print(1024 * (peak() - before))
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="reads the peak of memory from /proc")
def test_the_predicted_memory_covers_what_is_used():
    """And not by more than a factor: 8 x 300 in a process of its own, above what a tiny run holds."""
    done = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True)
    used = int(done.stdout)
    config = TrainingConfig(data="teacher", depth=8, width=300, batch_size=1000, fisher_samples=40)
    needed = memory_needed(config, Shape(dim=64, width=300, depth=8, outputs=10), 2500)
    assert used <= needed - PROCESS_BYTES <= 4 * used


def test_the_predicted_time_has_the_right_size():
    config = replace(TINY, depth=8, width=64, epochs=2, batch_size=200, sigma_w=1.2, sigma_b=0.1, measure_every=100)
    run = Training(config)
    start = time.process_time()
    for _ in range(3):
        run.advance()
    used = time.process_time() - start
    predicted = seconds_needed(config, run.shape, 2000)
    assert used / 30 <= predicted <= 30 * used


def test_the_public_names():
    assert verify.train is train
    assert verify.TrainingConfig is TrainingConfig
