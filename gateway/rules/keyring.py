"""A ring of keys: which of them are published, which one signs, and how the next one takes over. Pure.

Invariants: at every instant exactly one key of a ring is in use, and it is published; a key takes over only after
it has been published for its whole time ahead, and only once the space's own verified chain vouches for it, else
the one before it stays; the one before stays published for the whole overlap. Public keys never leave a ring: what
was signed years ago can still be verified.

Times are whole seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise
from typing import Any, NoReturn

from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.identity import Jwk, KeyUse
from gateway.rules.jose import TokenProblem
from gateway.rules.jwks import jwk_object, parse_jwk

MINUTE, HOUR, DAY = 60, 3600, 86_400
MAX_ENTRIES = 1024

Vouched = Callable[[str], bool]  # whether the space's own verified chain vouches for the key with this kid


class KeyName(StrEnum):
    """The keys of a space, as `isthmus trust rotate` names them."""

    FEDERATION = "federation"
    TOKEN = "token"  # noqa: S105  (a key's name)
    CONTRACT = "contract"
    REVOCATION = "revocation"
    RECIPIENT = "recipient"
    TLS_CA = "tls-ca"
    TLS_SERVER = "tls-server"
    TLS_CLIENT = "tls-client"
    TLS_AGENT = "tls-agent"


@dataclass(frozen=True)
class Terms:
    """How long a key has to be published before its use, and its predecessor after it."""

    ahead: int
    overlap: int
    kept: bool = False  # never retired


# `ahead`: twice the life of a leaf statement, so that everybody has renewed their copy. `overlap`: the longest life of
# what the key has signed. A certificate of TLS is vouched for by the CA: nobody has to hear of it before.
TERMS: Mapping[KeyName, Terms] = {
    KeyName.FEDERATION: Terms(2 * DAY, DAY),  # statements
    KeyName.TOKEN: Terms(2 * DAY, HOUR),  # contracts: 10 min to start, and the session
    KeyName.CONTRACT: Terms(2 * DAY, DAY),  # offers
    KeyName.REVOCATION: Terms(2 * DAY, 65 * MINUTE),  # lists, and the longest grace for an old one
    KeyName.RECIPIENT: Terms(0, 0, kept=True),  # each opens the results that were sealed to it
    KeyName.TLS_CA: Terms(2 * DAY, DAY),
    KeyName.TLS_SERVER: Terms(0, 0),
    KeyName.TLS_CLIENT: Terms(0, 0),
    KeyName.TLS_AGENT: Terms(0, 0),
}
# What an anchor pins, and so renews only on a rotation token by the key that it pins now.
PINNED: Mapping[KeyName, KeyUse] = {
    KeyName.FEDERATION: KeyUse.FEDERATION,
    KeyName.CONTRACT: KeyUse.CONTRACTS,
    KeyName.REVOCATION: KeyUse.REVOCATIONS,
}


@dataclass(frozen=True)
class Entry:
    """One key. `secret` and `certificate` are names of files beside the ring's.

    `rotations` are tokens by the key before it, on which the anchors pin this one too, and later this one alone.
    `because` is why it was not published for as long as it should be.
    """

    kid: str
    secret: str
    publish: int
    use: int
    retire: int | None = None
    jwk: Jwk | None = None
    certificate: str = ""
    rotations: tuple[str, ...] = ()
    because: str = ""

    def is_retired(self, now: int) -> bool:
        return self.retire is not None and self.retire <= now


@dataclass(frozen=True)
class Ring:
    """Entries in the order of their use, at least one."""

    entries: tuple[Entry, ...]

    @property
    def latest(self) -> Entry:
        return self.entries[-1]


def everything(kid: str) -> bool:
    """For keys that no statement names."""
    return True


def active(ring: Ring, now: int, vouched: Vouched = everything) -> Entry:
    """The key to use: the latest that may be used and is vouched for.

    Where none is vouched for, as before the own chain is known, the oldest that is still published: everybody knows it.
    """
    started = [entry for entry in ring.entries if entry.use <= now] or [ring.entries[0]]
    for entry in reversed(started):
        if vouched(entry.kid):
            return entry
    return next((entry for entry in started if not entry.is_retired(now)), started[-1])


def published(ring: Ring, now: int, vouched: Vouched = everything) -> tuple[Entry, ...]:
    """What the space's statement names now. The key in use is among them, even where its successor is overdue."""
    in_use = active(ring, now, vouched)
    return tuple(
        entry for entry in ring.entries if entry is in_use or (entry.publish <= now and not entry.is_retired(now))
    )


def is_under_way(ring: Ring, now: int) -> bool:
    """Whether a key waits for its use, or its predecessor for its end."""
    return ring.latest.use > now or any(entry.retire is not None and entry.retire > now for entry in ring.entries)


def rotated(
    ring: Ring, new: Entry, now: int, ahead: int, overlap: int, terms: Terms, *, compromised: bool = False
) -> Ring:
    """`ring` with `new` in it: published now, in use after `ahead`, its predecessor published for `overlap` more.

    `new.because` allows shorter times than `terms`. `compromised` gives up keys that were still waiting for their use.
    Raises IsthmusError naming the option.
    """
    if not new.because and ahead < terms.ahead:
        _refuse(f"the key has to be published {terms.ahead // HOUR} h ahead of its use", "--ahead")
    if not new.because and overlap < terms.overlap:
        _refuse(f"the key before it has to stay published for {_told(terms.overlap)} more", "--overlap")
    if any(entry.kid == new.kid for entry in ring.entries):
        _refuse("this key is in the ring already", "KEY")
    if is_under_way(ring, now) and not compromised:
        raise IsthmusError(
            Reason.ALREADY_EXISTS,
            "a rotation of this key is under way",
            field="KEY",
            advice="`isthmus trust keys` says until when; --compromised does not wait for it",
        )
    use = now + max(ahead, 0)
    end = None if terms.kept else use + max(overlap, 0)
    before = [entry for entry in ring.entries if entry.use <= now] or list(ring.entries)
    if end is not None:
        before = [replace(entry, retire=end if entry.retire is None else min(entry.retire, end)) for entry in before]
    return Ring((*before, replace(new, publish=now, use=use, retire=None)))


def next_change(ring: Ring, now: int) -> int | None:
    """When something changes next, if nobody rotates."""
    times = [time for entry in ring.entries for time in (entry.publish, entry.use, entry.retire)]
    return min((time for time in times if time is not None and time > now), default=None)


def ring_object(ring: Ring) -> dict[str, Any]:
    """The ring as JSON; `parse_ring` reads it back to an equal one."""
    return {"keys": [_entry_object(entry) for entry in ring.entries]}


def parse_ring(value: object) -> Ring:
    """Raises ValueError that says what is wrong."""
    if not isinstance(value, dict) or value.keys() != {"keys"} or not isinstance(value["keys"], list):
        raise ValueError('a ring is an object {"keys": [...]}')
    entries = tuple(_parse_entry(item) for item in value["keys"])
    if not 1 <= len(entries) <= MAX_ENTRIES:
        raise ValueError(f"a ring of {len(entries)} keys; 1 to {MAX_ENTRIES} are allowed")
    if any(later.use < earlier.use for earlier, later in pairwise(entries)):
        raise ValueError("keys are not in the order of their use")
    if len({entry.kid for entry in entries}) != len(entries):
        raise ValueError("one key is in it twice")
    if entries[-1].retire is not None:
        raise ValueError("the last key ends, and none follows it")
    return Ring(entries)


def _entry_object(entry: Entry) -> dict[str, Any]:
    made: dict[str, Any] = {"kid": entry.kid}
    if entry.jwk is not None:
        made["jwk"] = jwk_object(entry.jwk)
    if entry.certificate:
        made["certificate"] = entry.certificate
    made |= {"secret": entry.secret, "publish": entry.publish, "use": entry.use, "retire": entry.retire}
    if entry.rotations:
        made["rotations"] = list(entry.rotations)
    if entry.because:
        made["because"] = entry.because
    return made


_MEMBERS = {"kid", "jwk", "certificate", "secret", "publish", "use", "retire", "rotations", "because"}


def _parse_entry(value: object) -> Entry:
    if not isinstance(value, dict) or not _MEMBERS >= value.keys() >= {"kid", "secret", "publish", "use", "retire"}:
        raise ValueError(f"a key has kid, secret, publish, use and retire, and no other member than {sorted(_MEMBERS)}")
    if ("jwk" in value) == ("certificate" in value):
        raise ValueError("a key has either a jwk or a certificate")
    for name in ("kid", "secret", "certificate", "because"):
        if not isinstance(value.get(name, ""), str):
            raise ValueError(f"{name} is no text")
    for name in ("secret", "certificate"):
        if "/" in value.get(name, "") or value.get(name) in ("", ".", ".."):
            raise ValueError(f"{name} is no name of a file beside the ring")
    times = (value["publish"], value["use"], value["retire"])
    if not all(type(time) is int for time in times[:2]) or type(times[2]) not in (int, type(None)):
        raise ValueError("publish, use and retire are whole seconds since the epoch; retire may be null")
    if not 0 <= times[0] <= times[1] or (times[2] is not None and times[2] < times[0]):
        raise ValueError("a key is published, then used, then retired")
    rotations = value.get("rotations", [])
    if not isinstance(rotations, list) or not all(isinstance(token, str) for token in rotations):
        raise ValueError("rotations is no list of tokens")
    jwk = None
    if "jwk" in value:
        try:
            jwk = parse_jwk(value["jwk"])
        except TokenProblem as problem:
            raise ValueError(f"no public key: {problem.private}") from None
        if jwk.kid != value["kid"]:
            raise ValueError("kid is not the thumbprint of the jwk")
    return Entry(
        kid=value["kid"],
        secret=value["secret"],
        publish=times[0],
        use=times[1],
        retire=times[2],
        jwk=jwk,
        certificate=value.get("certificate", ""),
        rotations=tuple(rotations),
        because=value.get("because", ""),
    )


def _told(seconds: int) -> str:
    return f"{seconds // HOUR} h" if seconds % HOUR == 0 else f"{seconds // MINUTE} min"


def _refuse(text: str, option: str) -> NoReturn:
    raise IsthmusError(
        Reason.INVALID_ARGUMENT, text, field=option, advice="Give more time, or say why not with --because"
    )
