"""A run between two epochs: batches, steps on the manifold, and measurements at chosen epochs."""

import time

import numpy as np

from meanfield.expressions import as_nonlinearity
from meanfield.memory import refuse_memory
from verify.training.configuration import TrainingConfig
from verify.training.cost import RUN, fitted, memory_needed
from verify.training.data import load as load_data
from verify.training.journal import Journal
from verify.training.losses import loss_named
from verify.training.manifolds import Euclidean, Manifold, Oblique, manifold_class
from verify.training.measurements import Probe, measure, orthogonality_defect, tangent_kernel
from verify.training.network import Workspace, backward, forward, outputs_of
from verify.training.optimisers import Adam, Momentum, Optimiser, optimiser_class
from verify.training.parameters import MANIFOLD, SCALES, Shape, as_layers, draw, layers_of, through_scales
from verify.training.record import TrainingRecord

__all__ = ["Training"]

STEP_BYTES = 4 << 20


class Training:
    """A run between two epochs: parameters, the optimiser's memory, and the journal of what was measured.

    Parameters
    ----------
    config : TrainingConfig
        With sigma_w and sigma_b.
    max_memory : int, optional
        Refuse a run that needs more bytes; without it, more than the machine has.

    Attributes
    ----------
    epoch : int
        The last one that is finished; -1 before the first measurement.
    measured : bool
        Were costly measurements taken at it?
    """

    def __init__(self, config: TrainingConfig, *, max_memory: int | None = None) -> None:
        data = load_data(config.data, config.data_path)
        self.config = config = fitted(config, len(data.train_inputs))
        self.shape = Shape(dim=data.dim, width=config.width, depth=config.depth, outputs=data.classes)
        samples = len(data.train_inputs) + len(data.test_inputs)
        refuse_memory(memory_needed(config, self.shape, samples, data.train_inputs.itemsize), max_memory, RUN)
        self.data = data.scaled(config.q_star, config.dtype)
        self.phi = as_nonlinearity(config.phi)
        self.loss = loss_named(config.loss)
        self.manifold = _manifold_of(config)
        self.optimiser = _optimiser_of(config)
        self.blocks = self._drawn()
        self._weights = {name: np.empty_like(self.blocks[name]) for name in MANIFOLD}
        self._gradients = {name: np.empty_like(block) for name, block in self.blocks.items()}
        self._workspace = Workspace(self.layers(), config.batch_size, np.dtype(config.dtype))
        self.memory = {name: self.optimiser.start(self._space(name), block) for name, block in self.blocks.items()}
        self.probe = Probe(
            inputs=self.data.train_inputs[: config.fisher_samples].astype(np.float64),
            targets=self.data.train_targets[: config.fisher_samples].astype(np.float64),
            fixed=self.data.train_inputs[: config.jacobian_samples].astype(np.float64),
        )
        self.kernel_at_start = tangent_kernel(self.layers(), self.phi, self.probe.fixed)
        self.journal = Journal()
        self.epoch = -1
        self.measured = False
        _keep_memory_for_reuse()

    def _drawn(self) -> dict[str, np.ndarray]:
        config = self.config
        assert config.sigma_w is not None
        assert config.sigma_b is not None
        return draw(
            self.shape,
            sigma_w=config.sigma_w,
            sigma_b=config.sigma_b,
            weights=config.weights,
            rng=np.random.default_rng(np.random.SeedSequence(config.seed, spawn_key=(0,))),
            dtype=config.dtype,
        )

    def _space(self, name: str) -> Manifold:
        return self.manifold if name in MANIFOLD else Euclidean()

    def layers(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """The network as it is now; its weights are valid until the next call."""
        return layers_of(self.shape, self.blocks, self._weights)

    @property
    def finished(self) -> bool:
        """Is there nothing left to do?"""
        return self.epoch >= self.config.epochs or self.journal.diverged

    def advance(self) -> None:
        """One epoch of steps and what is measured after it; the first call only measures."""
        start = time.perf_counter()
        self.epoch += 1
        # Overflow on the way to divergence is no surprise, and the loss tells it.
        with np.errstate(over="ignore", invalid="ignore"):
            sound = self.epoch == 0 or self._train_epoch()
            self._measure(sound, time.perf_counter() - start)

    def _train_epoch(self) -> bool:
        """All batches once; False as soon as a gradient is not finite."""
        samples, size = len(self.data.train_inputs), self.config.batch_size
        seed = np.random.SeedSequence(self.config.seed, spawn_key=(1, self.epoch))
        order = np.random.default_rng(seed).permutation(samples)
        for start in range(0, samples, size):
            chosen = order[start : start + size]
            if not self.step(self.data.train_inputs[chosen], self.data.train_targets[chosen]):
                return False
        return True

    def step(self, inputs: np.ndarray, targets: np.ndarray) -> bool:
        """One step on a batch of at most `batch_size`; False, and no step, if the gradient is not finite."""
        layers = self.layers()
        passed = forward(layers, self.phi, inputs, self._workspace)
        by_outputs = self.loss.gradient(passed.outputs, targets)
        backward(layers, passed, by_outputs, as_layers(self.shape, self._gradients))
        through_scales(self.blocks, self._gradients)
        # A sum is finite only if every entry is.
        if not all(np.isfinite(gradient.sum()) for gradient in self._gradients.values()):
            return False
        for name in self.blocks:
            self._move(name)
        return True

    def _move(self, name: str) -> None:
        """The optimiser's step of one block, a few matrices at a time, so that what it makes on the way stays small."""
        space, block, gradient, memory = self._space(name), self.blocks[name], self._gradients[name], self.memory[name]
        few = max(1, STEP_BYTES * len(block) // max(1, block.nbytes)) if name == "hidden" else len(block)
        moved = {}
        for start in range(0, len(block), few):
            part = slice(start, start + few)
            state = {key: array[part] if array.ndim else array for key, array in memory.items()}
            X = block[part]
            X[...], moved = self.optimiser.step(space, X, space.gradient(X, gradient[part]), state, self._rate(name))
            for key, array in state.items():
                if array.ndim:
                    array[...] = moved[key]
        memory |= {key: array for key, array in moved.items() if not array.ndim}

    def _rate(self, name: str) -> float:
        config = self.config
        if name in MANIFOLD:
            return config.rate
        return config.scale_rate if name in SCALES else config.readout_rate

    def _measure(self, sound: bool, seconds: float) -> None:
        config, layers = self.config, self.layers()
        outputs = outputs_of(layers, self.phi, self.data.train_inputs, self._workspace)
        loss = self.loss.value(outputs, self.data.train_targets) if sound else np.nan
        entry = {"train_loss": loss}
        if np.isfinite(loss):
            outputs = outputs_of(layers, self.phi, self.data.test_inputs, self._workspace)
            hits = outputs.argmax(axis=1) == self.data.test_targets.argmax(axis=1)
            entry["test_accuracy"] = float(hits.mean())
            entry["orthogonality_defect"] = orthogonality_defect([self.blocks[name] for name in MANIFOLD])
        self.measured = self.epoch in (0, 1, config.epochs) or self.epoch % config.measure_every == 0
        found = None
        if self.measured and np.isfinite(loss):
            found = measure(layers, self.phi, self.probe, self.loss, self.kernel_at_start)
        self.journal.add(self.epoch, entry, found, seconds)

    def record(self) -> TrainingRecord:
        """The journal as a result."""
        outputs = self.shape.outputs - (self.loss.output == "softmax")
        return self.journal.record(
            config=self.config.to_dict(),
            data_checksum=self.data.checksum,
            full_rank=len(self.probe.inputs) * outputs,
            layers=self.shape.depth + 1,
        )

    def state(self) -> dict[str, np.ndarray]:
        """Everything that `restore` needs, as named arrays."""
        arrays = {f"block.{name}": block for name, block in self.blocks.items()}
        for name, memory in self.memory.items():
            arrays |= {f"memory.{name}.{part}": array for part, array in memory.items()}
        return {"epoch": np.array(self.epoch), **arrays, **self.journal.arrays()}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Go back to where `state` was taken."""
        self.epoch = int(state["epoch"])
        self.blocks = {name: state[f"block.{name}"] for name in self.blocks}
        self.memory = {
            name: {part: state[f"memory.{name}.{part}"] for part in memory} for name, memory in self.memory.items()
        }
        self.journal = Journal.from_arrays(state)


def _manifold_of(config: TrainingConfig) -> Manifold:
    kind = manifold_class(config.manifold)
    return Oblique(penalty=config.penalty, clip=config.clip) if kind is Oblique else kind()


def _optimiser_of(config: TrainingConfig) -> Optimiser:
    kind = optimiser_class(config.optimiser)
    if kind is Adam:
        return Adam(beta=config.beta, beta_2=config.beta_2, epsilon=config.epsilon)
    return Momentum(beta=config.beta) if kind is Momentum else kind()


def _keep_memory_for_reuse() -> None:
    """Teach the C library to keep freed blocks of up to 30 MB.

    Until a large block has been freed once, glibc hands blocks of 128 kB and more back to the system and asks for them
    again at every step; the page faults then take several times as long as a narrow network's arithmetic.
    """
    np.zeros(30 << 20, dtype=np.uint8).fill(1)
