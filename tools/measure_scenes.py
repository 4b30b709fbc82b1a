"""Measures `scenes` on images that it has not seen, beside its teachers, and writes its card.

python tools/measure_scenes.py pretrained/scenes --teacher FILE.tflite --voc VOC --camvid CAMVID
--curve tools/embedded/earlier/scenes.csv .train/scenes/run/curve.csv --photos PHOTOS --sheets OUT
(all in one line)
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from embedded.curves import read_curves
from embedded.recipes import CAMVID_IN_ADE20K, RECIPES
from embedded.samples import (
    NONE_OF_THESE,
    VOID,
    Source,
    camvid_sources,
    image_sources,
    true_labels,
    voc_sources,
)
from embedded.teachers import Teachers

from easyseg import SemanticSegmentation
from easyseg.evaluation.metrics import ConfusionMatrix
from easyseg.io.read_image import read_image
from easyseg.io.write_image import write_image

RECIPE = RECIPES["scenes"]
SHEET_SIDE = 360  # longest side of a picture in a sheet
TEXT = """# scenes

The second model included in easyseg: DeepLabV3+ on MobileNetV2 with a light decoder, {classes}
classes of ADE20K, which name every pixel of a room, a street or a landscape. {parameters:,}
parameters, {megabytes:.1f} MB on disk (float16).

## Metrics

At one scale, output stride 16, input {side}x{side}, on images of which none was used for
training or selection:

* {images} photos of VOC 2012 val: **{agreement:.4f} of the pixels agree** with the teachers'
  answer, which is not the truth. The aim was 0.85.
* {streets} street scenes of CamVid val, the seven classes that both have, against their true
  labels: mean over the classes of the IoU {camvid:.4f}; MLPerf's
  network alone has {camvid_teacher:.4f}.

| Class of CamVid | scenes | teacher |
|---|---|---|
{camvid_table}

Of each class, its share of the pixels in the teachers' answers for these photos, and how much of
that the model finds (recall):

| Class | Share | Recall | Class | Share | Recall |
|---|---|---|---|---|---|
{table}

## Training

`tools/train_embedded.py`, recipe "scenes", from the weights of `mini`, on a busy 2-core CPU,
TensorFlow backend.

* Data: {trained} images of VOC 2012 train, CamVid train, facades and photos without masks (people,
  animals, objects, rooms, streets), longest side 320; one in twenty was held out for selection.
* Teacher: MLPerf's DeepLabV3+ on MobileNetV2 for 31 classes of ADE20K and "other" (int8,
  Apache-2.0), on the image and its mirror image; where Google's `mobilenetv2.voc` (Apache-2.0) is
  sure of a thing, it decides, since the teacher takes animals for persons.
* True labels decide where classes map (VOC's things, CamVid's streets, facades); in the first 7,040
  crops they weighed 0.7.
* First all but the backbone was trained, then the backbone's last four blocks too, at last the last
  seven; between and at the end the head alone, on crops of 321 and 385 pixels, which show nearly
  whole images. From crop 17,920 on, pixels of rare classes weigh more.
* Augmentation: scale 0.45 to 1.5 (from crop 9,920 on 0.7 to 1.6), crop, mirror, brightness,
  contrast, saturation, white balance, gray. Images with rare classes are drawn more often.
* AdamW, cosine; {seen:,} crops in several runs, each from the weights before; weights {weights}.

Agreement with labels or else the teachers on the images held out for selection, against crops (from
crop 9,920 on these are 154 images, before fewer, so figures of the two parts do not compare):

| Crops | Blocks frozen | Crop | Agreement |
|---|---|---|---|
{curve}

The curve had not ended: `train scenes --start pretrained/scenes` goes on from these weights.

## Limitations

{limitations}

## License

MIT, as the code. The images belong to their owners and are not part of the model.
"""
LIMITATIONS = """\
It saw few images, and few of rooms: of the table above, what is found in less than a third of its
pixels. On photos beside its teachers: persons, animals, cars, airplanes, sky, trees, roads, walls,
sofas and floors are as its teachers have them, with softer boundaries, and leaves are plant where
the teacher sees a wall; of a bed a part is labeled as sofa, a door as wall, a crossing partly as
sidewalk, a rough wall as earth, water and mountain; dry grass has green patches, wheels of bicycles
are filled. Where it is wrong there are often small patches of several classes. Thin and small
things are lost. All animals are one class, "animal". For better quality use a published model,
such as `xception65.ade20k`."""


def main() -> None:
    """Reads the command line, measures, writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--teacher", default=RECIPE.teacher)
    parser.add_argument("--voc", type=Path, required=True, help="folder in VOC layout")
    parser.add_argument("--camvid", type=Path, required=True)
    parser.add_argument("--split", default="val")
    parser.add_argument("--every", type=int, default=1, help="takes one image in so many")
    parser.add_argument(
        "--curve", type=Path, nargs="+", required=True, help="of each run, in order"
    )
    parser.add_argument("--photos", type=Path, help="of which sheets are drawn")
    parser.add_argument("--sheets", type=Path, default=Path("sheets"))
    parser.add_argument("--average", action="store_true", help="it was saved with --average")
    args = parser.parse_args()
    seg, teachers = SemanticSegmentation(args.folder), Teachers(RECIPE, args.teacher)
    if args.photos:
        draw_sheets(seg, teachers, args.photos, args.sheets)
    photos = [source.image for source in voc_sources(args.voc, args.split)[:: args.every]]
    agreed = agreement(seg, teachers, photos)
    streets = camvid_sources(args.camvid, args.split)[:: args.every]
    ious = street_ious(seg, teachers, streets)
    rows = read_curves(args.curve)
    text = TEXT.format(
        classes=len(seg.label_set),
        parameters=seg.model.count_params(),
        megabytes=(args.folder / "model.weights.h5").stat().st_size / 1e6,
        side=seg.config.input_size[0],
        images=len(photos),
        agreement=np.trace(agreed) / agreed.sum(),
        streets=len(streets),
        camvid=np.mean([own for own, _ in ious.values()]),
        camvid_teacher=np.mean([teacher for _, teacher in ious.values()]),
        camvid_table="\n".join(f"| {n} | {a:.3f} | {b:.3f} |" for n, (a, b) in ious.items()),
        table=_table(agreed),
        trained=f"{int(rows[-1]['images']):,}",
        seen=int(rows[-1]["seen"]),
        weights="averaged over the last epochs" if args.average else "of the last epoch",
        curve="\n".join(
            f"| {int(r['seen']):,} | {r['frozen']} | {r['crop']} | {r['agreement']} |"
            for r in rows
            if r["agreement"]
        ),
        limitations=LIMITATIONS,
    )
    (args.folder / "card.md").write_text(text, "utf-8")
    print(text)


def agreement(seg: SemanticSegmentation, teachers: Teachers, photos: list[Path]) -> np.ndarray:
    """Pixels by the teachers' class (row) and the model's (column)."""
    size = len(seg.label_set)
    counts = np.zeros((size, size), np.int64)
    for path in photos:
        image = read_image(path)
        wanted = teachers.answer(image, image.shape[:2], expert=True).argmax(-1)
        pairs = wanted * size + seg.segment_image(image).labels
        counts += np.bincount(pairs.ravel(), minlength=size * size).reshape(size, size)
    return counts


def street_ious(
    seg: SemanticSegmentation, teachers: Teachers, streets: list[Source]
) -> dict[str, tuple[float, float]]:
    """IoU of the model and of the teacher, by CamVid's class."""
    own, other = (ConfusionMatrix(len(seg.label_set)) for _ in range(2))
    for source in streets:
        image, true = read_image(source.image), true_labels(RECIPE, source)
        true = np.where(true == NONE_OF_THESE, VOID, true)
        own.update(true, seg.segment_image(image).labels)
        answer = teachers.answer(image, image.shape[:2], expert=False)
        other.update(true, answer.argmax(-1))
    ids = {name: seg.label_set.ids_of(CAMVID_IN_ADE20K[name])[0] for name in CAMVID_IN_ADE20K}
    return {name: (float(own.iou[i]), float(other.iou[i])) for name, i in ids.items()}


def draw_sheets(seg: SemanticSegmentation, teachers: Teachers, photos: Path, folder: Path) -> None:
    """Image, model and teachers side by side, four photos a sheet."""
    palette, rows = np.uint8(seg.label_set.palette), []
    for source in image_sources(photos):
        image = read_image(source.image)
        scale = SHEET_SIDE / max(image.shape[:2])
        size = [round(length * scale) for length in image.shape[1::-1]]
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        result = seg.segment_image(image)
        found = cv2.resize(result.labels.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
        wanted = teachers.answer(image, small.shape[:2], expert=True).argmax(-1)
        tiles = [small, *(palette[each] // 2 + small // 2 for each in (found, wanted))]
        sheet = np.zeros((SHEET_SIDE, 3 * SHEET_SIDE, 3), np.uint8)
        for column, tile in enumerate(tiles):
            left = column * SHEET_SIDE
            sheet[: tile.shape[0], left : left + tile.shape[1]] = tile
        rows.append(sheet)
        shares = zip(result.class_names, result.ratios, strict=True)
        print(source.image.name, ", ".join(f"{n} {100 * r:.0f} %" for n, r in shares if r > 0.02))
    folder.mkdir(parents=True, exist_ok=True)
    for start in range(0, len(rows), 4):
        write_image(folder / f"sheet{start // 4}.png", np.concatenate(rows[start : start + 4]))


def _table(counts: np.ndarray) -> str:
    """Of each class that the teachers say somewhere, the share that the model says too."""
    names, total = RECIPE.label_set.names, counts.sum(1)
    cells = [
        f"{names[i]} | {100 * total[i] / total.sum():.1f} % | {counts[i, i] / total[i]:.2f}"
        for i in np.argsort(-total)
        if total[i]
    ]
    cells += [" | | "] * (-len(cells) % 2)
    return "\n".join(f"| {' | '.join(cells[i : i + 2])} |" for i in range(0, len(cells), 2))


if __name__ == "__main__":
    main()
