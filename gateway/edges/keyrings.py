"""Rings of keys while a process runs: read again when they change, each key's secret at hand.

Invariants: whoever signs asks for the key each time; a ring that changed for the worse is not used: the last good one
stays, with a warning.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

import structlog

from gateway.domain.errors import IsthmusError
from gateway.edges import ringfiles
from gateway.edges.certificates import Credentials
from gateway.edges.files import stamp_if_there
from gateway.edges.keys import SigningKey
from gateway.rules import keyring
from gateway.rules.keyring import Entry, Ring, Vouched, everything

log = structlog.get_logger()

Signer = Callable[[], SigningKey]
Presented = Callable[[], Credentials]
S = TypeVar("S")


class KeyRing(Generic[S]):
    """A ring file that is read again when it changes; `load` makes what this process needs of one entry."""

    def __init__(
        self, path: Path, now: Callable[[], int], load: Callable[[Path, Entry], S], vouched: Vouched = everything
    ) -> None:
        """Raises IsthmusError(CONFIGURATION) where the ring, or a key in it that is not retired, cannot be used."""
        self._path, self._now, self._load, self._vouched = path, now, load, vouched
        self._stamp = self._warned = stamp_if_there(path)
        self._made: dict[str, S] = {}
        self.ring = ringfiles.read(path)
        self._made = self._loaded(self.ring)

    def active(self) -> S:
        """What is used now."""
        return self._of(keyring.active(self.ring, self._now(), self._vouched))

    @property
    def kid(self) -> str:
        return keyring.active(self.ring, self._now(), self._vouched).kid

    def named(self, kid: str) -> S:
        return next(self._of(entry) for entry in self.ring.entries if entry.kid == kid)

    def published(self) -> tuple[S, ...]:
        return tuple(self._of(entry) for entry in keyring.published(self.ring, self._now(), self._vouched))

    def every(self) -> tuple[S, ...]:
        """Retired ones too, the latest first."""
        return tuple(self._of(entry) for entry in reversed(self.ring.entries))

    def refresh(self) -> bool:
        """Read the file again if it changed; whether there is another ring now."""
        stamp = stamp_if_there(self._path)
        if stamp == self._stamp:
            return False
        try:
            ring = ringfiles.read(self._path)
            made = self._loaded(ring)
        except IsthmusError as problem:
            if stamp != self._warned:
                log.warning("a changed ring of keys cannot be used, the last good one stays", problem=str(problem))
                self._warned = stamp
            return False  # and is tried again: a file that it names may still be on its way
        changed = ring != self.ring
        self.ring, self._made, self._stamp = ring, made, stamp
        return changed

    def _loaded(self, ring: Ring) -> dict[str, S]:
        now = self._now()
        return {
            entry.kid: self._made[entry.kid] if entry.kid in self._made else self._load(self._path.parent, entry)
            for entry in ring.entries
            if entry.kid in self._made or not entry.is_retired(now)
        }

    def _of(self, entry: Entry) -> S:
        if entry.kid not in self._made:
            self._made[entry.kid] = self._load(self._path.parent, entry)
        return self._made[entry.kid]
