"""ONNX Runtime is loaded in one place, which switches its telemetry off."""

import ast
import os
import subprocess
import sys

import pytest
from helpers.paths import ROOT

LOADER = "easyseg/inference/runtimes/onnxruntime.py"
PARTS = {"easyseg/export/int8.py": "onnxruntime.quantization"}  # after `load_onnxruntime()`


def imported(node):
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and not node.level:
        return [node.module]
    if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        called = getattr(node.func, "attr", getattr(node.func, "id", ""))
        return [str(node.args[0].value)] * (called in ("import_module", "__import__"))
    return []


def test_nothing_else_imports_it():
    found = {}
    for folder in ("easyseg", "tools"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                for name in imported(node):
                    if name.split(".")[0] == "onnxruntime":
                        found.setdefault(str(path.relative_to(ROOT)), []).append(name)
    assert found.pop(LOADER) == ["onnxruntime"]
    assert found == {path: [name] for path, name in PARTS.items()}


def test_parts_of_it_come_after_the_loader():
    for path, part in PARTS.items():
        lines = (ROOT / path).read_text("utf-8").splitlines()
        at = next(i for i, line in enumerate(lines) if f"from {part} import" in line)
        assert lines[at - 1].strip() in ("load_onnxruntime()", "import onnx  # noqa: PLC0415")
        assert "load_onnxruntime()" in "\n".join(lines[at - 3 : at])


@pytest.mark.parametrize(("before", "after"), [(None, "1"), ("0", "0")])
def test_its_telemetry_is_off_before_it_is_loaded(before, after, tmp_path):
    """As the package sees it when it is imported; a choice of the user's own stands."""
    (tmp_path / "onnxruntime.py").write_text(
        "import os\nprint(os.environ.get('ORT_DISABLE_TELEMETRY'))\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
    environment |= {"PYTHONPATH": str(tmp_path)} | (
        {"ORT_DISABLE_TELEMETRY": before} if before else {}
    )
    code = "from easyseg.inference.runtimes.onnxruntime import load_onnxruntime as load; load()"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == after
