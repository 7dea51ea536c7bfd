"""`meanfield spectrum`: numbers, files, simulated networks, maps, and what it refuses."""

import csv
import io
import json
import math

import numpy as np
import pytest

import meanfield as mf

HARD_TANH = ("spectrum", "hard_tanh", "--q-star", 0.2, "--depth", 16, "--weights", "orthogonal")
LINEAR = ("spectrum", "linear", "--sigma-w", 1, "--sigma-b", 0)


def test_a_spectrum_with_atoms(terminal):
    record = terminal.json(*HARD_TANH)
    assert abs(record["lambda_max"] - 1.5080) <= 1e-4
    assert abs(record["mean"] - 1) <= 1e-12
    zero, top = record["atoms"]
    assert zero["location"] == 0
    assert abs(top["mass"] - 0.5944) <= 1e-4
    assert record["q0"] == 0.2
    assert abs(record["q_star"] - 0.2) <= 1e-12
    assert record["simulation"] is None
    assert record["others"] == []
    text = terminal.ok(*HARD_TANH).stdout
    assert "orthogonal weights" in text
    assert "0.5944 at 1.508" in text


def test_the_curve_is_the_density(terminal):
    record = terminal.json(*LINEAR, "--depth", 3)
    assert abs(record["lambda_max"] - 4**4 / 3**3) <= 1e-9
    t, density, cdf = (np.array(record["curve"][name]) for name in ("log_lambda", "density_of_log", "cdf"))
    assert np.all(np.diff(t) > 0)
    assert np.abs(np.diff(cdf) - (density[1:] + density[:-1]) / 2 * np.diff(t)).max() <= 1e-3
    assert abs(cdf[-1] - 1) <= 1e-3


def test_several_depths_and_lengths(terminal):
    record = terminal.json("spectrum", "tanh", "--q-star", "0.01,0.1", "--depth", "2,8", "--weights", "orthogonal")
    found = [record, *record["others"]]
    assert [(each["q0"], each["depth"]) for each in found] == [(0.01, 2), (0.01, 8), (0.1, 2), (0.1, 8)]
    tops = [each["lambda_max"] for each in found]
    assert tops[0] < tops[1] < tops[3]
    point = mf.critical_point("tanh", q_star=0.1)
    spectrum = mf.jacobian_spectrum("tanh", point.sigma_w, point.sigma_b, depth=8, weights="orthogonal")
    assert abs(found[3]["lambda_max"] - spectrum.lambda_max) <= 1e-8


def test_the_point_may_be_given_in_four_ways(terminal):
    critical = terminal.json("spectrum", "tanh", "--sigma-b", 0.3, "--depth", 2)
    assert critical["sigma_w"] == mf.critical_point("tanh", sigma_b=0.3).sigma_w
    default = terminal.json("spectrum", "tanh", "--depth", 2)
    assert default["sigma_b"] == 0.05
    chaotic = terminal.json("spectrum", "tanh", "--sigma-w", 2, "--sigma-b", 0.1, "--depth", 2)
    chi = mf.fixed_point("tanh", 2.0, 0.1).chi_1
    assert abs(chaotic["mean"] - chi**2) <= 1e-8
    moving = terminal.json("spectrum", "tanh", "--sigma-w", 2, "--sigma-b", 0.1, "--depth", 2, "--q0", 0.4)
    path = mf.propagate("tanh", 2.0, 0.1, depth=2, q0=0.4)
    assert abs(moving["mean"] - math.prod(path.chi)) <= 1e-8
    assert moving["q0"] == 0.4


SIMULATED = ("--simulate", "--width", "40,80", "--networks", 12)


def test_simulated_networks_beside_the_law(terminal):
    record = terminal.json(*HARD_TANH, *SIMULATED, "--seed", 2)
    simulation = record["simulation"]
    assert [each["width"] for each in simulation["widths"]] == [40, 80]
    assert all(len(each["lambda_max"]) == 12 for each in simulation["widths"])
    assert simulation["comparison"]["passed"] is True
    assert record["provenance"]["seed"] == 2
    text = terminal.ok(*HARD_TANH, *SIMULATED, "--seed", 2).stdout
    assert simulation["comparison"]["verdict"] in text
    assert "width 80" in text
    alone = terminal.json(*HARD_TANH, "--simulate", "--width", 40, "--networks", 3)
    assert alone["simulation"]["comparison"] is None


def test_workers_do_not_change_a_number(terminal, pickled):
    alone, shared = (terminal.json(*HARD_TANH, *SIMULATED, "--workers", count)["simulation"] for count in (1, 2))
    assert pickled == [2]
    assert alone == shared


def test_a_law_that_networks_reject_is_exit_code_1(terminal, monkeypatch):
    import verify

    honest = verify.jacobian_singular_values
    swapped = lambda *point, **settings: honest(*point, **{**settings, "weights": "gaussian"})  # noqa: E731
    monkeypatch.setattr(verify, "jacobian_singular_values", swapped)
    record = terminal.json(*HARD_TANH, *SIMULATED, code=1)
    assert record["simulation"]["comparison"]["passed"] is False


def test_lengths_that_drift_away_are_reset(terminal):
    record = terminal.json("spectrum", "silu", "--q-star", 0.689453, "--depth", 6, *SIMULATED)
    assert record["simulation"]["lengths"] == "reset"
    assert record["simulation"]["comparison"]["passed"] is True


def test_deep_gaussian_networks_keep_their_small_eigenvalues(terminal):
    record = terminal.json(*LINEAR, "--depth", 60, "--simulate", "--width", "20,40", "--networks", 8)
    assert record["simulation"]["comparison"]["passed"] is True


def test_eigenvalues_beyond_float64_have_a_figure(terminal, tmp_path):
    words = ("tanh", "--sigma-w", 8, "--sigma-b", 0.1, "--depth", 1000)
    terminal.ok("spectrum", *words, "--output", tmp_path / "law.png")
    terminal.refused("spectrum", *words, "--density", "lambda", "--output", tmp_path / "none.png")


def test_a_lost_curve_leaves_the_edges(terminal, monkeypatch):
    from meanfield.freeprob import LostError, Spectrum

    def lost(self):
        raise LostError("the curve of the spectrum is lost at ln z = 1", 0.5)

    monkeypatch.setattr(Spectrum, "law", property(lost))
    words = ("spectrum", "tanh", "--q-star", 0.37, "--depth", 3)
    record = terminal.json(*words)
    assert record["curve"] == {"log_lambda": [], "density_of_log": [], "cdf": []}
    assert record["lambda_max"] > 1
    assert "note: the curve of the spectrum is lost" in terminal.ok(*words).stdout


def test_a_map_of_the_largest_eigenvalue(terminal, tmp_path):
    words = ("spectrum", "tanh", "--map", "--depth", "1,10", "--q-star", "0.01,1", "--weights", "orthogonal")
    found = terminal.json(*words)["map"]
    assert (found["depth"], found["q_star"]) == ([1, 10], [0.01, 1])
    point = mf.critical_point("tanh", q_star=1.0)
    spectrum = mf.jacobian_spectrum("tanh", point.sigma_w, point.sigma_b, depth=10, weights="orthogonal")
    assert abs(found["lambda_max"][1][1] - spectrum.lambda_max) <= 1e-8
    assert "L = 10" in terminal.ok(*words).stdout
    terminal.ok(*words, "--output", tmp_path / "map.png")
    terminal.ok(*words, "--output", tmp_path / "map.csv")
    assert len((tmp_path / "map.csv").read_text().splitlines()) == 5
    missing = terminal.json("spectrum", "sigmoid", "--map", "--depth", "1,2", "--q-star", "1,60")["map"]
    assert missing["lambda_max"][0] == [None, None]
    assert None not in missing["lambda_max"][1]


def test_files_of_every_kind(terminal, tmp_path):
    words = (*HARD_TANH, "--simulate", "--width", 30, "--networks", 2)
    for suffix in ("png", "csv", "npz", "json"):
        terminal.ok(*words, "-o", tmp_path / f"spectrum.{suffix}")
    image = (tmp_path / "spectrum.png").read_bytes()
    assert image.startswith(b"\x89PNG")
    assert str(tmp_path).encode() not in image
    with np.load(tmp_path / "spectrum.npz", allow_pickle=False) as arrays:
        assert arrays["singular_values_width_30"].shape == (2, 30)
        assert arrays["atoms"].shape == (2, 2)
        assert arrays["density_of_log"].shape == arrays["log_lambda"].shape
    rows = list(csv.DictReader(io.StringIO((tmp_path / "spectrum.csv").read_text())))
    assert set(rows[0]) == {"depth", "q_star", "log_lambda", "density_of_log", "cdf"}
    assert json.loads((tmp_path / "spectrum.json").read_text())["command"] == "spectrum"
    several = (*HARD_TANH[:-4], "--depth", "2,16", "--weights", "orthogonal")
    terminal.ok(*several, "--density", "sigma", "--output", tmp_path / "several.png")
    terminal.ok(*several, "--output", tmp_path / "several.npz")
    with np.load(tmp_path / "several.npz", allow_pickle=False) as arrays:
        assert {"depth_1", "depth_2", "cdf_2"} <= set(arrays)


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["tanh", "--depth", "0"], "depth must be >= 1"),
        (["tanh", "--depth", "-3"], "depth must be >= 1"),
        (["tanh", "--depth", "1.5"], "commas"),
        (["tanh", "--weights", "xavier"], "--weights"),
        (["tanh", "--q-star", "-0.1"], "q_star must be >= 0"),
        (["tanh", "--q-star", "0.1", "--sigma-b", "0.1"], "--q-star"),
        (["tanh", "--sigma-w", "1.5"], "--sigma-b"),
        (["tanh", "--sigma-w", "-1", "--sigma-b", "0"], "sigma_w must be > 0"),
        (["tanh", "--q0", "-1"], "q0 must be >= 0"),
        (["tanh", "--map", "--simulate"], "--map"),
        (["tanh", "--map", "--q-star", "0.1", "--depth", "2,4", "--output", "map.png"], "two of --q-star"),
        (["tanh", "--simulate", "--width", "20,40", "--networks", "1"], "networks must be >= 2"),
        (["tanh", "--map", "--sigma-w", "1"], "--map"),
        (["tanh", "--map", "--depth", "0"], "depth must be >= 1"),
        (["tanh", "--map", "--density", "log", "--output", "map.png"], "--map"),
        (["tanh", "--map", "--networks", "3"], "--networks must not be given without --simulate"),
        (["tanh", "--width", "400", "--seed", "0"], "--width and --seed must not be given without --simulate"),
        (["tanh", "--density", "sigma"], "--density must not be given without --output in one of .png .pdf .svg"),
        (["tanh", "--density", "log", "--output", "curve.csv"], "--density must not be given"),
        (["tanh", "--simulate", "--width", "0"], "width must be >= 1"),
        (["tanh", "--simulate", "--networks", "0"], "networks must be >= 1"),
        (["tanh", "--simulate", "--width", "20,30", "--level", "2"], "level must be"),
        (["tanh", "--simulate", "--seed", "-1"], "seed must be >= 0"),
    ],
)
def test_bad_input_is_one_line(terminal, tmp_path, monkeypatch, words, part):
    monkeypatch.chdir(tmp_path)
    assert part in terminal.refused("spectrum", *words)["message"]


def test_a_network_that_grows_has_no_spectrum(terminal):
    error = terminal.refused("spectrum", "relu", "--sigma-w", 1.6, "--sigma-b", 0.1, code=3)
    assert error["type"] == "NoFixedPointError"
    assert terminal.refused("spectrum", "sigmoid", "--q-star", 1, code=3)["type"] == "NoCriticalPointError"
