"""What an agent sees of a party from outside: busy, waiting, stopped, stuck."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from connectors.supervision import Sample, Watch, sample

STALL = 5.0


def looks(*seen: tuple[float, str, int, int], spoke: float = 0.0) -> list[str | None]:
    """What the watch says at each (time, state, processor time, unread bytes)."""
    watch = Watch(STALL, 0.0)
    return [watch.look(now, Sample(state, busy), spoke, unread) for now, state, busy, unread in seen]


def test_a_busy_kernel_is_never_called_dead() -> None:
    assert looks(*((float(now), "R", now * 10**9, 1 << 16) for now in range(1, 300))) == [None] * 299


def test_a_party_that_waits_for_others_is_not_blamed_for_it() -> None:
    assert looks(*((float(now), "S", 7, 0) for now in range(1, 300))) == [None] * 299


@pytest.mark.parametrize(
    ("state", "unread", "how"),
    [
        ("T", 0, "stopped"),
        ("t", 0, "stopped"),
        ("D", 0, "stuck in the kernel"),
        ("R", 0, "without a processor"),
        ("S", 1, "asleep before what it was sent"),
    ],
)
def test_what_neither_moves_nor_waits_has_stalled_after_the_deadline(state: str, unread: int, how: str) -> None:
    assert looks((1.0, state, 7, unread), (5.9, state, 7, unread), (6.1, state, 7, unread)) == [None, None, how]


def test_what_is_stopped_now_and_then_and_moves_between_has_not_stalled() -> None:
    assert looks(*((float(now), "T", now // 4, 1) for now in range(1, 60))) == [None] * 59


def test_a_party_that_sends_moves() -> None:
    assert looks((1.0, "D", 7, 1), (8.0, "D", 7, 1), spoke=4.0) == [None, None]


def test_what_cannot_be_seen_is_left_to_its_pipe_and_the_total_deadline() -> None:
    watch = Watch(STALL, 0.0)
    assert watch.look(100.0, None, 0.0, 1) is None
    assert watch.look(104.0, Sample("T", 1), 0.0, 1) is None


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """Reads its input, says so, and is busy when it is told to."""
    script = "import sys\nfor line in sys.stdin:\n print(flush=True)\n while line == 'go\\n': pass"
    with subprocess.Popen((sys.executable, "-c", script), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield process
        process.kill()


def test_a_real_process_is_seen_as_it_is(child: subprocess.Popen[bytes]) -> None:
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(b"one\n")
    child.stdin.flush()
    child.stdout.readline()
    while (first := sample(child.pid)) is None or first.state != "S":
        continue
    child.stdin.write(b"go\n")
    child.stdin.flush()
    child.stdout.readline()
    while (second := sample(child.pid)) is None or second.busy <= first.busy:
        continue
    assert second.state == "R"
    os.kill(child.pid, signal.SIGSTOP)
    os.waitpid(child.pid, os.WUNTRACED)
    stopped = sample(child.pid)
    assert stopped is not None
    assert stopped.state == "T"
    assert sample(child.pid) == stopped
    child.kill()
    child.wait()
    assert sample(child.pid) is None
