"""The report's section on the Fisher information."""

from collections.abc import Mapping
from typing import Any

from meanfield.fisher_bounds import stable_steps
from meanfield.plotting import figure_of, image_bytes, plot_curvature_bounds
from meanfield.report.page import Section, paragraph, table

__all__ = ["fisher_section"]

TITLE = "Fisher information"


def fisher_section(
    phi, statistics, bound, measured, *, width: int, reason: str = "", provenance: Mapping[str, Any]
) -> Section:
    """The largest eigenvalue of the Fisher information at the report's point and its bounds, or why there are none.

    Parameters
    ----------
    phi : Nonlinearity
    statistics : FisherStatistics or None
    bound : FisherBound or None
    measured : verify.FisherOutliers or None
    width : int
    reason : str
        Why they are missing.
    provenance : mapping
    """
    if statistics is None or bound is None or measured is None:
        return Section(title=TITLE, body=paragraph(reason))
    tops = measured.outliers[:, 0]
    steps = stable_steps(statistics, bound, measured)
    body = paragraph(
        f"The largest eigenvalue λ of a network's Fisher information bounds its steps of gradient descent: below 2/λ "
        f"they are stable. Here for {statistics.depth} hidden layers of width {width} with {bound.weights} weights, "
        f"{statistics.outputs} linear outputs and {statistics.samples} inputs without overlap."
    )
    body += table(
        ("", "λ", "what it is"),
        [
            ("Karakida", f"{statistics.lambda_max:.6g}", "mean-field value, mean over the outliers"),
            ("theorem", f"{bound.paper:.6g}", f"of Sokol and Park; {bound.scope_beside(tops.mean())}"),
            ("layerwise bound", f"{bound.layerwise:.6g}", "mean-field estimate of the last line"),
            ("measured", f"{tops.mean():.6g}", f"the largest, mean of {len(tops)} networks"),
            ("layerwise bound", f"{measured.layerwise.mean():.6g}", "of these networks; it holds for each"),
        ],
        words=True,
    )
    body += paragraph(
        f"Gradient steps below {steps['layerwise']:.4g} are stable, as mean field estimates the layerwise bound; the "
        f"largest stable step is at most {steps['karakida']:.4g} in the limit of infinite width, and "
        f"{steps['measured']:.4g} in the steepest measured network."
    )
    ax = plot_curvature_bounds(statistics, bound, measured=measured, title=phi.name)
    return Section(
        title=TITLE,
        body=body,
        figures={"fisher": image_bytes(figure_of(ax), "png", provenance=provenance)},
        captions={"fisher": "The largest eigenvalue: theory, bounds, and measured networks, one point each."},
    )
