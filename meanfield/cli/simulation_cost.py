"""What a simulation will take, told before it starts."""

from collections.abc import Mapping, Sequence
from typing import Any

from meanfield.cli.long_runs import announce

__all__ = ["announce_simulation"]


def announce_simulation(
    point: tuple, setting: Mapping[str, Any], widths: Sequence[int] | int, max_memory: int | None, *, repeated: int = 1
) -> None:
    """Memory and time of `repeated` simulations at a point (phi, sigma_w, sigma_b), if they will take long.

    Raises
    ------
    InvalidParameterError
        The setting has a value outside its range, or the simulations are too large.
    """
    from verify.long_runs import predicted_cost, refuse_large
    from verify.settings import checked_budget, checked_setting, checked_width

    names = ("depth", "weights", "quantities", "q0", "c0")
    checked = checked_setting(*point, **{name: setting[name] for name in names}, lengths=setting.get("lengths", "free"))
    if isinstance(widths, int):
        widths = (checked_width("width", widths, checked),)
    sizes, networks, *_ = checked_budget(checked, widths, setting["networks"], None, setting["seed"])
    refuse_large(checked, sizes, networks, max_memory, repeated=repeated)
    needed, seconds = predicted_cost(checked, sizes, networks)
    announce(needed, repeated * seconds, max_memory)
