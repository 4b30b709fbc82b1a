"""Tables of named things."""

import pytest

from easyseg.errors import InputError, UnknownNameError
from easyseg.utils.registry import Registry, nearest, unknown_name


@pytest.fixture
def table():
    table = Registry("fruit")
    for name in ("apple", "apricot", "banana"):
        table.register(name)(name.upper())
    return table


class Entry:
    """Stands for `importlib.metadata.EntryPoint`."""

    def __init__(self, name, value):
        self.name, self.value, self.loaded = name, value, 0

    def load(self):
        self.loaded += 1
        return self.value


@pytest.fixture
def plugins(monkeypatch):
    entries = {"easyseg.fruits": [Entry("cherry", "CHERRY"), Entry("apple", "ANOTHER APPLE")]}
    monkeypatch.setattr("importlib.metadata.entry_points", lambda *, group: entries.get(group, []))
    return entries["easyseg.fruits"]


def test_rows_are_found(table):
    assert table["banana"] == "BANANA"
    assert "apple" in table
    assert "cherry" not in table
    assert list(table) == ["apple", "apricot", "banana"]
    assert len(table) == 3


def test_register_gives_back_the_row(table):
    @table.register("plum")
    def plum():
        return 1

    assert table["plum"] is plum
    assert plum() == 1


def test_a_name_is_taken_once(table):
    with pytest.raises(InputError, match="fruit 'apple' exists already; choose another name"):
        table.register("apple")("other")
    assert table["apple"] == "APPLE"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("banan", "Did you mean 'banana'?"),
        ("BANANA", "Did you mean 'banana'?"),
        ("apriple", "Did you mean 'apple'?"),
        ("zzz", "Known: apple, apricot, banana."),
        ("", "Known: apple, apricot, banana."),
    ],
)
def test_did_you_mean(table, name, hint):
    with pytest.raises(UnknownNameError) as caught:
        table[name]
    assert str(caught.value) == f"unknown fruit {name!r}. {hint}"
    assert isinstance(caught.value, ValueError)


def test_several_that_are_near():
    message = str(unknown_name("fruit", "plumm", ["banana", "plum", "plump"]))
    assert message == "unknown fruit 'plumm'. Did you mean 'plum' or 'plump'?"


def test_long_tables_are_cut():
    message = str(unknown_name("number", "x", [f"n{i}" for i in range(30)]))
    assert message.endswith("n18, n19, ….")


def test_nearest_gives_the_best_first():
    assert nearest("person", ["parson", "PERSON", "car"]) == ["PERSON", "parson"]
    assert nearest("person", []) == []


def test_entry_points_join_the_table(table, plugins):
    table.group = "easyseg.fruits"
    assert list(table) == ["apple", "apricot", "banana", "cherry"]
    assert plugins[0].loaded == 0
    assert table["cherry"] == table["cherry"] == "CHERRY"
    assert plugins[0].loaded == 1
    assert len(table) == 4


def test_an_entry_point_does_not_replace_a_row(table, plugins):
    table.group = "easyseg.fruits"
    assert table["apple"] == "APPLE"
    assert plugins[1].loaded == 0


def test_entry_points_are_suggested(table, plugins):
    table.group = "easyseg.fruits"
    with pytest.raises(UnknownNameError, match="Did you mean 'cherry'"):
        table["chery"]


def test_a_closed_table_asks_for_no_entry_points(table, plugins):
    with pytest.raises(UnknownNameError):
        table["cherry"]


def test_an_output_of_another_package_can_be_saved(monkeypatch, tmp_path):
    import numpy as np

    from easyseg import Segmentation, load_label_set, read_image
    from easyseg.results.outputs import OUTPUTS, Output

    entry = Entry("negative", Output(lambda result, alpha: 255 - result.image, (".png",)))
    monkeypatch.setattr(
        "importlib.metadata.entry_points",
        lambda *, group: [entry] if group == "easyseg.results.outputs" else [],
    )
    monkeypatch.setattr(OUTPUTS, "_rows", dict(OUTPUTS._rows))
    image = np.full((4, 5, 3), 10, np.uint8)
    result = Segmentation(np.zeros((4, 5), np.uint8), load_label_set("voc"), image)
    path = result.save(tmp_path / "negative.png", "negative")
    assert (read_image(path) == 245).all()


@pytest.fixture
def costly(tmp_path, monkeypatch):
    """A table with a row whose module is imported when it is asked for."""
    import sys

    table = Registry("fruit", modules={"fig": "figs_of_a_test", "date": "figs_of_a_test"})
    monkeypatch.setitem(sys.modules, "fruit_table", type(sys)("fruit_table"))
    sys.modules["fruit_table"].TABLE = table
    (tmp_path / "figs_of_a_test.py").write_text(
        "from fruit_table import TABLE\n"
        "for name in ('fig', 'date'):\n"
        "    TABLE.register(name)(name.upper())\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield table
    sys.modules.pop("figs_of_a_test", None)


def test_a_costly_module_is_imported_when_a_row_is_asked_for(costly):
    import sys

    costly.register("apple")("APPLE")
    assert list(costly) == ["fig", "date", "apple"]
    assert "date" in costly
    assert len(costly) == 3
    with pytest.raises(UnknownNameError, match="Did you mean 'date'"):
        costly["dat"]
    assert "figs_of_a_test" not in sys.modules
    assert costly["date"] == "DATE"
    assert costly["fig"] == "FIG"
    assert list(costly) == ["fig", "date", "apple"]
