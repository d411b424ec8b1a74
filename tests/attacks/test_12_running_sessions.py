"""Row 12 while a federation computes: what is revoked ends running sessions at every space, and begins no new one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import pytest

from gateway.api.peer.v1 import peer_pb2 as peer
from gateway.client import Client, load_query
from gateway.domain.computation import State
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.session import UNDETERMINED
from gateway.edges.certificates import kid_of
from gateway.edges.revoking import FILE, Entry, add_entry
from gateway.sandbox.layout import SPACES
from tests.attacks.lone import HEARD_WITHIN, until
from tests.attacks.port import OK, Port
from tests.e2e.shell import QUERIES, Shell
from tests.faults.federated import in_mid_session

# The gateway looks into its file twice a second; the list then ends sessions within two seconds.
TOLD_WITHIN = 0.5 + 2.0
# Members ask their anchor every five seconds, give or take one.
ASKED_WITHIN = 6.0
QUERY = load_query(QUERIES / "form_year.yaml").query
UA, UNAVAILABLE = grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.UNAVAILABLE


@pytest.fixture(scope="module")
def own(apart: Shell) -> Shell:
    """Apart: keys that were revoked do not come back."""
    return apart


def revoke(shell: Shell, space: str, kind: str, id: str) -> None:
    home = shell.folder / "anchor" if space == "anchor" else shell.folder / "spaces" / space
    assert add_entry(home / FILE, Entry(kind, id, int(time.time()), "a test"))


def refusal(shell: Shell) -> IsthmusError:
    with Client(shell.profile()) as client, pytest.raises(IsthmusError) as caught:
        client.create(QUERY, recipient="gateway")
    return caught.value


@asynccontextmanager
async def held_back(party: int) -> AsyncIterator[None]:
    """A party that hardly moves, and gives a sign of life now and then: its session lasts until it is ended."""

    async def hold() -> None:
        with contextlib.suppress(ProcessLookupError):
            while True:
                os.kill(party, signal.SIGSTOP)
                await asyncio.sleep(2.0)
                os.kill(party, signal.SIGCONT)
                await asyncio.sleep(0.05)

    holding = asyncio.create_task(hold())
    try:
        yield
    finally:
        holding.cancel()
        await asyncio.gather(holding, return_exceptions=True)
        with contextlib.suppress(ProcessLookupError):
            os.kill(party, signal.SIGCONT)


def everybody_is_there(shell: Shell) -> bool:
    with Client(shell.profile()) as client:
        return sum(space.reachable for space in client.spaces()) == len(SPACES)


async def ended_by(
    shell: Shell, revoker: str, kind: str, id: str = "", cut_off: str = ""
) -> tuple[set[tuple[State, str, str]], set[str]]:
    """How a running session ends at every space when `revoker` revokes in its middle; `id` empty is its contract. The
    space that this cuts off may hear nothing but that its lines are gone, and then says that it cannot know whose doing
    that is.
    """
    party = shell.warm_party("neutral")
    async with in_mid_session(shell) as (_, created, ends), held_back(party):
        began = time.monotonic()
        revoke(shell, revoker, kind, id or created.contract_digest)
        accounts = await ends()
    within = TOLD_WITHIN + (ASKED_WITHIN if revoker == "anchor" else 0.0)
    assert max(account.at for account in accounts) - began < within
    cut = (State.FAILED, Reason.PEER_UNREACHABLE.value, UNDETERMINED)
    heard = [account for account in accounts if (account.space, account.told) != (cut_off, cut)]
    texts = {account.computation.ending.text for account in heard if account.computation.ending is not None}
    return {account.told for account in heard}, texts


async def test_12_a_revoked_contract_ends_at_every_space(own: Shell) -> None:
    told, texts = await ended_by(own, "police", "contract")
    assert told == {(State.FAILED, Reason.REVOKED.value, "https://police.example")}
    assert texts == {"the contract was revoked by https://police.example"}
    # The next question is another contract.
    done = own("run", QUERIES / "form_year.yaml")
    assert done.code == 0, done


async def test_12_an_entity_that_the_anchor_revokes_is_out_everywhere_until_it_comes_back(own: Shell) -> None:
    port, entity = Port(own), "https://registry.example"
    describe = peer.DescribeRequest(chain=port.chain("registry"))
    assert port.as_peer("registry", "Describe", describe).code is OK
    told, texts = await ended_by(own, "anchor", "entity", entity, cut_off="registry")
    assert told == {(State.FAILED, Reason.REVOKED.value, entity)}
    # A space whose own turn to ask the anchor came later has heard of it from the others, and says so.
    assert {text.partition(" (reported by ")[0] for text in texts} == {
        f"{entity} was revoked by https://anchor.example"
    }
    # The next connection is not even made: its CA is nobody's any more.
    assert until(lambda: port.as_peer("registry", "Describe", describe).code in (UA, UNAVAILABLE), HEARD_WITHIN)
    assert refusal(own).space == entity
    (own.folder / "anchor" / FILE).write_text("")
    back = peer.DescribeRequest(chain=port.chain("registry"))
    assert until(lambda: port.as_peer("registry", "Describe", back).code is OK, HEARD_WITHIN)
    assert until(lambda: everybody_is_there(own))


async def test_12_a_revoked_tls_key_ends_what_runs_over_it_and_opens_nothing_more(own: Shell) -> None:
    certificate = (own.folder / "spaces" / "neutral" / "tls" / "to-peers.pem").read_bytes()
    told, texts = await ended_by(own, "neutral", "key", kid_of(certificate))
    assert told == {(State.FAILED, Reason.REVOKED.value, "https://neutral.example")}
    assert texts == {f"the TLS key {kid_of(certificate)} of https://neutral.example was revoked by itself"}
    port = Port(own)
    # neutral ends the session at once; its list reaches the others a moment later.
    describe = peer.DescribeRequest(chain=port.chain("neutral"))
    assert until(lambda: port.as_peer("neutral", "Describe", describe).code is UA, HEARD_WITHIN)


async def test_12_a_revoked_token_key_signs_nothing_more(own: Shell) -> None:
    port = Port(own, "police")
    describe = peer.DescribeRequest(chain=port.chain("care"))
    assert port.as_peer("care", "Describe", describe).code is OK
    revoke(own, "care", "key", Port(own).key("care").kid)
    # Neither peers nor clients take anything that it signs; other spaces go on among themselves.
    assert until(lambda: port.as_peer("care", "Describe", describe).code is UA, HEARD_WITHIN)
    assert refusal(own).reason in (Reason.UNAUTHENTICATED, Reason.REVOKED)
    assert port.still_serves()
