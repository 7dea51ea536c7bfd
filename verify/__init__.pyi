from verify.calibration import (
    Alternative as Alternative,
    Calibration as Calibration,
    calibrate as calibrate,
)
from verify.certificate import (
    check as check,
    compare as compare,
    predict as predict,
    simulate as simulate,
)
from verify.curvature import (
    TopEigenvalues as TopEigenvalues,
    fisher_condition_number as fisher_condition_number,
    fisher_eigenvalues as fisher_eigenvalues,
    fisher_gram as fisher_gram,
    fisher_product as fisher_product,
    sigma_max_jacobian as sigma_max_jacobian,
    top_eigenvalues as top_eigenvalues,
)
from verify.curvature_blocks import (
    LayerwiseBound as LayerwiseBound,
    block_norms as block_norms,
    layerwise_bound as layerwise_bound,
)
from verify.finite_width import (
    Deviation as Deviation,
    WidthBias as WidthBias,
    width_bias as width_bias,
)
from verify.fisher_networks import (
    FisherOutliers as FisherOutliers,
    FisherSetting as FisherSetting,
    fisher_outliers as fisher_outliers,
    fisher_setting as fisher_setting,
    fisher_spectrum as fisher_spectrum,
)
from verify.fisher_scatter import (
    CurvatureScatter as CurvatureScatter,
    curvature_scatter as curvature_scatter,
)
from verify.records import (
    Prediction as Prediction,
    Simulation as Simulation,
)
from verify.reports import (
    Check as Check,
    Report as Report,
    VerificationError as VerificationError,
)
from verify.singular_values import (
    LargestEigenvalues as LargestEigenvalues,
    jacobian_lambda_max as jacobian_lambda_max,
    jacobian_log_singular_values as jacobian_log_singular_values,
    jacobian_singular_values as jacobian_singular_values,
)
from verify.spectra.distributions import (
    PointTest as PointTest,
    SpectrumComparison as SpectrumComparison,
    compare_spectrum as compare_spectrum,
    kolmogorov_distance as kolmogorov_distance,
    wasserstein_distance as wasserstein_distance,
)
from verify.training.configuration import (
    TrainingConfig as TrainingConfig,
)
from verify.training.experiments.experiment import (
    Experiment as Experiment,
    experiment as experiment,
    read_experiment as read_experiment,
)
from verify.training.experiments.plan import (
    Plan as Plan,
    read_plan as read_plan,
    shipped_plan as shipped_plan,
)
from verify.training.loop import (
    train as train,
)
from verify.training.record import (
    TrainingRecord as TrainingRecord,
)
