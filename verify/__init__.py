"""Simulated random networks held against the theory of `meanfield`.

Every public name is loaded on first use, so that ``import verify`` stays light.

>>> import verify
>>> verify.check("tanh", 1.5, 0.3, depth=3, widths=(50, 100), networks=16).passed
True
"""

from importlib import import_module

_NAMES = {
    "calibration": "Alternative Calibration calibrate",
    "certificate": "check compare predict simulate",
    "curvature": "TopEigenvalues fisher_condition_number fisher_eigenvalues fisher_gram fisher_product "
    "sigma_max_jacobian top_eigenvalues",
    "curvature_blocks": "LayerwiseBound block_norms layerwise_bound",
    "fisher_networks": "FisherOutliers FisherSetting fisher_outliers fisher_setting fisher_spectrum",
    "fisher_scatter": "CurvatureScatter curvature_scatter",
    "finite_width": "Deviation WidthBias width_bias",
    "records": "Prediction Simulation",
    "reports": "Check Report VerificationError",
    "singular_values": "LargestEigenvalues jacobian_lambda_max jacobian_log_singular_values jacobian_singular_values",
    "spectra.distributions": "PointTest SpectrumComparison compare_spectrum kolmogorov_distance wasserstein_distance",
    "training.configuration": "TrainingConfig",
    "training.experiments.experiment": "Experiment experiment read_experiment",
    "training.experiments.plan": "Plan read_plan shipped_plan",
    "training.loop": "train",
    "training.record": "TrainingRecord",
}
_HOME = {name: f"verify.{module}" for module, names in _NAMES.items() for name in names.split()}

__all__ = sorted(_HOME)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module 'verify' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
