"""OpenID Federation 1.0, cut to a small profile: bytes, pinned keys and a clock in; an `Entity` out. Pure.

A chain is [the leaf's entity configuration, the statement about it by its superior, …, by a pinned anchor],
pushed by whoever wants to be believed. Nothing in it is ever fetched.

Invariants:
- every statement's signer is vouched for by the next one, the last by a pinned anchor, within its prefixes;
- no entity is believed for longer than the first of its statements, nor a leaf for more than a day at once;
- what we do not understand and someone calls critical refuses; so does what would narrow and we do not do;
- only `TokenProblem` leaves this module.

Section numbers are those of OpenID Federation 1.0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NoReturn

from gateway.domain.identity import Anchor, Entity, EntityId, Jwk, host_of, parse_entity_id
from gateway.rules.gateway_metadata import ENTITY_TYPE, parse_gateway_metadata
from gateway.rules.jose import (
    MAX_CHAIN_BYTES,
    CompactJws,
    Problem,
    TokenProblem,
)
from gateway.rules.jwks import parse_verification_keys
from gateway.rules.metadata_policy import Policy, apply_policy, combine, read_policy
from gateway.rules.profiles import DAY, PROFILES
from gateway.rules.rulebook import OWN_WORDS, books_in
from gateway.rules.tokens import check_audience, check_shape, check_times
from gateway.rules.verification import SignatureCheck, read_token

STATEMENT = PROFILES["entity-statement+jwt"]
LEAF_LIFETIME = DAY
MAX_AUTHORITY_HINTS = 8
MAX_DEPTH = 3  # statements above the leaf: at most two intermediates under an anchor

# Of an issuer and a kid: who revoked that key, or None.
RevokedBy = Callable[[str, str], EntityId | None]
# Section 3.1: claims of a configuration alone, and of a statement about a subordinate alone.
_OF_CONFIGURATIONS = frozenset({"authority_hints"})
_OF_SUBORDINATES = frozenset({"metadata_policy", "metadata_policy_crit", "constraints"})


def _nobody(issuer: str, kid: str) -> EntityId | None:
    return None


@dataclass(frozen=True)
class EntityStatement:
    """One statement as read (section 3); its signature is not yet checked."""

    issuer: EntityId
    subject: EntityId
    issued_at: int
    expires_at: int
    keys: tuple[Jwk, ...]
    authority_hints: tuple[EntityId, ...]
    claims: Mapping[str, Any]
    token: CompactJws


def verify_chain(
    chain: Sequence[str],
    anchors: Sequence[Anchor],
    now: int,
    signature_holds: SignatureCheck,
    *,
    subject: str | None = None,
    revoked_by: RevokedBy = _nobody,
) -> Entity:
    """The entity at the bottom of `chain`, until its first statement expires. Raises TokenProblem.

    `subject` is whose chain it must be, where the caller knows that. A statement that is signed with a revoked key
    breaks the chain.
    """
    if not 2 <= len(chain) <= 1 + MAX_DEPTH:
        _refuse(f"a chain of {len(chain)} statements; 2 to {1 + MAX_DEPTH} are allowed")
    if sum(map(len, chain)) > MAX_CHAIN_BYTES:
        _refuse(f"a chain longer than {MAX_CHAIN_BYTES} bytes")
    statements = [read_statement(compact, now) for compact in chain]
    leaf, superiors = statements[0], statements[1:]
    if subject is not None and leaf.subject != subject:
        _refuse(f"{subject} pushed the chain of {leaf.subject}")
    _check_leaf(leaf, superiors[0])
    _check_links(statements)
    anchor_keys = _pinned_keys(statements, anchors)
    for statement in statements:
        if (by := revoked_by(statement.issuer, statement.token.kid)) is not None:
            raise TokenProblem(Problem.REVOKED, f"key {statement.token.kid} of {statement.issuer}, by {by}")
    _check_signatures(statements, anchor_keys, signature_holds)
    policy: Policy = {}
    for index, statement in reversed(list(enumerate(superiors))):
        _check_constraints(statement, intermediates=index, below=statements[: index + 1])
        policy = combine(policy, read_policy(statement.claims, ENTITY_TYPE))
    described = _gateway_claims(leaf)
    if not OWN_WORDS.isdisjoint(policy):
        _refuse(f"a superior speaks for {leaf.subject} of {sorted(OWN_WORDS & policy.keys())}")
    listed = {key.kid for key in leaf.keys}
    metadata = parse_gateway_metadata(apply_policy(policy, described), leaf.keys)
    return Entity(
        entity_id=leaf.subject,
        operator=metadata.operator,
        operator_group=metadata.operator_group,
        affiliates=metadata.affiliates,
        jurisdiction=metadata.jurisdiction,
        endpoint=metadata.endpoint,
        # Only those that the superior vouches for: a key the leaf adds by itself is not yet the entity's.
        federation_keys=tuple(key for key in superiors[0].keys if key.kid in listed),
        token_keys=metadata.token_keys,
        contract_keys=metadata.contract_keys,
        revocation_keys=metadata.revocation_keys,
        tls_ca=metadata.tls_ca,
        seats=metadata.seats,
        issued_at=leaf.issued_at,
        expires_at=min(statement.expires_at for statement in statements),
        anchor=superiors[-1].issuer,
        word=metadata.word,
        rulebooks=books_in(superiors[-1].claims),
    )


def read_statement(compact: str, now: int) -> EntityStatement:
    """One statement, its form and times checked, its signature not. Raises TokenProblem."""
    token = read_token(compact, STATEMENT)
    claims = token.claims
    check_shape(STATEMENT, claims)
    check_audience(STATEMENT, claims, None)
    own = claims["iss"] == claims["sub"]
    check_times(claims, LEAF_LIFETIME if own else STATEMENT.lifetime, now)
    if "crit" in claims:
        _refuse(f"critical claims that are unknown here: {claims['crit']!r:.200}")  # section 3.1.1
    misplaced = claims.keys() & (_OF_SUBORDINATES if own else _OF_CONFIGURATIONS)
    if misplaced:
        _refuse(f"{sorted(misplaced)} in a statement where section 3.1 has none")
    return EntityStatement(
        issuer=_entity_id(claims["iss"]),
        subject=_entity_id(claims["sub"]),
        issued_at=claims["iat"],
        expires_at=claims["exp"],
        keys=parse_verification_keys(claims["jwks"]),
        authority_hints=_authority_hints(claims),
        claims=claims,
        token=token,
    )


def _check_leaf(leaf: EntityStatement, superior: EntityStatement) -> None:
    """Section 10.2, for the configuration at the bottom: its own, naming its superior, by a key vouched
    for.
    """
    if leaf.issuer != leaf.subject:
        _refuse(f"the chain begins with {leaf.issuer}'s statement about {leaf.subject}, not with its own")
    if superior.issuer not in leaf.authority_hints:
        _refuse(f"{leaf.subject} does not name {superior.issuer} among its authorities")
    if leaf.token.kid not in {key.kid for key in leaf.keys}:
        _refuse(f"{leaf.subject} signed with a key that it does not list")


def _check_links(statements: Sequence[EntityStatement]) -> None:
    """Section 10.2: each statement is about the issuer of the one below it, and by someone else."""
    for below, above in pairwise(statements):
        if above.subject != below.issuer:
            _refuse(f"{above.issuer} vouches for {above.subject}, not for {below.issuer}")
        if above.issuer == above.subject:
            _refuse(f"{above.issuer} vouches for itself in the middle of a chain")
        if "metadata" in above.claims:
            _refuse(f"{above.issuer} overrides metadata, which is not supported here")
    names = [statement.subject for statement in statements[1:]]
    if len(set(names)) != len(names) or statements[-1].issuer in names:
        _refuse("a chain that runs in a circle")


def _pinned_keys(statements: Sequence[EntityStatement], anchors: Sequence[Anchor]) -> tuple[Jwk, ...]:
    top = statements[-1].issuer
    pinned = [anchor for anchor in anchors if anchor.entity_id == top]
    if not pinned:
        _refuse(f"the chain ends at {top}, which is no anchor here")
    subjects = {statement.subject for statement in statements}
    vouching = [anchor for anchor in pinned if all(map(anchor.may_vouch_for, subjects))]
    if not vouching:
        _refuse(f"{top} may not vouch for {', '.join(sorted(subjects))}")
    # Two entries for one anchor may be pinned, say while its key is rotated: each counts within its own
    # prefixes.
    return tuple(key for anchor in vouching for key in anchor.keys)


def _check_signatures(
    statements: Sequence[EntityStatement], anchor_keys: tuple[Jwk, ...], signature_holds: SignatureCheck
) -> None:
    """From the anchor down, so that nothing below an unproven statement is worked on (section 10.2)."""
    trusted = anchor_keys
    for statement in reversed(statements):
        signing = {key for key in trusted if key.kid == statement.token.kid}
        if len(signing) != 1:
            _refuse(f"{len(signing)} trusted keys {statement.token.kid} of {statement.issuer}, not one")
        if not signature_holds(statement.token, signing.pop()):
            raise TokenProblem(Problem.SIGNATURE, f"{statement.issuer}'s statement about {statement.subject}")
        trusted = statement.keys


def _check_constraints(statement: EntityStatement, intermediates: int, below: Sequence[EntityStatement]) -> None:
    """Section 6.2: path length, host names, entity types. A constraint that is unknown here refuses."""
    constraints = statement.claims.get("constraints", {})
    if not isinstance(constraints, dict):
        _refuse("constraints is no object")
    unknown = constraints.keys() - {"max_path_length", "naming_constraints", "allowed_entity_types"}
    if unknown:
        _refuse(f"constraints that are unknown here: {sorted(unknown)!r:.200}")
    length = constraints.get("max_path_length", intermediates)
    if type(length) is not int or length < intermediates:
        _refuse(f"{statement.issuer} allows {length!r:.20} intermediates, here are {intermediates}")
    types = constraints.get("allowed_entity_types", [ENTITY_TYPE])
    if not isinstance(types, list) or ENTITY_TYPE not in types:
        _refuse(f"{statement.issuer} does not allow {ENTITY_TYPE} below itself")
    naming = constraints.get("naming_constraints", {})
    if not isinstance(naming, dict) or naming.keys() - {"permitted", "excluded"}:
        _refuse("naming_constraints is no object of permitted and excluded")
    for entity_id in {lower.subject for lower in below} | {statement.subject}:
        if "permitted" in naming and not _names(naming["permitted"], entity_id):
            _refuse(f"{statement.issuer} does not permit the name {entity_id}")
        if "excluded" in naming and _names(naming["excluded"], entity_id):
            _refuse(f"{statement.issuer} excludes the name {entity_id}")


def _names(patterns: object, entity_id: EntityId) -> bool:
    """RFC 5280 section 4.2.1.10 on URIs: a host, or with a leading period every host below it."""
    if not isinstance(patterns, list) or not all(isinstance(name, str) and name for name in patterns):
        _refuse("naming_constraints holds something other than host names")
    host = host_of(entity_id)
    names = map(str.lower, patterns)
    return any(host.endswith(name) if name.startswith(".") else host == name for name in names)


def _gateway_claims(leaf: EntityStatement) -> Mapping[str, Any]:
    metadata = leaf.claims.get("metadata")
    described = metadata.get(ENTITY_TYPE) if isinstance(metadata, dict) else None
    if not isinstance(described, dict):
        _refuse(f"{leaf.subject} does not describe itself as {ENTITY_TYPE}")
    return described


def _authority_hints(claims: Mapping[str, Any]) -> tuple[EntityId, ...]:
    hints = claims.get("authority_hints", [])
    if not isinstance(hints, list) or len(hints) > MAX_AUTHORITY_HINTS:
        _refuse(f"authority_hints is no list of at most {MAX_AUTHORITY_HINTS}")
    return tuple(_entity_id(hint) for hint in hints)


def _entity_id(value: object) -> EntityId:
    if not isinstance(value, str):
        _refuse("an entity ID is a string")
    try:
        return parse_entity_id(value)
    except ValueError as problem:
        raise TokenProblem(Problem.CHAIN, str(problem)) from None


def _refuse(detail: str) -> NoReturn:
    raise TokenProblem(Problem.CHAIN, detail)
