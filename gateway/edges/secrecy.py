"""What a process that holds keys or shares leaves to others of its machine: no core file, no memory to look into, no
file that anybody but its owner can read. Of the same user too, where the kernel can keep it so (Linux).
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys

_PR_SET_DUMPABLE = 4  # linux/prctl.h


def keep_to_itself() -> None:
    """From now on, for this process; what it starts inherits all but the third."""
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        # /proc/<pid>/mem, environ and fd belong to root then, and only root may trace it (prctl(2), proc(5)).
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
