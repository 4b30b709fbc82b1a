"""Names of results from templates: `-o 'out/{stem}_seg.png'`."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from easyseg import SemanticSegmentation
from easyseg.cli import cli, main
from easyseg.distributed.plan import plan_run
from easyseg.errors import InputError, OutputError
from easyseg.inference.folder import plan_folder
from easyseg.io.find_images import Found
from easyseg.io.name_template import NameTemplate
from easyseg.results.outputs.spec import OutputSpec

NAMES = ("a.jpg", "deep/er/b.c.png", "deep/d.webp")


def draw(path, number=0):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 3), np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def images(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(NAMES):
        draw(f"in/{name}", number)


def targets(out, sources="in", kind="overlay"):
    plan = plan_folder(sources, out, OutputSpec(kind))
    return [(job.image.relative_path.as_posix(), job.target.as_posix()) for job in plan.jobs]


@pytest.mark.parametrize(
    ("out", "of_a", "of_bc"),
    [
        ("out/{stem}_seg.png", "out/a_seg.png", "out/b.c_seg.png"),
        ("out/{parent}/{stem}.png", "out/a.png", "out/deep/er/b.c.png"),
        ("out/{name}.png", "out/a.jpg.png", "out/b.c.png.png"),
        ("out/{stem}.{ext}", "out/a.jpg", "out/b.c.png"),
        ("{kind}/{index:03}.jpg", "overlay/001.jpg", "overlay/003.jpg"),
        ("{index}.png", "1.png", "3.png"),
        ("out/{{{stem}}}.png", "out/{a}.png", "out/{b.c}.png"),
        ("in/{parent}/{stem}.seg.png", "in/a.seg.png", "in/deep/er/b.c.seg.png"),
    ],
)
def test_fields(images, out, of_a, of_bc):
    paths = dict(targets(out))
    assert (paths["a.jpg"], paths["deep/er/b.c.png"]) == (of_a, of_bc)


def test_fields_of_what_is_named_itself(images):
    assert targets("{parent}/{stem}_{kind}.json", "in/deep/d.webp", "labelme") == [
        ("d.webp", "d_labelme.json")
    ]
    [(_, target)] = targets("out/{stem}.png", "https://example.org/x/dog.jpg?size=1")
    assert target == "out/dog.png"


@pytest.mark.parametrize(
    ("out", "message"),
    [
        (
            "out/{steam}.png",
            "has the unknown field {steam}. Use {stem}, {name}, {parent}, {ext}, {kind}, {index}",
        ),
        ("out/{}.png", "out='out/{}.png' has the unknown field {}. Use {stem}"),
        ("out/{stem.__class__}.png", "has the unknown field {stem.__class__}"),
        ("out/{stem!r}.png", "only {index} takes a format"),
        ("out/{stem:>9999999999}.png", "only {index} takes a format"),
        ("out/{index:99999999}.png", "only {index} takes a format, such as {index:04}."),
        ("out/{stem.png", "has braces that are not closed"),
        ("out/stem}.{ext}", "has braces that are not closed"),
        ("out/{kind}.png", "The results of in/a.jpg and in/deep/d.webp would both be out/overlay"),
        ("in/{stem}_seg.png", "Results would lie among the images of in."),
    ],
)
def test_what_is_refused(images, out, message):
    with pytest.raises(InputError) as caught:
        targets(out)
    assert message in str(caught.value)


def test_two_images_with_the_same_result_and_the_cures(images):
    draw("in/deep/a.jpg")
    with pytest.raises(InputError, match=r"both be out/a.png. Add {parent}, {ext} or {index} to"):
        targets("out/{stem}.png")
    for cure in ("out/{parent}/{stem}.png", "out/{index}_{stem}.png"):
        assert len({path for _, path in targets(cure)}) == 4


@pytest.mark.parametrize(
    ("out", "kind"), [("out/{stem}", "overlay"), ("out/{stem}.{ext}", "mask"), ("{stem}.x", "coco")]
)
def test_every_extension_must_fit_the_kind(images, out, kind):
    with pytest.raises(OutputError, match=r"^Cannot write "):
        targets(out, kind=kind)


def test_an_image_is_never_overwritten(images):
    with pytest.raises(InputError, match=r"would overwrite the image in/deep/d\.webp"):
        targets("in/deep/{stem}.webp", "in/deep/d.webp")


def test_a_folder_with_braces_in_its_name_is_a_folder(images):
    Path("{x}").mkdir()
    assert dict(targets("{x}"))["a.jpg"] == "{x}/a.png"


def test_a_run_and_its_log(images):
    seg = SemanticSegmentation("mini")
    out = "out/{parent}/{stem}_seg.png"
    summary = seg.segment_folder("in", out, progress=False)
    assert (summary.done, summary.jsonl) == (3, Path("out/results.jsonl"))
    log = [json.loads(line)["result"] for line in summary.jsonl.read_text().splitlines()]
    assert log == [target for _, target in targets(out)]
    assert all(Path(result).is_file() for result in log)
    assert seg.segment_folder("in", out, progress=False, resume=True).skipped == 3


@pytest.mark.parametrize("name", ["...jpg", "..jpg", "....jpg"])
@pytest.mark.parametrize("out", ["out/{stem}/m.png", "out/{stem}/{ext}/m.png", "out/{name}/m.png"])
def test_no_name_of_an_image_leads_out_of_the_folder(name, out):
    (path,) = NameTemplate(Path(out)).paths([Found(name, Path(name))], "mask")
    assert name in path.parts
    assert ".." not in path.parts


def test_object_stores_take_folders(images):
    with pytest.raises(InputError, match="is a template of names, which only folders take"):
        plan_run("in", "s3://bucket/{stem}.png", OutputSpec())


def test_clusters_take_templates_of_paths(images):
    out = "out/{stem}_seg.png"
    jobs = plan_run("in", out, OutputSpec()).jobs
    assert [job.target.as_posix() for job in jobs] == [target for _, target in targets(out)]


def test_on_the_command_line(images, capsys):
    args = ["segment", "in/deep/d.webp", "-q", "-o", "out/{stem}_{kind}.png", "-k", "color"]
    assert CliRunner().invoke(cli, args).exit_code == 0
    args = ["background", "gray", "in/deep/d.webp", "-q", "-o", "out/{stem}_{kind}.png"]
    assert CliRunner().invoke(cli, args).exit_code == 0
    assert sorted(path.name for path in Path("out").iterdir()) == ["d_color.png", "d_gray.png"]
    with pytest.raises(SystemExit):
        main(["segment", "in", "-o", "out/{steam}.png"])
    assert "--out out/{steam}.png has the unknown field {steam}" in capsys.readouterr().err
