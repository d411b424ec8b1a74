"""How many attempts one may make: by name, and by address.

Invariants: an attempt is counted before it is judged, so that many at once are no more than many in turn; memory is
bounded, the keys that were quiet longest are forgotten first.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict


class Throttle:
    """At most `most` attempts per key in any `window` seconds."""

    def __init__(self, most: int, window: int, keys: int = 10_000) -> None:
        self._most, self._window, self._keys = most, window, keys
        self._attempts: OrderedDict[str, list[int]] = OrderedDict()

    def attempt(self, key: str, now: int) -> int:
        """0 if one more may be made, which is counted; else the seconds until one may."""
        recent = [at for at in self._attempts.get(key, []) if now - at < self._window]
        wait = recent[0] + self._window - now if len(recent) >= self._most else 0
        if not wait:
            recent.append(now)
        self._attempts[key] = recent
        self._attempts.move_to_end(key)
        while len(self._attempts) > self._keys:
            self._attempts.popitem(last=False)
        return wait

    def forgive(self, key: str) -> None:
        """The last attempt was right, and does not count."""
        if recent := self._attempts.get(key):
            recent.pop()


def network_of(address: str) -> str:
    """What one person has of addresses: an IPv4 address, or an IPv6 network of 64 bits."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False).network_address)
    return str(parsed)
