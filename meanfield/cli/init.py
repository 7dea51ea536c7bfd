"""``meanfield init``: weights and biases at criticality."""

import itertools
import warnings

import click

from meanfield.cli.options import declare, phi_argument, seed_option
from meanfield.cli.output import Answer, deliver, echo, print_table


@declare(
    "init",
    example="meanfield init tanh 784 400 400 10 --sigma-b 0.05 --weights orthogonal --output weights.npz",
    suffixes=(".npz", ".json"),
)
@phi_argument
@click.argument("widths", type=int, nargs=-1, required=True)
@click.option("--sigma-b", type=float, default=0.0, show_default=True, help="Standard deviation of the biases.")
@click.option(
    "--weights", type=click.Choice(["gaussian", "orthogonal"]), default="gaussian", show_default=True, help="Their law."
)
@seed_option
def command(phi, widths, sigma_b, weights, seed, as_json, output) -> None:
    """Weights and biases of a network at criticality.

    WIDTHS are its sizes from input to output. The file holds W1, b1, W2, b2, ... with W of shape (fan_out, fan_in), to
    be used as x @ W.T + b. Without a file, what would be drawn is described.
    """
    import numpy as np

    import meanfield as mf
    from meanfield.memory import refuse_memory

    nonlinearity = mf.as_nonlinearity(phi)
    # The matrices, their copy in the file's bytes and, before that, one that is decomposed.
    refuse_memory(8 * 3 * sum(fan_in * fan_out for fan_in, fan_out in itertools.pairwise(widths)), None, "the network")
    sigma_w = mf.gain(nonlinearity, sigma_b=sigma_b)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mf.UnstableCriticalPointWarning)  # said once by the line above
        layers = mf.initialize(nonlinearity, widths, sigma_b=sigma_b, weights=weights, rng=seed)
    arrays = {}
    for number, (matrix, bias) in enumerate(layers, start=1):
        arrays |= {f"W{number}": matrix, f"b{number}": bias}

    def show() -> None:
        echo(f"{nonlinearity.name}: gain = sigma_w = {sigma_w:.12g}, sigma_b = {sigma_b:g}")
        echo(f"{weights} weights, seed {seed}")
        rows = [
            [f"W{n}", f"{matrix.shape[0]} x {matrix.shape[1]}", f"{np.std(matrix):.6g}"]
            for n, (matrix, _) in enumerate(layers, start=1)
        ]
        print_table(("weights", "shape", "standard deviation"), rows)
        echo("Nothing is saved without --output FILE.npz.")

    data = {
        "phi": nonlinearity.name,
        "widths": list(widths),
        "sigma_w": sigma_w,
        "sigma_b": sigma_b,
        "weights": weights,
        "gain": sigma_w,
        "standard_deviations": [sigma_w / fan_in**0.5 for fan_in in widths[:-1]],
    }
    deliver("init", Answer(data=data, show=show, table=arrays, seed=seed), as_json=as_json, output=output)
