"""Spectra of J J^T against simulated networks, square and rectangular; a wrong theory is told from a right one."""

import math

import numpy as np
import pytest

import meanfield as mf
from tests import oracles_spectra as oracle


def simulated(phi: str, spectrum, q0: float, *, width: int, networks: int, shapes=None, readout=None, weights=None):
    nonlinearity = mf.as_nonlinearity(phi)
    sizes = shapes or [width] * (spectrum.depth + 1)
    return np.array(
        [
            oracle.jacobian_eigenvalues(
                nonlinearity.function,
                nonlinearity.derivative,
                spectrum.sigma_w,
                spectrum.sigma_b,
                q0,
                shapes=sizes,
                weights=weights or spectrum.weights,
                readout=readout,
                seed=seed,
            )
            for seed in range(networks)
        ]
    )


def distance(spectrum, values: np.ndarray) -> float:
    """Kolmogorov distance of all eigenvalues together; where the law has an atom at 0, rounding counts as 0."""
    ordered = np.sort(values.ravel())
    if spectrum.cdf(0.0) > 0:
        ordered = np.where(np.abs(ordered) < 1e-12 * ordered[-1], 0.0, ordered)
    expected = spectrum.cdf(ordered)
    found = np.searchsorted(ordered, ordered, side="right") / ordered.size
    return float(np.abs(found - expected).max())


def z_score(spectrum, values: np.ndarray) -> float:
    """Of the mean eigenvalue over networks, the standard error not taken for less than two per mille."""
    means = values.mean(axis=1) / spectrum.mean
    return float((means.mean() - 1) / max(means.std(ddof=1) / math.sqrt(len(means)), 2e-3))


class TestSimulation:
    @pytest.mark.parametrize(
        ("phi", "sigma_w", "sigma_b", "depth", "weights", "q0"),
        [
            ("tanh", 1.4, 0.2, 4, "orthogonal", 0.6),
            ("tanh", 1.4, 0.2, 4, "gaussian", 2.0),
            ("relu", 1.4, 0.1, 5, "orthogonal", 1.0),
            ("selu", 0.8, 0.1, 3, "gaussian", 1.0),
        ],
    )
    def test_networks(self, phi, sigma_w, sigma_b, depth, weights, q0):
        spectrum = mf.jacobian_spectrum(phi, sigma_w, sigma_b, depth=depth, weights=weights, q0=q0)
        values = simulated(phi, spectrum, q0, width=300, networks=6)
        # The rank of a ReLU network is that of its thinnest layer, lower by a few roots of the width.
        assert distance(spectrum, values) < (0.05 if phi == "relu" else 0.02)
        assert abs(z_score(spectrum, values)) < 4
        assert values.max() < 1.3 * spectrum.lambda_max

    def test_negative_controls(self):
        spectrum = mf.jacobian_spectrum("tanh", 1.4, 0.2, depth=4, weights="orthogonal", q0=0.6)
        other = simulated("tanh", spectrum, 0.6, width=200, networks=3, weights="gaussian")
        assert distance(spectrum, other) > 0.1
        wrong = mf.jacobian_spectrum("tanh", 1.05 * 1.4, 0.2, depth=4, weights="orthogonal", q0=0.6)
        assert distance(wrong, simulated("tanh", spectrum, 0.6, width=300, networks=4)) > 0.05

    @pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
    @pytest.mark.parametrize(("inputs", "readout"), [(150, None), (600, None), (300, 60), (150, 450)])
    def test_rectangular_ends(self, weights, inputs, readout):
        width, q0 = 300, 0.7
        spectrum = mf.jacobian_spectrum(
            "tanh",
            1.3,
            0.2,
            depth=3,
            weights=weights,
            q0=q0,
            input_aspect=width / inputs,
            output_aspect=None if readout is None else readout / width,
        )
        values = simulated(
            "tanh", spectrum, q0, width=width, networks=4, shapes=[inputs, *[width] * 3], readout=readout
        )
        assert distance(spectrum, values) < 0.03
        assert abs(z_score(spectrum, values)) < 4
        assert abs(spectrum.moment(1) / spectrum.mean - 1) < 1e-9
