"""`train`: carries out a plan, phase by phase, and writes the run directory epoch by epoch."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from easyseg._keras import keras, keras_defaults, ops
from easyseg.errors import TrainingError
from easyseg.models.build import build_model
from easyseg.training.batch_norm import batch_norms, frozen_norms, measure, unmeasured, with_frozen
from easyseg.training.callbacks import Bar, NaNCallback, inner_optimizer
from easyseg.training.config import TrainConfig
from easyseg.training.data_loader import SampleCache, TrainLoader, stream
from easyseg.training.distribution import device_count, devices, jit_compile, out_of_memory
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
from easyseg.training.validation import ValidateAndSave, card
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
) -> None:
    """Trains a network, and writes the run directory epoch by epoch.

    Args:
        plan: What to do.
        run_dir: An existing folder; `easyseg.training.run_dir` lists its files.
        start: The model whose weights a new run starts with.
        state: The state that a resumed run starts with, instead.
        callbacks: The user's Keras callbacks; a run with a frozen phase calls `fit` twice.
        progress: Shows a bar.

    Raises:
        TrainingError: The loss is not finite, memory is too small for a single image, or the batch
            of a resumed run cannot be divided among the devices.
        OutputError: A file cannot be written. The files of earlier epochs stay whole.
    """
    if state is not None and state.ended:
        return
    count = device_count(distribute=plan.config.distribute)
    if state is not None and state.batch_size % count:
        raise TrainingError(
            f"{run_dir} is trained with batches of {state.batch_size} images, which cannot be "
            f"divided evenly among the {count} devices here; resume it on the machine where it "
            f"began, or start a new run from {run_dir / LAST}."
        )
    keras.utils.set_random_seed(plan.config.seed)
    with devices(distribute=plan.config.distribute), keras_defaults(plan.config.precision):
        trainer = Trainer(plan, run_dir, callbacks, progress=progress)
        trainer.run(trainer.initial_state(start) if state is None else state)


class Trainer:
    """A network in training."""

    def __init__(
        self, plan: Plan, run_dir: Path, callbacks: Sequence[Any], *, progress: bool
    ) -> None:
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
            validate = ValidateAndSave(
                self.run_dir, self.plan, self.network, state, phase=number, name=phase.name
            )
            try:
                self._fit(phase, validate)
                state = validate.state
            except Exception as error:
                if not out_of_memory(error):
                    raise
                state = halved(validate.state, error, self.plan.config)

    def _fit(self, phase: Phase, validate: ValidateAndSave) -> None:
        """Keras's `fit` on the rest of a phase."""
        state, config = validate.state, self.plan.config
        for variable, value in zip(self.network.variables, state.model, strict=True):
            variable.assign(value)
        loader = TrainLoader(
            self.cache, self.augment, batch_size=state.batch_size, seed=config.seed
        )
        model = self._compiled(phase, state, len(loader))
        if len(state.optimizer) == len(model.optimizer.variables) and state.phase == validate.phase:
            for variable, value in zip(model.optimizer.variables, state.optimizer, strict=True):
                variable.assign(value)
        else:  # a phase starts, or batches were halved: only the schedule continues
            _start_optimizer(model, batches=(state.epoch - phase.begin) * len(loader))
        total, initial = (epochs * len(loader) for epochs in (config.epochs, state.epoch))
        bar = Bar(total=total, initial=initial, shown=self.progress)
        try:
            model.fit(
                stream(loader),
                initial_epoch=state.epoch,
                epochs=phase.end,
                shuffle=False,  # of batches, by Python's generator; the loader has its order
                verbose=0,
                callbacks=[NaNCallback(loader), validate, *self.callbacks, bar],
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


def halved(state: State, error: Exception, config: TrainConfig) -> State:
    """The state with half the batch and twice the accumulation, so that updates stay the same.

    Args:
        state: The last epoch's.
        error: The backend's out-of-memory error.
        config: The run's choices.

    Raises:
        TrainingError: The batch is one image, or its batch norms or devices cannot work with half.
    """
    half = state.batch_size // 2
    if half == 1 and config.batch_norm == "trained":
        raise TrainingError(
            f"memory is too small for batches of {state.batch_size} images, and with "
            "batch_norm='trained' a batch of one has no statistics; start again with "
            "batch_norm='auto', or a smaller crop."
        ) from error
    count = device_count(distribute=config.distribute)
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
