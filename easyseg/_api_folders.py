"""The facade's methods for folders and lists."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from easyseg.inference.runtimes.ready import checksum
from easyseg.io.find_images import Source
from easyseg.models.config import ModelConfig
from easyseg.models.kerashub.config import KerasHubConfig
from easyseg.results.label_set import LabelSet
from easyseg.results.segmentation import Classes

if TYPE_CHECKING:
    from easyseg.inference.folder import FolderSummary
    from easyseg.inference.predictor import Predictor

__all__ = ["Folders"]


class Folders:
    """Part of `SemanticSegmentation`."""

    name: str
    model: Any
    config: ModelConfig | KerasHubConfig
    label_set: LabelSet
    _predictor: Predictor

    def segment_folder(
        self,
        sources: Source | Iterable[Source],
        out: str | os.PathLike[str] | None = None,
        *,
        kind: str = "overlay",
        alpha: float = 0.6,
        classes: Classes | None = None,
        legend: bool = False,
        resume: bool = False,
        jsonl: str | os.PathLike[str] | None = None,
        batch_size: int | None = None,
        progress: bool = True,
    ) -> FolderSummary:
        """Segments the images of folders, patterns and lists, and writes a result for each.

            print(seg.segment_folder("images", "out", resume=True))

        An image that cannot be read does not stop the others. Reading and writing go on beside
        the network, and only a few images are held at a time. Areas of the classes stand in
        JSON lines, one object for each image (`docs/folders.md` says what they hold).

        Args:
            sources: A file, a folder (searched through), a glob pattern, an http(s) address,
                `@list.txt` (a file with a source on each line), or several of them.
            out: Folder for the results, or a file for a single image. Without it, results lie
                beside the images as `<name>.seg.png`.
            kind: As in `segment_image`; it says the results' ending too.
            alpha: How much of the class color covers the image in an overlay, 0 to 1.
            classes: Only these classes, by name or id.
            legend: Writes names and shares into the lower left corner.
            resume: Skips images that the JSON lines say were done with the same model and
                options, if the result is there and not older than the image. Without it, all
                results and the JSON lines are written anew.
            jsonl: Place of the JSON lines, instead of `results.jsonl` in `out`, or without it in
                the images' common folder.
            batch_size: Images that go through the network together; by default the model's.
            progress: Shows a bar.

        Returns:
            How many were done, skipped and failed, and why.

        Raises:
            ImageNotFoundError: A folder or pattern means no image.
            InputError: Results would overwrite images or lie among them.
            OutputError: The results' place cannot be written, or the disk is full; results that
                were written before stay whole.
            UnknownNameError: The model has no such class, or there is no such kind.
        """
        from easyseg.inference.folder import segment_folder  # noqa: PLC0415  (tqdm, for this alone)

        return segment_folder(
            self._predictor,
            sources,
            out,
            kind=kind,
            alpha=alpha,
            classes=classes,
            legend=legend,
            resume=resume,
            jsonl=jsonl,
            batch_size=batch_size,
            progress=progress,
            settings=self._settings(),
        )

    def _settings(self) -> dict[str, Any]:
        """What results depend on, beside the options of a run."""
        return {
            "model": self.name,
            "weights": self._predictor.weights or checksum(self.model),
            "output_stride": self.config.output_stride,
            "tile": self._predictor.window,
            "scales": self._predictor.scales,
            "flip": self._predictor.flip,
            "precision": self._predictor.precision,
        }
