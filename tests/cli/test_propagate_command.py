"""meanfield propagate: numbers layer by layer and its figures."""

import csv
import io

import numpy as np
import pytest

import meanfield as mf
from meanfield import map_curves

POINT = ("propagate", "tanh", "--sigma-w", 2.5, "--sigma-b", 0.3)


def test_numbers_are_those_of_propagate(terminal):
    record = terminal.json(*POINT, "--depth", 6, "--q0", 0.5, "--c0", "0.1,0.9")
    expected = mf.propagate("tanh", 2.5, 0.3, depth=6, q0=0.5, c0=[0.1, 0.9])
    for name in ("q", "c", "chi"):
        assert record[name] == getattr(expected, name).tolist()
        assert record["errors"][name] == expected.errors[name].tolist()
    text = terminal.ok(*POINT, "--depth", 3).stdout
    assert "c from 0.5" in text
    assert f"{mf.propagate('tanh', 2.5, 0.3, depth=3).q[2]:.8g}" in text


def test_files(terminal, tmp_path):
    terminal.ok(*POINT, "--depth", 4, "--output", tmp_path / "path.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "path.csv").read_text())))
    assert [row["layer"] for row in rows] == ["1", "2", "3", "4"]
    assert float(rows[0]["c from 0.9"]) == 0.9
    terminal.ok(*POINT, "--depth", 4, "--output", tmp_path / "path.npz")
    with np.load(tmp_path / "path.npz", allow_pickle=False) as arrays:
        assert arrays["c"].shape == (3, 4)


@pytest.mark.parametrize("kind", ["q", "c", "chi", "q-decay", "c-decay", "q-map", "c-map"])
def test_figures(terminal, tmp_path, kind):
    terminal.ok(*POINT, "--output", tmp_path / "figure.png", "--figure", kind)
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_the_cobweb_starts_where_it_is_seen(terminal, tmp_path, monkeypatch):
    starts = []
    curve = map_curves.c_map_curve
    monkeypatch.setattr(
        map_curves, "c_map_curve", lambda *given, **options: starts.append(options["c0"]) or curve(*given, **options)
    )
    terminal.ok(*POINT, "--output", tmp_path / "figure.png", "--figure", "c-map")
    terminal.ok(*POINT, "--output", tmp_path / "figure.png", "--figure", "c-map", "--c0", "0.1,1,0.2")
    assert starts == [0.5, 0.2], "c_star is 0.1221"


def test_lengths_that_grow_have_no_point_to_settle_at(terminal, tmp_path):
    grows = ("propagate", "relu", "--sigma-w", 1.6, "--sigma-b", 0.3, "--output", tmp_path / "figure.png")
    terminal.ok(*grows, "--figure", "q")
    terminal.ok(*grows, "--figure", "q-map")
    assert "without bound" in terminal.refused(*grows, "--figure", "c-map", code=3)["message"]


def test_bad_input(terminal):
    assert "depth must be >= 1" in terminal.refused(*POINT, "--depth", 0)["message"]
    assert "c0 must be in [-1, 1]" in terminal.refused(*POINT, "--c0", "2")["message"]
