"""Options of a data set are checked when made, and travel with it."""

from __future__ import annotations

import pytest
from helpers.make_dataset import folders

from easyseg.datasets import DatasetOptions, open_dataset, open_with_options
from easyseg.errors import InputError
from easyseg.results.label_set import LabelSet


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": "road,car"}, "must be a list of class names, such as"),
        ({"classes": [1, 2]}, "must be a list of class names"),
        ({"classes": 5}, "must be a list of class names"),
        ({"ignore": [1.5]}, "must be a list of class names or ids, such as"),
        ({"ignore": None}, "must be a list of class names or ids"),
        ({"format": 3}, "must be a name such as 'coco', or None"),
    ],
)
def test_options_of_the_wrong_type(options, message):
    with pytest.raises(InputError, match=message):
        DatasetOptions(**options)


def test_options_become_tuples_and_plain_values():
    options = DatasetOptions(classes=(name for name in ("a", "b")), ignore="b")
    assert options == DatasetOptions(classes=["a", "b"], ignore=["b"])
    assert options.to_dict() == {"classes": ["a", "b"], "ignore": ["b"]}
    assert DatasetOptions(**options.to_dict()) == options
    assert DatasetOptions().to_dict() == {}
    labels = LabelSet("mine", ("a",), ((1, 2, 3),))
    assert DatasetOptions(classes=labels).label_set is labels
    assert DatasetOptions(classes=labels).names == ("a",)


def test_a_data_set_says_how_it_can_be_opened_again(tmp_path):
    root = folders(tmp_path / "mine")
    dataset = open_dataset(root, classes=["ground", "box"], ignore=["ground"])
    again = open_with_options(dataset.source, dataset.options)
    assert again.label_set == dataset.label_set
    assert open_with_options(dataset, DatasetOptions()) is dataset
    assert open_dataset(open_dataset(root), ignore=[0]).source is None
