"""The report's section on the singular values of the input-output Jacobian."""

from collections.abc import Mapping
from typing import Any

from meanfield.plotting import figure_of, image_bytes, plot_spectra
from meanfield.report.page import Section, paragraph, table

__all__ = ["spectrum_section"]

TITLE = "Singular values of the Jacobian"
NAMES = {"gaussian": "Gaussian", "orthogonal": "orthogonal"}


def spectrum_section(
    phi, spectra: Mapping[str, Any], simulated: Mapping[str, Any], *, reason: str = "", provenance: Mapping[str, Any]
) -> Section:
    """The laws of J J^T's eigenvalues at the report's point, or why there are none.

    Parameters
    ----------
    phi : Nonlinearity
    spectra : mapping of "gaussian" and "orthogonal" to JacobianSpectrum
    simulated : mapping of the same to array (networks, width)
        Singular values of networks.
    reason : str
        Why a spectrum is missing.
    provenance : mapping
    """
    if not spectra:
        return Section(title=TITLE, body=paragraph(reason))
    depth = next(iter(spectra.values())).depth
    body = paragraph(
        f"J takes a small change of the input to that of layer {depth}. Its squared singular values are the "
        "eigenvalues λ of J Jᵀ: signals and gradients keep their size in every direction where all of them are near 1."
    )
    rows = [
        (
            NAMES[weights],
            f"{law.mean:.6g}",
            f"{law.variance:.6g}",
            f"{law.lambda_max:.6g}",
            ", ".join(f"{value:.6g}" for value in law.outliers) or "none",
            ", ".join(f"{mass:.4g} at {place:.4g}" for place, mass in law.atoms) or "none",
        )
        for weights, law in spectra.items()
    ]
    body += table(("weights", "mean of λ", "variance of λ", "largest λ", "outliers", "point masses"), rows)
    if any(law.outliers for law in spectra.values()):
        body += paragraph(
            "Outliers are single eigenvalues of every wide network above the end of the law: along the signal J "
            "follows the length map."
        )
    if reason:
        body += paragraph(reason, kind="note")
    ax = plot_spectra(
        list(spectra.values()),
        labels=[f"{NAMES[weights]} weights" for weights in spectra],
        simulated=[simulated.get(weights) for weights in spectra],
        title=phi.name,
    )
    return Section(
        title=TITLE,
        body=body,
        figures={"spectrum": image_bytes(figure_of(ax), "png", provenance=provenance)},
        captions={"spectrum": f"Theory (lines) and simulated networks (steps) at depth {depth}."},
    )
