"""Models in other processes: a pickled one is its recipe, a fork says at once that it cannot."""

import copy
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from helpers.tiny_backbone import register_tiny

from easyseg import SemanticSegmentation, build_model
from easyseg.errors import InputError

IMAGE = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)


@pytest.fixture
def saved(tmp_path, monkeypatch):
    """The folder of a small model, relative to the working folder."""
    register_tiny(monkeypatch)
    monkeypatch.chdir(tmp_path)
    seg = SemanticSegmentation.create("tiny", num_classes=3, head_channels=8, input_size=(65, 65))
    return seg.save("saved")


def pickled(seg):
    return pickle.loads(pickle.dumps(seg))


@pytest.mark.parametrize("again", [pickled, copy.copy, copy.deepcopy])
def test_a_model_is_opened_again(saved, tmp_path, monkeypatch, again):
    seg = SemanticSegmentation(saved, output_stride=8, tile=65, flip=True, cache_dir=tmp_path)
    seg.history = [{"epoch": 1}]
    labels = seg.segment_image(IMAGE).labels
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    other = again(seg)
    assert other.model is not seg.model
    assert (other.name, other.history, repr(other)) == (seg.name, seg.history, repr(seg))
    assert (other._options, other._cache_dir) == (seg._options, seg._cache_dir)
    np.testing.assert_array_equal(other.segment_image(IMAGE).labels, labels)


def test_weights_in_memory_are_saved_first(saved, tmp_path):
    seg = SemanticSegmentation(saved)
    seg.model.set_weights([values + 1 for values in seg.model.get_weights()])
    created = SemanticSegmentation.create("tiny", num_classes=3, head_channels=8)
    for unsaved in (seg, created):
        for again in (pickle.dumps, copy.copy):
            with pytest.raises(InputError, match=r'in memory only.*save\("folder"\) and use Sem'):
                again(unsaved)
        unsaved.save("folder")
        other = pickled(SemanticSegmentation("folder"))
        assert all(map(np.array_equal, other.model.get_weights(), unsaved.model.get_weights()))


def test_a_fork_says_at_once_that_it_cannot_run_networks(saved, monkeypatch):
    seg = SemanticSegmentation(saved)
    seg.segment_image(IMAGE)
    content, pid = pickle.dumps(seg), os.getpid()
    with monkeypatch.context() as fork:
        fork.setattr("os.getpid", lambda: pid + 1)
        other = pickle.loads(content)  # an error here would end a worker, for which a pool waits
        for use in (
            lambda: seg.segment_image(IMAGE),
            lambda: list(seg.segment_images([IMAGE])),
            lambda: seg.segment_folder("saved/*.png", "out"),
            seg.optimize,
            seg.benchmark,
            lambda: seg.model,
            lambda: SemanticSegmentation(saved),
            lambda: SemanticSegmentation.create("tiny", num_classes=3),
            lambda: build_model(seg.config),
            lambda: other.segment_image(IMAGE),
        ):
            with pytest.raises(InputError, match=r'multiprocessing.get_context\("spawn"\)'):
                use()
    seg.segment_image(IMAGE)


PROCESSES = """
import multiprocessing
import sys
import numpy as np
from easyseg import SemanticSegmentation
from easyseg.errors import InputError

def certainty(seg, image):
    try:
        return round(float(seg.segment_image(image).confidence.sum()), 1)
    except InputError as error:
        return str(error)

def opened(image):
    try:
        return certainty(SemanticSegmentation("mini"), image)
    except InputError as error:
        return str(error)

if __name__ == "__main__":
    image = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)
    with multiprocessing.get_context("fork").Pool(1) as pool:  # nothing is open yet
        before = pool.apply_async(opened, (image,)).get(300)
    seg = SemanticSegmentation("mini")
    expected = certainty(seg, image)
    assert before == expected
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert "was forked" in pool.apply_async(opened, (image,)).get(60)
        assert "was forked" in pool.apply_async(certainty, (seg, image)).get(60)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply_async(certainty, (seg, image)).get(300) == expected
    print("done")
"""


@pytest.mark.slow
def test_forked_and_spawned_processes(tmp_path):
    """With unusual settings in keras.json too, which must not matter."""
    (tmp_path / "keras.json").write_text(
        '{"backend": "jax", "image_data_format": "channels_first", "floatx": "float16"}'
    )
    (tmp_path / "processes.py").write_text(PROCESSES)
    done = subprocess.run(
        [sys.executable, "processes.py"],
        cwd=tmp_path,
        env={**os.environ, "KERAS_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.stdout == "done\n", done.stderr
