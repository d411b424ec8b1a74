"""Whether the people of this space have approved a plan: the rule over what they signed.

Invariants: a decision counts only by the key of a steward whom this agent's own configuration names now, for exactly
this plan at this space, while it has not expired; of each person and seat the newest decision counts, and where two are
as new, a rejection; any rejection in force outweighs all approvals; neither a person nor a steward's seat counts twice;
an approval covers as many sets of editions as the plan asks for, counted from when it was signed. The order in which
decisions come, and how often, decides nothing.

A steward is known by the RFC 7638 thumbprint of their key: it is the issuer of what they sign. The subject is the
thumbprint of the steward in whose place it is: their own, or of somebody whose delegate they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.domain.contract import Contract
from gateway.domain.decision import APPROVE, REJECT, Need, Ran
from gateway.domain.identity import Jwk
from gateway.rules.dates import day_of
from gateway.rules.jose import TokenProblem, parse_compact
from gateway.rules.plans import audience, editions, longest, plan_digest
from gateway.rules.verification import SignatureCheck, read_decision

MAX_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Steward:
    """`delegate` is the name of the steward who may decide in their place to the end of the day `until` (ISO 8601)."""

    name: str
    key: Jwk
    delegate: str = ""
    until: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """What one dataset's policy wants: `need`, of the stewards of these names."""

    need: Need
    stewards: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Decided:
    """One decision that counts: who signed it, for whose seat (thumbprints) at which space, and when."""

    signer: str
    seat: str
    approves: bool
    at: int
    text: str
    token: str
    space: str


@dataclass(frozen=True, slots=True)
class Tally:
    """`have` of `need` have approved; `evidence` are the tokens that this rests on. `used_up` is the number of sets of
    editions that an approval covered, where that is why it does not count."""

    have: int
    need: int
    evidence: tuple[str, ...] = ()
    rejection: Decided | None = None
    used_up: int = 0

    @property
    def is_approved(self) -> bool:
        return self.rejection is None and self.have >= self.need


def may_decide_for(signer: Steward, seat: Steward, now: int) -> bool:
    """Whether `signer` may decide in the place of `seat`, which may be their own."""
    return signer.name == seat.name or (seat.delegate == signer.name and day_of(now) <= seat.until)


def in_force(
    tokens: Iterable[str],
    plan: Contract,
    space: str,
    stewards: Sequence[Steward],
    now: int,
    signature_holds: SignatureCheck,
) -> tuple[Decided, ...]:
    """The newest decision of each person and seat, and no delegate's that is older than the seat's own; whatever else
    is among `tokens` says nothing."""
    digest = plan_digest(plan)
    by_key = {steward.key.kid: steward for steward in stewards}
    newest: dict[tuple[str, str], Decided] = {}
    for token in tokens:
        read = _read(token, digest, by_key, plan, now, signature_holds)
        if read is None or read.space != space:  # said of another space, where it may be another's turn
            continue
        other = newest.get((read.signer, read.seat))
        if other is None or (read.at, not read.approves) > (other.at, not other.approves):
            newest[read.signer, read.seat] = read
    return tuple(one for one in newest.values() if not _overruled(one, newest.get((one.seat, one.seat))))


def _overruled(one: Decided, own: Decided | None) -> bool:
    """Whether whose place it is has decided by themselves since somebody did in their place."""
    return one.signer != one.seat and own is not None and own.at > one.at


def tally(
    decided: Sequence[Decided], plan: Contract, rules: Sequence[Rule], stewards: Sequence[Steward], ran: Sequence[Ran]
) -> Tally:
    """How far the people are whom `rules`, one per dataset that wants any, demand."""
    names = {steward.key.kid: steward.name for steward in stewards}
    need = max((rule.need.persons for rule in rules), default=0)
    rejection = next((one for one in decided if not one.approves and _concerns(names[one.seat], rules)), None)
    covering = [one for one in decided if one.approves and _covers(one, plan, ran)]
    missing, evidence = 0, dict[str, None]()
    for rule in rules:
        eligible = [one for one in covering if names[one.seat] in rule.stewards]
        pairs = _pairs(eligible)[: rule.need.persons]
        missing = max(missing, rule.need.persons - len(pairs))
        evidence.update(dict.fromkeys(one.token for one in pairs))
    spent = missing > 0 and any(one.approves for one in decided if one not in covering)
    return Tally(need - missing, need, tuple(evidence), rejection, plan.query.standing if spent else 0)


def _read(
    token: str, digest: str, by_key: Mapping[str, Steward], plan: Contract, now: int, signature_holds: SignatureCheck
) -> Decided | None:
    try:
        kid = parse_compact(token, MAX_BYTES).kid
        signer = by_key.get(kid)
        if signer is None:
            return None
        read = read_decision(token, kid, (signer.key,), audience(digest), now, signature_holds)
    except TokenProblem:
        return None
    claims: Mapping[str, Any] = read.claims
    seat = by_key.get(claims["sub"])
    if seat is None or claims["decision"] not in (APPROVE, REJECT):
        return None
    # A no stays one when the delegation ends: what ends by itself must never be what keeps rows here.
    at = now if claims["decision"] == APPROVE else min(now, claims["iat"])
    if not may_decide_for(signer, seat, at) or claims["exp"] - claims["iat"] > longest(plan, claims["decision"]):
        return None
    return Decided(
        kid,
        claims["sub"],
        claims["decision"] == APPROVE,
        claims["iat"],
        str(claims.get("reason", "")),
        token,
        str(claims.get("space", "")),
    )


def _concerns(name: str, rules: Sequence[Rule]) -> bool:
    return any(name in rule.stewards for rule in rules)


def _covers(one: Decided, plan: Contract, ran: Sequence[Ran]) -> bool:
    """Whether this approval is good for the plan's editions, given what was run since it was signed."""
    since = {other.editions for other in ran if other.at >= one.at}
    return editions(plan) in since or len(since) < plan.query.standing


def _pairs(approvals: Sequence[Decided]) -> list[Decided]:
    """As many approvals as there can be of which no two share a person or a seat (augmenting paths)."""
    by_seat: dict[str, Decided] = {}
    of: dict[str, list[Decided]] = {}
    for one in approvals:
        of.setdefault(one.signer, []).append(one)

    def place(signer: str, tried: set[str]) -> bool:
        for one in of[signer]:
            if one.seat in tried:
                continue
            tried.add(one.seat)
            holder = by_seat.get(one.seat)
            if holder is None or place(holder.signer, tried):
                by_seat[one.seat] = one
                return True
        return False

    for signer in of:
        place(signer, set())
    return list(by_seat.values())
