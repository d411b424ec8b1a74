"""Contracts as a rogue home gateway proposes them to an agent, and how each is refused: with its reason; nothing
starts, no party is used, the agent's audit log says why, and the caller's message says nothing that it may not know.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gateway.domain.contract import Contract
from gateway.domain.query import Query
from gateway.domain.session import Refusal
from tests.attacks.rogue import COUNT, World

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


async def refused(world: World, forgery: Forgery) -> None:
    """Proposes it, and holds what the head of this file says."""
    token, chains = forgery.make(world)
    start, parties = len(world.facts()), await world.warm_parties()

    answer = await world.line.propose(token, chains)

    assert isinstance(answer, Refusal)
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
