"""The SDK against a gateway over real mutual TLS: tokens, retries, watching, and what it refuses to believe."""

import asyncio
import base64
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.client import AsyncClient, Client
from gateway.client.evidence import open_own
from gateway.client.summary import summary
from gateway.domain.computation import Computation, Ending, State
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.result import Row, Table
from gateway.edges import keys
from gateway.edges.tokens import sign
from gateway.rules import sealing
from tests.unit.client_kit import CARE, NOW, QUERY, FakeGateway, FixedClock, released, served

TABLE = Table(("la", "ng"), (Row(("1", "0"), 54), Row(("0", "1"), 463), Row(("1", "1"), None)))


class MovingClock:
    at = NOW

    def now(self) -> int:
        return self.at


def token_until(expires: int) -> bytes:
    claims = {
        "iss": CARE,
        "sub": "analyst",
        "aud": CARE,
        "iat": NOW,
        "exp": expires,
        "jti": "j",
        "client_id": "analyst",
        "scope": "catalogue",
        "cnf": {"x5t#S256": "A" * 43},
        "authorization_details": [],
    }
    return sign("at+jwt", claims, keys.new_signing_key()).encode()


async def last(client: AsyncClient, name: str) -> Computation:
    return [item async for item in client.watch(name)][-1]


async def test_a_result_is_opened_by_its_own_recipient_and_acknowledged(tmp_path: Path) -> None:
    gateway = FakeGateway()
    async with served(gateway, tmp_path) as profile, AsyncClient(profile, clock=FixedClock()) as client:
        created = await client.create(QUERY)
        ended = await last(client, created.name)
        assert ended.state is State.RELEASED
        assert await client.result(ended) == TABLE
        assert len(summary(ended).approvals) == 4
    assert gateway.acknowledged == [True]
    assert all(deadline is not None for deadline in gateway.deadlines)


async def test_falsified_shares_are_disputed_and_no_table_is_shown(tmp_path: Path) -> None:
    gateway = FakeGateway(spoil=True)
    async with served(gateway, tmp_path) as profile, AsyncClient(profile, clock=FixedClock()) as client:
        created = await client.create(QUERY)
        with pytest.raises(IsthmusError) as refused:
            await client.result(await last(client, created.name))
    assert refused.value.reason is Reason.INCONSISTENT_SHARES
    assert gateway.acknowledged == [False]


async def test_a_result_of_the_gateway_comes_as_its_table(tmp_path: Path) -> None:
    gateway = FakeGateway()
    async with served(gateway, tmp_path) as profile, AsyncClient(profile, clock=FixedClock()) as client:
        created = await client.create(QUERY, recipient="gateway")
        table = await client.result(await last(client, created.name))
    assert table.rows == (Row(("1", "0"), None),)
    assert gateway.acknowledged == []


async def test_a_broken_watch_is_opened_again(tmp_path: Path) -> None:
    gateway = FakeGateway(watch_breaks=2)
    async with served(gateway, tmp_path) as profile, AsyncClient(profile, clock=FixedClock()) as client:
        created = await client.create(QUERY)
        states = [item.state async for item in client.watch(created.name)]
    assert states == [State.RUNNING] * 3 + [State.RELEASED]


async def test_a_call_is_repeated_while_the_gateway_is_unavailable(tmp_path: Path) -> None:
    gateway = FakeGateway(unavailable=2)
    async with served(gateway, tmp_path) as profile, AsyncClient(profile, clock=FixedClock()) as client:
        created = await client.create(QUERY)
        assert list(gateway.created) == [created.name]
        gateway.unavailable = 100
        with pytest.raises(IsthmusError) as refused:
            await client.datasets()
    assert refused.value.reason is Reason.PEER_UNREACHABLE
    assert gateway.unavailable == 96


async def test_a_call_that_is_not_idempotent_is_made_once(tmp_path: Path) -> None:
    gateway = FakeGateway(spoil=True)
    async with served(gateway, tmp_path) as profile, AsyncClient(profile, clock=FixedClock()) as client:
        ended = await last(client, (await client.create(QUERY)).name)
        gateway.unavailable = 100
        with pytest.raises(IsthmusError) as refused:
            await client.result(ended)
    assert refused.value.reason is Reason.INCONSISTENT_SHARES  # whether or not the gateway could be told
    assert gateway.unavailable == 99


async def test_pages_are_read_to_the_end(tmp_path: Path) -> None:
    gateway = FakeGateway()
    async with served(gateway, tmp_path) as profile, AsyncClient(profile, clock=FixedClock()) as client:
        catalogue = await client.datasets()
    assert [listed.dataset.short_name for listed in catalogue.datasets] == ["la", "ng"]
    assert catalogue.unreachable == ("https://x.example",) and gateway.pages == ["", "2"]


async def test_a_refusal_keeps_reason_field_space_and_advice(tmp_path: Path) -> None:
    async with served(FakeGateway(), tmp_path) as profile, AsyncClient(profile, clock=FixedClock()) as client:
        with pytest.raises(IsthmusError) as refused:
            await client.dataset("spaces/x/datasets/y")
    problem = refused.value
    assert (problem.reason, problem.field, problem.space, problem.advice) == (
        Reason.UNKNOWN_DATASET, "name", "https://x.example", "Look again",
    )  # fmt: skip


async def test_an_end_without_release_says_whose_doing_it_was(tmp_path: Path) -> None:
    gateway = FakeGateway(ending=Ending("PARTY_DIED", "https://s1.example", "sort", "party 1 died", "Ask again"))
    async with served(gateway, tmp_path) as profile, AsyncClient(profile, clock=FixedClock()) as client:
        ended = await last(client, (await client.create(QUERY)).name)
        with pytest.raises(IsthmusError, match="party 1 died") as refused:
            await client.result(ended)
    assert (refused.value.reason, refused.value.space) == (Reason.PARTY_DIED, "https://s1.example")


async def test_a_good_token_file_is_used_and_an_old_one_is_not(tmp_path: Path) -> None:
    clock = MovingClock()
    gateway = FakeGateway(clock=clock)
    async with served(gateway, tmp_path) as profile, AsyncClient(profile, clock=clock) as client:
        good = token_until(NOW + 300)
        keys.write_secret(tmp_path / "me.token", good)
        await client.datasets()
        assert set(gateway.seen_tokens) == {good.decode()} and gateway.tokens == []
        clock.at = NOW + 290  # ten seconds before it ends
        await client.datasets()
    assert gateway.tokens == ["token-0"] and gateway.seen_tokens[-1] == "token-0"


async def test_an_issued_token_is_kept_until_shortly_before_it_ends(tmp_path: Path) -> None:
    clock = MovingClock()
    gateway = FakeGateway(clock=clock)
    async with served(gateway, tmp_path) as profile, AsyncClient(profile, clock=clock) as client:
        await client.datasets()
        clock.at = NOW + 200
        await client.datasets()
        assert len(gateway.tokens) == 1
        clock.at = NOW + 280
        await client.datasets()
    assert len(gateway.tokens) == 2


async def test_a_gateway_of_another_ca_is_not_spoken_to(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    gateway = FakeGateway()
    async with served(gateway, tmp_path) as profile, served(FakeGateway(), tmp_path / "other") as other:
        crossed = profile.model_copy(update={"ca": other.ca})
        async with AsyncClient(crossed, clock=FixedClock()) as client:
            with pytest.raises(IsthmusError) as refused:
                await client.datasets()
    assert refused.value.reason is Reason.PEER_UNREACHABLE
    assert gateway.seen_tokens == [] and gateway.tokens == []


async def test_the_plain_client_does_the_same_without_a_loop_of_its_callers(tmp_path: Path) -> None:
    gateway = FakeGateway()
    async with served(gateway, tmp_path) as profile:

        def ask() -> Table:
            with Client(profile, clock=FixedClock()) as client:
                created = client.create(QUERY)
                return client.result([*client.watch(created.name)][-1])

        assert await asyncio.to_thread(ask) == TABLE
    assert gateway.acknowledged == [True]


PRIVATE, PUBLIC = sealing.fresh_key()
ID = "5e" * 16


def test_what_was_asked_is_opened() -> None:
    assert open_own(released(QUERY, PUBLIC, ID), QUERY, PRIVATE) == TABLE


def swapped(token: str, other: str) -> str:
    """The header and signature of one token around the payload of another."""
    head, _, tail = token.split(".")
    return ".".join((head, other.split(".")[1], tail))


OTHER = released(replace(QUERY, title="Another question"), PUBLIC, ID)


@pytest.mark.parametrize(
    ("falsify", "reason"),
    [
        (lambda it: OTHER, Reason.CONTRACT_INVALID),
        (lambda it: replace(it, contract=swapped(it.contract, OTHER.contract)), Reason.CONTRACT_INVALID),
        (lambda it: replace(it, contract_digest="00" * 32), Reason.CONTRACT_INVALID),
        (lambda it: replace(it, contract="not.a.token"), Reason.CONTRACT_INVALID),
        (lambda it: replace(it, contract=it.approvals[0]), Reason.CONTRACT_INVALID),
        (lambda it: replace(it, approvals=it.approvals[1:]), Reason.APPROVALS_INVALID),
        (lambda it: replace(it, approvals=(*it.approvals[1:], it.approvals[1])), Reason.APPROVALS_INVALID),
        (lambda it: replace(it, approvals=OTHER.approvals), Reason.APPROVALS_INVALID),
        (lambda it: replace(it, receipts=it.receipts[1:]), Reason.CONTRACT_INVALID),
        (lambda it: replace(it, receipts=OTHER.receipts), Reason.CONTRACT_INVALID),
        (lambda it: replace(it, shares=OTHER.shares), Reason.INCONSISTENT_SHARES),
        (lambda it: replace(it, shares=it.shares[1:]), Reason.INCONSISTENT_SHARES),
        (lambda it: released(QUERY, sealing.fresh_key()[1], ID), Reason.CONTRACT_INVALID),
        (lambda it: released(QUERY, PUBLIC, ID, kind="gateway"), Reason.CONTRACT_INVALID),
    ],
)
def test_what_was_not_asked_or_not_agreed_is_not_opened(
    falsify: Callable[[Computation], Computation], reason: Reason
) -> None:
    with pytest.raises(IsthmusError) as refused:
        open_own(falsify(released(QUERY, PUBLIC, ID)), QUERY, PRIVATE)
    assert refused.value.reason is reason


def test_a_private_key_is_never_shown() -> None:
    from gateway.client.aio import _Asked

    shown = repr(_Asked(QUERY, PRIVATE))
    assert repr(PRIVATE) not in shown and base64.b64encode(PRIVATE).decode() not in shown
