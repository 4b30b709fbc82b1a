"""Folders that are replaced: there is always one."""

import threading

import pytest

from easyseg.io import atomic
from easyseg.io.atomic import exchange_folder, restore_folder


def folder(path, content):
    path.mkdir()
    (path / "file").write_text(content)
    return path


def content(path):
    return (path / "file").read_text()


def names(path):
    return sorted(p.name for p in path.iterdir())


@pytest.fixture(params=["system", "fallback"])
def way(request, monkeypatch):
    if request.param == "fallback":
        monkeypatch.setattr(atomic, "_exchange", lambda *_: False)


def test_a_new_folder(way, tmp_path):
    exchange_folder(folder(tmp_path / "new", "new"), tmp_path / "net")
    assert content(tmp_path / "net") == "new"
    assert names(tmp_path) == ["net"]


def test_an_old_one_lies_where_the_new_one_was(way, tmp_path):
    target = folder(tmp_path / "net", "old")
    exchange_folder(folder(tmp_path / "new", "new"), target)
    assert content(target) == "new"
    assert content(tmp_path / "new") == "old"
    assert names(tmp_path) == ["net", "new"]


def test_a_failure_changes_nothing(way, tmp_path):
    target = folder(tmp_path / "net", "old")
    with pytest.raises(FileNotFoundError):
        exchange_folder(tmp_path / "new", target)
    assert content(target) == "old"
    assert names(tmp_path) == ["net"]


def test_a_kill_halfway_is_repaired_at_the_next_opening(tmp_path, monkeypatch):
    target, new = folder(tmp_path / "net", "old"), folder(tmp_path / "new", "new")
    monkeypatch.setattr(atomic, "_exchange", lambda *_: False)
    replace = type(target).replace

    def killed(path, to):
        if path == new:
            raise KeyboardInterrupt
        return replace(path, to)

    with monkeypatch.context() as patch:
        patch.setattr(type(target), "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            exchange_folder(new, target)
    assert not target.exists()
    restore_folder(target)
    assert content(target) == "old"
    assert names(tmp_path) == ["net", "new"]


def test_there_is_never_none(tmp_path):
    target, new = folder(tmp_path / "net", "old"), folder(tmp_path / "new", "new")
    if not atomic._exchange(target, new):
        pytest.skip("this system cannot exchange two names")
    missing, stopped = [], threading.Event()

    def watch():
        while not stopped.is_set():
            if not target.is_dir():
                missing.append(1)

    thread = threading.Thread(target=watch)
    thread.start()
    for _ in range(300):
        exchange_folder(new, target)
    stopped.set()
    thread.join()
    assert not missing
