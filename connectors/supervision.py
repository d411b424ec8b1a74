"""Whether a party lives and moves, as its agent sees it from outside.

Invariants: nothing is asked of the party itself, so that one that is busy in a native kernel is never called dead, and
one that is stopped cannot say that it is well; a party that waits for others is not blamed for that.

A party moves when it has used processor time or sent something since the last look. One that sleeps with nothing left
to read waits for its peers, who have watchers of their own. What is left has stalled once that has lasted for the
contract's stall deadline: stopped (SIGSTOP, a debugger, a frozen container), stuck in the kernel, starved of its
processor, or asleep before what it was sent. A party that spins for ever is ended by the total deadline.

Death needs no look: the party's pipe ends with it, at once. Where there is no /proc (it is Linux's), only death and the
total deadline are seen.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

_SLEEPING = frozenset("SI")
_WORDS = {"T": "stopped", "t": "stopped", "D": "stuck in the kernel", "R": "without a processor"}


@dataclass(frozen=True, slots=True)
class Sample:
    """A process at one moment: its state as /proc spells it, processor time of all its threads in nanoseconds."""

    state: str
    busy: int


def sample(process_id: int) -> Sample | None:
    """None where it cannot be seen: it has ended, or this system does not show it."""
    try:
        fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
        # Its processor clock, as clock_getcpuclockid(3) names it: /proc counts in hundredths of a second.
        return Sample(fields[0], time.clock_gettime_ns(~process_id << 3 | 2))
    except (OSError, IndexError):
        return None


@dataclass(slots=True)
class Watch:
    """One party, from look to look."""

    stall: float
    moved: float
    busy: int = -1

    def look(self, now: float, seen: Sample | None, spoke: float, unread: int) -> str | None:
        """How the party has stalled, or None. `spoke` is when it last sent something, `unread` what it has not read."""
        if seen is None:
            self.moved = now
            return None
        waits = seen.state in _SLEEPING and not unread
        if waits or seen.busy != self.busy:
            self.moved = now
        self.busy = seen.busy
        if now - max(self.moved, spoke) <= self.stall:
            return None
        return _WORDS.get(seen.state, "asleep before what it was sent")
