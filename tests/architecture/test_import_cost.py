"""Importing easyseg and asking for help loads nothing heavy."""

from __future__ import annotations

import subprocess
import sys

import pytest

import easyseg

HEAVY = ("tensorflow", "keras", "jax", "torch", "cv2", "numpy", "PIL", "requests", "h5py")
LOADED = "import sys; print(*[m for m in {heavy!r} if m in sys.modules])"


@pytest.mark.parametrize(
    "code",
    [
        "import easyseg",
        "import easyseg; dir(easyseg); easyseg.errors",
        "from easyseg.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass",
        "from easyseg.cli import main\ntry: main(['--version'])\nexcept SystemExit: pass",
    ],
)
def test_nothing_heavy_is_loaded(code):
    script = f"{code}\n{LOADED.format(heavy=HEAVY)}"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == ""


@pytest.mark.parametrize("args", [["models"], ["info", "--help"], ["segment", "--help"]])
def test_the_framework_waits_for_a_network(args):
    script = (
        f"from easyseg.cli import main\ntry: main({args!r})\nexcept SystemExit: pass\n"
        + LOADED.format(heavy=("tensorflow", "keras"))
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == ""


def test_public_names():
    """The public surface: what is lazy, what the stub says, and what works are the same."""
    import ast
    from pathlib import Path

    stub = ast.parse(Path(easyseg.__file__).with_suffix(".pyi").read_text())
    spelled = next(
        ast.literal_eval(node.value) for node in stub.body if isinstance(node, ast.Assign)
    )
    assert sorted(spelled) == easyseg.__all__
    for name in spelled:
        assert getattr(easyseg, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Segment'"):
        easyseg.Segment  # noqa: B018
