"""Tables of named things with a did-you-mean look-up, to which other packages can add."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Generic, TypeVar

from easyseg.errors import InputError, UnknownNameError

T = TypeVar("T")
LONG = 25  # names; fewer are all listed in a message, else the first 20


class Registry(Generic[T]):
    """A table from names to things of one kind; `register` adds an entry.

    Args:
        kind: What the entries are, in the singular, for messages: "backbone".
        modules: Modules by entry name, for entries that are costly to import: the module, which
            registers the entry, is imported when the entry is first looked up.
    """

    def __init__(self, kind: str, *, modules: Mapping[str, str] | None = None) -> None:
        self.kind = kind
        self._modules = dict(modules or {})
        self._entries: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Returns a decorator that adds an entry.

        Raises:
            InputError: The name is taken.
        """

        def add(entry: T) -> T:
            if name in self._entries:
                raise InputError(f"{self.kind} {name!r} exists already; choose another name.")
            self._entries[name] = entry
            return entry

        return add

    def __getitem__(self, name: str) -> T:
        if name in self and name not in self._entries:
            importlib.import_module(self._modules[name])
        if name in self:
            return self._entries[name]
        raise unknown_name(self.kind, name, self)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (name in self._modules or name in self._entries)

    def __iter__(self) -> Iterator[str]:
        yield from dict.fromkeys([*self._modules, *self._entries])

    def __len__(self) -> int:
        return len({*self._modules, *self._entries})


def unknown_name(
    kind: str, name: object, known: Iterable[str], aliases: Iterable[str] = ()
) -> UnknownNameError:
    """The error for a name that is in no table: suggests the nearest, or lists what is known."""
    known = list(known)
    every = [*known, *aliases]
    close = nearest(str(name), every)
    if close:
        hint = f"Did you mean {' or '.join(repr(n) for n in close)}?"
    else:
        names = every if len(every) < LONG else known
        hint = f"Known: {', '.join(names if len(names) < LONG else [*names[:20], '…'])}."
    return UnknownNameError(f"unknown {kind} {name!r}. {hint}")


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """The names most like `name`, best first, ignoring case; empty if nothing is similar."""
    folded = {k.casefold(): k for k in known}
    hits = difflib.get_close_matches(name.casefold(), folded)
    return [folded[hit] for hit in hits]
