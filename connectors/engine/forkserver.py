"""The fork server of one agent: `python -m connectors.engine.forkserver SETTINGS`, the agent's socket as stdin.

Invariants: it has one thread, no key, no session and no network of its own; everything that a party will ever need is
imported, compiled and looked up before the first fork, for a party opens no file. A party inherits its two pipes and
nothing else that is open. Every child is reaped; when the agent ends this process ends, and the kernel ends its
parties with it. What is said on the socket: forking.py.
"""

import contextlib
import gc
import importlib
import os
import random
import select
import signal
import socket
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from connectors.engine import confinement, kernelcache
from connectors.engine.forking import MAX_DATAGRAM, PartySettings, Said, datagram, datagram_text, read
from gateway.domain.errors import IsthmusError
from gateway.edges.secrecy import keep_to_itself

PARTY = "isthmus-party"  # in process lists


def main() -> NoReturn:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is for the agent, who closes the socket
    control = _control()
    settings = PartySettings.from_text(sys.argv[-1])
    try:
        folder = kernelcache.checked(Path(settings.kernels))
        os.environ[kernelcache.VARIABLE] = str(folder)
        alone = confinement.leave_network()
        keep_to_itself()
        started = time.perf_counter()
        with kernelcache.filling(folder):
            warm(settings.packages)
    except IsthmusError as problem:
        control.send(datagram_text(Said.REFUSED, str(problem)))
        sys.exit(str(problem))
    random.seed()
    gc.collect()
    gc.freeze()  # what lies here is shared with the parties for as long as nobody writes to it
    with contextlib.suppress(ConnectionError):  # the agent is gone, and the kernel sees to the parties
        control.send(datagram_text(Said.READY, {"seconds": round(time.perf_counter() - started, 3)}))
        _serve(control, settings, [confinement.NETWORK] if alone else [])
    sys.exit(0)


def warm(packages: Iterable[Sequence[str]] = ()) -> None:
    """Import, compile or load, and look up, all that a party uses. Raises IsthmusError for a package that is not what
    the operator admitted."""
    # Only now: numba reads the folder of compiled kernels when the first of them is imported.
    importlib.import_module("connectors.engine.party")
    importlib.import_module("connectors.engine.native").warm()
    install = importlib.import_module("connectors.engine.packages").install
    for folder, digest in packages:
        install(Path(folder), digest)
    importlib.import_module("connectors.engine.rehearsal").rehearse()


def _control() -> socket.socket:
    try:
        control = socket.socket(fileno=os.dup(0))
        if control.family != socket.AF_UNIX or control.type != socket.SOCK_SEQPACKET:
            raise OSError
    except OSError:
        sys.exit("a fork server is started by its agent, with a socket as stdin")
    return control


def _serve(control: socket.socket, settings: PartySettings, means: list[str]) -> None:
    """Fork what is asked for until the agent is gone."""
    here = os.getpid()
    woken, waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    numbers: dict[int, int] = {}
    poll = select.poll()
    poll.register(control, select.POLLIN)
    poll.register(woken, select.POLLIN)
    while True:
        ready = dict(poll.poll())
        if woken in ready:
            os.read(woken, 4096)
            _reap(control, numbers)
        if control.fileno() not in ready:
            continue
        data, descriptors, _, _ = socket.recv_fds(control, MAX_DATAGRAM, 2)
        if not data:
            return
        _, number, _ = read(data)
        try:
            process = os.fork()
        except OSError as problem:  # no memory, too many processes
            control.send(datagram(Said.FAILED, number, problem.errno or 0))
        else:
            if process == 0:
                _become_party(control, descriptors, settings, means, here)
            numbers[process] = number
            # It is not reaped before the next turn, so its number is nobody else's yet.
            handle = os.pidfd_open(process)
            socket.send_fds(control, [datagram(Said.FORKED, number, process)], [handle])
            os.close(handle)
        for descriptor in descriptors:
            os.close(descriptor)


def _reap(control: socket.socket, numbers: dict[int, int]) -> None:
    with contextlib.suppress(ChildProcessError):
        while True:
            process, status = os.waitpid(-1, os.WNOHANG)
            if process == 0:
                return
            control.send(datagram(Said.ENDED, numbers.pop(process), status))


def _become_party(
    control: socket.socket, descriptors: list[int], settings: PartySettings, means: list[str], parent: int
) -> NoReturn:
    """In the child: nothing of the server's is left but what is in its memory, and none of that is a secret."""
    confinement.die_with(parent)
    confinement.call_itself(PARTY)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    control.detach()
    reading, writing = (os.dup(descriptor) for descriptor in descriptors)
    nothing = os.open(os.devnull, os.O_RDWR)
    for target, source in enumerate((reading, nothing, nothing, writing)):
        os.dup2(source, target)  # the ends that came are above these four
    os.closerange(4, os.sysconf("SC_OPEN_MAX"))
    os.environ.clear()
    _fresh_randomness()
    party: Any = sys.modules["connectors.engine.party"]
    os._exit(party.whole_life(0, 3, settings, means))


def _fresh_randomness() -> None:
    """Keys and shares are drawn from the operating system, OpenSSL's generator sees a fork itself (RAND_bytes(3)), and
    `random` does too; NumPy's old global generator does not."""
    numpy: Any = sys.modules["numpy"]
    numpy.random.seed()


if __name__ == "__main__":
    main()
