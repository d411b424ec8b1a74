"""What a party gives up before it reads its job.

Invariants: rights only go away; nothing here needs a privilege; what the kernel does not offer is named, never passed
over. After `confine` a party has the descriptors that it had, its memory up to the limit, and no way to a file, a
socket, another process or more threads.

Means, in the order of use (docs/confinement.md): `rights` no_new_privs(2const) and empty capability sets; `files`
Landlock (landlock(7)) that handles every access it knows and allows none, network and signals among them from its
fourth and sixth version; `limits` setrlimit(2); `calls` the filter of seccomp.py. `network`: the fork server left the
machine's network for a namespace of its own (network_namespaces(7)), which its parties share.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import struct
import sys
from pathlib import Path

from connectors.engine import seccomp

# What confinement = "required" asks for; the network namespace is one more wall behind `files` and `calls`.
REQUIRED = ("rights", "files", "limits", "calls")
NETWORK = "network"
OPEN_FILES = 16
STACK = 8 << 20  # what Linux gives if nothing else is said
# What an agent gives a party if nothing else is said; the goal is 4 GiB for the largest contract.
DEFAULT_MEMORY_MIB = 6144

_PR_SET_PDEATHSIG, _PR_SET_NAME, _PR_SET_NO_NEW_PRIVS = 1, 15, 38  # linux/prctl.h
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000  # linux/sched.h
_CAPSET = {"x86_64": 126, "aarch64": 91}
_CAPABILITY_VERSION_3 = 0x20080522
# linux/landlock.h; the numbers are those of every architecture.
_CREATE_RULESET, _RESTRICT_SELF, _VERSION = 444, 446, 1
_FILE_ACCESS = ((1, (1 << 13) - 1), (2, 1 << 13), (3, 1 << 14), (5, 1 << 15))
_TCP, _SCOPES = 0b11, 0b11  # bind and connect; abstract sockets and signals


def offered() -> set[str]:
    """Which of REQUIRED this machine's kernel offers, found out without giving up anything."""
    if sys.platform != "linux":
        return {"limits"}
    found = {"rights", "limits"}
    if _landlock_version() >= 1:
        found.add("files")
    if seccomp.available():
        found.add("calls")
    return found


def die_with(parent: int) -> None:
    """From now on the kernel ends this process when its parent ends; call it last of what changes credentials."""
    if sys.platform == "linux":
        _libc().prctl(_PR_SET_PDEATHSIG, 9, 0, 0, 0)
    if os.getppid() != parent:  # it ended before that
        os._exit(2)


def call_itself(name: str) -> None:
    """How process lists show this process; up to 15 characters."""
    if sys.platform == "linux":
        _libc().prctl(_PR_SET_NAME, name.encode(), 0, 0, 0)


def leave_network() -> bool:
    """A network namespace with nothing in it, in a user namespace of its own. Before any thread; before the process
    is undumpable, for its maps are not its own afterwards. False where the machine does not let it."""
    user = os.getuid()
    if sys.platform != "linux" or _libc().unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
        return False
    with contextlib.suppress(OSError):  # without a map it is nobody, in names alone: its files stay its own
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    return True


def confine(memory: int) -> list[str]:
    """Give everything up, in a process of one thread; `memory` in bytes, 0 for what the machine has. Returns the means
    that took effect."""
    applied = []
    linux = sys.platform == "linux"
    if linux and _libc().prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 and _drop_capabilities():
        applied.append("rights")
    if linux and _no_files():
        applied.append("files")
    for what in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE, resource.RLIMIT_NPROC):
        resource.setrlimit(what, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))
    if memory:
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    # The stack grows beside that limit, and its own may usually be raised again.
    stack = resource.getrlimit(resource.RLIMIT_STACK)[0]
    stack = STACK if stack == resource.RLIM_INFINITY else min(stack, STACK)
    resource.setrlimit(resource.RLIMIT_STACK, (stack, stack))
    applied.append("limits")
    if linux and seccomp.install():
        applied.append("calls")
    return applied


def limit_processor(seconds: float) -> None:
    """The kernel ends this process when it has computed this long: a deadline that a busy kernel cannot miss."""
    limit = int(seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 1))


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _drop_capabilities() -> bool:
    number = _CAPSET.get(os.uname().machine)
    if number is None:
        return False
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    return int(_libc().syscall(number, header, bytes(24))) == 0


def _landlock_version() -> int:
    return int(_libc().syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION))


def _no_files() -> bool:
    version = _landlock_version()
    if version < 1:
        return False
    files = sum(bits for since, bits in _FILE_ACCESS if version >= since)
    handled = struct.pack("=Q", files)
    if version >= 4:
        handled += struct.pack("=Q", _TCP)
    if version >= 6:
        handled += struct.pack("=Q", _SCOPES)
    ruleset = int(_libc().syscall(_CREATE_RULESET, handled, ctypes.c_size_t(len(handled)), 0))
    if ruleset < 0:
        return False
    try:
        return int(_libc().syscall(_RESTRICT_SELF, ruleset, 0)) == 0
    finally:
        os.close(ruleset)
