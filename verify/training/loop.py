"""Training one network from start to end, with a checkpoint to go on from."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from meanfield.errors import InvalidParameterError
from meanfield.store import MISSING, Store, checked_folder
from meanfield.sweeps import sweep
from verify.training.configuration import TrainingConfig
from verify.training.operating_point import resolved
from verify.training.record import TrainingRecord
from verify.training.run import Training

__all__ = ["check_progress", "train"]

Progress = Callable[[int, int], object]


def train(
    config: TrainingConfig,
    *,
    folder: str | Path | None = None,
    resume: bool = False,
    max_memory: int | None = None,
    progress: Progress | None = None,
) -> TrainingRecord:
    """Train one network and measure it on the way.

    Parameters
    ----------
    config : TrainingConfig
    folder : path, optional
        Where to keep a checkpoint, written whenever costly measurements are taken.
    resume : bool
        Go on from the checkpoint in `folder`, to the same bits as if there had been no break.
    max_memory : int, optional
        Refuse a run that needs more bytes; without it, more than the machine has.
    progress : callable, optional
        Called as ``progress(epoch, epochs)``.

    Returns
    -------
    TrainingRecord
        A run whose loss stops being finite ends there, with the status "diverged".

    Raises
    ------
    InvalidParameterError
        An argument or a setting breaks its rule, data are missing or damaged, the run needs too much memory, or
        `folder` holds another run, or this one and `resume` was not asked for.
    NoCriticalPointError
        There is no critical point at q_star.
    OSError
        The checkpoint cannot be written; the one before it is still whole.

    Notes
    -----
    BLAS runs on one thread. The batches of an epoch depend on the seed and the epoch alone.

    References
    ----------
    .. [1] P. A. Sokol, I. M. Park, arXiv:1810.03785, section 4.

    Examples
    --------
    >>> record = train(TrainingConfig(data="teacher", depth=2, width=16, epochs=1, fisher_samples=10))
    >>> record.epochs.tolist(), record.status
    ([0, 1], 'finished')
    >>> bool(record.orthogonality_defect.max() < 1e-12)
    True
    """
    if not isinstance(config, TrainingConfig):
        raise InvalidParameterError(f"config must be a TrainingConfig, got {config!r:.80}")
    check_progress(progress)
    work = partial(_run, folder=checked_folder(folder, resume), resume=resume, max_memory=max_memory, progress=progress)
    return sweep(work, [config])[0]


def check_progress(progress) -> None:
    """Refuse what cannot be called, before the work and not in it.

    Raises
    ------
    InvalidParameterError
        `progress` is neither None nor callable.
    """
    if progress is not None and not callable(progress):
        raise InvalidParameterError(f"progress must be callable, got {progress!r:.80}")


def _run(config: TrainingConfig, *, folder, resume, max_memory, progress) -> TrainingRecord:
    run = Training(resolved(config), max_memory=max_memory)
    checkpoint = None if folder is None else _checkpoint(folder, run, resume)
    if checkpoint is not None and (state := checkpoint.load(0)) is not MISSING:
        run.restore(state)
    while not run.finished:
        run.advance()
        if progress is not None:
            progress(run.epoch, config.epochs)
        if checkpoint is not None and run.measured:
            checkpoint.replace(0, run.state())
    return run.record()


def _checkpoint(folder: Path, run: Training, resume: bool) -> Store:
    parameters = {"config": run.config.to_dict(), "data": run.data.checksum}
    return Store(folder, function="train", parameters=parameters, seed=run.config.seed, resume=resume)
