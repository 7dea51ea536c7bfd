"""``meanfield propagate``: lengths, correlations and gradients layer by layer."""

import click

from meanfield.cli.options import IMAGES, Numbers, declare, phi_argument, refuse_without_figure
from meanfield.cli.output import Answer, deliver, print_table

FIGURES = ("q", "c", "chi", "q-decay", "c-decay", "q-map", "c-map")


@declare(
    "propagate",
    example="meanfield propagate tanh --sigma-w 2.5 --sigma-b 0.3 --depth 20 --output correlations.png --figure c",
    suffixes=(*IMAGES, ".csv", ".npz", ".json"),
)
@phi_argument
@click.option("--sigma-w", type=float, required=True, help="Standard deviation of the weights times sqrt(fan_in).")
@click.option("--sigma-b", type=float, required=True, help="Standard deviation of the biases.")
@click.option("--depth", type=int, default=20, show_default=True, help="Hidden layers.")
@click.option("--q0", type=float, default=1.0, show_default=True, help="Variance of the first pre-activation.")
@click.option(
    "--c0",
    type=Numbers(float),
    default="0,0.5,0.9",
    show_default=True,
    help="Correlations of pairs of inputs in the first layer.",
)
@click.option(
    "--figure",
    "kind",
    type=click.Choice(FIGURES),
    default="c",
    show_default=True,
    help="Layer by layer: a quantity, or its distance from the fixed point; or the map of one layer as a cobweb "
    "(c-map: of the --c0 farthest from the map's fixed points).",
)
def command(phi, sigma_w, sigma_b, depth, q0, c0, kind, as_json, output) -> None:
    """Follow PHI through the layers.

    The variance q of the pre-activations, the correlations c of pairs of inputs, and the factor chi by which squared
    gradients grow per layer.
    """
    import numpy as np

    import meanfield as mf

    refuse_without_figure(output, "kind")
    nonlinearity = mf.as_nonlinearity(phi)
    followed = mf.propagate(nonlinearity, sigma_w, sigma_b, depth=depth, q0=q0, c0=np.array(c0))
    assert followed.c is not None  # c0 was given
    correlations = {f"c from {start:g}": row for start, row in zip(c0, followed.c, strict=True)}
    table = {"layer": np.arange(1, depth + 1), "q": followed.q, "chi": followed.chi, **correlations}

    def show() -> None:
        rows = [
            [str(layer), *(f"{value:.8g}" for value in values)]
            for layer, *values in zip(*(column.tolist() for column in table.values()), strict=True)
        ]
        print_table(tuple(table), rows, title=f"{nonlinearity.name} at sigma_w = {sigma_w:g}, sigma_b = {sigma_b:g}")

    def figure():
        from meanfield.plotting import figure_of

        return figure_of(_draw(nonlinearity, followed, kind, q0, c0))

    arrays = {"q": followed.q, "c": followed.c, "chi": followed.chi, "c0": np.array(c0)}
    data = {"phi": nonlinearity.name, "q0": q0, "c0": c0, **followed.to_dict()}
    answer = Answer(data=data, show=show, table=table, arrays=arrays, figure=figure)
    deliver("propagate", answer, as_json=as_json, output=output)


def _draw(phi, followed, kind: str, q0: float, c0: tuple[float, ...]):
    import meanfield as mf
    from meanfield.map_curves import c_map_curve, q_map_curve
    from meanfield.plotting import plot_decay, plot_map, plot_propagation

    at = (followed.sigma_w, followed.sigma_b)
    layers = max(followed.depth, 2)
    if kind == "q-map":
        return plot_map(q_map_curve(phi, *at, q0=q0, layers=layers), title=phi.name)
    if kind == "c-map":
        fixed = (mf.fixed_point(phi, *at, q0=q0).c_star, 1.0)
        start = max(c0, key=lambda c: min(abs(c - place) for place in fixed))
        return plot_map(c_map_curve(phi, *at, c0=start, q0=q0, layers=layers), title=phi.name)
    quantity, _, decay = kind.partition("-")
    if decay:
        return plot_decay(followed, point=mf.fixed_point(phi, *at, q0=q0), quantity=quantity, title=phi.name)
    try:
        point = mf.fixed_point(phi, *at, q0=q0)
    except mf.NoFixedPointError:
        point = None  # lengths grow: there is nothing to settle at
    return plot_propagation(followed, quantity=quantity, point=point, title=phi.name)
