"""The explorer's page, read back from a browser and held against the solver."""

import html
import io
import json
import math
import re
import urllib.parse

import matplotlib.image
import numpy as np
import pytest

import meanfield as mf
from meanfield.explorer import entry, explorer_page, tables
from meanfield.explorer.lines import line_columns
from meanfield.results import provenance
from tests.browser import CHROMIUM, Browser

NEEDS_CHROMIUM = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here to open the page with")
HOSTILE = "</script><img src=x onerror=alert(1)>%DATA%$x_{[bold]../.."
# Away from where lengths grow without bound, so that few segments of q are needed; silu's holds its wedge.
WINDOWS = {
    "tanh": ((0.05, 2.6), (0.0, 1.0)),
    "relu": ((0.5, 1.2), (0.2, 1.0)),
    "gelu": ((0.1, 1.3), (0.0, 0.6)),
    "silu": ((0.1, 2.2), (0.0, 0.7)),
    "hard_tanh": ((0.9, 2.0), (0.2, 0.6)),
    "cos": ((1.2, 1.8), (0.0, 0.3)),
    "x*exp(-x**2/4)": ((0.8, 3.0), (0.0, 1.0)),
}


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    entries = [
        entry(phi, window=WINDOWS[phi.name], start=(1.1, float(np.mean(WINDOWS[phi.name][1]))))
        for phi in map(mf.as_nonlinearity, WINDOWS)
    ]
    entries.append({**entries[0], "name": HOSTILE})
    path = tmp_path_factory.mktemp("explorer") / "explorer.html"
    path.write_text(explorer_page(entries, first="tanh", provenance=provenance(command="meanfield explore")))
    return path


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def opened(page, browser):
    """The document after its script has answered for 12 random points of every nonlinearity."""
    rng = np.random.default_rng(3)
    asked = [
        (name, rng.uniform(*across), rng.uniform(*up), 1.0) for name, (across, up) in WINDOWS.items() for _ in range(12)
    ]
    asked += [
        ("tanh", 2.5, 0.3, 1.0),
        ("gelu", 1.2, 0.1, 0.1),
        ("silu", 1.6, 0.2, 0.1),
        ("relu", math.sqrt(2), 0.0, 1.0),
    ]
    browser.open(f"{page.as_uri()}#probe={urllib.parse.quote(json.dumps(asked))}")
    answers = browser.run("document.getElementById('probe').textContent")
    return browser.run("document.documentElement.outerHTML"), list(zip(asked, json.loads(answers), strict=True))


def relative(value, expected):
    return abs(value - expected) / max(abs(expected), 1e-300)


@NEEDS_CHROMIUM
def test_the_page_agrees_with_the_solver(opened):
    phases = set()
    for (name, sigma_w, sigma_b, q0), seen in opened[1]:
        where = f"{name} at {sigma_w}, {sigma_b}"
        phases.add(seen["phase"])
        try:
            point = mf.fixed_point(name, sigma_w, sigma_b, q0=q0)
        except mf.NoFixedPointError:
            assert seen["phase"] == "unbounded", where
            continue
        assert seen["phase"] == point.phase, where
        for field in ("q_star", "alpha", "chi_1"):
            assert abs(seen[field] - getattr(point, field)) <= 1e-9 * max(1, abs(getattr(point, field))), (where, field)
        assert abs(seen["c_star"] - point.c_star) <= 1e-6, where
        if math.isfinite(point.xi_c):
            assert relative(seen["xi_c"], point.xi_c) <= 1e-6, where
        if math.isfinite(point.xi_q):
            assert relative(seen["xi_q"], point.xi_q) <= 1e-7, where
        if math.isfinite(point.xi_gradient):
            assert relative(seen["xi_gradient"], point.xi_gradient) <= 1e-7, where
        if not seen["neutral"]:
            assert seen["n_fixed_points"] == len(mf.fixed_points(name, sigma_w, sigma_b)), where
    assert phases == {"ordered", "chaotic", "critical", "unbounded"}


@NEEDS_CHROMIUM
def test_the_nearest_critical_point_is_critical(opened):
    for (name, _, _, _), seen in opened[1]:
        critical = seen["critical"]
        if critical is None or name == "relu":
            continue
        points = mf.critical_points(name, q_star=critical["q_star"])
        assert relative(critical["sigma_w"], points[0].sigma_w) <= 1e-12
        assert abs(critical["sigma_b"] - points[0].sigma_b) <= 1e-9
        assert critical["stable"] == points[0].stable


@NEEDS_CHROMIUM
def test_the_foot_of_a_line_that_begins_at_a_positive_length_is_reached(page, browser):
    foot = mf.critical_point("cos", sigma_b=0.0)
    browser.open(page.as_uri())
    cos = f"tablesOf({list(WINDOWS).index('cos')})"
    seen = browser.run(f"nearestCritical({cos}, {foot.sigma_w - 0.01}, 0)")
    assert relative(seen["sigma_w"], foot.sigma_w) <= 1e-12
    assert seen["sigma_b"] <= 1e-6
    assert relative(seen["q_star"], foot.q_star) <= 1e-9


@pytest.mark.parametrize(
    ("phi", "window"),
    [
        ("sigmoid", ((0.5, 25.0), (0.0, 1.0))),
        ("cos", ((0.1, 3.7), (0.0, 1.0))),
        ("hard_sigmoid", ((0.5, 25.0), (0.0, 1.0))),
        ("tanh", ((0.05, 2.6), (0.0, 1.0))),
        ("relu", ((0.05, 3.5), (0.0, 1.0))),
    ],
)
def test_a_line_begins_where_the_critical_curve_does(phi, window):
    line = line_columns(mf.as_nonlinearity(phi), window)
    lowest = line[:, np.nanargmin(line[1])]
    assert lowest[1] <= 1e-6
    assert relative(lowest[0], mf.critical_point(phi, sigma_b=0.0).sigma_w) <= 1e-6
    steps = np.diff(line[1][np.isfinite(line[1])]) / (window[1][1] - window[1][0])
    assert np.abs(steps).max(initial=0.0) <= 0.15


@NEEDS_CHROMIUM
@pytest.mark.parametrize("size", [(1280, 1000), (390, 1900)], ids=["desktop", "phone"])
def test_screenshots_show_the_plane_and_the_maps(page, browser, size):
    """What a reader sees at both sizes was looked at; here, that it is drawn, in the colours of both phases."""
    browser.open(page.as_uri(), size)
    picture = matplotlib.image.imread(io.BytesIO(browser.picture()), format="png")
    pixels = (picture[:, :, :3] * 255).round().astype(int)
    assert pixels.shape[:2] == size[::-1]
    _, counts = np.unique(pixels @ (1 << 16, 1 << 8, 1), return_counts=True)
    assert (counts > 5000).sum() >= 3, "paper, ordered, chaotic"
    middle, edges = pixels[:, size[0] // 4 : -size[0] // 4], pixels[:, -3:]
    assert np.ptp(middle, axis=(0, 1)).min() > 100
    assert np.ptp(edges, axis=(0, 1)).max() == 0, "nothing runs out of the page"


@NEEDS_CHROMIUM
def test_the_point_is_dragged(page, browser):
    browser.open(page.as_uri())
    box = browser.run("(({x, y, width, height}) => [x, y, width, height])(byId('plane').getBoundingClientRect())")
    start, end = (
        (round(box[0] + right * box[2]), round(box[1] + down * box[3])) for right, down in ((0.3, 0.7), (0.8, 0.4))
    )
    expected = browser.run(f"[axes.fromX({end[0] - box[0]}), axes.fromY({end[1] - box[1]})]")
    browser.drag(start, end)
    browser.settle()
    assert np.allclose(browser.run("[state.sigma_w, state.sigma_b]"), expected, rtol=1e-6)
    shown = float(browser.run("document.querySelector('#readouts td').textContent"))
    assert relative(shown, mf.fixed_point("tanh", *expected).q_star) <= 1e-5
    assert f"{expected[0]:.4g}" in browser.run("byId('summary').textContent")
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=start[0], y=start[1])
    assert np.allclose(browser.run("[state.sigma_w, state.sigma_b]"), expected, rtol=1e-6), "the button is up"


@NEEDS_CHROMIUM
def test_the_keyboard_reaches_and_moves_the_point(page, browser):
    browser.open(page.as_uri())
    for _ in range(12):
        browser.press("Tab")
        if browser.run("document.activeElement.id") == "plane":
            break
    else:
        pytest.fail("Tab does not lead to the plane")
    before = browser.run("[state.sigma_w, state.sigma_b]")
    for key, shift in (("ArrowRight", False), ("ArrowRight", False), ("ArrowUp", True), ("ArrowDown", False)):
        browser.press(key, shift=shift)
    browser.settle()
    (left, right), (bottom, top) = WINDOWS["tanh"]
    moved = [before[0] + 2 * 0.005 * (right - left), before[1] + (0.05 - 0.005) * (top - bottom)]
    assert np.allclose(browser.run("[state.sigma_w, state.sigma_b]"), moved, rtol=1e-12)
    shown = float(browser.run("document.querySelector('#readouts td').textContent"))
    assert relative(shown, mf.fixed_point("tanh", *moved).q_star) <= 1e-6


@NEEDS_CHROMIUM
def test_several_fixed_points_are_marked(page, browser):
    browser.open(page.as_uri())
    marked = {
        name: browser.run(f"phaseCells(tablesOf({index}), 1).several.map(Number)")
        for index, name in enumerate(WINDOWS)
        if name in ("tanh", "silu")
    }
    assert sum(marked["tanh"]) == 0
    columns, rows = browser.run("[COLUMNS, ROWS]")
    (left, right), (bottom, top) = WINDOWS["silu"]
    for cell in np.random.default_rng(5).choice(columns * rows, 40, replace=False).tolist():
        sigma_w = left + (cell % columns + 0.5) / columns * (right - left)
        sigma_b = bottom + (cell // columns + 0.5) / rows * (top - bottom)
        assert marked["silu"][cell] == (len(mf.fixed_points("silu", sigma_w, sigma_b)) > 1), (sigma_w, sigma_b)
    assert sum(marked["silu"]) > 100


@NEEDS_CHROMIUM
def test_the_page_says_which_errors_its_numbers_carry(opened):
    told = opened[0].replace("\u2011", "-")
    assert re.search(r"moments to 1e-14 relative, correlation maps to \de-\d+ \(estimated\)", told)
    assert "agree with Python's to 1e-9 where tested, c* and ξc to 1e-6" in told


@NEEDS_CHROMIUM
def test_user_text_is_inert(opened):
    document = opened[0]
    assert html.escape(HOSTILE, quote=False) in document
    assert "<img" not in document


def test_the_page_asks_for_nothing(page):
    text = page.read_text()
    assert "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:" in text
    assert not re.search(r"https?:|//[a-z]+\.|@import|url\(|<link|<img|src=\"", text.replace(html.escape(HOSTILE), ""))
    assert text.count("<script") == 2
    assert text.count("</script") == 2
    assert len(text.encode()) < 2e6


def test_tables_say_how_accurate_they_are(page):
    found = re.search(r'id="data">(.*?)</script>', page.read_text(), re.DOTALL)
    assert found
    data = json.loads(found[1])
    for each in data["entries"]:
        assert 0 < each["error"]["chords"] <= 1e-8, each["name"]


def test_a_dead_zone_has_a_page_too():
    # phi' vanishes at the scale of a small q, so that sigma_w of the critical line leaves float64 there.
    line = entry(mf.as_nonlinearity("softshrink"), window=((0.8, 1.2), (0.4, 1.0)), start=(1.0, 0.5))["line"]
    assert line["shape"][0] == 4


def test_infinite_moments_are_refused(monkeypatch):
    monkeypatch.setattr(tables, "LENGTHS", range(1))
    steep = mf.Nonlinearity.from_callable(lambda x: np.exp(x**2), lambda x: 2 * x * np.exp(x**2))
    with pytest.raises(mf.NonlinearityError, match="infinite"):
        entry(steep, window=((0.1, 1.0), (0.0, 1.0)), start=(0.5, 0.1))


@pytest.mark.parametrize("phi", ["exp(x)", "sinh(x)", "exp(0.3*x)", "softshrink", "tanh(x-5)"])
def test_tables_hold_all_over_their_segments(phi):
    """V and mu_1 against their integrals, also where they grow by many orders of magnitude; no longer table is kept."""
    nonlinearity = mf.as_nonlinearity(phi)
    first, segments = tables._lengths(nonlinearity)
    assert first + len(segments) >= 1, "q = 1 is within"
    for number, table in enumerate(segments, start=first):
        place = np.linspace(-0.97, 0.93, 5)
        q = np.exp(2 * number + 1 + place)
        exact = mf.moments(nonlinearity, q)
        found = np.polynomial.chebyshev.chebval(place, np.asarray(table).T)
        for values, truth in ((found[0], exact.V), (found[1], exact.mu_1)):
            assert (np.abs(values - truth) <= 2e-9 * np.maximum(truth, 1e-3 * np.minimum(q, 1))).all()
