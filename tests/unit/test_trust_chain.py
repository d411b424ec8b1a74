"""Chains of statements against abuse case 11, and what a good one yields."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from gateway.domain.identity import Anchor, Entity, parse_entity_id
from gateway.edges.federation import SUBORDINATE_LIFETIME, entity_configuration, subordinate_statement
from gateway.edges.keys import SigningKey, new_signing_key
from gateway.edges.tokens import signature_holds
from gateway.rules.gateway_metadata import ENTITY_TYPE
from gateway.rules.jose import Problem, TokenProblem, parse_compact
from gateway.rules.jwks import jwk_set
from gateway.rules.trust import verify_chain
from tests.unit.trust_kit import (
    ANCHOR,
    CARE,
    NOW,
    POLICE,
    Absent,
    Space,
    anchor_of,
    chain_of,
    configuration_of,
    forge,
    header_of,
    new_space,
)

DAY = 86400
TYP = "entity-statement+jwt"
CARE_SPACE: Space = new_space(CARE)
POLICE_SPACE: Space = new_space(POLICE)
ANCHOR_KEY = new_signing_key()
GOOD = chain_of(CARE_SPACE, ANCHOR_KEY)


def judge(chain: Sequence[str], anchors: Sequence[Anchor] = (anchor_of(ANCHOR_KEY),), now: int = NOW) -> Entity:
    return verify_chain(chain, anchors, now, signature_holds)


def refused(chain: Sequence[str], anchors: Sequence[Anchor] = (anchor_of(ANCHOR_KEY),), now: int = NOW) -> TokenProblem:
    with pytest.raises(TokenProblem) as caught:
        judge(chain, anchors, now)
    return caught.value


def restated(which: int, key: SigningKey | None = None, **changes: Any) -> list[str]:
    """The good chain with some claims of one statement changed, and rightly signed again."""
    signer = key or (CARE_SPACE.federation, ANCHOR_KEY)[which]
    claims = {**parse_compact(GOOD[which], 65536).claims, **changes}
    claims = {name: value for name, value in claims.items() if value is not Absent}
    chain = list(GOOD)
    chain[which] = forge(header_of(TYP, signer), claims, signer.secret)
    return chain


def with_policy(policy: dict[str, Any], **claims: Any) -> list[str]:
    return restated(1, metadata_policy={ENTITY_TYPE: policy}, **claims)


def test_a_good_chain_yields_the_entity_until_its_first_statement_expires() -> None:
    entity = judge(GOOD)
    assert entity == Entity(
        entity_id=CARE,
        operator="Care Organisations",
        operator_group="care",
        affiliates=("Shelter Foundation",),
        jurisdiction="NL",
        endpoint="127.0.0.1:7443",
        federation_keys=(CARE_SPACE.federation.jwk,),
        token_keys=(CARE_SPACE.tokens.jwk,),
        contract_keys=(CARE_SPACE.contracts.jwk,),
        revocation_keys=(CARE_SPACE.revocations.jwk,),
        tls_ca=CARE_SPACE.authority.certificate_pem.decode(),
        seats=1,
        issued_at=NOW,
        expires_at=NOW + DAY,
        anchor=ANCHOR,
    )
    short = subordinate_statement(ANCHOR, CARE, [CARE_SPACE.federation.jwk], ANCHOR_KEY, NOW, lifetime=60)
    assert judge([GOOD[0], short]).expires_at == NOW + 60


# 11: who vouches ----------------------------------------------------------------------------------


def test_11_an_anchor_that_is_not_pinned_is_refused() -> None:
    assert refused(GOOD, anchors=[]).problem is Problem.CHAIN
    elsewhere = Anchor(parse_entity_id("https://other.example"), (ANCHOR_KEY.jwk,), (CARE,))
    assert refused(GOOD, anchors=[elsewhere]).problem is Problem.CHAIN


def test_11_an_anchor_is_pinned_by_its_key_not_by_its_name() -> None:
    attacker = new_signing_key()
    assert refused(chain_of(CARE_SPACE, attacker)).problem is Problem.CHAIN
    posing = forge({**header_of(TYP, ANCHOR_KEY)}, parse_compact(GOOD[1], 65536).claims, attacker.secret)
    assert refused([GOOD[0], posing]).problem is Problem.SIGNATURE


@pytest.mark.parametrize("prefix", ["https://police.example", "https://care.exampl", "https://care.example/nl"])
def test_11_an_anchor_vouches_only_within_its_prefixes(prefix: str) -> None:
    assert refused(GOOD, [anchor_of(ANCHOR_KEY, parse_entity_id(prefix))]).problem is Problem.CHAIN


def test_11_a_name_that_only_begins_like_a_prefix_is_outside_it() -> None:
    evil = new_space(parse_entity_id("https://care.example.evil"))
    assert "may not vouch" in refused(chain_of(evil, ANCHOR_KEY)).private


def test_11_two_anchors_each_vouch_for_their_own() -> None:
    second_key, second = new_signing_key(), parse_entity_id("https://second.example")
    anchors = [anchor_of(ANCHOR_KEY, CARE), Anchor(second, (second_key.jwk,), (POLICE,))]

    def from_second(space: Space) -> list[str]:
        keys = [space.federation.jwk]
        statement = subordinate_statement(second, space.entity_id, keys, second_key, NOW)
        return [configuration_of(space, hint=second), statement]

    assert judge(GOOD, anchors).entity_id == CARE
    assert judge(from_second(POLICE_SPACE), anchors).entity_id == POLICE
    refused(from_second(CARE_SPACE), anchors)
    refused(chain_of(POLICE_SPACE, ANCHOR_KEY), anchors)


def test_11_an_anchors_keys_overlap_while_one_is_rotated() -> None:
    new = new_signing_key()
    anchor = Anchor(ANCHOR, (ANCHOR_KEY.jwk, new.jwk), (CARE,))
    for key in (ANCHOR_KEY, new):
        assert judge(chain_of(CARE_SPACE, key), [anchor]).entity_id == CARE


# 11: about whom -----------------------------------------------------------------------------------


def test_11_a_swapped_subject_is_refused() -> None:
    refused([GOOD[0], chain_of(POLICE_SPACE, ANCHOR_KEY)[1]])
    refused([chain_of(POLICE_SPACE, ANCHOR_KEY)[0], GOOD[1]])
    refused(restated(1, sub=POLICE))
    refused(restated(0, sub=POLICE))
    refused(restated(0, iss=POLICE, sub=POLICE))


def test_11_nobody_vouches_for_itself_not_even_an_anchor() -> None:
    own = entity_configuration(ANCHOR, CARE_SPACE.metadata(), [ANCHOR], ANCHOR_KEY, NOW)
    assert "vouches for itself" in refused([own, own], [anchor_of(ANCHOR_KEY, ANCHOR)]).private


def test_11_a_chain_that_runs_in_a_circle_is_refused() -> None:
    """Two that vouch for each other, one of them pinned: it would lengthen the other's word without end."""
    middle, middle_key = parse_entity_id("https://middle.example"), new_signing_key()
    own = entity_configuration(ANCHOR, CARE_SPACE.metadata(), [middle], ANCHOR_KEY, NOW)
    up = subordinate_statement(middle, ANCHOR, [ANCHOR_KEY.jwk], middle_key, NOW)
    down = subordinate_statement(ANCHOR, middle, [middle_key.jwk], ANCHOR_KEY, NOW)
    leaf = entity_configuration(CARE, CARE_SPACE.metadata(), [ANCHOR], CARE_SPACE.federation, NOW)
    about = subordinate_statement(ANCHOR, CARE, [CARE_SPACE.federation.jwk], ANCHOR_KEY, NOW)
    anchors = [anchor_of(ANCHOR_KEY, ANCHOR, CARE, middle)]
    for chain in ([own, up, down], [leaf, about, up, down]):
        with pytest.raises(TokenProblem) as caught:
            judge(chain, anchors)
        assert "circle" in caught.value.private


def test_11_a_leaf_whose_key_nobody_vouches_for_is_refused() -> None:
    own = new_signing_key()
    refused(restated(0, key=own, jwks=jwk_set((own.jwk,))))
    refused(restated(0, jwks=jwk_set((own.jwk,))))  # vouched for, but not its own any more
    refused(restated(1, jwks=jwk_set((own.jwk,))))


def test_11_a_key_the_leaf_adds_by_itself_is_not_yet_believed() -> None:
    coming = new_signing_key()
    chain = restated(0, jwks=jwk_set((CARE_SPACE.federation.jwk, coming.jwk)))
    assert judge(chain).federation_keys == (CARE_SPACE.federation.jwk,)


@pytest.mark.parametrize(
    "hints",
    [
        Absent,
        [],
        [POLICE],
        ["https://a.example"] * 9,
        [ANCHOR] * 9,
        [f"https://a{n}.example" for n in range(500)],
        ANCHOR,
        ["https://anchor.example/"],
        {ANCHOR: 1},
        [ANCHOR, 1],
        [None],
    ],
)
def test_11_hints_that_are_missing_wrong_or_by_the_hundred_are_refused(hints: object) -> None:
    assert refused(restated(0, authority_hints=hints)).problem is Problem.CHAIN


def test_11_chains_of_the_wrong_length_are_refused() -> None:
    for chain in ([], GOOD[:1], GOOD[1:], [GOOD[0], GOOD[1], GOOD[1]], [GOOD[0]] * 9, GOOD[::-1]):
        refused(chain)
    assert "longer than" in refused([GOOD[0], "x" * 70_000]).private


# 11: times ----------------------------------------------------------------------------------------


def test_11_a_leaf_lives_a_day_and_a_subordinate_thirty() -> None:
    assert refused(restated(0, exp=NOW + DAY + 1)).problem is Problem.LIFETIME
    assert refused(restated(1, exp=NOW + 30 * DAY + 1)).problem is Problem.LIFETIME
    assert judge(GOOD, now=NOW + DAY).expires_at == NOW + DAY
    assert refused(GOOD, now=NOW + DAY + 5).problem is Problem.TIMES
    assert refused(GOOD, now=NOW - 6).problem is Problem.TIMES
    late = [configuration_of(CARE_SPACE, NOW + SUBORDINATE_LIFETIME - 10), GOOD[1]]
    assert judge(late, now=NOW + SUBORDINATE_LIFETIME - 10).expires_at == NOW + SUBORDINATE_LIFETIME
    assert refused(late, now=NOW + SUBORDINATE_LIFETIME + 5).problem is Problem.TIMES


# 11: policies and constraints ---------------------------------------------------------------------


def test_11_a_policy_sets_a_value_and_admits_what_it_lists() -> None:
    policy = {
        "operator_group": {"value": "care-nl"},
        "jurisdiction": {"one_of": ["NL", "RO"]},
        "affiliates": {"subset_of": ["Shelter Foundation", "Other"]},
    }
    assert judge(with_policy(policy)).operator_group == "care-nl"


@pytest.mark.parametrize(
    "policy",
    [
        {"jurisdiction": {"one_of": ["RO"]}},
        {"affiliates": {"subset_of": ["Other"]}},
        {"seats": {"one_of": [True]}},
        {"operator": {"value": None}},
        {"seats": {"value": 2, "one_of": [1]}},
        {"seats": {"one_of": []}},
        {"seats": {"one_of": 1}},
        {"operator": {"subset_of": ["Care Organisations"]}, "jurisdiction": {"subset_of": ["NL"]}},
        {"affiliates": {"add": ["x"]}},
        {"affiliates": {"superset_of": ["x"]}},
        {"seats": {"default": 1}},
        {"seats": {"essential": True}},
        {"seats": [1]},
        [],
    ],
)
def test_11_a_policy_that_is_broken_or_beyond_us_refuses(policy: Any) -> None:
    assert refused(with_policy(policy)).problem is Problem.POLICY


def test_11_an_unknown_operator_refuses_if_it_is_critical_and_only_then() -> None:
    policy = {"seats": {"regexp": "1"}}
    assert judge(with_policy(policy)).seats == 1
    assert refused(with_policy(policy, metadata_policy_crit=["regexp"])).problem is Problem.POLICY
    assert refused(restated(1, metadata_policy_crit=["regexp"])).problem is Problem.POLICY
    for critical in ("value", {"value": 1}, [["value"]], [1]):
        assert refused(restated(1, metadata_policy_crit=critical)).problem is Problem.POLICY
    assert refused(restated(1, metadata_policy=[])).problem is Problem.POLICY


@pytest.mark.parametrize(
    "constraints",
    [
        {"max_path_length": -1},
        {"max_path_length": True},
        {"max_path_length": "0"},
        {"naming_constraints": {"permitted": ["police.example"]}},
        {"naming_constraints": {"permitted": []}},
        {"naming_constraints": {"excluded": ["care.example"]}},
        {"naming_constraints": {"excluded": [".example"]}},
        {"naming_constraints": {"excluded": [""]}},
        {"naming_constraints": {"other": []}},
        {"naming_constraints": []},
        {"naming_constraints": {"permitted": {"care.example": 1}}},
        {"naming_constraints": {"permitted": ["care.example", 1]}},
        {"allowed_entity_types": ["openid_provider"]},
        {"allowed_entity_types": ENTITY_TYPE},
        {"unknown": 1},
        [],
    ],
)
def test_11_a_broken_constraint_refuses(constraints: object) -> None:
    assert refused(restated(1, constraints=constraints)).problem is Problem.CHAIN


def test_11_kept_constraints_pass() -> None:
    constraints = {
        "max_path_length": 0,
        "naming_constraints": {"permitted": [".example"], "excluded": ["police.example"]},
        "allowed_entity_types": [ENTITY_TYPE],
    }
    assert judge(restated(1, constraints=constraints)).entity_id == CARE


@pytest.mark.parametrize("which", [0, 1])
def test_11_claims_called_critical_and_audiences_refuse(which: int) -> None:
    refused(restated(which, crit=["new"]))
    refused(restated(which, aud=CARE))


def test_11_a_superior_that_overrides_metadata_is_refused_rather_than_ignored() -> None:
    refused(restated(1, metadata={ENTITY_TYPE: {"seats": 0}}))


def test_05_other_tokens_are_no_statements() -> None:
    claims = parse_compact(GOOD[0], 65536).claims
    key = CARE_SPACE.federation
    refused([forge(header_of("at+jwt", key), claims, key.secret), GOOD[1]])
    refused([forge({**header_of(TYP, key), "trust_chain": GOOD}, claims, key.secret), GOOD[1]])
