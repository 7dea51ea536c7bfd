"""The theory held against simulated networks: predict, simulate, compare, and all three at once."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from meanfield.arguments import scalar
from meanfield.results import plain
from verify.approach import Approach
from verify.comparison import Comparison, compare_all, coverage, differences, left_out, make_checks
from verify.long_runs import open_store, refuse_large
from verify.precision import drift
from verify.quantities import families
from verify.records import Prediction, Simulation
from verify.reports import Report, listed, make_report
from verify.sampling import sample_until
from verify.settings import checked_budget, checked_setting, plain_setting

__all__ = ["check", "compare", "predict", "simulate"]


def predict(
    phi,
    sigma_w,
    sigma_b,
    *,
    depth,
    weights="gaussian",
    quantities=None,
    q0=1.0,
    c0=(0.5,),
    lengths="free",
) -> Prediction:
    """What the theory of infinitely wide networks says of each layer.

    Parameters
    ----------
    phi : str or Nonlinearity
    sigma_w : float, > 0
    sigma_b : float, >= 0
    depth : int, >= 1
        Number of hidden layers.
    weights : str
        "gaussian" or "orthogonal".
    quantities : sequence of str, optional
        Of "q", variance of the pre-activations, "c", correlation of two inputs, and "chi", factor of the squared
        gradient's length from layer l + 1 to layer l; these if not given. "xi_q" and "xi_c" are the depth scales of q
        and c, fitted through all layers, where their decay from q0 and c0 is geometric. "ntk", the tangent kernel of
        the weights over the width, is the trace of one output's Fisher information by them at one input, and
        "ntk_cosine", of the gradients at two inputs, its overlap. Of the network's Jacobian J
        "jacobian_moment", E lambda^k of J J^T's eigenvalues for k = 1, 2, "lambda_max", the largest of them, be it the
        edge of their law or an outlier, and "mean_log_sigma", E ln s of J's singular values (where phi' vanishes on no
        interval). Of its weight matrices "trace", the mean of their
        diagonals over sigma_w, which is 0 and tells whether orthogonal ones are Haar.
    q0 : float, > 0
        |h|^2/width of the first layer's pre-activations.
    c0 : float or sequence of float, in [-1, 1]
        Correlations of pairs of inputs in the first layer.
    lengths : str
        "free", or "reset": the length is set back to q0 in every layer after it was looked at. At a fixed point that
        repels, free lengths of real networks leave it; reset ones test the maps there one step at a time.

    Returns
    -------
    Prediction

    Raises
    ------
    InvalidParameterError
        An argument is outside its range.
    NonlinearityError
        phi cannot be used, or a moment is infinite.

    References
    ----------
    .. [1] Poole et al., arXiv:1606.05340, eqs. 3 and 5. [2] Schoenholz et al., arXiv:1611.01232, eq. 11.

    Examples
    --------
    >>> predict("relu", 2**0.5, 0.0, depth=3, q0=0.7).values["q"].round(12)
    array([0.7, 0.7, 0.7])
    """
    setting = checked_setting(
        phi, sigma_w, sigma_b, depth=depth, weights=weights, quantities=quantities, q0=q0, c0=c0, lengths=lengths
    )
    found: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    approaches: dict[str, Approach] = {}
    for family, names in families(setting.quantities).items():
        own = replace(setting, quantities=names)
        found |= family.predict(own)
        approaches |= family.approaches(own)
    return Prediction(
        values={name: value for name, (value, _) in found.items()},
        errors={name: error for name, (_, error) in found.items()},
        approaches=approaches,
        **plain_setting(setting),
    )


def simulate(
    phi,
    sigma_w,
    sigma_b,
    *,
    depth,
    networks=64,
    widths=(250, 500, 1000),
    weights="gaussian",
    quantities=None,
    q0=1.0,
    c0=(0.5,),
    lengths="free",
    method="sampled",
    dtype="float64",
    precision=None,
    seed=0,
    executor=None,
    folder=None,
    resume=False,
    max_memory=None,
) -> Simulation:
    """Random networks of finite width, measured layer by layer.

    Parameters
    ----------
    phi, sigma_w, sigma_b, depth, weights, quantities, q0, c0, lengths
        As for `predict`. In the first layer lengths and correlations are exact, directions random.
    networks : int, >= 2
        Networks of each width.
    widths : sequence of int
        All different.
    method : str
        "sampled" draws of each weight matrix only what the signals see of it, which has the same law and takes
        O(width) operations a layer; "matrices" draws it whole.
    dtype : str
        "float64", or "float32" for signals and gradients in single precision: a few networks of each width are then
        simulated in both, and what they differ by is reported and allowed for.
    precision : float, in [1e-9, 1], optional
        Stop with fewer networks once the estimates' standard errors are below it: relative ones of q and chi, those of
        c in units of 1 - c^2.
    seed : int or SeedSequence
        A network's draws follow from it, the network's width and its number: further networks or widths leave the
        others as they are.
    executor : concurrent.futures.Executor, optional
        Pool of threads or processes, Dask or MPI; it does not change a bit.
    folder : path, optional
        Where each finished network is kept, one file each, so that a run that ends early can go on; with more networks
        it goes on too.
    resume : bool
        Use what the folder holds of this very run. Without it such a folder is refused.
    max_memory : int, optional
        Bytes; a simulation that needs more is refused.

    Returns
    -------
    Simulation

    Raises
    ------
    InvalidParameterError
        An argument is outside its range; the folder holds something else, or another run; too little memory.
    NonlinearityError
        phi cannot be used.

    Notes
    -----
    "sampled": with Q an orthonormal basis of the signals X = Q R, W X = (W Q) R needs W Q alone, which is Gaussian, or
    for orthogonal weights a uniform frame; the gradient W^T D = Q (W Q)^T D + (I - Q Q^T) W^T D needs one more vector.

    References
    ----------
    .. [1] M. Bayati, A. Montanari, arXiv:1001.3448, lemma 10. [2] S. Rangan et al., arXiv:1610.03082, lemma 4.

    Examples
    --------
    >>> simulation = simulate("tanh", 1.5, 0.3, depth=2, networks=4, widths=(50, 100), seed=1)
    >>> simulation.samples["c"][100].shape
    (4, 1, 2)
    """
    setting = checked_setting(
        phi,
        sigma_w,
        sigma_b,
        depth=depth,
        weights=weights,
        quantities=quantities,
        q0=q0,
        c0=c0,
        lengths=lengths,
        method=method,
        dtype=dtype,
    )
    sizes, count, wanted, root = checked_budget(setting, widths, networks, precision, seed)
    refuse_large(setting, sizes, count, max_memory)
    store = open_store(folder, resume, function="simulate", setting=setting, seed=root, widths=sizes)
    samples = sample_until(setting, sizes, count, root, precision=wanted, executor=executor, store=store)
    return Simulation(
        samples=samples,
        method=method,
        seed=plain(root.entropy),
        precision=wanted,
        dtype=setting.law.dtype,
        drift=drift(setting, sizes, samples, root),
        **plain_setting(setting),
    )


def compare(prediction: Prediction, simulation: Simulation, *, level=0.01) -> Report:
    """Hold a prediction against any simulation, over the quantities, pairs and layers that both have.

    Parameters
    ----------
    prediction : Prediction
    simulation : Simulation
        From `simulate`, of other parameters too, or a user's own measurements.
    level : float, in (0, 1)
        Probability, at most, that a right theory is rejected.

    Returns
    -------
    Report
        Its `notes` name what only one of the two has, and parameters in which they differ.

    Raises
    ------
    InvalidParameterError
        The two have nothing in common, are no such records, or level is outside its range.

    Notes
    -----
    Means over networks, of ln q, ln chi and artanh c, are extrapolated to infinite width by a + b/width, with an
    allowance for the next term; that of ln lambda_max by a + rate width^(-2/3) + b/width, the rate known from the
    density at the edge. The distance of a from the theory beyond that allowance, rounding and the theory's own
    error is tested by Student's t with Welch's degrees of freedom; Holm's method keeps the level over all tests. Where
    networks differ so much that a distance of 0.5 could not be told from 0, a check is undecided and fails nothing.

    Examples
    --------
    >>> wrong = predict("relu", 1.3, 0.2, depth=4)
    >>> simulation = simulate("relu", 1.2, 0.2, depth=4, widths=(50, 100), networks=32, seed=1)
    >>> compare(wrong, simulation).passed
    False
    """
    chance = scalar("level", level, low=0.0, high=1.0, open_low=True, open_high=True)
    comparisons = compare_all(prediction, simulation)
    checks = make_checks(comparisons, chance)
    single = chance / len(checks)
    notes = [
        *coverage(comparisons, single, lengths=simulation.lengths),
        *differences(prediction, simulation),
        *left_out(prediction, simulation),
        *_limits(simulation, comparisons),
    ]
    undecided = [each.undecided(single) for each in comparisons]
    known = any(np.any(each.random & ~doubt) for each, doubt in zip(comparisons, undecided, strict=True))
    return make_report(
        checks,
        level=chance,
        notes=notes,
        widths=simulation.widths,
        networks=simulation.networks,
        known=known or not np.any(np.concatenate(undecided)),
    )


def check(
    phi,
    sigma_w,
    sigma_b,
    *,
    depth=10,
    widths=(250, 500, 1000),
    networks=64,
    weights="gaussian",
    quantities=None,
    q0=1.0,
    c0=(0.5,),
    lengths="free",
    method="sampled",
    dtype="float64",
    precision=None,
    level=0.01,
    seed=0,
    executor=None,
    folder=None,
    resume=False,
    max_memory=None,
) -> Report:
    """Does the theory hold? `predict`, `simulate` and `compare` in one call, with their arguments.

    Returns
    -------
    Report
        Its `verdict` is a sentence; ``report.raise_if_failed()`` turns a no into a VerificationError.

    Raises
    ------
    InvalidParameterError
        An argument is outside its range.
    NonlinearityError
        phi cannot be used, or a moment is infinite.

    Examples
    --------
    >>> report = check("tanh", 1.5, 0.3, depth=3, widths=(50, 100), networks=16)
    >>> report.passed
    True
    """
    scalar("level", level, low=0.0, high=1.0, open_low=True, open_high=True)
    given = {"depth": depth, "weights": weights, "q0": q0, "c0": c0, "lengths": lengths}
    setting = checked_setting(phi, sigma_w, sigma_b, **given, quantities=quantities, method=method, dtype=dtype)
    sizes, count, wanted, root = checked_budget(setting, widths, networks, precision, seed)
    refuse_large(setting, sizes, count, max_memory)
    common = {**given, "quantities": setting.quantities}
    budget: dict[str, Any] = {"networks": count, "widths": sizes, "precision": wanted, "seed": root}
    prediction = predict(phi, sigma_w, sigma_b, **common)
    simulation = simulate(
        phi,
        sigma_w,
        sigma_b,
        method=method,
        dtype=dtype,
        executor=executor,
        folder=folder,
        resume=resume,
        max_memory=max_memory,
        **budget,
        **common,
    )
    return compare(prediction, simulation, level=level)


def _limits(simulation: Simulation, comparisons: Sequence[Comparison]) -> list[str]:
    notes = []
    if len(simulation.widths) == 1:
        notes.append(f"With one width, {simulation.widths[0]}, the bias of finite width is not covered.")
    if simulation.precision is not None:
        notes.append(_precision_note(simulation.precision, simulation.networks, comparisons))
    if simulation.drift:
        apart = [f"{array.max():.1g} in {name}" for name, array in simulation.drift.items()]
        notes.append(
            f"In {simulation.dtype}: the first networks of each width are within {listed(apart)} of themselves in "
            "float64, which is allowed for (relative for q, chi and gradient, in units of 1 - c^2 for c)."
        )
    return notes


def _precision_note(precision: float, networks: int, comparisons: Sequence[Comparison]) -> str:
    largest = float(np.max([each.found.standard_error.max() for each in comparisons]))  # nan wins
    if largest <= precision:
        return f"The precision {precision:g} was reached with {networks} networks of each width."
    note = (
        f"The precision {precision:g} was not reached with {networks} networks of each width: the largest standard "
        f"error is {largest:.2g}"
    )
    if not math.isfinite(largest):
        return f"{note}."
    return f"{note}; it takes about {math.ceil(networks * (largest / precision) ** 2)}."
