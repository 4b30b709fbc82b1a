"""What an ordinary user may not enter is one error, or not needed."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from helpers.make_dataset import folders

from easyseg import SemanticSegmentation
from easyseg.datasets import open_dataset
from easyseg.errors import DatasetError, VideoError, WeightsError
from easyseg.inference.video import check_video
from easyseg.io.video import open_source
from easyseg.weights.cache import check_file
from easyseg.weights.manifest import weight_set
from easyseg.weights.resolve import resolve

USER = 65534  # nobody
IMAGE = np.zeros((40, 50, 3), np.uint8)

pytestmark = pytest.mark.skipif(not hasattr(os, "seteuid"), reason="needs users")


@pytest.fixture
def place():
    """A folder of everyone, with `locked`, which an ordinary user may not enter."""
    root = Path(tempfile.mkdtemp())  # pytest's own folders are for the one who runs it
    root.chmod(0o777)
    folders(root / "set", 3)
    (root / "locked").mkdir()
    yield root
    shutil.rmtree(root)


@pytest.fixture
def as_user(place):
    """Locks a folder and becomes an ordinary user, if one is not; until the test's end."""
    folder = place / "locked"

    def become(folder: Path = folder) -> None:
        folder.chmod(0)
        if os.geteuid() == 0:
            os.seteuid(USER)

    yield become
    if os.getuid() == 0:
        os.seteuid(0)
    for path in (folder, place / "set/masks", place / "cache/runtimes"):
        if path.exists():
            path.chmod(0o755)


def test_files_in_a_locked_folder(place, as_user):
    pytest.importorskip("av")
    locked, video = place / "locked", place / "locked/a.mkv"
    (place / "o.mkv").touch()
    open_dataset(place / "set")  # loads what a user may not be able to
    as_user()
    with pytest.raises(WeightsError, match="locked/model cannot be read: permission denied"):
        resolve(locked / "model")
    with pytest.raises(WeightsError, match=r"locked/x.h5 cannot be read: permission denied"):
        check_file(weight_set("mobilenetv2.voc"), locked / "x.h5")
    with pytest.raises(DatasetError, match="locked/set cannot be read: permission denied"):
        open_dataset(locked / "set")
    with pytest.raises(VideoError, match=r"annot .*locked/a.mkv|locked/a.mkv cannot be read"):
        open_source(video)
    check_video(video, place / "o.mkv")


def test_masks_in_a_locked_folder(place, as_user):
    as_user(place / "set/masks")
    with pytest.raises(DatasetError, match=r"set/masks.* permission denied"):
        open_dataset(place / "set")


def test_a_locked_cache_is_not_needed(place, as_user):
    cache = place / "cache"
    (cache / "runtimes").mkdir(parents=True)
    before = SemanticSegmentation("mini", cache_dir=cache).segment_image(IMAGE)
    as_user(cache / "runtimes")
    after = SemanticSegmentation("mini", cache_dir=cache).segment_image(IMAGE)
    assert (after.labels == before.labels).all()
