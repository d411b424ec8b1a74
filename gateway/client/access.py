"""The client's access token: from a file that somebody renews, of whoever signed in, else from the gateway's issuer.

Invariants: a token is kept in memory and never written, but for one of a person, which is renewed in the file that it
came from; one that ends soon is replaced before it is used; whoever signed in and whose sign-in has ended is told so,
and nothing goes on under the client's own name instead.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from gateway.domain.errors import IsthmusError, Reason
from gateway.edges.keys import read_secret
from gateway.ports import Clock
from gateway.rules.jose import TokenProblem, parse_compact

SOON = 30
# A person's token is renewed early, so that one command keeps the sign-in alive for the next.
PERSON_SOON = 150
MAX_TOKEN = 64 * 1024


class Issued(Protocol):
    access_token: str
    expire_time: int


class AccessToken:
    """`issue` asks the gateway for a fresh one of the client's own, `renew` for one that follows a person's."""

    def __init__(
        self,
        file: Path | None,
        clock: Clock,
        issue: Callable[[], Awaitable[Issued]],
        renew: Callable[[str], Awaitable[Issued]],
    ) -> None:
        self._file, self._clock, self._issue, self._renew = file, clock, issue, renew
        self._token = ""
        self._claims: Mapping[str, Any] = {}
        self._expires = 0

    async def get(self) -> str:
        """Raises IsthmusError when the gateway issues none, or the person's sign-in has ended."""
        if not self._is_good() and self._file is not None and self._file.exists():
            self._hold(read_secret(self._file).decode("ascii", "replace").strip())
        if self._is_good():
            return self._token
        if not self._is_a_persons():
            issued = await self._issue()
            self._token, self._claims, self._expires = issued.access_token, {}, int(issued.expire_time)
        elif self._left() > 0:
            self.use((await self._renew(self._token)).access_token)
        else:
            raise IsthmusError(
                Reason.UNAUTHENTICATED, "your sign-in has ended", advice="Sign in again with `isthmus login`"
            )
        return self._token

    def use(self, token: str) -> None:
        """Go on with this token of a person; it is kept in the file too, where there is one."""
        self._hold(token)
        if self._file is not None:
            _write(self._file, token)

    def _hold(self, token: str) -> None:
        self._token, self._claims = token, _claims(token)
        expires = self._claims.get("exp")
        self._expires = expires if type(expires) is int else 0

    def _left(self) -> int:
        return self._expires - self._clock.now()

    def _is_a_persons(self) -> bool:
        return "act" in self._claims

    def _is_good(self) -> bool:
        # A token that ends with its sign-in has no successor: it is good to its end.
        last = self._claims.get("sign_in_ends") == self._expires
        soon = (0 if last else PERSON_SOON) if self._is_a_persons() else SOON
        return bool(self._token) and self._left() > soon


def _claims(token: str) -> Mapping[str, Any]:
    """What the token says; nothing for what is no token. Whether it is good, the gateway says."""
    try:
        return parse_compact(token, MAX_TOKEN).claims
    except TokenProblem:
        return {}


def _write(path: Path, token: str) -> None:
    """Replace the file as a whole, readable by its owner alone."""
    descriptor, fresh = tempfile.mkstemp(dir=path.parent, prefix=path.name)  # mode 0600
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(token)
        Path(fresh).replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(fresh).unlink()
        raise
