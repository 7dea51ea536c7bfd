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
from verify.training.configuration import (
    TrainingConfig as TrainingConfig,
)
from verify.training.loop import (
    train as train,
)
from verify.training.record import (
    TrainingRecord as TrainingRecord,
)
