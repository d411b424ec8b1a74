"""The own list of a space or an anchor: a file that says what is revoked, and the list that is signed from it.

Invariants: numbers go up, across restarts and replicas; what was revoked for good stays in the list though it is
taken out of the file; a file that cannot be read revokes nothing new and takes nothing back; no list is signed with
a revocation key that was revoked itself.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import structlog

from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.identity import EntityId
from gateway.domain.revocation import Belief, RevocationList, Revoked
from gateway.edges.files import stamp_if_there
from gateway.edges.keys import SigningKey
from gateway.edges.revocations import LISTS, REVOCATION, read_stored
from gateway.edges.tokens import sign
from gateway.ports import Beliefs, Clock, Ids
from gateway.rules.jose import TokenProblem, parse_compact
from gateway.rules.revocation import (
    LIFETIME,
    RENEW_AFTER,
    is_reason,
    next_seq,
    plain,
    read_revoked,
    revoked_error,
    with_what_is_final,
)

FILE = "revoked.toml"
MEMBERS = {"key": "kids", "token": "jtis", "entity": "entities", "contract": "contracts"}
HEAD = """# What is revoked here. `isthmus trust revoke` adds to it; the running process passes it on within seconds.
# Keys, tokens and contracts stay revoked for good, even if they are taken out again; an entity may come back.
"""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the file. `kind` is key, token, entity or contract; `reason` stays in this file."""

    kind: str
    id: str
    at: int
    reason: str = ""


def read_file(path: Path) -> list[Entry]:
    """The entries of a file, none if there is no file. Raises IsthmusError(CONFIGURATION)."""
    try:
        data = tomllib.loads(path.read_text())
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
        raise _broken(path, str(problem)) from None
    try:
        if data.keys() - {"revoked"}:
            raise ValueError("there is more in it than [[revoked]] tables")
        entries = [Entry(**entry) for entry in data.get("revoked", [])]
        for entry in entries:
            if entry.kind not in MEMBERS or type(entry.at) is not int or not is_reason(entry.reason):
                raise ValueError(f"kind, at or reason of {entry.id!r:.100}")
        revoked_by(entries)
    except (TypeError, ValueError) as problem:
        raise _broken(path, str(problem)) from None
    except TokenProblem as problem:
        raise _broken(path, problem.private) from None
    return entries


def revoked_by(entries: list[Entry]) -> Revoked:
    """What the entries revoke. Raises TokenProblem for what no list could hold."""
    lists: dict[str, list[Any]] = {member: [] for member in MEMBERS.values()}
    for entry in entries:
        if entry.id not in lists[MEMBERS[entry.kind]]:
            lists[MEMBERS[entry.kind]].append(entry.id)
    return read_revoked(lists)


def add_entry(path: Path, entry: Entry) -> bool:
    """Add `entry` to the file; False if it stands there already. Raises IsthmusError(CONFIGURATION)."""
    entries = read_file(path)
    if any((known.kind, known.id) == (entry.kind, entry.id) for known in entries):
        return False
    try:
        revoked_by([*entries, entry])
    except TokenProblem as problem:
        raise _broken(path, problem.private) from None
    values = {"kind": entry.kind, "id": entry.id, "at": entry.at, "reason": entry.reason}
    text = "\n[[revoked]]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())
    # One write at the end: two commands at once both count, and who reads in between sees whole entries.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "a") as file:
        file.write(("" if entries or file.tell() else HEAD) + text)
        file.flush()
        os.fsync(file.fileno())
    return True


class OwnList:
    """The list of `entity`, a space or an anchor.

    `key` gives the revocation key that is in use now, `suspended` the members whom an anchor does not vouch for now.
    """

    def __init__(
        self,
        entity: EntityId,
        key: Callable[[], SigningKey],
        beliefs: Beliefs,
        file: Path,
        clock: Clock,
        ids: Ids,
        suspended: Callable[[], Awaitable[frozenset[EntityId]]] | None = None,
    ) -> None:
        self._suspended = suspended
        self._entity, self._key, self._beliefs, self._file = entity, key, beliefs, file
        self._clock, self._ids = clock, ids
        self._seen: tuple[object, ...] = ()
        self._entries: Revoked | None = None
        self._last: RevocationList | None = None

    async def current(self) -> str:
        """The signed list: made anew once a minute, and at once when file or key have changed.

        Raises IsthmusError: CONFIGURATION if there is no list yet and the file cannot be read, REVOKED if the key is.
        """
        key, now = self._key(), self._clock.now()
        suspended: frozenset[EntityId] = frozenset() if self._suspended is None else await self._suspended()
        seen = (key.kid, stamp_if_there(self._file), suspended)
        if self._last is not None and seen == self._seen and 0 <= now - self._last.issued_at < RENEW_AFTER:
            return self._last.token
        wanted = self._read(suspended) if seen != self._seen else self._entries

        def make(before: Belief | None) -> Belief:
            last = None if before is None else read_stored(before.body)
            final = Revoked() if last is None else last.revoked
            revoked = final if wanted is None else with_what_is_final(wanted, final)
            if before is None or last is None:
                return self._signed(revoked, 0, key, now)
            if key.kid in last.revoked.kids:
                raise revoked_error(f"the revocation key {key.kid} of {self._entity}", self._entity, self._entity)
            if revoked == last.revoked and 0 <= now - last.issued_at < RENEW_AFTER and _kid(last) == key.kid:
                return before
            return self._signed(revoked, last.seq, key, now)

        made = await self._beliefs.renew(LISTS, self._entity, make)
        self._last, self._seen, self._entries = read_stored(made.body), seen, wanted
        return made.body

    def _signed(self, revoked: Revoked, before: int, key: SigningKey, now: int) -> Belief:
        seq = next_seq(before, now)
        claims = {
            "iss": self._entity,
            "sub": self._entity,
            "iat": now,
            "exp": now + LIFETIME,
            "jti": self._ids.fresh(),
            "seq": seq,
            "revoked": plain(revoked),
        }
        return Belief(self._entity, seq, sign(REVOCATION, claims, key))

    def _read(self, suspended: frozenset[EntityId]) -> Revoked | None:
        """What the file says, and who is suspended; None, and what was said before goes on, if it cannot be read."""
        try:
            said = revoked_by(read_file(self._file))
            return replace(said, entities=said.entities | suspended)
        except IsthmusError as problem:
            if self._last is None:
                raise
            log.error("what is revoked cannot be read", problem=problem.public, detail=problem.private)
            return None


def _kid(given: RevocationList) -> str:
    return parse_compact(given.token, len(given.token)).kid


def _broken(path: Path, what: str) -> IsthmusError:
    return IsthmusError(
        Reason.CONFIGURATION,
        f"the file {path} does not say what is revoked",
        private=what,
        field="revoked",
        advice="Correct the line, or take the entry out; what is revoked already stays so",
    )
