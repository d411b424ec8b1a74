"""Where compiled kernels lie between starts.

Invariants: numba's index of compiled code is a pickle, so whoever can write into the folder runs code in the process
that reads it: it is made for its owner alone, and refused when anybody but its owner (or root) could have written
there. Only the fork server reads it, before any session; a party opens no file. No numba here: agents use this too.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from gateway.domain.errors import IsthmusError, Reason

# Read by numba when it is imported.
VARIABLE = "NUMBA_CACHE_DIR"
OF_THE_PACKAGE = Path(__file__).parent / "__pycache__" / "kernels"


def kernel_folder(configured: Path | None, beside: Path) -> Path:
    """The folder to use, made if need be: the configured one, else the package's own where that can be written and
    belongs to this user, else `kernels` in the folder `beside`. Raises IsthmusError(CONFIGURATION)."""
    if configured is not None:
        return checked(configured)
    # Whoever can write there can also write the code itself.
    with contextlib.suppress(IsthmusError):
        return checked(OF_THE_PACKAGE)
    return checked(beside / "kernels")


def checked(folder: Path) -> Path:
    """The folder, which exists then and is its owner's alone. Raises IsthmusError(CONFIGURATION) if it is not."""
    folder = folder.absolute()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise _refused(folder, "cannot be written by the agent's user")
        for path in (folder, *folder.rglob("*")):
            found = path.lstat()
            if not stat.S_ISDIR(found.st_mode) and not stat.S_ISREG(found.st_mode):
                raise _refused(path, "is neither a file nor a folder")
            if found.st_uid not in (os.geteuid(), 0):
                raise _refused(path, "belongs to another user")
            if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                raise _refused(path, "can be written by others")
        for above in folder.resolve().parents:
            found = above.stat()
            if found.st_uid not in (os.geteuid(), 0):
                raise _refused(above, "belongs to another user")
            if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not found.st_mode & stat.S_ISVTX:
                raise _refused(above, "can be written by others")
    except OSError as problem:
        raise _refused(folder, f"cannot be used: {problem.strerror}") from None
    return folder


@contextlib.contextmanager
def filling(folder: Path) -> Iterator[None]:
    """One process at a time compiles into the folder, and the others wait; where all is compiled nobody waits."""
    full = folder / f"full-{_kernels()}"
    if full.exists():
        yield
        return
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
        full.touch()


def _kernels() -> str:
    """Changes with their sources. What else numba compiles anew for, it finds out itself."""
    state = hashlib.sha256(sys.version.encode())
    for source in sorted((Path(__file__).parent / "native").glob("*.py")):
        state.update(source.read_bytes())
    return state.hexdigest()[:16]


def _refused(path: Path, why: str) -> IsthmusError:
    return IsthmusError(
        Reason.CONFIGURATION,
        f"compiled kernels are not loaded from {path}: it {why}",
        field="kernels",
        advice="Delete the folder, or name another one that only the agent's user can write",
    )
