from verify.certificate import (
    check as check,
    compare as compare,
    predict as predict,
    simulate as simulate,
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
from verify.training.loop import (
    train as train,
)
from verify.training.record import (
    TrainingRecord as TrainingRecord,
)
