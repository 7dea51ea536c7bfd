"""``meanfield train``: one network, trained on a manifold and measured on the way."""

import click

from meanfield.cli.long_runs import announce, epoch_bar, folder_options, kept_in
from meanfield.cli.options import IMAGES, declare, phi_argument, seed_option
from meanfield.cli.output import Answer, deliver, print_table

SHOWN = (
    "train_loss",
    "test_accuracy",
    "lambda_max",
    "condition_number",
    "sigma_max_jacobian",
    "orthogonality_defect",
)


@declare(
    "train",
    example="meanfield train tanh --manifold stiefel --q-star 0.0156 --depth 16 --width 64 --epochs 3 --seed 1",
    suffixes=(".json", ".csv", ".npz", *IMAGES),
)
@phi_argument
@click.option(
    "--manifold",
    type=click.Choice(["euclidean", "stiefel", "oblique"]),
    default="stiefel",
    show_default=True,
    help="Where the hidden weights stay, up to a learned scale.",
)
@click.option(
    "--q-star",
    type=float,
    default=1 / 64,
    show_default=True,
    help="Mean square of the inputs, as in the paper; the network starts at the critical point of this length.",
)
@click.option("--sigma-w", type=float, help="With --sigma-b: start there instead.")
@click.option("--sigma-b", type=float, help="Standard deviation of the biases.")
@click.option(
    "--weights",
    type=click.Choice(["orthogonal", "gaussian"]),
    default="orthogonal",
    show_default=True,
    help="Their law at the start.",
)
@click.option("--depth", type=int, default=16, show_default=True, help="Hidden layers.")
@click.option("--width", type=int, default=64, show_default=True, help="Their width.")
@click.option(
    "--data",
    type=click.Choice(["digits", "mnist5k", "teacher", "cifar10", "svhn", "idx", "npz"]),
    default="digits",
    show_default=True,
    help="The last four are read from --data-path.",
)
@click.option("--data-path", metavar="PATH", help="Folder of CIFAR-10, SVHN or IDX files, or an NPZ file.")
@click.option("--loss", type=click.Choice(["cross_entropy", "squared"]), default="cross_entropy", show_default=True)
@click.option("--optimiser", type=click.Choice(["adam", "momentum", "sgd"]), default="adam", show_default=True)
@click.option("--rate", type=float, default=3e-4, show_default=True, help="Rate of the hidden weights.")
@click.option("--scale-rate", type=float, default=0.01, show_default=True, help="Rate of their scales.")
@click.option("--readout-rate", type=float, default=0.01, show_default=True, help="Rate of read-out and biases.")
@click.option("--penalty", type=float, default=0.1, show_default=True, help="Oblique: how much columns are kept apart.")
@click.option("--clip", type=float, default=0.1, show_default=True, help="Oblique: longest column of a gradient.")
@click.option("--batch-size", type=int, default=100, show_default=True, help="Samples of a step.")
@click.option("--epochs", type=int, default=20, show_default=True, help="Passes through the training set.")
@click.option("--measure-every", type=int, default=5, show_default=True, help="Epochs between costly measurements.")
@click.option("--fisher-samples", type=int, default=100, show_default=True, help="Inputs of the Fisher information.")
@click.option("--dtype", type=click.Choice(["float64", "float32"]), default="float64", show_default=True)
@seed_option
@folder_options("a checkpoint")
def command(phi, folder, resume, max_memory, as_json, output, **settings) -> int:
    """Train one network and measure it on the way.

    Its hidden weights are a learned scale times a point of the manifold. Measured are loss and accuracy at every epoch
    and, at some, the Fisher information's largest eigenvalue and condition number and the Jacobian's largest singular
    value.
    """
    from meanfield.expressions import as_nonlinearity
    from verify import TrainingConfig, train
    from verify.training.cost import predicted_cost

    nonlinearity = as_nonlinearity(phi)
    config = TrainingConfig(phi=phi, **settings)
    announce(*predicted_cost(config, max_memory), max_memory)
    with kept_in(folder), epoch_bar("epochs") as progress:
        record = train(config, folder=folder, resume=resume, max_memory=max_memory, progress=progress)

    def show() -> None:
        rows = [
            [str(epoch), *(_cell(getattr(record, name)[number]) for name in SHOWN)]
            for number, epoch in enumerate(record.epochs.tolist())
        ]
        print_table(
            ("epoch", *SHOWN), rows, title=f"{nonlinearity.name}, {config.manifold}, q_star = {config.q_star:g}"
        )

    def figure():
        from meanfield.plotting import training_figure

        return training_figure(record)

    series = {name: getattr(record, name) for name in (*SHOWN, "numerical_rank", "ntk_drift")}
    table = {"epoch": record.epochs, **series}
    answer = Answer(
        data={"phi": nonlinearity.name, **record.to_dict()},
        show=show,
        table=table,
        arrays={**table, "gradient_norms": record.gradient_norms},
        figure=figure,
        seed=config.seed,
    )
    deliver("train", answer, as_json=as_json, output=output)
    if record.status == "diverged":
        click.echo(f"The loss stopped being finite in epoch {record.epochs[-1]}: lower the rates.", err=True)
        return 3
    return 0


def _cell(value: float) -> str:
    return "" if value != value else f"{value:.4g}"
