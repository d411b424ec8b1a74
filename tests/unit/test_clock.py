"""The system's clock and identifiers."""

from __future__ import annotations

import re
import time

from gateway.edges.clock import SystemClock, SystemIds


def test_the_clock_tells_whole_seconds_of_now() -> None:
    before = int(time.time())
    assert before <= SystemClock().now() <= time.time()


def test_identifiers_are_128_bits_in_hex_and_differ() -> None:
    fresh = {SystemIds().fresh() for _ in range(100)}
    assert len(fresh) == 100
    assert all(re.fullmatch(r"[0-9a-f]{32}", identifier) for identifier in fresh)
