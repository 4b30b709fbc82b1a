"""Results logs that somebody else wrote, or that are damaged."""

import json
import resource
import sys
from pathlib import Path

import pytest

from easyseg.distributed.results import merge_results
from easyseg.errors import InputError
from easyseg.inference.results_log import begin, done_lines
from easyseg.io.find_images import Found, Job

JOBS = [Job(Found("a.png", Path("a.png")), Path("out/a.png"))]
LINE = b'{"source": "b.png", "settings": {}, "result": "out/b.png"}'
ODD = [
    b'{"source": [], "settings": {}}',
    b'{"source": {"a": 1}, "settings": {}}',
    b'{"source": null, "settings": {}}',
    b'{"source": "c", "settings": ' + 2000 * b"[" + b"}",
    b'{"source": "c", "settings": ' + 5000 * b"9" + b"}",
    b'{"source": "c"}',
    b"[]",
    b"\xff\xfe\x00",
    b"{" * 3000,
]


@pytest.mark.parametrize("odd", ODD, ids=range(len(ODD)))
def test_odd_lines_are_dropped(tmp_path, odd):
    log = tmp_path / "results.jsonl"
    log.write_bytes(b"\n".join([LINE, odd, LINE]) + b"\n")
    assert begin(JOBS, log, {}, resume=True) == JOBS
    assert [json.loads(line) for line in log.read_bytes().splitlines()] == 2 * [json.loads(LINE)]


def test_a_line_without_end(tmp_path):
    """A sparse file costs whoever made it nothing."""
    log = tmp_path / "results.jsonl"
    with log.open("wb") as file:
        file.write(LINE + b'\n{"source": "')
        file.truncate(2 << 30)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin(JOBS, log, {}, resume=True)
    unit = 1 if sys.platform == "darwin" else 1024
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit < 200 << 20
    assert log.read_bytes() == LINE + b"\n"


@pytest.mark.parametrize(
    "odd",
    [
        {"classes": None},
        {"classes": [1]},
        {"classes": [{"id": "0", "name": "a", "ratio": 1}]},
        {"classes": [{"id": 0, "name": "a", "ratio": None}]},
        {"width": "6"},
        {"result": ["out/b.png"]},
        {"milliseconds": 5},
        {"milliseconds": {"read": "x"}},
    ],
    ids=str,
)
def test_lines_that_describe_no_result_are_in_no_table(tmp_path, odd):
    entry = {"id": 0, "name": "a", "ratio": 1.0}
    size = {"width": 6, "height": 4}
    line = {**json.loads(LINE), **size, "classes": [entry], "milliseconds": {"read": 1.5}}
    log = tmp_path / "results.jsonl"
    log.write_text(f"{json.dumps(line)}\n{json.dumps(line | odd)}\n")
    assert list(done_lines(log, {})) == [line]


@pytest.mark.parametrize(
    "part",
    [
        {"index": -1},
        {"index": 1},
        {"all_images": 10**18},
        {"images": True},
        {"shard": "1/2"},
        {"all_names": None},
    ],
    ids=str,
)
def test_parts_that_lie(tmp_path, part):
    line = {"source": "a", "settings": {}, "result": "b"}
    whole = {"shard": "1/1", "images": 1, "all_images": 1, "all_names": "x", "index": 0}
    log = tmp_path / "results-1-of-1.jsonl"
    log.write_text(json.dumps(line | {"part": whole}) + "\n")
    assert merge_results(tmp_path).done == 1
    log.write_text(json.dumps(line | {"part": whole | part}) + "\n")
    with pytest.raises(InputError, match=r"results-1-of-1\.jsonl"):
        merge_results(tmp_path)
