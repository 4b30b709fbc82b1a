"""What the documents say exists and runs."""

from __future__ import annotations

import ast
import inspect
import re
import shlex
import textwrap

import pytest
from helpers.make_video import make_video
from helpers.paths import ROOT

PAGES = sorted(
    page
    for page in (
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *ROOT.glob("pretrained/*/*.md"),
    )
    if "generated" not in page.parts  # by the site's build
)
TEXTS = {str(page.relative_to(ROOT)): page.read_text("utf-8") for page in PAGES}


def blocks(text, *languages):
    """The code blocks of a page in one of the languages."""
    pattern = rf"```(?:{'|'.join(languages)})\n(.*?)```"
    return [textwrap.dedent(code) for code in re.findall(pattern, text, flags=re.DOTALL)]


def anchors(text):
    """The anchors that a forge makes of a page's headings."""
    for heading in re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE):
        yield re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_links_lead_somewhere():
    broken = []
    for name, text in TEXTS.items():
        for target, anchor in re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", text):
            if "://" in target or target.startswith("mailto:"):
                continue
            path = (ROOT / name).parent / target if target else ROOT / name
            if not path.exists():
                broken.append(f"{name}: {target}")
            elif anchor and anchor not in anchors(path.read_text("utf-8")):
                broken.append(f"{name}: {target}#{anchor}")
    assert not broken


def test_files_of_the_architecture_exist():
    names = re.findall(r"`([\w/]+\.py)`", TEXTS["docs/architecture.md"])
    assert len(names) > 30
    files = [
        path.as_posix()
        for part in ("easyseg", "tests", "docs")
        for path in (ROOT / part).rglob("*.py")
    ]
    assert not [name for name in names if not any(f"/{name}" in path for path in files)]


def test_names_of_models_are_known():
    from easyseg import list_models

    pattern = r'["`]((?:xception|mobilenetv[23]|resnet)\w*\.(?:voc|ade20k|cityscapes)\w*)["`]'
    names = {name for text in TEXTS.values() for name in re.findall(pattern, text)}
    assert len(names) > 5
    assert names <= set(list_models())


def commands():
    """Every `easyseg ...` line of the pages' console blocks."""
    for name, text in TEXTS.items():
        for block in blocks(text, "console", "bash", "sh"):
            for line in block.replace("\\\n", " ").splitlines():
                if line.removeprefix("$ ").startswith("easyseg "):
                    first, *others = line.removeprefix("$ ").split(" -- ")  # of `launch`
                    yield name, first
                    yield from ((name, f"easyseg {other}") for other in others)


def test_commands_have_their_options():
    from easyseg.cli import cli

    wrong, count = [], 0
    for name, line in commands():
        words = shlex.split(line, comments=True)
        command = cli.get_command(None, words[1])
        if command is None:
            wrong.append(f"{name}: {line}")
            continue
        known = {
            flag for option in command.params for flag in [*option.opts, *option.secondary_opts]
        }
        known |= {"--help"}
        flags = [word.split("=")[0] for word in words[2:] if re.match(r"--?[a-z]", word)]
        wrong += [f"{name}: {line}: {flag}" for flag in flags if flag not in known]
        count += 1
    assert count > 20
    assert not wrong


def test_python_code_uses_arguments_that_exist():
    """Calls of the class and of its methods in all Python blocks: names and keyword arguments."""
    from easyseg import SemanticSegmentation

    wrong, count = [], 0
    for name, text in TEXTS.items():
        for block in blocks(text, "python", "py"):
            for call in (node for node in ast.walk(ast.parse(block)) if isinstance(node, ast.Call)):
                function = ast.unparse(call.func)
                if function == "SemanticSegmentation":
                    target = SemanticSegmentation
                elif match := re.fullmatch(r"(?:seg|mine|SemanticSegmentation)\.(\w+)", function):
                    target = getattr(SemanticSegmentation, match[1], None)
                else:
                    continue
                count += 1
                if target is None:
                    wrong.append(f"{name}: {function}")
                    continue
                parameters = inspect.signature(target).parameters.values()
                if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
                    continue
                known = {parameter.name for parameter in parameters}
                given = {keyword.arg for keyword in call.keywords if keyword.arg}
                wrong += [f"{name}: {function}({argument}=)" for argument in given - known]
    assert count > 20
    assert not wrong


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "docs/quickstart.md",
        "docs/outputs.md",
        "docs/variants.md",
        "docs/choosing-a-model.md",
        "docs/deployment.md",
        "docs/graphics-cards.md",
        pytest.param("docs/quality.md", marks=pytest.mark.slow),
    ],
)
def test_python_runs(page, tmp_path, monkeypatch):
    """In order, as one session, with the embedded model in place of downloads."""
    skimage = pytest.importorskip("skimage", reason="its images: pip install easyseg[demo]")
    for package in ("pandas", "supervision"):
        if package in TEXTS[page]:
            pytest.importorskip(package, reason="pip install easyseg[test]")
    from PIL import Image, ImageShow

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ImageShow, "show", lambda *_, **__: True)
    with Image.open(f"{skimage.__path__[0]}/data/astronaut.png") as image:
        (tmp_path / "photos").mkdir()
        for name in ("street.jpg", "dog.jpg", "me.jpg", "beach.jpg", "photos/one.jpg"):
            image.convert("RGB").save(name)
    make_video(tmp_path / "street.mp4", frames=2)
    code = "\n".join(blocks(TEXTS[page], "python"))
    code = re.sub(r'"(?:xception|mobilenetv2)[\w.]*"', '"mini"', code).replace('"car', '"person')
    session = {"paths": ["street.jpg"]}
    exec(code, session)
    assert session["result"].labels.shape == (512, 512)
