"""Tables of named things with a did-you-mean look-up, which third parties can join."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import metadata
from typing import Generic, TypeVar

from easyseg.errors import InputError, UnknownNameError

__all__ = ["Registry", "nearest", "unknown_name"]

T = TypeVar("T")


class Registry(Generic[T]):
    """A table from names to things of one kind.

    Other packages add rows through the entry-point group `easyseg.<plural of kind>`; a row is
    loaded when it is asked for.

    Args:
        kind: What the rows are, in the singular, for messages: "backbone".
        group: Entry-point group; `None` keeps the table closed.
        modules: Rows whose module is costly to import, by name: the module registers the row
            when it is imported, which is when the row is asked for.
    """

    def __init__(
        self, kind: str, group: str | None = None, *, modules: Mapping[str, str] | None = None
    ) -> None:
        self.kind = kind
        self.group = group
        self._modules = dict(modules or {})
        self._rows: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Returns a decorator that adds a row. A name can be taken once."""

        def add(row: T) -> T:
            if name in self._rows:
                raise InputError(f"{self.kind} {name!r} exists already; choose another name.")
            self._rows[name] = row
            return row

        return add

    def __getitem__(self, name: str) -> T:
        if name not in self._rows and name in self._modules:
            importlib.import_module(self._modules[name])
        if name in self._rows:
            return self._rows[name]
        for entry in self._entry_points():
            if entry.name == name:
                self._rows[name] = entry.load()
                return self._rows[name]
        raise unknown_name(self.kind, name, self)

    def __contains__(self, name: object) -> bool:
        return any(name == known for known in self)

    def __iter__(self) -> Iterator[str]:
        ours = dict.fromkeys([*self._modules, *self._rows])
        yield from ours
        yield from (entry.name for entry in self._entry_points() if entry.name not in ours)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _entry_points(self) -> Iterable[metadata.EntryPoint]:
        return metadata.entry_points(group=self.group) if self.group else ()


def unknown_name(kind: str, name: object, known: Iterable[str]) -> UnknownNameError:
    """The error for a name that no table holds: says what is nearest, or what there is."""
    known = list(known)
    close = nearest(str(name), known)
    if close:
        hint = f"Did you mean {' or '.join(repr(n) for n in close)}?"
    else:
        shown = ", ".join(known[:20]) + (", …" if len(known) > 20 else "")
        hint = f"Known: {shown}."
    return UnknownNameError(f"unknown {kind} {name!r}. {hint}")


def nearest(name: str, known: Iterable[str], count: int = 3) -> list[str]:
    """The names most like `name`, best first, blind to case; empty if nothing is like it."""
    folded = {k.casefold(): k for k in known}
    hits = difflib.get_close_matches(name.casefold(), folded, n=count, cutoff=0.6)
    return [folded[hit] for hit in hits]
