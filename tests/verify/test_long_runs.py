"""Long simulations: the same bits whoever computes and whenever it was killed, other runs refused, memory bounded."""

import contextlib
import gc
import json
import multiprocessing
import os
import subprocess
import sys
import time
import tracemalloc
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest
from click.testing import CliRunner
from threadpoolctl import threadpool_limits

import meanfield as mf
import verify
from meanfield import sweeps
from meanfield.cli.main import run
from verify.long_runs import BYTES_OF_A_PROCESS, predicted_cost
from verify.sampling import sample
from verify.settings import checked_setting

GIVEN = {"depth": 3, "widths": (20, 40), "networks": 10, "weights": "orthogonal", "seed": 5}
CALIBRATED = {**GIVEN, "runs": 10, "sigma_w_errors": (0.2,), "sigma_b_errors": (0.5,)}


def simulated(**changes):
    return verify.simulate("tanh", 1.5, 0.3, **{**GIVEN, **changes})


def calibrated(**changes):
    return verify.calibrate("tanh", 1.5, 0.3, **{**CALIBRATED, **changes})


def assert_same_bits(left, right):
    for name, arrays in left.samples.items():
        assert arrays.keys() == right.samples[name].keys()
        assert all(array.tobytes() == right.samples[name][width].tobytes() for width, array in arrays.items())


@pytest.fixture(scope="module")
def alone():
    return simulated(), json.dumps(calibrated().to_dict())


def test_the_same_bits_from_processes_with_a_folder_and_in_other_chunks(alone, tmp_path, monkeypatch):
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as processes:
        assert_same_bits(simulated(executor=processes), alone[0])
        for place, chunks in (("a", 64), ("b", 7)):
            monkeypatch.setattr(sweeps, "MOST_CHUNKS", chunks)
            assert_same_bits(simulated(executor=processes, folder=tmp_path / place), alone[0])
        assert json.dumps(calibrated(executor=processes, folder=tmp_path / "c").to_dict()) == alone[1]
    assert len(list((tmp_path / "a").glob("*.cell"))) == 20
    assert json.dumps(calibrated(folder=tmp_path / "c", resume=True).to_dict()) == alone[1]


def test_a_run_can_be_extended(alone, tmp_path):
    with ThreadPoolExecutor(2) as threads:
        few = simulated(networks=6, folder=tmp_path / "run", executor=threads)
    assert few.networks == 6
    kept = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "run").glob("*.cell")}
    assert len(kept) == 12
    assert_same_bits(simulated(folder=tmp_path / "run", resume=True), alone[0])
    assert all((tmp_path / "run" / name).stat().st_mtime_ns == when for name, when in kept.items())
    one = verify.width_bias("tanh", 1.5, 0.3, depth=3, width=40, networks=6, folder=tmp_path / "one")
    again = verify.width_bias("tanh", 1.5, 0.3, depth=3, width=40, networks=6, folder=tmp_path / "one", resume=True)
    assert one.to_dict() == again.to_dict()


def test_rounds_of_a_precision_share_the_folder(tmp_path):
    plain = simulated(networks=100, precision=0.07)
    assert 16 < plain.networks < 100
    assert_same_bits(simulated(networks=100, precision=0.07, folder=tmp_path / "run"), plain)
    assert len(list((tmp_path / "run").glob("*.cell"))) == 2 * plain.networks


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "unless it is to be resumed"),
        ({"seed": 6, "resume": True}, "its seed.entropy is 5, now 6"),
        ({"widths": (20, 41), "resume": True}, r"its parameters.widths is \[20, 40\], now \[20, 41\]"),
        ({"q0": 0.9, "resume": True}, "its parameters.q0 is 1.0, now 0.9"),
        ({"method": "matrices", "resume": True}, "its parameters.method is 'sampled', now 'matrices'"),
        ({"quantities": ("q", "c"), "resume": True}, "its parameters.quantities is"),
    ],
)
def test_another_run_is_refused(tmp_path, changes, message):
    simulated(networks=2, folder=tmp_path / "run")
    with pytest.raises(mf.InvalidParameterError, match=message):
        simulated(networks=2, folder=tmp_path / "run", **changes)


@pytest.mark.parametrize("call", [simulated, calibrated])
def test_too_large_a_simulation_is_refused_with_the_figure(tmp_path, call):
    with pytest.raises(mf.InvalidParameterError, match=r"max_memory must be at least 0.25 GB .*, got 0.01 GB"):
        call(max_memory=10**7, folder=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    with pytest.raises(mf.InvalidParameterError, match="max_memory must be at least"):
        verify.width_bias("tanh", 1.5, 0.3, width=10**6, depth=100, max_memory=10**9)


def test_a_simulation_that_would_not_end_is_refused():
    with pytest.raises(
        mf.InvalidParameterError, match=r"must make a run that ends, got one of \d.*e\+\d\d s on one core"
    ):
        verify.simulate("tanh", 1.5, 0.3, depth=10**6, widths=(4, 5), networks=4 * 10**7, max_memory=10**20)
    with pytest.raises(mf.InvalidParameterError, match="runs must be <= 1000000"):
        calibrated(runs=10**13)
    with pytest.raises(mf.InvalidParameterError, match="depth and runs must make a run that ends"):
        calibrated(runs=10**6, networks=10**7, max_memory=10**12)


# Large enough that what Python itself keeps does not matter beside the arrays: (method, quantities, width, depth).
MEASURED = [
    ("sampled", ("q", "c", "chi"), 2000, 6),
    ("sampled", ("jacobian_moment", "mean_log_sigma"), 2000, 6),
    ("sampled", ("trace",), 1500, 1),
    ("matrices", ("q", "c", "chi"), 300, 2),
    ("matrices", ("jacobian_moment",), 120, 2),
    ("matrices", ("mean_log_sigma",), 150, 2),
    ("matrices", ("trace",), 300, 2),
]


def traced_peak(*budget):
    gc.collect()
    tracemalloc.start()
    sample(*budget)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def assert_predicted(setting, widths, networks):
    with threadpool_limits(1):
        sample(setting, (20,), range(2), np.random.SeedSequence(1))  # what is compiled and imported at the first call
        peak = min(traced_peak(setting, widths, range(networks), np.random.SeedSequence(1)) for _ in range(2))
    needed = predicted_cost(setting, widths, networks)[0] - BYTES_OF_A_PROCESS
    assert needed / 2.5 <= peak <= needed


@pytest.fixture
def no_list_of_libraries(monkeypatch):
    """threadpoolctl's: Python's own, and as long as others have made it."""
    monkeypatch.setattr(sweeps, "threadpool_limits", contextlib.nullcontext)


@pytest.mark.usefixtures("no_list_of_libraries")
@pytest.mark.parametrize(("method", "quantities", "width", "depth"), MEASURED)
def test_no_more_memory_than_predicted(method, quantities, width, depth):
    for weights, c0 in (("gaussian", (0.5,)), ("orthogonal", (0.1, 0.2, 0.3, 0.4))):
        given = {"depth": depth, "weights": weights, "quantities": quantities, "c0": c0, "method": method}
        assert_predicted(checked_setting("tanh", 1.5, 0.3, **given, q0=1.0, lengths="free"), (width // 2, width), 2)


@pytest.mark.usefixtures("no_list_of_libraries")
@pytest.mark.parametrize("quantities", [("q",), ("q", "c", "chi")])
def test_of_many_small_networks_what_python_keeps_is_predicted_too(quantities):
    given = {"depth": 3, "weights": "gaussian", "quantities": quantities, "c0": (0.5,)}
    assert_predicted(checked_setting("tanh", 1.5, 0.3, **given, q0=1.0, lengths="free"), (10, 20), 120)


WORDS = ("--sigma-w", "1.5", "--sigma-b", "0.3", "--depth", "3", "--widths", "20,40")
COMMANDS = {
    "validate": ("validate", "tanh", *WORDS, "--networks", "40", "--json"),
    "calibrate": ("calibrate", "tanh", *WORDS, "--networks", "4", "--runs", "12", "--quantities", "q", "--json"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_killed_command_goes_on_to_the_same_bits(name, tmp_path):
    folder = tmp_path / "run"
    words = (*COMMANDS[name], "--folder", str(folder))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    killed = subprocess.Popen(
        [sys.executable, "-m", "meanfield", *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment
    )
    end = time.monotonic() + 60
    while len(list(folder.glob("*.cell"))) < 3:
        assert killed.poll() is None, killed.stderr.read()
        assert time.monotonic() < end
        time.sleep(0.01)
    killed.kill()
    killed.communicate()
    kept = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.cell")}
    resumed, fresh = (CliRunner().invoke(run, given) for given in ((*words, "--resume"), COMMANDS[name]))
    assert resumed.exit_code == fresh.exit_code, resumed.stderr
    assert 3 <= len(kept) < len(list(folder.glob("*.cell")))
    assert all((folder / part).stat().st_mtime_ns == when for part, when in kept.items()), "nothing is made twice"
    records = [json.loads(result.stdout) for result in (resumed, fresh)]
    for record in records:
        del record["provenance"]
    assert records[0] == records[1]


def test_the_survey_of_the_catalogue_goes_on_too(tmp_path, monkeypatch):
    from meanfield import activations

    monkeypatch.setattr(activations, "CATALOGUE", {"tanh": activations.CATALOGUE["tanh"]})
    words = ["calibrate", "--catalogue", "--depth", "3", "--widths", "20,40", "--networks", "4", "--json"]
    kept = [*words, "--folder", str(tmp_path / "run")]
    shown = [CliRunner().invoke(run, given) for given in (words, kept, [*kept, "--resume"])]
    assert len(list((tmp_path / "run").iterdir())) == 6
    surveys = [json.loads(result.stdout)["survey"] for result in shown]
    assert surveys[0] == surveys[1] == surveys[2]
