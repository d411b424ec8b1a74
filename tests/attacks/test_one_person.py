"""Questions about one person that another space's gateway, its checks patched out, brings to a real agent: each of the
agent's own rules refuses by itself, and what passes all of them still waits for two stewards.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import rfc8785

from gateway.domain.contract import Contract, Limits
from gateway.domain.query import Filter, Hit, Query, Source, Statistic
from tests.attacks import rogue
from tests.attacks.proposals import Forged, Forgery, refused
from tests.attacks.rogue import CARE, LA, LINK_ON, NG, PFNCA, POLICE, World

pytestmark = pytest.mark.asyncio(loop_scope="module")
CASE = Filter("cas_IncomingReferralDate", equals="2013-03-05")
OWN, EVERYBODY = Source(PFNCA, (CASE,)), Source(PFNCA)
ASKED = Query(
    title="Case of 5 March 2013",
    purpose="criminal-investigation",
    legal_basis="led-8",
    sources=(Source(PFNCA, (CASE,)), Source(NG)),
    link_on=LINK_ON,
    statistic=Statistic(hit=Hit(200)),
)
SECTION = '[one_person]\nlegal_bases = ["led-8"]\nroles = ["investigator"]\nleast_list = 200\n'


def _searched(home: Path) -> None:
    """The list NG may be searched; LA's policy is as the sandbox has it."""
    policy = home / "datasets" / "ng.policy.toml"
    text = re.sub(r"statistics = \[", 'statistics = ["hit", ', policy.read_text(), count=1)
    policy.write_text(text.replace("purposes = [", 'purposes = ["criminal-investigation", ') + SECTION)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with rogue.running(tmp_path_factory.mktemp("rogue") / "federation", _searched) as running:
        yield running


def same(contract: Contract) -> Contract:
    return contract


def proposed(
    change: Callable[[Contract], Contract] = same, query: Query = ASKED, initiator: str = POLICE
) -> Callable[[World], Forged]:
    """The police ask, an investigator, for their own key."""

    def make(world: World) -> Forged:
        made = change(replace(world.contract(query, initiator=initiator), requester_roles=("investigator",)))
        return world.sign(made), world.chains(made)

    return make


def asking(**changes: Any) -> Callable[[World], Forged]:
    """What is drafted honestly, whose query is changed then."""
    return proposed(lambda contract: replace(contract, query=replace(contract.query, **changes)))


def given(**changes: Any) -> Callable[[World], Forged]:
    def change(contract: Contract) -> Contract:
        parameters = json.loads(contract.program.parameters) | changes
        return replace(contract, program=replace(contract.program, parameters=rfc8785.dumps(parameters).decode()))

    return proposed(change)


def to_the_gateway(contract: Contract) -> Contract:
    key = contract.recipients[0].key
    return replace(
        contract, recipients=(replace(contract.recipients[0], name=f"gateway {POLICE}", kind="gateway", key=key),)
    )


FORGERIES = {
    "what passes all rules, and nobody has approved": Forgery("NOT_APPROVED", "0 of 2 stewards", proposed()),
    "a list whose policy says nothing of it": Forgery(
        "POLICY_REFUSED", "criminal-investigation", proposed(query=replace(ASKED, sources=(OWN, Source(LA))))
    ),
    "a legal basis that the section does not name": Forgery(
        "POLICY_REFUSED", "one person on the legal basis", asking(legal_basis="gdpr-6-1-e")
    ),
    "no role": Forgery("POLICY_REFUSED", "role", proposed(lambda contract: replace(contract, requester_roles=()))),
    "another role": Forgery(
        "POLICY_REFUSED", "role", proposed(lambda contract: replace(contract, requester_roles=("analyst",)))
    ),
    "lists that may be shorter": Forgery(
        "POLICY_REFUSED", "at least 200 people", proposed(query=replace(ASKED, statistic=Statistic(hit=Hit(199))))
    ),
    "shorter lists in the parameters alone": Forgery("CONTRACT_INVALID", "parameters", given(least_list=1)),
    "answers for each list in the parameters alone": Forgery("CONTRACT_INVALID", "parameters", given(each=True)),
    "another owner of a list in the parameters": Forgery("CONTRACT_INVALID", "parameters", given(owners=[0, 1])),
    "a filter that leaves one person of the other list": Forgery(
        "MALFORMED_QUERY", "whole lists", asking(sources=(ASKED.sources[0], Source(NG, (CASE,))))
    ),
    "two cases": Forgery(
        "MALFORMED_QUERY",
        "one case",
        asking(sources=(Source(PFNCA, (Filter(CASE.column, one_of=("2013-03-05", "2013-03-06")),)), Source(NG))),
    ),
    "everybody of the asker's list": Forgery("MALFORMED_QUERY", "one case", asking(sources=(EVERYBODY, Source(NG)))),
    "a person of another space's list": Forgery("CONTRACT_INVALID", "whose list", proposed(initiator=CARE)),
    "a gateway that reads along": Forgery("CONTRACT_INVALID", "own key", proposed(to_the_gateway)),
    "limits that say that cells are hidden": Forgery(
        "CONTRACT_INVALID", "limits", proposed(lambda contract: replace(contract, limits=Limits(11, False, True)))
    ),
    "one decision for many editions": Forgery("MALFORMED_QUERY", "by itself", asking(standing=12)),
    "a look into a buffer": Forgery("MALFORMED_QUERY", "nothing", asking(demo_view=True)),
}  # fmt: skip


@pytest.mark.parametrize("name", FORGERIES)
async def test_what_an_owner_did_not_allow_is_refused_past_its_gateway(world: World, name: str) -> None:
    await refused(world, FORGERIES[name])
