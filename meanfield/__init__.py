"""Mean-field theory of wide random neural networks: criticality, phases, spectra, checked by simulation.

Every public name is loaded on first use, so that ``import meanfield`` stays light; `verify`, the simulation side,
is the package beside this one.

>>> import meanfield as mf
>>> mf.critical_point("tanh", sigma_b=0.3).sigma_w
1.39558397...
"""

from importlib import import_module

__version__ = "0.1.0"

_NAMES = {
    "criticality": "CriticalLine CriticalPoint critical_line critical_point critical_points",
    "diagrams": "PhaseDiagram phase_diagram",
    "equilibria": "FixedPoint fixed_point fixed_points",
    "errors": "AccuracyWarning ConvergenceError InvalidParameterError MeanFieldError NoCriticalPointError "
    "NoFixedPointError NonlinearityError NotDifferentiableError Status UnstableCriticalPointWarning",
    "expressions": "as_nonlinearity",
    "fisher": "FisherStatistics fisher_statistics",
    "fisher_bounds": "FisherBound fisher_bound",
    "initialization": "gain initialize",
    "isometry": "IsometryTable isometric_point isometry_table",
    "jacobian": "JacobianSpectrum jacobian_spectrum",
    "map_curves": "MapCurve c_map_curve q_map_curve",
    "maps": "DualKernel Moments Propagation c_map dual_kernel moments propagate q_map",
    "neural_kernels": "NeuralKernels NtkLimit ntk ntk_limit",
    "nonlinearity": "ClosedForm ClosedForms Nonlinearity",
    "universality": "LimitDistance LimitSpectrum Universality double_scaling_limit limit_distance residual_spectrum "
    "universality_class",
}
_HOME = {name: f"meanfield.{module}" for module, names in _NAMES.items() for name in names.split()}

__all__ = sorted([*_HOME, "__version__"])  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module 'meanfield' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
