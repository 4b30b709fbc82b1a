"""The recipes of docs/scale.md run as they are written, each where its program is installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

import pytest
import yaml
from helpers.paths import ROOT
from helpers.ray_runs import STORE

TEXT = (ROOT / "docs/scale.md").read_text("utf-8")
PROGRAMS = {"ray": "ray", "pyspark": "pyspark", "dask": "dask.bag", "beam": "apache_beam",
            "plain": "concurrent.futures"}  # fmt: skip
NEEDS = "if __name__ == '__main__':\n"

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def recipe(module):
    """The block of Python that imports a module and the segmenter."""
    blocks = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
    (found,) = (b for b in blocks if "Segmenter" in b and re.search(rf"(import|from) {module}", b))
    return found


@pytest.mark.parametrize("name", PROGRAMS)
def test_recipe(name, tmp_path, images, mini):
    """In a process of its own: what it leaves in a process ends with it."""
    module = PROGRAMS[name]
    pytest.importorskip(module, reason=f"needs {module}")
    if name == "pyspark" and shutil.which("java") is None:
        pytest.skip("Spark needs Java")
    paths = sorted(str(path) for path in images.glob("*.jpg"))[:6]
    start = ""
    if name == "ray":
        start = f"import ray\nray.init('local', num_cpus=2, object_store_memory={STORE})\n"
    code = f"{start}paths, out = {paths!r}, {str(tmp_path / 'out')!r}\n{recipe(module)}"
    if name != "beam":
        code += "print(*(row['path'] for row in rows if row['error'] is None), sep='\\n')\n"
    script = tmp_path / "script.py"
    script.write_text(NEEDS + "".join(f"    {line}\n" for line in code.splitlines()))
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, check=False, timeout=200,
        cwd=tmp_path, env={**os.environ, "PYSPARK_PYTHON": sys.executable},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    good = [path for path in paths if "bad" not in path]
    for path in good:
        assert path in done.stdout
        result = tmp_path / f"out{path}.png"
        mini.segment_image(path, tmp_path / "one.png")
        assert result.read_bytes() == (tmp_path / "one.png").read_bytes()


def test_the_job_for_kubernetes():
    """It has a token, starts what exists, and its nodes can run a worker."""
    from easyseg.cli import cli

    job = yaml.safe_load((ROOT / "deploy/rayjob.yaml").read_text("utf-8"))
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    cluster = job["spec"]["rayClusterSpec"]
    assert cluster["authOptions"] == {"mode": "token"}
    assert tuple(map(int, cluster["rayVersion"].split("."))) >= (2, 52, 0)
    words = job["spec"]["entrypoint"].split()
    assert words[:2] == ["easyseg", "segment"]
    command = cli.get_command(None, "segment")
    known = {flag for option in command.params for flag in option.opts}
    assert {word for word in words if word.startswith("-")} <= known
    assert "--resume" in words
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        pod = group["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"]
        assert not pod["automountServiceAccountToken"]
        (container,) = pod["containers"]
        assert container["resources"]["limits"] == container["resources"]["requests"]
