"""Revocation lists: what one may say, whose list counts for what, how old one may be. Pure.

Invariants:
- a list counts for its issuer's own keys and tokens, the issuer itself and the contracts that it takes part in;
  a pinned anchor's for the entities within its prefixes, for their keys, and for the anchor's own;
- the sequence of an issuer never goes back, and one number never stands for two lists;
- a revocation key can only revoke: a key, token or contract that an issuer has revoked is in each of its later
  lists, or that list is refused. Only an entity may come back, since a membership is no secret that leaked;
- a list that is missing, old or dated ahead stops new sessions (fail closed).

Keys are named by RFC 7638 thumbprint, TLS keys and CAs by that of their public key.

A revocation key can be revoked as any key can. A list that revokes the key it is signed with is that key's last
word: nothing that it signs is read again, and until the issuer signs with another key that its superior vouches
for, its list goes stale and sessions with it stop. A thief of a revocation key can thus do no more than the owner:
revoke. To shut the owner out by using up the numbers does not work either, since `seq` runs with the clock.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.identity import Anchor, EntityId, parse_entity_id
from gateway.domain.revocation import Freshness, RevocationList, Revoked
from gateway.rules.jose import Problem, TokenProblem, is_thumbprint
from gateway.rules.profiles import is_hex_digest, is_identifier
from gateway.rules.tokens import LEEWAY

LIFETIME = 300  # seconds that a list is fresh
RENEW_AFTER = 60  # seconds after which its issuer signs a new one
MOST_GRACE = 3600  # seconds more that a space's own policy may grant
MAX_ENTRIES = 10_000
# By so much a list may be older than the one that is known and still have been overtaken by it on its way.
OVERTAKEN = RENEW_AFTER + 30
# How far a sequence number may run ahead of the second in which its list was made.
SEQ_AHEAD = 300

_MEMBERS = frozenset({"kids", "jtis", "entities", "contracts"})
_PRINTABLE = re.compile(r"[\x20-\x7e]{0,200}")


def read_list(claims: Mapping[str, Any], digest: str, token: str) -> RevocationList:
    """The list in the claims of a verified `isthmus-revocation+jwt`. Raises TokenProblem."""
    try:
        issuer = parse_entity_id(claims["iss"])
    except ValueError as problem:
        raise TokenProblem(Problem.CLAIMS, str(problem)) from None
    if claims["sub"] != issuer:
        _refuse(f"{issuer} signed a list in the name of {claims['sub']!r:.200}")
    seq, issued_at = claims["seq"], claims["iat"]
    if not 0 < seq <= issued_at + SEQ_AHEAD:
        _refuse(f"seq {seq} of {issuer} does not fit a list of second {issued_at}")
    return RevocationList(issuer, seq, issued_at, read_revoked(claims["revoked"]), digest, token)


def read_revoked(value: Mapping[str, Any]) -> Revoked:
    """The four lists of a `revoked` claim; each may be left out, nothing else may be there. Raises TokenProblem."""
    if unknown := value.keys() - _MEMBERS:
        _refuse(f"revoked has members that are unknown here: {sorted(unknown)!r:.200}")
    lists = {name: value.get(name, []) for name in sorted(_MEMBERS)}
    if not all(isinstance(entries, list) for entries in lists.values()):
        _refuse("a member of revoked is no list")
    if sum(map(len, lists.values())) > MAX_ENTRIES:
        _refuse(f"more than {MAX_ENTRIES} entries")
    for name, check in (("kids", is_thumbprint), ("jtis", is_identifier), ("contracts", is_hex_digest)):
        for entry in lists[name]:
            if not check(entry):
                _refuse(f"{name} holds {entry!r:.100}")
    try:
        entities = [parse_entity_id(entry) for entry in lists["entities"]]
    except (TypeError, ValueError) as problem:
        raise TokenProblem(Problem.CLAIMS, f"entities: {problem}") from None
    revoked = Revoked(
        frozenset(lists["kids"]), frozenset(lists["jtis"]), frozenset(entities), frozenset(lists["contracts"])
    )
    if len(revoked) != sum(map(len, lists.values())):
        _refuse("an entry stands twice")
    return revoked


def plain(revoked: Revoked) -> dict[str, list[str]]:
    """The `revoked` claim; `read_revoked` reads it back to an equal one."""
    return {
        "kids": sorted(revoked.kids),
        "jtis": sorted(revoked.jtis),
        "entities": sorted(revoked.entities),
        "contracts": sorted(revoked.contracts),
    }


def check_succession(known: RevocationList | None, new: RevocationList) -> None:
    """Whether `new` may take the place of `known`, or is it. Raises TokenProblem."""
    if known is None or new.digest == known.digest:
        return
    if new.seq < known.seq:
        kind = Problem.OVERTAKEN if known.seq - new.seq <= OVERTAKEN else Problem.OLDER
        raise TokenProblem(kind, f"list {new.seq} of {new.issuer}, and {known.seq} is known")
    if new.seq == known.seq:
        raise TokenProblem(Problem.TAKEN_BACK, f"{new.issuer} has signed two lists with number {new.seq}")
    if not keeps(known.revoked, new.revoked):
        detail = f"list {new.seq} of {new.issuer} takes back what list {known.seq} revoked"
        raise TokenProblem(Problem.TAKEN_BACK, detail)


def keeps(before: Revoked, after: Revoked) -> bool:
    """Whether nothing that is revoked for good has gone."""
    return before.kids <= after.kids and before.jtis <= after.jtis and before.contracts <= after.contracts


def next_seq(before: int, now: int) -> int:
    """The number of a list made now. It runs with the clock, so that an issuer who lost its store goes on."""
    return max(before + 1, now)


def with_what_is_final(wanted: Revoked, before: Revoked) -> Revoked:
    """What the issuer wants revoked now, and what it has revoked for good."""
    return Revoked(
        wanted.kids | before.kids, wanted.jtis | before.jtis, wanted.entities, wanted.contracts | before.contracts
    )


def freshness(issued_at: int, now: int, grace: int) -> Freshness:
    """How much a list made at `issued_at` is worth; `grace` is the seconds that the own policy grants (0 to 3600)."""
    age = now - issued_at
    if age < -LEEWAY:  # from a clock that runs ahead, or ours was set back: its age is unknown
        return Freshness.STALE
    if age <= LIFETIME:
        return Freshness.FRESH
    return Freshness.GRACE if age <= LIFETIME + min(grace, MOST_GRACE) else Freshness.STALE


def needed(entities: Iterable[str], anchors: Sequence[Anchor]) -> tuple[EntityId, ...]:
    """Whose lists it takes to compute with `entities`: their own, and those of all pinned anchors over them."""
    own = dict.fromkeys(EntityId(entity) for entity in entities)
    above = (anchor.entity_id for anchor in anchors if any(map(anchor.may_vouch_for, own)))
    return tuple(dict.fromkeys((*own, *above)))


@dataclass(frozen=True)
class Standing:
    """Who revoked what, by the verified lists in `lists` (by issuer); its owner replaces them as newer ones come.

    Each question is answered by the entity ID of who revoked it, or None.
    """

    anchors: Sequence[Anchor]
    lists: Mapping[str, RevocationList]

    def key(self, issuer: str, kid: str) -> EntityId | None:
        """A key of `issuer`, a space or an anchor: by itself, or by an anchor over it."""
        return next((given.issuer for given in self.over(issuer) if kid in given.revoked.kids), None)

    def token(self, issuer: str, jti: str) -> EntityId | None:
        """A token that `issuer` signed: by itself."""
        own = self.lists.get(issuer)
        return own.issuer if own is not None and jti in own.revoked.jtis else None

    def entity(self, entity: str) -> EntityId | None:
        return next((given.issuer for given in self.over(entity) if entity in given.revoked.entities), None)

    def contract(self, digest: str, entities: Iterable[str]) -> EntityId | None:
        """A contract in which `entities` take part: by one of them."""
        own = (self.lists[entity] for entity in entities if entity in self.lists)
        return next((given.issuer for given in own if digest in given.revoked.contracts), None)

    def over(self, entity: str) -> Iterable[RevocationList]:
        """The lists that count for `entity` and its keys."""
        if (own := self.lists.get(entity)) is not None:
            yield own
        for anchor in self.anchors:
            given = self.lists.get(anchor.entity_id)
            if given is not None and anchor.entity_id != entity and anchor.may_vouch_for(EntityId(entity)):
                yield given


def stale(issuer: str, age: int | None, by: str) -> IsthmusError:
    """No new session without a fresh list of `issuer`; `by` is the space that says so."""
    what = "has come" if age is None else f"newer than {age // 60} min {age % 60} s has come"
    return IsthmusError(
        Reason.REVOCATION_STALE,
        f"no revocation list of {issuer} {what} to {by}",
        space=issuer,
        advice=f"The operator of {issuer} looks whether it runs, is reachable and has the right time; then ask again",
    )


def revoked_error(what: str, of: str, by: str) -> IsthmusError:
    """`what` of the space `of` was revoked: the same words at every space that finds it."""
    return IsthmusError(
        Reason.REVOKED,
        f"{what} was revoked by {'itself' if of == by else by}",
        space=of,
        advice=f"The operator of {of} says why, and what takes its place",
    )


def contract_revoked(by: str) -> IsthmusError:
    return IsthmusError(
        Reason.REVOKED,
        f"the contract was revoked by {by}",
        space=by,
        advice=f"Ask the operator of {by}, then ask again",
    )


def is_reason(text: str) -> bool:
    """Whether `text` may stand beside an entry of the own list; it never leaves this space."""
    return _PRINTABLE.fullmatch(text) is not None


def _refuse(detail: str) -> NoReturn:
    raise TokenProblem(Problem.CLAIMS, detail)
