import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from easyseg.utils.child_processes import ChildProcesses

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


def gone(pid, seconds=10.0):
    """Whether a process ends in time (one that has ended and waits for its parent counts)."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


def run(*codes):
    """What Python processes show, as (number, whether it is an error, text)."""
    shown = []
    commands = [[sys.executable, "-c", code] for code in codes]
    with ChildProcesses(
        commands, [os.environ] * len(codes), lambda *what: shown.append(what)
    ) as processes:
        ends = [processes.next_end(timeout=30) for _ in codes]
        processes.finish_output(30)
    return sorted(ends), shown


def test_output_arrives_line_by_line():
    code = (
        "import sys, time; w = sys.stdout.buffer\n"
        "w.write('h\\u00e9'.encode()[:2]); w.flush(); time.sleep(0.2)\n"
        "w.write('h\\u00e9'.encode()[2:] + b'llo\\nlast'); w.flush(); sys.exit(3)"
    )
    ends, shown = run(code, "import sys; print('warned', file=sys.stderr)")
    assert ends == [(0, 3), (1, 0)]
    assert sorted(shown) == [
        (0, False, "h\u00e9llo\n"),
        (0, False, "last\n"),
        (1, True, "warned\n"),
    ]


def test_a_progress_bar_is_one_line_at_its_end():
    code = (
        "import sys, time\n"
        "for text in ('\\r1/2', '\\r2/2', '\\n'):\n"
        "    sys.stderr.write(text); sys.stderr.flush(); time.sleep(0.2)"
    )
    _, shown = run(code)
    assert [text for _, _, text in shown] == ["\r1/2", "\r2/2", "2/2\n"]


def test_none_is_left_at_the_end():
    with ChildProcesses([SLEEP], [os.environ], lambda *_: None) as processes:
        [process] = processes._processes
        assert processes.next_end(timeout=0.1) is None
    assert process.poll() == -signal.SIGKILL


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel of Linux does it")
def test_none_is_left_when_the_parent_is_killed():
    script = (
        "import os, sys, time\n"
        "from easyseg.utils.child_processes import ChildProcesses\n"
        f"p = ChildProcesses([{SLEEP!r}] * 2, [os.environ] * 2, lambda *_: None)\n"
        "print(*[process.pid for process in p._processes], flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    pids = [int(word) for word in parent.stdout.readline().split()]
    assert len(pids) == 2
    assert not any(gone(pid, 0.1) for pid in pids)
    parent.kill()
    parent.communicate()
    assert all(map(gone, pids))


def test_a_command_that_does_not_exist():
    with pytest.raises(FileNotFoundError):
        ChildProcesses([SLEEP, ["no-such-command"]], [os.environ] * 2, lambda *_: None)
