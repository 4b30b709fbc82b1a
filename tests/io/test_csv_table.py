"""Tables as CSV that a spreadsheet does not compute."""

import csv

import pytest

from easyseg.cli.evaluate import write_table
from easyseg.io.csv_table import write_csv


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
def test_formulas_remain_text(tmp_path, text):
    write_csv(tmp_path / "a.csv", [["name", text], [text, -1.5], ["a=1", None]])
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [["name", f"'{text}"], [f"'{text}", "-1.5"], ["a=1", ""]]


def test_classes_of_an_evaluation(tmp_path):
    class Scores:
        def rows(self):
            return [{"name": '=HYPERLINK("http://x")', "iou": 0.5}]

    write_table(Scores(), tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text().splitlines()[1].startswith("\"'=HYPERLINK")
