"""Signs statements, verifies chains with the pinned anchors, and keeps whose keys are believed now.

Invariants: a key is in the directory for its entity's own issuer, its own kinds of token, and until its chain
expires, unless it was revoked; an entity only enters through a verified chain, and leaves when a key that signed it
is revoked; an older statement never replaces a newer one; while one
anchor's word of an entity is believed, another's cannot change its contract or revocation keys, so that what the
one pins is not got round by way of the other.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from gateway.domain.errors import IsthmusError
from gateway.domain.identity import Anchor, Entity, EntityId, Jwk, KeyUse
from gateway.domain.offer import Operator
from gateway.domain.revocation import Belief, RevocationList, Revoked
from gateway.domain.rulebook import Rulebook
from gateway.edges.certificates import keys_of, without_revoked
from gateway.edges.keys import SigningKey
from gateway.edges.rulebooks import Rulebooks
from gateway.edges.tokens import Clock, sign, signature_holds
from gateway.ports import Beliefs
from gateway.rules.gateway_metadata import ENTITY_TYPE, GatewayMetadata
from gateway.rules.jose import MAX_CHAIN_BYTES, CompactJws, Problem, TokenProblem, parse_compact
from gateway.rules.jwks import jwk_set
from gateway.rules.revocation import Standing, revoked_error
from gateway.rules.rulebook import claims_of, objection
from gateway.rules.tokens import DAY, profile_of
from gateway.rules.trust import LEAF_LIFETIME, STATEMENT, verify_chain
from gateway.rules.verification import read_token

SUBORDINATE_LIFETIME = 30 * DAY
MAX_CHANNELS = 16  # TLS keys that are remembered of one entity
CHAINS = "chain"  # the kind under which chains are stored


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
    rulebooks: Sequence[Rulebook] = (),
) -> str:
    """A superior's statement that `subject_keys` are the federation keys of `subject`.

    `metadata_policy` maps parameters of `isthmus_gateway` to operators.
    """
    claims = {**_claims(anchor_id, subject, subject_keys, now, lifetime), **claims_of(rulebooks)}
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


@dataclass(frozen=True)
class News:
    """What has just been believed; `revokes` where a list says otherwise than its issuer's last one did."""

    chains: tuple[tuple[str, ...], ...] = ()
    lists: tuple[str, ...] = ()
    revokes: bool = False


@dataclass(frozen=True)
class _Known:
    """An entity as its chain describes it, with who signed the chain by which key."""

    entity: Entity
    chain: tuple[str, ...]
    signers: tuple[tuple[str, str], ...]


class Federation:
    """The entities that are believed, this space's own among them; a `KeyDirectory` for the verifier."""

    def __init__(
        self,
        anchors: Sequence[Anchor],
        clock: Clock,
        beliefs: Beliefs | None = None,
        *,
        listed: frozenset[str] | None = None,
    ) -> None:
        """`listed` are the only entities that may be believed; None: whoever a pinned anchor vouches for."""
        self.anchors = tuple(anchors)
        self._listed = listed
        self._clock = clock
        self._beliefs = beliefs
        self._known: dict[str, _Known] = {}
        self._parted: set[tuple[str, str]] = set()
        self._lists: dict[str, RevocationList] = {}
        # As they are shown: without what was revoked. Made when asked for, dropped when a list says something new.
        self._shown: dict[str, Entity] = {}
        self._followers: list[Callable[[News], None]] = []
        # TLS keys over which entities speak to this space, and those of them that were revoked since somebody asked.
        self._channels: dict[str, dict[str, None]] = {}
        self._severed: dict[str, IsthmusError] = {}
        self.standing = Standing(self.anchors, self._lists)
        self.rulebooks = Rulebooks()

    def keep_in(self, beliefs: Beliefs) -> None:
        """From now on what `believe` admits is kept there."""
        self._beliefs = beliefs

    def follow(self, hear: Callable[[News], None]) -> None:
        """`hear` is called for all that is believed from now on."""
        self._followers.append(hear)

    async def restore(self) -> None:
        """What was believed before the process started, as far as it still holds."""
        if self._beliefs is not None:
            await self.rulebooks.restore(self._beliefs)
        for belief in [] if self._beliefs is None else await self._beliefs.all(CHAINS):
            with suppress(TokenProblem):
                self.admit(json.loads(belief.body))

    async def believe(self, chain: Sequence[str]) -> Entity:
        """As `admit`, durably: an older chain does not replace a newer one after a restart either."""
        known = self._known.get(_subject(chain))
        if self._beliefs is None:
            return self.admit(chain)
        if known is not None and known.chain == tuple(chain):
            await self.rulebooks.keep(known.entity.anchor, self._beliefs)
            return self.admit(chain)
        entity = self.check(chain)
        body = json.dumps(list(chain))
        kept = await self._beliefs.keep(CHAINS, Belief(entity.entity_id, entity.issued_at, body))
        if kept.order > entity.issued_at:  # another replica was told a newer one
            self.admit(json.loads(kept.body))
        await self.rulebooks.keep(self.admit(chain).anchor, self._beliefs)
        return entity

    def check(self, chain: Sequence[str], subject: str | None = None) -> Entity:
        """The entity that a pushed chain proves, as `admit` would have it; nothing is believed by it."""
        entity = verify_chain(
            chain, self.anchors, self._clock(), signature_holds, subject=subject, revoked_by=self.standing.key
        )
        if self._listed is not None and entity.entity_id not in self._listed:
            raise TokenProblem(Problem.POLICY, f"{entity.entity_id} is not among the peers that are listed here")
        if (entity.entity_id, superior_of(chain)) in self._parted:
            raise TokenProblem(Problem.CHAIN, f"{entity.entity_id} is suspended by {superior_of(chain)}")
        self.rulebooks.check(entity)
        known = self.last_known(entity.entity_id)
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
        known = self._known.get(entity.entity_id)
        if known is not None and known.chain == tuple(chain):
            return entity
        signers = tuple((token.claims["iss"], token.kid) for token in map(_parsed, chain))
        self._known[entity.entity_id] = _Known(entity, tuple(chain), signers)
        self.rulebooks.take(entity)
        self._shown.pop(entity.entity_id, None)
        for kid in keys_of(entity.tls_ca.encode()):
            self.saw(entity.entity_id, kid)
        self._tell(News(chains=(tuple(chain),)))
        return entity

    def last_known(self, entity_id: str) -> Entity | None:
        """The entity as it was believed last, expired or not: for finding out what is wrong, never to trust."""
        known = self._known.get(entity_id)
        return None if known is None else known.entity

    def part_with(self, entity_id: str, superior: str) -> None:
        """Believe `entity_id` no longer on the word of `superior`, who takes it back, until `rejoin`.

        What another superior says of it counts as before: nobody can take away whom they do not vouch for.
        """
        self._parted.add((entity_id, superior))
        known = self._known.get(entity_id)
        if known is not None and superior_of(known.chain) == superior:
            del self._known[entity_id]
            self._shown.pop(entity_id, None)

    def rejoin(self, entity_id: str, superior: str) -> None:
        self._parted.discard((entity_id, superior))

    def take(self, given: RevocationList) -> None:
        """From now on `given` is its issuer's list; who calls has verified it."""
        before = self._lists.get(given.issuer)
        self._lists[given.issuer] = given
        revokes = given.revoked != (Revoked() if before is None else before.revoked)
        if revokes:
            self._shown.clear()
            self._sever()
        self._tell(News(lists=(given.token,), revokes=revokes))

    def saw(self, entity_id: str, kid: str) -> None:
        """`entity_id` speaks over a connection under this TLS key, its own or its CA's."""
        kids = self._channels.setdefault(entity_id, {})
        kids[kid] = None
        if len(kids) > MAX_CHANNELS:
            del kids[next(iter(kids))]

    def severed(self) -> dict[str, IsthmusError]:
        """Entities of which a TLS key that they were speaking under was revoked, since this was last asked."""
        severed, self._severed = self._severed, {}
        return severed

    def list_of(self, issuer: str) -> RevocationList | None:
        return self._lists.get(issuer)

    def lists(self) -> list[RevocationList]:
        return [self._lists[issuer] for issuer in sorted(self._lists)]

    def chains(self) -> list[tuple[str, ...]]:
        """The chains of all that are believed now, by entity ID."""
        return [self._known[entity.entity_id].chain for entity in self.entities()]

    def entity(self, entity_id: str) -> Entity | None:
        """The entity, without its revoked keys and CAs, if its chain has not expired and it still stands."""
        known = self._known.get(entity_id)
        if known is None or self._clock() >= known.entity.expires_at or self.withdrawn(entity_id) is not None:
            return None
        if entity_id not in self._shown:
            self._shown[entity_id] = self._without_revoked(known.entity)
        return self._shown[entity_id]

    def entities(self) -> list[Entity]:
        """All that are believed now, by entity ID."""
        return [entity for entity in map(self.entity, sorted(self._known)) if entity is not None]

    def withdrawn(self, entity_id: str) -> IsthmusError | None:
        """That the entity, or a key that signed its chain, was revoked."""
        if (by := self.standing.entity(entity_id)) is not None:
            return revoked_error(entity_id, entity_id, by)
        known = self._known.get(entity_id)
        for issuer, kid in () if known is None else known.signers:
            if (by := self.standing.key(issuer, kid)) is not None:
                whose = f"of {issuer}" if issuer == entity_id else f"of {issuer}, which vouches for {entity_id},"
                return revoked_error(f"the federation key {kid} {whose}", entity_id, by)
        return None

    def objection(self, entity_id: str) -> IsthmusError | None:
        """Why no session begins with an entity that is believed: a rulebook, or its own word."""
        entity = self.entity(entity_id)
        return None if entity is None else objection(entity, self.rulebooks.of(entity.anchor), self._clock())

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
        use = profile_of(typ).signed_with
        if use is KeyUse.REVOCATIONS:
            found = self._revocation_keys(issuer, kid)
        else:
            entity = self.entity(issuer)
            found = [] if entity is None or use is None else [key for key in entity.keys(use) if key.kid == kid]
        if not found:
            if (by := self.standing.key(issuer, kid)) is not None:
                raise TokenProblem(Problem.REVOKED, f"key {kid} of {issuer}, by {by}")
            if use is not KeyUse.REVOCATIONS and (withdrawn := self.withdrawn(issuer)) is not None:
                raise TokenProblem(Problem.REVOKED, withdrawn.public)
        return found

    def token_revoked(self, issuer: str, jti: str) -> bool:
        return self.standing.token(issuer, jti) is not None

    def _revocation_keys(self, issuer: str, kid: str) -> list[Jwk]:
        """An anchor's are pinned. A space that was revoked, or whose federation key was, still revokes: it may have
        more to take back, and the anchor pins these keys of it."""
        pinned = [key for anchor in self.anchors if anchor.entity_id == issuer for key in anchor.revocation_keys]
        known = self._known.get(issuer)
        if known is not None and self._clock() < known.entity.expires_at:
            pinned += known.entity.revocation_keys
        found = {key for key in pinned if key.kid == kid and self.standing.key(issuer, kid) is None}
        return list(found)

    def _without_revoked(self, entity: Entity) -> Entity:
        def stands(kid: str) -> bool:
            return self.standing.key(entity.entity_id, kid) is None

        def standing(keys: tuple[Jwk, ...]) -> tuple[Jwk, ...]:
            return tuple(key for key in keys if stands(key.kid))

        if not any(given.revoked.kids for given in self.standing.over(entity.entity_id)):
            return entity
        return replace(
            entity,
            federation_keys=standing(entity.federation_keys),
            token_keys=standing(entity.token_keys),
            contract_keys=standing(entity.contract_keys),
            revocation_keys=standing(entity.revocation_keys),
            tls_ca=without_revoked(entity.tls_ca.encode(), lambda kid: not stands(kid)).decode(),
        )

    def _sever(self) -> None:
        for entity_id, kids in self._channels.items():
            for kid in list(kids):
                if (by := self.standing.key(entity_id, kid)) is not None:
                    del kids[kid]
                    self._severed[entity_id] = revoked_error(f"the TLS key {kid} of {entity_id}", entity_id, by)

    def _tell(self, news: News) -> None:
        for hear in self._followers:
            hear(news)


def _parsed(statement: str) -> CompactJws:
    return parse_compact(statement, MAX_CHAIN_BYTES)


def _subject(chain: Sequence[str]) -> str:
    """Whom a chain says it is about, before it is verified."""
    return str(_parsed(chain[0]).claims.get("sub")) if chain else ""


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
