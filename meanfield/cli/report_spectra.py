"""The spectra that `meanfield report` shows, with a few simulated networks beside each."""

from typing import Any

__all__ = ["report_spectra"]

WIDTH, NETWORKS = 200, 8


def report_spectra(phi, point, reached, *, depth: int, seed: int) -> tuple[dict[str, Any], dict[str, Any], str]:
    """Laws and simulated singular values by ensemble, and why one is missing."""
    import meanfield as mf
    import verify

    if reached is None:
        return {}, {}, "No length is known to settle here, so the Jacobian has no limiting law."
    spectra: dict[str, Any] = {}
    simulated: dict[str, Any] = {}
    reason = ""
    for weights in ("gaussian", "orthogonal"):
        settings = {"depth": depth, "weights": weights, "q0": reached.q_star}
        try:
            law = mf.jacobian_spectrum(phi, point.sigma_w, point.sigma_b, **settings)
            law.cdf(1.0)
            spectra[weights] = law
            simulated[weights] = verify.jacobian_singular_values(
                phi,
                point.sigma_w,
                point.sigma_b,
                width=WIDTH,
                networks=NETWORKS,
                lengths="free" if reached.stable else "reset",
                seed=seed,
                **settings,
            )
        except mf.MeanFieldError as error:
            reason = str(error)
    return spectra, simulated, reason
