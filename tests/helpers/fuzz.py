"""Hypothesis for what reads strangers' files: how many inputs, how each is made, what it may cost.

A test is `@each_run(0.2) def test_x(examples): run(attack, inputs, examples)`. `make test` runs it
with a few inputs, `make fuzz` with many: EASYSEG_FUZZ_EXAMPLES says how many there are for each
file of tests, and `each_run` which part of them is for this test. EASYSEG_FUZZ_MINUTES is a limit
for each file, shared likewise; EASYSEG_FUZZ_RECORD is a CSV file to which each test adds a line.
"""

from __future__ import annotations

import contextlib
import copy
import faulthandler
import os
import resource
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from easyseg.errors import EasysegError

SHORT = 15  # inputs of a test within `make test`
LONG = int(os.environ.get("EASYSEG_FUZZ_EXAMPLES", "7000"))  # inputs of all tests of a file
MINUTES = float(os.environ.get("EASYSEG_FUZZ_MINUTES", "inf"))  # of all tests of a file
RECORD = os.environ.get("EASYSEG_FUZZ_RECORD")
SECONDS = 10  # of the processor, for one input
MEGABYTES = 1024  # of memory, for one input


def each_run(share: float):
    """Parametrizes a test by `examples`: a short run, and a slow one of its share of `LONG`."""
    many = pytest.param(round(share * LONG), id="long", marks=pytest.mark.slow)
    return pytest.mark.parametrize("examples", [pytest.param(SHORT, id="short"), many])


class _Enough(KeyboardInterrupt):
    """Ends a run in time; all else Hypothesis would take for a finding."""


def run(attack, inputs: st.SearchStrategy, examples: int) -> None:
    """Calls `attack` with generated inputs; it may return or raise an EasysegError, in bounds."""
    began, end = time.monotonic(), time.monotonic() + 60 * MINUTES * min(1, examples / LONG)
    spent: list[float] = []
    peaks: list[float] = []

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=examples == SHORT,
        suppress_health_check=list(HealthCheck),
    )
    @given(inputs)
    def one(value):
        if time.monotonic() > end:
            raise _Enough
        faulthandler.dump_traceback_later(60 * SECONDS, exit=True)  # of loops in C, too
        start, before = time.process_time(), _reset_peak()
        try:
            attack(value)
        except EasysegError:
            pass
        finally:
            faulthandler.cancel_dump_traceback_later()
        spent.append(time.process_time() - start)
        assert spent[-1] < SECONDS
        peaks.append(_peak())
        assert peaks[-1] - before < MEGABYTES

    with contextlib.suppress(_Enough):
        one()
    if RECORD:
        test = os.environ["PYTEST_CURRENT_TEST"].split(" ")[0].removeprefix("tests/fuzz/")
        line = (
            f"{test},{len(spent)},{time.monotonic() - began:.0f},{max(spent):.2f},{max(peaks):.0f}"
        )
        with open(RECORD, "a") as file:  # noqa: PTH123
            file.write(f"{line}\n")


def _reset_peak() -> float:
    """Forgets the peak so far, which would hide that of an input; the memory in use now, in MB.

    Only Linux can; elsewhere an input is compared with the peak before it.
    """
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _peak()


def _peak() -> float:
    """Peak memory of the process in MB."""
    with contextlib.suppress(OSError):
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


NUMBERS = [0, -1, 1, 255, 256, 2**31, 2**32, 2**63, -(2**63), 10**400, 0.5, -0.0, 1e308, 5e-324]
NUMBERS += [float("nan"), float("inf"), -float("inf")]
TEXTS = [
    "",
    " ",
    "0",
    "1",
    "1.0",
    "-1",
    "nan",
    "1e400",
    "\u0661",
    "a\0b",
    "a\nb",
    "../..",
    "/",
    ".",
]
TEXTS += ["\x1b[31m", "\udcff", "\ud800", "x" * 300, "null", "__class__", "*", "%s", "{}"]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(NUMBERS),
    st.sampled_from(TEXTS),
    st.integers(-10, 300),
    st.floats(-10, 300),
    st.text(max_size=5),
)


def odd_values(scalars: st.SearchStrategy = SCALARS) -> st.SearchStrategy:
    """What may stand in JSON or YAML where something else is expected."""
    names = st.sampled_from(["id", "name", "size", "counts", "0", "", "points"])
    return st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=3),
        max_leaves=6,
    )


@st.composite
def mutated_documents(draw: st.DrawFn, document: Any, values: st.SearchStrategy) -> Any:
    """The document (lists and dictionaries) with up to four places replaced, removed or doubled."""
    whole = [copy.deepcopy(document)]
    for _ in range(draw(st.integers(1, 4))):
        parent, key = whole, 0
        while parent[key] and isinstance(parent[key], dict | list):
            if parent is not whole and draw(st.integers(0, 4)) == 0:
                break
            parent = parent[key]
            keys = list(parent) if isinstance(parent, dict) else range(len(parent))
            key = draw(st.sampled_from(keys))
        edit = draw(st.sampled_from(["replace", "replace", "replace", "remove", "double"]))
        if edit == "double" and isinstance(parent, list) and parent is not whole:
            parent.insert(key, copy.deepcopy(parent[key]))
        elif edit == "remove" and parent is not whole:
            del parent[key]
        else:
            parent[key] = draw(values)
    return whole[0]


@st.composite
def mutated_bytes(draw: st.DrawFn, content: bytes) -> bytes:
    """The content with up to six places overwritten, filled, removed, repeated or cut off."""
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.integers(0, 16)))
        edit = draw(st.sampled_from(["overwrite", "overwrite", "fill", "remove", "repeat", "cut"]))
        new = b""
        if edit == "overwrite":
            new = draw(st.binary(max_size=end - start + 1))
        elif edit == "fill":
            new = (end - start) * draw(st.sampled_from([b"\0", b"\xff", b"\x7f", b"9", b"["]))
        elif edit == "repeat":
            new = draw(st.sampled_from([2, 5, 100])) * content[start:end]
        content = content[:start] + new + (b"" if edit == "cut" else content[end:])
    return content
