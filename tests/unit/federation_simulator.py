"""A federation of any depth in memory, with any defect: real keys, real signatures, statements as bytes.

Positions count as in a chain: 0 is the leaf's own configuration, 1 the statement about it, the last one the
anchor's. A defect is an edit of the claims at a position, another signer, or other header parameters; everything
that is not edited is right, so what is refused is refused for the edit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.domain.identity import Anchor, Entity, EntityId, parse_entity_id
from gateway.edges.federation import entity_configuration, subordinate_statement
from gateway.edges.keys import SigningKey, new_signing_key
from gateway.edges.tokens import signature_holds
from gateway.rules.gateway_metadata import ENTITY_TYPE
from gateway.rules.jose import parse_compact
from gateway.rules.trust import verify_chain
from tests.unit.trust_kit import ANCHOR, CARE, NOW, Space, forge, header_of, new_space

Claims = dict[str, Any]
Edit = Callable[[Claims], object]
TYP = "entity-statement+jwt"


@dataclass
class Simulator:
    """`depth` statements above the leaf: `depth` - 1 intermediates between it and the anchor."""

    depth: int
    leaf: Space = field(default_factory=lambda: new_space(CARE))
    anchor_id: EntityId = ANCHOR
    anchor_key: SigningKey = field(default_factory=new_signing_key)
    intermediates: list[tuple[EntityId, SigningKey]] = field(default_factory=list)

    def __post_init__(self) -> None:
        while len(self.intermediates) < self.depth - 1:
            name = parse_entity_id(f"https://middle{len(self.intermediates) + 1}.example")
            self.intermediates.append((name, new_signing_key()))

    @property
    def superiors(self) -> list[tuple[EntityId, SigningKey]]:
        """From the one that vouches for the leaf up to the anchor."""
        return [*self.intermediates, (self.anchor_id, self.anchor_key)]

    @property
    def anchor(self) -> Anchor:
        names = (self.leaf.entity_id, *(name for name, _ in self.intermediates))
        return Anchor(self.anchor_id, (self.anchor_key.jwk,), names)

    def claims(self, now: int = NOW) -> list[Claims]:
        """What each statement says when nothing is wrong with it."""
        superiors = self.superiors
        nearest = superiors[0][0]
        own = entity_configuration(self.leaf.entity_id, self.leaf.metadata(), [nearest], self.leaf.federation, now)
        compacts, subject, key = [own], self.leaf.entity_id, self.leaf.federation
        for name, signer in superiors:
            compacts.append(subordinate_statement(name, subject, [key.jwk], signer, now))
            subject, key = name, signer
        return [parse_compact(compact, 65536).claims for compact in compacts]

    def chain(
        self,
        edits: Mapping[int, Edit] | None = None,
        signers: Mapping[int, SigningKey] | None = None,
        headers: Mapping[int, Mapping[str, Any]] | None = None,
        now: int = NOW,
    ) -> list[str]:
        keys = [self.leaf.federation, *(key for _, key in self.superiors)]
        chain = []
        for position, claims in enumerate(self.claims(now)):
            (edits or {}).get(position, lambda claims: None)(claims)
            signer = (signers or {}).get(position, keys[position])
            header = {**header_of(TYP, keys[position]), **(headers or {}).get(position, {})}
            chain.append(forge(header, claims, signer.secret))
        return chain

    def judge(self, chain: list[str], now: int = NOW, *anchors: Anchor) -> Entity:
        return verify_chain(chain, anchors or (self.anchor,), now, signature_holds)


def setting(**changes: Any) -> Edit:
    return lambda claims: claims.update(changes)


def without(name: str) -> Edit:
    return lambda claims: claims.pop(name)


def policy(**parameters: Any) -> Edit:
    """A metadata policy for gateways: parameter = {operator: operand}."""
    return setting(metadata_policy={ENTITY_TYPE: parameters})
