"""Words of the field, and messages that name arguments in Python, flags on the command line."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import easyseg

PACKAGE = Path(easyseg.__file__).parent
RETIRED = re.compile(
    r"\bfilms?\b|\bmanieth\b|\bmend\b|colour|\bgrey|\bshall\b|\banew\b", re.IGNORECASE
)
FLAG = re.compile(r"(?<![\w-])(--[a-z][a-z-]+|-[a-z]\b)")


def files(*, but=()):
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.relative_to(PACKAGE).parts[0] not in but:
            yield path, path.read_text("utf-8")


def messages(tree):
    """Every text that a `raise` or a call of a logger holds, with its line."""
    for node in ast.walk(tree):
        logged = isinstance(node, ast.Call) and ast.unparse(node.func).startswith("log.")
        if isinstance(node, ast.Raise) or logged:
            for part in ast.walk(node):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield part.lineno, part.value


def test_retired_words_stay_away():
    """PixelLib's own names and label data aside."""
    lines = [
        f"{path.relative_to(PACKAGE)}:{number}: {line.strip()}"
        for path, text in files(but=("pixellib",))
        for number, line in enumerate(text.splitlines(), 1)
        if RETIRED.search(line)
    ]
    assert not lines, "\n".join(lines)


def test_library_messages_name_no_flags():
    flags = [
        f"{path.relative_to(PACKAGE)}:{number}: {text}"
        for path, source in files(but=("cli", "__main__.py"))
        for number, text in messages(ast.parse(source))
        if FLAG.search(text) and "pip " not in text
    ]
    assert not flags, "\n".join(flags)
