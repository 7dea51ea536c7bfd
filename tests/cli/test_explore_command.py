"""`meanfield explore`: a page from names and expressions."""

import pytest


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_page_of_ones_own(terminal, here):
    record = terminal.json("explore", "--no-catalogue", "--phi", "erf", "--phi", "-tanh(x)", "--output", "own.html")
    page = (here / "own.html").read_text()
    assert record["bytes"] == len(page.encode()) < 2e6
    assert record["first"] == record["nonlinearities"][0] == "erf"
    assert len(record["nonlinearities"]) == 2
    assert "<option selected>erf</option>" in page
    assert str(here) not in page


def test_the_file_has_a_name_by_default(terminal, here):
    assert terminal.ok("explore", "--no-catalogue", "--phi", "erf").stdout == "Explorer: explorer.html\n"
    assert (here / "explorer.html").exists()


def test_what_it_refuses(terminal, here):
    assert "needs a --phi" in terminal.refused("explore", "--no-catalogue")["message"]
    assert "must end in" in terminal.refused("explore", "--output", "page.png")["message"]
    assert "jumps" in terminal.refused("explore", "--no-catalogue", "--phi", "sign(x)")["message"]
    assert not list(here.iterdir())
