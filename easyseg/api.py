"""`SemanticSegmentation`: the two lines that most users need."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from easyseg._api_backgrounds import Backgrounds
from easyseg._api_evaluating import Evaluating
from easyseg._api_folders import Folders
from easyseg._api_training import Training
from easyseg._api_videos import Videos
from easyseg.inference.runtimes import check_runtime
from easyseg.inference.views import check_inference_options
from easyseg.io.read_image import ImageSource
from easyseg.models.config import ModelConfig
from easyseg.models.kerashub.config import KerasHubConfig
from easyseg.results.label_set import LabelSet
from easyseg.results.segmentation import Classes, Segmentation, check_output

if TYPE_CHECKING:
    from easyseg.inference.opening import Opening

__all__ = ["SemanticSegmentation", "list_models"]

log = logging.getLogger(__name__)


class SemanticSegmentation(Videos, Backgrounds, Folders, Evaluating, Training):
    """Segments images.

    The network is built, and its weights are downloaded if need be, when this object is made; after
    `optimize`, a compiled runtime may be all that is loaded, and the network when it is needed.

        seg = SemanticSegmentation("xception65.ade20k")
        result = seg.segment_image("street.jpg", "street.png")

    Args:
        model: "mini", a small model of the 21 Pascal VOC classes that comes with easyseg; a name
            from `list_models()` for paper quality by download; the folder of a bundle that `save`
            wrote; an .h5 file of PixelLib's, or a frozen graph (.pb) of Google's; "hub:" and a
            preset of KerasHub's, such as "hub:segformer_b0_ade20k_512". Without a name it is
            "mini", which is said once.
        like: For a file, the published weights whose network and classes it has, such as
            "xception65.voc"; an .h5 file under its published name needs none.
        output_stride: 8 for finer borders at two to four times the time, 16, or 32; by default
            the model's own, which is 16 for all published weights.
        batch_size: Images that go through the network together where there are several; by
            default as many as `optimize` found to be fastest, and one before that.
        tile: Images larger than so many pixels are not shrunk but seen in overlapping windows
            of this size, such as 513 or 1025: for small things in large images.
        scales: Factors of the image's size at which it is seen too, such as
            (0.5, 0.75, 1.0, 1.25, 1.5, 1.75): finer and slower.
        flip: Sees the mirror image too, at twice the time.
        runtime: What runs the network: "keras" (Keras), "tensorflow", "openvino", "onnxruntime",
            "litert"; "auto" is the fastest of them, once `optimize` or a long run has measured.
            All but "keras" keep the weights that the model has at the first image.
        precision: "float32" computes in float32; "bfloat16" in bfloat16, where the processor can;
            "int8" with 8 bits, after `optimize(images)` (see docs/performance.md).
        cache_dir: Folder for downloads; by default `EASYSEG_HOME` or the user's cache.
        progress: Shows a bar while downloading.

    Raises:
        UnknownNameError: Neither a known name nor a folder; no such runtime or precision.
        InputError: A file needs `architecture`; `batch_size`, `tile` or `scales` breaks its rule; the
            runtime has no such precision.
        ConfigError: Such an output stride cannot be built.
        WeightsError: The weights cannot be had, or are not for this network.
    """

    config: ModelConfig | KerasHubConfig
    label_set: LabelSet
    _opening: Opening | None  # none for a fresh network

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        *,
        architecture: str | None = None,
        output_stride: int | None = None,
        batch_size: int | None = None,
        tile: int | None = None,
        scales: Sequence[float] = (1.0,),
        flip: bool = False,
        runtime: str = "auto",
        precision: str = "float32",
        cache_dir: str | os.PathLike[str] | None = None,
        progress: bool = True,
    ) -> None:
        from easyseg.inference.opening import Opening  # noqa: PLC0415

        if model is None:
            _say_default()
            model = "mini"
        check_inference_options(
            batch_size=batch_size, tile=tile, scales=scales
        )  # before any download
        check_runtime(runtime, precision)
        self.name = str(model)
        self._opening = Opening(
            model,
            architecture=architecture,
            output_stride=output_stride,
            cache_dir=cache_dir,
            progress=progress,
            batch_size=batch_size,
            tile=tile,
            scales=scales,
            flip=flip,
            runtime=runtime,
            precision=precision,
        )
        self.config, self.label_set, self._predictor = self._opening.begin()

    @functools.cached_property
    def model(self) -> Any:
        """The Keras model, `(N, H, W, 3)`, 0 to 255 -> logits `(N, H, W, classes)`."""
        assert self._opening is not None  # noqa: S101  (`new` has its model)
        model = self._opening.opened.model
        if not self._predictor.has_network:  # whose weights may be changed from now on
            self._predictor = self._opening.predictor()
        return model

    @classmethod
    def create(
        cls,
        backbone: Any = None,
        *,
        classes: int | Sequence[str] | LabelSet,
        low: str | Mapping[int, str] | None = None,
        high: str | None = None,
        preprocessing: str | None = None,
        preset: str | None = None,
        weights: str | os.PathLike[str] | None = None,
        **fields: Any,
    ) -> SemanticSegmentation:
        """A network that has not been trained yet, to fine-tune.

            seg = SemanticSegmentation.create("resnet50", classes=["road", "car"], weights="imagenet")

        Args:
            backbone: Such as "xception65", "mobilenetv2", "resnet50"; by default the preset's. Or
                a functional or sequential Keras model, with whose weights the network begins.
            classes: How many, their names, or a label set.
            low: With a Keras model, its layer at stride 4 whose output the decoder gets, or
                `{4: ..., 8: ...}`; leave it out with decoder="none".
            high: With a Keras model, its layer whose output the head gets.
            preprocessing: What a Keras model expects of an image: "tf" for -1 to 1 (the default),
                "raw" for 0 to 255, "torch", "caffe" or "tf128".
            preset: "paper", "deeplabv3_resnet50", "se_decoder", "resnet101_stage2_skip" or
                "mobile"; without, DeepLabV3+ as in `ModelConfig()`.
            weights: "imagenet" for the backbone's ImageNet weights by Keras's own download, or a
                file of them; without, all weights are random.
            **fields: Other fields of `ModelConfig`, such as `output_stride=8`, `attention="se"`;
                `docs/variants.md` shows what there is.

        Raises:
            InputError: `classes` breaks its rule, there is no such preset or field, two choices
                exclude each other, the Keras model can be no backbone or has no such layer, or
                the backbone has no ImageNet weights.
            WeightsError: The ImageNet weights cannot be had, or are another network's.
        """
        from easyseg.inference.predictor import Predictor  # noqa: PLC0415
        from easyseg.weights.create import create_model  # noqa: PLC0415  (loads Keras)

        fresh = cls.__new__(cls)
        layers = {"low": low, "high": high, "preprocessing": preprocessing}
        model, config, labels = create_model(
            classes, backbone=backbone, layers=layers, preset=preset, weights=weights, **fields
        )
        fresh.name, fresh.model = config.backbone, model
        fresh.config, fresh.label_set = config, labels
        fresh._opening = None
        fresh._predictor = Predictor(model, labels, input_size=config.input_size)
        return fresh

    def segment_image(
        self,
        image: ImageSource,
        out: str | os.PathLike[str] | None = None,
        *,
        kind: str = "overlay",
        alpha: float = 0.6,
        classes: Classes | None = None,
        legend: bool = False,
    ) -> Segmentation:
        """Segments an image and, with `out`, writes what was found.

        Args:
            image: Path, http(s) address, bytes, PIL image, or `(H, W, 3)` uint8 RGB array.
            out: Image or document to write, such as "street.png".
            kind: What is written: "overlay" (image with tinted classes), "mask" (a palette PNG of
                ids), "coco", ...; `docs/outputs.md` lists all, with their endings.
            alpha: How much of the class color covers the image in an overlay, 0 to 1.
            classes: Only these classes, by name or id; the rest becomes the label set's void.
            legend: Writes names and shares into the lower left corner.

        Returns:
            The result at the image's own size, reduced to `classes` if given.

        Raises:
            ImageError: The image cannot be read.
            OutputError: The result cannot be written; nothing half-written is left.
            UnknownNameError: The model has no such class, or there is no such kind.
        """
        check_output(None if out is None else Path(out), kind, alpha=alpha)
        wanted = None if classes is None else self.label_set.ids_of(classes)
        result = self._predictor.one(image)
        if wanted is not None:
            result = result.filter(wanted)
        if out is not None:
            result.save(out, kind, alpha=alpha, legend=legend)
        return result

    def segment_images(self, images: Iterable[ImageSource]) -> Iterator[Segmentation]:
        """Segments images one after the other, holding no more than a batch at a time.

        Raises:
            InputError: `images` is one image, not several.
            ImageError: An image cannot be read; the iterator ends there, after the results of
                the images before it.
        """
        return self._predictor(images)

    def optimize(self, images: Iterable[ImageSource] = ()) -> dict[str, float]:
        """Makes ready what the first image would wait for, and measures.

        With runtime="auto" all runtimes that are installed take their turn, and the fastest is used
        from now on, in later processes too.

        Args:
            images: Images to calibrate precision="int8" with, some 100 of the kind to come.

        Returns:
            Milliseconds of the network for an image, by runtime, fastest first.

        Raises:
            ImageError: An image cannot be read.
            InputError: precision="int8" has neither been calibrated nor images for it.
        """
        if self._opening is not None and not self._predictor.has_network:
            self._predictor = self._opening.predictor()
        times = self._predictor.optimize(images)
        if self._opening is not None:
            self._opening.remember(self._predictor)
        return times

    def save(self, folder: str | os.PathLike[str], *, dtype: str = "float32") -> Path:
        """Writes the model as a bundle, which `SemanticSegmentation(folder)` opens.

        Args:
            folder: Where to; a bundle there is replaced.
            dtype: "float32", or "float16" for half the size.

        Raises:
            OutputError: The folder holds something else, or cannot be written.
        """
        from easyseg.weights.bundle import save_bundle  # noqa: PLC0415

        card = f"# {Path(folder).name}\n\nSaved from `{self.name}`.\n"
        return save_bundle(
            Path(folder), self.model, self.config, self.label_set, card=card, dtype=dtype
        )

    def __repr__(self) -> str:
        return (
            f"<SemanticSegmentation {self.name}: {len(self.label_set)} classes of "
            f"{self.label_set.name}, output stride {self.config.output_stride}>"
        )


def list_models() -> list[str]:
    """Names that `SemanticSegmentation` takes: "mini" and the published weights."""
    from easyseg.weights.manifest import weight_sets  # noqa: PLC0415

    return ["mini", *weight_sets()]


@functools.cache
def _say_default() -> None:
    log.warning(
        'using "mini", the small model that comes with easyseg (21 classes); '
        'for paper quality name one, such as SemanticSegmentation("xception65.ade20k").'
    )
