"""Figures of the results. Each function draws on one Axes and returns it; no pyplot, no global state.

Text that a user wrote, such as the name of a nonlinearity, is drawn as it is: no mathtext.
"""

from meanfield.plotting.curvature import plot_curvature_bounds, plot_curvature_scatter
from meanfield.plotting.depths import plot_depth_scales, plot_trainability
from meanfield.plotting.maps import plot_map
from meanfield.plotting.phases import PHASE_COLOURS, plot_critical_line, plot_phase_diagram
from meanfield.plotting.spectra import plot_spectra, plot_spectrum
from meanfield.plotting.spectrum_maps import plot_lambda_max
from meanfield.plotting.style import figure_of, image_bytes
from meanfield.plotting.training import (
    experiment_figures,
    plot_conditioning,
    plot_course,
    plot_curvature_at_start,
    training_figure,
)
from meanfield.plotting.trajectories import plot_decay, plot_propagation
from meanfield.plotting.verification import plot_report, plot_residuals, verification_figure

__all__ = [
    "PHASE_COLOURS",
    "experiment_figures",
    "figure_of",
    "image_bytes",
    "plot_conditioning",
    "plot_course",
    "plot_critical_line",
    "plot_curvature_at_start",
    "plot_curvature_bounds",
    "plot_curvature_scatter",
    "plot_decay",
    "plot_depth_scales",
    "plot_lambda_max",
    "plot_map",
    "plot_phase_diagram",
    "plot_propagation",
    "plot_report",
    "plot_residuals",
    "plot_spectra",
    "plot_spectrum",
    "plot_trainability",
    "training_figure",
    "verification_figure",
]
