"""Large blocks stay in the heap, unless the user configures malloc."""

import subprocess
import sys

import pytest

from easyseg.utils import allocator

CALLS = [(-4, 0), (-1, 2**28)]
FAULTS = """
import resource
import numpy as np
from easyseg.utils.allocator import keep_freed_memory
{first}
def faults():
    np.empty(48 * 2**20, np.uint8)[::4096] = 1
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
first = faults()  # the start of Python, and the first time, which clears the pages in any case
print([faults() for _ in range(50)][-1] - first)
"""


class Library:
    def __init__(self):
        self.calls = []

    def mallopt(self, *call):
        self.calls.append(call)


@pytest.fixture
def library(monkeypatch):
    for name in [name for name in allocator.os.environ if name.startswith(allocator.USER_SETTINGS)]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(allocator.sys, "platform", "linux")
    fake = Library()
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda _: fake)
    return fake


def test_glibc_is_configured(library):
    allocator.keep_freed_memory()
    assert library.calls == CALLS


@pytest.mark.parametrize("name", ["MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_MAX_", "GLIBC_TUNABLES"])
def test_settings_of_the_user_stay(library, monkeypatch, name):
    monkeypatch.setenv(name, "1")
    allocator.keep_freed_memory()
    assert not library.calls


def test_other_systems_and_libraries_are_left_alone(library, monkeypatch):
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda _: object())
    allocator.keep_freed_memory()
    monkeypatch.setattr(allocator.ctypes, "CDLL", None)
    monkeypatch.setattr(allocator.sys, "platform", "win32")
    allocator.keep_freed_memory()


@pytest.mark.skipif(sys.platform != "linux", reason="counts Linux's page faults")
def test_pages_are_not_cleared_for_each_array():
    faults = [
        int(subprocess.check_output([sys.executable, "-c", FAULTS.format(first=first)]))
        for first in ("keep_freed_memory()", "")
    ]
    assert faults[0] < faults[1] / 4
