"""`meanfield report` and `validate`: from a name to a folder and a verdict."""

import json

import numpy as np
import pytest

import meanfield as mf
from meanfield.cli.defaults import default_point
from tests.cli.conftest import validate
from tests.test_report import Reader

SMALL = ("--depth", 3, "--widths", "50,100", "--networks", 12)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def coarse(monkeypatch):
    """Reports whose phase diagrams have few cells."""
    monkeypatch.setattr("meanfield.cli.report.CELLS", (9, 7))


def test_report_of_tanh(terminal, here):
    result = terminal.ok("report", "tanh", *SMALL)
    (folder,) = here.iterdir()
    assert folder.name.startswith("meanfield-report-tanh-")
    assert result.stdout.splitlines()[-1] == f"Report: {folder.name}/report.html"
    assert sorted(path.name for path in folder.iterdir()) == [
        "fisher.png",
        "phase.png",
        "report.html",
        "report.json",
        "spectrum.png",
        "verification.png",
    ]
    saved = json.loads((folder / "report.json").read_text())
    validate(saved, "report")
    assert saved["sigma_w"] == mf.critical_point("tanh", sigma_b=0.05).sigma_w
    assert saved["passed"] is True
    assert abs(saved["spectra"]["orthogonal"]["mean"] - 1) <= 1e-9
    assert saved["spectra"]["gaussian"]["lambda_max"] > saved["spectra"]["orthogonal"]["lambda_max"]
    assert (
        max(each[0] for each in saved["fisher"]["simulation"]["outliers"])
        <= 1.5 * saved["fisher"]["bound"]["layerwise"]
    )
    assert str(here) not in json.dumps(saved)
    text = "".join(Reader((folder / "report.html").read_text()).text)
    assert "Where to initialise" in text
    assert "Singular values of the Jacobian" in text
    assert "Fisher information" in text
    assert saved["verification"]["verdict"] in text
    assert np.shape(saved["phase_diagram"]["phase"]) == (41, 61)


@pytest.mark.parametrize(
    ("phi", "sigma_b", "part"),
    [
        ("relu", 0.0, "sigma_b = 0 is the nearest"),
        ("gelu", 0.416, "sigma_b = 0.416 is the nearest"),
        ("silu", 0.746, "sigma_b = 0.746 is the nearest"),
        ("softplus", 0.05, "no critical point"),
        ("sin(x)/(1+abs(x))", 0.05, "the default"),
    ],
)
def test_the_default_point(phi, sigma_b, part):
    point = default_point(mf.as_nonlinearity(phi))
    assert point.sigma_b == sigma_b
    assert part in point.reason
    assert (point.critical is None) == (phi == "softplus")


@pytest.mark.parametrize("phi", ["relu", "softplus", "x*x"])
def test_reports_end_well(terminal, here, coarse, undrawn, phi):
    record = terminal.json("report", phi, *SMALL, "--output", here / "folder")
    assert record["passed"] is True
    assert record["phi"] == phi
    assert (record["critical"] is None) == (phi in ("softplus", "x*x"))
    assert json.loads((here / "folder" / "report.json").read_text()) == record


def test_a_point_of_the_users_choice(terminal, here, coarse, undrawn):
    record = terminal.json("report", "gelu", "--sigma-w", 1.2, "--sigma-b", 0.1, *SMALL, "--output", here / "folder")
    assert (record["sigma_w"], record["sigma_b"]) == (1.2, 0.1)
    assert record["fixed_points"][0]["phase"] == "ordered"
    assert record["critical"] is None


def test_what_cannot_be_told_is_left_out_with_its_reason(terminal, here, coarse):
    """At this point x + x^3 has no length that stays, and within ten layers it leaves double precision."""
    words = ("report", "x+x**3", "--sigma-w", 2, "--sigma-b", 1, *SMALL[2:], "--output", here / "folder")
    result = terminal(*words)
    assert result.exit_code == 1
    assert result.stdout.startswith("The theory was not compared with simulated networks: x+x**3: the function is not ")
    saved = json.loads((here / "folder" / "report.json").read_text())
    validate(saved, "report")
    assert set(saved["missing"]) == {"fixed_points", "verification", "spectra", "fisher"}
    assert (saved["passed"], saved["verification"], saved["fixed_points"]) == (False, None, [])
    assert saved["files"] == ["report.html", "report.json", "phase.png"]
    assert {"ordered", "unbounded"} <= set(np.ravel(saved["phase_diagram"]["phase"]))
    text = "".join(Reader((here / "folder" / "report.html").read_text()).text)
    for reason in saved["missing"].values():
        assert reason in text


def test_the_point_in_place_of_a_critical_one_is_where_lengths_settle():
    point = default_point(mf.as_nonlinearity("x+x**3"))
    assert mf.fixed_points("x+x**3", 1.0, 0.05) == ()
    assert (point.sigma_w, point.critical) == (0.5, None)
    assert any(each.stable for each in mf.fixed_points("x+x**3", point.sigma_w, point.sigma_b))


def test_what_the_report_refuses(terminal, here):
    (here / "mine").mkdir()
    (here / "mine" / "thesis.tex").write_text("years of work")
    assert "not a report" in terminal.refused("report", "tanh", "--output", here / "mine")["message"]
    assert (here / "mine" / "thesis.tex").read_text() == "years of work"
    assert "--sigma-b" in terminal.refused("report", "tanh", "--sigma-w", 1.5)["message"]
    assert "sigma_b" in terminal.refused("report", "tanh", "--sigma-b", "nan")["message"]
    assert "depth must be" in terminal.refused("report", "tanh", "--depth", 0, "--output", here / "x")["message"]
    assert "level must be" in terminal.refused("report", "tanh", "--level", 2, "--output", here / "x")["message"]
    assert "cannot write" in terminal.refused("report", "tanh", "--output", here / "none" / "x")["message"]
    assert terminal.refused("report", "softplus", "--sigma-b", 0.1, code=3)["type"] == "NoCriticalPointError"
    assert [path.name for path in here.iterdir()] == ["mine"]


VALIDATE = ("validate", "tanh", "--sigma-w", 1.5, "--sigma-b", 0.3, *SMALL)


def test_validate(terminal):
    record = terminal.json(*VALIDATE)
    assert record["passed"] is True
    assert record["widths"] == [50, 100]
    text = terminal.ok(*VALIDATE).stdout
    assert record["verdict"] in text


def test_workers_do_not_change_a_number(terminal):
    alone, shared = terminal.json(*VALIDATE), terminal.json(*VALIDATE, "--workers", 2)
    assert alone["checks"] == shared["checks"]


def test_a_verdict_of_no_is_exit_code_1(terminal, monkeypatch):
    import verify

    honest = verify.predict
    monkeypatch.setattr(verify.certificate, "predict", lambda phi, w, b, **k: honest(phi, 1.2 * w, b, **k))
    result = terminal("validate", "tanh", "--sigma-w", 1.5, "--sigma-b", 0.3, *SMALL, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["passed"] is False


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--widths", "50,x"], "commas"),
        (["--widths", "0"], "widths"),
        (["--networks", "0"], "networks"),
        (["--level", "2"], "level"),
        (["--c0", "1.5"], "c0"),
        (["--q0", "-1"], "q0"),
        (["--seed", "-1"], "seed"),
    ],
)
def test_bad_settings_of_a_simulation(terminal, words, part):
    assert part in terminal.refused("validate", "tanh", *SMALL, *words)["message"]


def test_figures_of_a_verification(terminal, tmp_path):
    terminal.ok(*VALIDATE, "--output", tmp_path / "verification.png")
    assert (tmp_path / "verification.png").read_bytes().startswith(b"\x89PNG")


def test_hostile_names_go_through_everything(tmp_path, coarse):
    """A Nonlinearity from Python may have any name; here it goes through the report's own code."""
    import click

    from meanfield.cli.report import _build
    from meanfield.cli.session import Session

    name = "<img src=x onerror=alert(1)>$x_{[bold]../.."
    phi = mf.Nonlinearity.from_callable(np.tanh, lambda x: 1 - np.tanh(x) ** 2, name=name)
    settings = {"depth": 2, "widths": (20, 40), "networks": 4, "weights": "gaussian", "level": 0.01, "seed": 0}
    with click.Context(click.Command("report"), obj=Session(["report", name])):
        _build(tmp_path, phi, default_point(phi), settings, 1)
    read = Reader((tmp_path / "report.html").read_text())
    assert read.elements.count("img") == 4
    assert not [key for key, _ in read.attributes if key.startswith("on")]
    assert json.loads((tmp_path / "report.json").read_text())["phi"] == name


def test_doctor(terminal):
    record = terminal.json("doctor")
    assert record["passed"] is True
    assert {check["check"] for check in record["checks"]} == {"theory", "expressions", "simulation", "figures"}
    assert "numpy" in terminal.ok("doctor").stdout


def test_list(terminal):
    record = terminal.json("list")
    names = [entry["name"] for entry in record["nonlinearities"]]
    assert {"tanh", "relu", "gelu", "silu", "leaky_relu", "softplus"} <= set(names)
    text = terminal.ok("list").stdout
    assert "leaky_relu" in text
    assert "slope" in text
