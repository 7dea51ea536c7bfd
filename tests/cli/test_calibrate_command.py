"""`meanfield calibrate`, and the finite-width answer of `meanfield validate`."""

import csv
import html

import pytest

import verify

SMALL = ("--sigma-w", 1.5, "--sigma-b", 0.3, "--depth", 3, "--widths", "50,100")
RUNS = (*SMALL, "--networks", 16, "--runs", 10, "--seed", 4)


def test_calibrate(terminal):
    shown = terminal("calibrate", "tanh", *RUNS)
    record = terminal.json("calibrate", "tanh", *RUNS, code=shown.exit_code)
    assert record["runs"] == 10
    assert record["false_alarms"] <= record["band"][1]
    by_name = {each["name"]: each for each in record["alternatives"]}
    assert by_name["1 in place of the derivative"]["rejected"] == 10
    assert by_name["sigma_w off by +0.25 %"]["size"] == 0.0025
    assert "nothing wrong" in shown.stdout
    assert record["summary"] in shown.stdout


def test_a_verdict_that_cannot_see_gross_errors_is_exit_code_1(terminal):
    weak = ("--sigma-w", 1.5, "--sigma-b", 0.3, "--depth", 2, "--widths", "10", "--networks", 2, "--runs", 10)
    record = terminal.json("calibrate", "tanh", *weak, "--quantities", "chi", code=1)
    assert record["passed"] is False
    assert "No gross error changes the prediction by more" in record["summary"]


def test_workers_do_not_change_a_calibration(terminal, tmp_path, pickled):
    for workers in (1, 2):
        terminal("calibrate", "tanh", *RUNS, "--workers", workers, "--output", tmp_path / f"{workers}.csv")
    assert pickled == [2]
    assert (tmp_path / "1.csv").read_text() == (tmp_path / "2.csv").read_text()
    assert len(list(csv.reader((tmp_path / "1.csv").read_text().splitlines()))) == 26


def test_the_catalogue(terminal, monkeypatch):
    from meanfield import activations

    few = {name: activations.CATALOGUE[name] for name in ("tanh", "relu", "softplus")}
    monkeypatch.setattr(activations, "CATALOGUE", few)
    record = terminal.json("calibrate", "--catalogue", "--depth", 3, "--widths", "50,100", "--networks", 24)
    rows = record["survey"]
    assert [row["phi"] for row in rows[::6]] == ["tanh", "relu", "softplus"]
    assert {row["phase"] for row in rows[:6]} == {"ordered", "critical", "chaotic"}
    assert [row["phase"] for row in rows[10:12]] == ["unbounded"] * 2
    assert record["passed"] is True
    assert record["summary"] == "The theory holds in 18 of 18 checks of the catalogue."


def test_a_verdict_in_single_precision_says_what_that_costs(terminal):
    record = terminal.json("validate", "tanh", *SMALL, "--networks", 8, "--dtype", "float32")
    assert record["dtype"] == "float32"
    assert record["notes"][-1].startswith("In float32: the first networks of each width are within ")


def test_a_verdict_as_a_page(terminal, tmp_path):
    place = tmp_path / "verdict.html"
    phi = "where(x < 0, 0.1*x, x)"
    terminal("validate", phi, *SMALL, "--networks", 8, "--c0", "0.5,-0.5", "--output", place)
    text = place.read_text()
    record = terminal.json("validate", phi, *SMALL, "--networks", 8, "--c0", "0.5,-0.5")
    for words in (record["verdict"], *record["notes"], *(check["name"] for check in record["checks"])):
        assert html.escape(words) in text
    assert "<h1>where(x &lt; 0, 0.1*x, x) at sigma_w = 1.5, sigma_b = 0.3</h1>" in text
    assert "A right theory is rejected with a probability of at most 0.01." in text
    assert "in standard errors, both of ln q, ln chi and artanh c, and less what rounding" in text
    assert text.count('src="data:image/png;base64,') == 1
    assert "default-src 'none'" in text
    assert "<script" not in text
    assert place.name not in text


def test_either_phi_or_the_catalogue(terminal):
    assert "either PHI or --catalogue" in terminal.refused("calibrate")["message"]
    assert "either PHI or --catalogue" in terminal.refused("calibrate", "tanh", "--catalogue")["message"]
    assert "runs must be >= 10" in terminal.refused("calibrate", "tanh", "--runs", 1)["message"]


def test_the_survey_names_what_wanders_too_much_to_be_checked(terminal, monkeypatch):
    from meanfield import activations

    monkeypatch.setattr(activations, "CATALOGUE", {"relu": activations.CATALOGUE["relu"]})
    budget = ("--depth", 30, "--widths", "50,100", "--networks", 12, "--quantities", "q")
    shown = terminal("calibrate", "--catalogue", *budget).stdout
    assert "relu, critical, gaussian: Too little is known of q from layer" in " ".join(shown.split())


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--widths", "1000000000000,20"], "this simulation must fit into the machine's"),
        (["--level", 2], "level must be in (0, 1)"),
        (["--depth", 10**12], "depth must be <= 1000000"),
        (["--sigma-w", 1.5, "--weights", "gaussian"], "--sigma-w and --weights must not be given with --catalogue"),
    ],
)
def test_a_survey_is_refused_before_its_points_are_looked_for(terminal, monkeypatch, words, part):
    monkeypatch.setattr("meanfield.cli.survey._points", None)
    assert part in terminal.refused("calibrate", "--catalogue", *words)["message"]


WIDTH = ("validate", "tanh", "--sigma-w", 1.5, "--sigma-b", 0.3, "--width", 64, "--depth", 4, "--networks", 16)


def test_the_finite_width_answer(terminal, tmp_path):
    record = terminal.json(*WIDTH)
    answer = verify.width_bias("tanh", 1.5, 0.3, width=64, depth=4, networks=16)
    assert record["deviations"] == answer.to_dict()["deviations"]
    shown = terminal.ok(*WIDTH).stdout
    assert record["summary"] in shown
    last = record["deviations"][-1]
    assert f"{last['spread']:.4g} ± {last['spread_error']:.1g}" in shown
    terminal.ok(*WIDTH, "--output", tmp_path / "width.html")
    page = (tmp_path / "width.html").read_text()
    assert html.escape(record["summary"]) in page
    assert f"<td>{last['spread']:.4g} ± {last['spread_error']:.1g}</td>" in page


def test_the_precision_wanted_is_an_option(terminal):
    rough, fine = (
        terminal.json(*WIDTH, "--precision", wanted)["deviations"][3]["required_width"] for wanted in (0.1, 0.01)
    )
    assert 80 * rough <= fine <= 100 * rough


def test_only_what_is_asked_for(terminal):
    record = terminal.json(*WIDTH, "--quantities", "chi,gradient")
    assert [each["quantity"] for each in record["deviations"]] == ["chi"] * 4 + ["gradient"] * 4
    verdict = terminal.json("validate", "tanh", *SMALL, "--networks", 8, "--quantities", "gradient")
    assert {check["quantity"] for check in verdict["checks"]} == {"gradient"}


def test_lengths_that_are_reset(terminal):
    record = terminal.json(*WIDTH, "--lengths", "reset")
    assert [each["theory"] for each in record["deviations"][1:3]] == [record["deviations"][1]["theory"]] * 2


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--width", 2], "width must be >= 3"),
        (["--precision", 0], "precision must be in [1e-09, 1]"),
        (["--lengths", "fixed"], "--lengths"),
        (["--dtype", "float32"], "--dtype must be float64"),
        (["--quantities", "q,speed"], "quantities must be one of"),
        (["--output", "figure.png"], "must end in one of .json .csv .npz .html"),
        (["--widths", "50,100"], "--widths must not be given with --width"),
        (["--level", 0.01, "--widths", "50,100"], "--widths and --level must not be given with --width"),
    ],
)
def test_bad_settings(terminal, tmp_path, monkeypatch, words, part):
    monkeypatch.chdir(tmp_path)
    assert part in terminal.refused(*WIDTH, *words)["message"]
    assert list(tmp_path.iterdir()) == []
