"""Images are opened in one place, with one list of formats and one limit."""

import ast

from helpers.paths import ROOT

OPENERS = {  # calls that decode an image: the files that may make them
    "Image.open": ["easyseg/io/open_image.py"],
    "cv2.imdecode": ["easyseg/io/jpeg.py"],
}
NEVER = {
    "imread",
    "imreadmulti",
    "imdecodemulti",
    "imdecodeWithMetadata",
    "load_img",
    "decode_image",
}


def calls(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            base = node.func.value
            owner = base.id if isinstance(base, ast.Name) else getattr(base, "attr", "")
            yield f"{owner}.{node.func.attr}", node


def test_nothing_else_opens_an_image():
    made = {name: [] for name in OPENERS}
    for folder in ("easyseg", "tools"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for name, node in calls(ast.parse(path.read_text("utf-8"))):
                assert name.split(".")[1] not in NEVER, f"{path}:{node.lineno} calls {name}"
                if name in made:
                    made[name].append(str(path.relative_to(ROOT)))
                    assert name != "Image.open" or any(k.arg == "formats" for k in node.keywords)
    assert made == OPENERS


def test_the_name_image_is_pillow_s():
    """So that no other spelling escapes the test above."""
    for path in (ROOT / "easyseg").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "PIL":
                assert all(a.asname is None for a in node.names if a.name == "Image"), path
            if isinstance(node, ast.ImportFrom) and node.module == "PIL.Image":
                assert all(a.name != "open" for a in node.names), path
