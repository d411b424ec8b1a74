"""The directory of believed entities: whose key, for what, until when."""

from __future__ import annotations

import pytest

from gateway.edges.federation import Federation
from gateway.edges.keys import new_signing_key
from gateway.edges.tokens import sign
from gateway.rules.jose import Problem, TokenProblem
from tests.unit.trust_kit import (
    CARE,
    NOW,
    POLICE,
    SESSION,
    StoppedClock,
    anchor_of,
    approval_claims,
    chain_of,
    new_bench,
    new_space,
)

DAY = 86400


def test_each_key_is_found_for_its_own_issuer_and_kinds_of_token_only() -> None:
    bench = new_bench()
    kinds = {
        "federation": ["entity-statement+jwt"],
        "tokens": ["at+jwt", "isthmus-request+jwt", "isthmus-contract+jwt"],
        "contracts": ["isthmus-approval+jwt", "isthmus-receipt+jwt"],
    }
    for use in kinds:
        kid = getattr(bench.care, use).kid
        found = {typ for typs in kinds.values() for typ in typs if bench.federation.keys(CARE, kid, typ) != []}
        assert found == set(kinds[use])
        assert all(bench.federation.keys(POLICE, kid, typ) == [] for typs in kinds.values() for typ in typs)


def test_a_key_expires_with_its_chain() -> None:
    bench = new_bench()
    kid = bench.care.tokens.kid
    bench.clock.now = NOW + DAY - 1
    assert bench.federation.keys(CARE, kid, "at+jwt") == [bench.care.tokens.jwk]
    assert [entity.entity_id for entity in bench.federation.entities()] == [CARE, POLICE]
    bench.clock.now = NOW + DAY
    assert bench.federation.keys(CARE, kid, "at+jwt") == []
    assert bench.federation.entity(CARE) is None
    assert bench.federation.entities() == []


async def test_tokens_of_an_entity_whose_chain_has_expired_are_refused() -> None:
    bench = new_bench()
    later = NOW + DAY
    approval = sign("isthmus-approval+jwt", approval_claims(iat=later, exp=later + 60), bench.police.contracts)
    bench.clock.now = later
    with pytest.raises(TokenProblem) as caught:
        await bench.verifier.verify(approval, "isthmus-approval+jwt", SESSION)
    assert caught.value.problem is Problem.KEY
    bench.federation.admit(chain_of(bench.police, bench.anchor_key, later))
    assert (await bench.verifier.verify(approval, "isthmus-approval+jwt", SESSION)).issuer == POLICE


def test_an_older_statement_never_replaces_a_newer_one() -> None:
    key, clock = new_signing_key(), StoppedClock(NOW + 100)
    federation = Federation([anchor_of(key)], clock)
    old, new = new_space(CARE), new_space(CARE)
    federation.admit(chain_of(new, key, NOW + 100))
    with pytest.raises(TokenProblem):
        federation.admit(chain_of(old, key, NOW))
    assert federation.keys(CARE, new.tokens.kid, "at+jwt") == [new.tokens.jwk]
    assert federation.keys(CARE, old.tokens.kid, "at+jwt") == []


def test_a_refused_chain_changes_nothing() -> None:
    bench = new_bench()
    before = bench.federation.entity(CARE)
    with pytest.raises(TokenProblem):
        bench.federation.admit(chain_of(new_space(CARE), new_signing_key()))
    assert bench.federation.entity(CARE) == before


def test_nobody_has_keys_for_a_typ_without_a_profile() -> None:
    bench = new_bench()
    with pytest.raises(TokenProblem):
        bench.federation.keys(CARE, bench.care.tokens.kid, "JWT")
