"""What a simulation will take, told before it starts."""

from collections.abc import Mapping, Sequence
from typing import Any

from meanfield.cli.long_runs import announce

__all__ = ["announce_simulation"]


def announce_simulation(
    point: tuple, setting: Mapping[str, Any], widths: Sequence[int], max_memory: int | None, *, repeated: int = 1
) -> None:
    """Memory and time of `repeated` simulations at a point (phi, sigma_w, sigma_b), if they will take long."""
    from verify.long_runs import predicted_cost
    from verify.settings import checked_setting

    names = ("depth", "weights", "quantities", "q0", "c0")
    checked = checked_setting(*point, **{name: setting[name] for name in names}, lengths=setting.get("lengths", "free"))
    needed, seconds = predicted_cost(checked, widths, setting["networks"])
    announce(needed, repeated * seconds, max_memory)
