"""What a notebook shows of a result: one piece of HTML."""

import base64
import html.parser
import io
import re

import numpy as np
import pytest
from PIL import Image

from easyseg import LabelSet, Segmentation, load_label_set

DOG, PERSON = 12, 15


class Cells(html.parser.HTMLParser):
    """The texts of a table's cells, row by row, and the attributes of its image."""

    def __init__(self, page):
        super().__init__()
        self.rows, self.image = [], {}
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        elif tag == "img":
            self.image = dict(attributes)

    def handle_data(self, data):
        if self.rows:
            self.rows[-1][-1] += data


def segmentation(labels, label_set):
    labels = np.asarray(labels, np.uint8)
    return Segmentation(labels, label_set, np.full((*labels.shape, 3), 90, np.uint8))


def shown(result):
    return Cells(result._repr_html_())


def test_a_table_of_names_and_areas():
    labels = np.zeros((10, 20), np.uint8)
    labels[:3], labels[3] = PERSON, DOG
    page = segmentation(labels, load_label_set("voc"))._repr_html_()
    assert Cells(page).rows == [
        ["", "class", "area", "pixels"],
        ["", "background", "60.0 %", "120"],
        ["", "person", "30.0 %", "60"],
        ["", "dog", "10.0 %", "20"],
    ]
    # in the order of the rows; the background, which is not tinted, has none
    assert re.findall(r"rgb\([\d,]+\)", page) == ["rgb(192,128,128)", "rgb(64,0,128)"]


@pytest.mark.parametrize(("shape", "size"), [((30, 40), (40, 30)), ((900, 1600), (640, 360))])
def test_the_overlay_at_a_size_for_notebooks(shape, size):
    result = segmentation(np.full(shape, PERSON), load_label_set("voc"))
    image = shown(result).image
    start, _, data = image["src"].partition(",")
    assert start == "data:image/jpeg;base64"
    assert image["alt"] == f"Overlay of {shape[1]} x {shape[0]} pixels"
    decoded = Image.open(io.BytesIO(base64.b64decode(data)))
    assert decoded.size == size
    np.testing.assert_allclose(np.asarray(decoded)[0, 0], result.plot()[0, 0], atol=3)


def test_names_are_escaped():
    name = "<img src=x onerror=alert(1)>&\"'"
    label_set = LabelSet("mine", ("road", name), ((0, 0, 0), (255, 0, 0)))
    result = segmentation([[1]], label_set)
    assert "<img src=x" not in result._repr_html_()
    assert shown(result).rows[1][1] == name


def test_many_classes_are_counted():
    names = tuple(f"class {i}" for i in range(20))
    label_set = LabelSet("mine", names, tuple((i, i, i) for i in range(20)))
    rows = shown(segmentation([[*range(20)]], label_set)).rows
    assert len(rows) == 1 + 12 + 1
    assert rows[-1] == ["", "and 8 more"]
