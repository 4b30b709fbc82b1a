"""`train`: carries out a plan, phase by phase, and writes the run directory epoch by epoch."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from easyseg._keras import backend, keras, keras_defaults, ops
from easyseg.errors import TrainingError
from easyseg.models.build import build_model
from easyseg.training.batch_norm import batch_norms, frozen_norms, measure, unmeasured, with_frozen
from easyseg.training.callbacks import Bar, NaNCallback, inner_optimizer
from easyseg.training.config import TrainConfig
from easyseg.training.data_loader import SampleCache, TrainLoader, stream
from easyseg.training.distribution import device_count, devices, jit_compile, out_of_memory
from easyseg.training.follow_chief import (
    FollowChief,
    TellWorkers,
    assign,
    assign_network,
    receive_state,
    tell_state,
)
from easyseg.training.freeze_backbone import set_frozen
from easyseg.training.plan import (
    Phase,
    Plan,
    build_augmenter,
    build_loss,
    build_optimizer,
    phases,
)
from easyseg.training.run_dir import LAST, State, write_state
from easyseg.training.shared_model import shared
from easyseg.training.validation import ValidateAndSave, card
from easyseg.training.workers import ALONE, Workers
from easyseg.weights.bundle import save_bundle
from easyseg.weights.loader import LoadedModel
from easyseg.weights.transfer import transfer

log = logging.getLogger(__name__)

MEASURED_IMAGES = 32  # from which new batch norms take their statistics
MEASURED_BATCH = 8  # of these in one batch, whatever the batch size of the run
TOO_SMALL = (
    "memory is too small for a batch of one image; choose a smaller crop, or output_stride=16."
)


def train(
    plan: Plan,
    run_dir: Path,
    *,
    start: LoadedModel | None = None,
    state: State | None = None,
    callbacks: Sequence[Any] = (),
    progress: bool = True,
    workers: Workers = ALONE,
) -> None:
    """Trains a network, and writes the run directory epoch by epoch.

    Of several workers, the chief alone uses `run_dir`, `start`, `state`, `callbacks` and
    `progress`.

    Args:
        plan: What to do.
        run_dir: An existing folder; `easyseg.training.run_dir` lists its files.
        start: The model whose weights a new run starts with.
        state: The state that a resumed run starts with, instead.
        callbacks: The user's Keras callbacks; a run with a frozen phase calls `fit` twice.
        progress: Shows a bar.
        workers: The processes that share each batch.

    Raises:
        TrainingError: The loss is not finite, memory is too small for a single image, the batch
            of a resumed run cannot be divided among the devices, or a worker was lost.
        OutputError: A file cannot be written. The files of earlier epochs stay whole.
    """
    if workers.decide(lambda: state is not None and state.ended):
        return
    batch_size = workers.decide(lambda: state.batch_size if state else plan.config.batch_size)
    count = workers.count * device_count(plan.config.distribute)
    if batch_size % count:
        raise TrainingError(
            f"{run_dir} is trained with batches of {batch_size} images, which cannot be "
            f"divided evenly among the {count} {'workers' if workers.count > 1 else 'devices'} "
            f"here; resume it with as many as it began with, or start a new run from "
            f"{run_dir / LAST}."
        )
    keras.utils.set_random_seed(plan.config.seed)
    with (
        devices(plan.config.distribute),
        keras_defaults(plan.config.precision),
        workers.explained(),
    ):
        trainer = Trainer(plan, run_dir, callbacks, progress=progress, workers=workers)
        if workers.is_chief:
            first = trainer.initial_state(start) if state is None else state
            tell_state(workers, lambda: first)
        else:
            first = receive_state(workers)
        trainer.run(first)


class Trainer:
    """A network in training."""

    def __init__(
        self,
        plan: Plan,
        run_dir: Path,
        callbacks: Sequence[Any],
        *,
        progress: bool,
        workers: Workers = ALONE,
    ) -> None:
        self.workers = workers
        self.plan, self.run_dir, self.callbacks, self.progress = plan, run_dir, callbacks, progress
        self.network = build_model(plan.model)
        self.cache = SampleCache(
            plan.train,
            input_size=plan.model.input_size,
            cache_bytes=plan.config.cache_mb * 2**20,
        )
        self.augment = build_augmenter(plan.config, plan.model.input_size)

    def initial_state(self, start: LoadedModel | None) -> State:
        """Sets the network's first weights, and writes the state that a killed run resumes from."""
        plan = self.plan
        if start is not None:
            report = transfer(
                start.model,
                self.network,
                source_labels=start.label_set,
                target_labels=plan.label_set,
            )
            log.info("%s", report)
        new = unmeasured(self.network)
        if new:
            self._measure(new, MEASURED_BATCH)
        state = State(
            epoch=0,
            phase=0,
            batch_size=plan.config.batch_size,
            accumulate=plan.config.accumulate,
            history=[],
            best=None,
            ended=False,
            new_norms=[norm.name for norm in new],
            model=[ops.convert_to_numpy(v) for v in self.network.variables],
            optimizer=[],
        )
        save_bundle(
            self.run_dir / LAST, self.network, plan.model, plan.label_set, card=card(plan, None)
        )
        write_state(self.run_dir, state)
        return state

    def _measure(self, new: Sequence[Any], batch_size: int) -> None:
        """Measures the statistics of new batch norms; smaller batches where memory is short."""
        loader = TrainLoader(
            self.cache, self.augment, batch_size=batch_size, seed=self.plan.config.seed
        )
        try:
            batches = (loader[i % len(loader)][0] for i in range(MEASURED_IMAGES // batch_size))
            measure(self.network, new, batches)
        except Exception as error:
            if not out_of_memory(error):
                raise
            if batch_size == 1:
                raise TrainingError(TOO_SMALL) from error
            log.warning(
                "memory is too small to measure batch norms on %d images at once; trying half.",
                batch_size,
            )
        else:
            return
        finally:
            loader.close()
        self._measure(new, batch_size // 2)

    def run(self, state: State) -> None:
        """Trains phase by phase, from a state to the end."""
        while not state.ended:
            number, phase = next(
                (i, phase)
                for i, phase in enumerate(phases(self.plan.config))
                if phase.begin <= state.epoch < phase.end
            )
            keeper = (
                ValidateAndSave(
                    self.run_dir, self.plan, self.network, state, phase=number, name=phase.name
                )
                if self.workers.is_chief
                else FollowChief(self.workers, self.network, state, phase=number)
            )
            try:
                self._fit(phase, keeper)
                state = keeper.state
            except Exception as error:
                if not out_of_memory(error):
                    raise
                state = halved(keeper.state, error, self.plan.config, workers=self.workers)

    def _fit(self, phase: Phase, keeper: ValidateAndSave | FollowChief) -> None:
        """Keras's `fit` on the rest of a phase."""
        state, config, workers = keeper.state, self.plan.config, self.workers
        assign_network(self.network, state.model, rank=workers.rank)
        loader = TrainLoader(
            self.cache,
            self.augment,
            batch_size=state.batch_size,
            seed=config.seed,
            part=(workers.rank, workers.count),
        )
        model = self._compiled(phase, state, len(loader))
        if len(state.optimizer) == len(model.optimizer.variables) and state.phase == keeper.phase:
            assign(model.optimizer.variables, state.optimizer)
        else:  # a phase starts, or batches were halved: only the schedule continues
            _start_optimizer(model, batches=(state.epoch - phase.begin) * len(loader))
        total, initial = (epochs * len(loader) for epochs in (config.epochs, state.epoch))
        bar = Bar(total=total, initial=initial, shown=self.progress and workers.is_chief)
        own = [*self.callbacks] if workers.is_chief else []
        if workers.is_chief and workers.count > 1:
            own.append(TellWorkers(workers, lambda: keeper.state))
        try:
            model.fit(
                stream(loader),
                initial_epoch=state.epoch,
                epochs=phase.end,
                shuffle=False,  # of batches, by Python's generator; the loader has its order
                verbose=0,
                callbacks=[NaNCallback(loader), keeper, *own, bar],
            )
        finally:
            loader.close()
            bar.close()

    def _compiled(self, phase: Phase, state: State, batches: int) -> Any:
        """The network as `fit` takes it: batch norms, frozen layers, loss, optimizer."""
        config, plan = self.plan.config, self.plan
        set_frozen(self.network, plan.model, frozen=phase.frozen)
        new = [norm for norm in batch_norms(self.network) if norm.name in state.new_norms]
        frozen = frozen_norms(self.network, new, config.batch_norm, state.batch_size)
        model = with_frozen(self.network, frozen)
        optimizer = build_optimizer(
            plan.config, phase, batches=batches, accumulate=state.accumulate
        )
        if backend() == "tensorflow" and (config.distribute == "auto" or self.workers.count > 1):
            for norm in batch_norms(self.network):
                norm.synchronized = norm not in frozen  # statistics are those of the whole batch
            model = shared(model, optimizer, build_loss(plan), self.workers)
        else:
            model.compile(optimizer, build_loss(plan), jit_compile=jit_compile())
        model.optimizer.build(model.trainable_variables)
        return model


def _start_optimizer(model: Any, *, batches: int) -> None:
    """Sets a new optimizer to where the schedule is after so many batches of the phase."""
    optimizer = inner_optimizer(model)
    optimizer.variables[0].assign(batches)  # `iterations` would be updates
    if optimizer.use_ema:  # Keras starts the mean from the weights at its first batch only
        means = optimizer._model_variables_moving_average
        for mean, variable in zip(means, model.trainable_variables, strict=True):
            mean.assign(variable)


def halved(
    state: State, error: Exception, config: TrainConfig, *, workers: Workers = ALONE
) -> State:
    """The state with half the batch and twice the accumulation, so that updates stay the same.

    Args:
        state: The last epoch's.
        error: The backend's out-of-memory error.
        config: The run's choices.
        workers: The processes of the run.

    Raises:
        TrainingError: The batch is one image, or its batch norms or devices cannot work with half;
            or there are several workers, of which the others do not know.
    """
    if workers.count > 1:
        raise TrainingError(
            f"memory is too small for {state.batch_size // workers.count} images on worker "
            f"{workers.rank}, and several workers cannot halve their batches; start a new run with "
            f"batch_size={state.batch_size // 2}, accumulate={state.accumulate * 2}, or a smaller "
            "crop."
        ) from error
    half = state.batch_size // 2
    if half == 1 and config.batch_norm == "trained":
        raise TrainingError(
            f"memory is too small for batches of {state.batch_size} images, and with "
            "batch_norm='trained' a batch of one has no statistics; start again with "
            "batch_norm='auto', or a smaller crop."
        ) from error
    count = device_count(config.distribute)
    if half % count:
        raise TrainingError(
            f"memory is too small for batches of {state.batch_size} images, and half of them "
            f"cannot be divided evenly among {count} devices; choose a smaller crop."
        ) from error
    if not half:
        raise TrainingError(TOO_SMALL) from error
    accumulate = state.accumulate * 2
    log.warning(
        "memory is too small for batches of %d images; training continues with batch size %d and "
        "accumulate=%d.",
        state.batch_size,
        half,
        accumulate,
    )
    return state._replace(batch_size=half, accumulate=accumulate, optimizer=[])
