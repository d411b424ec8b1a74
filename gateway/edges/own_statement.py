"""What this space says of itself, from its configuration and its rings of keys."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.config import GatewayConfig
from gateway.domain.identity import EntityId
from gateway.domain.rulebook import OwnWord
from gateway.edges.federation import entity_configuration
from gateway.edges.rulebooks import OwnWordFile
from gateway.edges.space_keys import SpaceKeys, public
from gateway.rules.gateway_metadata import GatewayMetadata


def own_statement(
    settings: GatewayConfig, keys: SpaceKeys, hints: Sequence[EntityId], now: int, word: OwnWord | None = None
) -> str:
    """The entity configuration, made at `now`; `hints` are the superiors, `word` is what the file beside their
    statement says unless it is given."""
    metadata = GatewayMetadata(
        endpoint=settings.endpoint,
        operator=settings.operator.name,
        operator_group=settings.operator.group,
        affiliates=tuple(settings.operator.affiliates),
        jurisdiction=settings.operator.jurisdiction,
        token_keys=public(keys.token.published()),
        contract_keys=public(keys.contract.published()),
        revocation_keys=public(keys.revocation.published()),
        tls_ca=keys.authorities().decode(),
        seats=settings.operator.seats,
        word=OwnWordFile.beside(settings.statement).read() if word is None else word,
    )
    federation_key = keys.federation.active()
    further = [jwk for jwk in public(keys.federation.published()) if jwk != federation_key.jwk]
    return entity_configuration(settings.entity, metadata, hints, federation_key, now, further_keys=further)
