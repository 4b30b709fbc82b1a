"""docs/troubleshooting.md: each class of error has its section, and the messages in it exist."""

from __future__ import annotations

import ast
import re

import pytest
from helpers.paths import ROOT

from easyseg import errors

PAGE = (ROOT / "docs/troubleshooting.md").read_text("utf-8")
CLASSES = [
    name
    for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, errors.EasysegError)
]
SECTIONS = dict(re.findall(r"^## (\w+Error)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))


def quoted(section: str) -> list[str]:
    """The messages in the first column of a section's table."""
    return re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)


@pytest.fixture(scope="module")
def messages() -> str:
    """Every string of the package, a line each; what an f-string fills in is `…`."""
    lines = []
    for path in (ROOT / "easyseg").rglob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                parts = (p.value if isinstance(p, ast.Constant) else "…" for p in node.values)
                lines.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                lines.append(node.value)
    return "\n".join(line.replace("\n", " ") for line in lines)


def test_every_class_has_a_section():
    assert len(CLASSES) > 15
    assert list(SECTIONS) == CLASSES


@pytest.mark.parametrize("name", CLASSES)
def test_messages_exist(name, messages):
    listed = quoted(SECTIONS[name])
    assert listed
    for message in listed:
        parts = [re.escape(part) for part in message.split("…") if part.strip()]
        assert re.search(".*".join(parts), messages), message
