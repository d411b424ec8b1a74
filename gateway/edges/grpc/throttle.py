"""How often strangers may try: by address and in all, over the last minute.

Invariants: what it remembers is bounded, whoever calls; nobody is remembered for longer than a minute; an IPv6 network
of 64 bits counts as one address, since one customer has at least that many.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict, deque
from collections.abc import Callable
from urllib.parse import unquote

WINDOW = 60
MAX_ADDRESSES = 4096


class Throttle:
    """`clock` counts seconds."""

    def __init__(self, per_address: int, total: int, clock: Callable[[], float]) -> None:
        self._per_address, self._total, self._clock = per_address, total, clock
        self._all: deque[float] = deque()
        self._by: OrderedDict[str, deque[float]] = OrderedDict()

    def allows(self, address: str) -> bool:
        """Whether one more from `address` is within both limits; it is counted if so."""
        now = self._clock()
        one = self._by.pop(address, None) or deque()
        self._by[address] = one  # the latest last
        if len(self._by) > MAX_ADDRESSES:
            self._by.popitem(last=False)
        for times in (self._all, one):
            while times and times[0] <= now - WINDOW:
                times.popleft()
        if len(one) >= self._per_address or len(self._all) >= self._total:
            return False
        one.append(now)
        self._all.append(now)
        return True


def address_of(peer: str) -> str:
    """The address in gRPC's name of a peer (`ipv4:192.0.2.1:5000`, `ipv6:%5B2001:db8::1%5D:5000`)."""
    kind, _, rest = unquote(peer).partition(":")
    host = rest.rpartition(":")[0].strip("[]")
    try:
        if kind == "ipv6":
            return str(ipaddress.ip_network((host.partition("%")[0], 64), strict=False))
        return str(ipaddress.ip_address(host))
    except ValueError:
        return peer[:100]
