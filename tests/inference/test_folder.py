"""Many images: what is written, what a bad one does, and how a later run resumes."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from helpers.small_disk import small_disk
from PIL import Image

from easyseg import Predictor, SemanticSegmentation, read_image
from easyseg.errors import ImageNotFoundError, InputError, OutputError, UnknownNameError
from easyseg.inference import folder as folder_module
from easyseg.inference import predictor as predictor_module
from easyseg.inference.options import InferenceOptions
from easyseg.results.outputs.spec import OutputSpec
from easyseg.utils.threads import thread_count


@pytest.fixture(scope="module")
def mini():
    return SemanticSegmentation("mini")


@pytest.fixture(scope="module")
def small(mini):
    """The network of `mini` with a small input: quick."""
    return predictor(mini)


def predictor(mini, batch_size=None):
    options = InferenceOptions(batch_size, runtime="keras")
    return Predictor(mini.model, mini.label_set, input_size=(65, 65), options=options)


def segment_folder(predictor, sources, out=None, *, settings=None, progress=True, resume=False,
                   jsonl=None, **spec):  # fmt: skip
    return folder_module.segment_folder(
        predictor,
        sources,
        out,
        spec=OutputSpec(**spec),
        settings=settings,
        progress=progress,
        resume=resume,
        jsonl=jsonl,
    )


def draw(path, *, number=0, size=(60, 40)):
    """An image that is unlike the others."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(0, 256, (4, 6, 3), np.uint8)
    Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC).save(path)


@pytest.fixture
def images(tmp_path, monkeypatch):
    """The working folder, with five images below photos."""
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(("a.jpg", "b.png", "deep/c.jpg", "d.webp", "e.bmp")):
        draw(f"photos/{name}", number=number, size=(60 + number, 40))
    return tmp_path


PLACES = ["a", "b", "d", "deep/c", "e"]


def lines(path="out/results.jsonl"):
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def sources(path="out/results.jsonl"):
    return sorted(line["source"] for line in lines(path))


def written(folder="."):
    """Files that are no sources."""
    paths = (p.relative_to(folder) for p in Path(folder).rglob("*") if p.is_file())
    return sorted(str(p) for p in paths if folder != "." or p.parts[0] != "photos")


# What is written


def test_results_are_those_of_single_images(mini, images):
    summary = mini.segment_folder("photos", "out", kind="mask", progress=False)
    assert (summary.done, summary.skipped, summary.failed) == (5, 0, ())
    assert written("out") == [*(f"{p}.png" for p in PLACES), "results.jsonl"]
    assert sources() == sorted(str(p) for p in Path("photos").rglob("*.*"))
    for line in lines():
        result = mini.segment_image(line["source"])
        with Image.open(line["result"]) as image:
            np.testing.assert_array_equal(np.asarray(image), result.labels)
        assert (line["height"], line["width"]) == result.labels.shape
        assert [c["name"] for c in line["classes"]] == result.class_names
        for entry in line["classes"]:
            assert entry["pixels"] == (result.labels == entry["id"]).sum()
            assert entry["ratio"] == pytest.approx(entry["pixels"] / result.labels.size, abs=1e-5)
        assert all(spent >= 0 for spent in line["milliseconds"].values())
        assert line["settings"]["model"] == "mini"
        assert line["settings"]["kind"] == "mask"


def test_lines_are_in_the_order_of_the_images(mini, images):
    segment_folder(predictor(mini, 3), "photos", "out", progress=False)
    assert [line["result"] for line in lines()] == [f"out/{place}.png" for place in PLACES]


def test_options_reach_the_images(mini, images):
    draw("one.png", size=(200, 150))
    options = {"alpha": 0.9, "legend": True, "classes": ["background", "person"]}
    mini.segment_folder("one.png", "out", **options)
    mini.segment_image("one.png", "expected.png", **options)
    assert Path("out/one.png").read_bytes() == Path("expected.png").read_bytes()
    assert lines()[0]["settings"]["classes"] == ["background", "person"]
    assert {c["name"] for c in lines()[0]["classes"]} <= {"background", "person"}


def test_results_beside_the_images(small, images):
    summary = segment_folder(small, "photos", progress=False)
    beside = [f"{place}.seg.png" for place in PLACES]
    assert [name for name in written("photos") if ".seg." in name] == beside
    assert summary.jsonl == Path("photos/results.jsonl")
    assert str(summary).startswith("5 of 5 done in ")
    assert str(summary).endswith(" s -> beside the images")
    assert segment_folder(small, "photos", progress=False).done == 5, "results are no images"


def test_the_extension_follows_the_kind(small, images):
    segment_folder(small, "photos", "out", kind="labelme", progress=False)
    assert written("out") == [*(f"{p}.json" for p in PLACES), "results.jsonl"]
    document = json.loads(Path("out/deep/c.json").read_text())
    assert document["imagePath"] == "../../photos/deep/c.jpg"
    segment_folder(small, "photos", kind="npz", progress=False)
    assert Path("photos/deep/c.seg.npz").exists()


def test_documents_may_lie_among_the_images(small, images):
    segment_folder(small, "photos", "photos", kind="labelme", progress=False)
    assert json.loads(Path("photos/a.json").read_text())["imagePath"] == "a.jpg"


def test_a_file_for_a_single_image(small, images):
    assert segment_folder(small, "photos/a.jpg", "new/x.png").done == 1
    assert written("new") == ["results.jsonl", "x.png"]


def test_another_place_for_the_lines(small, images):
    summary = segment_folder(small, "photos", "out", jsonl="deep/areas.jsonl", progress=False)
    assert summary.jsonl == Path("deep/areas.jsonl")
    assert len(lines("deep/areas.jsonl")) == 5
    assert not Path("out/results.jsonl").exists()


def test_the_lines_of_images_from_several_folders_lie_above_them(small, images):
    draw("more/x.jpg")
    assert segment_folder(small, ["photos", Path("more")], progress=False).jsonl == Path(
        "results.jsonl"
    )


def test_names_of_any_kind(small, images):
    names = ["Größe 1.png", "\N{SNOWMAN}.png", "with space.png", os.fsdecode(b"\xff.png")]
    for name in names:
        draw(f"odd/{name}")
    summary = segment_folder(small, "odd", "out", progress=False)
    assert (summary.done, summary.failed) == (4, ())
    assert {Path(line["source"]).name for line in lines()} == set(names)
    assert segment_folder(small, "odd", "out", resume=True, progress=False).skipped == 4


def test_same_file_twice_and_same_name_twice(small, images):
    draw("more/a.jpg", number=7)
    summary = segment_folder(
        small, ["photos/a.jpg", "./photos/a.jpg", "more/a.jpg"], "out", progress=False
    )
    assert summary.done == 2
    assert written("out") == ["a_jpg.png", "a_jpg_2.png", "results.jsonl"]


def test_the_bar(small, images, capsys):
    segment_folder(small, "photos", "out")
    assert "5/5" in capsys.readouterr().err
    segment_folder(small, "photos", "out", progress=False)
    assert capsys.readouterr().err == ""


# Bad images


def test_bad_images_do_not_lose_their_neighbors(mini, small, images):
    whole = Path("photos/a.jpg").read_bytes()
    bad = Path("photos/bad")
    (bad / "folder.jpg").mkdir(parents=True)
    (bad / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (bad / "text.jpg").write_text("no image")
    (bad / "empty.jpg").touch()
    (bad / "link.jpg").symlink_to("nowhere.jpg")
    summary = segment_folder(predictor(mini, 4), "photos", "out", progress=False)
    assert summary.done == 5
    assert written("out") == [*(f"{p}.png" for p in PLACES), "results.jsonl"]
    failed = {Path(source).name: message for source, message in summary.failed}
    assert failed.keys() == {"cut.jpg", "text.jpg", "empty.jpg", "link.jpg"}
    assert "Cannot read photos/bad/cut.jpg: it is damaged (" in failed["cut.jpg"]
    assert "photos/bad/text.jpg: not an image in a format" in failed["text.jpg"]
    assert "photos/bad/empty.jpg: it is empty (0 bytes)" in failed["empty.jpg"]
    assert failed["link.jpg"] == (
        "Cannot read photos/bad/link.jpg: it is a link to nowhere.jpg, which does not exist. "
        "Fix or remove the link."
    )
    assert {e["source"]: e["error"] for e in lines() if "error" in e} == dict(summary.failed)
    assert str(summary).startswith("5 of 9 done, 4 failed in ")
    assert segment_folder(small, "photos", "again", progress=False).done == 5
    for place in PLACES:
        alone, batched = (read_image(f"{out}/{place}.png") for out in ("again", "out"))
        assert (alone == batched).mean() > 0.99


def test_every_format_is_found_and_the_rest_is_named(small, tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    for name in ("a.avif", "b.jp2", "c.jfif", "d.ppm", "e.PGM", "f.webp"):
        draw(f"photos/{name}")
    for name in ("notes.txt", "raw.cr2", ".DS_Store"):
        Path(f"photos/{name}").touch()
    summary = segment_folder(small, "photos", "out", progress=False)
    assert (summary.done, summary.passed_over) == (6, ("photos/notes.txt", "photos/raw.cr2"))
    assert str(summary).endswith(" -> out; passed over 2 other files (notes.txt, raw.cr2)")


@pytest.mark.parametrize("batch_size", [1, 3])
def test_large_images_are_not_decoded_all_at_once(mini, small, images, monkeypatch, batch_size):
    held, peaks, lock = [0], [], threading.Lock()
    read = predictor_module.read_image

    def counted(source, **options):
        image = read(source, **options)
        with lock:
            held[0] += image.shape[0] * image.shape[1]
            peaks.append(held[0])
        time.sleep(0.01)
        with lock:
            held[0] -= image.shape[0] * image.shape[1]
        return image

    monkeypatch.setattr(predictor_module, "read_image", counted)
    for number in range(8):
        draw(f"large/{number}.png", number=number, size=(300, 200))
    monkeypatch.setenv("EASYSEG_MAX_PIXELS", "60000")
    network = small if batch_size == 1 else predictor(mini, batch_size)
    summary = segment_folder(network, "large", "out", progress=False)
    assert summary.done == 8
    assert max(peaks) <= 60000 * batch_size
    monkeypatch.setenv("EASYSEG_MAX_PIXELS", "59999")
    assert len(segment_folder(small, "large", "out", progress=False).failed) == 8


@pytest.fixture
def nobody():
    """A user whom permissions bind (they do not bind root)."""
    if os.geteuid():
        yield
        return
    os.chmod(".", 0o777)  # noqa: PTH101
    os.seteuid(65534)
    yield
    os.seteuid(0)


def test_images_and_folders_without_permission(small, images, nobody):
    draw("mine/open.png")
    draw("mine/closed.png")
    draw("mine/private/c.png")
    Path("mine/closed.png").chmod(0)
    Path("mine/private").chmod(0)
    try:
        summary = segment_folder(small, "mine", "out", progress=False)
    finally:
        Path("mine/private").chmod(0o700)
    assert summary.done == 1
    assert dict(summary.failed) == {
        "mine/closed.png": "Cannot read mine/closed.png: permission denied. "
        "Check its name and its permissions.",
        "mine/private": "Cannot search mine/private: permission denied. Check its permissions.",
    }


def test_a_decoder_that_breaks(small, images, monkeypatch):
    def read(source, **_):
        if source.endswith("b.png"):
            raise ZeroDivisionError("oops")
        return read_image(source)

    monkeypatch.setattr("easyseg.inference.predictor.read_image", read)
    summary = segment_folder(small, "photos", "out", progress=False)
    assert summary.done == 4
    assert summary.failed == (
        ("photos/b.png", "Cannot read photos/b.png: ZeroDivisionError: oops."),
    )


def test_a_result_that_cannot_be_written(small, images):
    Path("out/b.png").mkdir(parents=True)
    summary = segment_folder(small, "photos", "out", progress=False)
    assert summary.done == 4
    [(source, message)] = summary.failed
    assert source == "photos/b.png"
    assert message.startswith("Cannot write out/b.png: it is a folder. ")


# What is refused before any work is done


@pytest.mark.parametrize(
    ("given", "options", "error", "message"),
    [
        (
            [],
            {},
            ImageNotFoundError,
            "Expected at least one image. Give files, ",
        ),
        ("", {}, InputError, "Expected a path, got ''. Use '.' for the working directory."),
        (5, {}, InputError, "Expected paths of files or folders, patterns or URLs, got int."),
        ([b"x"], {}, InputError, "patterns or URLs, got bytes."),
        ([np.zeros((2, 2, 3), np.uint8)], {}, InputError, "patterns or URLs, got ndarray."),
        ("empty", {}, ImageNotFoundError, "empty has no images. Expected files named .jpg"),
        ("photos", {"out": "photos"}, InputError, "Results would lie among the images of photos"),
        ("photos/a.jpg", {"out": "a.JSON"}, InputError, "Cannot write overlay to a.JSON: expected"),
        (
            "photos",
            {"out": "a.npz", "kind": "coco"},
            InputError,
            "Cannot write coco to a.npz: expected a folder",
        ),
        ("photos", {"out": "x.png"}, InputError, "Cannot write 5 results to the one file x"),
        ("photos", {"out": "text"}, InputError, "Cannot write overlay to text: expected a"),
        ("photos/e.bmp", {"out": "photos/e.bmp"}, InputError, "would overwrite the image photos"),
        ("photos", {"alpha": 2}, InputError, "alpha=2 must be from 0"),
        ("photos", {"kind": "msk"}, UnknownNameError, "unknown kind of output 'msk'"),
        ("photos", {"classes": "dgo"}, UnknownNameError, "Did you mean 'dog'"),
        ("photos", {"out": "text/out"}, OutputError, "Cannot write text/out: not a directory."),
        (
            "photos/a.jpg",
            {"out": "m.jpg", "kind": "mask"},
            OutputError,
            "m.jpg: 'mask' output needs",
        ),
        ("photos", {"jsonl": "text"}, InputError, "text exists and is not a results log. "),
        ("photos", {"jsonl": "empty"}, InputError, "Cannot read empty: is a directory. "),
        ("photos", {"jsonl": "text/a"}, OutputError, "Cannot write text/a: file exists. "),
        ("photos", {"jsonl": "out/a.png"}, InputError, "would overwrite the result out/a.png. "),
        ("@none.txt", {}, InputError, "list of images 'none.txt' that @none.txt names: no such"),
        ("@", {}, InputError, "list of images '' that @ names: no such file"),
        ("@photos/a.jpg", {}, InputError, "@photos/a.jpg names: it is not UTF-8 text."),
    ],
)
def test_what_is_refused(small, images, given, options, error, message):
    Path("empty").mkdir()
    Path("text").write_text("mine")
    before = written(), Path("photos/e.bmp").read_bytes()
    with pytest.raises(error) as caught:
        segment_folder(small, given, **{"out": "out", "progress": False, **options})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert (written(), Path("photos/e.bmp").read_bytes()) == before
    assert Path("text").read_text() == "mine"


def test_a_results_folder_that_cannot_be_written(small, images, nobody):
    draw("mine/a.png")
    Path("closed").mkdir(mode=0o500)
    with pytest.raises(OutputError) as caught:
        segment_folder(small, "mine", "closed")
    assert str(caught.value) == (
        "Cannot write closed: permission denied. Choose another output path or free disk space."
    )


# Lists


def test_a_list(small, images):
    draw("more/x.jpg")
    Path("list.txt").write_text("photos/a.jpg\n\n  more \nphotos/*.png\r\nmissing.jpg\n")
    summary = segment_folder(small, "@list.txt", "out", progress=False)
    assert summary.done == 3
    assert [source for source, _ in summary.failed] == ["missing.jpg"]
    draw("@list.txt.png")
    assert segment_folder(small, "@list.txt.png", "out", progress=False).done == 1


# Resuming


def changed(folder="out"):
    """Sets results' times back and returns a function that says which were written since."""
    for path in Path(folder).rglob("*.png"):
        os.utime(path, (2e9, 2e9))  # later than the images

    def since():
        return sorted(
            str(p.relative_to(folder))
            for p in Path(folder).rglob("*.png")
            if p.stat().st_mtime != 2e9
        )

    return since


def test_resuming_skips_what_is_done(small, images):
    segment_folder(small, "photos", "out", progress=False)
    before, since = Path("out/results.jsonl").read_bytes(), changed()
    summary = segment_folder(small, "photos", "out", resume=True, progress=False)
    assert (summary.done, summary.skipped) == (0, 5)
    assert str(summary).startswith("0 of 5 done, 5 skipped in ")
    assert since() == []
    assert Path("out/results.jsonl").read_bytes() == before
    assert segment_folder(small, "photos", "out", progress=False).done == 5
    assert len(since()) == 5
    assert len(lines()) == 5


def test_what_is_done_again(small, images):
    Path("photos/bad.jpg").write_text("no image")
    segment_folder(small, "photos", "out", progress=False)
    since = changed()
    Path("out/a.png").unlink()  # its result is gone
    os.utime("photos/b.png", (2.1e9, 2.1e9))  # the image is newer
    draw("photos/f.png")  # is new
    draw("photos/bad.jpg")  # is fixed
    path = Path("out/results.jsonl")  # the lines of d and e: lost, and cut off by a kill
    kept = [line for line in path.read_text().splitlines() if "/d." not in line]
    path.write_text("\n".join(kept)[:-20])
    summary = segment_folder(small, "photos", "out", resume=True, progress=False)
    assert since() == ["a.png", "b.png", "bad.png", "d.png", "e.png", "f.png"]
    assert (summary.done, summary.skipped, summary.failed) == (6, 1, ())
    assert sources() == sorted(str(p) for p in Path("photos").rglob("*.*"))
    assert not any("error" in line for line in lines())


@pytest.mark.parametrize(
    "line", ['{"source": ["a"], "settings": {}}', '{"source": {}, "settings": {}, "result": 1}']
)
def test_lines_of_other_types_are_those_of_no_image(small, images, line):
    segment_folder(small, "photos", "out", progress=False)
    with Path("out/results.jsonl").open("a") as file:
        file.write(line + "\n")
    assert segment_folder(small, "photos", "out", resume=True, progress=False).skipped == 5


@pytest.mark.parametrize(
    "options",
    [
        {"kind": "color"},
        {"alpha": 0.5},
        {"classes": ["cat"]},
        {"legend": True},
        {"settings": {"model": "other"}},
    ],
    ids=str,
)
def test_other_options_mean_other_results(small, images, options):
    segment_folder(small, "photos", "out", progress=False)
    summary = segment_folder(small, "photos", "out", resume=True, progress=False, **options)
    assert (summary.done, summary.skipped) == (5, 0)
    summary = segment_folder(small, "photos", "out", resume=True, progress=False, **options)
    assert (summary.done, summary.skipped) == (0, 5)
    assert len(lines()) == 5


def test_a_model_of_the_same_name_with_other_weights(mini, images):
    mini.segment_folder("photos/a.jpg", "out")
    assert mini.segment_folder("photos/a.jpg", "out", resume=True).skipped == 1
    bias = mini.model.weights[-1]
    before = np.array(bias)
    bias.assign(before + 1)
    try:
        assert mini.segment_folder("photos/a.jpg", "out", resume=True).skipped == 0
    finally:
        bias.assign(before)


def test_a_result_of_another_image_is_no_reason_to_skip(small, images):
    draw("more/a.jpg", number=7)
    segment_folder(small, "photos/a.jpg", "out")
    summary = segment_folder(small, "more/a.jpg", "out", resume=True)
    assert (summary.done, summary.skipped) == (1, 0)
    assert sources() == ["more/a.jpg"], "the line of a result that is gone has gone"


def test_lines_of_other_images_stay(small, images):
    segment_folder(small, ["photos/a.jpg", "photos/b.png"], "out", progress=False)
    segment_folder(small, ["photos/b.png", "photos/d.webp"], "out", resume=True, progress=False)
    assert sources() == ["photos/a.jpg", "photos/b.png", "photos/d.webp"]


# Stopped in the middle


def test_stopped_by_the_user(small, images):
    network, calls = small.network, []

    class Stopping:
        runtime, stride = network.runtime, network.stride
        half_pixel, lanes = False, 1
        precision, batch_size = network.precision, network.batch_size

        def start(self):
            network.start()

        def __call__(self, batch):
            calls.append(1)
            if len(calls) == 4:
                raise KeyboardInterrupt
            return network(batch)

    small = Predictor(Stopping(), small.label_set, input_size=(65, 65))
    with pytest.raises(KeyboardInterrupt):
        segment_folder(small, "photos", "out", progress=False)
    for name in written("out"):
        if name.endswith(".png"):
            read_image(f"out/{name}")
        else:
            assert name == "results.jsonl"
    summary = segment_folder(small, "photos", "out", resume=True, progress=False)
    assert summary.done + summary.skipped == 5
    assert len(lines()) == 5


@pytest.mark.parametrize("full", ["results", "lines"])
def test_the_disk_is_full(small, images, monkeypatch, full):
    whole = Path.open
    count = [0]

    def open_file(path, *args, **options):
        watched = path.suffix == ".part" if full == "results" else args == ("ab",)
        count[0] += watched
        if watched and count[0] > 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return whole(path, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", open_file)
        with pytest.raises(OutputError, match=r"Cannot write .*: no space left on device\. "):
            segment_folder(small, "photos", "out", progress=False)
    assert all(name.endswith((".png", ".jsonl")) for name in written("out"))
    for line in lines():
        read_image(line["result"])
    summary = segment_folder(small, "photos", "out", resume=True, progress=False)
    assert summary.skipped >= 1
    assert summary.done + summary.skipped == 5


def test_a_disk_that_is_really_full(small, images):
    with small_disk(Path("disk"), "64k"):
        for number in range(9):
            draw(f"big/{number}.png", number=number, size=(160, 100))
        with pytest.raises(OutputError, match=r"Cannot write .*: no space left on device\. "):
            segment_folder(small, "big", "disk", progress=False)
        names = written("disk")
        assert names
        assert not [name for name in names if name.endswith(".part")]
        for name in names:
            if name.endswith(".png"):
                read_image(f"disk/{name}")


# Bounds


def test_only_a_few_images_are_held(small, images, monkeypatch):
    for number in range(60):
        draw(f"many/{number:02}.png", number=number)
    begun, most, threads = [0], [0], set()

    def read(source, **_):
        begun[0] += 1
        threads.add(threading.current_thread())
        return read_image(source)

    network, through = small.network, [0]

    class Slow:
        runtime, stride = network.runtime, network.stride
        half_pixel, lanes = False, 1
        precision, batch_size = network.precision, 4

        def start(self):
            network.start()

        def __call__(self, batch):
            time.sleep(0.01)
            most[0] = max(most[0], begun[0] - through[0])
            through[0] += len(batch)
            return network(batch)

    monkeypatch.setattr("easyseg.inference.predictor.read_image", read)
    slow = Predictor(Slow(), small.label_set, input_size=(65, 65))
    segment_folder(slow, "many", "out", progress=False)
    assert through[0] == 60
    assert 4 < most[0] <= 4 * (thread_count() + 1), "images are read ahead, but not all of them"
    assert threading.main_thread() not in threads


@pytest.mark.slow
def test_memory_does_not_grow(mini, images):
    small = predictor(mini, 2)
    psize = os.sysconf("SC_PAGE_SIZE")

    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * psize / 2**20

    draw("one.jpg", size=(900, 700))  # 1.9 MB of pixels
    Path("many").mkdir()
    for number in range(240):
        Path(f"many/{number:03}.jpg").symlink_to("../one.jpg")
    some = [f"many/{number:03}.jpg" for number in range(40)]
    segment_folder(small, some, "out", kind="mask", progress=False)
    before = resident()
    segment_folder(small, "many", "out", kind="mask", progress=False)
    assert resident() - before < 60  # 240 images have 454 MB


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_stopped_resumes(images, stop):
    for number in range(80):
        draw(f"many/{number:02}.png", number=number)
    command = [sys.executable, "-m", "easyseg", "segment", "many", "-o", "out", "-m", "mini"]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    log = Path("out/results.jsonl")
    while not log.exists() or log.read_bytes().count(b"\n") < 10:
        assert run.poll() is None
        time.sleep(0.02)
    run.send_signal(stop)
    _, err = run.communicate(timeout=60)
    if stop == signal.SIGINT:
        assert run.returncode == 130
        assert err.splitlines()[-1] == (
            "easyseg: stopped. To resume: easyseg segment many -o out -m mini --resume"
        )
    assert 10 <= len(lines()) < 80
    for line in lines():
        read_image(line["result"])
    env = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    done = subprocess.run(
        [*command, "--resume"], capture_output=True, text=True, check=False, env=env
    )
    assert done.returncode == 0
    counts = re.match(r"(\d+) of 80 done, (\d+) skipped in ", done.stdout)
    assert int(counts[2]) >= 10
    assert int(counts[1]) + int(counts[2]) == 80
    assert len(lines()) == 80
    assert len(set(sources())) == 80
