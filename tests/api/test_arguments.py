"""Arguments of another type, and unknown ones, are refused by name before anything else happens."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from easyseg import (
    InferenceOptions,
    LabelSet,
    OutputSpec,
    Segmentation,
    SemanticSegmentation,
    open_dataset,
)
from easyseg.errors import EasysegError, InputError
from easyseg.results.label_set import Classes
from easyseg.utils.validation import ANYTHING, checked

SEG = SemanticSegmentation
RESULT = Segmentation
METHODS = [
    SEG.__init__, SEG.create.__func__, SEG.segment_image, SEG.segment_images, SEG.segment_folder,
    SEG.segment_video, SEG.stream_video, SEG.change_background, SEG.blur_background,
    SEG.color_background, SEG.gray_background, SEG.cutout, SEG.evaluate, SEG.fine_tune,
    SEG.resume.__func__, SEG.save, SEG.optimize, SEG.benchmark,
    RESULT.probability, RESULT.filter, RESULT.plot, RESULT.save, RESULT.show, RESULT.to_dict,
    RESULT.to_polygons, RESULT.to_geojson, RESULT.to_labelme, RESULT.to_coco, open_dataset,
]  # fmt: skip
ARGUMENTS = [
    (method, name)
    for method in METHODS
    for name, parameter in inspect.signature(method).parameters.items()
    if name not in ("self", "cls", "preprocessing")
    and parameter.kind is not parameter.VAR_KEYWORD
    and str(parameter.annotation) not in ANYTHING
]


def call(method, **options):
    """Calls the method without a model: what is refused must be refused before that is missed."""
    parameters = inspect.signature(method).parameters
    needed = {
        name: "x"
        for name, parameter in parameters.items()
        if parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
    }
    own = [SEG.__new__(SEG) for name in ("self", "cls") if needed.pop(name, None)]
    return method(*own, **{**needed, **options})


@pytest.mark.parametrize(("method", "name"), ARGUMENTS, ids=lambda v: getattr(v, "__qualname__", v))
def test_an_argument_of_another_type(method, name):
    with pytest.raises(
        EasysegError, match=rf"^{name} \(of type Wrong\) must be |^{name}="
    ) as caught:
        call(method, **{name: Wrong()})
    assert isinstance(caught.value, TypeError)
    assert isinstance(caught.value, ValueError)


class Wrong:
    """Of no type that any argument has."""

    def __repr__(self):
        return "Wrong()" * 20


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        (SEG.__init__, {"model": 5}, "model=5 must be a path or a LoadedModel, such as 'xcep"),
        (SEG.__init__, {"tiles": 513}, "unknown argument 'tiles'. Did you mean 'tile'?"),
        (SEG.segment_image, {"out": 5}, "out=5 must be a path, such as 'out.png'."),
        (SEG.segment_image, {"classes": 3.5}, "classes=3.5 must be a class by name or id, or a"),
        (SEG.segment_image, {"classes": [3.5]}, "classes=[3.5] must be a class by name or id"),
        (SEG.segment_image, {"legend": 1}, "legend=1 must be True or False."),
        (SEG.segment_image, {"clases": "dog"}, "unknown argument 'clases'. Did you mean 'classe"),
        (SEG.segment_folder, {"resume": "x"}, "resume='x' must be True or False."),
        (SEG.blur_background, {"resume": "x"}, "resume='x' must be True or False."),
        (SEG.blur_background, {"show": 1}, "show=1 must be True or False."),
        (SEG.blur_background, {"smooth": 1}, "unknown argument 'smooth'. Did you mean 'smoothin"),
        (SEG.evaluate, {"class_map": "x"}, "class_map='x' must be a dict, such as {'human': 'per"),
        (SEG.fine_tune, {"callbacks": 3}, "callbacks=3 must be a list."),
        (RESULT.save, {"kind": 3}, "kind=3 must be a name, such as 'overlay'."),
        (open_dataset, {"ignore": 11}, "ignore=11 must be a list, such as ['sky', 11]."),
    ],
)
def test_messages_name_the_argument_the_rule_and_an_example(method, options, message):
    with pytest.raises(InputError) as caught:
        call(method, **options)
    assert message in str(caught.value)


def test_a_missing_and_a_superfluous_argument():
    with pytest.raises(
        InputError, match=r"segment_image: missing a required argument: 'image'; it"
    ):
        SEG.segment_image(object())
    with pytest.raises(
        InputError, match="too many positional arguments; it takes image, out, kind"
    ):
        SEG.segment_image(object(), "a.jpg", "b.png", "mask")


@pytest.mark.parametrize(
    "make",
    [
        lambda: InferenceOptions(flip=1),
        lambda: OutputSpec(alpha="x"),
        lambda: OutputSpec(classes=3.5),
    ],
)
def test_options_are_checked_when_made(make):
    with pytest.raises(TypeError):
        make()


@checked
def count(
    number: float = 1.0,
    classes: Classes | None = None,
    images: Iterable[Any] = (),
    labels: LabelSet | None = None,
) -> int:
    return len([number, classes, *images, labels])


def test_what_is_meant_is_accepted():
    assert count(np.float32(1), np.array(["a"]), iter("ab")) == 5
    assert count(2, {3, "a"}, labels=LabelSet("a", ["x"], [(0, 0, 0)])) == 3
    assert count(np.int64(2), classes=(name for name in "ab")) == 3
