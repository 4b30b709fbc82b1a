"""Own colors of classes hold wherever results are drawn."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from helpers.live_server import live_server
from PIL import Image

import easyseg.serve.app
from easyseg import SemanticSegmentation, load_label_set
from easyseg.cli import cli, main
from easyseg.errors import ArgumentTypeError, InputError, UnknownNameError

IMAGE = Path(easyseg.serve.app.__file__).parent / "page/example.jpg"
ORANGE, PERSON = [255, 136, 0], 15
VOC = load_label_set("voc")


@pytest.fixture(scope="module")
def seg():
    return SemanticSegmentation("mini", colors={"person": "#ff8800"})


@pytest.fixture(scope="module")
def result(seg):
    result = seg.segment_image(IMAGE)
    assert "person" in result.class_names
    return result


@pytest.mark.parametrize("name", ["person", "people", " Person", 15, np.int64(15)])
@pytest.mark.parametrize("color", ["#ff8800", "#F80", "rgb(255,136,0)", (255, 136, 0), ORANGE])
def test_spellings_of_classes_and_colors(name, color):
    changed = VOC.with_colors({name: color})
    assert list(changed.palette[PERSON]) == ORANGE
    assert changed.colors[PERSON].tolist() == ORANGE
    others = [i for i in range(21) if i != PERSON]
    assert [changed.palette[i] for i in others] == [VOC.palette[i] for i in others]
    assert changed.names == VOC.names
    assert VOC.palette[PERSON] == (192, 128, 128)


@pytest.mark.parametrize(
    ("colors", "message"),
    [
        ({"persn": "red"}, "unknown class of voc 'persn'. Did you mean 'person'?"),
        (
            {"person": "ornge"},
            "Expected a color, got colors={'person': 'ornge'}. Did you mean 'orange'",
        ),
        (
            {"dog": "red", "person": (255, 136)},
            "Expected a color, got colors={'person': (255, 136)}. Give (red, green, blue) from 0",
        ),
        ({15: "red", "person": "blue"}, "colors= names class 'person' twice; give it one color."),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_loaded(colors, message):
    expected = UnknownNameError if message.startswith("unknown") else InputError
    for call in (
        VOC.with_colors,
        lambda colors: SemanticSegmentation("xception65.voc", colors=colors),  # not in the cache
    ):
        with pytest.raises(expected) as caught:
            call(colors)
        assert str(caught.value).startswith(message)


def test_colors_are_a_dict():
    with pytest.raises(ArgumentTypeError, match=r"must be a dict, such as \{'person': '#ff8800'\}"):
        SemanticSegmentation("mini", colors=["red"])


def test_images_are_drawn_in_them(result, tmp_path):
    person = result.labels == PERSON
    assert (result.plot("color")[person] == ORANGE).all()
    tinted = 0.6 * np.array(ORANGE) + 0.4 * result.image[person].astype(float)
    np.testing.assert_allclose(result.plot()[person], tinted, atol=1)
    with Image.open(result.save(tmp_path / "mask.png", "mask")) as mask:
        assert mask.getpalette()[3 * PERSON : 3 * PERSON + 3] == ORANGE
        np.testing.assert_array_equal(np.asarray(mask), result.labels)
    legend = result.plot("color", legend=True)[result.labels.shape[0] // 2 :]
    assert (legend == ORANGE).all(axis=-1).any()


def test_documents_name_them(result, tmp_path):
    polygons = {entry["name"]: entry["color"] for entry in result.to_polygons()["classes"]}
    features = result.to_geojson()["features"]
    assert polygons["person"] == ORANGE
    assert {"name": "person", "color": ORANGE} in [f["properties"] for f in features]
    assert ORANGE in result.to_dict()["class_colors"]
    with np.load(result.save(tmp_path / "all.npz", "npz")) as data:
        assert data["palette"][PERSON].tolist() == ORANGE
    assert "rgb(255,136,0)" in result._repr_html_()


def test_videos_are_drawn_in_them(seg, tmp_path):
    pytest.importorskip("av", reason="videos need easyseg[video]")
    image, video = Image.open(IMAGE), tmp_path / "in.gif"
    image.save(video, save_all=True, append_images=[image.rotate(1)])
    seg.segment_video(video, tmp_path / "out", kind="color", progress=False)
    drawn = np.asarray(Image.open(next((tmp_path / "out").glob("*.png"))))
    assert (drawn == ORANGE).all(axis=-1).any()


def test_a_copy_in_another_process_has_them(seg):
    assert list(pickle.loads(pickle.dumps(seg)).label_set.palette[PERSON]) == ORANGE


def test_other_colors_are_other_results_of_a_folder(tmp_path):
    def run(colors):
        seg = SemanticSegmentation("mini", colors=colors)
        return seg.segment_folder([IMAGE], tmp_path / "out", resume=True, progress=False)

    assert run(None).done == 1
    assert run({"person": "#ff8800"}).done == 1
    again = run({15: (255, 136, 0)})  # the same, spelled otherwise
    assert (again.done, again.skipped) == (0, 1)
    assert run({"person": "red"}).done == 1
    line = json.loads((tmp_path / "out/results.jsonl").read_text())
    assert line["settings"]["colors"] == {"person": "#ff0000"}


def test_a_server_has_them_and_a_client_its_own(seg, result, tmp_path):
    from easyseg.serve import create_app
    from easyseg.serve.client import Remote

    with live_server(create_app(seg)) as address:
        theirs = Remote(address).segment_image(IMAGE, tmp_path / "theirs.png")
        mine = Remote(address, colors={"person": "blue"}).segment_image(IMAGE)
        with pytest.raises(UnknownNameError, match="Did you mean 'person'"):
            Remote(address, colors={"persn": "blue"})
    np.testing.assert_array_equal(theirs.plot("color"), result.plot("color"))
    assert (mine.plot("color")[mine.labels == PERSON] == [0, 0, 255]).all()


def test_on_the_command_line(result, tmp_path):
    out = tmp_path / "out.png"
    colors = "person=#ff8800, 12=rgb(1,2,3),cat=red"
    args = ["segment", str(IMAGE), "-o", str(out), "-k", "color", "--colors", colors, "-q"]
    done = CliRunner().invoke(cli, args)
    assert done.exit_code == 0, done.output
    expected = VOC.with_colors({15: ORANGE, 12: (1, 2, 3), "cat": "red"}).colors[result.labels]
    np.testing.assert_array_equal(np.asarray(Image.open(out)), expected)


@pytest.mark.parametrize(
    ("colors", "message"),
    [
        ("person", "must be classes with one color each, such as person=#ff8800,dog=red."),
        ("person=", "must be classes with one color each"),
        ("person=red,person=blue", "must be classes with one color each"),
        ("persn=red", "unknown class of voc 'persn'. Did you mean 'person'?"),
        ("person=ornge", "Expected a color, got --colors person=ornge. Did you mean 'orange'"),
    ],
)
def test_what_is_wrong_on_the_command_line(colors, message, capsys, tmp_path):
    with pytest.raises(SystemExit) as stop:
        main(["segment", str(IMAGE), "-o", str(tmp_path / "out.png"), "--colors", colors])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
