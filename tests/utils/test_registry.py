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


def test_look_up(table):
    assert table["banana"] == "BANANA"
    assert "apple" in table
    assert "cherry" not in table
    assert list(table) == ["apple", "apricot", "banana"]
    assert len(table) == 3


def test_register_returns_the_entry(table):
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
    message = str(unknown_name("class", "x", [f"n{i}" for i in range(21)]))
    assert message.endswith("n19, n20.")  # as many as Pascal VOC has


def test_nearest_gives_the_best_first():
    assert nearest("person", ["parson", "PERSON", "car"]) == ["PERSON", "parson"]
    assert nearest("person", []) == []


@pytest.fixture
def costly(tmp_path, monkeypatch):
    """A table with entries whose module is imported on first look-up."""
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


def test_modules_are_imported_on_first_look_up(costly):
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
