"""The explorer's one HTML page: nothing loaded, all user text escaped, tables as JSON."""

import html
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from meanfield.explorer.lines import Window
from meanfield.explorer.tables import tables
from meanfield.nonlinearity import Nonlinearity

__all__ = ["entry", "explorer_page"]

SCRIPTS = ("tables.js", "solver.js", "plots.js", "controls.js")


def entry(phi: Nonlinearity, *, window: Window, start: tuple[float, float]) -> dict[str, Any]:
    """What the page holds of one nonlinearity.

    Parameters
    ----------
    phi : Nonlinearity
    window : ranges (sigma_w, sigma_b) of the phase plane
    start : the point (sigma_w, sigma_b) that is shown first

    Returns
    -------
    dict
        JSON-ready.

    Raises
    ------
    NonlinearityError
        E phi^2 or E phi'^2 is infinite around q = 1.
    """
    found = tables(phi, window)
    blocks = [block for segment in found["chords"]["segments"] for block in segment]
    error = {"moments": 1e-14, "chords": max((block["error"] for block in blocks), default=0.0)}
    return {"name": phi.name, "window": window, "start": start, "error": error, **found}


def explorer_page(entries: Sequence[Mapping[str, Any]], *, first: str, provenance: Mapping[str, Any]) -> str:
    """The whole page.

    Parameters
    ----------
    entries : sequence of `entry`, in the order of the menu
    first : name of the one shown at first
    provenance : from `meanfield.results.provenance`
    """
    options = "".join(
        f"<option{' selected' if each['name'] == first else ''}>{html.escape(each['name'])}</option>"
        for each in entries
    )
    data = json.dumps({"first": first, "entries": entries}, allow_nan=False, separators=(",", ":"))
    versions = ", ".join(f"{name} {number}" for name, number in provenance["versions"].items())
    parts = {
        "STYLE": _text("page.css"),
        "OPTIONS": options,
        "PROVENANCE": html.escape(f"Made by: {provenance['command'] or 'meanfield'}. {versions}."),
        "DATA": data.replace("<", "\\u003c"),
        "SCRIPT": "".join(_text(name) for name in SCRIPTS),
    }
    pieces = _text("page.html").split("%")
    return "".join(parts.get(piece, piece) for piece in pieces)


def _text(name: str) -> str:
    return files("meanfield.explorer").joinpath(name).read_text(encoding="utf-8")
