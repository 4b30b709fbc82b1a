"""Shards by the files of deploy/ and by the lines of docs/scale.md, each run as it is written."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from helpers.make_dataset import save, scene
from helpers.paths import ROOT

SLURM = ROOT / "deploy/slurm_array.sh"
JOBS = {
    job["metadata"]["labels"]["step"]: job
    for job in yaml.safe_load_all((ROOT / "deploy/kubernetes_indexed_job.yaml").read_text("utf-8"))
}
PAGE = (ROOT / "docs/scale.md").read_text("utf-8")
COUNT = 4
FAKE_SBATCH = """#!/bin/bash
# Runs what it is given at once, as Slurm would; prints the number of the job.
echo "$@" >> "$SUBMITTED"
for word in "$@"; do
    case $word in
        --array=*) IFS=, read -ra ranges <<< "${word#--array=}" ;;
        --wrap=*) bash -c "${word#--wrap=}" >> "$SUBMITTED.out" 2>&1; echo 43; exit ;;
    esac
done
while [[ $1 == --* ]]; do shift; done
tasks=$(for range in "${ranges[@]}"; do seq "${range%-*}" "${range#*-}"; done)
for task in $tasks; do
    SLURM_ARRAY_TASK_ID=$task SLURM_ARRAY_TASK_COUNT=$(wc -w <<< "$tasks") bash "$@"
done > "$SUBMITTED.out" 2>&1
echo "42;cluster"
"""


@pytest.fixture
def images(tmp_path, monkeypatch):
    """The working folder, with images; `easyseg` and `sbatch` are on the path."""
    monkeypatch.chdir(tmp_path)
    for i in range(COUNT):
        save(Path(f"images/{i}.png"), scene(i)[0])
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in (
        ("easyseg", f'#!/bin/sh\nexec "{sys.executable}" -m easyseg "$@"\n'),
        ("sbatch", FAKE_SBATCH),
    ):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("SUBMITTED", str(tmp_path / "submitted"))
    for name in ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", "SHARDS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def run(*words, code=0, **environment):
    done = subprocess.run(
        list(map(str, words)), env=os.environ | environment,
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done


def assert_all_done(log="out/results.jsonl"):
    lines = [json.loads(line) for line in Path(log).read_text().splitlines()]
    assert [Path(line["result"]).name for line in lines] == [f"{i}.png" for i in range(COUNT)]
    assert all(Path(line["result"]).is_file() for line in lines)


def test_slurm_submits_an_array_and_a_merge(images):
    run(SLURM, "images", "out dir", "--kind", "mask", SHARDS="2")
    array, merge = Path("submitted").read_text().splitlines()
    assert array == f"--parsable --array=1-2 {SLURM} images out dir --kind mask"
    assert merge.startswith("--dependency=afterany:42 ")
    assert f"{COUNT} of {COUNT} done in 2 shards" in Path("submitted.out").read_text()
    assert_all_done("out dir/results.jsonl")


@pytest.mark.slow
def test_slurm_runs_some_tasks_again(images):
    """Then the number of tasks is not that of the shards."""
    run("easyseg", "segment", "images", "-o", "out", "--shard", "1/3", "-q")
    run("sbatch", "--array=2,3", SLURM, "images", "out", SHARDS="3")
    run("easyseg", "merge", "out")
    assert_all_done()


def test_slurm_without_a_number_of_shards(images):
    assert "SHARDS: is the number of shards" in run(SLURM, "images", "out", code=1).stderr


@pytest.mark.slow
def test_kubernetes_counts_from_zero(images):
    spec = JOBS["segment"]["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    environment = {e["name"]: e["value"] for e in container["env"]}
    assert spec["completionMode"] == "Indexed"
    assert environment["SHARDS"] == str(spec["completions"])
    for index in range(2):
        run(*container["command"], *container["args"], SHARDS="2", JOB_COMPLETION_INDEX=str(index))
    (merge,) = JOBS["merge"]["spec"]["template"]["spec"]["containers"]
    assert f"{COUNT} of {COUNT} done in 2 shards" in run(*merge["command"]).stdout
    assert_all_done()


def test_kubernetes_starts_pods_that_can_do_nothing_else():
    text = (ROOT / "deploy/kubernetes_indexed_job.yaml").read_text("utf-8")
    user = re.search(r"^USER (\d+)$", (ROOT / "deploy/Dockerfile").read_text(), re.MULTILINE)[1]
    for step, job in JOBS.items():
        assert f"-l step={step}" in text
        assert f"job/{job['metadata']['name']}" in text
        pod = job["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert pod["securityContext"]["runAsUser"] == int(user)
        assert container["securityContext"]["readOnlyRootFilesystem"]
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["volumes"]}


def section(heading):
    return re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)[1]


def blocks(language, heading):
    return re.findall(rf"```{language}\n(.*?)```", section(heading), re.DOTALL)


@pytest.mark.slow
def test_the_line_for_one_machine(images):
    (block,) = (text for text in blocks("console", "Shards") if "xargs" in text)
    done = run("bash", "-ec", block)
    assert f"{COUNT} of {COUNT} done in 4 shards -> out/results.jsonl" in done.stdout
    assert_all_done()


def test_the_python_code(images, capsys):
    for i in range(COUNT):
        image, mask = scene(i)
        save(Path(f"my_folder/images/{i}.png"), image)
        save(Path(f"my_folder/masks/{i}.png"), mask)
    Path("my_folder/classes.txt").write_text("background\nperson\n")
    session = {}
    for block in blocks("python", "Shards"):
        code = block.replace('"xception65.voc"', '"mini"')
        exec(code, session)
    assert_all_done()
    assert Path("out/scores.json").is_file()
    printed = capsys.readouterr().out
    assert f"{COUNT} of {COUNT} done in 2 shards -> out/results.jsonl" in printed
