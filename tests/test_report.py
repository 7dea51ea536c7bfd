"""The report's page and folder: self-contained, escaped, replaced as a whole, and never over a stranger's files."""

import json
import math
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest

import meanfield as mf
from meanfield.report import (
    Section,
    critical_section,
    fixed_point_section,
    folder_name,
    replaced_folder,
    slug,
    write,
)
from meanfield.report.page import code, page, paragraph, table, verdict

HOSTILE = "<img src=x onerror=alert(1)>$x_{[bold]../.."
PROVENANCE = {"versions": {"python": "3"}, "blas": "none", "seed": 0, "command": HOSTILE, "wall_time": 1.0}


class Reader(HTMLParser):
    """Collects elements, attributes and text, and checks that what is opened is closed."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.attributes, self.text, self.open = [], [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.attributes += attrs
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def hostile_page():
    section = Section(
        title=HOSTILE,
        body=paragraph(HOSTILE) + code(HOSTILE) + verdict(HOSTILE, passed=False) + table([HOSTILE], [[HOSTILE]]),
        figures={"phase": b"\x89PNG"},
        captions={"phase": HOSTILE},
        details=table([HOSTILE], [[HOSTILE]], words=True),
    )
    return page(HOSTILE, verdict(HOSTILE, passed=True), [section], PROVENANCE)


def test_a_users_text_stays_text():
    read = Reader(hostile_page())
    assert read.elements.count("img") == 1
    assert not [name for name, _ in read.attributes if name.startswith("on")]
    assert "".join(read.text).count(HOSTILE) >= 9


def test_the_page_loads_nothing():
    text = hostile_page()
    read = Reader(text)
    assert "script" not in read.elements
    assert "link" not in read.elements
    policies = [value for name, value in read.attributes if name == "content" and "default-src" in value]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]
    for name, value in read.attributes:
        assert name != "href"
        assert name != "src" or value.startswith("data:image/png;base64,")
    assert "http" not in text.replace("http-equiv", "")
    assert "url(" not in text
    assert "@import" not in text


@pytest.mark.parametrize("text", ["tanh", HOSTILE, "", "日本", "x" * 500, "a/../../b", "CON", ".hidden", "\x00\ud800"])
def test_slugs_are_safe_file_names(text):
    name = slug(text)
    stem, _, digest = name.rpartition("-")
    assert 1 <= len(stem) <= 40
    assert set(stem) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert len(digest) == 8
    assert set(digest) <= set("0123456789abcdef")
    assert folder_name(text) == f"meanfield-report-{name}"


def test_different_names_have_different_slugs():
    assert len({slug(text) for text in ("tanh", "Tanh", "tanh ", "tanh(x)", "tanh-x")}) == 5


def write_report(folder, text="one"):
    with replaced_folder(folder) as building:
        section = Section(title="Numbers", body=paragraph(text), figures={"phase": b"\x89PNG"})
        write(building, title="tanh", lead="", sections=[section], data={"text": text}, provenance=PROVENANCE)


def test_a_report_is_written_and_replaced_as_a_whole(tmp_path):
    folder = tmp_path / "report"
    for text in ("one", "two"):
        write_report(folder, text)
        assert sorted(path.name for path in folder.iterdir()) == ["phase.png", "report.html", "report.json"]
        assert json.loads((folder / "report.json").read_text())["text"] == text
        assert [path.name for path in tmp_path.iterdir()] == ["report"]
    assert folder.stat().st_mode & 0o777 == 0o755


def test_an_empty_folder_is_used(tmp_path):
    folder = tmp_path / "report"
    folder.mkdir()
    write_report(folder)
    assert (folder / "report.html").exists()


def test_a_failure_leaves_the_old_report(tmp_path):
    folder = tmp_path / "report"
    write_report(folder)

    def interrupted():
        with replaced_folder(folder) as building:
            (building / "report.html").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert json.loads((folder / "report.json").read_text())["text"] == "one"
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


@pytest.mark.parametrize("content", ["{}", "[]", "not json", '{"generator": "another"}'])
def test_a_folder_that_is_not_ours_is_left_alone(tmp_path, content):
    folder = tmp_path / "thesis"
    folder.mkdir()
    (folder / "report.json").write_text(content)
    with pytest.raises(mf.InvalidParameterError, match="not a report of meanfield"):
        write_report(folder)
    assert (folder / "report.json").read_text() == content


def test_a_report_with_other_files_in_it_is_left_alone(tmp_path):
    folder = tmp_path / "report"
    write_report(folder)
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(mf.InvalidParameterError, match=r"also holds 'notes\.txt'"):
        write_report(folder)
    assert (folder / "notes.txt").read_text() == "mine"


def test_a_file_or_a_link_in_its_place_is_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "target").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "target")
    for name in ("file", "link"):
        with pytest.raises(mf.InvalidParameterError, match="must be a folder"):
            write_report(tmp_path / name)
    with pytest.raises(mf.InvalidParameterError, match="cannot write"):
        write_report(tmp_path / "none" / "report")


def test_sections_tell_what_the_results_say():
    phi = mf.as_nonlinearity("tanh")
    point = mf.critical_point(phi, sigma_b=0.3)
    text = critical_section(phi, point, [], reason="As asked.").body
    assert "1.395583975" in text
    assert "mf.initialize(" in text
    assert "repels" not in text
    assert critical_section(phi, None, [], reason="There is none.").body == "<p>There is none.</p>\n"
    fixed = mf.fixed_points(phi, 2.0, 0.0)
    reached = mf.fixed_point(phi, 2.0, 0.0)
    body = fixed_point_section(fixed, reached, sigma_w=2.0, sigma_b=0.0).body
    assert "the network is chaotic" in body
    assert "Other fixed points" in body
    grown = fixed_point_section((), None, sigma_w=1.5, sigma_b=0.1).body
    assert "grow without bound" in grown


def test_infinities_and_holes_are_readable():
    reached = SimpleNamespace(
        **dict.fromkeys(("q_star", "alpha", "chi_1", "c_star", "xi_q", "xi_c", "xi_gradient"), math.nan),
        errors=dict.fromkeys(("q_star", "alpha", "chi_1", "c_star", "xi_q", "xi_c", "xi_gradient"), math.inf),
        phase="ordered",
        status=mf.Status.CONVERGED,
    )
    reached.q_star, reached.xi_q, reached.xi_gradient = 1.0, math.inf, -math.inf
    body = fixed_point_section([reached], reached, sigma_w=1.0, sigma_b=0.0).body
    assert "∞" in body
    assert "−∞" in body
    assert "nan" not in body
    assert "inf" not in body
