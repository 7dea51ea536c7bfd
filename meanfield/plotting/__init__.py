"""Figures of the results. Each function draws on one Axes and returns it; no pyplot, no global state.

Text that a user wrote, such as the name of a nonlinearity, is drawn as it is: no mathtext.
"""

from meanfield.plotting.phases import PHASE_COLOURS, plot_critical_line, plot_phase_diagram
from meanfield.plotting.style import figure_of, image_bytes
from meanfield.plotting.trajectories import plot_propagation
from meanfield.plotting.verification import plot_report, plot_residuals, verification_figure

__all__ = [
    "PHASE_COLOURS",
    "figure_of",
    "image_bytes",
    "plot_critical_line",
    "plot_phase_diagram",
    "plot_propagation",
    "plot_report",
    "plot_residuals",
    "verification_figure",
]
