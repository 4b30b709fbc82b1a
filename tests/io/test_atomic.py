"""What a killed process leaves incomplete, and who removes it."""

import os
import re
import subprocess
import sys

import click.testing
import pytest

from easyseg.cli import cli
from easyseg.io.atomic import find_leftovers, remove_leftovers, temporary_path, write_bytes


@pytest.fixture(scope="module")
def dead_pid():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def renamed(path, pid):
    """The name that a process of that number would have given."""
    return path.with_name(re.sub(rf"-{os.getpid()}-", f"-{pid}-", path.name))


@pytest.fixture
def folder(tmp_path, dead_pid):
    (tmp_path / "deep").mkdir()
    mine = temporary_path(tmp_path / "a.mp4")
    dead = renamed(temporary_path(tmp_path / "deep/b.mp4"), dead_pid)
    tree = renamed(temporary_path(tmp_path / "net"), dead_pid)
    (tree / "new").mkdir(parents=True)
    host = dead.name.split("-")[1]
    other_host = dead.with_name(dead.name.replace(f"-{host}-", "-00000000-"))
    for path in (mine, dead, tree / "new/x", other_host, tmp_path / ".mine.part"):
        path.write_text("half")
    return tmp_path, {mine, other_host, tmp_path / ".mine.part"}, {dead, tree}


def test_only_those_of_dead_processes_of_this_computer_are_left(folder):
    root, kept, left = folder
    assert {*find_leftovers(root), *find_leftovers(root / "deep")} == left
    remove_leftovers(root)
    remove_leftovers(root / "deep")
    assert all(path.exists() for path in kept)
    assert not any(path.exists() for path in left)
    assert find_leftovers(root / "missing") == []


def test_containers_of_one_name_are_other_hosts(tmp_path):
    """Their process ids mean nothing here: a file of a running one is no leftover."""
    program = "import pathlib, easyseg.io.atomic as a; print(a.part_path(pathlib.Path('x')))"
    command = ["unshare", "--pid", "--fork", sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"needs process namespaces: {done.stderr}")
    path = tmp_path / done.stdout.strip()
    path.touch()
    assert find_leftovers(tmp_path) == []
    assert find_leftovers(tmp_path, any_host=True) == [path]


def test_clean_lists_and_removes_them(folder):
    root, kept, left = folder
    run = click.testing.CliRunner().invoke
    listed = run(cli, ["clean", str(root), "--dry-run"])
    assert sorted(listed.output.splitlines()) == sorted([*map(str, left), "2 found."])
    assert all(path.exists() for path in left)
    assert run(cli, ["clean", str(root)]).output.endswith("2 removed.\n")
    assert all(path.exists() for path in kept)
    assert not any(path.exists() for path in left)
    other_host = next(path for path in kept if "-00000000-" in path.name)
    output = run(cli, ["clean", str(root), "--any-host"]).output
    assert output == f"{other_host}\n1 removed.\n"
    assert {path for path in kept if path.exists()} == kept - {other_host}
    error = run(cli, ["clean", str(root / "missing")])
    assert "missing. Give folders that exist" in error.output


def test_nothing_is_left_after_an_error(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        write_bytes(tmp_path / "folder", b"")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
