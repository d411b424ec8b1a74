"""Roles: who has which, how they travel into a contract, and which an owner answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from connectors.config import PolicyConfig
from connectors.explaining import explained
from connectors.policies import roles_of, terms_of
from connectors.rules.approval import OwnPart, check_draft
from gateway.config import ClientConfig, PersonRuleConfig, load
from gateway.domain.caller import Rights
from gateway.domain.contract import Contract
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.offer import Offer
from gateway.domain.sign_in import Grant
from gateway.edges import passwords, people
from gateway.edges.people import Person
from gateway.rules import grants
from gateway.rules.codelists import ROLES
from gateway.rules.contract import check_whole
from gateway.rules.offers import check_offer
from gateway.rules.records import from_bytes, to_bytes
from tests import examples
from tests.examples import HOME, NOW, POLICE
from tests.unit.test_policies import LEAST, written

PLANNED = examples.contract()
NAME = examples.dataset(HOME).name
OF_POLICE = '[[space_roles]]\nspace = "https://police.example"\nroles = ["judge"]\n'


def asked_as(*roles: str, by: str = HOME) -> Contract:
    recipient = replace(PLANNED.recipients[0], name=f"gateway {by}")
    return replace(PLANNED, requester_roles=roles, initiator=by, recipients=(recipient,))


def own(answered: tuple[str, ...], of_spaces: dict[str, tuple[str, ...]] | None = None) -> OwnPart:
    dataset = examples.dataset(HOME)
    changed = replace(dataset, terms=replace(dataset.terms, roles=answered))
    offer = Offer((changed,), examples.PROGRAMS, 1, "mpyc 0.11", 1)
    return OwnPart(HOME, offer, {NAME: ("*",)}, roles={NAME: of_spaces or {}})


def refusal(part: OwnPart, contract: Contract) -> IsthmusError:
    with pytest.raises(IsthmusError) as caught:
        check_draft(contract, part, examples.operators(), NOW)
    return caught.value


@pytest.mark.parametrize(
    ("answered", "roles", "passes"),
    [
        (("*",), (), True),
        (("*",), ("judge",), True),
        (("analyst", "rapporteur"), ("rapporteur",), True),
        (("analyst",), ("analyst", "judge"), True),
        (("analyst", "rapporteur"), ("judge",), False),
        (("analyst",), (), False),
    ],
)
def test_an_owner_answers_those_who_have_one_of_its_roles(
    answered: tuple[str, ...], roles: tuple[str, ...], passes: bool
) -> None:
    if passes:
        check_draft(asked_as(*roles), own(answered), examples.operators(), NOW)
        return
    refused = refusal(own(answered), asked_as(*roles))
    assert (refused.reason, refused.field, refused.space) == (Reason.POLICY_REFUSED, "requester_roles", HOME)
    assert f"It answers: {', '.join(answered)}" in refused.advice and "version 1" in refused.public
    assert ("judge" if roles else "no role") in refused.public


def test_one_space_is_answered_in_fewer_roles_and_hears_nothing_of_others() -> None:
    part = own(("analyst", "judge"), {POLICE: ("judge",)})
    check_draft(asked_as("analyst"), part, examples.operators(), NOW)
    check_draft(asked_as("judge", by=POLICE), part, examples.operators(), NOW)
    refused = refusal(part, asked_as("analyst", by=POLICE))
    assert refused.advice.startswith("It answers: judge.") and "analyst" in refused.public


def test_a_space_rule_opens_nothing_that_the_terms_close() -> None:
    assert refusal(own(("analyst",), {POLICE: ("*",)}), asked_as("judge", by=POLICE)).field == "requester_roles"


def test_a_policy_says_its_roles_in_public_and_those_of_one_space_at_home(tmp_path: Path) -> None:
    policy = written(tmp_path, LEAST + 'roles = ["analyst", "judge"]\n' + OF_POLICE)
    assert terms_of(policy).roles == ("analyst", "judge") and roles_of(policy) == {POLICE: ("judge",)}
    said = dict(explained(policy, "2026-01-01"))["In the role of"]
    assert ROLES["judge"] in said and f"of {POLICE} only judge" in said and "all on the word of the space" in said
    plain = written(tmp_path, LEAST)
    assert (terms_of(plain).roles, roles_of(plain)) == (("*",), {})
    assert "anybody, without a role too" in dict(explained(plain, "2026-01-01"))["In the role of"]


@pytest.mark.parametrize(
    ("more", "wrong"),
    [
        ('roles = ["analist"]', "Did you mean analyst?"),
        ("roles = []", "at least 1"),
        ('roles = ["analyst"]\n' + OF_POLICE, "not among roles"),
        ('roles = ["analyst"]\n' + OF_POLICE.replace("judge", "*"), "not among roles"),
        (OF_POLICE.replace("https://police.example", "police"), "no entity ID"),
        (2 * OF_POLICE, "twice"),
    ],
)
def test_a_policy_whose_roles_do_not_hold_is_refused(tmp_path: Path, more: str, wrong: str) -> None:
    with pytest.raises(IsthmusError) as caught:
        written(tmp_path, f"{LEAST}{more}\n")
    assert caught.value.reason is Reason.CONFIGURATION and wrong in caught.value.public


@pytest.mark.parametrize("roles", [("judge", "analyst"), ("judge", "judge"), ("king",), ("*",), ("",)])
def test_a_contract_with_roles_that_nobody_gives_is_no_contract(roles: tuple[str, ...]) -> None:
    for check in (check_whole, lambda draft: check_draft(draft, own(("*",)), examples.operators(), NOW)):
        with pytest.raises(IsthmusError) as caught:
            check(asked_as(*roles))
        assert (caught.value.reason, caught.value.field) == (Reason.CONTRACT_INVALID, "requester_roles")


def test_a_contract_of_before_has_no_roles_and_others_keep_theirs() -> None:
    plain = to_bytes(asked_as("analyst", "judge"))
    assert from_bytes(Contract, plain, what="contract").requester_roles == ("analyst", "judge")
    before = to_bytes(asked_as()).replace(b'"requester_roles":[],', b"")
    assert from_bytes(Contract, before, what="contract") == asked_as()


def test_an_offer_that_answers_roles_of_no_list_is_refused() -> None:
    with pytest.raises(IsthmusError) as caught:
        check_offer(own(("king",)).offer, HOME)
    assert caught.value.field == "datasets.terms"
    check_offer(own(("judge",)).offer, HOME)


def test_configuration_gives_roles_of_the_list_alone(tmp_path: Path) -> None:
    client = ClientConfig(id="analyst", roles=("analyst",))
    rule = PersonRuleConfig(claim="sub", value="anna", scopes=("compute",), roles=("judge",))
    assert (client.grant.rights.roles, rule.rule.grant.rights.roles) == (("analyst",), ("judge",))
    assert ClientConfig(id="analyst").grant.rights.roles == ()
    for made in (lambda: ClientConfig(id="a", roles=("*",)), lambda: ClientConfig(id="a", roles=("analist",))):
        with pytest.raises(ValueError, match="is no role"):
            made()


def test_a_person_of_the_login_page_has_roles_and_a_file_of_before_gives_none(tmp_path: Path) -> None:
    hash, file = passwords.hashed("correct horse battery"), tmp_path / "people.toml"
    people.added(file, Person("anna", hash, ("compute",), ("*",), ("*",), ("*",), ("judge",)))
    (anna,) = people.listed(file)
    assert anna.grant.rights.roles == ("judge",)
    file.write_text(file.read_text().replace('roles = ["judge"]\n', ""))
    assert people.listed(file)[0].roles == ()
    with pytest.raises(IsthmusError, match="Did you mean judge"):
        people.added(file, Person("bert", hash, (), (), (), (), ("judges",)))


@pytest.mark.parametrize(
    ("client", "person", "both"),
    [
        (("analyst", "judge"), ("judge", "rapporteur"), ("judge",)),
        ((), ("judge",), ()),
        (("judge",), (), ()),
    ],
)
def test_a_person_asks_through_a_client_in_the_roles_of_both(
    client: tuple[str, ...], person: tuple[str, ...], both: tuple[str, ...]
) -> None:
    def having(roles: tuple[str, ...]) -> Grant:
        return Grant(("compute",), Rights(("*",), ("*",), ("*",), roles))

    granted = grants.granted_to(having(client), having(person))
    assert granted.rights.roles == both
    assert grants.grant_in(grants.scopes_and_details(granted)).rights.roles == both


@pytest.mark.parametrize("roles", [["analyst", "judge"], ["judge"], ["*"], ["analyst", "king"]])
def test_10_a_token_with_a_role_beyond_configuration_is_refused(roles: list[str]) -> None:
    configured = Grant(("compute",), Rights(("*",), ("*",), ("*",), ("analyst",)))
    claims: dict[str, Any] = grants.scopes_and_details(configured)
    grants.check_not_widened(grants.grant_in(claims), configured, None)
    claims["authorization_details"][0]["roles"] = roles
    with pytest.raises(IsthmusError) as caught:
        grants.check_not_widened(grants.grant_in(claims), configured, None)
    assert caught.value.reason is Reason.PERMISSION_DENIED


def test_a_policy_of_the_samples_is_read_with_its_roles() -> None:
    sample = Path(__file__).parents[2] / "deploy" / "samples" / "policy.toml"
    assert load(PolicyConfig, sample).roles == ("analyst", "rapporteur")
