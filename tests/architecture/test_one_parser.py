"""JSON and YAML from outside are parsed in one file, which has the limits."""

from __future__ import annotations

import re

from helpers.paths import ROOT

PARSERS = re.compile(r"\bjson\.loads?\(|\byaml\.\w*load\w*\(")
PARSER = "utils/documents.py"
OWN = {"inference/folder.py", "models/backbones/custom_keras.py"}  # text that was just made


def test_json_and_yaml_have_one_parser():
    others = {
        path.relative_to(ROOT / "easyseg").as_posix()
        for path in (ROOT / "easyseg").rglob("*.py")
        if PARSERS.search(path.read_text("utf-8"))
    }
    assert others == OWN | {PARSER}
