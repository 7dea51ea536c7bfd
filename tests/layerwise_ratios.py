"""The layerwise bound beside lambda_max on simulated networks: 10 hidden layers of 128 tanh units, orthogonal."""

import numpy as np

import meanfield as mf
import verify
from verify.fisher_networks import children, draw_network

DEPTH, WIDTH, SAMPLES, OUTPUTS = 10, 128, 60, 10
Q_STARS = (1e-4, 9.2e-4, 1 / 64, 0.5, 8.0)


def ratios(q_star: float, overlap: float, output: str, seeds: int) -> tuple[np.ndarray, mf.FisherBound, np.ndarray]:
    """Layerwise bound over lambda_max for each network, the mean-field bounds, and lambda_max for each network."""
    point = mf.critical_point("tanh", q_star=q_star)
    shape = {"depth": DEPTH, "width": WIDTH, "samples": SAMPLES, "outputs": OUTPUTS}
    # |x|^2 such that the first layer is at the fixed point.
    inputs = {"input_norm": mf.moments("tanh", q_star).V, "overlap": overlap}
    law = {"weights": "orthogonal", "output": output}
    theory = mf.fisher_bound("tanh", point.sigma_w, point.sigma_b, **shape, **inputs, **law)
    setting = verify.fisher_setting("tanh", point.sigma_w, point.sigma_b, **shape, **inputs, **law)
    found, tops = [], []
    for seed in children(np.random.SeedSequence(0), seeds):
        layers, X = draw_network(setting, seed)
        tops.append(verify.fisher_eigenvalues(layers, "tanh", X, output=output)[0])
        found.append(verify.layerwise_bound(layers, "tanh", X, output=output).value / tops[-1])
    return np.array(found), theory, np.array(tops)
