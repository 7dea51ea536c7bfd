"""The mean diagonal of a network's weight matrices: 0 for both ensembles, not for QR factors with LAPACK's signs."""

import numpy as np

from verify.kernels import Normals
from verify.networks import children, frame, layer_weights
from verify.signals import SignalSetting

__all__ = ["PROBES", "measure", "predict", "trace_cost"]

# Random directions in which each matrix is looked at.
PROBES = 8


def measure(setting: SignalSetting, item: tuple[int, np.random.SeedSequence]) -> dict[str, np.ndarray]:
    """The "trace" of one network, (1,); `item` is its width and seed.

    Notes
    -----
    With U a uniform frame of k directions, tr(U^T W U)/k has the mean of tr(W)/width and a variance that is smaller by
    k than that of one direction [1]_; it is averaged over the matrices and divided by sigma_w.

    References
    ----------
    .. [1] M. F. Hutchinson, Commun. Stat. Simul. 18 (1989) 1059.
    """
    width, seed = item
    law = setting.law
    own, *layers = children(seed, 1 + law.depth)
    normals = Normals(own)
    count = min(PROBES, width)
    total = 0.0
    for layer in layers:
        U = frame(normals, width, count)
        total += float(np.vdot(U, layer_weights(law, width, layer).forward(U.copy())))
    return {"trace": np.array([total / (count * law.depth * law.sigma_w)])}


def predict(setting: SignalSetting) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """0, exactly and at every width: -W has the law of W."""
    return {"trace": (np.zeros(1), np.zeros(1))}


def trace_cost(setting: SignalSetting, width: int) -> tuple[float, float]:
    """Bytes and seconds of `measure`."""
    depth = setting.law.depth
    frames = 8 * 8 * PROBES * width
    if setting.law.method == "sampled":
        return frames, depth * (1e-4 + 2e-6 * width)
    return frames + 10 * width**2, depth * (1e-4 + 4e-8 * width**2)
