"""Memory that messages took is used again, not given back and mapped anew.

By default the C library maps what is longer than some 128 KiB for each message by itself, or gives the top of the heap
back as soon as it is free; every page is then cleared by the kernel and faulted in again. A gateway holds half a MiB
for an instant at each of its copies: the kernel's part of what it takes to carry a MiB was 1.8 ms, and is 1.4.

Python looks for garbage in cycles at every 700 new objects, and now and then among all that there are. What a start
makes stays: looking there was a sixth of what it took, and would stop a session for 60 ms later. So a start is not
looked through at its end either: finding some 1500 that are garbage took 0.1 s of every process of a space. Nor is what
a program leaves when it ends, which took another 0.2 s of a server.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc

# <malloc.h> of the GNU C library
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
LONGEST = 32 << 20  # as much as the library allows
KEPT = 64 << 20
STARTING = 50_000  # new objects between two looks
_AS_PYTHON_COMES = gc.get_threshold()


def keep_what_is_freed() -> None:
    """Up to KEPT bytes of it; where there is another C library, nothing changes."""
    with contextlib.suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, LONGEST)
        mallopt(_M_TRIM_THRESHOLD, KEPT)


def collect_seldom() -> None:
    """While a program starts; a command that ends soon needs no more."""
    gc.set_threshold(STARTING)


def leave_as_it_is() -> None:
    """At a program's end: what it has goes with the process, and no garbage is looked for in it."""
    gc.freeze()


def set_aside() -> None:
    """For what serves on: all that the start made is never looked at again, what comes is as often as Python does."""
    gc.freeze()
    gc.set_threshold(*_AS_PYTHON_COMES)
