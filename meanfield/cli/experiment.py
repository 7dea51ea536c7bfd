"""``meanfield experiment``: a grid of training runs with tuned rates, its four figures, and what they show."""

from collections.abc import Mapping
from math import inf, isnan
from pathlib import Path
from typing import Any

import click

from meanfield.cli.long_runs import LONG, deliver_prediction, folder_options, kept_in, refuse_predicted_files
from meanfield.cli.options import declare, workers_option
from meanfield.cli.output import Answer, counted, deliver, document, echo, print_table, write_bytes

FOLDER = Path("meanfield-experiment-sokol-park")
PLACE = ("group", "q_star")
ESTIMATES = ("epochs_to_goal", "test_accuracy", "lambda_max_start")
RATES = ("rate", "readout_rate")


@declare(
    "experiment",
    example="meanfield experiment sokol-park --laptop --workers 2",
    suffixes=(".json", ".csv", ".npz"),
)
@click.argument("name", type=click.Choice(["sokol-park"]))
@click.option("--laptop", is_flag=True, help="Networks of 32 x 64 on digits; the default.")
@click.option("--paper", is_flag=True, help="Networks of 200 x 400 on CIFAR-10, read from --data-path.")
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="A plan of your own: a TOML file with the tables experiment, search and training.",
)
@click.option("--data-path", metavar="PATH", help="Where the data are that the plan reads from disk.")
@click.option("--predict", is_flag=True, help="Only say what it will take.")
@click.option("--redraw", is_flag=True, help="Only judge and draw again what is in the folder's tables.")
@workers_option
@folder_options("every run, the tables and the figures")
def command(
    name, laptop, paper, config, data_path, predict, redraw, workers, folder, resume, max_memory, as_json, output
) -> None:
    """Train networks on manifolds and hold the paper's claims against them.

    sokol-park is the experiment of Sokol and Park, arXiv:1810.03785: Euclidean, Stiefel, oblique and linear networks at
    several q_star and seeds, rates searched for each with equal budgets. The folder gets every run, the tables, four
    figures and a summary. As in the paper q_star is the mean square of the inputs, so that the first layer's length is
    sigma_w^2 q_star + sigma_b^2; `meanfield fisher scatter` puts the first layer at q_star instead.

    A plan for --config is a TOML file; what it leaves out is as in Plan and TrainingConfig of the package verify:

    \b
    [experiment]  groups         of "euclidean", "stiefel", "oblique", "linear"
                  q_star         list of lengths
                  seeds          networks of each group and length, at least 2
                  goal           training loss whose time is taken
    [search]      rates          tried for the hidden weights
                  readout_rates  tried for the rest
                  epochs         of one trial
    [training]    data, data_path, depth, width, loss, optimiser, batch_size,
                  epochs, measure_every, fisher_samples, jacobian_samples,
                  weights, dtype, beta, beta_2, epsilon, penalty, clip

    An example is notebooks/training_on_manifolds/small_plan.toml.
    """
    refuse_predicted_files(predict, output)
    place = folder if folder is not None else FOLDER
    if redraw:
        from verify import read_experiment

        _report(read_experiment(place), place, as_json=as_json, output=output)
        return
    unread = paper and predict and data_path is None
    plan = _plan(laptop, paper, config, "." if unread else data_path)
    cost = _announced(plan, workers, predict, max_memory, known_sizes=unread)
    if predict:
        prediction = {
            "tasks": cost.tasks,
            "seconds": cost.core_seconds / workers,
            "workers": workers,
            "bytes_each": cost.bytes_each,
        }
        deliver_prediction("experiment", prediction, as_json=as_json)
        return
    from meanfield.cli.pool import pool
    from verify import experiment

    with kept_in(place), pool(workers, "training runs") as executor:
        found = experiment(plan, folder=place, resume=resume, max_memory=max_memory, executor=executor)
    _report(found, place, as_json=as_json, output=output)


def _plan(laptop: bool, paper: bool, config: Path | None, data_path: str | None):
    from verify import read_plan, shipped_plan

    if laptop + paper + (config is not None) > 1:
        raise click.UsageError("give at most one of --laptop, --paper, --config", click.get_current_context())
    changes = {} if data_path is None else {"data_path": data_path}
    if config is not None:
        return read_plan(config, **changes)
    return shipped_plan("paper" if paper else "laptop", **changes)


def _announced(plan, workers: int, asked: bool, max_memory: int | None, *, known_sizes: bool):
    """What it will take, told before the start if it is asked for or will take long."""
    from verify.training.data import KNOWN
    from verify.training.experiments.cost import predict_cost

    cost = predict_cost(plan, max_memory, sizes=KNOWN[plan.training.data] if known_sizes else None)
    if not asked and cost.core_seconds < LONG:
        return cost
    minutes = cost.core_seconds / workers / 60
    span = f"{minutes:.0f} minutes" if minutes < 120 else f"{minutes / 60:.0f} hours"
    click.echo(
        f"{cost.tasks} runs, about {span} on {counted(workers, 'worker')}, {cost.bytes_each / 1e9:.2g} GB each",
        err=True,
    )
    return cost


def _report(found, folder: Path, *, as_json: bool, output: Path | None) -> None:
    from meanfield.plotting import experiment_figures, image_bytes
    from verify.training.experiments.experiment import write_tables
    from verify.training.experiments.tables import columns_of

    def show() -> None:
        print_table(
            (*PLACE, "reached", *(f"{name} (95 %)" for name in ESTIMATES), *RATES),
            [_summary_cells(row) for row in found.summary],
            title="means over seeds; reached: the share of runs that came to the goal",
            keys=len(PLACE),
        )
        rows = [
            [
                c.name, c.verdict, estimate(c.mean, c.low, c.high), _cell(c.limit),
                f"{c.agreeing} : {c.contrary} of {c.places}", str(c.figure),
            ]
            for c in found.claims
        ]  # fmt: skip
        print_table(("claim", "verdict", "number (95 %)", "limit", "for : against", "figure"), rows)
        echo(f"Figures and tables: {folder}")

    answer = Answer(
        data={"plan": found.plan, "summary": found.summary, "claims": found.claims},
        show=show,
        table=columns_of(found.summary),
        seed=0,
    )
    origin = document("experiment", answer)["provenance"]
    for title, figure in experiment_figures(found).items():
        write_bytes(folder / f"{title}.png", image_bytes(figure, "png", provenance=origin))
    write_tables(found, folder)
    deliver("experiment", answer, as_json=as_json, output=output)


def _summary_cells(row: Mapping[str, Any]) -> list[str]:
    estimates = [estimate(row[name], row[f"{name}_low"], row[f"{name}_high"]) for name in ESTIMATES]
    return [*(_cell(row[name]) for name in (*PLACE, "reached")), *estimates, *(_cell(row[name]) for name in RATES)]


def estimate(mean: float, low: float, high: float) -> str:
    """A mean and its interval in words, or the bound where it is open; empty where nothing is known."""
    if isnan(mean):
        return ""
    if high == inf:
        return f"> {_cell(low)}"
    return f"{_cell(mean)} ({_cell(low)} to {_cell(high)})" if mean else f"< {_cell(high)}"


def _cell(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
