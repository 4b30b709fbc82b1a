"""Measures the embedded model on images that it has not seen, and writes its card.

python tools/card_embedded.py pretrained/mini --average --labeled VOC
--curve tools/embedded/earlier/mini.csv .train/mini/run/curve.csv  (all in one line)
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NamedTuple

from embedded.curves import read_curves
from embedded.recipes import RECIPES

from easyseg import SemanticSegmentation
from easyseg.datasets.mask_files import read_values
from easyseg.evaluation.metrics import ConfusionMatrix

TEXT = """# mini

The small model included in easyseg: DeepLabV3+ on MobileNetV2 with a light decoder, {classes}
classes of Pascal VOC, {parameters:,} parameters, {megabytes:.1f} MB on disk (float16).

## Metrics

{images} images of VOC 2012 val at their own size, used neither for training nor for selection; one
scale, output stride 16, input {side}x{side}. They are not comparable
with those published for the whole of VOC val, which has more birds, boats, trains and aeroplanes.

**mIoU {miou:.4f}, pixel accuracy {accuracy:.4f}, person {person:.4f}.** On the same images the
teacher (`{teacher_name}`) has {teacher.miou:.4f}, {teacher.accuracy:.4f} and {teacher.person:.4f}.

| Class | IoU | Class | IoU | Class | IoU |
|---|---|---|---|---|---|
{table}

## Training

`tools/train_embedded.py`, from random initialization, on a 2-core CPU, TensorFlow backend.

* Data: 3,452 images of VOC 2012 train with masks (171 of them held out for selection) and 1,231
  images without masks (people, animals, objects, streets), longest side 320; from crop 212,000 on
  {trained} of them.
* Teacher: Google's MobileNetV2 checkpoint `mobilenetv2.voc` (Apache-2.0). At first it answered for
  each crop; from crop 212,000 on it answers once for each whole image, at output stride 8,
  averaged over a view of 385 pixels and a mirrored one of 512.
* First each of the 17 blocks learned the teacher's block on the teacher's features ("blocks"), then
  the whole network learned features, the teacher's probabilities and the ground truth
  (equally weighted where there are labels; from crop 212,000 on the ground truth weighs 0.7), at
  growing crops ("whole"). From crop 212,000 on the head alone learns, on crops of 321 pixels, which
  show nearly whole images; pixels of rare classes weigh more.
* Augmentation: scale 0.5 to 1.75 (at last 0.7 to 1.6), crop, mirror, brightness, contrast,
  saturation, white balance, gray. From crop 212,000 on, images with rare classes are drawn more
  often.
* AdamW, cosine; {seen:,} crops in several runs, each from the weights before; weights {weights}.
* The input size and the weights to keep were selected on the images held out for selection.

mIoU and person IoU on images held out for selection, against crops (up to 212,000: 171 images;
then 135 others of more classes, so figures of the two parts do not compare; weights were chosen on
180 of VOC at the size of the input):

| Crops | Mode | Crop | mIoU | person |
|---|---|---|---|---|
{curve}

## Limitations

{weak} are its weakest classes.
Thin parts (bicycle wheels, chair legs) are filled or lost, boundaries are soft at the scale of 4
pixels of the input, small and crowded objects are missed, and animals are confused with each
other. It has no classes but these 20. For better quality use a published model, such as
`xception65.voc`.

## License

MIT, as the code. The images belong to their owners and are not part of the model.
"""


class Scores(NamedTuple):
    """Mean IoU, pixel accuracy, the IoU of persons, and that of each class."""

    miou: float
    accuracy: float
    person: float
    iou: dict[str, float]


def main() -> None:
    """Reads the command line, measures, writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--labeled", type=Path, required=True, help="folder in VOC layout")
    parser.add_argument("--split", default="val")
    parser.add_argument(
        "--curve", type=Path, nargs="+", required=True, help="of each run, in order"
    )
    parser.add_argument("--average", action="store_true", help="it was saved with --average")
    args = parser.parse_args()
    seg, teacher = SemanticSegmentation(args.folder), RECIPES["mini"].teacher
    names = (args.labeled / f"ImageSets/Segmentation/{args.split}.txt").read_text().split()
    own = measure(seg, args.labeled, names)
    rows = read_curves(args.curve)
    text = TEXT.format(
        classes=len(own.iou),
        parameters=seg.model.count_params(),
        megabytes=(args.folder / "model.weights.h5").stat().st_size / 1e6,
        images=len(names),
        side=seg.config.input_size[0],
        miou=own.miou,
        accuracy=own.accuracy,
        person=own.person,
        teacher_name=teacher,
        teacher=measure(SemanticSegmentation(teacher), args.labeled, names),
        table=_table(own.iou),
        trained=f"{int(rows[-1]['images']):,}",
        seen=int(rows[-1]["seen"]),
        weights="averaged over the last epochs" if args.average else "of the last epoch",
        curve="\n".join(_curve_row(row) for row in rows if row["miou"]),
        weak=", ".join(sorted(own.iou, key=own.iou.get)[:5]).capitalize(),
    )
    (args.folder / "card.md").write_text(text, "utf-8")
    print(text)


def measure(seg: SemanticSegmentation, labeled: Path, names: list[str]) -> Scores:
    """Of images in VOC's layout, by name."""
    matrix = ConfusionMatrix(len(seg.label_set))
    images = (labeled / f"JPEGImages/{name}.jpg" for name in names)
    for name, result in zip(names, seg.segment_images(images), strict=True):
        matrix.update(read_values(labeled / f"SegmentationClass/{name}.png"), result.labels)
    iou = dict(zip(seg.label_set.names, matrix.iou, strict=True))
    return Scores(matrix.mean_iou(), matrix.pixel_accuracy, iou["person"], iou)


def _table(iou: dict[str, float]) -> str:
    cells = [f"{name} | {value:.3f}" for name, value in iou.items()]
    return "\n".join(f"| {' | '.join(cells[i : i + 3])} |" for i in range(0, len(cells), 3))


def _curve_row(row: dict[str, str]) -> str:
    seen = f"{int(row['seen']):,}"
    return f"| {seen} | {row['mode']} | {row['crop']} | {row['miou']} | {row['person']} |"


if __name__ == "__main__":
    main()
