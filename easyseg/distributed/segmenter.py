"""`Segmenter`: rows of images in, rows of results out, in any program that deals out work."""

from __future__ import annotations

import functools
import os
import pickle
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict, cast

from easyseg.distributed.model_file import absolute_model, local_model
from easyseg.distributed.rows import to_row, to_table
from easyseg.errors import InputError
from easyseg.inference.folder import Save, save_as, segment_jobs
from easyseg.inference.options import InferenceOptions
from easyseg.io.find_images import Found, Job
from easyseg.io.remote import RemotePath, is_object, scheme_of
from easyseg.results.outputs import OUTPUTS, OutputSpec
from easyseg.utils.threads import thread_count
from easyseg.utils.validation import check_options

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from easyseg.api import SemanticSegmentation
    from easyseg.results.label_set import Classes, LabelSet
    from easyseg.results.segmentation import Segmentation

WAITING = 2  # threads more than cores where images come from a network
_opening = threading.Lock()


class ModelOptions(TypedDict, total=False):
    """The options of `SemanticSegmentation`, all of which another process can be given."""

    architecture: str | None
    output_stride: int | None
    colors: Mapping[str | int, Any] | None
    class_names: Sequence[str] | LabelSet | None
    input_size: Sequence[int] | int | None
    mean: Sequence[float] | None
    std: Sequence[float] | None
    tile: int | None
    scales: Sequence[float]
    flip: bool
    batch_size: int | None
    runtime: str
    precision: str
    device: str
    max_pixels: int | None
    cache_dir: str | os.PathLike[str] | None


class Row(NamedTuple):
    """An image to be segmented.

    Attributes:
        path: Its path or URL; of an image in memory, what it is called.
        result: Where the result is written, a path or a URL; `None` for nowhere.
        content: The image itself, if it is in memory.
        problem: Why it cannot be read, if that is known already.
    """

    path: str
    result: str | None
    content: Any = None
    problem: str = ""


class Segmenter:
    """Segments tables of images; the model is opened in the process that segments the first one.

        rows.map_batches(Segmenter, fn_constructor_kwargs={"model": "mini", "out": "/data/out"},
                         compute=ray.data.ActorPoolStrategy(size=4), num_cpus=1, batch_size=16)

    It can be pickled, and needs no Ray: Spark, Dask, Beam and a pool of processes call it alike
    (docs/scale.md). An image that cannot be read or written is a row with its `error`.

    Args:
        model: As for `SemanticSegmentation`, a name or path; or the URL of a file, such as
            "s3://bucket/street.onnx", which is downloaded once for each computer.
        out: Folder of results, a path or URL: that of the image "a/b.jpg" is `out/a/b.jpg.png`.
            Without it, results are written where the column "result" says, if there is one.
        kind: What is written, as in `segment_image`, and so are the next three.
        classes: Only these classes.
        alpha: Opacity of an overlay.
        legend: Draws names and percentages.
        tolerance: Maximum error of simplified outlines in pixels.
        min_area: Leaves out regions, and fills holes, of fewer pixels.
        sha256: That the file of the weights must have; `None` for any.
        **options: Other arguments of `SemanticSegmentation`, such as `tile=513`.

    Raises:
        InputError: An option breaks its rule.
        UnknownNameError: No such kind.
    """

    def __init__(
        self,
        model: str = "mini",
        *,
        out: str | None = None,
        kind: str = "overlay",
        classes: Classes | None = None,
        alpha: float = 0.6,
        legend: bool = False,
        tolerance: float = 0.0,
        min_area: int = 0,
        sha256: str | None = None,
        **options: Unpack[ModelOptions],
    ) -> None:
        check_options(options, ModelOptions)
        fields = InferenceOptions.__dataclass_fields__
        InferenceOptions(**{name: value for name, value in options.items() if name in fields})  # type: ignore[arg-type]
        self.name, self.model = model, absolute_model(model)
        self.out, self.sha256 = out, sha256
        self.spec = OutputSpec(kind, alpha, legend, classes, tolerance, min_area)
        self._options: dict[str, Any] = {**options}

    def open(self) -> tuple[SemanticSegmentation, str]:
        """The model, opened once in a process, and the SHA-256 of its weights ("" if unknown).

        Raises:
            EasysegError: It cannot be opened, or its weights are others than `sha256`.
        """
        recipe = (self.model, self.name, self.sha256, self._options)
        with _opening:
            return _open(pickle.dumps(recipe))

    def __call__(self, batch: Any) -> Any:
        """Segments a batch of a table.

        Args:
            batch: Columns by name, of a dict, a `pyarrow.Table` or a `pandas.DataFrame`: "path", or
                "bytes" (of image files) or "image" (arrays of any shapes) and then "path" for what
                they are called; and "result", where a result goes, or nothing.

        Returns:
            Columns "path", "result", "width", "height", "classes", "ratios", "seconds",
            "model_sha256" and "error", of a frame for a frame, else of a `pyarrow.Table`.

        Raises:
            InputError: There is no column of images.
            OutputError: The disk is full.
        """
        rows = self.segment_rows(_rows_of(batch))
        if not hasattr(batch, "iloc"):
            return to_table(rows)
        import pandas as pd  # noqa: PLC0415

        return pd.DataFrame(rows, columns=list(to_row({"source": ""}, None)))

    def segment_rows(self, rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The same of rows as dicts, and so is what it returns."""
        given = [self._row(values) for values in rows]
        _, sha256 = self.open()
        return [to_row(line, sha256) for line in self.lines(given)]

    def lines(self, rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
        """Segments images; gives their lines of the results log, in order.

        Raises:
            OutputError: The disk is full.
        """
        seg, _ = self.open()
        jobs = [_job(row) for row in rows]
        waits = any(scheme_of(value) for row in rows for value in (row.path, row.result))
        workers = thread_count() + WAITING * waits
        save = _save_if(save_as(self.spec, seg.label_set))
        lines = segment_jobs(seg._predictor, save, jobs, workers=workers)
        for row, (_, line) in zip(rows, lines, strict=True):
            names = {"source": row.path} | ({} if "error" in line else {"result": row.result})
            yield {**line, **names}

    def _row(self, values: Mapping[str, Any]) -> Row:
        content = next((values[k] for k in ("image", "bytes") if values.get(k) is not None), None)
        path = values.get("path")
        path = "image" if path is None else str(path)
        given = values.get("result")
        result = str(given) if isinstance(given, str) else None  # pandas has NaN for nothing
        if result is not None or self.out is None:
            return Row(path, result, content)
        suffixes = OUTPUTS[self.spec.kind].suffixes
        below = PurePosixPath(path.partition("://")[2] or path)
        if ".." in below.parts:
            return Row(path, None, content, f"Cannot write the result of {path} below {self.out}.")
        name = f"{below.as_posix().lstrip('/')}{suffixes[0] if suffixes else '.png'}"
        return Row(path, f"{self.out.rstrip('/')}/{name}", content)


@functools.lru_cache(maxsize=2)
def _open(recipe: bytes) -> tuple[SemanticSegmentation, str]:
    """A model in this process, to which a `Segmenter` may be sent again with each batch."""
    from easyseg.api import SemanticSegmentation  # noqa: PLC0415

    model, name, sha256, options = pickle.loads(recipe)  # noqa: S301  (our own)
    path = local_model(model, sha256, options.get("cache_dir"))
    seg = SemanticSegmentation(path, **options, progress=False)
    seg.name, found = name, seg._opened.weights_sha256()
    if sha256 not in (None, found):
        raise InputError(
            f"the weights of {name} on this computer have the SHA-256 {found[:12]}..., expected "
            f"{sha256[:12]}.... Copy the same file to all computers."
        )
    return seg, found


def _rows_of(batch: Any) -> list[dict[str, Any]]:
    """The rows of a batch in any of the forms of `Segmenter.__call__`."""
    if hasattr(batch, "to_pylist"):  # pyarrow
        names, columns = batch.column_names, batch.to_pydict()
    else:
        names, columns = list(batch), batch
    if not {"path", "bytes", "image"} & set(names):
        raise InputError(
            f"expected a column path, bytes or image, got {', '.join(map(str, names))}. Rename the "
            "column of the images."
        )
    wanted = [name for name in ("path", "bytes", "image", "result") if name in names]
    values = [list(columns[name]) for name in wanted]
    return [dict(zip(wanted, each, strict=True)) for each in zip(*values, strict=True)]


def _job(row: Row) -> Job:
    found = Found(row.path, Path(PurePosixPath(row.path).name), row.problem)
    return Job(found, target_path(row.result or ""), row.content)


def target_path(result: str) -> Path:
    """The path of a result, which may lie in an object store; for what writes it."""
    return cast("Path", RemotePath(result)) if is_object(result) else Path(result)


def _save_if(save: Save) -> Save:
    """Saves results that go somewhere; those without a path are counted only."""

    def save_or_not(result: Segmentation, path: Path) -> Segmentation:
        return save(result, path) if path.name else result

    return save_or_not
