"""``meanfield doctor``: does this installation compute what it should?"""

import os
from collections.abc import Callable, Iterator
from typing import Any

from meanfield.cli.options import declare
from meanfield.cli.output import Answer, deliver, print_table


class _UnexpectedError(Exception):
    """A check that ran and found a wrong number."""


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise _UnexpectedError(otherwise)


def _theory() -> str:
    """Critical tanh at sigma_b = 0.3 against 25-digit arithmetic."""
    import meanfield as mf

    point = mf.critical_point("tanh", sigma_b=0.3)
    _expect(abs(point.sigma_w - 1.3955839751) < 1e-10, f"sigma_w is {point.sigma_w!r}, not 1.3955839751")
    return f"critical tanh: sigma_w = {point.sigma_w:.12g}"


def _expressions() -> str:
    import meanfield as mf

    written, known = mf.moments("x*(1+erf(x/sqrt(2)))/2", 0.7), mf.moments("gelu", 0.7)
    _expect(
        abs(float(written.V) - float(known.V)) < 1e-12, f"GELU as an expression has V = {written.V!r}, not {known.V!r}"
    )
    return "an expression equals its catalogue entry"


def _simulation() -> str:
    import verify

    report = verify.check("tanh", 1.5, 0.3, depth=3, widths=(50, 100), networks=8, seed=0)
    again = verify.check("tanh", 1.5, 0.3, depth=3, widths=(50, 100), networks=8, seed=0)
    _expect(report.to_dict() == again.to_dict(), "the same seed gave two results")
    return "compiled kernels run, and the same seed gives the same bits"


def _figures() -> str:
    import meanfield as mf
    from meanfield.plotting import figure_of, image_bytes, plot_propagation

    size = len(image_bytes(figure_of(plot_propagation(mf.propagate("tanh", 1.5, 0.3, depth=5))), "png"))
    return f"a figure of {size} bytes"


CHECKS: dict[str, Callable[[], str]] = {
    "theory": _theory,
    "expressions": _expressions,
    "simulation": _simulation,
    "figures": _figures,
}


def _outcomes() -> Iterator[dict[str, Any]]:
    for name, run in CHECKS.items():
        try:
            yield {"check": name, "passed": True, "detail": run()}
        except Exception as error:  # noqa: BLE001 whatever it is, it is what the doctor was called for
            yield {"check": name, "passed": False, "detail": f"{type(error).__name__.lstrip('_')}: {error}"}


@declare("doctor", example="meanfield doctor", suffixes=(".json",))
def command(as_json, output) -> int:
    """Check this installation.

    Prints versions, the BLAS and its threads, and runs a small calculation of each kind. Exit code 1 if one fails.
    """
    from threadpoolctl import threadpool_info

    from meanfield.results import provenance

    outcomes = list(_outcomes())
    machine = provenance()
    threads = {pool["internal_api"]: pool["num_threads"] for pool in threadpool_info()}
    passed = all(outcome["passed"] for outcome in outcomes)

    def show() -> None:
        rows = [(name, version) for name, version in machine["versions"].items()]
        rows += [("BLAS", machine["blas"]), ("processors", str(os.cpu_count()))]
        rows += [(f"threads of {name}", str(count)) for name, count in threads.items()]
        print_table(("", ""), rows)
        print_table(
            ("check", "result", ""), [(o["check"], "ok" if o["passed"] else "FAILED", o["detail"]) for o in outcomes]
        )

    data = {"passed": passed, "checks": outcomes, "processors": os.cpu_count(), "threads": threads}
    deliver("doctor", Answer(data=data, show=show), as_json=as_json, output=output)
    return 0 if passed else 1
