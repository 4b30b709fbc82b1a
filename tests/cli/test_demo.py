"""`easyseg demo`, beyond what every command does."""

import re

from click.testing import CliRunner

from easyseg.cli import cli


def test_classes_of_low_confidence_are_marked(tmp_path):
    printed = (
        CliRunner().invoke(cli, ["demo", "-o", str(tmp_path / "d")], prog_name="easyseg").output
    )
    marked = re.findall(r" % {2}unsure \(confidence (\d+) %\)$", printed, re.MULTILINE)
    assert marked
    assert all(int(value) <= 60 for value in marked)
    assert printed.count("unsure") == len(marked)
