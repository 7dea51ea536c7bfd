"""fisher and fisher scatter: numbers, files, resuming, and what they refuse."""

import csv
import io
import itertools
import math
import re

import numpy as np
import pytest

import meanfield as mf

SMALL = ("--q-star", 0.015625, "--depth", 3, "--width", 40, "--samples", 20, "--outputs", 3)


def test_numbers_are_those_of_the_library(terminal):
    record = terminal.json("fisher", "tanh", "--q-star", 0.015625)
    point = mf.critical_point("tanh", q_star=0.015625)
    shape = {"depth": 10, "width": 400, "samples": 200, "outputs": 10}
    norm = (point.q_star - point.sigma_b**2) / point.sigma_w**2
    assert abs(norm / mf.moments("tanh", point.q_star).V - 1) <= 1e-12
    statistics = mf.fisher_statistics("tanh", point.sigma_w, point.sigma_b, input_norm=norm, biases=True, **shape)
    bound = mf.fisher_bound("tanh", point.sigma_w, point.sigma_b, input_norm=norm, weights="orthogonal", **shape)
    assert record["lambda_max"] == {
        "karakida": statistics.lambda_max,
        "paper": bound.paper,
        "layerwise": bound.layerwise,
    }
    assert record["statistics"] == statistics.to_dict()
    assert record["bound"]["regime"] == "bias"
    assert record["simulation"] is None
    assert record["provenance"]["seed"] is None


def test_simulation_beside_theory(terminal):
    record = terminal.json("fisher", "tanh", *SMALL, "--simulate", "--networks", 3, "--seed", 5)
    assert np.shape(record["simulation"]["outliers"]) == (3, 3)
    tops = np.array(record["simulation"]["outliers"])[:, 0]
    assert (tops <= record["simulation"]["layerwise"]).all()
    assert abs(record["lambda_max"]["measured"] - tops.mean()) <= 1e-12
    assert abs(tops.mean() / record["lambda_max"]["karakida"] - 1) <= 0.1
    text = terminal.ok("fisher", "tanh", *SMALL, "--simulate", "--networks", 3).stdout
    for part in ("Karakida's mean-field value", "Sokol and Park's theorem", "holds for each of them", "Regime: N q c"):
        assert part in text


def test_stable_steps(terminal):
    """At q* = 1 the largest eigenvalues spread: Karakida's step is above what the networks bear, the bound's is not."""
    words = ("--q-star", 1, "--width", 50, "--samples", 20, "--simulate", "--networks", 3)
    record = terminal.json("fisher", "tanh", *words)
    top = np.max(record["simulation"]["outliers"])
    assert abs(record["steps"]["measured"] * top - 2) <= 1e-12
    assert record["steps"]["layerwise"] < record["steps"]["measured"] < record["steps"]["karakida"]
    heavy = terminal.json("fisher", "tanh", *words, "--momentum", 0.5)["steps"]
    for name, step in record["steps"].items():
        assert abs(heavy[name] / step - 1.5) <= 1e-12
    text = " ".join(terminal.ok("fisher", "tanh", *words).stdout.split())
    assert f"below {record['steps']['layerwise']:.4g} are stable, as mean field estimates the layerwise bound" in text
    assert f"at most {record['steps']['karakida']:.4g} in the limit of infinite width" in text
    assert f"{record['steps']['measured']:.4g} in the steepest measured network" in text


def test_what_compares_with_karakidas_value(terminal):
    """The mean over the outliers for linear outputs, the largest eigenvalue for softmax ones."""
    words = ("fisher", "tanh", *SMALL, "--simulate", "--networks", 3)
    linear, softmax = (terminal.ok(*words, "--readout", kind).stdout for kind in ("linear", "softmax"))
    for text, label, what in (
        (linear, "measured, mean over the outliers", "mean over the outliers"),
        (softmax, "measured ", "mean of the largest"),
    ):
        lines = text.splitlines()
        assert [line.startswith(label) for line in lines if "to compare with Karakida's value" in line] == [True]
        assert [line.endswith(what) for line in lines if line.startswith("Karakida's")] == [True]


def test_what_the_theorem_is_worth(terminal):
    """Its assumption, an odd phi, and where its value lies are two things."""
    odd = terminal.ok("fisher", "tanh", *SMALL).stdout
    assert "outside its assumptions" not in odd
    assert "at least the layerwise bound" in odd
    relu = ("--sigma-w", 2**0.5, "--sigma-b", 0, "--depth", 3, "--width", 40, "--samples", 20)
    assert "phi is not odd: outside its assumptions; below" in terminal.ok("fisher", "relu", *relu).stdout


def test_a_theorem_below_what_is_measured_says_so(terminal):
    words = ("--q-star", 0.5, "--depth", 5, "--width", 60, "--samples", 30, "--overlap", 0.5, "--weights", "gaussian")
    text = " ".join(terminal.ok("fisher", "tanh", *words, "--simulate", "--networks", 3).stdout.split())
    why = "activations have means over the inputs: outside its assumptions; below the layerwise bound"
    assert f"{why}, below the measured value" in text
    alone = " ".join(terminal.ok("fisher", "tanh", *words).stdout.split())
    assert why in alone
    assert "below the measured value" not in alone


def test_every_readout_weight_law_and_point(terminal):
    soft = terminal.json("fisher", "tanh", *SMALL, "--readout", "softmax", "--weights", "gaussian")
    assert soft["bound"]["output_curvature"] < 0.5
    relu = terminal.json("fisher", "relu", "--sigma-w", repr(math.sqrt(2)), "--sigma-b", 0, *SMALL[2:])
    assert relu["bound"]["odd"] is False
    assert abs(relu["input_norm"] - 0.5) <= 1e-15
    growing = terminal.json("fisher", "relu", "--sigma-w", 2, "--sigma-b", 0.1, "--depth", 3, "--input-norm", 2)
    assert growing["input_norm"] == 2
    default = terminal.json("fisher", "tanh", *SMALL[2:])
    assert default["sigma_b"] == 0.05


def test_files(terminal, tmp_path):
    for suffix in ("png", "csv", "npz"):
        terminal.ok("fisher", "tanh", *SMALL, "--simulate", "--networks", 2, "--output", tmp_path / f"f.{suffix}")
    assert (tmp_path / "f.png").read_bytes().startswith(b"\x89PNG")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "f.csv").read_text())))
    assert [row["quantity"] for row in rows][:3] == ["karakida", "paper", "layerwise"]
    with np.load(tmp_path / "f.npz", allow_pickle=False) as arrays:
        assert arrays["outliers"].shape == (2, 3)
        assert arrays["jacobian"].shape == (4,)


@pytest.mark.parametrize("phi", ["exp(x)", "x**3"])
def test_slopes_without_bound_leave_what_exists(terminal, tmp_path, phi):
    """Karakida's value needs moments alone, and networks can be measured; only the Jacobian has no edge."""
    words = ("fisher", phi, "--depth", 2, "--width", 60, "--samples", 10, "--outputs", 2)
    simulated = ("--simulate", "--networks", 6, "--weights", "gaussian")
    record = terminal.json(*words, *simulated, "--output", tmp_path / "f.npz")
    assert record["bound"] is None
    assert list(record["missing"]) == ["bound"]
    assert "phi' is unbounded" in record["missing"]["bound"]
    assert [record["lambda_max"][name] for name in ("paper", "layerwise")] == [None, None]
    assert record["steps"]["layerwise"] is None
    outliers = np.mean(record["simulation"]["outliers"], axis=1)
    error = outliers.std(ddof=1) / len(outliers) ** 0.5
    theory = record["lambda_max"]["karakida"]
    assert abs(outliers.mean() - theory) <= 3 * error + theory / 10  # of order 1/width remains
    with np.load(tmp_path / "f.npz", allow_pickle=False) as arrays:
        assert np.isnan(arrays["layerwise"])
    text = " ".join(terminal.ok(*words).stdout.split())
    assert f"No bound: {record['missing']['bound']}." in text
    assert "The largest stable step is at most" in text
    assert "theorem" not in text


def test_the_figure_says_where_it_is(terminal, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr("meanfield.plotting.image_bytes", lambda figure, *_, **__: drawn.append(figure) or b"")
    terminal.ok("fisher", "tanh", *SMALL, "-o", tmp_path / "f.png")
    terminal.ok("fisher", "tanh", *SMALL, "--input-norm", 0.5, "--weights", "gaussian", "-o", tmp_path / "f.png")
    titles = [figure.axes[0].get_title(loc="left").splitlines() for figure in drawn]
    assert titles[0] == ["tanh, 3 x 40, linear outputs", "q* = 0.01562, orthogonal weights"]
    assert titles[1] == ["tanh, 3 x 40, linear outputs", "input_norm = 0.5, gaussian weights"]


def test_one_of_each_is_told_as_one(terminal):
    words = ("fisher", "tanh", "--depth", 1, "--width", 20, "--samples", 1, "--outputs", 1)
    text = " ".join(terminal.ok(*words).stdout.split())
    assert "1 hidden layer of width 20, 1 linear output, orthogonal weights; 1 input, |x|^2" in text


def test_many_layers_are_announced(terminal, monkeypatch):
    def stopped(phi, *_given, depth, **_options):
        if depth > 100:
            raise mf.ConvergenceError("stopped")

    monkeypatch.setattr(mf, "fisher_statistics", stopped)
    monkeypatch.setattr("time.process_time", itertools.count(0.0, 0.25).__next__)  # a quarter of a second for 32 layers
    error = terminal.ok("fisher", "tanh", "--depth", 100_000, code=3).stderr
    assert error == "This takes about 1562 s on one core and 2.5 GB of memory.\nError: stopped\n"
    assert terminal.ok("fisher", "tanh", "--depth", 200, code=3).stderr == "Error: stopped\n"
    monkeypatch.setattr("meanfield.memory.machine_memory", lambda: 16e9)
    assert "of memory, needs" in terminal.refused("fisher", "tanh", "--depth", 10**6)["message"]
    words = ("--width", 10**6, "--simulate")
    assert "of memory, needs" in terminal.refused("fisher", "tanh", *words)["message"]


SCATTER = ("fisher", "scatter", "--depth", 3, "--width", 24, "--samples", 16, "--networks", 4, "--outputs", 4)


def test_scatter(terminal, tmp_path):
    folder = tmp_path / "run"
    record = terminal.json(*SCATTER, "--q-star", "0.001,0.5", "--folder", folder)
    assert record["command"] == "fisher scatter"
    networks = record["networks"]
    assert networks["kind"] == ["nonlinear"] * 4 + ["linear"] * 4 + ["nonlinear"] * 4 + ["linear"] * 4
    assert (np.array(networks["lambda_max"]) <= networks["layerwise"]).all()
    low, high = record["points"]
    assert low["lambda_max"] < high["lambda_max"]
    assert abs(low["sigma_max_squared_linear"] - 1) <= 1e-9
    nonlinear = np.array(networks["kind"]) == "nonlinear"
    rho = np.corrcoef(np.array(networks["sigma_max_squared"])[nonlinear], np.array(networks["lambda_max"])[nonlinear])
    assert abs(record["pearson"]["rho"] - rho[0, 1]) <= 1e-9
    means = "activations have means over the inputs: outside its assumptions; below the layerwise bound"
    assert high["scope"] == means
    assert record["pearson"]["low"] < record["pearson"]["rho"] < record["pearson"]["high"]

    kept = sorted(path.name for path in folder.glob("*.cell"))
    assert len(kept) == 16
    (folder / kept[3]).unlink()
    again = terminal.json(*SCATTER, "--q-star", "0.001,0.5", "--folder", folder, "--resume")
    assert again["networks"] == networks
    assert sorted(path.name for path in folder.glob("*.cell")) == kept
    error = terminal.refused(*SCATTER, "--q-star", "0.001,0.6", "--folder", folder, "--resume")
    assert "same run" in error["message"]


def test_scatter_on_digits(terminal, tmp_path):
    pytest.importorskip("sklearn")
    folder, words = tmp_path / "run", (*SCATTER, "--inputs", "digits", "--q-star", "0.5")
    terminal.ok(*words, "--output", tmp_path / "s.png", "--folder", folder)
    assert (tmp_path / "s.png").read_bytes().startswith(b"\x89PNG")
    text = terminal.ok(*words, "--folder", folder, "--resume").stdout
    assert "digits inputs" in text
    assert "Pearson's rho" in text


def test_scatter_with_few_networks(terminal):
    """Two seeds have no interval: the networks of one q_star are no independent pairs."""
    words = ("fisher", "scatter", *SMALL[2:], "--q-star", "0.01,0.5", "--networks", 2)
    assert "Too few networks for a correlation." in terminal.ok(*words).stdout
    assert terminal.json(*words)["pearson"]["rho"] is None


def test_scatter_without_bounds_and_without_an_odd_phi(terminal, tmp_path):
    """x + x^3 has no largest slope, ReLU is not odd: the networks are there, and the theorem says what it is."""
    few = (*SCATTER[:-4], "--networks", 2, "--outputs", 4, "--q-star", 0.01)
    (steep,) = terminal.json(*few, "--phi", "x + x**3")["points"]
    assert (steep["paper"], steep["layerwise"], steep["covered"]) == (None, None, False)
    assert "phi' is unbounded" in steep["scope"]
    (relu,) = terminal.json(*few, "--phi", "relu")["points"]
    assert relu["odd"] is False


def test_scatter_says_what_it_takes(terminal):
    record = terminal.json("fisher", "scatter", "--paper-scale", "--predict", "--workers", 2)
    assert record["prediction"]["tasks"] == 5 * 2 * 4
    assert record["prediction"]["workers"] == 2
    result = terminal.ok("fisher", "scatter", "--paper-scale", "--predict")
    assert result.stdout == ""
    assert re.search(r"about \d+(\.\d)? (h|min) on 1 worker, 1\.\d GB each", result.stderr)
    assert (
        "max_memory must be at least"
        in terminal.refused("fisher", "scatter", "--paper-scale", "--max-memory", "1GB", "--predict")["message"]
    )


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["tanh", "--q-star", "0.1", "--sigma-b", "0.1"], "without --sigma-b"),
        (["tanh", "--sigma-w", "1"], "--sigma-b"),
        (["tanh", "--depth", "0"], "depth must be >= 1"),
        (["tanh", "--overlap", "2"], "overlap must be in [0, 1], got 2.0"),
        (["tanh", "--overlap", "-0.02"], "overlap must be in [0, 1], got -0.02"),
        (["tanh", "--overlap", "-0.001"], "overlap must be in [0, 1], got -0.001"),
        (["tanh", "--readout", "softmax", "--outputs", "1"], "outputs must be >= 2"),
        (["tanh", "--simulate", "--networks", "0"], "networks must be >= 1"),
        (["scatter", "--q-star", "a"], "must be numbers"),
        (["scatter", "--q-star", "1,2,1.0"], "q_star must be a list without repetitions, got 1.0, 2.0, 1.0"),
        (["scatter", "--predict", "--output", "x.json"], "--predict without --output"),
        (["scatter", "--networks", "0"], "networks must be >= 1"),
        (["scatter", "--inputs", "cifar10"], "--inputs"),
    ],
)
def test_bad_input_is_one_line(terminal, words, part):
    assert part in terminal.refused("fisher", *words)["message"]


def test_help_of_both(terminal):
    assert "fisher scatter" in terminal.ok("fisher", "--help").stdout
    assert "--paper-scale" in terminal.ok("fisher", "scatter", "--help").stdout
