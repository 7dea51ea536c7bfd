"""``meanfield fisher``: the largest eigenvalue of the Fisher information and what bounds it."""

from dataclasses import dataclass
from typing import Any

import click

from meanfield.cli.fisher_scatter import command as scatter
from meanfield.cli.options import PhiCommand, declare, phi_argument, seed_option, workers_option
from meanfield.cli.output import Answer, deliver, echo, print_table


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
    shape: dict[str, Any]
    inputs: dict[str, Any]
    weights: str
    readout: str


@declare(
    "fisher",
    example="meanfield fisher tanh --q-star 0.015625 --depth 10 --width 400 --samples 200 --simulate\n"
    "  meanfield fisher scatter --help",
    suffixes=(".json", ".csv", ".npz", ".png", ".pdf", ".svg"),
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
@click.option("--overlap", type=float, default=0.0, show_default=True, help="x.y/(|x||y|) of two inputs.")
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
    from meanfield.cli.defaults import input_norm as fitting_norm
    from meanfield.cli.pool import pool

    nonlinearity = mf.as_nonlinearity(phi)
    point, q = _point(nonlinearity, **at)
    setup = _Setup(
        point=point,
        shape={"depth": depth, "width": width, "samples": samples, "outputs": outputs},
        inputs={"input_norm": input_norm if input_norm is not None else fitting_norm(**point, q=q), "overlap": overlap},
        weights=weights,
        readout=readout,
    )
    where = (nonlinearity, point["sigma_w"], point["sigma_b"])
    statistics = mf.fisher_statistics(
        *where, **setup.shape, **setup.inputs, biases=True, output=readout, momentum=momentum
    )
    bound = mf.fisher_bound(*where, **setup.shape, **setup.inputs, weights=weights, output=readout)
    measured = None
    if simulate:
        import verify

        setting = verify.fisher_setting(*where, **setup.shape, **setup.inputs, weights=weights, output=readout)
        with pool(workers, "measured networks") as executor:
            measured = verify.fisher_outliers(setting, networks=networks, seed=seed, executor=executor)
    answer = Answer(
        data=_data(nonlinearity.name, setup, statistics, bound, measured),
        show=lambda: _show(nonlinearity.name, setup, statistics, bound, measured),
        table={"quantity": list(rows := _values(statistics, bound, measured)), "value": list(rows.values())},
        arrays=_arrays(statistics, bound, measured),
        figure=lambda: _figure(nonlinearity.name, setup, statistics, bound, measured),
        seed=seed if simulate else None,
    )
    deliver("fisher", answer, as_json=as_json, output=output)


def _point(phi, *, q_star, sigma_b, sigma_w) -> tuple[dict[str, float], float]:
    """sigma_w and sigma_b, and the variance that the layers are to have."""
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
    except mf.NoFixedPointError:
        return point, 1.0


def _values(statistics, bound, measured) -> dict[str, float]:
    values = {
        "karakida": statistics.lambda_max,
        "paper": bound.paper,
        "layerwise": bound.layerwise,
    }
    if measured is not None:
        values |= {
            "measured": float(measured.outliers[:, 0].mean()),
            "measured_outliers": float(measured.outliers.mean()),
            "measured_layerwise": float(measured.layerwise.mean()),
        }
    return values


def _data(name: str, setup: _Setup, statistics, bound, measured) -> dict[str, Any]:
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
    }


def _arrays(statistics, bound, measured) -> dict[str, Any]:
    arrays = {name: getattr(bound, name) for name in ("jacobian", "signal", "features", "terms")}
    arrays |= _values(statistics, bound, measured)
    if measured is not None:
        arrays |= {"outliers": measured.outliers, "layerwise_of_networks": measured.layerwise}
    return arrays


def _show(name: str, setup: _Setup, statistics, bound, measured) -> None:
    shape, inputs = setup.shape, setup.inputs
    echo(f"{name} at sigma_w = {setup.point['sigma_w']:.8g}, sigma_b = {setup.point['sigma_b']:.8g}")
    echo(
        f"{shape['depth']} hidden layers of width {shape['width']}, {shape['outputs']} {setup.readout} outputs, "
        f"{setup.weights} weights; {shape['samples']} inputs, |x|^2/dimension = {inputs['input_norm']:.6g}, "
        f"overlap {inputs['overlap']:g}"
    )
    print_table(("lambda_max of the Fisher information", "value", ""), _rows(statistics, bound, measured))
    echo(f"{_regime(bound)} {_stability(_steps(statistics, bound, measured))}")


def _rows(statistics, bound, measured) -> list[list[str]]:
    linear = statistics.output == "linear"
    karakida = f"{statistics.lambda_max:.6g}"
    if not linear:
        karakida += f" ± {statistics.errors['lambda_max'] / 4:.2g}"  # of four standard errors
    rows = [
        ["Karakida's mean-field value", karakida, "mean over the outliers" if linear else "mean of the largest"],
        ["Sokol and Park's theorem", f"{bound.paper:.6g}", bound.scope],
        ["layerwise bound, mean field", f"{bound.layerwise:.6g}", "estimates a bound that always holds"],
    ]
    if measured is None:
        return rows
    tops, outliers = measured.outliers[:, 0], measured.outliers.mean(axis=1)
    compare = "to compare with Karakida's value"
    networks = f"{len(tops)} network{'s' * (len(tops) > 1)}"
    means = [["measured, mean over the outliers", _spread(outliers), compare]] if linear else []
    return [
        *rows,
        ["measured", _spread(tops), f"the largest, {networks}" + ("" if linear else f"; {compare}")],
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
    text = (
        f"Gradient steps below {steps['layerwise']:.4g} are stable, as mean field estimates the layerwise bound; "
        f"the largest stable step is at most {steps['karakida']:.4g} in the limit of infinite width"
    )
    return (
        f"{text}, and {steps['measured']:.4g} in the steepest measured network." if "measured" in steps else f"{text}."
    )


def _regime(bound) -> str:
    size = f"N q c = {bound.signal.max():.3g}"
    if bound.regime == "bias":
        return f"Regime: {size} is below 1, the biases' own entry dominates the layers' inputs."
    return f"Regime: {size} is above 1, what all inputs have in common dominates the layers' inputs."


def _figure(name: str, setup: _Setup, statistics, bound, measured):
    from meanfield.plotting import figure_of, plot_curvature_bounds

    title = f"{name}, {setup.shape['depth']} x {setup.shape['width']}, {setup.readout} outputs"
    return figure_of(plot_curvature_bounds(statistics, bound, measured=measured, title=title))
