"""``meanfield fisher scatter``: lambda_max of the Fisher information against the Jacobian, over q_star and seeds."""

import math
from dataclasses import dataclass
from typing import Any

import click

from meanfield.cli.long_runs import deliver_prediction, folder_options, refuse_predicted_files
from meanfield.cli.options import IMAGES, Numbers, declare, seed_option, workers_option
from meanfield.cli.output import Answer, counted, deliver, echo, print_table


@declare(
    "fisher scatter",
    example="meanfield fisher scatter --inputs digits --networks 8 --output scatter.png",
    suffixes=(*IMAGES, ".csv", ".npz", ".json"),
    cls=click.Command,
)
@click.option("--phi", default="tanh", show_default=True, help="The nonlinearity.")
@click.option(
    "--q-star", type=Numbers(float), default="9.2e-4,0.015625,0.5,8", show_default=True, help="Critical points."
)
@click.option(
    "--inputs",
    "source",
    type=click.Choice(["gaussian", "digits", "mnist5k"]),
    default="gaussian",
    show_default=True,
    help="Gaussian directions, or real images, centred; those need the extra data.",
)
@click.option("--depth", type=int, help="Hidden layers.  [default: 16]")
@click.option("--width", type=int, help="Their width.  [default: 64]")
@click.option("--samples", type=int, help="Inputs.  [default: 100]")
@click.option("--paper-scale", is_flag=True, help="200 layers of width 400, 1000 inputs, 5 networks.")
@click.option("--outputs", type=int, default=10, show_default=True, help="Read-outs.")
@click.option(
    "--readout", type=click.Choice(["linear", "softmax"]), default="softmax", show_default=True, help="Their kind."
)
@click.option("--networks", type=int, help="Of each kind and q_star.  [default: 8]")
@click.option("--predict", is_flag=True, help="Only say how long it will take.")
@folder_options("each network's numbers")
@seed_option
@workers_option
def command(
    phi, q_star, source, depth, width, samples, paper_scale, outputs, readout, networks, predict, folder, resume,
    max_memory, seed, workers, as_json, output,
) -> None:  # fmt: skip
    """lambda_max of the Fisher information against the Jacobian's largest singular value, network by network.

    At every q_star: critical networks with orthogonal weights, and deep linear orthogonal ones on the same inputs,
    scaled so that the first layer is at q_star. Pearson's correlation is over the nonlinear networks; its 95 %
    confidence interval is for other networks at the same q_star, by a jackknife over seeds as in `meanfield
    experiment`. This is figure 2 of Sokol and Park, arXiv:1810.03785, at initialisation; there, and in `meanfield
    experiment`, q_star is the mean square of the inputs, which at q_star = 8 makes the first layer longer.
    """
    import meanfield as mf
    import verify
    from meanfield.cli.pool import pool
    from meanfield.memory import refuse_memory
    from verify.fisher_networks import predicted_memory
    from verify.fisher_scatter import predicted_seconds

    defaults = (200, 400, 1000, 5) if paper_scale else (16, 64, 100, 8)
    layers, units, count, repeats = (
        value if value is not None else default
        for value, default in zip((depth, width, samples, networks), defaults, strict=True)
    )
    refuse_predicted_files(predict, output)
    if len(set(q_star)) < len(q_star):
        raise mf.InvalidParameterError(f"q_star must be a list without repetitions, got {', '.join(map(str, q_star))}")
    nonlinearity = mf.as_nonlinearity(phi)
    images = _images(source, count)
    shape = {"depth": layers, "width": units, "samples": count, "outputs": outputs}
    points = [_Place.at(nonlinearity, q, shape, readout, images) for q in q_star]
    settings = [setting for point in points for setting in (point.nonlinear, point.linear)]
    need = max(predicted_memory(setting, repeats * len(settings)) for setting in settings)
    seconds = predicted_seconds(settings, repeats) / workers
    refuse_memory(need * workers, max_memory, f"{counted(workers, 'network')} at a time")
    if predict or seconds > 60:
        click.echo(f"about {_duration(seconds)} on {counted(workers, 'worker')}, {need / 1e9:.2g} GB each", err=True)
    if predict:
        deliver_prediction(
            "fisher scatter",
            {"tasks": repeats * len(settings), "seconds": seconds, "workers": workers, "bytes_each": need},
            as_json=as_json,
        )
        return
    with pool(workers, "networks") as executor:
        found = verify.curvature_scatter(
            settings, networks=repeats, seed=seed, folder=folder, resume=resume, executor=executor
        )
    record = _record(nonlinearity.name, source, shape, readout, points, found)
    answer = Answer(
        data=record,
        show=lambda: _show(record, found),
        table=_table(points, found),
        figure=lambda: _figure(record, points, found),
        seed=seed,
    )
    deliver("fisher scatter", answer, as_json=as_json, output=output)


def _images(source: str, count: int):
    """Centred images of length 1 per entry on average, (count, pixels); None for Gaussian inputs."""
    if source == "gaussian":
        return None
    import numpy as np

    from meanfield.errors import InvalidParameterError
    from verify.training.data import load

    images = load(source).train_inputs
    if count > len(images):
        raise InvalidParameterError(f"samples must be <= {len(images)} for {source}, got {count}")
    chosen = images[:count] - images.mean(axis=0)
    return chosen / np.sqrt(np.mean(chosen**2))


@dataclass(frozen=True)
class _Place:
    """One q_star: its settings, nonlinear and linear."""

    q_star: float
    nonlinear: Any
    linear: Any

    @classmethod
    def at(cls, phi, q_star: float, shape: dict[str, int], readout: str, images) -> "_Place":
        import numpy as np

        import meanfield as mf
        import verify

        point = mf.critical_point(phi, q_star=q_star)
        norm = (point.q_star - point.sigma_b**2) / point.sigma_w**2
        inputs = None if images is None else np.sqrt(norm) * images
        common = {**shape, "weights": "orthogonal", "output": readout, "input_norm": norm, "inputs": inputs}
        nonlinear = verify.fisher_setting(phi, point.sigma_w, point.sigma_b, **common)
        return cls(q_star, nonlinear, verify.fisher_setting("linear", 1.0, 0.0, **common))

    def bound(self, measured: float) -> dict[str, Any]:
        """Mean-field theory of the nonlinear networks, beside their measured mean; of unbounded slopes, why none."""
        import meanfield as mf

        law = self.nonlinear
        try:
            found = mf.fisher_bound(
                law.phi,
                law.sigma_w,
                law.sigma_b,
                depth=len(law.widths) - 2,
                width=law.widths[:-1],
                samples=law.samples,
                outputs=law.widths[-1],
                input_norm=law.input_norm,
                overlap=_overlap(law.inputs),
                weights=law.weights,
                output=law.output,
            )
        except mf.NonlinearityError as error:
            return {"paper": math.nan, "layerwise": math.nan, "covered": False, "odd": True, "scope": str(error)}
        named = {name: getattr(found, name) for name in ("paper", "layerwise", "covered", "odd")}
        return {**named, "scope": found.scope_beside(measured)}


def _overlap(inputs) -> float:
    """Mean product of two different inputs over their mean square."""
    if inputs is None:
        return 0.0
    T = len(inputs)
    total, own = float((inputs.sum(axis=0) ** 2).sum()), float((inputs**2).sum())
    return max(0.0, (total - own) / ((T - 1) * own))


def _record(name: str, source: str, shape: dict[str, int], readout: str, points, found) -> dict[str, Any]:
    rho, low, high = found.pearson(range(0, 2 * len(points), 2))
    return {
        "phi": name,
        "inputs": source,
        **shape,
        "output": readout,
        "pearson": {"rho": rho, "low": low, "high": high, "level": 0.95},
        "points": [_summary(2 * k, point, found) for k, point in enumerate(points)],
        "networks": {
            "q_star": [points[i // 2].q_star for i in found.setting.tolist()],
            "kind": ["linear" if i % 2 else "nonlinear" for i in found.setting.tolist()],
            "lambda_max": found.lambda_max,
            "error": found.error,
            "sigma_max_squared": found.sigma_max_squared,
            "layerwise": found.layerwise,
        },
    }


def _summary(index: int, point: _Place, found) -> dict[str, Any]:
    nonlinear, linear = found.setting == index, found.setting == index + 1
    measured = float(found.lambda_max[nonlinear].mean())
    return {
        "q_star": point.q_star,
        "sigma_w": point.nonlinear.sigma_w,
        "sigma_b": point.nonlinear.sigma_b,
        "lambda_max": measured,
        "sigma_max_squared": float(found.sigma_max_squared[nonlinear].mean()),
        "lambda_max_linear": float(found.lambda_max[linear].mean()),
        "sigma_max_squared_linear": float(found.sigma_max_squared[linear].mean()),
        "layerwise_of_networks": float(found.layerwise[nonlinear].mean()),
        **point.bound(measured),
    }


def _show(record: dict[str, Any], found) -> None:
    names = ("q_star", "sigma_max_squared", "lambda_max", "lambda_max_linear", "layerwise_of_networks", "paper")
    headers = ("q_star", "sigma_max(J)^2", "lambda_max", "of linear networks", "layerwise bound", "theorem")
    rows = [[*(f"{point[name]:.5g}" for name in names), point["scope"]] for point in record["points"]]
    inputs = counted(record["samples"], f"{record['inputs']} input")
    title = f"{record['phi']}, {record['depth']} x {record['width']}, {inputs}"
    print_table((*headers, ""), rows, title=title)
    echo(f"{_correlation(record)}.")


def _correlation(record: dict[str, Any]) -> str:
    found = record["pearson"]
    if math.isnan(found["rho"]):
        return "Too few networks for a correlation"
    return f"Pearson's rho = {found['rho']:.3f} (95 %: {found['low']:.3f} to {found['high']:.3f})"


def _table(points, found) -> dict[str, Any]:
    import numpy as np

    return {
        "q_star": np.array([points[i // 2].q_star for i in found.setting]),
        "kind": np.where(found.setting % 2, "linear", "nonlinear"),
        "lambda_max": found.lambda_max,
        "error": found.error,
        "sigma_max_squared": found.sigma_max_squared,
        "layerwise": found.layerwise,
    }


def _figure(record: dict[str, Any], points, found):
    from meanfield.plotting import figure_of, plot_curvature_scatter

    groups = [record["points"][i // 2]["q_star"] for i in found.setting.tolist()]
    ax = plot_curvature_scatter(
        found.sigma_max_squared,
        found.lambda_max,
        q_star=groups,
        linear=found.setting % 2 == 1,
        bounds=record["points"],
        note=_correlation(record),
        title=f"{record['phi']}, {record['depth']} x {record['width']}, {record['inputs']} inputs",
    )
    return figure_of(ax)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
