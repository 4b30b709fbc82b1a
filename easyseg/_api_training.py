"""The facade's methods for training."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from easyseg.models.config import ModelConfig
from easyseg.models.kerashub.config import KerasHubConfig
from easyseg.results.label_set import LabelSet

if TYPE_CHECKING:
    from typing import Self

    from easyseg.datasets.base import Dataset

__all__ = ["Training"]


class Training:
    """Part of `SemanticSegmentation`."""

    name: str
    model: Any
    config: ModelConfig | KerasHubConfig
    label_set: LabelSet

    def fine_tune(
        self,
        data: str | os.PathLike[str] | Dataset,
        *,
        format: str | None = None,  # noqa: A002  (as `open_dataset` has it)
        classes: Iterable[str] | LabelSet | None = None,
        ignore: Iterable[str | int] = (),
        name: str | None = None,
        runs: str | os.PathLike[str] = "runs",
        resume: bool = False,
        callbacks: Sequence[Any] = (),
        progress: bool = True,
        **options: Any,
    ) -> Self:
        """Trains the model further on your own images, and gives the trained model.

            mine = seg.fine_tune("my_folder")
            mine.segment_image("new.jpg", "new.png")

        This object stays as it is. The folder `runs/my_folder` has the report (`report.html`), the
        figures of each epoch (`results.csv`), and the best epoch, which
        `SemanticSegmentation("runs/my_folder")` opens at any time.

        Classes are the data set's. Where they are the model's too its head is kept; else classes
        of the same name keep their weights. `docs/fine-tuning.md` says what to choose when.

        Args:
            data: Folder or file of a data set (`docs/datasets.md`), or a `Dataset`.
            format: The data set's, if it shall not be guessed: "coco", "voc", ...
            classes: Those of the data set's classes to keep, in this order; or, where its files
                name none, the names of the masks' values.
            ignore: Classes of the data set, by name or id, whose pixels do not count.
            name: Of the run's folder; by default the data set's. If it is there, the run is
                called `name-2`.
            runs: The folder of run folders.
            resume: Goes on with the run of this name if it was begun, and begins it if not.
            callbacks: Keras callbacks, for TensorBoard, MLflow or Weights & Biases.
            progress: Shows bars.
            **options: How it is trained, by the fields of `easyseg.TrainConfig`: epochs=30,
                batch_size=8, crop=361, loss="cross_entropy+dice", learning_rate=5e-4,
                class_weights="auto", augment=["scale", "flip"], patience=5, seed=0, ...; and what
                shall be different in the network, by the fields of `easyseg.ModelConfig`:
                decoder="deeplabv3plus", output_stride=8, ...

        Returns:
            The best epoch's model.

        Raises:
            InputError: A choice breaks its rule, or there is none of this name.
            DatasetError: The data set cannot be trained on; names the first bad file.
            TrainingError: The loss became no number, or the folder is in use; says what is kept.
            OutputError: The folder cannot be written; what is in it stays whole.
        """
        from easyseg.datasets import Reading  # noqa: PLC0415  (NumPy and OpenCV)
        from easyseg.training.fine_tune import fine_tune  # noqa: PLC0415
        from easyseg.weights.loader import LoadedModel  # noqa: PLC0415  (loads Keras)

        folder = fine_tune(
            LoadedModel(self.model, self.config, self.label_set),
            data,
            reading=Reading(format, classes, ignore),
            start_name=self.name,
            runs=Path(runs),
            name=name,
            go_on=resume,
            callbacks=callbacks,
            progress=progress,
            options=options,
        )
        return type(self)(folder)  # type: ignore[call-arg]

    @classmethod
    def resume(
        cls,
        folder: str | os.PathLike[str],
        *,
        data: str | os.PathLike[str] | Dataset | None = None,
        callbacks: Sequence[Any] = (),
        progress: bool = True,
    ) -> Self:
        """Goes on with a training run that was stopped, as if it had not been.

        Args:
            folder: The run's, such as "runs/my_folder".
            data: Its data set, where it was given as a `Dataset` or has moved.
            callbacks: As in `fine_tune`; they are not recorded.
            progress: Shows bars.

        Returns:
            The best epoch's model.

        Raises:
            TrainingError: There is no run in the folder, or one is going on in it; or its data
                is not what it began with.
        """
        from easyseg.training.fine_tune import resume  # noqa: PLC0415  (loads Keras)

        done = resume(Path(folder), data=data, callbacks=callbacks, progress=progress)
        return cls(done)  # type: ignore[call-arg]
