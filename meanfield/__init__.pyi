from meanfield.criticality import (
    CriticalLine as CriticalLine,
    CriticalPoint as CriticalPoint,
    critical_line as critical_line,
    critical_point as critical_point,
    critical_points as critical_points,
)
from meanfield.diagrams import (
    PhaseDiagram as PhaseDiagram,
    phase_diagram as phase_diagram,
)
from meanfield.equilibria import (
    FixedPoint as FixedPoint,
    fixed_point as fixed_point,
    fixed_points as fixed_points,
)
from meanfield.errors import (
    AccuracyWarning as AccuracyWarning,
    ConvergenceError as ConvergenceError,
    InvalidParameterError as InvalidParameterError,
    MeanFieldError as MeanFieldError,
    NoCriticalPointError as NoCriticalPointError,
    NoFixedPointError as NoFixedPointError,
    NonlinearityError as NonlinearityError,
    NotDifferentiableError as NotDifferentiableError,
    Status as Status,
    UnstableCriticalPointWarning as UnstableCriticalPointWarning,
)
from meanfield.expressions import (
    as_nonlinearity as as_nonlinearity,
)
from meanfield.fisher import (
    FisherStatistics as FisherStatistics,
    fisher_statistics as fisher_statistics,
)
from meanfield.fisher_bounds import (
    FisherBound as FisherBound,
    fisher_bound as fisher_bound,
)
from meanfield.initialization import (
    gain as gain,
    initialize as initialize,
)
from meanfield.isometry import (
    IsometryTable as IsometryTable,
    isometric_point as isometric_point,
    isometry_table as isometry_table,
)
from meanfield.jacobian import (
    JacobianSpectrum as JacobianSpectrum,
    jacobian_spectrum as jacobian_spectrum,
)
from meanfield.map_curves import (
    MapCurve as MapCurve,
    c_map_curve as c_map_curve,
    q_map_curve as q_map_curve,
)
from meanfield.maps import (
    DualKernel as DualKernel,
    Moments as Moments,
    Propagation as Propagation,
    c_map as c_map,
    dual_kernel as dual_kernel,
    moments as moments,
    propagate as propagate,
    q_map as q_map,
)
from meanfield.neural_kernels import (
    NeuralKernels as NeuralKernels,
    NtkLimit as NtkLimit,
    ntk as ntk,
    ntk_limit as ntk_limit,
)
from meanfield.nonlinearity import (
    ClosedForm as ClosedForm,
    ClosedForms as ClosedForms,
    Nonlinearity as Nonlinearity,
)
from meanfield.universality import (
    LimitDistance as LimitDistance,
    LimitSpectrum as LimitSpectrum,
    Universality as Universality,
    double_scaling_limit as double_scaling_limit,
    limit_distance as limit_distance,
    residual_spectrum as residual_spectrum,
    universality_class as universality_class,
)

__version__: str
