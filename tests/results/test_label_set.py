"""Label sets: names, colors, aliases."""

import json

import numpy as np
import pytest

from easyseg import LabelSet, load_label_set
from easyseg.errors import InputError, UnknownNameError


def label_set(**changes):
    values = {
        "name": "mine",
        "names": ("sky", "Sea", "sand"),
        "palette": ((0, 0, 255), (0, 128, 128), (200, 180, 90)),
        "aliases": {"ocean": "Sea"},
    }
    return LabelSet(**{**values, **changes})


@pytest.mark.parametrize(
    ("name", "classes", "void", "ignore"),
    [("voc", 21, 0, 255), ("ade20k", 151, 0, 0), ("cityscapes", 19, 255, 255)],
)
def test_published_sets(name, classes, void, ignore):
    result = load_label_set(name)
    assert result.name == name
    assert len(result) == len(result.names) == len(result.palette) == classes
    assert (result.void, result.ignore_index) == (void, ignore)


@pytest.mark.parametrize(
    ("name", "class_id", "class_name", "color"),
    [
        ("voc", 0, "background", (0, 0, 0)),
        ("voc", 3, "bird", (128, 128, 0)),
        ("voc", 12, "dog", (64, 0, 128)),
        ("voc", 15, "person", (192, 128, 128)),
        ("voc", 20, "tvmonitor", (0, 64, 128)),
        ("ade20k", 0, "no class", (0, 0, 0)),
        ("ade20k", 1, "wall", (120, 120, 120)),
        ("ade20k", 3, "sky", (6, 230, 230)),
        ("ade20k", 13, "person", (150, 5, 61)),
        ("ade20k", 150, "flag", (92, 0, 255)),
        ("cityscapes", 0, "road", (128, 64, 128)),
        ("cityscapes", 10, "sky", (70, 130, 180)),
        ("cityscapes", 13, "car", (0, 0, 142)),
        ("cityscapes", 18, "bicycle", (119, 11, 32)),
    ],
)
def test_official_ids_and_colors(name, class_id, class_name, color):
    result = load_label_set(name)
    assert result.names[class_id] == result.name_of(class_id) == class_name
    assert result.palette[class_id] == color
    assert result.ids_of(class_name) == (class_id,)
    np.testing.assert_array_equal(result.colors[class_id], color)


@pytest.mark.parametrize("name", ["voc", "ade20k", "cityscapes"])
def test_classes_have_different_colors(name):
    result = load_label_set(name)
    same = [
        (a, b)
        for i, a in enumerate(result.names)
        for j, b in enumerate(result.names[:i])
        if result.palette[i] == result.palette[j]
    ]
    official = [("skyscraper", "road")]  # so in MIT's own palette
    assert same == (official if name == "ade20k" else [])


def test_voc_colors_are_those_of_the_development_kit():
    """Bits of the id, spread over the channels from the top: the kit's `VOCcolormap`."""
    expected = np.zeros((21, 3), int)
    for i in range(21):
        for bit in range(8):
            expected[i] |= [((i >> (3 * bit + c)) & 1) << (7 - bit) for c in range(3)]
    np.testing.assert_array_equal(load_label_set("voc").palette, expected)


@pytest.mark.parametrize("name", ["voc", "ade20k", "cityscapes"])
def test_every_name_and_alias_resolves(name):
    result = load_label_set(name)
    for i, class_name in enumerate(result.names):
        assert result.ids_of(class_name.upper()) == (i,)
    assert result.aliases
    for alias, class_name in result.aliases.items():
        assert result.ids_of(alias) == result.ids_of(class_name)


@pytest.mark.parametrize(
    ("name", "alias", "class_name"),
    [
        ("voc", "tv", "tvmonitor"),
        ("voc", "airplane", "aeroplane"),
        ("ade20k", "couch", "sofa"),
        ("ade20k", "aeroplane", "airplane"),
        ("cityscapes", "pedestrian", "person"),
        ("cityscapes", "tree", "vegetation"),
    ],
)
def test_aliases(name, alias, class_name):
    result = load_label_set(name)
    assert result.names[result.ids_of(alias)[0]] == class_name


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        ("sea", (1,)),
        (" Ocean ", (1,)),
        (2, (2,)),
        (np.int64(2), (2,)),
        (["sand", "sky"], (2, 0)),
        (["sea", "ocean", 1, "sky"], (1, 0)),
        (("sand",), (2,)),
        ([], ()),
    ],
)
def test_ids_of(wanted, ids):
    assert label_set().ids_of(wanted) == ids


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("skye", "unknown class of mine 'skye'. Did you mean 'sky'?"),
        (
            ["sky", "osean"],
            "unknown class of mine 'osean'. Did you mean 'ocean' or 'Sea' or 'sand'?",
        ),
        ("xyz", "unknown class of mine 'xyz'. Known: sky, Sea, sand, ocean."),
        (3, "unknown class of mine 3. Known: sky, Sea, sand, ocean."),
        (-1, "unknown class of mine -1. Known: sky, Sea, sand, ocean."),
    ],
)
def test_unknown_classes(wanted, message):
    with pytest.raises(UnknownNameError) as caught:
        label_set().ids_of(wanted)
    assert str(caught.value) == message


def test_all_of_21_classes_are_listed_though_their_aliases_are_many():
    with pytest.raises(UnknownNameError, match=r"'rocket'\. Known: background, .*, tvmonitor\.$"):
        load_label_set("voc").id_of("rocket")


def test_ids_outside_the_table_are_void_and_black():
    result = label_set()
    assert [result.name_of(i) for i in (3, 255, -1)] == ["void"] * 3
    assert result.colors.shape == (256, 3)
    assert not result.colors[3:].any()


def test_unknown_label_set():
    with pytest.raises(UnknownNameError, match="Did you mean 'cityscapes'"):
        load_label_set("citiscapes")
    with pytest.raises(UnknownNameError, match="Known: ade20k, cityscapes, voc"):
        load_label_set("../labels/voc")


def test_through_json_and_back():
    for result in (label_set(void=2, ignore_index=9), *map(load_label_set, ("voc", "ade20k"))):
        again = LabelSet.from_dict(json.loads(json.dumps(result.to_dict())))
        assert again == result


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"names": ("sky", "Sea", "sky")}, "has ['sky'] more than once; rename one."),
        ({"palette": ((0, 0, 0),)}, "has 3 names but 1 colors; give one color per name."),
        ({"palette": ((0, 0, 256),) * 3}, "has colors outside 0 to 255"),
        ({"palette": ((0, 0, -1),) * 3}, "has colors outside 0 to 255"),
        ({"aliases": {"dune": "dessert"}}, "alias 'dune' for 'dessert', which it does not have"),
    ],
)
def test_rules(changes, message):
    with pytest.raises(InputError) as caught:
        label_set(**changes)
    assert message in str(caught.value)


def test_two_classes_may_share_a_color():
    assert len(label_set(palette=((1, 2, 3),) * 3)) == 3


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"name": None}, "has a name that is not a string"),
        ({"names": ("a", None)}, "has a name that is not a string"),
        ({"names": ("a", "\ud800")}, "has a name with half a character"),
        ({"aliases": {"c": 1}}, "has a name that is not a string"),
        ({"void": 1 << 40}, "void=1099511627776 must be a whole number from 0 to 65535"),
        ({"void": -1}, "void=-1 must be"),
        ({"ignore_index": 2.5}, "ignore_index=2.5 must be"),
    ],
)
def test_values_of_other_types(changes, match):
    values = {"name": "two", "names": ("a", "b"), "palette": ((0, 0, 0), (9, 9, 9))}
    LabelSet(**values)
    with pytest.raises(InputError, match=match):
        LabelSet(**(values | changes))
