"""Chains with an intermediate, which only a greater depth admits: it narrows and never widens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gateway.domain.identity import Anchor, Entity, EntityId, parse_entity_id
from gateway.edges.federation import entity_configuration, subordinate_statement
from gateway.edges.keys import new_signing_key
from gateway.edges.tokens import sign, signature_holds
from gateway.rules.gateway_metadata import ENTITY_TYPE
from gateway.rules.jose import TokenProblem, parse_compact
from gateway.rules.trust import verify_chain
from tests.unit.trust_kit import ANCHOR, CARE, NOW, Space, anchor_of, new_space

TYP = "entity-statement+jwt"
CARE_SPACE: Space = new_space(CARE)
ANCHOR_KEY = new_signing_key()


def deep(
    change_middle: Callable[[dict[str, Any]], None] = lambda claims: None,
    change_top: Callable[[dict[str, Any]], None] = lambda claims: None,
) -> list[str]:
    """Leaf, an intermediate's statement about it, the anchor's about the intermediate."""
    middle_id: EntityId = parse_entity_id("https://middle.example")
    middle_key = new_signing_key()
    leaf = entity_configuration(CARE, CARE_SPACE.metadata(), [middle_id], CARE_SPACE.federation, NOW)
    middle = parse_compact(
        subordinate_statement(middle_id, CARE, [CARE_SPACE.federation.jwk], middle_key, NOW), 65536
    ).claims
    top = parse_compact(subordinate_statement(ANCHOR, middle_id, [middle_key.jwk], ANCHOR_KEY, NOW), 65536).claims
    change_middle(middle)
    change_top(top)
    return [leaf, sign(TYP, middle, middle_key), sign(TYP, top, ANCHOR_KEY)]


DEEP_ANCHOR = anchor_of(ANCHOR_KEY, CARE, parse_entity_id("https://middle.example"))


def judge(chain: list[str], anchor: Anchor = DEEP_ANCHOR, depth: int = 3) -> Entity:
    return verify_chain(chain, [anchor], NOW, signature_holds, max_depth=depth)


def test_an_intermediate_is_refused_unless_depth_admits_it() -> None:
    assert judge(deep()).entity_id == CARE
    with pytest.raises(TokenProblem):
        judge(deep(), depth=1)


def test_an_intermediate_narrows_and_never_widens() -> None:
    def policy(operators: dict[str, Any]) -> Callable[[dict[str, Any]], None]:
        return lambda claims: claims.update(metadata_policy={ENTITY_TYPE: {"jurisdiction": operators}})

    both = deep(policy({"one_of": ["NL", "RO"]}), policy({"one_of": ["NL"]}))
    assert judge(both).jurisdiction == "NL"
    for middle, top in (
        (policy({"one_of": ["NL"]}), policy({"one_of": ["RO"]})),
        (policy({"one_of": ["NL", "RO"]}), policy({"one_of": ["RO"]})),
        (policy({"value": "NL"}), policy({"value": "RO"})),
        (policy({"value": "NL"}), policy({"one_of": ["RO"]})),
        (lambda claims: None, lambda claims: claims.update(constraints={"max_path_length": 0})),
    ):
        with pytest.raises(TokenProblem):
            judge(deep(middle, top))


def test_an_intermediate_outside_the_anchors_prefixes_is_refused() -> None:
    with pytest.raises(TokenProblem):
        judge(deep(), anchor=anchor_of(ANCHOR_KEY, CARE))
