"""A program that tries to get out of its party, and a fork server (`python -m tests.engine.intruder`) that has it.

What it tries stands in its parameter `tries`; it tells what came of it as the reason why it ends.
"""

import ctypes
import fcntl
import json
import mmap  # a part of the interpreter
import os
import pickle
import random
import resource
import secrets
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from connectors.engine import forkserver, programs
from connectors.engine.cost import Cost, Shape
from connectors.engine.errors import Abort, SessionAborted
from connectors.engine.programs import overlap
from gateway.rules.sealing import fresh_key
from tests.engine.test_wire import Canary

NAME, VERSION, LEAKAGE, OPENS = "intruder", "1", "everything", ()
# process_vm_readv(2) and bpf(2) have no name in the C library or in Python.
_READ_MEMORY, _LOAD_PROGRAM = {"x86_64": (310, 321), "aarch64": (270, 280)}[os.uname().machine]
# As the kernel got it when the fork server was started: what stays in /proc/self/environ.
_AT_START = dict(os.environ)


def _open(path: str, flags: int = os.O_RDONLY) -> Callable[[int], object]:
    return lambda agent: os.open(path.format(agent=agent), flags, 0o600)


def _socket(family: int, kind: int) -> Callable[[int], object]:
    return lambda agent: socket.socket(family, kind)


def _read_memory(agent: int) -> object:
    """process_vm_readv(2) of a byte of the agent."""
    piece = (ctypes.c_uint64 * 2)(0, 1)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(_READ_MEMORY, agent, piece, 1, piece, 1, 0) < 0:
        raise OSError(ctypes.get_errno(), "process_vm_readv")
    return None


def _executable_memory(agent: int) -> object:
    private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    return mmap.mmap(-1, 4096, private, mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)


def _memory_that_is_shared(agent: int) -> object:
    return mmap.mmap(-1, 4096, mmap.MAP_SHARED | mmap.MAP_ANONYMOUS)


def _memory_that_grows(agent: int) -> object:
    """MAP_GROWSDOWN, which counts as a stack."""
    return mmap.mmap(-1, 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x100)


def _memory_made_larger(agent: int) -> object:
    """mremap(2), which makes a stack larger too."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = libc.mremap.restype = ctypes.c_void_p
    size = ctypes.c_size_t(4096)
    page = libc.mmap(None, size, 3, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, ctypes.c_long(0))
    if libc.mremap(ctypes.c_void_p(page), size, ctypes.c_size_t(1 << 20), 1) == ctypes.c_void_p(-1).value:
        raise OSError(ctypes.get_errno(), "mremap")
    return None


def _ptrace(agent: int) -> object:
    if ctypes.CDLL(None, use_errno=True).ptrace(16, agent, 0, 0) < 0:  # PTRACE_ATTACH
        raise OSError(ctypes.get_errno(), "ptrace")
    return None


def _send_to_an_address(agent: int) -> object:
    """On a socket that the event loop has for itself."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.sendto(6, b"x", 1, 0, bytes(2), 2) < 0:
        raise OSError(ctypes.get_errno(), "sendto")
    return None


# Each either fails with an error, or succeeds, which it must not.
REFUSED: dict[str, Callable[[int], object]] = {
    "open a file": _open("/etc/hostname"),
    "open a folder": _open("/", os.O_DIRECTORY),
    "make a file": _open("/tmp/left-by-a-party", os.O_CREAT | os.O_WRONLY),
    "open a device": _open("/dev/null"),
    "read its environment": _open("/proc/self/environ"),
    "read the agent's environment": _open("/proc/{agent}/environ"),
    "open the agent's memory": _open("/proc/{agent}/mem"),
    "list a folder": lambda agent: os.listdir("/proc/self/fd"),
    "remove a file": lambda agent: os.unlink("/tmp/nothing"),
    "follow a link": lambda agent: os.readlink("/proc/self/exe"),
    "change its folder": lambda agent: os.chdir("/tmp"),
    "hold memory as a file": lambda agent: os.memfd_create("x"),
    "open a TCP socket": _socket(socket.AF_INET, socket.SOCK_STREAM),
    "open a UDP socket": _socket(socket.AF_INET, socket.SOCK_DGRAM),
    "open a Unix socket": _socket(socket.AF_UNIX, socket.SOCK_STREAM),
    "connect": lambda agent: socket.create_connection(("127.0.0.1", 1)),
    "send to an address": _send_to_an_address,
    "fork": lambda agent: os.fork(),
    "start a program": lambda agent: subprocess.run(["/bin/true"], check=True),
    "start a thread": lambda agent: threading.Thread(target=print).start(),
    "signal the agent": lambda agent: os.kill(agent, 0),
    "make executable memory": _executable_memory,
    "make memory that is shared": _memory_that_is_shared,
    "make memory that grows": _memory_that_grows,
    "make its memory larger where it is": _memory_made_larger,
    "raise its stack": lambda agent: resource.setrlimit(resource.RLIMIT_STACK, (64 << 20, 64 << 20)),
    "raise its limits": lambda agent: resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096)),
    "look at another's limits": lambda agent: resource.prlimit(agent, resource.RLIMIT_CORE),
    "become another user": lambda agent: os.setuid(65534),
    "import what is not loaded": lambda agent: __import__("imaplib"),
}
# Each ends the process where it stands.
DEADLY: dict[str, Callable[[int], object]] = {
    "replace itself": lambda agent: os.execv("/bin/true", ["true"]),
    "trace the agent": _ptrace,
    "read the agent's memory": _read_memory,
    "mount": lambda agent: ctypes.CDLL(None).mount(b"none", b"/mnt", b"tmpfs", 0, None),
    "make a namespace": lambda agent: ctypes.CDLL(None).unshare(0x10000000),
    "load a program into the kernel": lambda agent: ctypes.CDLL(None).syscall(_LOAD_PROGRAM, 0, 0, 0),
    "a ring of system calls": lambda agent: ctypes.CDLL(None).syscall(425, 1, ctypes.create_string_buffer(256)),
}


def _outcome(attempt: Callable[[int], object], agent: int) -> str:
    try:
        attempt(agent)
    except (OSError, ImportError, LookupError, ValueError, RuntimeError) as failure:
        return f"{type(failure).__name__}: {failure}"
    return ""


def _is_open(descriptor: int) -> bool:
    try:
        fcntl.fcntl(descriptor, fcntl.F_GETFL)
    except OSError:
        return False
    return True


def _load_a_pickle(path: str) -> None:
    pickle.loads(pickle.dumps(Canary(Path(path))))


def _draws() -> list[int]:
    """60 bits of every source of randomness that a party could have in common with another one."""
    drawn = [secrets.randbits(60), random.getrandbits(60), int(np.random.randint(1 << 60))]
    return [*drawn, int.from_bytes(fresh_key()[0][:7]), int.from_bytes(os.urandom(7))]


async def run(engine: Any, parameters: dict[str, Any], *inputs: object) -> Sequence[int]:
    match parameters["tries"]:
        case "everything":
            tried = {name: _outcome(attempt, parameters["agent"]) for name, attempt in REFUSED.items()}
            raise SessionAborted(Abort.INTERNAL, json.dumps(tried))
        case "what it has":
            descriptors = [number for number in range(256) if _is_open(number)]
            has = {"environment": dict(os.environ), "at start": _AT_START, "descriptors": descriptors}
            raise SessionAborted(Abort.INTERNAL, json.dumps(has))
        case "memory":
            kept = [np.ones(1 << 20) for _ in range(1 << 20)]
            raise SessionAborted(Abort.INTERNAL, f"{len(kept)} MiB")
        case "time":
            while engine.pid == 0:
                pass
        case "a pickle":
            _load_a_pickle(parameters["canary"])
        case "randomness":
            return _draws()
        case deadly:
            DEADLY[deadly](parameters["agent"])
            raise SessionAborted(Abort.INTERNAL, "still here")
    return []


def cost(parameters: dict[str, Any], bounds: Sequence[int], shape: Shape) -> Cost:
    return overlap.cost(parameters["overlap"], bounds, shape)


def outputs(parameters: dict[str, Any]) -> int:
    return len(_draws()) if parameters["tries"] == "randomness" else 0


def words(parameters: dict[str, Any]) -> int:
    return overlap.words(parameters["overlap"])


def noise_words(parameters: dict[str, Any]) -> int:
    return overlap.noise_words(parameters["overlap"])


def encode(parameters: dict[str, Any], *rest: Any) -> Any:
    return overlap.encode(parameters["overlap"], *rest)


def installed() -> ModuleType:
    """This program, among those that this process knows."""
    programs.add(sys.modules["tests.engine.intruder"], "0" * 64)
    return programs.PROGRAMS[NAME]


if __name__ == "__main__":
    import tests.engine.intruder

    tests.engine.intruder.installed()
    forkserver.main()
