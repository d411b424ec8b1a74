"""What an anchor may say of a member: the pins, and how they change. Pure.

Invariants: contract and revocation keys are pinned by a metadata policy (`value`), so that whoever holds a gateway's
keys cannot name others in the member's next statement; a statement is made anew when half of its life is over or a
pin has changed, never because a member asks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from gateway.domain.identity import EntityId, KeyUse
from gateway.domain.membership import Member, Pins
from gateway.domain.rulebook import OwnWord, Rulebook
from gateway.rules.gateway_metadata import ENTITY_TYPE, parse_gateway_metadata
from gateway.rules.jose import MAX_CHAIN_BYTES, Problem, TokenProblem, parse_compact
from gateway.rules.jwks import jwk_set
from gateway.rules.rulebook import books_in, word_in
from gateway.rules.tokens import profile_of
from gateway.rules.trust import read_statement
from gateway.rules.verification import SignatureCheck, read_rotation

PINNED = (KeyUse.FEDERATION, KeyUse.CONTRACTS, KeyUse.REVOCATIONS)
ROTATION = profile_of("isthmus-rotation+jwt")


def pins_in(configuration: str, entity: EntityId, now: int) -> Pins:
    """The keys that a newcomer's configuration names, read and not yet believed. Raises TokenProblem."""
    leaf = read_statement(configuration, now)
    if leaf.issuer != entity or leaf.subject != entity:
        raise TokenProblem(Problem.CHAIN, f"the configuration is {leaf.subject}'s, not {entity}'s")
    metadata = leaf.claims.get("metadata")
    described = metadata.get(ENTITY_TYPE) if isinstance(metadata, dict) else None
    if not isinstance(described, dict):
        raise TokenProblem(Problem.CHAIN, f"{entity} does not describe itself as {ENTITY_TYPE}")
    read = parse_gateway_metadata(described, leaf.keys)
    return Pins(leaf.keys, read.contract_keys, read.revocation_keys)


def policy_of(pins: Pins) -> Mapping[str, Any]:
    """The metadata policy of the statement about a member."""
    return {
        "contract_jwks": {"value": jwk_set(pins.contracts)},
        "revocation_jwks": {"value": jwk_set(pins.revocations)},
    }


def word_of(configuration: str) -> OwnWord:
    """What a configuration that was verified before says of its space's membership."""
    return word_in(parse_compact(configuration, MAX_CHAIN_BYTES).claims["metadata"][ENTITY_TYPE])


def rulebooks_of(statement: str) -> tuple[Rulebook, ...]:
    """What a statement of our own says of the rulebook."""
    return books_in(parse_compact(statement, MAX_CHAIN_BYTES).claims)


def is_due(member: Member, lifetime: int, now: int) -> bool:
    """Whether the statement about `member` has less than half of `lifetime` left."""
    return now > member.statement_expires - lifetime // 2


def rotated(
    member: Member, tokens: Sequence[str], anchor: str, now: int, signature_holds: SignatureCheck
) -> tuple[Member, list[TokenProblem]]:
    """The member with its pins as its rotations have them, oldest first, and those that were refused.

    Each is held against the pins that the one before it left. A ring keeps its tokens: those that were applied
    already, are not valid yet, or are for another anchor, are passed over.
    """
    refused: list[TokenProblem] = []
    for token in sorted(tokens, key=_issued):
        done = dict(member.rotated)
        claims = _claims(token)
        if _issued(token) <= done.get(str(claims.get("use")), 0) or claims.get("aud") != anchor:
            continue
        if type(claims.get("nbf")) is int and claims["nbf"] > now:
            continue
        try:
            present = {use: member.pins.keys(use) for use in PINNED}
            rotation = read_rotation(token, EntityId(member.entity), present, EntityId(anchor), now, signature_holds)
        except TokenProblem as problem:
            refused.append(problem)
            continue
        pins = replace(member.pins, **{rotation.use.value: rotation.keys})
        done[rotation.use.value] = _issued(token)
        member = replace(member, pins=pins, rotated=tuple(sorted(done.items())))
    return member, refused


def _issued(token: str) -> int:
    issued = _claims(token).get("iat")
    return issued if type(issued) is int else 0


def _claims(token: str) -> Mapping[str, Any]:
    """Read, not believed: only to put the tokens in order, and to leave out what need not be looked at."""
    try:
        return parse_compact(token, ROTATION.max_bytes).claims
    except TokenProblem:
        return {}
