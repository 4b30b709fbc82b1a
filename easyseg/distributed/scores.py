"""Scores of shards as files, and how they are joined into those of a single run."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import operator
import os
from pathlib import Path
from typing import Any

from easyseg.distributed.shards import RunCheck, complete_files, whole_file
from easyseg.errors import InputError, os_reason, show_path
from easyseg.evaluation.boundary import BoundaryScores
from easyseg.evaluation.class_mapping import IGNORE_ID, ClassMapping
from easyseg.evaluation.metrics import ConfusionMatrix
from easyseg.evaluation.scores import ImageScore, Scores
from easyseg.io.atomic import remove_leftovers, write_bytes
from easyseg.io.shards import Part, Shard
from easyseg.utils.documents import parse_json
from easyseg.utils.files import read_file
from easyseg.utils.validation import checked

SCORES = "scores.json"
LARGEST = 1 << 30  # bytes of a shard's scores, about 100 for each image
NAN = float("nan")


def save_scores(scores: Scores, path: str | os.PathLike[str]) -> Path:
    """Writes scores as JSON: of a shard, all counts, for `merge_scores`; else `to_dict`.

    Args:
        scores: As `evaluate` gives them.
        path: The file of the whole evaluation, such as "out/scores.json"; a shard's gets its
            number, such as `out/scores-3-of-16.json`.

    Returns:
        The file that was written.

    Raises:
        OutputError: It cannot be written.
    """
    path = Path(path)
    if scores.part is None:
        content = json.dumps(scores.to_dict(), ensure_ascii=False, indent=1)
    else:
        path = scores.part.shard.file(path)
        content = json.dumps(_to_exact(scores, scores.part), ensure_ascii=False)
    remove_leftovers(path.parent)
    write_bytes(path, content.encode("utf-8", "backslashreplace") + b"\n")
    return path


@checked
def merge_scores(out: str | os.PathLike[str]) -> Scores:
    """Joins the scores of all shards of an evaluation, and writes them.

    They are those of a single evaluation to the last bit, and so is the file: all that is added
    are whole numbers.

    Args:
        out: The folder in which the files lie (`scores-1-of-16.json`, ...), where `scores.json` is
            written; or the file to write.

    Raises:
        InputError: A shard is missing; or the files are damaged, or of different settings,
            classes, images, or numbers of shards.
        OutputError: The file cannot be written.
    """
    whole = whole_file(out, SCORES)
    run, parts, all_scores = RunCheck(), [], []
    for shard, path in complete_files(whole).items():
        part, scores = _read(path)
        run.add(path, shard, part.to_dict(), _settings(scores))
        parts.append(part)
        all_scores.append(scores)
    positions = [i for part in parts for i in part.positions]
    total = parts[0].total
    if len(positions) != total or sorted(positions) != list(range(total)):
        raise InputError(
            f"the files of shards for {show_path(whole)} do not contain each of the "
            f"{total:,} images of the data set once. Remove them, and run the shards "
            "again."
        )
    joined = functools.reduce(operator.add, all_scores)
    by_position = sorted(zip(positions, joined.images, strict=True), key=operator.itemgetter(0))
    joined = dataclasses.replace(joined, images=tuple(image for _, image in by_position))
    save_scores(joined, whole)
    return joined


def _settings(scores: Scores) -> dict[str, Any]:
    """What all shards of an evaluation have in common."""
    return {
        **scores.settings,
        "split": scores.split,
        "boundary": scores.boundary is not None,
        "class_names": list(scores.label_set.names),
    }


def _to_exact(scores: Scores, part: Part) -> dict[str, Any]:
    return {
        "part": {**part.to_dict(), "positions": part.positions},
        "model": scores.model,
        "data": scores.data,
        "split": scores.split,
        "settings": dict(scores.settings),
        "class_mapping": scores.class_mapping.to_dict(),
        "confusion": scores.confusion.to_dict(),
        "boundary": None if scores.boundary is None else scores.boundary.to_dict(),
        "per_image": [
            [image.name, _plain(image.mean_iou), _plain(image.pixel_accuracy)]
            for image in scores.images
        ],
    }


def _from_exact(values: dict[str, Any]) -> tuple[Part, Scores]:
    part, boundary = values["part"], values["boundary"]
    images = [ImageScore(str(n), _number(iou), _number(p)) for n, iou, p in values["per_image"]]
    positions = tuple(map(int, part["positions"]))
    if len(positions) != len(images) or not isinstance(values["settings"], dict):
        raise ValueError("not what `_to_exact` gives")
    scores = Scores(
        ConfusionMatrix.from_dict(values["confusion"], ignore_index=IGNORE_ID),
        ClassMapping.from_dict(values["class_mapping"]),
        tuple(images),
        None if boundary is None else BoundaryScores.from_dict(boundary, ignore_index=IGNORE_ID),
        values["model"],
        values["data"],
        values["split"],
        settings=values["settings"],
    )
    shard = Shard.parse(part["shard"])
    return Part(shard, positions, int(part["all_images"]), str(part["all_names"])), scores


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else value


def _number(value: float | None) -> float:
    return NAN if value is None else float(value)


def _read(path: Path) -> tuple[Part, Scores]:
    try:
        return _from_exact(parse_json(read_file(path, LARGEST)))
    except OSError as error:
        reason = os_reason(error)
        raise InputError(
            f"Cannot read {show_path(path)}: {reason}. Check its permissions."
        ) from error
    except (KeyError, ValueError, TypeError, AttributeError, OverflowError) as error:
        raise InputError(
            f"{show_path(path)} is not the scores of a shard, or is damaged. Remove it, and run "
            "that shard again."
        ) from error
