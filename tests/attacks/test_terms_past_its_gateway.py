"""Contracts that their initiator signs and that the agent's own rules refuse, past a gateway whose checks are patched
out: seats, programs, and what no policy or query allows.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import rfc8785

from connectors.engine import packages, programs
from gateway.domain.contract import Contract, Deadlines, Limits, Seat
from gateway.domain.identity import EntityId
from gateway.domain.query import CountBy, PackagedProgram, ProgramInput, Source, Statistic
from gateway.domain.query import Limits as Wished
from gateway.domain.query import Seats as Wanted
from gateway.rules import descriptors, planning
from tests.attacks.proposals import Forged, Forgery, asking, changed, refused
from tests.attacks.rogue import BRANCH, CARE, EVERYBODY, LA, NEUTRAL, OVERLAP, PFNCA, POLICE, REGISTRY, SISTER, World

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.asyncio(loop_scope="module")


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


def receiving(**changes: Any) -> Callable[[World], Forged]:
    return changed(lambda contract: replace(contract, recipients=(replace(contract.recipients[0], **changes),)))


def sitting(m: int, t: int, *entities: str) -> Callable[[World], Forged]:
    def change(world: World) -> Forged:
        names = {spec.entity: spec.operator for spec in EVERYBODY}
        seats = tuple(Seat(pid, entity, names[EntityId(entity)]) for pid, entity in enumerate(entities))
        contract = world.contract()
        query = replace(contract.query, seats=Wanted(count=m))
        contract = replace(contract, m=m, t=t, seats=seats, query=query)
        return world.sign(contract), world.chains(contract)

    return change


def _other_program(contract: Contract) -> Contract:
    program = replace(contract.program, name="overlap", digest=programs.digest("overlap"))
    return replace(contract, program=program)


def _packaged(contract: Contract) -> Contract:
    """One that nobody installed here, with all that it says of itself."""
    described = descriptors.written(packages.read(ROOT / "docs" / "programs" / "dissimilarity").descriptor)
    inputs = ProgramInput("groups", "prs_Gender"), ProgramInput("over", "year")
    asked = PackagedProgram("dissimilarity", inputs, digest="0" * 64, descriptor=described)
    query = replace(contract.query, statistic=Statistic(program=asked))
    return replace(contract, query=query, program=replace(contract.program, name=asked.name, digest=asked.digest))


FORGERIES: dict[str, Forgery] = {
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
    "a program that no release has": Forgery("POLICY_REFUSED", "the statistic program", changed(_packaged)),
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
}


@pytest.mark.parametrize("name", FORGERIES)
async def test_23_28_seats_programs_and_terms_are_refused(world: World, name: str) -> None:
    await refused(world, FORGERIES[name])
