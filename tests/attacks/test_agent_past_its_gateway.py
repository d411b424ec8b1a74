"""Attacks that enter at the agent's connection, past a gateway whose checks are patched out: what it proposes.

Each is refused with its reason; nothing starts, no party is used, the agent's audit log says why, and the caller's
message says nothing that it may not know.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
import rfc8785

from connectors.engine import programs
from gateway.domain.contract import Contract, Deadlines, Limits, Seat
from gateway.domain.identity import EntityId
from gateway.domain.query import Between, CountBy, Filter, Query, Source, Statistic
from gateway.domain.query import Limits as Wished
from gateway.domain.query import Seats as Wanted
from gateway.domain.session import Approval, Refusal
from gateway.edges.keys import new_signing_key
from gateway.rules import planning
from gateway.rules.records import to_plain
from tests.attacks.rogue import (
    BRANCH,
    CARE,
    COUNT,
    EVERYBODY,
    FORM,
    GO,
    LA,
    NEUTRAL,
    NG,
    OVERLAP,
    PFNCA,
    POLICE,
    REGISTRY,
    SISTER,
    World,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

Chains = Sequence[Sequence[str]]
Forged = tuple[str, Chains]
GENERIC = "These credentials were not accepted"


@dataclass(frozen=True)
class Forgery:
    """`make` gives the bytes and chains; `why` has to stand in the audit record."""

    reason: str
    why: str
    make: Callable[[World], Forged]


def changed(change: Callable[[Contract], Contract], query: Query = COUNT, **drafted: Any) -> Callable[[World], Forged]:
    """An honest draft, changed, and signed by its initiator."""

    def make(world: World) -> Forged:
        contract = change(world.contract(query, **drafted))
        return world.sign(contract), world.chains(contract)

    return make


def asking(**query: Any) -> Callable[[World], Forged]:
    """An honest draft whose query is changed, with parameters that follow from it where they can."""

    def change(contract: Contract) -> Contract:
        return replace(contract, query=replace(contract.query, **query))

    return changed(change)


def limited(minimum: int, zero_is_small: bool = True, subtraction: bool = True) -> Callable[[Contract], Contract]:
    """Other limits, and parameters that follow from them."""

    def change(contract: Contract) -> Contract:
        limits = Limits(minimum, zero_is_small, subtraction)
        codes = {column["name"]: column["codes"] for column in json.loads(contract.program.parameters)["columns"]}
        program = replace(contract.program, parameters=planning.parameters(contract.query, limits, codes))
        return replace(contract, limits=limits, program=program)

    return change


def program(**changes: Any) -> Callable[[World], Forged]:
    return changed(lambda contract: replace(contract, program=replace(contract.program, **changes)))


def parameters(change: Callable[[dict[str, Any]], object]) -> Callable[[World], Forged]:
    def make(contract: Contract) -> Contract:
        given = json.loads(contract.program.parameters)
        change(given)
        return replace(contract, program=replace(contract.program, parameters=rfc8785.dumps(given).decode()))

    return changed(make)


def own_input(consistent: bool = True, **changes: Any) -> Callable[[World], Forged]:
    """Something else in place of what `care` offers."""

    def change(contract: Contract) -> Contract:
        def provider(item: Any) -> Any:
            if item.entity != CARE:
                return item
            inputs = (replace(item.inputs[0], **changes), *item.inputs[1:])
            bound = sum(given.row_bound for given in inputs) if consistent else item.row_bound
            return replace(item, inputs=inputs, row_bound=bound)

        return replace(contract, providers=tuple(provider(item) for item in contract.providers))

    return changed(change)


def receiving(**changes: Any) -> Callable[[World], Forged]:
    return changed(lambda contract: replace(contract, recipients=(replace(contract.recipients[0], **changes),)))


def filtered(item: Filter) -> Callable[[World], Forged]:
    return asking(sources=(Source(LA, (item,)), Source(NG), Source(PFNCA), Source(GO)))


def sitting(m: int, t: int, *entities: str) -> Callable[[World], Forged]:
    def change(world: World) -> Forged:
        names = {spec.entity: spec.operator for spec in EVERYBODY}
        seats = tuple(Seat(pid, entity, names[EntityId(entity)]) for pid, entity in enumerate(entities))
        contract = world.contract()
        query = replace(contract.query, seats=Wanted(count=m))
        contract = replace(contract, m=m, t=t, seats=seats, query=query)
        return world.sign(contract), world.chains(contract)

    return change


def signed(sign_it: Callable[[World, Contract], str]) -> Callable[[World], Forged]:
    def make(world: World) -> Forged:
        contract = world.contract()
        return sign_it(world, contract), world.chains(contract)

    return make


def chained(chains: Callable[[World, Contract], Chains]) -> Callable[[World], Forged]:
    def make(world: World) -> Forged:
        contract = world.contract()
        return world.sign(contract), chains(world, contract)

    return make


def _flipped(token: str) -> str:
    head, _, signature = token.rpartition(".")
    return f"{head}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"


def _elsewhere(world: World, contract: Contract) -> str:
    """In the name of care, by the key of police."""
    return world.sign(contract, world.token_key(POLICE))


def _not_its_own(world: World, contract: Contract) -> str:
    """By police in its own name, with care as initiator."""
    return world.sign(contract, world.token_key(POLICE), iss=POLICE, sub=POLICE)


def _renamed(contract: Contract, old: str, new: str) -> Contract:
    sources = tuple(replace(s, dataset=s.dataset.replace(old, new)) for s in contract.query.sources)
    providers = tuple(
        replace(p, inputs=tuple(replace(i, dataset=i.dataset.replace(old, new)) for i in p.inputs))
        for p in contract.providers
    )
    return replace(contract, query=replace(contract.query, sources=sources), providers=providers)


def _under_police(contract: Contract) -> Contract:
    """care's dataset la, provided by police."""
    care, police, registry = contract.providers
    moved = care.inputs[0]
    return replace(
        contract,
        providers=(
            replace(care, inputs=care.inputs[1:], row_bound=care.row_bound - moved.row_bound),
            replace(police, inputs=(*police.inputs, moved), row_bound=police.row_bound + moved.row_bound),
            registry,
        ),
    )


def _without_care(contract: Contract) -> Contract:
    seats = tuple(replace(seat, entity=NEUTRAL, operator="Neutral Compute Foundation") for seat in contract.seats[:1])
    return replace(contract, seats=(*seats, *contract.seats[1:]))


def _other_program(contract: Contract) -> Contract:
    program = replace(contract.program, name="overlap", digest=programs.digest("overlap"))
    return replace(contract, program=program)


def _in_the_past(contract: Contract) -> Contract:
    return replace(contract, not_before=contract.not_before - 700, expires=contract.expires - 700)


def _ahead(contract: Contract) -> Contract:
    return replace(contract, not_before=contract.not_before + 120, expires=contract.expires + 120)


NOW = int(time.time())
PARTS = ("header", "claims", "signature")

FORGERIES: dict[str, Forgery] = {
    # Signatures.
    "no signature": Forgery("UNAUTHENTICATED", "", signed(lambda w, c: w.sign(c).rpartition(".")[0] + ".")),
    "a forged signature": Forgery("UNAUTHENTICATED", "signature", signed(lambda w, c: _flipped(w.sign(c)))),
    "nothing at all": Forgery("UNAUTHENTICATED", "", lambda w: ("x", ())),
    "the key of another space": Forgery("UNAUTHENTICATED", "keys", signed(_elsewhere)),
    "a key that nobody vouches for": Forgery(
        "UNAUTHENTICATED", "keys", signed(lambda w, c: w.sign(c, new_signing_key()))
    ),
    "the federation key": Forgery("UNAUTHENTICATED", "keys", signed(lambda w, c: w.sign(c, w.federation_key(CARE)))),
    "signed by another than its initiator": Forgery("CONTRACT_INVALID", "initiator", signed(_not_its_own)),
    "an expired token": Forgery(
        "UNAUTHENTICATED", "expired", signed(lambda w, c: w.sign(c, iat=NOW - 700, exp=NOW - 100))
    ),
    "a token that lives too long": Forgery(
        "UNAUTHENTICATED", "lives", signed(lambda w, c: w.sign(c, exp=int(time.time()) + 6000))
    ),
    "something beside the contract": Forgery(
        "CONTRACT_INVALID", "something else", signed(lambda w, c: w.sign(c, approved=True))
    ),
    "a field that no contract has": Forgery(
        "CONTRACT_INVALID", "unknown field", signed(lambda w, c: w.sign(c, contract={**to_plain(c), "force": True}))
    ),
    "the audience of another session": Forgery(
        "CONTRACT_INVALID", "audience", signed(lambda w, c: w.sign(c, aud="urn:isthmus:session:other"))
    ),
    # Chains.
    "a chain of an anchor that is not pinned": Forgery(
        "UNAUTHENTICATED",
        "CHAIN",
        chained(lambda w, c: [w.chain(POLICE, superior=w.vouched(POLICE, new_signing_key()))]),
    ),
    "a chain of another anchor's name": Forgery(
        "UNAUTHENTICATED",
        "CHAIN",
        chained(
            lambda w, c: [
                w.chain(POLICE, superior=w.vouched(POLICE, new_signing_key(), EntityId("https://evil.example")))
            ]
        ),
    ),
    "swapped statements": Forgery(
        "UNAUTHENTICATED", "CHAIN", chained(lambda w, c: [(w.chain(POLICE)[0], w.chain(NEUTRAL)[1])])
    ),
    "half a chain": Forgery("UNAUTHENTICATED", "chain", chained(lambda w, c: [w.chain(POLICE)[:1]])),
    # Time.
    "an expired contract": Forgery("CONTRACT_EXPIRED", "expired", changed(_in_the_past)),
    "a contract of tomorrow": Forgery("CONTRACT_INVALID", "times", changed(_ahead)),
    "a contract without end": Forgery(
        "CONTRACT_INVALID", "times", changed(lambda c: replace(c, expires=c.expires + 86400))
    ),
    # Seats (row 28).
    "two parties": Forgery("SEATS_REFUSED", "two parties", sitting(2, 0, CARE, POLICE)),
    "an even number": Forgery("SEATS_REFUSED", "4 seats", sitting(4, 1, CARE, POLICE, NEUTRAL, SISTER)),
    "threshold 0": Forgery("SEATS_REFUSED", "threshold 0", sitting(3, 0, CARE, POLICE, NEUTRAL)),
    "a threshold of the majority": Forgery("SEATS_REFUSED", "threshold 2", sitting(3, 2, CARE, POLICE, NEUTRAL)),
    "a negative number": Forgery("SEATS_REFUSED", "seats", sitting(-3, -2, CARE, POLICE, NEUTRAL)),
    "fewer seats than parties": Forgery("SEATS_REFUSED", "2 seats for 3", sitting(3, 1, CARE, POLICE)),
    "two seats at one operator": Forgery("SEATS_REFUSED", "same hands", sitting(3, 1, POLICE, CARE, CARE)),
    "two seats in one group": Forgery("SEATS_REFUSED", "same hands", sitting(3, 1, CARE, POLICE, BRANCH)),
    "two seats with an affiliate": Forgery("SEATS_REFUSED", "same hands", sitting(3, 1, CARE, POLICE, SISTER)),
    "three of five in the same hands": Forgery(
        "SEATS_REFUSED", "3 of 5", sitting(5, 2, CARE, POLICE, NEUTRAL, BRANCH, SISTER)
    ),
    "more seats than this space offers": Forgery(
        "SEATS_REFUSED", "offers 1", sitting(5, 2, CARE, CARE, POLICE, NEUTRAL, REGISTRY)
    ),
    "an operator by another name": Forgery(
        "SEATS_REFUSED",
        "operator",
        changed(lambda c: replace(c, seats=(replace(c.seats[0], operator="Somebody Else"), *c.seats[1:]))),
    ),
    "seats out of order": Forgery("SEATS_REFUSED", "seats", changed(lambda c: replace(c, seats=c.seats[::-1]))),
    # Program (row 23).
    "another program digest": Forgery("PROGRAM_MISMATCH", "program", program(digest="0" * 64)),
    "another program version": Forgery("PROGRAM_MISMATCH", "program", program(version=99)),
    "another engine": Forgery("PROGRAM_MISMATCH", "program", program(engine="mpyc 0.10")),
    "another codec": Forgery("PROGRAM_MISMATCH", "program", program(codec=2)),
    "another program": Forgery("PROGRAM_MISMATCH", "program", program(name="overlap")),
    "the digest of another program": Forgery("CONTRACT_INVALID", "does not answer", changed(_other_program)),
    "another field": Forgery("CONTRACT_INVALID", "field", changed(lambda c: replace(c, field="101"))),
    "a lower cell in the parameters": Forgery(
        "CONTRACT_INVALID", "parameters", parameters(lambda p: p.update(minimum_cell=1))
    ),
    "zero not small in the parameters": Forgery(
        "CONTRACT_INVALID", "parameters", parameters(lambda p: p.update(zero_is_small=False))
    ),
    "other codes": Forgery("CONTRACT_INVALID", "parameters", parameters(lambda p: p["columns"][0]["codes"].reverse())),
    "a code less": Forgery("CONTRACT_INVALID", "parameters", parameters(lambda p: p["columns"][0]["codes"].pop())),
    "structural zeros": Forgery("CONTRACT_INVALID", "parameters", parameters(lambda p: p.update(structural_zeros=[0]))),
    "parameters that are no object": Forgery("CONTRACT_INVALID", "parameters", program(parameters="7")),
    "another column in the query": Forgery(
        "CONTRACT_INVALID", "parameters", asking(statistic=Statistic(count_by=CountBy(("prs_Gender",))))
    ),
    # Policy.
    "cells smaller than the policy": Forgery("POLICY_REFUSED", "at least 11", changed(limited(10))),
    "exact release of counts": Forgery(
        "POLICY_REFUSED", "at least 11", changed(limited(0, zero_is_small=False, subtraction=False))
    ),
    "no provider subtraction": Forgery("CONTRACT_INVALID", "subtraction", changed(limited(11, subtraction=False))),
    "zero not small": Forgery("POLICY_REFUSED", "zero", changed(limited(11, zero_is_small=False))),
    "limits looser than wished": Forgery("CONTRACT_INVALID", "looser", asking(limits=Wished(minimum_cell=20))),
    "a look into the buffer": Forgery(
        "POLICY_REFUSED",
        "receive buffer",
        changed(lambda c: replace(c, demo_view=True, query=replace(c.query, demo_view=True))),
    ),
    "a look that the query does not ask": Forgery(
        "CONTRACT_INVALID", "", changed(lambda c: replace(c, demo_view=True))
    ),
    "another purpose": Forgery("POLICY_REFUSED", "purpose", asking(purpose="immigration-enforcement")),
    "another legal basis": Forgery("POLICY_REFUSED", "legal basis", asking(legal_basis="none")),
    "another statistic": Forgery(
        "POLICY_REFUSED",
        "statistic",
        changed(lambda c: c, replace(OVERLAP, sources=(Source(LA), Source(PFNCA)))),
    ),
    "an initiator outside the policy": Forgery("POLICY_REFUSED", "not open", changed(lambda c: c, initiator=REGISTRY)),
    "nobody to receive": Forgery("CONTRACT_INVALID", "receive", changed(lambda c: replace(c, recipients=()))),
    "somebody else to receive": Forgery("CONTRACT_INVALID", "recipient", receiving(name="client spy")),
    "another gateway to receive": Forgery(
        "CONTRACT_INVALID", "recipient", receiving(name=f"gateway {POLICE}", kind="gateway")
    ),
    "a recipient's key that is none": Forgery("CONTRACT_INVALID", "key", receiving(key="junk")),
    "a recipient twice": Forgery(
        "CONTRACT_INVALID", "twice", changed(lambda c: replace(c, recipients=c.recipients * 2))
    ),
    "seats for ever": Forgery(
        "CONTRACT_INVALID", "deadlines", changed(lambda c: replace(c, deadlines=Deadlines(10, 5, 10**9)))
    ),
    "a session named like a path": Forgery(
        "CONTRACT_INVALID", "session", changed(lambda c: replace(c, session="../../etc/passwd"))
    ),
    "seats that the query does not wish": Forgery("CONTRACT_INVALID", "seats", asking(seats=Wanted(5))),
    # Editions and sources (row 24).
    "another edition": Forgery("EDITION_CHANGED", "edition", own_input(edition="2012-9")),
    "another snapshot": Forgery("EDITION_CHANGED", "edition", own_input(snapshot="0" * 64)),
    "another row bound": Forgery("EDITION_CHANGED", "edition", own_input(row_bound=64)),
    "a bound that is not the sum": Forgery("CONTRACT_INVALID", "bound", own_input(consistent=False, row_bound=64)),
    "a dataset that is not there": Forgery(
        "EDITION_CHANGED", "nope", changed(lambda c: _renamed(c, "datasets/la", "datasets/nope"))
    ),
    "a dataset under another space": Forgery("CONTRACT_INVALID", "does not own", changed(_under_police)),
    "a source that nobody provides": Forgery(
        "CONTRACT_INVALID", "sources", changed(lambda c: replace(c, providers=c.providers[:-1]))
    ),
    "a provider twice": Forgery(
        "CONTRACT_INVALID", "sources", changed(lambda c: replace(c, providers=(*c.providers, c.providers[0])))
    ),
    "no part for this space": Forgery(
        "CONTRACT_INVALID",
        "no part",
        changed(lambda c: c, replace(COUNT, sources=(Source(PFNCA), Source(GO))), seats=(POLICE, NEUTRAL, SISTER)),
    ),
    "an unknown column": Forgery("UNKNOWN_COLUMN", "no column", filtered(Filter("salary", equals="1"))),
    "SQL for a column": Forgery("MALFORMED_QUERY", "column", filtered(Filter("1=1; DROP TABLE x", equals="1"))),
    "a filter of the wrong type": Forgery("WRONG_FILTER_TYPE", "compares", filtered(Filter(FORM, equals=3))),
    "a range of codes": Forgery("WRONG_FILTER_TYPE", "no order", filtered(Filter(FORM, between=Between("a", "z")))),
    "an unknown code": Forgery("UNKNOWN_CODE", "not a code", filtered(Filter(FORM, equals="Tax evasion"))),
    "two operators in one filter": Forgery(
        "MALFORMED_QUERY", "exactly one", filtered(Filter(FORM, equals="Other", one_of=("Other",)))
    ),
    "no linking": Forgery("MALFORMED_QUERY", "identify", asking(link_on=())),
    "linking on what is no key": Forgery("UNKNOWN_COLUMN", "link", asking(link_on=("prs_Citizenship",))),
}


@pytest.mark.parametrize("name", FORGERIES)
async def test_22_23_24_28_a_proposal_is_refused(world: World, name: str) -> None:
    forgery = FORGERIES[name]
    token, chains = forgery.make(world)
    start, parties = len(world.facts()), await world.warm_parties()

    answer = await world.line.propose(token, chains)

    assert isinstance(answer, Refusal), name
    assert answer.reason == forgery.reason, answer
    record = world.facts(start)
    assert [fact.kind for fact in record] == ["contract.refused"]
    assert record[0].detail.startswith(forgery.reason)
    assert forgery.why in record[0].detail, record[0].detail
    assert world.parties() == parties
    if forgery.reason == "UNAUTHENTICATED":
        assert answer.text == GENERIC
    assert str(world.folder) not in answer.text + answer.advice
    assert "Traceback" not in record[0].detail


async def test_what_is_honest_passes_the_same_agent(world: World) -> None:
    for query in (COUNT, OVERLAP):
        contract = world.contract(query)
        assert isinstance(await world.line.propose(world.sign(contract), world.chains(contract)), Approval)
    contract = world.contract(initiator=POLICE)
    assert isinstance(await world.line.propose(world.sign(contract), world.chains(contract)), Approval)


async def test_22_the_same_contract_gets_the_very_same_approval(world: World) -> None:
    contract = world.contract()
    token, chains = world.sign(contract), world.chains(contract)
    first = await world.line.propose(token, chains)
    assert isinstance(first, Approval)
    assert await world.line.propose(token, chains) == first
    # The same payload in another envelope is the same contract.
    again = world.signed_otherwise(token)
    assert again != token
    assert await world.line.propose(again, chains) == first


async def test_an_agent_that_was_told_of_nobody_believes_nobody(world: World) -> None:
    contract = world.contract()
    everybody, lists = world.believed()
    world.tells = False
    await world.stop_agent()
    for file in world.home(CARE).glob("agent.db*"):
        file.unlink()
    try:
        await world.start_agent()
        refused = await world.line.propose(world.sign(contract), [])
        assert isinstance(refused, Refusal)
        assert refused.reason == "UNAUTHENTICATED"
        refused = await world.line.propose(world.sign(contract), [world.chain(CARE)])
        assert isinstance(refused, Refusal)
        assert (refused.reason, refused.space) == ("REVOCATION_STALE", CARE)
        # Lists of spaces that it knows no chain of prove nothing to it.
        world.line.tell([], lists)
        refused = await world.line.propose(world.sign(contract), [world.chain(CARE)])
        assert isinstance(refused, Refusal)
        assert (refused.reason, refused.space) == ("REVOCATION_STALE", POLICE)
        world.line.tell(everybody, lists)
        assert isinstance(await world.line.propose(world.sign(contract), []), Approval)
    finally:
        world.tells = True


async def test_an_agent_that_is_started_again_knows_everybody_before_its_gateway_says_a_word(world: World) -> None:
    world.tells = False
    try:
        await world.restart_agent()
        contract = world.contract()
        assert isinstance(await world.line.propose(world.sign(contract), []), Approval)
    finally:
        world.tells = True
