"""`train`: a plan -> a run folder whose best epoch is a model that the facade opens."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from easyseg._keras import keras, ops
from easyseg.errors import TrainingError
from easyseg.models.build import build_model
from easyseg.training.batch_norm import batch_norms, frozen_norms, measure, unmeasured, with_frozen
from easyseg.training.build import augmenter_of, loss_of, optimizer_of
from easyseg.training.callbacks import Bar, NaNCallback, inner_optimizer
from easyseg.training.config import TrainConfig
from easyseg.training.data_loader import TrainLoader, stream
from easyseg.training.distribution import compiler, devices, out_of_memory, shares
from easyseg.training.freeze_backbone import set_frozen
from easyseg.training.plan import Phase, Plan, phases
from easyseg.training.run_dir import LAST, State, write_state
from easyseg.training.sample_cache import SampleCache
from easyseg.training.validation import ValidateAndSave, card
from easyseg.weights.bundle import save_bundle
from easyseg.weights.loader import LoadedModel
from easyseg.weights.transfer import transfer

__all__ = ["halved", "train"]

log = logging.getLogger(__name__)

MEASURED = 32  # images that new batch norms take their statistics from
MEASURED_IMAGES = 8  # of them together, whatever the batch size of the run
TOO_SMALL = (
    "memory is too small for a batch of one image; choose a smaller crop, or output_stride=16."
)


def train(
    plan: Plan,
    folder: Path,
    *,
    start: LoadedModel | None = None,
    state: State | None = None,
    callbacks: Sequence[Any] = (),
    progress: bool = True,
) -> None:
    """Trains a network, and writes the run folder epoch by epoch.

    Args:
        plan: What to do.
        folder: Where to; `records` says what is written.
        start: The model whose weights a new run begins with.
        state: What a run that goes on begins with, instead.
        callbacks: The user's Keras callbacks; a run with a frozen phase calls `fit` twice.
        progress: Shows a bar.

    Raises:
        TrainingError: The loss became no number, memory is too small for a single image, or a run
            that goes on finds a number of devices to which its batch cannot be dealt out.
        OutputError: A file cannot be written. What was written of earlier epochs stays whole.
    """
    parts = shares(distribute=plan.config.distribute)
    if state is not None and not state.ended and state.batch_size % parts:
        raise TrainingError(
            f"{folder} is trained with batches of {state.batch_size} images, which cannot be dealt "
            f"out evenly to the {parts} devices here; go on where it began, or begin a new run "
            f"from {folder / LAST}."
        )
    keras.utils.set_random_seed(plan.config.seed)
    with devices(distribute=plan.config.distribute), _precision(plan.config.precision):
        run = Trainer(plan, folder, callbacks, progress=progress)
        run.go(run.begin(start) if state is None else state)


@contextlib.contextmanager
def _precision(policy: str) -> Iterator[None]:
    """Within, layers are made with this dtype policy; weights are float32 in all of them."""
    old = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(old)


class Trainer:
    """A network in training."""

    def __init__(
        self, plan: Plan, folder: Path, callbacks: Sequence[Any], *, progress: bool
    ) -> None:
        self.plan, self.folder, self.callbacks, self.progress = plan, folder, callbacks, progress
        self.network = build_model(plan.model)
        self.examples = SampleCache(
            plan.train, canvas=plan.model.input_size, memory=plan.config.cache_mb * 2**20
        )
        self.augment = augmenter_of(plan)

    def begin(self, start: LoadedModel | None) -> State:
        """Gives the network its first weights, and writes what a run that is killed begins with."""
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
            self._measure(new, MEASURED_IMAGES)
        state = State(
            epoch=0,
            phase=0,
            batch_size=plan.config.batch_size,
            accumulate=plan.config.accumulate,
            rows=[],
            best=None,
            ended=False,
            new_norms=[norm.name for norm in new],
            model=[ops.convert_to_numpy(v) for v in self.network.variables],
            optimizer=[],
        )
        save_bundle(
            self.folder / LAST, self.network, plan.model, plan.label_set, card=card(plan, None)
        )
        write_state(self.folder, state)
        return state

    def _measure(self, new: Sequence[Any], images: int) -> None:
        """Measures new batch norms, so many images together, or fewer where memory is short."""
        feed = TrainLoader(
            self.examples, self.augment, batch_size=images, seed=self.plan.config.seed
        )
        try:
            batches = (feed[i % len(feed)][0] for i in range(MEASURED // images))
            measure(self.network, new, batches)
        except Exception as error:
            if not out_of_memory(error):
                raise
            if images == 1:
                raise TrainingError(TOO_SMALL) from error
            log.warning("memory is too small to measure %d images together; half of them.", images)
        else:
            return
        finally:
            feed.close()
        self._measure(new, images // 2)

    def go(self, state: State) -> None:
        """Trains phase by phase, from a state to the end."""
        while not state.ended:
            number, phase = next(
                (i, phase)
                for i, phase in enumerate(phases(self.plan.config))
                if phase.begin <= state.epoch < phase.end
            )
            keeper = ValidateAndSave(
                self.folder, self.plan, self.network, state, phase=number, name=phase.name
            )
            try:
                self._fit(phase, keeper)
                state = keeper.state
            except Exception as error:
                if not out_of_memory(error):
                    raise
                state = halved(keeper.state, error, self.plan.config)

    def _fit(self, phase: Phase, keeper: ValidateAndSave) -> None:
        """Keras's `fit` on the rest of a phase."""
        state, config = keeper.state, self.plan.config
        for variable, value in zip(self.network.variables, state.model, strict=True):
            variable.assign(value)
        feed = TrainLoader(
            self.examples, self.augment, batch_size=state.batch_size, seed=config.seed
        )
        model = self._compiled(phase, state, len(feed))
        if len(state.optimizer) == len(model.optimizer.variables) and state.phase == keeper.phase:
            for variable, value in zip(model.optimizer.variables, state.optimizer, strict=True):
                variable.assign(value)
        else:  # a phase begins, or batches were halved: only the schedule goes on
            inner = inner_optimizer(model)
            batches = inner.variables[0]  # `iterations` would be updates
            batches.assign((state.epoch - phase.begin) * len(feed))
            if inner.use_ema:  # Keras begins the mean with the weights at its first batch alone
                means = inner._model_variables_moving_average
                for mean, variable in zip(means, model.trainable_variables, strict=True):
                    mean.assign(variable)
        bar = Bar(
            total=config.epochs * len(feed), done=state.epoch * len(feed), shown=self.progress
        )
        try:
            model.fit(
                stream(feed),
                initial_epoch=state.epoch,
                epochs=phase.end,
                shuffle=False,  # of batches, by Python's own dice; the feed has its order
                verbose=0,
                callbacks=[NaNCallback(feed), keeper, *self.callbacks, bar],
            )
        finally:
            feed.close()
            bar.close()

    def _compiled(self, phase: Phase, state: State, batches: int) -> Any:
        """The network as `fit` takes it: norms, frozen layers, loss, optimizer."""
        config, plan = self.plan.config, self.plan
        set_frozen(self.network, plan.model, frozen=phase.frozen)
        new = [norm for norm in batch_norms(self.network) if norm.name in state.new_norms]
        frozen = frozen_norms(self.network, new, config.batch_norm, state.batch_size)
        model = with_frozen(self.network, frozen)
        optimizer = optimizer_of(plan, phase, batches=batches, accumulate=state.accumulate)
        model.compile(optimizer, loss_of(plan), jit_compile=compiler())
        model.optimizer.build(model.trainable_variables)
        return model


def halved(state: State, error: Exception, config: TrainConfig) -> State:
    """The state with half the batch, whose updates count as many images as before.

    Args:
        state: The last epoch's.
        error: How the backend said that memory is out.
        config: The run's choices.

    Raises:
        TrainingError: There is no half, or one that its batch norms or devices cannot work with.
    """
    half = state.batch_size // 2
    if half == 1 and config.batch_norm == "trained":
        raise TrainingError(
            f"memory is too small for batches of {state.batch_size} images, and with "
            "batch_norm='trained' a batch of one has no statistics; begin again with "
            "batch_norm='auto', or a smaller crop."
        ) from error
    parts = shares(distribute=config.distribute)
    if half % parts:
        raise TrainingError(
            f"memory is too small for batches of {state.batch_size} images, and half of them "
            f"cannot be dealt out evenly to {parts} devices; choose a smaller crop."
        ) from error
    if not half:
        raise TrainingError(TOO_SMALL) from error
    accumulate = state.accumulate * 2
    log.warning(
        "memory is too small for batches of %d images; training goes on with %d, and %d of them "
        "make one update.",
        state.batch_size,
        half,
        accumulate,
    )
    return state._replace(batch_size=half, accumulate=accumulate, optimizer=[])
