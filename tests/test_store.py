"""Stored sweeps: the same bits after any end, damage found, other runs refused."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from click.testing import CliRunner

import meanfield as mf
from meanfield import diagrams
from meanfield.cli.main import run
from meanfield.errors import InvalidParameterError
from meanfield.store import MISSING, Store, fingerprint
from meanfield.sweeps import sweep

RESULTS = [
    None,
    True,
    -3,
    2.5,
    float("nan"),
    float("-inf"),
    "τext",
    np.float32(1.5),
    np.arange(6.0).reshape(2, 3),
    np.array(["ordered", ""]),
    [1, (2.0, [None]), {}],
    {"a": np.array([True, False]), "b": ({"c": 1},)},
]


def make(folder, resume=False, **changes):
    given = {"function": "square", "parameters": {"width": 4, "grid": np.arange(20.0)}, "seed": 3}
    return Store(folder, **{**given, **changes}, resume=resume)


def same(left, right):
    if isinstance(left, dict):
        return type(right) is dict and left.keys() == right.keys() and all(same(left[k], right[k]) for k in left)
    if isinstance(left, list | tuple):
        return type(left) is type(right) and len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, np.ndarray):
        return left.dtype == right.dtype and np.array_equal(left, right)
    return type(left) is type(right) and (left == right or left != left)


def square(item):
    return {"value": item**2, "array": np.full(3, item / 7)}


class Counted:
    def __init__(self, stop=None):
        self.calls = []
        self.stop = stop

    def __call__(self, item):
        if item == self.stop:
            raise KeyboardInterrupt
        self.calls.append(item)
        return square(item)


@pytest.mark.parametrize("number", range(len(RESULTS)))
def test_results_come_back_as_they_were(tmp_path, number):
    store = make(tmp_path / "run")
    assert store.load(number) is MISSING
    returned = store.save(number, RESULTS[number])
    assert same(returned, RESULTS[number])
    assert same(make(tmp_path / "run", resume=True).load(number), RESULTS[number])


@pytest.mark.parametrize("result", [object(), {1: 2}, {"a": {1, 2}}, np.array([None]), 1j])
def test_what_cannot_be_kept_is_refused(tmp_path, result):
    with pytest.raises(InvalidParameterError, match="results that are kept must be"):
        make(tmp_path / "run").save(0, result)


def test_a_sweep_goes_on_where_it_was(tmp_path):
    expected = [square(item) for item in range(10)]
    first = Counted(stop=6)
    with pytest.raises(KeyboardInterrupt):
        sweep(first, range(10), store=make(tmp_path / "run"))
    second, seen = Counted(), []
    found = sweep(second, range(10), store=make(tmp_path / "run", resume=True), progress=lambda *at: seen.append(at))
    assert same(found, expected)
    assert first.calls == [0, 1, 2, 3, 4, 5]
    assert second.calls == [6, 7, 8, 9]
    assert seen == [(6, 10), (7, 10), (8, 10), (9, 10), (10, 10)]
    third = Counted()
    with ThreadPoolExecutor(2) as threads:
        assert same(sweep(third, range(10), executor=threads, store=make(tmp_path / "run", resume=True)), expected)
    assert not third.calls


def test_other_folders_of_the_same_run_get_the_same_files(tmp_path):
    for name in "ab":
        sweep(square, range(3), store=make(tmp_path / name))
    listing = [sorted((p.name, p.read_bytes()) for p in (tmp_path / name).iterdir()) for name in "ab"]
    assert listing[0] == listing[1]


@pytest.mark.parametrize("how", ["cut", "flipped", "emptied", "replaced"])
def test_a_damaged_file_is_found_and_made_again(tmp_path, how):
    sweep(square, range(4), store=make(tmp_path / "run"))
    path = sorted((tmp_path / "run").glob("*.cell"))[2]
    content = path.read_bytes()
    path.write_bytes(
        {
            "cut": content[:-7],
            "flipped": content[:100] + bytes([content[100] ^ 1]) + content[101:],
            "emptied": b"",
            "replaced": pickle.dumps(square(2)),
        }[how]
    )
    again = Counted()
    assert same(sweep(again, range(4), store=make(tmp_path / "run", resume=True)), [square(i) for i in range(4)])
    assert again.calls == [2]
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"function": "cube"}, "its function is 'square', now 'cube'"),
        ({"parameters": {"width": 5, "grid": np.arange(20.0)}}, "its parameters.width is 4, now 5"),
        ({"parameters": {"width": 4, "grid": np.arange(20.0) + 1}}, r"its parameters.grid is 'array\(20,\) "),
        ({"parameters": {"width": 4}}, "its parameters.grid is .*, now None"),
        ({"seed": 4}, "its seed is 3, now 4"),
    ],
)
def test_another_run_is_refused_by_the_entry_that_differs(tmp_path, changes, message):
    make(tmp_path / "run")
    for resume in (False, True):
        with pytest.raises(InvalidParameterError, match=message):
            make(tmp_path / "run", resume=resume, **changes)


def test_other_versions_are_another_run(tmp_path):
    make(tmp_path / "run")
    mark = tmp_path / "run" / "run.json"
    key = json.loads(mark.read_text())
    key["versions"]["numpy"] = "0.1"
    mark.write_text(json.dumps(key))
    with pytest.raises(InvalidParameterError, match=r"its versions\.numpy is '0.1', now"):
        make(tmp_path / "run", resume=True)


def test_folders_that_are_not_ours(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").write_text("x")
    for name, message in (("file", "'file', a file"), ("photos", "'photos' with 'cat.png' in it")):
        with pytest.raises(InvalidParameterError, match=message):
            make(tmp_path / name, resume=True)
    make(tmp_path / "run")
    with pytest.raises(InvalidParameterError, match="unless it is to be resumed"):
        make(tmp_path / "run")


def test_a_damaged_description_is_made_again_where_every_result_is_of_this_run(tmp_path):
    expected = sweep(square, range(4), store=make(tmp_path / "run"))
    mark = tmp_path / "run" / "run.json"
    whole = mark.read_bytes()
    mark.write_text("{")
    for again in ({}, {"seed": 4, "resume": True}):
        with pytest.raises(InvalidParameterError, match="is damaged"):
            make(tmp_path / "run", **again)
    calls = Counted()
    assert same(sweep(calls, range(4), store=make(tmp_path / "run", resume=True)), expected)
    assert not calls.calls
    assert mark.read_bytes() == whole


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"resume": True}, "resume must come with the folder of the run"),
        ({"folder": 3}, "folder must be a path, got 3"),
        ({"folder": ""}, "folder must be a path, got ''"),
        ({"max_memory": "4GB"}, "max_memory must be a number of bytes > 0, got '4GB'"),
        ({"max_memory": float("nan")}, "max_memory must be a number of bytes > 0, got nan"),
    ],
)
def test_wrong_ways_to_run_long(given, message):
    with pytest.raises(InvalidParameterError, match=message):
        mf.phase_diagram("tanh", [1.0], [0.1], **given)


def test_no_user_and_no_path_in_the_files(tmp_path):
    sweep(square, range(2), store=make(tmp_path / "run"))
    for path in (tmp_path / "run").iterdir():
        content = path.read_bytes()
        assert str(tmp_path).encode() not in content
        assert os.uname().nodename.encode() not in content


def test_a_worker_that_does_not_see_the_folder_leaves_it_to_the_caller(tmp_path):
    store = make(tmp_path / "run")
    elsewhere = pickle.loads(pickle.dumps(store))
    (tmp_path / "run").rename(tmp_path / "hidden")
    assert same(elsewhere.save(0, (1.5,)), (1.5,))
    assert not (tmp_path / "run").exists()
    (tmp_path / "hidden").rename(tmp_path / "run")
    assert store.load(0) is MISSING
    store.save(0, (1.5,))
    assert store.load(0) == (1.5,)


def test_the_identity_of_a_python_function_is_in_its_values(tmp_path, monkeypatch):
    monkeypatch.setattr(diagrams, "CELLS_OF_A_TASK", 3)
    axes = [0.8, 1.5, 2.0], [0.1, 0.3]
    phi = mf.Nonlinearity.from_callable(np.tanh, lambda x: 1 - np.tanh(x) ** 2, name="mine")
    fresh = mf.phase_diagram(phi, *axes, folder=tmp_path / "run")
    assert len(list((tmp_path / "run").glob("*.cell"))) == 2
    resumed = mf.phase_diagram(phi, *axes, folder=tmp_path / "run", resume=True)
    assert np.array_equal(fresh.c_star, resumed.c_star)
    other = mf.Nonlinearity.from_callable(np.sin, np.cos, name="mine")
    with pytest.raises(InvalidParameterError, match=r"its parameters\.phi\.values is"):
        mf.phase_diagram(other, *axes, folder=tmp_path / "run", resume=True)


def test_fingerprints():
    one = fingerprint(np.arange(3.0))
    assert one == fingerprint(np.arange(6.0)[:3])
    assert len({one, fingerprint(np.arange(3)), fingerprint(np.arange(3.0)[:, None]), fingerprint(np.ones(3))}) == 4


# Many small tasks, in the phase that needs no correlations.
KILLED = """
import os, time
import meanfield.diagrams

def held(source, target, replace=os.replace, left=[{hold}]):
    replace(source, target)
    left[0] -= str(target).endswith(".cell")
    if left[0] == 0:
        time.sleep(60)

os.replace = held
meanfield.diagrams.CELLS_OF_A_TASK = 600
from meanfield.cli.main import run
run({words!r})
"""
WORDS = ["phase", "tanh", "--sigma-w", "0.5", "0.95", "--sigma-b", "0", "1", "--points", "300", "40"]


def command(*words, hold):
    """Runs the command; after `hold` new cells it stands still, so that a signal finds it at work."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    script = KILLED.format(words=[*WORDS, *map(str, words)], hold=hold)
    return subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, env=environment)


def wait_for_cells(process, folder, count):
    end = time.monotonic() + 60
    while len(list(folder.glob("*.cell"))) < count:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < end
        time.sleep(0.005)


def arrays_of(path, *words):
    """What the whole command writes, in this process."""
    result = CliRunner().invoke(run, [*WORDS, *map(str, words), "--output", str(path)])
    assert result.exit_code == 0, result.stderr
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files if name != "provenance"}


def test_killed_and_interrupted_runs_go_on_to_the_same_bits(tmp_path, monkeypatch):
    monkeypatch.setattr(diagrams, "CELLS_OF_A_TASK", 600)
    folder = tmp_path / "run"
    killed = command("--folder", folder, hold=2)
    wait_for_cells(killed, folder, 2)
    killed.kill()
    killed.communicate()
    kept = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.cell")}
    assert len(kept) == 2

    interrupted = command("--folder", folder, "--resume", hold=1)
    wait_for_cells(interrupted, folder, len(kept) + 1)
    interrupted.send_signal(signal.SIGINT)
    _, errors = interrupted.communicate(timeout=60)
    assert interrupted.returncode == 130
    assert errors.decode().splitlines()[-1].startswith("Interrupted. What is finished is kept in")

    resumed = arrays_of(tmp_path / "resumed.npz", "--folder", folder, "--resume")
    assert all((folder / name).stat().st_mtime_ns == when for name, when in kept.items()), "nothing is made twice"
    fresh = arrays_of(tmp_path / "fresh.npz")
    assert resumed.keys() == fresh.keys()
    assert all(resumed[name].tobytes() == fresh[name].tobytes() for name in fresh)
