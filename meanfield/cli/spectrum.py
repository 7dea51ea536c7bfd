"""``meanfield spectrum``: the singular values of the input-output Jacobian."""

from typing import Any

import click

from meanfield.cli.options import (
    IMAGES,
    Numbers,
    declare,
    phi_argument,
    refuse_ignored,
    refuse_without_figure,
    seed_option,
    workers_option,
)
from meanfield.cli.output import Answer, deliver, echo, print_table
from meanfield.cli.spectral_points import SpectralPoint, lambda_max_map, simulated_beside, spectral_points

COLUMNS = ("depth", "q_star", "sigma_w", "sigma_b", "mean", "variance", "lambda_min", "lambda_max")
CURVE_POINTS = 400
# Where nothing is given, --map covers these.
MAP_DEPTHS = (1, 2, 3, 5, 8, 12, 20, 32, 50, 80, 120, 200)
MAP_Q_STAR = (1e-4, 2.5e-4, 6e-4, 1.5e-3, 4e-3, 1e-2, 2.5e-2, 6e-2, 0.15, 0.4, 1.0, 2.5, 6.0)


@declare(
    "spectrum",
    example="meanfield spectrum tanh --q-star 0.1 --depth 64 --weights orthogonal --output spectrum.png",
    suffixes=(*IMAGES, ".csv", ".npz", ".json"),
)
@phi_argument
@click.option("--sigma-w", type=float, help="Standard deviation of the weights times sqrt(fan_in); needs --sigma-b.")
@click.option("--sigma-b", type=float, help="Standard deviation of the biases; alone: the critical point there.")
@click.option("--q-star", type=Numbers(float), help="Or the critical points with these variances.")
@click.option("--depth", type=Numbers(int), help="Hidden layers, one number or several.  [default: 16]")
@click.option(
    "--weights",
    type=click.Choice(["gaussian", "orthogonal"]),
    default="gaussian",
    show_default=True,
    help="Their law.",
)
@click.option("--q0", type=float, help="Variance of the first pre-activations, if not that of the fixed point.")
@click.option(
    "--density",
    type=click.Choice(["lambda", "log", "sigma"]),
    help="A figure's variable: eigenvalue, its logarithm or singular value; by default one of the first two.",
)
@click.option(
    "--map", "as_map", is_flag=True, help="Instead: the largest eigenvalue, outliers too, over --depth and --q-star."
)
@click.option("--simulate", is_flag=True, help="Simulate networks too, and compare.")
@click.option(
    "--width",
    type=Numbers(int),
    default="400",
    show_default=True,
    help="Their width; several widths give a verdict, with the bias of finite width extrapolated.",
)
@click.option("--networks", type=int, default=16, show_default=True, help="Networks of each width.")
@click.option("--level", type=float, default=0.01, show_default=True, help="Chance, at most, of rejecting a right law.")
@seed_option
@workers_option
def command(
    phi, q_star, depth, weights, as_map, simulate, width, networks, level, seed, workers, density, as_json, output, **at
) -> int:
    """The law of the Jacobian's squared singular values.

    J = D^L W^L ... D^1 W^1 takes a small change of the input to that of the last layer; the eigenvalues lambda of
    J J^T are its squared singular values. Near 1 all of them: dynamical isometry. The exit code is 1 if simulated
    networks of several widths reject the law.
    """
    import meanfield as mf
    from meanfield.arguments import integer, scalar
    from meanfield.cli.pool import pool
    from meanfield.memory import refuse_memory

    if not simulate:
        refuse_ignored("without --simulate", "width", "networks", "level", "seed")
    refuse_without_figure(output, "density")
    nonlinearity = mf.as_nonlinearity(phi)
    if as_map:
        if simulate or density or any(value is not None for value in at.values()):
            raise mf.InvalidParameterError("--map takes --depth, --q-star and --weights only")
        return _deliver_map(
            nonlinearity, depth or MAP_DEPTHS, q_star or MAP_Q_STAR, weights, workers, as_json=as_json, output=output
        )
    points = spectral_points(nonlinearity, q_star=q_star, depths=depth or (16,), weights=weights, **at)
    if simulate:
        scalar("level", level, low=0.0, high=1.0, open_low=True, open_high=True)
        integer("networks", networks, low=2 if len(width) > 1 else 1)
        # The singular values of all networks, and one network: a product, its factors and their decomposition.
        refuse_memory(8 * (networks * sum(width) + 8 * max(width) ** 2), None, "the simulation")
        with pool(workers, "simulated networks") as executor:
            points = [
                simulated_beside(
                    point, nonlinearity, widths=width, networks=networks, level=level, seed=seed, executor=executor
                )
                for point in points
            ]
    answer = Answer(
        data=_data(nonlinearity.name, points),
        show=lambda: _show(nonlinearity.name, points),
        table=_table(points),
        arrays=_arrays(points),
        figure=lambda: _figure(nonlinearity.name, points, density),
        seed=seed if simulate else None,
    )
    deliver("spectrum", answer, as_json=as_json, output=output)
    return 1 if any(point.comparison is not None and not point.comparison.passed for point in points) else 0


def _curve(spectrum) -> dict[str, Any]:
    """Density of ln(lambda) and distribution on a grid inside the continuous part; empty without one, or if lost."""
    import numpy as np

    if not spectrum.intervals or _loss(spectrum):
        return {"log_lambda": np.empty(0), "density_of_log": np.empty(0), "cdf": np.empty(0)}
    zero = sum(mass for place, mass in spectrum.atoms if place == 0)
    low, high = spectrum.log_quantile(np.array([zero + 1e-3 * (1 - zero), 1.0]))
    steps = np.sin(0.5 * np.pi * (np.arange(CURVE_POINTS) + 0.5) / CURVE_POINTS) ** 2
    t = low + (high - low) * steps
    return {"log_lambda": t, "density_of_log": spectrum.density_of_log(t), "cdf": spectrum.cdf_of_log(t)}


def _loss(spectrum) -> str:
    """Why the law has no curve; nothing if it has."""
    import meanfield as mf

    try:
        spectrum.log_quantile(1.0)
    except mf.ConvergenceError as error:
        return str(error)
    return ""


def _record(point: SpectralPoint) -> dict[str, Any]:
    record = {**point.spectrum.to_dict(), "q0": point.q0, "curve": _curve(point.spectrum)}
    record["atoms"] = [{"location": place, "mass": mass} for place, mass in point.spectrum.atoms]
    record["simulation"] = _simulation(point) if point.simulated else None
    return record


def _simulation(point: SpectralPoint) -> dict[str, Any]:
    import numpy as np

    import verify

    with np.errstate(over="ignore", under="ignore"):
        tops = {width: values.max(axis=1) ** 2 for width, values in point.simulated.items()}
    return {
        "networks": len(next(iter(point.simulated.values()))),
        "lengths": point.lengths,
        "widths": [
            {
                "width": width,
                "kolmogorov": verify.kolmogorov_distance(samples, point.measure),
                "wasserstein": verify.wasserstein_distance(samples, point.measure),
                "lambda_max": tops[width],
            }
            for width, samples in point.samples.items()
        ],
        # Distances and comparison are those of lambda, or of (lambda/exp(log_top))^exponent where that is less graded.
        "exponent": getattr(point.measure, "exponent", 1.0),
        "log_top": getattr(point.measure, "log_top", 0.0),
        "comparison": point.comparison,
    }


def _data(name: str, points: list[SpectralPoint]) -> dict[str, Any]:
    first, *others = (_record(point) for point in points)
    return {"phi": name, **first, "others": others}


def _table(points: list[SpectralPoint]) -> dict[str, Any]:
    """One row for each point of each curve."""
    import numpy as np

    columns: dict[str, list] = {name: [] for name in ("depth", "q_star", "log_lambda", "density_of_log", "cdf")}
    for point in points:
        curve = _curve(point.spectrum)
        size = len(curve["cdf"])
        columns["depth"].append(np.full(size, point.spectrum.depth))
        columns["q_star"].append(np.full(size, point.spectrum.q_star))
        for name, values in curve.items():
            columns[name].append(values)
    return {name: np.concatenate(parts) for name, parts in columns.items()}


def _arrays(points: list[SpectralPoint]) -> dict[str, Any]:
    """Curves and singular values, numbered if there are several points."""
    found: dict[str, Any] = {}
    for number, point in enumerate(points, start=1):
        suffix = f"_{number}" if len(points) > 1 else ""
        parts = {name: getattr(point.spectrum, name) for name in COLUMNS} | _curve(point.spectrum)
        parts |= {"atoms": [tuple(atom) for atom in point.spectrum.atoms], "outliers": point.spectrum.outliers}
        parts |= {f"singular_values_width_{width}": values for width, values in point.simulated.items()}
        found |= {f"{name}{suffix}": values for name, values in parts.items()}
    return found


def _show(name: str, points: list[SpectralPoint]) -> None:
    rows = [
        [
            *(f"{getattr(point.spectrum, column):.6g}" for column in COLUMNS),
            _atoms(point.spectrum),
            _outliers(point.spectrum),
        ]
        for point in points
    ]
    print_table(
        (*COLUMNS, "atoms (mass at)", "outliers"),
        rows,
        title=f"{_title(name, points[0].spectrum.weights)}: eigenvalues of J J^T",
    )
    if any(point.spectrum.outliers for point in points):
        echo(
            "outliers: single eigenvalues of every wide network above the end of the law; along the signal J follows "
            "the length map"
        )
    for text in dict.fromkeys(point.spectrum.status.message for point in points if point.spectrum.status):
        echo(text)
    for text in dict.fromkeys(filter(None, (_loss(point.spectrum) for point in points))):
        echo(f"note: {text}")
    for point in points:
        _show_simulation(point)


def _title(name: str, weights: str) -> str:
    return f"{name}, {'Gaussian' if weights == 'gaussian' else weights} weights"


def _outliers(spectrum) -> str:
    return ", ".join(f"{value:.6g}" for value in spectrum.outliers) or "none"


def _atoms(spectrum) -> str:
    return ", ".join(f"{mass:.4g} at {place:.6g}" for place, mass in spectrum.atoms) or "none"


def _show_simulation(point: SpectralPoint) -> None:
    if not point.simulated:
        return
    record = _simulation(point)
    echo(f"depth {point.spectrum.depth}, q0 = {point.q0:.6g}, {record['networks']} networks of each width:")
    for each in record["widths"]:
        top = each["lambda_max"]
        echo(
            f"  width {each['width']}: lambda_max {top.mean():.5g}, from {top.min():.5g} to {top.max():.5g}; "
            f"Kolmogorov distance {each['kolmogorov']:.2g}"
        )
    if point.comparison is not None:
        if record["exponent"] < 1:
            echo(f"  Compared as x = (lambda/exp({record['log_top']:.6g}))^{record['exponent']:.4g}:")
        echo(f"  {point.comparison.verdict}")


def _figure(name: str, points: list[SpectralPoint], density: str | None):
    from meanfield.plotting import figure_of, plot_spectra, plot_spectrum

    samples = [_widest(point) for point in points]
    title = _title(name, points[0].spectrum.weights)
    if len(points) == 1:
        title += f", depth {points[0].spectrum.depth}"
        return figure_of(plot_spectrum(points[0].spectrum, simulated=samples[0], variable=density, title=title))
    labels = _labels(points)
    return figure_of(
        plot_spectra(
            [point.spectrum for point in points], labels=labels, simulated=samples, variable=density, title=title
        )
    )


def _widest(point: SpectralPoint):
    return point.simulated[max(point.simulated)] if point.simulated else None


def _labels(points: list[SpectralPoint]) -> list[str]:
    depths = {point.spectrum.depth for point in points}
    lengths = {point.q0 for point in points}
    labels = []
    for point in points:
        parts = [f"L = {point.spectrum.depth}"] if len(depths) > 1 or len(lengths) == 1 else []
        parts += [f"$q^*$ = {point.q0:.3g}"] if len(lengths) > 1 else []
        labels.append(", ".join(parts))
    return labels


def _deliver_map(phi, depths, q_star, weights: str, workers: int, *, as_json, output) -> int:
    import numpy as np

    from meanfield.arguments import integer, interval
    from meanfield.cli.pool import pool
    from meanfield.errors import InvalidParameterError

    columns = np.array(sorted({integer("depth", depth, low=1) for depth in depths}))
    rows = np.unique(interval("q_star", q_star, low=0.0, open_low=True))
    if output is not None and output.suffix in IMAGES and min(rows.size, columns.size) < 2:
        raise InvalidParameterError("a figure of the map needs at least two of --depth and two of --q-star")
    with pool(workers, "spectra") as executor:
        values = lambda_max_map(phi, depths=columns.tolist(), q_star=rows.tolist(), weights=weights, executor=executor)

    def show() -> None:
        lines = [[f"{q:.4g}", *(f"{value:.5g}" for value in line)] for q, line in zip(rows, values, strict=True)]
        headers = ("q_star", *(f"L = {depth}" for depth in columns))
        print_table(headers, lines, title=f"{_title(phi.name, weights)}: largest eigenvalue of J J^T")
        if np.isnan(values).any():
            echo("nan: no critical point has that q_star")

    def figure():
        from meanfield.plotting import figure_of, plot_lambda_max

        return figure_of(plot_lambda_max(columns, rows, values, title=_title(phi.name, weights)))

    across, up = np.meshgrid(columns, rows)
    answer = Answer(
        data={"phi": phi.name, "weights": weights, "map": {"depth": columns, "q_star": rows, "lambda_max": values}},
        show=show,
        table={"depth": across.ravel(), "q_star": up.ravel(), "lambda_max": values.ravel()},
        arrays={"depth": columns, "q_star": rows, "lambda_max": values},
        figure=figure,
    )
    deliver("spectrum", answer, as_json=as_json, output=output)
    return 0
