"""``meanfield fisher``: the largest eigenvalue of the Fisher information and what bounds it."""

import math
import time
from dataclasses import dataclass
from typing import Any

import click

from meanfield.cli.fisher_scatter import command as scatter
from meanfield.cli.long_runs import announce
from meanfield.cli.options import IMAGES, PhiCommand, declare, phi_argument, seed_option, workers_option
from meanfield.cli.output import Answer, counted, deliver, echo, print_table

PILOT = 32  # layers whose time is taken before many more are followed
BYTES_OF_A_LAYER = 25_000  # of the laws of its slopes, and what is made of them


class FisherCommand(PhiCommand):
    """The command for one PHI; ``fisher scatter`` is another one."""

    def make_context(self, info_name, args, parent=None, **extra) -> click.Context:
        if args and args[0] == "scatter":
            return scatter.make_context("fisher scatter", args[1:], parent, **extra)
        return super().make_context(info_name, args, parent, **extra)


@dataclass(frozen=True, kw_only=True)
class _Setup:
    """The point, the network and its inputs, as keyword arguments."""

    point: dict[str, float]
    q_star: float | None  # if the first layer is there
    shape: dict[str, Any]
    inputs: dict[str, Any]
    weights: str
    readout: str


@declare(
    "fisher",
    example="meanfield fisher tanh --q-star 0.015625 --depth 10 --width 400 --samples 200 --simulate\n"
    "  meanfield fisher scatter --help",
    suffixes=(".json", ".csv", ".npz", *IMAGES),
    cls=FisherCommand,
)
@phi_argument
@click.option("--q-star", type=float, help="The critical point with this variance.")
@click.option("--sigma-b", type=float, help="Or the critical point with these biases; with --sigma-w any point.")
@click.option("--sigma-w", type=float, help="Standard deviation of the weights times sqrt(fan_in); needs --sigma-b.")
@click.option("--depth", type=int, default=10, show_default=True, help="Hidden layers; a linear read-out follows.")
@click.option("--width", type=int, default=400, show_default=True, help="Of the input and every hidden layer.")
@click.option("--samples", type=int, default=200, show_default=True, help="Inputs.")
@click.option("--outputs", type=int, default=10, show_default=True, help="Read-outs.")
@click.option(
    "--readout",
    type=click.Choice(["linear", "softmax"]),
    default="linear",
    show_default=True,
    help="What the outputs are: means of a Gaussian of unit variance, or logits.",
)
@click.option(
    "--weights",
    type=click.Choice(["gaussian", "orthogonal"]),
    default="orthogonal",
    show_default=True,
    help="Their law.",
)
@click.option("--input-norm", type=float, help="|x|^2/dimension; by default so that the first layer is at q_star.")
@click.option("--overlap", type=float, default=0.0, show_default=True, help="x.y/(|x||y|) of two inputs, in [0, 1].")
@click.option("--momentum", type=float, default=0.0, show_default=True, help="Of the gradient steps.")
@click.option("--simulate", is_flag=True, help="Measure networks too.")
@click.option("--networks", type=int, default=8, show_default=True, help="How many.")
@seed_option
@workers_option
def command(
    phi, depth, width, samples, outputs, readout, weights, input_norm, overlap, momentum, simulate, networks, seed,
    workers, as_json, output, **at,
) -> None:  # fmt: skip
    """The Fisher information's largest eigenvalue at initialisation and what bounds it.

    Side by side: Karakida's mean-field value, the bound of Sokol and Park's theorem, the layerwise bound, which holds
    for every network, and with --simulate measured networks. The Fisher information is that of all parameters,
    averaged over the inputs. A network's gradient steps are stable below 2/lambda_max of its own. "meanfield fisher
    scatter" draws it against the Jacobian over many networks.
    """
    import meanfield as mf
    from meanfield.arguments import scalar
    from meanfield.cli.defaults import input_norm as fitting_norm

    scalar("overlap", overlap, low=0.0, high=1.0)  # that of the bound and of networks, the narrower one
    nonlinearity = mf.as_nonlinearity(phi)
    point, q = _point(nonlinearity, **at)
    norm = input_norm if input_norm is not None else fitting_norm(**point, q=1.0 if q is None else q)
    setup = _Setup(
        point=point,
        q_star=q if input_norm is None else None,
        shape={"depth": depth, "width": width, "samples": samples, "outputs": outputs},
        inputs={"input_norm": norm, "overlap": overlap},
        weights=weights,
        readout=readout,
    )
    where = (nonlinearity, point["sigma_w"], point["sigma_b"])
    given = {**setup.shape, **setup.inputs, "output": readout}
    _announce(where, given, weights, networks if simulate else 0)
    statistics = mf.fisher_statistics(*where, **given, biases=True, momentum=momentum)
    bound, missing = _bound(where, {**given, "weights": weights})
    measured = _measured(where, {**given, "weights": weights}, networks, seed, workers) if simulate else None
    answer = Answer(
        data=_data(nonlinearity.name, setup, statistics, bound, measured, missing),
        show=lambda: _show(nonlinearity.name, setup, statistics, bound, measured, missing),
        table={"quantity": list(rows := _values(statistics, bound, measured)), "value": list(rows.values())},
        arrays=_arrays(statistics, bound, measured),
        figure=lambda: _figure(nonlinearity.name, setup, statistics, bound, measured),
        seed=seed if simulate else None,
    )
    deliver("fisher", answer, as_json=as_json, output=output)


def _point(phi, *, q_star, sigma_b, sigma_w) -> tuple[dict[str, float], float | None]:
    """sigma_w and sigma_b, and the variance that the layers are to have, if one stays."""
    import meanfield as mf
    from meanfield.cli.defaults import chosen_point

    if q_star is not None:
        if sigma_b is not None or sigma_w is not None:
            raise click.UsageError("give --q-star without --sigma-b and --sigma-w", click.get_current_context())
        critical = mf.critical_point(phi, q_star=q_star)
        return {"sigma_w": critical.sigma_w, "sigma_b": critical.sigma_b}, critical.q_star
    chosen = chosen_point(phi, sigma_w=sigma_w, sigma_b=sigma_b)
    point = {"sigma_w": chosen.sigma_w, "sigma_b": chosen.sigma_b}
    if chosen.critical is not None:
        return point, chosen.critical.q_star
    try:
        return point, mf.fixed_point(phi, chosen.sigma_w, chosen.sigma_b).q_star
    except mf.NoFixedPointError:  # from q = 1, but smaller lengths may stay
        stay = (each.q_star for each in mf.fixed_points(phi, chosen.sigma_w, chosen.sigma_b) if each.stable)
        return point, next((q for q in stay if q > 0), None)


def _announce(where: tuple, given: dict[str, Any], weights: str, networks: int) -> None:
    """Memory and time, before the start, if they are much: layers are followed twice, as long as a few at first."""
    import meanfield as mf
    from meanfield.arguments import integer

    depth, seconds = integer("depth", given["depth"], low=1), 0.0
    if depth > PILOT:
        for layers in (1, PILOT):  # the first call makes tables too
            started = time.process_time()
            mf.fisher_statistics(*where, **{**given, "depth": layers}, biases=True)
        seconds = 2 * (time.process_time() - started) * depth / PILOT
    needed = float(BYTES_OF_A_LAYER * depth)
    if networks > 0:
        import verify
        from verify.fisher_networks import predicted_memory
        from verify.fisher_scatter import predicted_seconds

        setting = verify.fisher_setting(*where, **given, weights=weights)
        needed += predicted_memory(setting, networks)
        seconds += predicted_seconds([setting], networks)
    announce(int(needed), seconds, None)


def _bound(where: tuple, given: dict[str, Any]) -> tuple[Any, dict[str, str]]:
    """The bounds, or None and why there are none: what has no largest slope has no bound through the Jacobian."""
    import meanfield as mf

    try:
        return mf.fisher_bound(*where, **given), {}
    except mf.NonlinearityError as error:
        return None, {"bound": str(error)}


def _measured(where: tuple, given: dict[str, Any], networks: int, seed: int, workers: int):
    import verify
    from meanfield.cli.pool import pool

    setting = verify.fisher_setting(*where, **given)
    with pool(workers, "measured networks") as executor:
        return verify.fisher_outliers(setting, networks=networks, seed=seed, executor=executor)


def _values(statistics, bound, measured) -> dict[str, float]:
    values = {
        "karakida": statistics.lambda_max,
        "paper": math.nan if bound is None else bound.paper,
        "layerwise": math.nan if bound is None else bound.layerwise,
    }
    if measured is not None:
        values |= {
            "measured": float(measured.outliers[:, 0].mean()),
            "measured_outliers": float(measured.outliers.mean()),
            "measured_layerwise": float(measured.layerwise.mean()),
        }
    return values


def _data(name: str, setup: _Setup, statistics, bound, measured, missing: dict[str, str]) -> dict[str, Any]:
    return {
        "phi": name,
        **setup.point,
        **setup.shape,
        **setup.inputs,
        "weights": setup.weights,
        "output": setup.readout,
        "lambda_max": _values(statistics, bound, measured),
        "steps": _steps(statistics, bound, measured),
        "statistics": statistics,
        "bound": bound,
        "simulation": measured,
        "missing": missing,
    }


def _arrays(statistics, bound, measured) -> dict[str, Any]:
    parts = () if bound is None else ("jacobian", "signal", "features", "terms")
    arrays = {name: getattr(bound, name) for name in parts}
    arrays |= _values(statistics, bound, measured)
    if measured is not None:
        arrays |= {"outliers": measured.outliers, "layerwise_of_networks": measured.layerwise}
    return arrays


def _show(name: str, setup: _Setup, statistics, bound, measured, missing: dict[str, str]) -> None:
    shape, inputs = setup.shape, setup.inputs
    echo(f"{name} at sigma_w = {setup.point['sigma_w']:.8g}, sigma_b = {setup.point['sigma_b']:.8g}")
    echo(
        f"{counted(shape['depth'], 'hidden layer')} of width {shape['width']}, "
        f"{counted(shape['outputs'], f'{setup.readout} output')}, {setup.weights} weights; "
        f"{counted(shape['samples'], 'input')}, |x|^2/dimension = {inputs['input_norm']:.6g}, "
        f"overlap {inputs['overlap']:g}"
    )
    print_table(("lambda_max of the Fisher information", "value", ""), _rows(statistics, bound, measured))
    if bound is not None:
        echo(_regime(bound))
    for what, reason in missing.items():
        echo(f"No {what}: {reason}.")
    echo(_stability(_steps(statistics, bound, measured)))


def _rows(statistics, bound, measured) -> list[list[str]]:
    linear = statistics.output == "linear"
    karakida = f"{statistics.lambda_max:.6g}"
    if not linear:
        karakida += f" ± {statistics.errors['lambda_max'] / 4:.2g}"  # of four standard errors
    rows = [["Karakida's mean-field value", karakida, "mean over the outliers" if linear else "mean of the largest"]]
    if bound is not None:
        rows += _bound_rows(bound, 0.0 if measured is None else measured.outliers[:, 0].mean())
    return rows if measured is None else [*rows, *_measured_rows(measured, linear)]


def _bound_rows(bound, measured: float) -> list[list[str]]:
    return [
        ["Sokol and Park's theorem", f"{bound.paper:.6g}", bound.scope_beside(measured)],
        ["layerwise bound, mean field", f"{bound.layerwise:.6g}", "estimates a bound that always holds"],
    ]


def _measured_rows(measured, linear: bool) -> list[list[str]]:
    tops, outliers = measured.outliers[:, 0], measured.outliers.mean(axis=1)
    compare = "to compare with Karakida's value"
    means = [["measured, mean over the outliers", _spread(outliers), compare]] if linear else []
    return [
        [
            "measured",
            _spread(tops),
            f"the largest, {counted(len(tops), 'network')}" + ("" if linear else f"; {compare}"),
        ],
        *means,
        ["layerwise bound of these networks", _spread(measured.layerwise), "holds for each of them"],
    ]


def _spread(values) -> str:
    """A mean with its standard error, where there is one."""
    if len(values) == 1:
        return f"{values[0]:.6g}"
    return f"{values.mean():.6g} ± {values.std(ddof=1) / len(values) ** 0.5:.2g}"


def _steps(statistics, bound, measured) -> dict[str, float]:
    from meanfield.fisher_bounds import stable_steps

    return stable_steps(statistics, bound, measured)


def _stability(steps: dict[str, float]) -> str:
    text = f"the largest stable step is at most {steps['karakida']:.4g} in the limit of infinite width"
    if not math.isnan(steps["layerwise"]):
        text = (
            f"gradient steps below {steps['layerwise']:.4g} are stable, as mean field estimates the layerwise bound; "
            + text
        )
    if "measured" in steps:
        text += f", and {steps['measured']:.4g} in the steepest measured network"
    return f"{text[0].upper()}{text[1:]}."


def _regime(bound) -> str:
    size = f"N q c = {bound.signal.max():.3g}"
    if bound.regime == "bias":
        return f"Regime: {size} is below 1, the biases' own entry dominates the layers' inputs."
    return f"Regime: {size} is above 1, what all inputs have in common dominates the layers' inputs."


def _figure(name: str, setup: _Setup, statistics, bound, measured):
    from meanfield.plotting import figure_of, plot_curvature_bounds

    title = f"{name}, {setup.shape['depth']} x {setup.shape['width']}, {setup.readout} outputs"
    place = f"input_norm = {setup.inputs['input_norm']:.4g}" if setup.q_star is None else f"q* = {setup.q_star:.4g}"
    note = f"{place}, {setup.weights} weights"
    return figure_of(plot_curvature_bounds(statistics, bound, measured=measured, note=note, title=title))
