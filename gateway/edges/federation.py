"""Signs statements, verifies chains with the pinned anchors, and keeps whose keys are believed now.

Invariants: a key is in the directory for its entity's own issuer, its own kinds of token, and until its chain
expires; an entity only enters through a verified chain; an older statement never replaces a newer one; while one
anchor's word of an entity is believed, another's cannot change its contract or revocation keys, so that what the
one pins is not got round by way of the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.domain.identity import Anchor, Entity, EntityId, Jwk
from gateway.domain.offer import Operator
from gateway.edges.keys import SigningKey
from gateway.edges.tokens import Clock, sign, signature_holds
from gateway.rules.gateway_metadata import ENTITY_TYPE, GatewayMetadata
from gateway.rules.jose import MAX_CHAIN_BYTES, Problem, TokenProblem, parse_compact
from gateway.rules.jwks import jwk_set
from gateway.rules.tokens import DAY, profile_of
from gateway.rules.trust import LEAF_LIFETIME, STATEMENT, verify_chain
from gateway.rules.verification import read_token

SUBORDINATE_LIFETIME = 30 * DAY


def entity_configuration(
    entity_id: EntityId,
    metadata: GatewayMetadata,
    authority_hints: Sequence[EntityId],
    key: SigningKey,
    now: int,
    *,
    further_keys: Sequence[Jwk] = (),
    lifetime: int = LEAF_LIFETIME,
) -> str:
    """The leaf's own statement, fresh. `further_keys` are federation keys published ahead of their use."""
    claims = _claims(entity_id, entity_id, (key.jwk, *further_keys), now, lifetime)
    claims["authority_hints"] = list(authority_hints)
    claims["metadata"] = {ENTITY_TYPE: metadata.to_json()}
    return sign(STATEMENT.typ, claims, key)


def subordinate_statement(
    anchor_id: EntityId,
    subject: EntityId,
    subject_keys: Sequence[Jwk],
    key: SigningKey,
    now: int,
    *,
    lifetime: int = SUBORDINATE_LIFETIME,
    metadata_policy: Mapping[str, Any] | None = None,
) -> str:
    """A superior's statement that `subject_keys` are the federation keys of `subject`.

    `metadata_policy` maps parameters of `isthmus_gateway` to operators.
    """
    claims = _claims(anchor_id, subject, subject_keys, now, lifetime)
    if metadata_policy:
        claims["metadata_policy"] = {ENTITY_TYPE: dict(metadata_policy)}
    return sign(STATEMENT.typ, claims, key)


def _claims(issuer: EntityId, subject: EntityId, keys: Sequence[Jwk], now: int, lifetime: int) -> dict[str, Any]:
    return {
        "iss": issuer,
        "sub": subject,
        "iat": now,
        "exp": now + lifetime,
        "jwks": jwk_set(tuple(keys)),
    }


class Federation:
    """The entities that are believed, this space's own among them; a `KeyDirectory` for the verifier."""

    def __init__(self, anchors: Sequence[Anchor], clock: Clock) -> None:
        self._anchors = tuple(anchors)
        self._clock = clock
        self._entities: dict[str, Entity] = {}
        self._superiors: dict[str, str] = {}  # who vouches directly for each
        self._parted: set[tuple[str, str]] = set()

    @property
    def anchors(self) -> tuple[Anchor, ...]:
        return self._anchors

    def check(self, chain: Sequence[str], subject: str | None = None) -> Entity:
        """The entity that a pushed chain proves, as `admit` would have it; nothing is believed by it."""
        entity = verify_chain(chain, self._anchors, self._clock(), signature_holds, subject=subject)
        if (entity.entity_id, superior_of(chain)) in self._parted:
            raise TokenProblem(Problem.CHAIN, f"{entity.entity_id} is suspended by {superior_of(chain)}")
        known = self._entities.get(entity.entity_id)
        if known is not None and entity.issued_at < known.issued_at:
            raise TokenProblem(Problem.OLDER, f"{entity.entity_id}'s statement is older than the one already believed")
        if known is not None and self._clock() < known.expires_at and not _agree(known, entity):
            raise TokenProblem(
                Problem.POLICY,
                f"{entity.anchor} vouches for other contract or revocation keys of {entity.entity_id} than"
                f" {known.anchor}, which is believed until {known.expires_at}",
            )
        return entity

    def admit(self, chain: Sequence[str], subject: str | None = None) -> Entity:
        """Verifies a pushed chain, of `subject` where that is given, and believes its entity from now on.

        Raises TokenProblem.
        """
        entity = self.check(chain, subject)
        self._entities[entity.entity_id] = entity
        self._superiors[entity.entity_id] = superior_of(chain)
        return entity

    def last_known(self, entity_id: str) -> Entity | None:
        """The entity as it was believed last, expired or not: for finding out what is wrong, never to trust."""
        return self._entities.get(entity_id)

    def part_with(self, entity_id: str, superior: str) -> None:
        """Believe `entity_id` no longer on the word of `superior`, who takes it back, until `rejoin`.

        What another superior says of it counts as before: nobody can take away whom they do not vouch for.
        """
        self._parted.add((entity_id, superior))
        if self._superiors.get(entity_id) == superior:
            self._entities.pop(entity_id, None)

    def rejoin(self, entity_id: str, superior: str) -> None:
        self._parted.discard((entity_id, superior))

    def entity(self, entity_id: str) -> Entity | None:
        """The entity, if its chain has not expired."""
        entity = self._entities.get(entity_id)
        return entity if entity is not None and self._clock() < entity.expires_at else None

    def entities(self) -> list[Entity]:
        """All that are believed now, by entity ID."""
        now = self._clock()
        return sorted(
            (entity for entity in self._entities.values() if now < entity.expires_at),
            key=lambda entity: entity.entity_id,
        )

    def endpoint(self, entity_id: str) -> str:
        """Where an entity says that its port is (host:port), empty if it is not believed."""
        entity = self.entity(entity_id)
        return "" if entity is None else entity.endpoint

    def authorities(self, entity_id: str) -> bytes:
        """PEM of the CAs of an entity, none if it is not believed."""
        entity = self.entity(entity_id)
        return b"" if entity is None else entity.tls_ca.encode()

    def roots(self) -> bytes:
        """PEM of the CAs of everybody who is believed now."""
        return b"".join(entity.tls_ca.encode() for entity in self.entities())

    def keys(self, issuer: str, kid: str, typ: str) -> list[Jwk]:
        entity, use = self.entity(issuer), profile_of(typ).signed_with
        if entity is None or use is None:
            return []
        return [key for key in entity.keys(use) if key.kid == kid]


def admit_pushed(trust: Federation, compact: str, entity_id: str) -> None:
    """Admits the chain that an `isthmus-request+jwt` pushes, if its issuer's key is not known without it.

    `entity_id` is whom the client certificate names: token, certificate and chain are of one entity, or it is
    refused. The token itself is believed only by the verifier, afterwards. Raises TokenProblem.
    """
    token = read_token(compact, profile_of("isthmus-request+jwt"))
    if not token.trust_chain or trust.keys(entity_id, token.kid, token.typ):
        return
    if token.claims.get("iss") != entity_id:
        raise TokenProblem(Problem.ISSUER, f"{entity_id} pushed a chain on a token that it did not issue")
    trust.admit(token.trust_chain, subject=entity_id)


def _agree(known: Entity, entity: Entity) -> bool:
    return known.anchor == entity.anchor or (
        {key.kid for key in known.contract_keys} == {key.kid for key in entity.contract_keys}
        and {key.kid for key in known.revocation_keys} == {key.kid for key in entity.revocation_keys}
    )


def operator_of(entity: Entity) -> Operator:
    """The operator as the seat rules see it."""
    return Operator(
        entity.entity_id, entity.operator, entity.operator_group, tuple(entity.affiliates), entity.jurisdiction
    )


def superior_of(chain: Sequence[str]) -> str:
    """Who vouches directly for the entity of a chain that was verified."""
    return str(parse_compact(chain[1], MAX_CHAIN_BYTES).claims["iss"])
