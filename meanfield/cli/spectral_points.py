"""Which Jacobians the command `spectrum` looks at, their laws, and the networks simulated beside them."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from meanfield.errors import InvalidParameterError

__all__ = ["SpectralPoint", "lambda_max_map", "simulated_beside", "spectral_points"]


@dataclass(frozen=True, kw_only=True)
class SpectralPoint:
    """One law, where networks have to start to have it, and those networks.

    Attributes
    ----------
    spectrum : JacobianSpectrum
    q0 : float
        Variance of the first pre-activations.
    lengths : "free", or "reset" where the fixed point repels
    simulated : singular values (networks, width) by width
    measure : the law that simulated ones are held against: `spectrum`, or a RootedLaw of it
    samples : what is held against it, their squares or a power of them, by width
    comparison : verify.SpectrumComparison or None
    """

    spectrum: Any
    q0: float
    lengths: str = "free"
    simulated: Mapping[int, Any] = field(default_factory=dict)
    measure: Any = None
    samples: Mapping[int, Any] = field(default_factory=dict)
    comparison: Any = None


@dataclass(frozen=True)
class _Place:
    sigma_w: float
    sigma_b: float
    q0: float | None
    stable: bool = True


def spectral_points(
    phi,
    *,
    sigma_w: float | None,
    sigma_b: float | None,
    q_star: Sequence[float] | None,
    q0: float | None,
    depths: Sequence[int],
    weights: str,
) -> list[SpectralPoint]:
    """The laws at every q_star (or at the one point given) and depth, in this order."""
    import meanfield as mf

    found = []
    for place in _places(phi, sigma_w, sigma_b, q_star, q0):
        for depth in depths:
            spectrum = mf.jacobian_spectrum(
                phi, place.sigma_w, place.sigma_b, depth=depth, weights=weights, q0=place.q0
            )
            start = spectrum.q_star if place.q0 is None else place.q0
            found.append(SpectralPoint(spectrum=spectrum, q0=start, lengths="free" if place.stable else "reset"))
    return found


def simulated_beside(
    point: SpectralPoint, phi, *, widths: Sequence[int], networks: int, level: float, seed: int, executor
) -> SpectralPoint:
    """The same point with networks of these widths, compared with the law if there are several widths."""
    import numpy as np

    import verify
    from verify.spectra.rooted import RootedLaw, is_graded

    law = point.spectrum
    graded = is_graded(law)
    simulate = verify.jacobian_log_singular_values if graded else verify.jacobian_singular_values
    found = {
        width: simulate(
            phi,
            law.sigma_w,
            law.sigma_b,
            width=width,
            depth=law.depth,
            networks=networks,
            weights=law.weights,
            q0=point.q0,
            lengths=point.lengths,
            seed=seed,
            executor=executor,
        )
        for width in widths
    }
    if graded:
        measure = RootedLaw.of(law)
        samples = {width: measure.x(2 * logs) for width, logs in found.items()}
        with np.errstate(over="ignore", under="ignore"):
            found = {width: np.exp(logs) for width, logs in found.items()}
    else:
        measure, samples = law, {width: values**2 for width, values in found.items()}
    comparison = None
    if len(widths) > 1:
        comparison = verify.compare_spectrum(samples, measure, level=level, rounding=0.0 if graded else None)
    return replace(point, simulated=found, measure=measure, samples=samples, comparison=comparison)


def lambda_max_map(phi, *, depths: Sequence[int], q_star: Sequence[float], weights: str, executor):
    """The largest eigenvalue of wide networks, shape (len(q_star), len(depths)); nan without critical point."""
    from functools import partial

    import numpy as np

    from meanfield.sweeps import sweep

    return np.array(sweep(partial(_upper_ends, phi, tuple(depths), weights), q_star, executor=executor))


def _upper_ends(phi, depths: tuple[int, ...], weights: str, q_star: float) -> list[float]:
    import meanfield as mf

    try:
        place = _critical_place(phi, q_star=q_star)
    except mf.NoCriticalPointError:
        return [float("nan")] * len(depths)
    given = {"weights": weights, "q0": place.q0}
    spectra = [mf.jacobian_spectrum(phi, place.sigma_w, place.sigma_b, depth=depth, **given) for depth in depths]
    return [spectrum.largest_eigenvalue for spectrum in spectra]


def _places(phi, sigma_w, sigma_b, q_star, q0) -> list[_Place]:
    from meanfield.cli.defaults import default_point

    if q_star is not None:
        if sigma_w is not None or sigma_b is not None or q0 is not None:
            raise InvalidParameterError("--q-star names critical points; give it without --sigma-w, --sigma-b, --q0")
        return [_critical_place(phi, q_star=q) for q in q_star]
    if sigma_w is not None:
        if sigma_b is None:
            raise InvalidParameterError("--sigma-w needs --sigma-b beside it")
        return [_Place(sigma_w, sigma_b, q0)]
    if sigma_b is not None:
        place = _critical_place(phi, sigma_b=sigma_b)
    else:
        point = default_point(phi)
        place = _Place(point.sigma_w, point.sigma_b, None if point.critical is None else point.critical.q_star)
    return [place if q0 is None else _Place(place.sigma_w, place.sigma_b, q0)]


def _critical_place(phi, **given) -> _Place:
    import meanfield as mf

    with warnings.catch_warnings():
        # Layers are set to q_star one by one, and simulated ones reset to it: that it repels does no harm.
        warnings.simplefilter("ignore", mf.UnstableCriticalPointWarning)
        point = mf.critical_point(phi, **given)
    return _Place(point.sigma_w, point.sigma_b, point.q_star, point.stable)
