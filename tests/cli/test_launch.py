"""`easyseg launch` before it starts processes; tests/training/test_multi_worker.py starts some."""

import importlib
import sys

import click
import pytest

from easyseg.cli import cli, main
from easyseg.errors import InputError

launch = importlib.import_module("easyseg.cli.launch")

QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--", "train", "x"], "must be a whole number from 2\\."),
        (["-n", "1", "--", "train", "x"], "must be a whole number from 2, got 1"),
        (["-n", "2"], "launch starts `easyseg train` only, .* got no command"),
        (["-n", "2", "--", "segment", "x"], "only, as in `easyseg launch -n 2 -- train my_folder`"),
        (["-n", "2", "train", "x", "--epochs", "2o"], "'2o' must be a whole number"),
        (["-n", "2", "--", "train", "x", "--no-such"], "No such option '--no-such'"),
        (
            ["-n", "2", "--", "train", "x", "--rank", "1", "--workers", "a:1,b:2"],
            "launch sets --workers and --rank; leave --workers and --rank out",
        ),
    ],
)
def test_what_is_refused_before_processes_start(monkeypatch, words, message):
    monkeypatch.delattr(launch, "ChildProcesses")
    with pytest.raises(click.ClickException, match=message):
        cli.main(["launch", *words], standalone_mode=False)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, [QUIET] * 2),
        ({"CUDA_VISIBLE_DEVICES": "-1"}, [{"CUDA_VISIBLE_DEVICES": "-1", **QUIET}] * 2),
        ({"CUDA_VISIBLE_DEVICES": ""}, [{"CUDA_VISIBLE_DEVICES": "", **QUIET}] * 2),
        (
            {
                "CUDA_VISIBLE_DEVICES": "3,GPU-ab,5",
                "TF_CONFIG": "{}",
                "TF_NUM_INTRAOP_THREADS": "7",
            },
            [
                {"CUDA_VISIBLE_DEVICES": gpu, "TF_NUM_INTRAOP_THREADS": "7"}
                for gpu in ("3", "GPU-ab")
            ],
        ),
    ],
)
def test_threads_and_gpus_of_each_process(monkeypatch, tmp_path, environment, expected):
    monkeypatch.setattr(launch, "NVIDIA", tmp_path / "gpus")
    monkeypatch.setattr(launch, "thread_count", lambda: 9)
    threads = {"OMP_NUM_THREADS": "4", "TF_NUM_INTRAOP_THREADS": "4"}
    assert launch._environments(2, environment) == [{**threads, **other} for other in expected]


def test_a_gpu_for_each_process(monkeypatch, tmp_path):
    monkeypatch.setattr(launch, "NVIDIA", tmp_path)
    for name in ("0000:01:00.0", "0000:02:00.0"):
        (tmp_path / name).mkdir()
    found = [one["CUDA_VISIBLE_DEVICES"] for one in launch._environments(2, {})]
    assert found == ["0", "1"]
    with pytest.raises(InputError, match=r"-n 3: each process needs a GPU .* there are 2; start"):
        launch._environments(3, {})


FIRST_FAILS = """
import sys, time
print("hello", flush=True)
if sys.argv[-1] == "1":
    print("easyseg: no disk", file=sys.stderr, flush=True)
    sys.exit(7)
time.sleep(600)
"""


def test_the_first_failure_ends_all(monkeypatch, capfd):
    """Its exit code and its message are the launcher's."""
    monkeypatch.setattr(launch, "GRACE", 0.3)
    real = launch.ChildProcesses

    def start(commands, environments, show):
        assert commands[0][1:4] == ["-m", "easyseg", "train"]
        ranks = [command[-1] for command in commands]
        commands = [[sys.executable, "-c", FIRST_FAILS, rank] for rank in ranks]
        return real(commands, environments, show)

    monkeypatch.setattr(launch, "ChildProcesses", start)
    with pytest.raises(SystemExit) as caught:
        main(["launch", "-n", "2", "--", "train", "x"])
    assert caught.value.code == 7
    out, err = capfd.readouterr()
    assert sorted(out.splitlines()) == ["[0] hello", "[1] hello"]
    assert err.splitlines()[-1] == "easyseg: worker 1 ended with exit code 7: no disk"
