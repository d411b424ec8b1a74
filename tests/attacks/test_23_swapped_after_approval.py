"""Row 23 at a real agent: what was approved is run as it was approved, to the last field of the program."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from gateway.domain.contract import Contract
from gateway.domain.errors import Reason
from gateway.domain.session import Approval
from tests.attacks.rogue import CARE, World, digest_of
from tests.attacks.test_run_past_its_gateway import agree, refusal

pytestmark = pytest.mark.asyncio(loop_scope="module")
Change = Callable[[Contract], Contract]


def program(**changes: object) -> Change:
    return lambda contract: replace(contract, program=replace(contract.program, **changes))  # type: ignore[arg-type]


SWAPS: dict[str, Change] = {
    "another program": program(name="overlap"),
    "another version": program(version=999),
    "another digest": program(digest="0" * 64),
    "another engine": program(engine="mpyc 0.10"),
    "another codec": program(codec=999),
    "other parameters": program(parameters="{}"),
    "another field": lambda contract: replace(contract, field="Z_2^64"),
    "another threshold": lambda contract: replace(contract, t=0),
    "fewer parties": lambda contract: replace(contract, m=2, seats=contract.seats[:2]),
    "seats in another order": lambda contract: replace(contract, seats=contract.seats[::-1]),
    "a longer total deadline": lambda contract: replace(
        contract, deadlines=replace(contract.deadlines, total=contract.deadlines.total + 1)
    ),
}


@pytest.mark.parametrize("name", SWAPS)
async def test_23_what_is_swapped_after_approval_does_not_run(world: World, name: str) -> None:
    agreed = await agree(world)
    swapped = SWAPS[name](agreed.contract)
    assert swapped != agreed.contract
    token, approvals = world.sign(swapped), agreed.approvals
    for those in (
        # The approvals of what was agreed on, and approvals by all others of what was put in its place.
        approvals,
        {**{e: world.approve(e, swapped, digest_of(token)) for e in swapped.entities()}, CARE: approvals[CARE]},
    ):
        found = await refusal(world, token, list(those.values()), agreed.chains)
        assert found.reason in (
            Reason.APPROVALS_INVALID, Reason.PROGRAM_MISMATCH, Reason.CONTRACT_INVALID, Reason.SEATS_REFUSED
        ), found  # fmt: skip


async def test_23_the_control_what_was_approved_is_still_approved(world: World) -> None:
    agreed = await agree(world)
    assert await world.line.propose(agreed.token, agreed.chains) == Approval(agreed.approvals[CARE])
