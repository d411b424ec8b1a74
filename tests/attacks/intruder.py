"""What somebody who runs as the gateway's user tries against another user's files and processes.

Run as a program of its own: JSON in (`files`, `folders`, `processes`, `users`), JSON out (what was tried → what came of
it: "" where it worked, else why not). Nothing here needs more than what every process may ask of the kernel.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

PTRACE_ATTACH, PTRACE_DETACH, PTRACE_SEIZE = 16, 17, 0x4206
# System calls without a function in every libc, as x86-64 and arm64 number them.
PIDFD_OPEN, PIDFD_GETFD = 434, 438
OF_A_PROCESS = ("environ", "mem", "maps", "smaps", "pagemap", "auxv", "io", "stack", "syscall", "fd", "fdinfo", "cwd")
Attempt = tuple[str, Callable[[], object]]


class Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


libc = ctypes.CDLL(None, use_errno=True)


def asked(result: int) -> int:
    """The answer of a C function, or its errno as an OSError."""
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def read(path: str) -> bytes:
    """Something of what lies there, whatever it is."""
    if Path(path).is_dir():
        return ",".join(os.listdir(path)).encode()
    if path.endswith("/mem"):
        return _memory(path)
    with open(path, "rb") as file:
        return file.read(4096)


def _memory(path: str) -> bytes:
    first = Path(path.replace("/mem", "/maps")).read_text().split("-")[0]
    with open(path, "rb") as memory:
        memory.seek(int(first, 16))
        return memory.read(16)


def append(path: str) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_APPEND))


def trace(process: int, request: int) -> None:
    asked(libc.ptrace(request, process, None, None))
    if request == PTRACE_ATTACH:
        os.waitpid(process, 0x40000000)  # __WALL
    else:
        asked(libc.ptrace(0x4207, process, None, None))  # PTRACE_INTERRUPT, to let go of it again
        os.waitpid(process, 0x40000000)
    asked(libc.ptrace(PTRACE_DETACH, process, None, None))


def copy_memory(process: int, function: str) -> None:
    here = ctypes.create_string_buffer(16)
    own = Vector(ctypes.cast(here, ctypes.c_void_p), 16)
    other = Vector(0x400000, 16)
    asked(getattr(libc, function)(process, ctypes.byref(own), 1, ctypes.byref(other), 1, 0))


def take_descriptor(process: int, number: int) -> None:
    handle = asked(libc.syscall(PIDFD_OPEN, process, 0))
    try:
        os.close(asked(libc.syscall(PIDFD_GETFD, handle, number, 0)))
    finally:
        os.close(handle)


def against_files(files: list[str], folders: list[str]) -> Iterator[Attempt]:
    for name in files:
        yield f"read {name}", lambda name=name: read(name)
        yield f"write {name}", lambda name=name: append(name)
        yield f"stat {name}", lambda name=name: os.stat(name)
        yield f"link {name}", lambda name=name: os.link(name, f"link-{os.getpid()}")
        yield f"copy {name}", lambda name=name: shutil.copy(name, "copied")
        yield f"rename {name}", lambda name=name: os.rename(name, f"{name}.gone")
    for name in folders:
        yield f"list {name}", lambda name=name: os.listdir(name)
        yield f"enter {name}", lambda name=name: os.chdir(name)
        yield f"open {name}", lambda name=name: os.open(name, os.O_RDONLY | os.O_DIRECTORY)
        yield f"create in {name}", lambda name=name: Path(name, "new").touch()
        yield f"rename {name}", lambda name=name: os.rename(name, f"{name}.gone")
        yield f"open up {name}", lambda name=name: os.chmod(name, 0o777)


def against_process(process: int) -> Iterator[Attempt]:
    home = f"/proc/{process}"
    for name in OF_A_PROCESS:
        yield f"read {home}/{name}", lambda name=name: read(f"{home}/{name}")
    for name in ("exe", "root", "cwd", "fd/0", "fd/1", "fd/2", "fd/3"):
        yield f"follow {home}/{name}", lambda name=name: os.readlink(f"{home}/{name}")
    for number in range(12):
        yield f"open {home}/fd/{number}", lambda number=number: os.open(f"{home}/fd/{number}", os.O_RDONLY)
        yield f"take descriptor {number} of {process}", lambda number=number: take_descriptor(process, number)
    yield f"write {home}/mem", lambda: append(f"{home}/mem")
    yield f"read {home}/task/{process}/mem", lambda: read(f"{home}/task/{process}/mem")
    yield f"attach to {process}", lambda: trace(process, PTRACE_ATTACH)
    yield f"seize {process}", lambda: trace(process, PTRACE_SEIZE)
    yield f"copy the memory of {process}", lambda: copy_memory(process, "process_vm_readv")
    yield f"change the memory of {process}", lambda: copy_memory(process, "process_vm_writev")
    yield f"signal {process}", lambda: os.kill(process, signal.SIGCONT)
    yield f"let {process} dump core", lambda: resource.prlimit(process, resource.RLIMIT_CORE, (1 << 30, 1 << 30))


def against_user(user: int) -> Iterator[Attempt]:
    yield f"become {user}", lambda: os.setresuid(user, user, user)
    yield f"join the group {user}", lambda: os.setresgid(user, user, user)
    yield f"join the groups of {user}", lambda: os.setgroups([user])


def tried(attempts: Iterator[Attempt]) -> dict[str, str]:
    results = {}
    for name, attempt in attempts:
        try:
            attempt()
            results[name] = ""
        except OSError as problem:
            results[name] = problem.strerror or type(problem).__name__
    return results


def main() -> None:
    target = json.load(sys.stdin)
    results = tried(against_files(target.get("files", []), target.get("folders", [])))
    for process in target.get("processes", []):
        results |= tried(against_process(process))
    for user in target.get("users", []):
        results |= tried(against_user(user))
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main()
