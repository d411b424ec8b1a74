"""A child ends with its parent: the parent holds the other end of standard input."""

from __future__ import annotations

import asyncio
import os
import sys


def stop_when_parent_ends(stop: asyncio.Event) -> None:
    """Set `stop` when standard input closes, which it does however the parent ended."""
    loop = asyncio.get_running_loop()
    descriptor = sys.stdin.fileno()

    def read() -> None:
        if not os.read(descriptor, 4096):
            loop.remove_reader(descriptor)
            stop.set()

    loop.add_reader(descriptor, read)
