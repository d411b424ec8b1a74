"""A source's bytes as they are now, taken to where nobody writes to them any more.

Invariants: what is copied lies in the allowed folder and is reached through no symlink, at the moment of opening; a
copy is whole and on the disk before it has a name that counts, and can be read by its owner alone; a file that is
written to meanwhile is not copied. Plain blocking calls.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from connectors.sources.files import SourceFile

LOCK = ".lock"


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Of all processes that take or delete copies in `folder`, one: others wait for their turn. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def take_copy(source: Path, path: str, place: Path) -> None:
    """Copy the file `path` below the folder `source` to `place`, which another copy may have left half-way.

    Raises SourceError for a file that may not be read, is not there, or is written to; OSError where `place` is none.
    """
    file = SourceFile(source, path)
    where = file.path  # says what is wrong with the path, if anything is
    place.unlink(missing_ok=True)
    try:
        taken = _opened(source.resolve(), PurePosixPath(path).parts)
    except OSError as problem:
        raise file.unreadable("it cannot be opened", type(problem).__name__) from None
    try:
        with os.fdopen(taken, "rb") as old, place.open("xb") as new:
            place.chmod(0o600)
            before = os.fstat(old.fileno())
            if not stat.S_ISREG(before.st_mode):
                raise file.unreadable("it is no file")
            shutil.copyfileobj(old, new, 1 << 20)
            new.flush()
            os.fsync(new.fileno())
            # Of the file that was read, and of whatever has its name by now.
            if not _stamp(os.fstat(old.fileno())) == _stamp(before) == _stamp(where.stat()):
                raise file.unreadable("it is written to at the moment")
    except BaseException:
        place.unlink(missing_ok=True)
        raise


def keep_copy(taken: Path, place: Path) -> None:
    """Give a copy that was checked the name under which it is read, and is never written to again. Raises OSError."""
    taken.chmod(0o400)
    taken.replace(place)
    folder = os.open(place.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def delete_but(folder: Path, kept: Collection[str]) -> None:
    """Delete every file in `folder` but these, and the lock; a file system keeps folders of its own. Raises OSError."""
    for file in folder.iterdir():
        if file.name not in kept and file.name != LOCK and (file.is_symlink() or not file.is_dir()):
            file.unlink()


def _opened(folder: Path, parts: tuple[str, ...]) -> int:
    """A link that takes the place of a part after it was looked at leads nowhere either."""
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for number, part in enumerate(parts, start=1):
            kind = os.O_DIRECTORY if number < len(parts) else os.O_NONBLOCK
            below = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | kind, dir_fd=at)
            os.close(at)
            at = below
    except OSError:
        os.close(at)
        raise
    return at


def _stamp(state: os.stat_result) -> tuple[int, ...]:
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns
