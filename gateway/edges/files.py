"""A small file that somebody may replace while a process runs.

Invariant: what is returned was parsed from the file as it is now; a file that cannot be read or parsed raises, it is
never answered for by what it said before.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")

Stamp = tuple[int, int, int, int]


def stamp(path: Path) -> Stamp:
    """Another one whenever the file is another or was written to. Raises OSError."""
    state = path.stat()
    return state.st_ino, state.st_mtime_ns, state.st_ctime_ns, state.st_size


def stamp_if_there(path: Path) -> Stamp | None:
    try:
        return stamp(path)
    except OSError:
        return None


class Watched(Generic[T]):
    """Parsed when it is first read, and again whenever the file is another or was written to."""

    def __init__(self, path: Path, parse: Callable[[bytes], T], read: Callable[[Path], bytes] | None = None) -> None:
        self._path = path
        self._parse = parse
        self._read = read or Path.read_bytes
        self._seen: Stamp | None = None
        self._value: T

    def read(self) -> T:
        """Raises OSError, and what parsing raises."""
        seen = stamp(self._path)
        if seen != self._seen:
            self._seen = None
            self._value = self._parse(self._read(self._path))
            self._seen = seen
        return self._value
