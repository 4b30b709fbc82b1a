"""`easyseg mcp`, spoken to by the client of the MCP SDK."""

import asyncio
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import easyseg.serve.app
from easyseg import SemanticSegmentation
from easyseg.cli import cli
from easyseg.errors import InputError

pytest.importorskip("mcp.server.mcpserver", reason="needs mcp 2: pip install easyseg[mcp]")
import mcp

from easyseg.serve.mcp import create_mcp_server

IMAGE = Path(easyseg.serve.app.__file__).parent / "page/example.jpg"


@pytest.fixture
def folders(tmp_path):
    """An image that is shared, one that is not, and links from one to the other."""
    shared, private = tmp_path / "shared", tmp_path / "private"
    for folder in (shared / "deep", private):
        folder.mkdir(parents=True)
    (shared / "deep/a.jpg").write_bytes(IMAGE.read_bytes())
    (private / "b.jpg").write_bytes(IMAGE.read_bytes())
    (shared / "link.jpg").symlink_to(private / "b.jpg")
    (shared / "circle.jpg").symlink_to(shared / "circle.jpg")
    (shared / "text.jpg").write_text("no image")
    return tmp_path


def talk(server, *calls):
    """The answers to calls of tools: values, or the text of an error."""

    async def run():
        async with mcp.Client(server) as client:
            answers = [await client.call_tool(name, arguments) for name, arguments in calls]
            return [tool.name for tool in (await client.list_tools()).tools], answers

    names, answers = asyncio.run(run())
    assert names == ["segment_image", "describe_areas", "cut_out", "list_classes"]
    return [
        answer.content[0].text if answer.is_error else json.loads(answer.content[0].text)
        for answer in answers
    ]


@pytest.fixture(scope="module")
def seg():
    return SemanticSegmentation("mini")


@pytest.mark.slow
def test_the_command_over_stdin_and_stdout(folders):
    """As a client starts it; nothing but the protocol comes out of stdout."""
    command = mcp.StdioServerParameters(
        command=sys.executable,
        args=["-m", "easyseg", "mcp", str(folders / "shared"), "-o", str(folders / "out")],
        env={**os.environ},
    )
    areas, overlay, cutout, classes = talk(
        command,
        ("describe_areas", {"image": "deep/a.jpg", "classes": ["person"]}),
        ("segment_image", {"image": str(folders / "shared/deep/a.jpg")}),
        ("cut_out", {"image": "deep/a.jpg", "keep": ["person"]}),
        ("list_classes", {}),
    )
    expected = SemanticSegmentation("mini").segment_image(IMAGE)
    person = dict(zip(expected.class_names, expected.ratios, strict=True))
    shown = {area["name"]: area["ratio"] for area in areas["areas"]}
    assert shown["person"] == pytest.approx(person["person"], abs=1e-6)
    assert overlay["result"] == str(folders / "out/a.overlay.png")
    with Image.open(overlay["result"]) as image:
        np.testing.assert_array_equal(np.asarray(image), expected.plot())
    with Image.open(cutout["result"]) as image:
        assert image.mode == "RGBA"
    assert classes["classes"][15] == "person"


def test_no_result_is_overwritten(seg, folders):
    server = create_mcp_server(seg, [folders / "shared"], folders / "out")
    call = ("segment_image", {"image": "deep/a.jpg", "kind": "polygons"})
    first, second = talk(server, call, call)
    names = [Path(answer["result"]).name for answer in (first, second)]
    assert names == ["a.polygons.json", "a.polygons_2.json"]
    assert Path(first["result"]).read_bytes() == Path(second["result"]).read_bytes()


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("describe_areas", {"image": "../private/b.jpg"}, "no such image in the shared folders"),
        ("describe_areas", {"image": "PRIVATE/b.jpg"}, "no such image in the shared folders"),
        ("segment_image", {"image": "link.jpg"}, "no such image in the shared folders"),
        ("cut_out", {"image": "/etc/passwd"}, "no such image in the shared folders"),
        ("describe_areas", {"image": "http://localhost/a.jpg"}, "no such image in the shared"),
        ("describe_areas", {"image": "deep"}, "no such image in the shared folders"),
        ("describe_areas", {"image": "circle.jpg"}, "no such image in the shared folders"),
        ("describe_areas", {"image": "a\0b"}, "no such image in the shared folders"),
        ("describe_areas", {"image": "deep/a.jpg", "classes": ["persn"]}, "Did you mean 'person'"),
        ("segment_image", {"image": "deep/a.jpg", "kind": "overly"}, "Did you mean 'overlay'"),
        ("segment_image", {"image": "deep/a.jpg", "kind": "../x"}, "unknown kind of output"),
        ("segment_image", {"image": "text.jpg"}, "text.jpg"),
    ],
)
def test_what_is_refused(seg, folders, name, arguments, message):
    """Nothing outside the folders is read, and nothing is left of a result."""
    arguments = {
        key: value.replace("PRIVATE", str(folders / "private")) if key == "image" else value
        for key, value in arguments.items()
    }
    server = create_mcp_server(seg, [folders / "shared"], folders / "out")
    (answer,) = talk(server, (name, arguments))
    assert message in answer
    assert list((folders / "out").iterdir()) == []


def test_folders_are_checked_first(seg, folders):
    with pytest.raises(InputError, match="Expected folders of images, got nowhere"):
        create_mcp_server(seg, [Path("nowhere")], folders / "out")
    done = CliRunner().invoke(cli, ["mcp", "nowhere", "-o", str(folders / "out")])
    assert done.exit_code != 0
    assert "Expected folders of images, got nowhere" in f"{done.output}{done.exception}"
