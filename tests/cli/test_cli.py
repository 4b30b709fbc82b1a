"""The command line: results on stdout, errors as one line on stderr, exit code 2."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tqdm import tqdm

import easyseg
from easyseg import read_image
from easyseg.cli import main

MODEL = "mobilenetv2.voc"


@pytest.fixture
def home(voc_home, monkeypatch):
    monkeypatch.setenv("EASYSEG_HOME", str(voc_home))
    monkeypatch.setenv("EASYSEG_OFFLINE", "1")
    return voc_home


@pytest.fixture
def run(home, capsys):
    """Calls the command line in this process; gives exit code, stdout and stderr."""

    def call(*args):
        with pytest.raises(SystemExit) as caught:
            main([str(arg) for arg in args])
        out, err = capsys.readouterr()
        return caught.value.code, out, err

    return call


def without_bar(*args, **options):
    return tqdm(*args, **{**options, "disable": True})


@pytest.fixture
def segment(run, seg, monkeypatch):
    """`easyseg segment` with the model that this session holds, so that it is not built again."""

    class Ready:
        def __new__(cls, model, **options):
            assert model == MODEL
            assert options["output_stride"] is None
            return seg

    def call(*args):
        with monkeypatch.context() as patch:
            patch.setattr("easyseg.cli.options.SemanticSegmentation", Ready)
            patch.setattr("easyseg.utils.progress.tqdm", without_bar)
            return run("segment", *args, "-m", MODEL)

    return call


@pytest.fixture
def images(shared, tmp_path, monkeypatch):
    """The working folder with photos/dog.jpg, photos/deep/cat.png and a small bird.jpg."""
    monkeypatch.chdir(tmp_path)
    Path("photos/deep").mkdir(parents=True)
    for name, target in (
        ("dog", "photos/dog.jpg"),
        ("cat_0", "photos/deep/cat.png"),
        ("bird_0", "bird.jpg"),
    ):
        with Image.open(shared / f"data/photos/{name}.jpg") as image:
            image.resize((240, 180)).save(target)
    return tmp_path


def files():
    return sorted(str(path) for path in Path().rglob("*") if path.is_file())


IMAGES = ["bird.jpg", "photos/deep/cat.png", "photos/dog.jpg"]


def new_files():
    assert set(IMAGES) <= set(files())
    return [name for name in files() if name not in IMAGES]


def assert_one_line(err, *words):
    assert err.startswith("easyseg: ")
    assert err.count("\n") == 1
    assert err.endswith("\n")
    for word in words:
        assert word in err


# What is segmented, and where results go


def test_one_file_to_a_file(segment, images, seg):
    code, out, err = segment("photos/dog.jpg", "-o", "new/out.png")
    assert (code, err) == (0, "")
    assert new_files() == ["new/out.png"]
    result = seg.segment_image("photos/dog.jpg")
    np.testing.assert_array_equal(read_image("new/out.png"), result.plot())
    summary, place = out.splitlines()
    for name, ratio in zip(result.class_names, result.ratios, strict=True):
        assert f"{name} {100 * ratio:.1f} %" in summary
    assert place == "1 of 1 -> new/out.png"


def test_one_file_to_a_folder(segment, images):
    code, out, _ = segment("photos/dog.jpg", "-o", "results")
    assert code == 0
    assert new_files() == ["results/dog.png"]
    assert out.endswith("1 of 1 -> results/dog.png\n")


def test_a_folder_that_is_called_like_an_image(segment, images):
    Path("out.png").mkdir()
    assert segment("photos/dog.jpg", "-o", "out.png")[0] == 0
    assert new_files() == ["out.png/dog.png"]


def test_results_go_beside_the_images(segment, images):
    code, out, err = segment("photos", "bird.jpg")
    assert (code, err) == (0, "")
    expected = [
        "bird.seg.png", "photos/deep/cat.seg.png", "photos/dog.seg.png", "results.jsonl"
    ]  # fmt: skip
    assert new_files() == expected
    assert re.fullmatch(r"3 of 3 done in \d+\.\d s -> beside the images\n", out)
    assert segment("photos", "bird.jpg")[1].startswith("3 of 3 done in ")
    assert new_files() == expected


@pytest.mark.parametrize(
    ("sources", "results"),
    [
        (["photos"], ["out/deep/cat.png", "out/dog.png"]),
        (["photos/*.jpg"], ["out/dog.png"]),
        (["**/*.jpg"], ["out/bird.png", "out/dog.png"]),
        (["bird.jpg", "photos/dog.jpg"], ["out/bird.png", "out/dog.png"]),
        (["bird.jpg", "photos", "*.jpg"], ["out/bird.png", "out/deep/cat.png", "out/dog.png"]),
    ],
    ids=["folder", "pattern", "deep pattern", "files", "all"],
)
def test_several(segment, images, sources, results):
    code, out, err = segment(*sources, "-o", "out")
    assert (code, err) == (0, "")
    count = len(results)
    is_single = count == 1 and sources == ["photos/*.jpg"]
    assert new_files() == results + ([] if is_single else ["out/results.jsonl"])
    assert out.splitlines()[-1].startswith(f"{count} of {count} ")
    assert out.endswith("-> out/dog.png\n" if is_single else " -> out\n")


def test_a_url(segment, images, monkeypatch):
    content = Path("photos/dog.jpg").read_bytes()
    monkeypatch.setattr("easyseg.io.read_image._download", lambda url: content)
    code, _, err = segment("http://example.org/dog.jpg?big")
    assert (code, err) == (0, "")
    assert new_files() == ["dog.seg.png"]


# Options


def test_kind_and_classes(segment, images, seg):
    code, out, _ = segment("photos/dog.jpg", "-o", "m.png", "--kind", "mask", "-c", "dog, People")
    assert code == 0
    with Image.open("m.png") as image:
        assert image.mode == "P"
        labels = np.asarray(image)
    expected = seg.segment_image("photos/dog.jpg", classes=["dog", "person"]).labels
    np.testing.assert_array_equal(labels, expected)
    assert 12 in labels
    assert "bicycle" not in out


@pytest.mark.parametrize(("alpha", "kind"), [("0", None), ("1", "color")])
def test_alpha(segment, images, seg, alpha, kind):
    assert segment("photos/dog.jpg", "-o", "out.png", "--alpha", alpha)[0] == 0
    result = seg.segment_image("photos/dog.jpg")
    found = result.labels != 0
    expected = result.plot(kind) if kind else result.image
    np.testing.assert_array_equal(read_image("out.png")[found], expected[found])


def test_legend(segment, images, seg):
    assert segment("photos/dog.jpg", "-o", "out.png", "--legend")[0] == 0
    result = seg.segment_image("photos/dog.jpg")
    np.testing.assert_array_equal(read_image("out.png"), result.plot(legend=True))


def test_the_model_is_opened_by_its_name(run, images, seg):
    """Without a short cut: the weights come from the cache, at another output stride too."""
    code, _, err = run("segment", "photos/dog.jpg", "-o", "a.png", "-m", MODEL, "-k", "mask")
    assert (code, err) == (0, "")
    with Image.open("a.png") as image:
        np.testing.assert_array_equal(np.asarray(image), seg.segment_image("photos/dog.jpg").labels)
    args = ("-k", "mask", "--output-stride", "8")
    assert run("segment", "photos/dog.jpg", "-o", "b.png", "-m", MODEL, *args)[0] == 0
    assert Path("a.png").read_bytes() != Path("b.png").read_bytes()


def test_a_bundle_as_the_model(run, images, seg):
    seg.save("net")
    code, _, err = run("segment", "photos/dog.jpg", "-o", "out.png", "-m", "net")
    assert (code, err) == (0, "")
    np.testing.assert_array_equal(read_image("out.png"), seg.segment_image("photos/dog.jpg").plot())


def test_options_of_the_model(run, images, seg, monkeypatch):
    given = {}

    class Recorded:
        def __new__(cls, model, **options):
            given.update(options)
            return seg

    monkeypatch.setattr("easyseg.cli.options.SemanticSegmentation", Recorded)
    args = (
        "--batch-size", 4, "--tile", 513, "--scales", "0.5,1", "--flip", "--output-stride", 8,
        "--architecture", "xception65.voc", "--cache-dir", "cache", "-m", "mine.h5",
        "--colors", "person=#ff8800,12=red",
    )  # fmt: skip
    Path("mine.h5").touch()
    assert run("segment", "bird.jpg", *args)[0] == 0
    assert given == {
        "architecture": "xception65.voc",
        "cache_dir": Path("cache"),
        "output_stride": 8,
        "colors": {"person": "#ff8800", 12: "red"},
        "batch_size": 4,
        "tile": 513,
        "scales": (0.5, 1.0),
        "flip": True,
        "runtime": "auto",
        "precision": "float32",
        "device": "auto",
        "max_pixels": None,
        **dict.fromkeys(("class_names", "input_size", "mean", "std")),  # of ONNX files
        "progress": True,
    }


def test_help_names_every_kind(run):
    from easyseg.results.outputs import OUTPUTS

    code, out, _ = run("segment", "--help")
    assert code == 0
    assert ", ".join(OUTPUTS) in " ".join(out.split())


# Many images


def test_a_list(segment, images):
    Path("list.txt").write_text("bird.jpg\nphotos/deep\n")
    code, _, err = segment("@list.txt", "-o", "out")
    assert (code, err) == (0, "")
    assert new_files() == ["list.txt", "out/bird.png", "out/cat.png", "out/results.jsonl"]


def test_the_extension_follows_the_kind(segment, images):
    assert segment("photos", "-k", "labelme")[0] == 0
    documents = ["photos/deep/cat.seg.json", "photos/dog.seg.json"]
    assert new_files() == [*documents, "photos/results.jsonl"]
    assert json.loads(Path(documents[1]).read_text())["imagePath"] == "dog.jpg"


def test_json_lines_of_a_single_image(segment, images, seg):
    assert segment("bird.jpg", "-o", "out.png", "--jsonl", "areas.jsonl")[0] == 0
    assert new_files() == ["areas.jsonl", "out.png"]
    line = json.loads(Path("areas.jsonl").read_text())
    assert [c["name"] for c in line["classes"]] == seg.segment_image("bird.jpg").class_names


def test_resume(segment, images):
    assert segment("photos", "-o", "out")[0] == 0
    before = {name: Path(name).stat().st_mtime_ns for name in new_files()}
    Path("photos/broken.jpg").write_text("no image")
    code, out, err = segment("bird.jpg", "photos", "-o", "out", "--resume")
    assert code == 2
    assert re.fullmatch(r"1 of 4 done, 2 skipped, 1 failed in \d+\.\d s -> out\n", out)
    assert_one_line(err, "Cannot read photos/broken.jpg: not an image")
    for name in ("out/dog.png", "out/deep/cat.png"):
        assert Path(name).stat().st_mtime_ns == before[name]
    lines = [json.loads(line) for line in Path("out/results.jsonl").read_text().splitlines()]
    assert len({line["source"] for line in lines}) == len(lines) == 4
    code, out, _ = segment("bird.jpg", "-o", "out", "--resume")
    assert out.startswith("0 of 1 done, 1 skipped in ")


def test_stopped_by_the_user(segment, images, monkeypatch):
    from easyseg.inference import folder

    def stopping(*args, written=folder.append_line):
        if Path("out/results.jsonl").exists() and Path("out/results.jsonl").stat().st_size:
            raise KeyboardInterrupt
        written(*args)

    monkeypatch.setattr(folder, "append_line", stopping)
    code, out, err = segment("bird.jpg", "photos", "-o", "out")
    assert (code, out) == (130, "")
    words = "easyseg: stopped. To resume: easyseg segment bird.jpg photos -o out"
    assert " ".join(err.split()).startswith(words)
    assert err.rstrip().endswith(" --resume")
    for name in new_files():  # what is there is complete
        if name.endswith(".png"):
            read_image(name)


# Errors


def test_a_bad_image_does_not_stop_the_others(segment, images):
    Path("photos/broken.jpg").write_text("no image")
    Path("photos/empty.png").touch()
    code, out, err = segment("photos", "-o", "out")
    assert code == 2
    assert [name for name in new_files() if name.startswith("out/")] == [
        "out/deep/cat.png",
        "out/dog.png",
        "out/results.jsonl",
    ]
    assert re.fullmatch(r"2 of 4 done, 2 failed in \d+\.\d s -> out\n", out)
    first, second = err.splitlines()
    assert first.startswith("easyseg: Cannot read photos/broken.jpg: not an image")
    assert second.startswith("easyseg: Cannot read photos/empty.png: it is empty (0 bytes)")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["missing.jpg"], ["Cannot read missing.jpg: it does not exist. Check the path"]),
        (["missing.jpg", "missing.png"], ["read missing.jpg: it does", "read missing.png: it"]),
        (["empty"], ["empty has no images. Expected files named .jpg"]),
        (["*.webp"], ["No image matches '*.webp'. Check the pattern"]),
        (["bird.jpg", "-k", "overly"], ["unknown kind of output 'overly'", "'overlay'?"]),
        (["bird.jpg", "-k", "colour"], ["Did you mean 'color' or "]),
        (["bird.jpg", "-c", "dgo,cat"], ["unknown class of voc 'dgo'", "Did you mean 'dog'"]),
        (["photos", "-o", "one.png"], ["Cannot write 2 results to the one file one.png"]),
        (["photos", "-o", "text"], ["Cannot write overlay to text: expected a folder"]),
        (["bird.jpg", "-o", "text/out.png"], ["Cannot write text: file exists. Choose another"]),
        (
            ["bird.jpg", "-o", "mask.jpg", "-k", "mask"],
            ["'mask' output needs a format", "Use .png"],
        ),
        (["bird.jpg", "-o", "bird.jpg"], ["would overwrite the image bird.jpg"]),
        (["bird.jpg", "-k", "mask", "--legend"], ["--legend cannot be written with --kind mask"]),
        (["bird.jpg", "-k", "coco", "--legend"], ["--legend cannot be written with --kind coco"]),
        (["bird.jpg", "-k", "confidence", "-c", "dog"], ["leave --classes out, or choose"]),
        (
            ["photos/deep", "-o", "photos/deep"],
            ["Results would lie among the images of photos/deep"],
        ),
    ],
    ids=" ".join,
)
def test_errors_are_one_line(segment, images, args, words):
    Path("empty").mkdir()
    Path("text").write_text("mine")
    before = {name: Path(name).read_bytes() for name in files()}
    code, out, err = segment(*args)
    assert code == 2
    assert out == ""
    assert len(err.splitlines()) == (2 if args[-1] == "missing.png" else 1)
    assert all(line.startswith("easyseg: ") for line in err.splitlines())
    for word in words:
        assert word in err
    after = {name: Path(name).read_bytes() for name in files() if name != "results.jsonl"}
    assert after == before


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("mobilnetv2.voc", "unknown model (nor a folder) 'mobilnetv2.voc'. Did you mean 'mobile"),
        ("photos", "photos: expected a saved model, but config.json is missing"),
        ("xception65.ade20k", "xception65.ade20k is not in the cache"),
    ],
)
def test_models_that_cannot_be_opened(run, images, model, words):
    code, out, err = run("segment", "bird.jpg", "-m", model)
    assert (code, out) == (2, "")
    assert_one_line(err, words)
    assert new_files() == []


def test_the_limit_of_pixels_is_raised_as_the_message_says(segment, images):
    code, _, err = segment("bird.jpg", "-o", "out.png", "--max-pixels", "10")
    assert code == 2
    needed = re.search(r"raise the limit: --max-pixels (\d+) or", err)[1]
    code, _, err = segment("bird.jpg", "photos/dog.jpg", "-o", "out", "--max-pixels", "10")
    assert code == 2
    assert err.count(" --max-pixels ") == 2
    assert segment("bird.jpg", "-o", "out.png", "--max-pixels", needed)[0] == 0
    assert "EASYSEG_MAX_PIXELS" not in os.environ


def test_line_breaks_in_names_are_shown_as_escapes(segment, images):
    Path("two\nlines.jpg").write_text("no image")
    code, _, err = segment("two\nlines.jpg", "bird.jpg")
    assert code == 2
    assert_one_line(err, r"Cannot read two\nlines.jpg: not an image")


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (["sgement", "bird.jpg"], "unknown command 'sgement'. Did you mean 'segment'?"),
        (["segment", "bird.jpg", "--scales", "1;2"], "'1;2' must be numbers with commas,"),
        (["segment", "bird.jpg", "--scales", "9", "-m", "mini"], "--scales 9.0 must be factors"),
    ],
)
def test_misuse_is_one_line(run, images, args, word):
    code, out, err = run(*args)
    assert (code, out) == (2, "")
    assert err.startswith("easyseg: ")
    assert err.count("\n") == 1
    assert word in err
    assert new_files() == []


# models, info, download


def test_models(run):
    code, out, err = run("models")
    assert (code, err) == (0, "")
    rows = {line.split()[0]: line for line in out.splitlines()[1:]}
    assert list(rows) == easyseg.list_models()
    assert rows[MODEL].endswith("yes")
    assert "75.32 val" in rows[MODEL]
    assert not rows["xception65.ade20k"].endswith("yes")
    assert "151" in rows["xception65.ade20k"]


def test_info(run, home):
    code, out, err = run("info", MODEL)
    assert (code, err) == (0, "")
    lines = fields(out)
    assert len(lines) <= 20
    assert lines["model"] == MODEL
    assert lines["classes"].startswith("21 of voc: background, aeroplane, bicycle")
    assert (lines["backbone"], lines["head"], lines["decoder"]) == ("mobilenetv2", "aspp", "none")
    assert (lines["output stride"], lines["input"]) == ("16", "513x513")
    assert "75.32 % on val" in lines["mIoU"]
    assert lines["license"] == "Apache-2.0"
    assert lines["hash"].startswith("sha384:")
    assert lines["cached"].startswith(str(home))
    assert lines["parameters"] == "2,146,645"
    assert lines["multiply-adds"] == "2.74 billion for an image of 513x513"
    assert lines["memory"].startswith("8.6 MB of weights, 50.7 MB of activations at their peak")
    record = json.loads((Path(lines["cached"]).parent / "source.json").read_text())
    assert lines["sha256"].startswith(record["sha256"])
    lines = fields(run("info", "mobilenetv2.ade20k")[1])
    assert (lines["cached"], lines["hash"]) == ("no", "not published")


def fields(out):
    """The lines of `easyseg info` by their heading."""
    return {line[:15].strip(): line[15:] for line in out.splitlines()}


def test_info_of_mini_fits_a_screen(run):
    out, more = run("info", "mini", "--classes")[1].split("\n\n")
    assert len(out.splitlines()) <= 20
    assert fields(out)["mIoU"].startswith("60.92 %")
    assert Path(fields(out)["card"]).is_file()
    classes = [line.split(None, 2) for line in more.splitlines()]
    assert len(classes) == 21
    assert (classes[0], classes[15]) == (
        ["0", "#000000", "background"],
        ["15", "#c08080", "person"],
    )


def test_info_for_another_size(run):
    out = run("info", "mini", "--size", "65x97")[1]
    assert out.count("for an image of 65x97") == 2
    assert "for an image of 97x97" in run("info", "mini", "--size", "97")[1]
    code, out, err = run("info", "mini", "--size", "0x97")
    assert (code, out) == (2, "")
    assert_one_line(err, "'0x97' must be a size such as 513")


def test_info_on_other_heads(run):
    lines = fields(run("info", "mobilenetv3_small.cityscapes")[1])
    assert (lines["head"], lines["decoder"]) == ("lraspp", "lraspp")
    assert (lines["output stride"], lines["input"]) == ("32", "1025x2049")
    assert lines["parameters"] == "477,454"
    assert lines["multiply-adds"] == "1.96 billion for an image of 1025x2049"
    assert fields(run("info", "xception71.cityscapes")[1])["head"] == "dpc"


def test_info_on_files(run, tmp_path):
    """Under its published name, as `SemanticSegmentation` takes it, or like another."""
    file = tmp_path / "deeplabv3_xception65_ade20k.h5"
    file.touch()
    out = run("info", file, "--size", "65")[1]
    assert "151 of ade20k" in out
    assert "for an image of 65x65" in out
    renamed = file.rename(tmp_path / "mine.h5")
    out = run("info", renamed, "--architecture", "mobilenetv2_050.voc", "--size", "33")[1]
    assert "mobilenetv2, depth multiplier 0.5" in out
    assert "million for an image of 33x33" in out
    code, out, err = run("info", renamed)
    assert (code, out) == (2, "")
    assert_one_line(err, "unknown weights file 'mine.h5'")
    assert_one_line(run("info", file)[2], "does not exist")


@pytest.mark.parametrize(
    ("command", "kind"), [("info", "model (nor a folder)"), ("download", "weights")]
)
def test_unknown_weights(run, command, kind):
    code, out, err = run(command, "mobilenetv2.vco")
    assert (code, out) == (2, "")
    assert_one_line(err, f"unknown {kind} 'mobilenetv2.vco'. Did you mean 'mobilenetv2.voc'")


def test_there_is_nothing_to_download_for_mini(run):
    code, out, err = run("download", "mini")
    assert (code, err) == (0, "")
    assert "is included in easyseg" in out


def test_a_backend_that_is_not_there_is_one_line(environment, images):
    args = ("-m", "easyseg", "segment", "bird.jpg", "-m", MODEL)
    done = python(*args, env={**environment, "KERAS_BACKEND": "foo"})
    assert done.returncode == 2
    assert_one_line(done.stderr, "Cannot load Keras with the backend 'foo'")


def test_without_keras_the_cure_is_to_install_it(environment):
    code = "import sys; sys.modules['keras'] = None; from easyseg.cli import main; main()"
    done = python("-c", code, "info", "mini", env=environment)
    assert done.returncode == 2
    assert_one_line(done.stderr, "Keras is not installed: pip install easyseg, without --no-deps")


def test_download_of_what_is_there(run, home):
    code, out, err = run("download", MODEL)
    assert (code, err) == (0, "")
    assert out.startswith(f"{MODEL} ready: {home}")


def test_import_of_a_file(run, shared, tmp_path, monkeypatch):
    monkeypatch.setenv("EASYSEG_HOME", str(tmp_path / "home"))
    file = shared / "weights/deeplabv3_mnv2_dm05_pascal.rebuilt.tar.gz"
    code, out, err = run("download", "mobilenetv2_050.voc", file)
    assert (code, err) == (0, "")
    place = tmp_path / "home/weights/mobilenetv2_050.voc"
    assert out.startswith(f"mobilenetv2_050.voc imported: {place}")
    record = json.loads((place / "source.json").read_text())
    assert record["source"] == str(file)
    assert "yes" in run("models")[1].split("mobilenetv2_050.voc ")[1].splitlines()[0]


def tree(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in Path(folder).rglob("*")
        if path.is_file() and path.suffix != ".lock"
    }


@pytest.mark.parametrize("cached", [True, False])
def test_import_of_another_models_file(run, home, shared, tmp_path, monkeypatch, cached):
    mine = tmp_path / "home"
    if cached:
        shutil.copytree(home, mine)
    monkeypatch.setenv("EASYSEG_HOME", str(mine))
    before = tree(mine)
    assert bool(before) == cached
    file = shared / "weights/deeplabv3_mnv2_dm05_pascal.rebuilt.tar.gz"
    code, out, err = run("download", MODEL, file)
    assert (code, out) == (2, "")
    assert_one_line(
        err,
        f"{file} does not hold the weights of this model: ",
        "of another shape: ",
        "Choose the model that these weights were made for (`easyseg models` lists them)",
    )
    assert tree(mine) == before


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "net.tar.gz does not exist. Choose the .tar.gz archive from https://download"),
        (
            b"<html>",
            f"net.tar.gz: expected the .tar.gz archive of {MODEL}, got a web page. Choose",
        ),
        (b"\x1f\x8b\x08", "net.tar.gz is damaged or incomplete"),
    ],
)
def test_import_of_what_is_no_weights_file(run, tmp_path, monkeypatch, content, words):
    monkeypatch.setenv("EASYSEG_HOME", str(tmp_path / "home"))
    file = tmp_path / "net.tar.gz"
    if content:
        file.write_bytes(content)
    code, out, err = run("download", MODEL, file)
    assert (code, out) == (2, "")
    assert_one_line(err, words)
    assert tree(tmp_path / "home") == {}


# In a process of its own


def python(*args, **options):
    return subprocess.run(
        [sys.executable, *map(str, args)], capture_output=True, text=True, check=False, **options
    )


@pytest.fixture
def environment(home):
    """A user's: nothing that keeps TensorFlow quiet."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TF_")}


def test_a_real_run_says_nothing_on_stderr(environment, images, seg):
    args = ("-m", "easyseg", "segment", "photos/dog.jpg", "-o", "out.png", "-m", MODEL)
    done = python(*args, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("1 of 1 -> out.png\n")
    np.testing.assert_array_equal(read_image("out.png"), seg.segment_image("photos/dog.jpg").plot())


@pytest.mark.parametrize("options", [(), pytest.param(("--flip",), marks=pytest.mark.slow)])
def test_quiet_prints_nothing(environment, images, options):
    done = python("-m", "easyseg", "segment", "photos", "-q", *options, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_default_model_is_named_once(environment, images):
    done = python("-m", "easyseg", "segment", "bird.jpg", env=environment)
    assert_one_line(done.stderr, "using mini, the small model", "--model xception65.ade20k")


def test_a_class_that_the_other_embedded_model_has(run, images):
    code, _, err = run("segment", "bird.jpg", "-c", "tree,sky", "-o", "out.png")
    assert code == 2
    assert_one_line(err, "unknown class of voc 'tree'", "The model scenes, also included", "-m sce")
    assert run("segment", "bird.jpg", "-c", "tree,sky", "-o", "out.png", "-m", "scenes")[0] == 0
    for others in ("tree,nothing", "dgo"):
        assert "scenes" not in run("segment", "bird.jpg", "-c", others, "-o", "out.png")[2]
    assert "scenes" not in run("segment", "bird.jpg", "-c", "tree", "-m", MODEL)[2]


def test_a_real_run_over_several_says_what_failed(environment, images):
    Path("photos/broken.jpg").touch()
    frames = [Image.new("RGB", (40, 30), color) for color in ("red", "blue")]
    frames[0].save("photos/moving.gif", save_all=True, append_images=frames[1:])
    done = python("-m", "easyseg", "segment", "photos", "-o", "out", "-m", "mini", env=environment)
    assert done.returncode == 2
    assert re.fullmatch(r"3 of 4 done, 1 failed in \d+\.\d s -> out\n", done.stdout)
    assert new_files()[:3] == ["out/deep/cat.png", "out/dog.png", "out/moving.png"]
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert [line for line in lines if not re.search(r"\d/4 \[", line)] == [
        "easyseg: photos/moving.gif has several frames; the first one is used.",
        "easyseg: Cannot read photos/broken.jpg: it is empty (0 bytes). Copy or download it again.",
    ]


HEAVY = ("tensorflow", "keras", "jax", "torch", "cv2", "numpy", "PIL", "h5py", "requests")


def loaded_by(code, **options):
    done = python("-c", f"{code}\nprint('LOADED', *sys.modules)", **options)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.partition("LOADED ")[2].split())


def command(*args):
    return (
        "import sys\n"
        "from easyseg.cli import main\n"
        "try:\n"
        f"    main({list(args)!r})\n"
        "except SystemExit:\n"
        "    pass"
    )


@pytest.mark.parametrize(
    "code",
    ["import sys, easyseg; dir(easyseg)", command("--help"), command("--version"), command("oops")],
    ids=["import", "help", "version", "unknown command"],
)
def test_nothing_heavy_is_loaded(code):
    assert not loaded_by(code) & set(HEAVY)


@pytest.mark.parametrize(
    "args",
    [
        ["segment", "--help"],
        ["segment", "missing.jpg", "-m", MODEL],
        ["segment", "folder", "-m", MODEL],
        ["models"],
        ["info", "nonsense"],
        ["download", "nonsense"],
    ],
    ids=" ".join,
)
def test_the_framework_is_not_loaded_without_need(args, tmp_path):
    (tmp_path / "folder").mkdir()
    loaded = loaded_by(command(*args), cwd=tmp_path)
    assert not loaded & {"tensorflow", "keras", "jax", "torch"}
    assert "numpy" in loaded


def test_help_lists_every_command(run):
    code, out, _ = run("--help")
    assert code == 0
    for name in ("segment", "models", "download", "info"):
        assert f"\n  {name} " in out
    assert run("--version")[1] == f"easyseg, version {easyseg.__version__}\n"
