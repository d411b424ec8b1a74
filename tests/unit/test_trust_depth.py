"""Chains of every admitted depth: each statement counts, wherever it stands, and the first to expire ends all."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.domain.identity import Anchor, parse_entity_id
from gateway.edges.federation import Federation
from gateway.edges.keys import new_signing_key
from gateway.rules.jose import Problem, TokenProblem
from gateway.rules.jwks import jwk_set
from tests.unit.federation_simulator import Edit, Simulator, policy, setting, without
from tests.unit.trust_kit import ANCHOR, CARE, NOW, POLICE, StoppedClock

DAY = 86400
DEPTHS = {depth: Simulator(depth) for depth in (1, 2, 3, 4)}
POSITIONS = [(depth, position) for depth in (1, 2, 3) for position in range(depth + 1)]
SUPERIORS = [(depth, position) for depth, position in POSITIONS if position]
DEEP = DEPTHS[3]
MIDDLE1, MIDDLE2 = (name for name, _ in DEEP.intermediates)


def refused(simulator: Simulator, chain: list[str], now: int = NOW, *anchors: Anchor) -> TokenProblem:
    with pytest.raises(TokenProblem) as caught:
        simulator.judge(chain, now, *anchors)
    return caught.value


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_up_to_three_statements_above_the_leaf_are_believed(depth: int) -> None:
    simulator = DEPTHS[depth]
    entity = simulator.judge(simulator.chain())
    assert (entity.entity_id, entity.anchor, entity.expires_at) == (CARE, ANCHOR, NOW + DAY)
    assert entity.token_keys == (simulator.leaf.tokens.jwk,)


def test_a_fourth_is_one_too_many_and_a_chain_has_at_most_64_kib() -> None:
    assert "5 statements" in refused(DEPTHS[4], DEPTHS[4].chain()).private
    padded = DEEP.chain({2: setting(ignored="x" * 48_000)})
    assert sum(map(len, padded)) > 64 * 1024
    assert "longer than" in refused(DEEP, padded).private
    assert DEEP.judge(DEEP.chain({2: setting(ignored="x" * 30_000)})).entity_id == CARE


@pytest.mark.parametrize(("depth", "position"), POSITIONS)
def test_a_statement_signed_by_someone_else_breaks_the_chain_wherever_it_stands(depth: int, position: int) -> None:
    simulator, stranger = DEPTHS[depth], new_signing_key()
    assert refused(simulator, simulator.chain(signers={position: stranger})).problem is Problem.SIGNATURE
    named = simulator.chain(signers={position: stranger}, headers={position: {"kid": stranger.kid}})
    assert refused(simulator, named).problem is Problem.CHAIN


@pytest.mark.parametrize(("depth", "position"), POSITIONS)
def test_a_chain_ends_with_the_first_of_its_statements(depth: int, position: int) -> None:
    simulator = DEPTHS[depth]
    chain = simulator.chain({position: setting(exp=NOW + 60)})
    assert simulator.judge(chain).expires_at == NOW + 60
    assert refused(simulator, chain, NOW + 65).problem is Problem.TIMES


@pytest.mark.parametrize(("depth", "position"), POSITIONS)
@pytest.mark.parametrize(
    "edit",
    [
        setting(iat=str(NOW)),
        setting(exp=True),
        setting(exp=float(NOW + 60)),
        without("exp"),
        setting(iat=NOW + 6),
        setting(exp=NOW + 31 * DAY),
        setting(aud=CARE),
        setting(crit=["anything"]),
        without("jwks"),
        setting(jwks={"keys": []}),
        setting(sub="https://someone.example"),
        setting(iss="https://someone.example"),
        setting(nbf=NOW + 60),
    ],
)
def test_each_statement_keeps_every_rule_of_statements(depth: int, position: int, edit: Edit) -> None:
    simulator = DEPTHS[depth]
    refused(simulator, simulator.chain({position: edit}))


@pytest.mark.parametrize(("depth", "position"), POSITIONS)
@pytest.mark.parametrize("header", [{"typ": "JWT"}, {"alg": "ES256"}, {"trust_chain": ["x"]}, {"jwk": {}}])
def test_each_statement_keeps_every_rule_of_headers(depth: int, position: int, header: dict[str, Any]) -> None:
    simulator = DEPTHS[depth]
    refused(simulator, simulator.chain(headers={position: header}))


def test_claims_stand_only_in_the_kind_of_statement_that_section_3_1_gives_them() -> None:
    for name, value in (("metadata_policy", {}), ("metadata_policy_crit", []), ("constraints", {})):
        assert "section 3.1" in refused(DEEP, DEEP.chain({0: setting(**{name: value})})).private
    for position in (1, 2, 3):
        assert "section 3.1" in refused(DEEP, DEEP.chain({position: setting(authority_hints=[])})).private


# Constraints and names ----------------------------------------------------------------------------


@pytest.mark.parametrize(("depth", "position"), SUPERIORS)
def test_a_path_may_be_as_long_as_every_superior_allows(depth: int, position: int) -> None:
    """Section 6.2.1: intermediates between whoever sets it and the leaf."""
    simulator, between = DEPTHS[depth], position - 1
    for length in (between, between + 1):
        assert simulator.judge(simulator.chain({position: setting(constraints={"max_path_length": length})}))
    if between:
        shorter = simulator.chain({position: setting(constraints={"max_path_length": between - 1})})
        assert "intermediates" in refused(simulator, shorter).private


@pytest.mark.parametrize("position", [1, 2, 3])
def test_names_are_constrained_for_everyone_below(position: int) -> None:
    """Section 6.2.2 over RFC 5280 section 4.2.1.10: all subjects below whoever sets it."""
    below = ["care.example", "middle1.example", "middle2.example"][:position]
    kept = setting(constraints={"naming_constraints": {"permitted": below}})
    assert DEEP.judge(DEEP.chain({position: kept}))
    for host in below:
        excluded = setting(constraints={"naming_constraints": {"excluded": [host]}})
        assert "excludes" in refused(DEEP, DEEP.chain({position: excluded})).private
        others = [name for name in below if name != host]
        permitted = setting(constraints={"naming_constraints": {"permitted": others}})
        assert "does not permit" in refused(DEEP, DEEP.chain({position: permitted})).private
    both = {"permitted": [".example", *below], "excluded": ["care.example"]}
    assert (
        "excludes" in refused(DEEP, DEEP.chain({position: setting(constraints={"naming_constraints": both})})).private
    )


def test_a_leading_period_means_hosts_below_and_not_the_host_itself() -> None:
    for pattern, passes in ((".example", True), (".care.example", False), ("example", False), ("CARE.example", True)):
        chain = DEPTHS[1].chain({1: setting(constraints={"naming_constraints": {"permitted": [pattern]}})})
        if passes:
            assert DEPTHS[1].judge(chain)
        else:
            refused(DEPTHS[1], chain)


@pytest.mark.parametrize("position", [1, 2, 3])
def test_a_kind_of_entity_that_a_superior_does_not_allow_is_refused(position: int) -> None:
    types = {"allowed_entity_types": ["openid_provider"]}
    assert "does not allow" in refused(DEEP, DEEP.chain({position: setting(constraints=types)})).private


@pytest.mark.parametrize("outside", [CARE, MIDDLE1, MIDDLE2])
def test_an_anchor_vouches_for_nobody_outside_its_prefixes_however_deep(outside: str) -> None:
    prefixes = tuple(name for name in (CARE, MIDDLE1, MIDDLE2) if name != outside)
    narrower = Anchor(ANCHOR, (DEEP.anchor_key.jwk,), prefixes)
    assert "may not vouch" in refused(DEEP, DEEP.chain(), NOW, narrower).private


def test_a_chain_in_another_order_or_with_a_gap_is_refused() -> None:
    chain = DEEP.chain()
    for other in (
        [chain[0], chain[2], chain[3]],
        [chain[0], chain[1], chain[3]],
        [chain[0], chain[2], chain[1], chain[3]],
    ):
        refused(DEEP, other)
    refused(DEEP, chain[:3])


# Policies along the chain -------------------------------------------------------------------------


def test_every_superiors_policy_applies_and_none_widens_anothers() -> None:
    narrowing = {
        3: policy(jurisdiction={"one_of": ["NL", "RO", "EU"]}, affiliates={"subset_of": ["Shelter Foundation", "B"]}),
        2: policy(jurisdiction={"one_of": ["NL", "RO"]}),
        1: policy(jurisdiction={"one_of": ["NL", "XX"]}, affiliates={"subset_of": ["Shelter Foundation"]}),
    }
    assert DEEP.judge(DEEP.chain(narrowing)).jurisdiction == "NL"
    for position in (1, 2, 3):
        for broken in (
            policy(jurisdiction={"one_of": ["RO"]}),
            policy(affiliates={"subset_of": ["B"]}),
            policy(jurisdiction={"value": "XX"}),
        ):
            assert refused(DEEP, DEEP.chain({**narrowing, position: broken})).problem is Problem.POLICY


@pytest.mark.parametrize("position", [1, 2, 3])
def test_a_pinned_value_holds_against_the_leaf_and_every_superior(position: int) -> None:
    pinned = jwk_set((DEEP.leaf.contracts.jwk,))
    pin = policy(contract_jwks={"value": pinned})
    stranger = new_signing_key()

    def claim_another_key(claims: dict[str, Any]) -> None:
        claims["metadata"]["isthmus_gateway"]["contract_jwks"] = jwk_set((stranger.jwk,))

    entity = DEEP.judge(DEEP.chain({0: claim_another_key, position: pin}))
    assert entity.contract_keys == (DEEP.leaf.contracts.jwk,)
    other = policy(contract_jwks={"value": jwk_set((stranger.jwk,))})
    for elsewhere in {1, 2, 3} - {position}:
        assert refused(DEEP, DEEP.chain({position: pin, elsewhere: other})).problem is Problem.POLICY


@pytest.mark.parametrize(
    ("upper", "lower"),
    [
        ({"one_of": ["NL"]}, {"subset_of": ["NL"]}),
        ({"subset_of": ["NL"]}, {"one_of": ["NL"]}),
        ({"value": "NL"}, {"subset_of": ["NL"]}),
        ({"value": "RO"}, {"one_of": ["NL"]}),
        ({"value": True}, {"value": 1}),
        ({"value": [[True]]}, {"value": [[1]]}),
        ({"value": {"a": 1}}, {"value": {"a": True}}),
        ({"subset_of": ["A"]}, {"subset_of": ["B"]}),
        ({"one_of": ["NL"] * 257}, {}),
    ],
)
def test_policies_that_do_not_combine_refuse_even_where_the_parameter_is_absent(
    upper: dict[str, Any], lower: dict[str, Any]
) -> None:
    """Section 6.1.3.1 says which operators combine, and section 6.1.4.1 that a failed merge ends the chain."""
    for first, second in ((3, 2), (2, 1), (3, 1)):
        chain = DEEP.chain({first: policy(absent=upper), second: policy(absent=lower)})
        assert refused(DEEP, chain).problem is Problem.POLICY


@pytest.mark.parametrize("position", [1, 2, 3])
def test_a_critical_operator_that_is_unknown_refuses_at_every_height(position: int) -> None:
    critical = DEEP.chain({position: setting(metadata_policy_crit=["regexp"])})
    assert refused(DEEP, critical).problem is Problem.POLICY
    assert DEEP.judge(DEEP.chain({position: policy(seats={"regexp": "1"})})).seats == 1


# Two anchors --------------------------------------------------------------------------------------

OTHER = parse_entity_id("https://other-anchor.example")


def under_both(**changes: Any) -> tuple[Simulator, Simulator]:
    first = Simulator(1)
    return first, Simulator(2, leaf=first.leaf, anchor_id=OTHER, **changes)


def test_an_entity_under_two_anchors_is_believed_by_way_of_either() -> None:
    first, second = under_both()
    clock = StoppedClock()
    federation = Federation([first.anchor, second.anchor], clock)
    shorter = first.chain({1: setting(exp=NOW + 60)})
    assert federation.admit(shorter).anchor == ANCHOR
    assert federation.admit(second.chain()).anchor == OTHER
    clock.now = NOW + 60
    assert federation.entity(CARE) is not None


def test_each_of_two_anchors_stays_within_its_own_names_and_keys() -> None:
    first, second = under_both()
    elsewhere = Anchor(OTHER, (second.anchor_key.jwk,), (POLICE, *(name for name, _ in second.intermediates)))
    anchors = [first.anchor, elsewhere]
    assert first.judge(first.chain(), NOW, *anchors)
    assert "may not vouch" in refused(second, second.chain(), NOW, *anchors).private
    # Nor does the first one's key sign for the second, or the second's for the first.
    crossed = [Anchor(ANCHOR, (second.anchor_key.jwk,), (CARE,)), Anchor(OTHER, (first.anchor_key.jwk,), (CARE,))]
    refused(first, first.chain(), NOW, *crossed)


def test_what_one_anchor_pins_is_not_got_round_by_way_of_the_other() -> None:
    first, second = under_both()
    clock = StoppedClock()
    federation = Federation([first.anchor, second.anchor], clock)
    pinned = policy(
        contract_jwks={"value": jwk_set((first.leaf.contracts.jwk,))},
        revocation_jwks={"value": jwk_set((first.leaf.revocations.jwk,))},
    )
    federation.admit(first.chain({1: pinned}))

    for name in ("contract_jwks", "revocation_jwks"):
        forged = {name: jwk_set((new_signing_key().jwk,))}

        def claim(claims: dict[str, Any], forged: dict[str, Any] = forged) -> None:
            claims["metadata"]["isthmus_gateway"].update(forged)
            claims["iat"] += 1

        around = second.chain({0: claim})
        with pytest.raises(TokenProblem) as caught:
            federation.admit(around)
        assert caught.value.problem is Problem.POLICY
        entity = federation.entity(CARE)
        assert entity is not None
        assert entity.contract_keys == (first.leaf.contracts.jwk,)
    federation.admit(second.chain())  # the same keys by way of the other are no harm
    clock.now = NOW + DAY
    federation.admit(second.chain({0: lambda claims: None}, now=NOW + DAY))
