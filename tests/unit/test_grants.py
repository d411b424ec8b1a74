"""Rights that only shrink: mapping, intersection, names of people, `act`, and what the gate holds against them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.caller import Rights
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.sign_in import ClaimRule, Grant
from gateway.rules import grants
from gateway.rules.access import SCOPES

NOW = 1_800_000_000
ME = "https://care.example"
ALL = Grant(tuple(sorted(SCOPES)), Rights(("*",), ("*",), ("*",), ("*",)))

lists = st.lists(st.sampled_from(("*", "a", "b", "c")), max_size=3, unique=True).map(tuple)
some_grants = st.builds(
    Grant,
    st.lists(st.sampled_from(sorted(SCOPES)), max_size=3, unique=True).map(tuple),
    st.builds(Rights, lists, lists, lists, lists),
)
names = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=20)
providers = st.from_regex(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?", fullmatch=True)


@given(some_grants, some_grants)
def test_an_intersection_is_covered_by_both_and_loses_nothing_that_both_have(one: Grant, other: Grant) -> None:
    both = grants.intersection(one, other)
    assert grants.is_covered(both, one) and grants.is_covered(both, other)
    for value in ("a", "b", "c", "d"):
        single = Grant((), Rights((value,), (), ()))
        if grants.is_covered(single, one) and grants.is_covered(single, other):
            assert grants.is_covered(single, both)


@given(some_grants)
def test_what_a_token_says_is_read_as_it_was_granted(grant: Grant) -> None:
    assert grants.grant_in(grants.scopes_and_details(grant)) == grant
    assert grants.is_covered(grant, ALL)
    assert not grants.is_covered(ALL, grant) or set(grant.scopes) == SCOPES


@given(names, providers, names, providers)
def test_two_people_never_have_one_name(one: str, at: str, other: str, elsewhere: str) -> None:
    same = grants.person_id(one, at) == grants.person_id(other, elsewhere)
    assert same is ((one, at) == (other, elsewhere))
    assert grants.provider_of(grants.person_id(one, at)) == at


@pytest.mark.parametrize("name", ["", "a b", "a\n", "é", "a" * 161, None, 7])
def test_what_a_contract_cannot_name_is_no_person(name: Any) -> None:
    assert not grants.is_person_name(name)
    with pytest.raises(ValueError):
        grants.person_id(name, "ministry")


@pytest.mark.parametrize(
    "text", ["desk", "https://care.example", "@ministry", "anna@", "anna@Ministry", "a b@ministry"]
)
def test_clients_and_entities_are_no_people(text: str) -> None:
    assert grants.provider_of(text) == ""


def rule(claim: str, value: str, *scopes: str) -> ClaimRule:
    return ClaimRule(claim, value, Grant(scopes, ALL.rights))


RULES = (
    rule("groups", "analysts", "compute"),
    rule("email", "a@x.example", "operate"),
    rule("sub", "anna", "catalogue"),
)


@pytest.mark.parametrize(
    ("claims", "scopes"),
    [
        ({"groups": ["staff", "analysts"]}, ("compute",)),
        ({"groups": "analysts"}, ("compute",)),
        ({"sub": "anna", "groups": ["analysts"]}, ("compute",)),
        ({"sub": "anna"}, ("catalogue",)),
        ({"email": "a@x.example", "email_verified": True}, ("operate",)),
        ({"email": "a@x.example", "email_verified": "true"}, ()),
        ({"email": "a@x.example"}, ()),
        ({"groups": {"analysts": True}}, ()),
        ({"groups": "analysts staff"}, ()),
        ({"groups": [["analysts"]]}, ()),
        ({}, ()),
    ],
)
def test_the_first_rule_that_matches_says_what_is_granted(claims: dict[str, Any], scopes: tuple[str, ...]) -> None:
    assert grants.grant_of(claims, RULES).scopes == scopes


def test_nothing_in_common_is_a_refusal() -> None:
    with pytest.raises(IsthmusError) as refused:
        grants.granted_to(Grant(("catalogue",), ALL.rights), Grant(("operate",), ALL.rights))
    assert refused.value.reason is Reason.PERMISSION_DENIED
    with pytest.raises(IsthmusError):
        grants.granted_to(ALL, grants.NOBODY)


@pytest.mark.parametrize(
    "details",
    [
        None,
        {},
        [{"type": "isthmus"}, {"type": "isthmus"}],
        [{"type": "other", "datasets": ["*"]}],
        [{"type": "isthmus", "datasets": "*", "statistics": ["*"], "purposes": ["*"]}],
        [{"type": "isthmus", "datasets": [1], "statistics": ["*"], "purposes": ["*"]}],
    ],
)
def test_details_that_are_not_one_entry_of_lists_grant_nothing(details: Any) -> None:
    assert grants.grant_in({"scope": "compute", "authorization_details": details}).rights == grants.NOBODY.rights


def test_a_token_for_a_person_ends_with_the_sign_in_and_says_who_acts() -> None:
    own = grants.claims_of(ME, "desk", "A" * 43, ALL, "j", NOW)
    assert own["sub"] == own["client_id"] == "desk" and "act" not in own and own["exp"] == NOW + 300
    for ends, exp in ((NOW + 100, NOW + 100), (NOW + 9000, NOW + 300)):
        claims = grants.claims_of(ME, "desk", "A" * 43, ALL, "j", NOW, person="anna@people", ends=ends)
        assert (claims["exp"], claims["sign_in_ends"]) == (exp, ends)
        assert claims["act"] == {"sub": "desk"}
        assert grants.check_actor(claims) == "anna@people"
    assert grants.check_actor(own) == ""


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": "anna@people"},
        {"sub": "anna@people", "act": None},
        {"sub": "anna@people", "act": {}},
        {"sub": "anna@people", "act": {"sub": "operator"}},
        {"sub": "anna@people", "act": {"sub": "desk", "act": {"sub": "operator"}}},
        {"sub": "anna@people", "act": {"sub": "desk", "iss": "https://evil.example"}},
        {"sub": "anna@people", "act": [{"sub": "desk"}]},
        {"sub": "desk", "act": {"sub": "desk"}},
        {"sub": "desk", "act": None},
        {"sub": "operator", "act": {"sub": "desk"}},
        {"sub": "https://police.example", "act": {"sub": "desk"}},
        {"sub": "anna@", "act": {"sub": "desk"}},
    ],
)
def test_an_actor_that_is_forged_nested_missing_or_needless_is_denied(claims: dict[str, Any]) -> None:
    with pytest.raises(IsthmusError) as refused:
        grants.check_actor({"client_id": "desk", **claims})
    assert refused.value.reason is Reason.PERMISSION_DENIED
    assert "desk" in refused.value.private and "desk" not in refused.value.public


def test_a_token_that_grants_more_than_configuration_does_now_is_denied() -> None:
    narrow = Grant(("catalogue",), Rights(("a",), ("*",), ("*",)))
    grants.check_not_widened(narrow, ALL, None)
    grants.check_not_widened(narrow, ALL, (grants.NOBODY, narrow))
    for client, person in ((narrow, None), (narrow, (ALL,)), (ALL, (narrow,)), (ALL, ()), (ALL, (grants.NOBODY,))):
        with pytest.raises(IsthmusError) as refused:
            grants.check_not_widened(ALL, client, person)
        assert refused.value.reason is Reason.PERMISSION_DENIED
