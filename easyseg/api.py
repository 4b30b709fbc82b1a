"""`SemanticSegmentation`: a model and everything it can do, in two lines of Python."""

from __future__ import annotations

import dataclasses
import functools
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from easyseg.datasets import DatasetOptions
from easyseg.evaluation.evaluate import evaluate_dataset
from easyseg.export.opened_model import OpenedModel
from easyseg.export.options import ALLOWED_DROP, ExportOptions, format_of
from easyseg.inference.background import BackgroundOptions, edit_background, is_several
from easyseg.inference.folder import segment_folder
from easyseg.inference.options import InferenceOptions
from easyseg.inference.predictor import Predictor
from easyseg.inference.runtimes import AUTO
from easyseg.inference.scene import segment_scene
from easyseg.inference.video import stream_video
from easyseg.inference.video_pieces import segment_video_pieces
from easyseg.models.config import ModelConfig
from easyseg.models.kerashub.config import KerasHubConfig
from easyseg.results.label_set import Classes, LabelSet
from easyseg.results.outputs.spec import OutputSpec
from easyseg.results.segmentation import Segmentation
from easyseg.training.run_dir import read_report_parts
from easyseg.utils.validation import check_options, checked
from easyseg.weights.bundle import EMBEDDED
from easyseg.weights.foreign import ForeignOptions
from easyseg.weights.manifest import weight_sets
from easyseg.weights.network_file import ExportedConfig

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from easyseg.datasets.base import Dataset, Sample
    from easyseg.evaluation.scores import Scores
    from easyseg.export.export import ExportSummary
    from easyseg.inference.folder import FolderSummary
    from easyseg.inference.scene_areas import SceneSummary
    from easyseg.inference.video import VideoSummary
    from easyseg.io.find_images import Source
    from easyseg.io.read_image import ImageSource
    from easyseg.training.fine_tune import FineTuned
    from easyseg.weights.loader import LoadedModel

log = logging.getLogger(__name__)

AnyPath = str | os.PathLike[str]


class SemanticSegmentation:
    """A segmentation model, opened with its weights.

        seg = SemanticSegmentation("xception65.ade20k")
        result = seg.segment_image("street.jpg", "street.png")

    Attributes:
        name: The model's name or path.
        history: Metrics of each epoch after `fine_tune` or `resume`; otherwise empty.

    Args:
        model: "mini" or "scenes", small models that are installed with easyseg, of the 21 Pascal
            VOC classes and of 40 ADE20K classes, which name all of a room or a street; a name from
            `list_models()`, downloaded on first use; the folder of a saved model or a training run;
            a file that `export` wrote; an .onnx file of another program; an .h5 file of PixelLib; a
            frozen graph (.pb) of Google's DeepLab; a repository of the Hugging Face Hub,
            "hf://user/repo" (docs/hugging-face.md); "hub:" and a KerasHub preset, such as
            "hub:segformer_b0_ade20k_512"; or a `LoadedModel`. `None` means "mini", and logs a
            line once.
        architecture: For a weights file: the published weights with the same network and classes,
            such as "xception65.voc"; not needed for an .h5 file under its published name.
        output_stride: 8 (finer boundaries, 2 to 4 times the time), 16 or 32; `None` for the
            model's own, which is 16 for all published weights.
        class_names: For an .onnx file of another program: one name for each channel, or a
            `LabelSet`; not needed if the metadata of Ultralytics has the names.
        input_size: For such a file that accepts any size: `(height, width)` in pixels, or one
            number.
        mean: For such a file: the mean of red, green and blue, from 0 to 1, to subtract;
            `None` for ImageNet's, as PyTorch's networks expect it, with a warning.
        std: For such a file: the standard deviation to divide by.
        colors: Own colors of classes, by name or id: `{"person": "#ff8800", "dog": "red"}`. They
            are used wherever results are drawn, and saved and exported with the model.
        tile: Side of overlapping tiles in pixels, such as 513 or 1025, in which larger images are
            segmented at full resolution; `None` shrinks them to the network's input size.
        scales: Multi-scale inference: factors of the image's size whose probabilities are
            averaged, such as (0.5, 0.75, 1.0, 1.25, 1.5, 1.75).
        flip: Averages with the mirrored image, which takes twice the time.
        batch_size: Images per batch; `None` for the fastest that `optimize` found, else 1.
        runtime: "keras", "onnxruntime", "openvino" or "litert"; "auto" is the fastest that
            `optimize` found, else that of the exported file in the model's folder, else "keras".
        precision: "float32"; "bfloat16" if the processor supports it; "int8" after
            `optimize(images)` has calibrated it (docs/performance.md).
        device: "cpu", "gpu", "gpu:1", "npu" or "tensorrt", if the runtime has it on this machine
            (docs/graphics-cards.md); "auto" is a card that it can use, else the processor.
        max_pixels: Height times width above which an image is refused; `None` for
            $EASYSEG_MAX_PIXELS, else 125 million.
        cache_dir: Folder for downloads; `None` for `$EASYSEG_HOME` or the user's cache.
        progress: Shows a bar while downloading.

    Raises:
        UnknownNameError: No such model, runtime, precision, device or class.
        InputError: A file needs `architecture` or `class_names`; a value of `colors` is not a
            color; an inference option breaks its rule; the runtime lacks the precision or device.
        ConfigError: The network cannot be built with this output stride.
        WeightsError: The weights are not available, or do not belong to this network.
    """

    name: str
    history: Sequence[Mapping[str, Any]] = ()
    _recipe: Mapping[str, Any]

    @checked
    def __init__(
        self,
        model: AnyPath | LoadedModel | None = None,
        *,
        architecture: str | None = None,
        output_stride: int | None = None,
        class_names: Sequence[str] | LabelSet | None = None,
        input_size: Sequence[int] | int | None = None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        colors: Mapping[str | int, Any] | None = None,
        tile: int | None = None,
        scales: Sequence[float] = (1.0,),
        flip: bool = False,
        batch_size: int | None = None,
        runtime: str = AUTO,
        precision: str = "float32",
        device: str = AUTO,
        max_pixels: int | None = None,
        cache_dir: AnyPath | None = None,
        progress: bool = True,
    ) -> None:
        options = InferenceOptions(
            batch_size, tile, scales, flip, runtime, precision, device, max_pixels
        )
        foreign = ForeignOptions(class_names, input_size, mean, std)
        if model is None:
            _log_default()
            model = "mini"
        self._options, self._cache_dir, self._colors = options, cache_dir, dict(colors or {})
        self._opened = OpenedModel(
            model,
            options,
            foreign=foreign,
            colors=colors,
            architecture=architecture,
            output_stride=output_stride,
            cache_dir=cache_dir,
            progress=progress,
        )
        named = isinstance(model, (str, os.PathLike))
        self.name = str(model) if named else getattr(self.config, "backbone", "model")

    @property
    def model(self) -> Any:
        """The Keras model, `(N, H, W, 3)` RGB from 0 to 255 -> logits `(N, H, W, classes)`.

        If an exported file was used so far, the network is loaded now. If you change its weights,
        later images use them.

        Raises:
            InputError: The model is an exported file.
            WeightsError: The model's files have changed since it was opened.
        """
        return self._opened.load().model

    @property
    def config(self) -> ModelConfig | KerasHubConfig | ExportedConfig:
        """The network's configuration."""
        return self._opened.config

    @property
    def label_set(self) -> LabelSet:
        """Names and colors of the model's classes."""
        return self._opened.label_set

    @property
    def _predictor(self) -> Predictor:
        return self._opened.predictor

    @classmethod
    @checked
    def create(
        cls,
        backbone: Any = None,
        *,
        num_classes: int | None = None,
        class_names: Sequence[str] | LabelSet | None = None,
        weights: AnyPath | None = None,
        preset: str | None = None,
        low: str | Mapping[int, str] | None = None,
        high: str | None = None,
        preprocessing: str | None = None,
        **fields: Any,
    ) -> SemanticSegmentation:
        """An untrained network, to fine-tune.

            names = ["road", "car"]
            seg = SemanticSegmentation.create("resnet50", class_names=names, weights="imagenet")

        Args:
            backbone: A name such as "xception65", "mobilenetv2", "resnet50"; or a functional or
                sequential Keras model, whose weights are kept. `None` for the preset's.
            num_classes: Number of classes; give this or `class_names`.
            class_names: Their names, or a `LabelSet`.
            weights: "imagenet" for the backbone's ImageNet weights, downloaded by Keras, or a
                file with them; `None` (the default, so nothing is downloaded unasked) for random
                weights.
            preset: "paper", "deeplabv3_resnet50", "se_decoder", "resnet101_stage2_skip" or
                "mobile"; `None` for DeepLabV3+ as in `ModelConfig()`.
            low: For a Keras model: the layer at stride 4 for the decoder, or `{4: ..., 8: ...}`.
            high: For a Keras model: the layer for the head.
            preprocessing: For a Keras model: its input range, "tf" for -1 to 1 (the default), "raw"
                for 0 to 255, "torch", "caffe" or "tf128".
            **fields: Fields of `ModelConfig`, such as `output_stride=8` (docs/variants.md).

        Raises:
            InputError: Not exactly one of `num_classes` and `class_names`; an argument breaks its
                rule; or the backbone has no ImageNet weights.
            WeightsError: The ImageNet weights are not available, or belong to another network.
        """
        from easyseg.weights.create import create_model  # noqa: PLC0415  (loads Keras)

        return cls(
            create_model(
                backbone,
                num_classes=num_classes,
                class_names=class_names,
                weights=weights,
                preset=preset,
                layers={"low": low, "high": high, "preprocessing": preprocessing},
                **fields,
            )
        )

    @checked
    def segment_image(
        self,
        image: ImageSource,
        out: AnyPath | None = None,
        *,
        kind: str = "overlay",
        classes: Classes | None = None,
        alpha: float = 0.6,
        legend: bool = False,
        tolerance: float = 0.0,
        min_area: int = 0,
    ) -> Segmentation:
        """Segments an image and, with `out`, writes the result.

        Args:
            image: Path, http(s) URL, bytes, PIL image, or `(H, W, 3) uint8` RGB array.
            out: Image or document to write, such as "street.png".
            kind: What is written: "overlay", "mask", "coco", ... (docs/outputs.md).
            classes: Only these classes, by name or id; other pixels are left out.
            alpha: Opacity of the class colors in an overlay, 0 to 1.
            legend: Draws class names and their ratios into the lower left corner.
            tolerance: Maximum error in pixels of simplified outlines, in documents with outlines;
                0 is exact.
            min_area: Leaves out regions, and fills holes, with fewer pixels, in documents with
                outlines or masks.

        Returns:
            The result at the image's own size.

        Raises:
            ImageError: The image cannot be read.
            OutputError: The result cannot be written; no partial file is left.
            UnknownNameError: No such class or kind.
        """
        output = OutputSpec(kind, alpha, legend, classes, tolerance, min_area)
        output.check_path(None if out is None else Path(out))
        ids = None if classes is None else self.label_set.ids_of(classes)
        result = self._predictor.one(image)
        result = result if ids is None else result.filter(ids)
        if out is not None:
            result.save(
                out, kind, alpha=alpha, legend=legend, tolerance=tolerance, min_area=min_area
            )
        return result

    @checked
    def segment_images(self, images: Iterable[ImageSource]) -> Iterator[Segmentation]:
        """Segments images (as in `segment_image`) in order, with at most a batch in memory.

        Raises:
            InputError: `images` is a single image.
            ImageError: An image cannot be read; earlier results were returned.
        """
        return self._predictor(images)

    @checked
    def segment_folder(
        self,
        sources: Source | Iterable[Source],
        out: AnyPath | None = None,
        *,
        kind: str = "overlay",
        classes: Classes | None = None,
        alpha: float = 0.6,
        legend: bool = False,
        tolerance: float = 0.0,
        min_area: int = 0,
        resume: bool = False,
        shard: str | None = None,
        jsonl: AnyPath | None = None,
        csv: AnyPath | None = None,
        progress: bool = True,
    ) -> FolderSummary:
        """Segments the images of folders, patterns and lists, and writes a result for each.

        `sources` are files, folders, glob patterns, http(s) URLs or `@list.txt`; `out` is a folder,
        or a template of names such as "out/{parent}/{stem}_seg.png"; `None` writes
        `<name>.seg.png` beside each image. An image that cannot be read does not stop
        the others. `resume` skips images that the JSON lines (`jsonl`, by default `results.jsonl`
        in `out`) list with the same model and options (docs/folders.md). `csv` is a file for the
        areas, with a line for each image and a column for each class, which is written at the end.
        `shard="3/16"` processes the third of 16 parts, which may run on different machines, and
        writes `results-3-of-16.jsonl` (docs/scale.md). Other arguments as in `segment_image`.

        Raises:
            ImageNotFoundError: A source has no images.
            InputError: Results would overwrite images or lie among them, or there is no such
                shard.
            OutputError: Results cannot be written; those written before are complete.
            UnknownNameError: No such class or kind.
        """
        return segment_folder(
            self._predictor,
            sources,
            out,
            spec=OutputSpec(kind, alpha, legend, classes, tolerance, min_area),
            resume=resume,
            shard=shard,
            jsonl=jsonl,
            csv=csv,
            progress=progress,
            settings=self._settings(),
        )

    @checked
    def segment_scene(
        self,
        scene: AnyPath,
        out: AnyPath,
        *,
        kind: str = "mask",
        classes: Classes | None = None,
        alpha: float = 0.6,
        bands: Sequence[int] | None = None,
        workers: int = 1,
        jsonl: AnyPath | None = None,
        progress: bool = True,
    ) -> SceneSummary:
        """Segments an image of gigapixels by windows, never as a whole in memory.

            seg = SemanticSegmentation("mini", tile=513)
            print(seg.segment_scene("scene.tif", "labels.tif"))

        Labels are those of `segment_image` with the same `tile`. The result has the scene's
        position: its GeoTIFF tags are copied (docs/images.md).

        Args:
            scene: A TIFF, BigTIFF or GeoTIFF file of any size (extra `geotiff`).
            out: A .tif file: a tiled, compressed BigTIFF with overviews.
            kind: "mask" (ids, which viewers show in the classes' colors), "color" or "overlay".
            classes: Only these classes, by name or id; other pixels become `void`.
            alpha: Opacity of the class colors in an overlay, 0 to 1.
            bands: Numbers, from 1, of the bands for red, green and blue, or of one for gray;
                `None` for the first three.
            workers: Processes that share the tiles; the labels are the same
                (docs/scale.md).
            jsonl: File for the areas of the classes as one JSON line, as of a folder.
            progress: Shows a bar.

        Returns:
            Pixels, ratios and, if the scene has a scale, square meters of each class. Pixels
            without data have the id `ignore_index` (255) and do not count.

        Raises:
            ImageError: The scene cannot be read.
            OutputError: The result cannot be written; no partial file is left.
            InputError: The model has no `tile`, `bands` do not fit, or tifffile is not installed.
            UnknownNameError: No such class or kind.
        """
        return segment_scene(
            self._opener(),
            scene,
            out,
            spec=OutputSpec(kind, alpha, classes=classes),
            bands=bands,
            workers=workers,
            jsonl=jsonl,
            settings=self._settings() if jsonl is not None else {},
            progress=progress,
        )

    @checked
    def segment_video(
        self,
        video: Any,
        out: AnyPath | None = None,
        *,
        kind: str = "overlay",
        classes: Classes | None = None,
        alpha: float = 0.6,
        legend: bool = False,
        frame_stride: int = 1,
        smoothing: float = 0.0,
        start: float = 0.0,
        end: float | None = None,
        workers: int = 1,
        progress: bool = True,
        show: bool = False,
    ) -> VideoSummary:
        """Segments a video, stream or camera, and writes a video with the source's audio.

        The file is complete or, after an error or Ctrl-C, contains the frames so far
        (docs/video.md).

        Args:
            video: Path, URL (http(s)://, rtsp://, ...), or index of a camera.
            out: .mp4, .m4v, .mov, .mkv (H.264), .webm (VP9, may be transparent), or a folder or
                pattern (`out/%05d.png`) for PNG files; `None` with `show=True`.
            kind: As in `segment_image`; "cutout" is transparent.
            classes: As in `segment_image`.
            alpha: As in `segment_image`.
            legend: As in `segment_image`.
            frame_stride: Segments every n-th frame; the frames between keep its labels.
            smoothing: Weight of the past in an exponential moving average of the logits, 0 to
                below 1, against flicker of a fixed camera; restarts at a cut.
            start: Where in the video to start, in seconds.
            end: Where in the video to end, in seconds; `None` for its end.
            workers: Processes that segment pieces of the file, cut at key frames, at the same time;
                not with smoothing (docs/scale.md).
            progress: Shows a bar.
            show: Shows a window; q or Escape ends the video.

        Raises:
            VideoError: The video or camera cannot be read.
            OutputError: The result cannot be written, or cannot be transparent.
            InputError: An argument breaks its rule, or PyAV is not installed.
            UnknownNameError: No such class or kind.
        """
        spec = OutputSpec(kind, alpha, legend, classes)
        if classes is not None:
            self.label_set.ids_of(classes)
        return segment_video_pieces(
            self._opener(),
            video,
            out,
            workers=workers,
            spec=spec,
            frame_stride=frame_stride,
            smoothing=smoothing,
            start=start,
            end=end,
            progress=progress,
            show=show,
            max_pixels=self._options.max_pixels,
        )

    @checked
    def stream_video(
        self,
        video: Any,
        *,
        classes: Classes | None = None,
        frame_stride: int = 1,
        smoothing: float = 0.0,
        start: float = 0.0,
        end: float | None = None,
    ) -> Iterator[Segmentation]:
        """Segments a video, stream or camera frame by frame, as frames are requested.

            for result in seg.stream_video(0):
                print(f"{result.timestamp:.2f}", result.class_names)

        Each result has its `timestamp` in seconds. Arguments and errors as in `segment_video`.
        """
        return stream_video(
            self._predictor,
            video,
            classes=classes,
            frame_stride=frame_stride,
            smoothing=smoothing,
            start=start,
            end=end,
        )

    @checked
    def change_background(
        self,
        source: Any,
        background: ImageSource,
        out: AnyPath | None = None,
        *,
        keep: Classes | None = None,
        **options: Unpack[BackgroundOptions],
    ) -> Any:
        """Puts another image behind the kept classes.

        Args:
            source: Image (as in `segment_image`), video, stream or camera (as in `segment_video`).
            background: Image; scaled to cover `source` and cropped at its center.
            out: File to write; required for a video, unless `show=True`.
            keep: Classes to keep, by name or id; `None` for all but the background.
            **options: `resume`, for folders; `frame_stride`, `smoothing`, `start`, `end` and
                `show`, for videos; `progress`.

        Returns:
            The image: bytes of a PNG for bytes, an array for an array, else a `PIL.Image.Image`;
            for a video its `VideoSummary`.

        Raises:
            UnknownNameError: No such class.
            InputError: An option breaks its rule.
            ImageError: An image cannot be read.
            OutputError: The result cannot be written; no partial file is left.
        """
        return self._edit(source, out, "change", background, keep, options)

    @checked
    def blur_background(
        self,
        source: Any,
        out: AnyPath | None = None,
        *,
        strength: str | float = "moderate",
        keep: Classes | None = None,
        **options: Unpack[BackgroundOptions],
    ) -> Any:
        """Blurs the background; other arguments as in `change_background`.

        `strength` is the standard deviation of the blur in pixels, or "low", "moderate" or
        "extreme": 1, 2 or 4 % of the longest side.
        """
        return self._edit(source, out, "blur", strength, keep, options)

    @checked
    def color_background(
        self,
        source: Any,
        out: AnyPath | None = None,
        *,
        color: Any,
        keep: Classes | None = None,
        **options: Unpack[BackgroundOptions],
    ) -> Any:
        """Fills the background with one color; other arguments as in `change_background`.

        `color` is `(red, green, blue)` from 0 to 255, a name such as "white", or "#00ff00".
        """
        return self._edit(source, out, "color", color, keep, options)

    @checked
    def gray_background(
        self,
        source: Any,
        out: AnyPath | None = None,
        *,
        keep: Classes | None = None,
        **options: Unpack[BackgroundOptions],
    ) -> Any:
        """Makes the background gray; arguments as in `change_background`."""
        return self._edit(source, out, "gray", None, keep, options)

    @checked
    def cutout(
        self,
        source: Any,
        out: AnyPath | None = None,
        *,
        keep: Classes | None = None,
        **options: Unpack[BackgroundOptions],
    ) -> Any:
        """Makes the background transparent, RGBA; arguments as in `change_background`.

        `out` is .png, .webp or .tif; for a video .webm or a folder or pattern for PNG files.
        """
        return self._edit(source, out, "cutout", None, keep, options)

    @checked
    def evaluate(
        self,
        data: AnyPath | Dataset | Iterable[Sample],
        *,
        format: str | None = None,  # noqa: A002  (as `open_dataset` has it)
        classes: Iterable[str] | LabelSet | None = None,
        ignore: Iterable[str | int] = (),
        strict: bool = False,
        split: str | None = None,
        class_map: Mapping[str, str | None] | None = None,
        boundary: bool = True,
        report: AnyPath | None = None,
        shard: str | None = None,
        progress: bool = True,
    ) -> Scores:
        """Measures the model on a data set, at the images' own sizes (docs/evaluation.md).

        Args:
            data: Folder or file of a data set, a `Dataset`, or samples with the model's own ids.
            format: Format of the data set, "coco", "voc", ...; `None` to detect it.
            classes: Classes of the data set to keep, in this order; if its files name none,
                the names of the ids.
            ignore: Classes of the data set, by name or id, whose pixels are ignored.
            strict: Refuses files outside the data set's folder.
            split: "train", "val", "test" or "all"; `None` for "val", or for "all" if the data set
                has no splits.
            class_map: Classes under another name, `{name in the data set: name in the model}`;
                `None` for the latter ignores the class.
            boundary: Computes boundary metrics too.
            report: Folder for charts, contact sheets, the worst images and `report.html`; in the
                folder of a training run, its curves are shown too.
            shard: Measures only the images of one part, "3/16" for the third of 16; `save_scores`
                and `merge_scores` of `easyseg.distributed` join the parts (docs/scale.md).
            progress: Shows a bar.

        Raises:
            InputError: The split is missing or empty, the classes cannot be mapped, or there is no
                such shard.
            DatasetError: The data set or a mask cannot be read.
            ImageError: An image cannot be read.
            OutputError: The report cannot be written.
        """
        folder = None if report is None else Path(report)
        return evaluate_dataset(
            self._predictor,
            data,
            options=DatasetOptions(format, classes, ignore, strict, self._options.max_pixels),
            split=split,
            class_map=class_map,
            boundary=boundary,
            report=folder,
            run=read_report_parts(folder),
            model=self.name,
            network=self._opened.command_options(),
            shard=shard,
            settings={} if shard is None else self._settings(),
            progress=progress,
        )

    @checked
    def fine_tune(
        self,
        data: AnyPath | Dataset,
        *,
        format: str | None = None,  # noqa: A002  (as `open_dataset` has it)
        classes: Iterable[str] | LabelSet | None = None,
        ignore: Iterable[str | int] = (),
        strict: bool = False,
        run_dir: AnyPath | None = None,
        resume: bool = False,
        callbacks: Sequence[Any] = (),
        progress: bool = True,
        **options: Any,
    ) -> SemanticSegmentation:
        """Trains the model on your own images and returns the trained model; this one is unchanged.

            mine = seg.fine_tune("my_folder")
            mine.segment_image("new.jpg", "new.png")

        Args:
            data: Folder or file of a data set (docs/datasets.md), or a `Dataset`.
            format: As in `evaluate`.
            classes: As in `evaluate`; classes that the model has keep their weights.
            ignore: As in `evaluate`.
            strict: As in `evaluate`.
            run_dir: Directory of the run, "mine-2" if "mine" exists; `None` for the data set's name
                in `runs/`.
            resume: Continues the run in `run_dir` if there is one.
            callbacks: Keras callbacks.
            progress: Shows bars.
            **options: Fields of `TrainConfig` (epochs=30, batch_size=8, loss=..., ...), and of
                `ModelConfig` for changes of the network (docs/fine-tuning.md).

        Returns:
            The best epoch's model, with this model's inference options. Its `history` has the
            metrics of each epoch, as in results.csv.

        Raises:
            InputError: An argument breaks its rule.
            DatasetError: The data set cannot be used for training; names the first bad file.
            TrainingError: The loss is not finite, or another run is using the directory.
            OutputError: The run directory cannot be written.
        """
        from easyseg.training.fine_tune import fine_tune, join_workers  # noqa: PLC0415  (loads Keras)

        workers = join_workers(options)  # before a network is loaded
        run = fine_tune(
            self._opened.load(),
            data,
            start_name=self.name,
            start_origin=self._opened.origin(),
            data_options=DatasetOptions(format, classes, ignore, strict, self._options.max_pixels),
            run_dir=run_dir,
            resume=resume,
            callbacks=callbacks,
            progress=progress,
            options=options,
            workers=workers,
        )
        return self._of_run(run, self._options, self._cache_dir)

    @classmethod
    @checked
    def resume(
        cls,
        run_dir: AnyPath,
        *,
        data: AnyPath | Dataset | None = None,
        callbacks: Sequence[Any] = (),
        progress: bool = True,
        batch_size: int | None = None,
        tile: int | None = None,
        scales: Sequence[float] = (1.0,),
        flip: bool = False,
        runtime: str = AUTO,
        precision: str = "float32",
        device: str = AUTO,
        max_pixels: int | None = None,
        cache_dir: AnyPath | None = None,
    ) -> SemanticSegmentation:
        """Continues an interrupted training run, to the same weights as without interruption.

        Returns the best epoch's model, with the inference options (`batch_size` and those after
        it) as in the constructor. `data` is needed only if the data set was given as a `Dataset`
        or has moved. Other arguments as in `fine_tune`.

        Raises:
            TrainingError: The directory has no run or is in use, or the data set has changed.
        """
        from easyseg.training.fine_tune import resume_training  # noqa: PLC0415  (loads Keras)

        options = InferenceOptions(
            batch_size, tile, scales, flip, runtime, precision, device, max_pixels
        )
        run = resume_training(Path(run_dir), data=data, callbacks=callbacks, progress=progress)
        return cls._of_run(run, options, cache_dir)

    @classmethod
    def _of_run(
        cls, run: FineTuned, options: InferenceOptions, cache_dir: AnyPath | None
    ) -> SemanticSegmentation:
        tuned = cls(run.model, **dataclasses.asdict(options), cache_dir=cache_dir)
        tuned.history = run.history
        if run.model.folder is not None:  # else the chief of several workers has it
            tuned.name = str(run.model.folder)
        return tuned

    @checked
    def save(self, folder: AnyPath, *, dtype: str = "float32") -> Path:
        """Writes the model into a folder, which `SemanticSegmentation(folder)` opens.

        Args:
            folder: Path of the folder; an existing saved model is replaced.
            dtype: "float32", or "float16" for half the size.

        Raises:
            OutputError: The folder exists and is not a saved model, or cannot be written.
        """
        from easyseg.weights.bundle import save_bundle  # noqa: PLC0415

        # models are passed on and uploaded, the names of this computer's folders are not
        source = self.name if "://" in self.name else Path(self.name).name
        card = f"# {Path(folder).name}\n\nSaved from `{source}`.\n"
        return save_bundle(Path(folder), *self._opened.load()[:3], card=card, dtype=dtype)

    @checked
    def push_to_hub(
        self,
        repository: str,
        *,
        private: bool = False,
        message: str = "Upload a model of easyseg",
        token: str | None = None,
        dtype: str = "float32",
    ) -> str:
        """Uploads the model to the Hugging Face Hub, where anybody can open it by its address.

            seg.push_to_hub("me/streets")
            SemanticSegmentation("hf://me/streets").segment_image("street.jpg", "street.png")

        Args:
            repository: "user/repo"; created if it does not exist.
            private: Whether a new repository is private.
            message: The commit's message.
            token: The token of an account that may write there; `None` for `$HF_TOKEN`, or the
                account that `hf auth login` logged in.
            dtype: As for `save`.

        Returns:
            The address of this commit, "hf://me/streets@9f3c...".

        Raises:
            InputError: huggingface_hub is not installed, or the name is not "user/repo".
            OutputError: The upload failed.
        """
        from easyseg.weights.hugging_face import push  # noqa: PLC0415

        return push(
            repository,
            lambda folder: self.save(folder, dtype=dtype),
            self.label_set.names,
            private=private,
            message=message,
            token=token,
        )

    @checked
    def export(
        self,
        out: AnyPath,
        *,
        format: str | None = None,  # noqa: A002  (as `open_dataset` has it)
        size: tuple[int, int] | int | None = None,
        dynamic: bool = False,
        batch: int | None = 1,
        output: str = "labels",
        precision: str = "float32",
        opset: int | None = None,
        check: Any = True,
        calibrate: Any = None,
        data: Any = None,
        allow_drop: float = ALLOWED_DROP,
    ) -> ExportSummary:
        """Writes the model as one file that runs without easyseg, Keras and TensorFlow.

            print(seg.export("street.onnx"))
            SemanticSegmentation("street.onnx").segment_image("street.jpg", "street.png")

        The file is opened in its own runtime and compared with Keras before it is kept. Its
        input is `image`, `(N, H, W, 3) uint8 RGB` (docs/export.md).

        Args:
            out: Path of the file; an existing one is replaced.
            format: "onnx", "openvino", "tflite", "keras" or "saved_model"; `None` for that of the
                path's extension.
            size: `(height, width)` of the input in pixels, or one number for both; `None` for the
                model's own.
            dynamic: Accepts images of any height and width.
            batch: Images that go through the network together; `None` for any number.
            output: "labels" `(N, H, W)` uint8 (uint16 above 256 classes); "logits"
                `(N, h, w, classes)` float32 at their own stride; or "probabilities"
                `(N, H, W, classes)` float32.
            precision: "float32"; "float16" for weights of half the size; or "int8" for weights of
                a quarter and arithmetic in 8 bits (docs/export.md).
            opset: Version of ONNX's operations, 13 to 18; `None` for 17.
            check: Compares the file with Keras before it is kept; a folder, pattern or list of
                images to compare on these too.
            calibrate: A folder, pattern or list of images for precision="int8", about 100 of the
                kind to be segmented; at most 200 of them are used.
            data: A data set with masks (path or `Dataset`). Its train split calibrates "int8"
                unless `calibrate` does, and its val split measures mIoU before and after.
            allow_drop: Points of mIoU on `data` that int8 may lose.

        Raises:
            UnknownNameError: No such format, output or precision.
            InputError: An argument breaks its rule, or is not available for the format.
            OutputError: The path cannot be written; no partial file is left.
            ImageError: An image cannot be read.
            DatasetError: The data set cannot be read.
            ExportError: The network cannot be exported, or the file differs from Keras.
        """
        options = ExportOptions(
            format_of(Path(out)) if format is None else format,
            size,
            dynamic,
            batch,
            output,
            precision,
            opset,
            check,
            calibrate,
            data,
            allow_drop,
        )
        return self._opened.export(Path(out), options, name=self.name)

    @checked
    def optimize(self, images: Iterable[ImageSource] = ()) -> dict[str, float]:
        """Measures the runtimes and uses the fastest from now on, in later processes too.

        Args:
            images: About 100 typical images to calibrate precision="int8" with.

        Returns:
            Milliseconds per image by runtime, fastest first.

        Raises:
            ImageError: An image cannot be read.
            InputError: precision="int8" has not been calibrated and there are no images.
        """
        return self._opened.optimize(images)

    @checked
    def benchmark(self, images: Iterable[ImageSource] = ()) -> dict[str, float]:
        """Measures like `optimize`, in this precision, without changing which runtime is used."""
        return self._opened.benchmark(images)

    def _opener(self) -> Callable[[], Predictor]:
        """Gives the predictor; other processes, to which it is sent, open the model again."""
        return functools.partial(getattr, self, "_predictor")

    def _edit(
        self,
        source: Any,
        out: AnyPath | None,
        effect: str,
        option: Any,
        keep: Classes | None,
        options: BackgroundOptions,
    ) -> Any:
        check_options(options, BackgroundOptions)
        in_folder = any(map(options.get, ("resume", "shard"))) or is_several(source)
        return edit_background(
            self._predictor,
            source,
            out,
            effect,
            option,
            keep=keep,
            settings=self._settings() if in_folder else None,
            **options,
        )

    def _settings(self) -> dict[str, Any]:
        """What the results of a folder depend on, apart from the options of the run."""
        return {
            "model": self.name,
            "weights": self._opened.weights_checksum(),
            "output_stride": self.config.output_stride,
            "colors": self._own_colors(),
            "tile": self._predictor.tile,
            "scales": self._options.scales,
            "flip": self._options.flip,
            "precision": self._predictor.precision,
        }

    def _own_colors(self) -> dict[str, str]:
        """By name of the class, so that spellings of the same colors are equal."""
        labels = self.label_set
        ids = sorted(map(labels.id_of, self._colors))
        return {labels.names[i]: "#" + bytes(labels.palette[i]).hex() for i in ids}

    def __getstate__(self) -> dict[str, Any]:
        """A pickled model, or a copy, is its recipe: it is opened again, at its first use.

        Raises:
            InputError: Its weights are in memory only; `save` it first.
        """
        recipe = self._opened.recipe()
        return {name: v for name, v in vars(self).items() if name != "_opened"} | {
            "_recipe": recipe
        }

    @functools.cached_property
    def _opened(self) -> OpenedModel:
        """The model, which only one that was pickled has not opened yet.

        An error while it is read would end a worker process, for whose result a pool waits.
        """
        return OpenedModel(**self._recipe)

    def __repr__(self) -> str:
        stride = self.config.output_stride
        return (
            f"<SemanticSegmentation {self.name}: {len(self.label_set)} classes of "
            f"{self.label_set.name}{f', output stride {stride}' if stride else ''}>"
        )


def list_models() -> list[str]:
    """Names that `SemanticSegmentation` takes: the embedded models and the published weights."""
    return [*EMBEDDED, *weight_sets()]


@functools.cache
def _log_default() -> None:
    log.warning(
        'using "mini", the small model that comes with easyseg (21 classes); '
        '"scenes", also included, names every pixel; for better results choose another, such as '
        'SemanticSegmentation("xception65.ade20k").'
    )
