"""Each means of confinement by itself, and the filter of system calls for both architectures."""

from __future__ import annotations

import os
import struct
import subprocess
import sys

import pytest

from connectors.engine import confinement, seccomp

KILL, ALLOW, EPERM, ENOSYS = 0x80000000, 0x7FFF0000, 0x50001, 0x50026


def script(text: str) -> str:
    """What a process of its own says."""
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


def test_this_machine_offers_what_is_required() -> None:
    # Where it does not, the tests of attacks mean nothing.
    assert confinement.offered() == set(confinement.REQUIRED)


def test_without_the_filter_landlock_still_refuses_files_and_tcp() -> None:
    tried = """
import os, socket
from connectors.engine import confinement, seccomp
seccomp.install = lambda: False
held = socket.socket()
print(confinement.confine(0))
for attempt in (lambda: open("/etc/hostname"), lambda: os.listdir("/"), lambda: held.connect(("127.0.0.1", 1))):
    try:
        attempt()
    except PermissionError as refused:
        print(refused.errno)
"""
    assert script(tried).splitlines() == ["['rights', 'files', 'limits']", "13", "13", "13"]


def test_without_landlock_the_filter_still_refuses_files_and_sockets() -> None:
    tried = """
import os, socket
from connectors.engine import confinement
confinement._landlock_version = lambda: 0
print(confinement.confine(0))
for attempt in (lambda: open("/etc/hostname"), lambda: os.listdir("/"), lambda: socket.socket()):
    try:
        attempt()
    except PermissionError as refused:
        print(refused.errno)
"""
    assert script(tried).splitlines() == ["['rights', 'limits', 'calls']", "1", "1", "1"]


def test_the_empty_network_has_no_way_to_this_machine() -> None:
    tried = """
import socket
from connectors.engine import confinement
with socket.create_server(("127.0.0.1", 0)) as server:
    socket.create_connection(server.getsockname()).close()
    left = confinement.leave_network()
    try:
        socket.create_connection(server.getsockname())
        print(left, "reached")
    except OSError as refused:
        print(left, refused.strerror)
"""
    # Where a machine forbids user namespaces nothing is claimed.
    assert script(tried) in ("True Network is unreachable", "False reached")


def verdict(code: bytes, architecture: int, number: int, *arguments: int) -> int:
    """Runs a filter as the kernel does (the few instructions that ours has)."""
    data = struct.pack("<IIQ6Q", number, architecture, 0, *(arguments + (0,) * (6 - len(arguments))))
    steps = [struct.unpack_from("=HBBI", code, at) for at in range(0, len(code), 8)]
    at = accumulator = 0
    while True:
        kind, jump, other, value = steps[at]
        at += 1
        match kind:
            case 0x20:
                (accumulator,) = struct.unpack_from("<I", data, value)
            case 0x06:
                return value
            case 0x15 | 0x45 | 0x35:
                holds = {0x15: accumulator == value, 0x45: bool(accumulator & value), 0x35: accumulator >= value}
                at += jump if holds[kind] else other
            case _:
                raise AssertionError(f"an instruction that is not ours: {kind:#x}")


@pytest.mark.parametrize(
    ("column", "architecture", "calls"),
    [
        (0, 0xC000003E, {"read": 0, "open": 2, "openat": 257, "mmap": 9, "socket": 41, "clone": 56, "execve": 59,
                         "ioctl": 16, "prlimit64": 302, "tgkill": 234, "sendto": 44, "ptrace": 101,
                         "mprotect": 10, "mremap": 25}),
        (1, 0xC00000B7, {"read": 63, "openat": 56, "mmap": 222, "socket": 198, "clone": 220, "execve": 221,
                         "ioctl": 29, "prlimit64": 261, "tgkill": 131, "sendto": 206, "ptrace": 117,
                         "mprotect": 226, "mremap": 216}),
    ],
    ids=["x86_64", "aarch64"],
)  # fmt: skip
def test_the_filter_of_either_architecture(column: int, architecture: int, calls: dict[str, int]) -> None:
    code = seccomp.assembled(column, own_pid=77)

    def says(name: str, *arguments: int) -> int:
        return verdict(code, architecture, calls[name], *arguments)

    assert says("read") == ALLOW
    assert {says(name) for name in ("openat", "socket", "clone")} == {EPERM}
    assert {says(name) for name in ("execve", "ptrace")} == {KILL}
    assert (says("mmap", 0, 4096, 3), says("mmap", 0, 4096, 7)) == (ALLOW, EPERM)
    # MAP_PRIVATE; MAP_SHARED, MAP_SHARED_VALIDATE and MAP_GROWSDOWN, all anonymous.
    assert [says("mmap", 0, 4096, 3, flags) for flags in (0x22, 0x21, 0x23, 0x122)] == [ALLOW, EPERM, EPERM, EPERM]
    assert (says("mprotect", 0, 4096, 3), says("mprotect", 0, 4096, 5), says("mremap")) == (ALLOW, EPERM, EPERM)
    assert (says("ioctl", 0, 0x5421), says("ioctl", 0, 0x5412)) == (ALLOW, EPERM)  # FIONBIO, TIOCSTI
    assert (says("prlimit64", 0), says("prlimit64", 78)) == (ALLOW, EPERM)
    assert (says("tgkill", 77), says("tgkill", 78)) == (ALLOW, EPERM)
    assert (says("sendto", 5, 1, 1, 0, 0), says("sendto", 5, 1, 1, 0, 1 << 40)) == (ALLOW, EPERM)
    assert verdict(code, architecture, 435) == ENOSYS
    assert verdict(code, architecture ^ 1, calls["read"]) == KILL
    assert len(code) // 8 <= 4096  # BPF_MAXINSNS


def test_the_other_numbers_of_an_x86_64_kernel_are_refused() -> None:
    assert verdict(seccomp.assembled(0, 1), 0xC000003E, 0x40000000) == KILL


def test_a_process_whose_parent_is_gone_already_ends() -> None:
    child = os.fork()
    if child == 0:
        confinement.die_with(1 << 22)  # nobody's
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2
