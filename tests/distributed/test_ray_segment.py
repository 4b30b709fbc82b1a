"""Images on a Ray cluster: what one process makes of them, whatever dies meanwhile."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from pathlib import Path

import pytest
from helpers.ray_runs import (
    STORE,
    draw_images,
    files_of,
    killing_workers,
    log_of,
    start,
    wait_until,
)

from easyseg.distributed import segment
from easyseg.errors import (
    ImageError,
    ImageNotFoundError,
    InputError,
    OutputError,
    UnknownNameError,
)
from easyseg.utils.resources import pretrained_path

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # warnings of Ray


def run(sources, out, **options):
    return segment(sources, out, progress=False, **options)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"kind": "labelme"},
        {"kind": "coco"},
        {"kind": "npz"},
        {"kind": "cutout", "classes": ("person", "cat")},
    ],
)
def test_results_are_those_of_one_process(options, local, images, mini, tmp_path):
    out = images.parent / tmp_path.name  # of the same depth: labelme has relative paths
    summary = run(images, out, workers=2, **options)
    expected = images.parent / f"{tmp_path.name}-alone"
    mini.segment_folder(images, expected, progress=False, **options)
    assert files_of(out) == files_of(expected)
    theirs = log_of(expected)
    for line in theirs.values():
        if "result" in line:
            line["result"] = line["result"].replace(str(expected), str(out))
    assert log_of(out) == theirs
    assert (summary.done, summary.workers) == (20, 2)
    assert [Path(source).name for source, _ in summary.failed] == ["bad.jpg", "worse.png"]
    assert summary.empty == tuple(sorted(summary.empty))
    assert str(summary).startswith("20 of 22 done")


def test_rows_are_in_a_table_too(local, images, tmp_path):
    from pyarrow import parquet

    summary = run(images, tmp_path / "out")
    rows = {row["path"]: row for row in parquet.read_table(summary.table).to_pylist()}
    log = log_of(tmp_path / "out")
    assert rows.keys() == log.keys()
    for path, row in rows.items():
        assert row["result"] == log[path].get("result")
        assert row["error"] == log[path].get("error")
        assert row["classes"] == [each["name"] for each in log[path].get("classes", ())]
        assert len(row["model_sha256"]) == 64


def test_areas_and_names_are_those_of_one_process(local, images, mini, tmp_path):
    outs = {name: tmp_path / name for name in ("cluster", "alone")}
    for name, out in outs.items():
        files = {"csv": out / "areas.csv", "jsonl": out / "log.jsonl", "kind": "mask"}
        template = out / "{parent}/{stem}_seg.png"
        if name == "cluster":
            summary = run(images, template, workers=2, **files)
        else:
            mini.segment_folder(images, template, progress=False, **files)
    table = outs["cluster"] / "results.parquet"
    assert (summary.done, summary.jsonl) == (20, outs["cluster"] / "log.jsonl")
    assert Path(summary.table) == table
    table.unlink()
    (outs["cluster"] / "log.jsonl").unlink()
    (outs["alone"] / "log.jsonl").unlink()
    cluster, alone = map(files_of, outs.values())
    assert cluster == alone
    assert {"areas.csv", "deep/0004_seg.png"} <= cluster.keys()
    assert len(cluster["areas.csv"].splitlines()) == 21


def test_areas_of_a_run_that_is_resumed(local, images, tmp_path):
    few = sorted(str(path) for path in images.glob("*.jpg"))[:4]
    run(few[:2], tmp_path / "out", workers=1)
    summary = run(few, tmp_path / "out", workers=1, resume=True, csv=tmp_path / "areas.csv")
    assert (summary.done, summary.skipped) == (2, 2)
    assert len((tmp_path / "areas.csv").read_text().splitlines()) == 5


def test_either_resumes_the_other(local, images, mini, tmp_path):
    """A run of one process is continued by a cluster, and the other way round."""
    few = sorted(str(path) for path in images.glob("*.jpg"))
    mini.segment_folder(few[:6], tmp_path / "out", progress=False)
    before = (tmp_path / "out/0000.png").stat().st_mtime_ns
    summary = run(few[:12], tmp_path / "out", resume=True)
    assert (summary.done, summary.skipped) == (6, 6)
    assert (tmp_path / "out/0000.png").stat().st_mtime_ns == before
    summary = mini.segment_folder(few[:12], tmp_path / "out", resume=True, progress=False)
    assert (summary.done, summary.skipped) == (0, 12)
    assert run(few[:12], tmp_path / "out", resume=True, alpha=0.3).done == 12


def test_threads_of_a_worker_are_its_cores(local, images, tmp_path):
    from easyseg.distributed.ray_nodes import nodes_for
    from easyseg.distributed.ray_pool import Pool, Resources

    class Count:
        def __init__(self, version):
            pass

        def __call__(self, table):
            from easyseg.utils.threads import thread_count

            return table.set_column(0, "threads", [[thread_count()]])

    import pyarrow as pa

    for cpus in (1, 2):
        pool = Pool(local, nodes_for(local, cpus, 0, 1), 1, Resources(1, cpus, 0, 1 << 20))
        (table,) = pool.map(Count, {}, [pa.table({"threads": [0]})])
        assert table["threads"].to_pylist() == [cpus]


def test_no_more_workers_than_tasks(local):
    """Ray would start them, and warn that they have nothing to do."""
    import pyarrow as pa

    from easyseg.distributed.ray_nodes import nodes_for
    from easyseg.distributed.ray_pool import Pool, Resources

    class Same:
        def __init__(self, version):
            pass

        def __call__(self, table):
            return table

    pool = Pool(local, nodes_for(local, 1, 0, 1), 2, Resources(2, 1, 0, 1 << 20))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        (table,) = pool.map(Same, {}, [pa.table({"number": [7]})])
    assert table["number"].to_pylist() == [7]
    assert not [each for each in told if "concurrent actors" in str(each.message)]


def test_too_many_failures_stop_the_run(local, images, tmp_path):
    with pytest.raises(ImageError, match=r"failed, more than max_failures=1; the last: Cannot"):
        run(images, tmp_path / "out", max_failures=1)
    assert run(images, tmp_path / "out", max_failures=2, resume=True).failed


def test_a_worker_is_killed_again_and_again(local, many, tmp_path):
    images, expected = many
    with killing_workers(4, most=5) as killed:
        summary = run(images, tmp_path / "out")
    assert len(killed) >= 2
    assert (summary.done, summary.failed) == (150, ())
    assert len(log_of(tmp_path / "out")) == 150
    assert files_of(tmp_path / "out") == expected, "results or leftovers"


def test_an_image_that_kills_its_worker_fails_alone(ray, tmp_path):
    """Such as one for which the memory does not suffice."""
    images = draw_images(tmp_path / "images", 20)
    shutil.copy(images / "0000.jpg", images / "killer.jpg")
    poison = tmp_path / "poison/sitecustomize.py"
    poison.parent.mkdir()
    poison.write_text(
        textwrap.dedent("""
            import os
            import pathlib

            def deadly(path, stat=pathlib.Path.stat, **options):
                if "killer" in str(path):
                    os.kill(os.getpid(), 9)
                return stat(path, **options)

            pathlib.Path.stat = deadly
        """)
    )
    path = f"{poison.parent}:{os.environ.get('PYTHONPATH', '')}"
    start(ray, runtime_env={"env_vars": {"PYTHONPATH": path}})
    summary = run(images, tmp_path / "out")
    assert summary.done == 20
    ((source, message),) = summary.failed
    assert source.endswith("killer.jpg")
    assert "3 workers died over it. Give workers more memory=" in message


DRIVER = """
    import sys
    from easyseg.distributed import segment

    print(segment(sys.argv[1], sys.argv[2], resume=True, progress=False, ray="local"))
"""


def test_the_driver_is_killed_and_resumes(ray, many, tmp_path):
    (images, expected), out = many, tmp_path / "out"
    command = [sys.executable, "-c", textwrap.dedent(DRIVER), str(images), str(out)]
    log = out / "results.jsonl"
    counts = []
    for _ in range(2):
        driver = subprocess.Popen(command, start_new_session=True)
        start = log.read_bytes().count(b"\n") if log.exists() else 0
        wait_until(lambda start=start: log.exists() and log.read_bytes().count(b"\n") >= start + 30)
        driver.send_signal(signal.SIGKILL)
        driver.wait()
        time.sleep(3)  # Ray's processes end without it
        counts.append(log.read_bytes().count(b"\n"))
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    assert f"{150 - counts[-1]} of 150 done, {counts[-1]} skipped" in done.stdout
    assert len(log_of(out)) == 150
    assert files_of(out) == expected


def test_three_nodes_one_of_which_is_lost(ray, many, tmp_path):
    from ray.cluster_utils import Cluster

    images, expected = many
    arguments = {"num_cpus": 1, "object_store_memory": STORE}
    cluster = Cluster(
        initialize_head=True, head_node_args={**arguments, "include_dashboard": False}
    )
    nodes = [cluster.add_node(**arguments) for _ in range(2)]
    log = tmp_path / "out/results.jsonl"

    def remove():
        wait_until(lambda: log.exists() and log.read_bytes().count(b"\n") >= 30)
        cluster.remove_node(nodes[0], allow_graceful=False)

    thread = threading.Thread(target=remove)
    try:
        cluster.wait_for_nodes()
        ray.init(cluster.address, log_to_driver=False, logging_level="error")
        thread.start()
        summary = run(images, tmp_path / "out", ray=None)
        thread.join()
        alive = [node for node in ray.nodes() if node["Alive"]]
    finally:
        ray.shutdown()
        cluster.shutdown()
    assert summary.workers == 3
    assert len(alive) == 2
    assert (summary.done, summary.failed) == (150, ())
    assert len(log_of(tmp_path / "out")) == 150
    assert files_of(tmp_path / "out") == expected


def test_only_paths_and_rows_go_through_ray(local, tmp_path):
    """20 images of 12 MB each, once decoded, would fill the object store three times."""
    from ray._private.internal_api import memory_summary

    images, most = draw_images(tmp_path / "images", 20, size=(2000, 2000)), []
    done = threading.Event()

    def watch():
        while not done.wait(1):
            most.append(int(re.search(r"usage (\d+) MiB", memory_summary(stats_only=True))[1]))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        assert run(images, tmp_path / "out").done == 20
    finally:
        done.set()
        watcher.join()
    assert max(most) <= 10


@pytest.mark.parametrize(
    ("sources", "options", "kind", "message"),
    [
        ([], {}, ImageNotFoundError, "Expected at least one image"),
        ("images", {"workers": 0}, InputError, "workers=0 must be a whole number from 1"),
        ("images", {"cpus": 1.5}, InputError, "cpus=1.5 must be a whole number from 1, or a part"),
        ("images", {"gpus": 1}, InputError, r"No node of the Ray cluster can run .*gpus=1 and"),
        ("images", {"cpus": 64}, InputError, r"can run a worker with cpus=64, .*: 2 CPUs"),
        ("images", {"memory": 0}, InputError, "memory=0 must be a number of bytes"),
        ("images", {"max_failures": -1}, InputError, "max_failures=-1 must be"),
        ("images", {"model": "minni"}, UnknownNameError, r"unknown model .*'minni'\. Did you mean"),
        ("images", {"model": "/absent.onnx"}, InputError, "does not see /absent.onnx. Put it at"),
        ("images", {"classes": ["dragon"]}, UnknownNameError, "unknown class of voc 'dragon'"),
        ("images", {"tile": 7}, InputError, "tile=7 must be"),
        ("images", {"ray": "10.0.0.1:6379"}, InputError, "connected to a cluster already"),
    ],
)
def test_bad_input(sources, options, kind, message, local, images, tmp_path):
    sources = str(images) if sources == "images" else sources
    with pytest.raises(kind, match=message):
        run(sources, tmp_path / "out", **options)


def test_out_is_no_file_and_no_page(local, images, tmp_path):
    with pytest.raises(InputError, match=r"a\.png' is a file\. Give a folder"):
        run(images / "0000.jpg", tmp_path / "a.png")
    with pytest.raises(InputError, match="is a URL of the web, to which no results can be written"):
        run(images, "https://example.com/out")
    if os.getuid():
        with pytest.raises(OutputError, match="permission denied"):
            run(images, "/proc/out")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("127.0.0.1:1", "No Ray cluster answers at ray='127.0.0.1:1'"),
        ("images/", "must be 'auto', 'local' or the address of a cluster's head"),
        ("ray://10.0.0.1:10001", "Run this on the cluster itself, by `ray job submit`"),
        ("auto", "No Ray cluster runs on this computer. Start one"),
    ],
)
def test_bad_addresses(address, message, ray, images, tmp_path):
    with pytest.raises(InputError, match=message):
        run(images, tmp_path / "out", ray=address)


def elsewhere(monkeypatch, tmp_path, ray, **env):
    """Connects to a cluster whose processes have another working directory than this one."""
    (tmp_path / "theirs").mkdir()
    monkeypatch.chdir(tmp_path / "theirs")
    start(ray, num_cpus=1, runtime_env={"env_vars": env} if env else None)
    (tmp_path / "ours").mkdir()
    monkeypatch.chdir(tmp_path / "ours")


def test_a_folder_that_nodes_do_not_share(ray, images, tmp_path, monkeypatch):
    elsewhere(monkeypatch, tmp_path, ray)
    out = "/proc/self/cwd/out"
    with pytest.raises(OutputError, match=rf"does not see {out}\. Choose an output folder that"):
        run(images, out)
    assert not list(Path(out).iterdir()), "the probe stays"


def test_files_that_nodes_do_not_see(ray, images, tmp_path, monkeypatch):
    elsewhere(monkeypatch, tmp_path, ray)
    shutil.copy(pretrained_path("mini", "model.onnx"), "street.onnx")
    shutil.copy(images / "0000.jpg", "a.jpg")
    for sources, model, unseen in [
        (images, "/proc/self/cwd/street.onnx", "street.onnx"),
        ("/proc/self/cwd/a.jpg", "mini", "a.jpg"),
    ]:
        with pytest.raises(InputError, match=rf"does not see .*{unseen}\. Put it at the same path"):
            run(sources, tmp_path / "out", model=model)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("__version__ = '9.9.9'", "has easyseg 9.9.9, this process has .* Install the same"),
        ("raise ImportError('gone')", r"has no easyseg \(ImportError: gone; .*runtime_env="),
    ],
)
def test_nodes_with_another_easyseg(content, message, ray, images, tmp_path, monkeypatch):
    package = tmp_path / "packages/easyseg/__init__.py"
    package.parent.mkdir(parents=True)
    package.write_text(content)
    path = f"{package.parent.parent}:{os.environ.get('PYTHONPATH', '')}"
    elsewhere(monkeypatch, tmp_path, ray, PYTHONPATH=path)
    with pytest.raises(InputError, match=message):
        run(images, tmp_path / "out")


def test_without_ray(monkeypatch, images, tmp_path):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"Run: pip install 'easyseg\[ray\]'"):
        run(images, tmp_path / "out")
