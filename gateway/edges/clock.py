"""The wall clock and the source of identifiers, the only ones of a process: everything inward is handed them."""

from __future__ import annotations

import secrets
import time


class SystemClock:
    def now(self) -> int:
        """Seconds since 1970, UTC."""
        return int(time.time())

    def milliseconds(self) -> int:
        """Milliseconds since 1970, UTC: to measure how far another clock is off."""
        return time.time_ns() // 1_000_000


class SystemIds:
    def fresh(self) -> str:
        """128 random bits in lower-case hex."""
        return secrets.token_hex(16)
