"""One nonlinearity in one folder: report.html, figures, report.json."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from meanfield.report.fisher import fisher_section
from meanfield.report.folder import GENERATOR, folder_name, replaced_folder, slug
from meanfield.report.page import Section, page
from meanfield.report.sections import (
    critical_section,
    finite_width_section,
    fixed_point_section,
    missing_section,
    phase_section,
    verification_lead,
    verification_section,
)
from meanfield.report.spectra import spectrum_section
from meanfield.results import json_text

__all__ = [
    "Section",
    "critical_section",
    "finite_width_section",
    "fisher_section",
    "fixed_point_section",
    "folder_name",
    "missing_section",
    "page",
    "phase_section",
    "replaced_folder",
    "slug",
    "spectrum_section",
    "verification_lead",
    "verification_section",
    "write",
]


def write(
    folder: Path,
    *,
    title: str,
    lead: str,
    sections: Sequence[Section],
    data: Mapping[str, Any],
    provenance: Mapping[str, Any],
) -> dict[str, Any]:
    """Write report.html, the figures and report.json into an existing, empty folder; returns what report.json holds.

    Parameters
    ----------
    folder : Path
    title : str
        Plain text, the name of the nonlinearity.
    lead : str
        HTML made by `meanfield.report.page`.
    sections : sequence of Section
    data : mapping
        What report.json holds beside its list of files.
    provenance : mapping
        From `meanfield.results.provenance`.
    """
    figures = {f"{name}.png": content for section in sections for name, content in section.figures.items()}
    for name, content in figures.items():
        (folder / name).write_bytes(content)
    (folder / "report.html").write_text(page(title, lead, sections, provenance), encoding="utf-8")
    record = {**data, "generator": GENERATOR, "files": ["report.html", "report.json", *figures]}
    (folder / "report.json").write_text(json_text(record) + "\n", encoding="utf-8")
    return record
