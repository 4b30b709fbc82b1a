"""One table of settings: what each embedded model learns, of whom, and how long.

A third model is one more entry of `RECIPES`.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

from easyseg.models.config import ModelConfig
from easyseg.results.label_set import LabelSet, load_label_set

CAMVID = (
    "sky", "building", "pole", "road", "pavement", "tree",
    "signsymbol", "fence", "car", "pedestrian", "bicyclist",
)  # fmt: skip
VOC = load_label_set("voc").names
OTHER = "other"
BLOCKS = 17  # inverted residuals of the backbone
ADE20K_32 = (OTHER, *load_label_set("ade20k").names[1:32])  # of MLPerf's network

# Of VOC's classes, what ADE20K calls them; ADE20K's 150 have no train.
VOC_IN_ADE20K = {
    "aeroplane": "airplane",
    "bicycle": "bicycle",
    "bird": "animal",
    "boat": "boat",
    "bottle": "bottle",
    "bus": "bus",
    "car": "car",
    "cat": "animal",
    "chair": "chair",
    "cow": "animal",
    "diningtable": "table",
    "dog": "animal",
    "horse": "animal",
    "motorbike": "minibike",
    "person": "person",
    "pottedplant": "plant",
    "sheep": "animal",
    "sofa": "sofa",
    "train": OTHER,
    "tvmonitor": "television",
}
CAMVID_IN_ADE20K = {
    "sky": "sky",
    "building": "building",
    "road": "road",
    "pavement": "sidewalk",
    "tree": "tree",
    "car": "car",
    "pedestrian": "person",
}
FACADE_IN_ADE20K = {
    "facade": "building",
    "shop": "building",
    "window": "windowpane",
    "car": "car",
    "street": "road",
    "vegetation": "tree",
}


class Stage(NamedTuple):
    """A part of the training, the cheap ones first.

    Attributes:
        mode: "blocks" feeds each block of the backbone with the teacher's features, so that all
            learn at once from the first step; "whole" runs the network as it is.
        frozen: Blocks of the backbone that are not trained.
        crop: Side of the training images in pixels. The head must see at last what it will be
            asked: in small crops its dilated convolutions see padding, and it pools over a part.
        batch: Images per step.
        rate: Peak learning rate.
        share: Of all images.
    """

    mode: str
    frozen: int
    crop: int
    batch: int
    rate: float
    share: float


@dataclasses.dataclass(frozen=True)
class Recipe:
    """An embedded model.

    Args:
        label_set: Its classes.
        teacher: The network that answers for every pixel: a name from `easyseg models`, or a
            .tflite file in the working folder; its classes are `teacher_names`.
        teacher_names: Classes of the teacher, in order. Each is a class of `label_set`.
        teacher_stride: Output stride at which it answers; None is its own.
        views: Longest side of the image that the teacher sees, and whether it is mirrored; its
            answers are averaged.
        expert: A second teacher, which decides where it is sure of a class of `expert_names`.
        expert_names: Names in `label_set` of the expert's classes, from its first after background.
        truth: By layout of the labeled images ("voc", "camvid", "facade"), what its classes are
            called in `label_set`. Pixels of other classes are left to the teachers.
        complete: Classes of `label_set` of which the labels of "voc" show every example: where
            they show background, a teacher's answer loses these.
        trust: In true labels, 0 to 1, against the teachers.
        rare: Power of a class's frequency by which images that show it are drawn more often; 0
            draws all alike.
        balance: Power of a class's frequency by which its pixels weigh more; 0 weighs all alike.
        stages: From the recipe's start.
        continued: From a bundle of the same classes; higher rates would destroy its weights.
        scales: Of the training images, in a crop.
        start: Bundle from which weights are taken where names and shapes agree; else random ones.
    """

    label_set: LabelSet
    teacher: str
    teacher_names: tuple[str, ...]
    truth: dict[str, dict[str, str]]
    stages: tuple[Stage, ...]
    continued: tuple[Stage, ...]
    teacher_stride: int | None = None
    views: tuple[tuple[int, bool], ...] = ((512, False), (512, True))
    expert: str = ""
    expert_names: tuple[str, ...] = ()
    complete: tuple[str, ...] = ()
    trust: float = 0.7
    rare: float = 0.5
    balance: float = 0.0
    scales: tuple[float, float] = (0.5, 1.75)
    start: str = ""

    @property
    def config(self) -> ModelConfig:
        """The student."""
        return ModelConfig(
            backbone="mobilenetv2",
            num_classes=len(self.label_set),
            head_channels=128,
            low_level_channels=32,
        )


def _scenes_label_set() -> LabelSet:
    ade20k = load_label_set("ade20k")
    names = tuple(dict.fromkeys((*ADE20K_32, *VOC_IN_ADE20K.values())))
    colors = dict(zip(ade20k.names, ade20k.palette, strict=True)) | {OTHER: (0, 0, 0)}
    aliases = {alias: name for alias, name in ade20k.aliases.items() if name in names}
    return LabelSet("scenes", names, tuple(colors[n] for n in names), void=0, aliases=aliases)


RECIPES = {
    "mini": Recipe(
        label_set=load_label_set("voc"),
        teacher="mobilenetv2.voc",
        teacher_names=VOC,
        truth={"voc": {name: name for name in VOC}},
        stages=(
            Stage("blocks", 0, 97, 16, 1e-2, 0.50),
            Stage("whole", 0, 129, 16, 1e-3, 0.25),
            Stage("whole", 0, 193, 16, 7e-4, 0.15),
            Stage("whole", 0, 257, 16, 5e-4, 0.10),
        ),
        continued=(Stage("whole", BLOCKS, 321, 8, 1e-3, 1.0),),
        teacher_stride=8,
        views=((385, False), (512, True)),
        balance=0.35,
        scales=(0.7, 1.6),
    ),
    "scenes": Recipe(
        label_set=_scenes_label_set(),
        teacher="mlperf_mnv2_deeplabv3plus_ade20k32_ptq.tflite",
        teacher_names=ADE20K_32,
        expert="mobilenetv2.voc",
        expert_names=tuple(VOC_IN_ADE20K.values()),
        truth={"voc": VOC_IN_ADE20K, "camvid": CAMVID_IN_ADE20K, "facade": FACADE_IN_ADE20K},
        trust=1.0,  # the teacher, which knows no animals, is sure that they are persons
        balance=0.25,
        complete=("person", "animal", "car", "bus", "airplane", "bicycle", "minibike"),
        scales=(0.7, 1.6),
        stages=(
            Stage("whole", BLOCKS, 129, 16, 2e-3, 0.6),
            Stage("whole", 13, 129, 16, 2e-3, 0.4),
        ),
        continued=(
            Stage("whole", 10, 257, 16, 1e-3, 0.8),
            Stage("whole", BLOCKS, 321, 8, 1e-3, 0.2),
        ),
        start="mini",
    ),
}
