"""The client's access token: from a file that somebody renews, else from the gateway's own issuer.

Invariants: a token is kept in memory and never written; one that ends within half a minute is replaced before
it is used.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

from gateway.edges.keys import read_secret
from gateway.ports import Clock
from gateway.rules.jose import TokenProblem, parse_compact

SOON = 30
MAX_TOKEN = 64 * 1024


class Issued(Protocol):
    access_token: str
    expire_time: int


class AccessToken:
    """`issue` asks the gateway for a fresh one."""

    def __init__(self, file: Path | None, clock: Clock, issue: Callable[[], Awaitable[Issued]]) -> None:
        self._file, self._clock, self._issue = file, clock, issue
        self._token, self._expires = "", 0

    async def get(self) -> str:
        """Raises IsthmusError when the gateway issues none."""
        if not self._is_good() and self._file is not None and self._file.exists():
            self._token = read_secret(self._file).decode("ascii", "replace").strip()
            self._expires = _expiry(self._token)
        if not self._is_good():
            issued = await self._issue()
            self._token, self._expires = issued.access_token, int(issued.expire_time)
        return self._token

    def _is_good(self) -> bool:
        return bool(self._token) and self._expires - self._clock.now() > SOON


def _expiry(token: str) -> int:
    """When the token says it ends; 0 for what is no token. Whether it is good, the gateway says."""
    try:
        expires = parse_compact(token, MAX_TOKEN).claims.get("exp")
    except TokenProblem:
        return 0
    return expires if isinstance(expires, int) else 0
