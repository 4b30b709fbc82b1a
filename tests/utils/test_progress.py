"""Lines of others do not tear a progress bar."""

import os
import sys

import pytest

from easyseg.utils.progress import STDERR, progress_bar

LINE = "Corrupt JPEG data: premature end of data segment"


@pytest.fixture
def stderr(monkeypatch, capfd):
    """What the process's own stderr got, in a test that calls `own()` first."""

    def own():
        stream = open(STDERR, "w", closefd=False)  # noqa: SIM115  (as in a script)
        monkeypatch.setattr(sys, "stderr", stream)

    return own, lambda: capfd.readouterr().err


def test_lines_of_c_libraries_go_above_the_bar(stderr):
    own, text_of = stderr
    own()
    with progress_bar(True, 3, "image") as bar:
        bar.update()
        os.write(STDERR, f"{LINE}\n".encode())
        sys.stderr.write("a warning of Python\n")
        bar.update(2)
        bar.refresh()
    os.write(STDERR, b"afterwards\n")
    text = text_of()
    assert "3/3" in text
    lines = [line for row in text.split("\n") for line in row.split("\r")]
    assert {LINE, "a warning of Python", "afterwards"} <= set(lines)


def test_a_second_bar_at_once_and_a_replaced_stderr(stderr, monkeypatch):
    own, text_of = stderr
    own()
    with progress_bar(True, 1, "image") as first, progress_bar(True, 1, "frame") as second:
        first.update()
        second.update()
    assert text_of().count("1/1") >= 2
    monkeypatch.setattr(sys, "stderr", None)
    with progress_bar(False, 1, "image") as bar:
        bar.update()


def test_an_error_leaves_stderr_as_it_was(stderr):
    own, text_of = stderr
    own()
    with pytest.raises(KeyError), progress_bar(True, None, "image"):
        raise KeyError
    sys.stderr.write("still here\n")
    sys.stderr.flush()
    assert "still here\n" in text_of()
