"""``meanfield explore``: one self-contained page on which a point is dragged through the phase plane."""

from pathlib import Path

import click

from meanfield.cli.options import declare
from meanfield.cli.output import Answer, document, echo, emit, write_bytes


@declare("explore", example='meanfield explore --phi "sin(x)/(1+abs(x))" --output explorer.html', suffixes=(".html",))
@click.option("--phi", "phis", multiple=True, metavar="PHI", help="Also this nonlinearity; may be given many times.")
@click.option("--catalogue/--no-catalogue", default=True, show_default=True, help="All nonlinearities known by name.")
def command(phis, catalogue, as_json, output) -> None:
    """One page in which a point is dragged through the phase plane of many nonlinearities.

    It needs no network: Python computes tables, the page evaluates them. Without --output it is explorer.html.
    """
    import meanfield as mf
    from meanfield.activations import CATALOGUE
    from meanfield.cli.defaults import default_point, default_window
    from meanfield.explorer import entry, explorer_page
    from meanfield.results import provenance

    names = [*phis, *(CATALOGUE if catalogue else ())]
    if not names:
        raise click.UsageError("--no-catalogue needs a --phi")
    shown = list(dict.fromkeys(mf.as_nonlinearity(name) for name in names))
    entries = []
    for number, phi in enumerate(shown, start=1):
        click.echo(f"{number}/{len(shown)} {phi.name}", err=True)
        point = default_point(phi)
        window = default_window(point.sigma_w, point.sigma_b)
        entries.append(entry(phi, window=window, start=(point.sigma_w, point.sigma_b)))
    first = shown[0].name if phis else "tanh"
    session = click.get_current_context().find_root().obj
    content = explorer_page(entries, first=first, provenance=provenance(command=session.command)).encode()
    target = output if output is not None else Path("explorer.html")
    write_bytes(target, content)
    data = {"file": target.name, "bytes": len(content), "nonlinearities": [phi.name for phi in shown], "first": first}
    answer = Answer(data=data, show=lambda: echo(f"Explorer: {target}"))
    if as_json:
        from meanfield.results import json_text

        emit(json_text(document("explore", answer)))
    else:
        answer.show()
