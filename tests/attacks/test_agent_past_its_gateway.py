"""Attacks that enter at the agent's connection, past a gateway whose checks are patched out: contracts that are not
what their initiator signs now, and an agent that is asked before it knows whom to believe.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from gateway.domain.contract import Contract
from gateway.domain.identity import EntityId
from gateway.domain.session import Approval, Failure, Refusal
from gateway.edges.keys import new_signing_key
from gateway.rules.records import to_plain
from tests.attacks.proposals import Chains, Forged, Forgery, changed, refused
from tests.attacks.rogue import CARE, COUNT, NEUTRAL, OVERLAP, POLICE, World

pytestmark = pytest.mark.asyncio(loop_scope="module")


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


def _in_the_past(contract: Contract) -> Contract:
    return replace(contract, not_before=contract.not_before - 700, expires=contract.expires - 700)


def _ahead(contract: Contract) -> Contract:
    return replace(contract, not_before=contract.not_before + 120, expires=contract.expires + 120)


NOW = int(time.time())

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
}


@pytest.mark.parametrize("name", FORGERIES)
async def test_22_a_contract_that_its_initiator_does_not_sign_now_is_refused(world: World, name: str) -> None:
    await refused(world, FORGERIES[name])


async def test_what_is_honest_passes_the_same_agent(world: World) -> None:
    for query in (COUNT, OVERLAP):
        contract = world.contract(query)
        assert isinstance(await world.line.propose(world.sign(contract), world.chains(contract)), Approval)
        # The one asks of more sources than the other: while it is agreed on, the ledger would refuse that.
        let_go = Failure("CANCELLED", CARE, "approval", "it will not be run")
        await world.line.stop(contract.session, let_go)
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
