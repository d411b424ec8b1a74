"""What a user does with computations once they are asked, and with the sandbox that they run in."""

from __future__ import annotations

import asyncio

import pytest

from gateway.client import AsyncClient, load_query
from gateway.domain.computation import State
from gateway.domain.errors import IsthmusError, Reason
from gateway.sandbox import processes
from tests.e2e.shell import QUERIES, Shell, is_open
from tests.faults.federated import QUERY, in_mid_session


async def test_the_same_request_is_one_computation_and_another_one_is_refused(shell: Shell) -> None:
    async with AsyncClient(shell.profile()) as client:
        first = await client.create(QUERY, "request-of-this-test", "gateway")
        again = await client.create(QUERY, "request-of-this-test", "gateway")
        assert first.name == again.name
        with pytest.raises(IsthmusError) as other:
            await client.create(load_query(QUERIES / "overlap.yaml").query, "request-of-this-test", "gateway")
        assert other.value.reason is Reason.ALREADY_EXISTS
        async for computation in client.watch(first.name):
            last = computation
        assert last.state is State.RELEASED
        assert len([item for item in await client.list() if item.name == first.name]) == 1
        # Asked again after its end, it is the same one, with the same result.
        late = await client.create(QUERY, "request-of-this-test", "gateway")
        assert (late.name, late.state) == (first.name, State.RELEASED)


async def test_list_show_and_cancel(shell: Shell) -> None:
    async with in_mid_session(shell) as (_, created, ends):
        id = created.name.removeprefix("computations/")
        cancelled, accounts = await asyncio.gather(
            asyncio.to_thread(shell, "computations", "cancel", id, "--json"), ends()
        )
        ended = {account.told[0] for account in accounts}
    # The session may have been faster than the command; then it says so.
    assert ended in ({State.CANCELLED}, {State.RELEASED})
    assert cancelled.code == (0 if ended == {State.CANCELLED} else 3), cancelled
    shown = shell("computations", "show", id, "--json").json
    assert shown["state"] in ("CANCELLED", "RELEASED")
    listed = shell("computations", "list", "--json").json["computations"]
    assert created.name in {item["computation"] for item in listed}
    again = shell("computations", "cancel", id)
    assert (again.code, again.is_one_line()) == (3, True), again


def test_a_question_with_noise_says_how_far_its_counts_are_off_and_gets_them_again(shell: Shell) -> None:
    planned = shell("plan", QUERIES / "noise.yaml")
    assert planned.code == 0 and "(ε = 1): counts are off by at most 6 with 95 %" in " ".join(planned.out.split())
    first, again = (shell("run", QUERIES / "noise.yaml", "--json") for _ in range(2))
    assert first.code == again.code == 0, first.err
    assert first.json["receipt"]["noise"] == {"epsilon": "1", "off_by_95": 6}
    assert first.json["rows"] == again.json["rows"]
    assert any(row["count"] for row in first.json["rows"])


def test_the_sandbox_tells_where_everything_is(shell: Shell) -> None:
    told = shell("sandbox", "ps", "--json").json
    assert [space["name"] for space in told["spaces"]] == ["care", "police", "registry", "neutral"]
    alive = {process.id for process in processes.table()}
    for role, counts in {"gateway": 4, "agent": 4, "party": 3}.items():
        ids = [id for space in told["processes"][role].values() for id in space]
        assert len(ids) == counts, role
        assert set(ids) <= alive
    for space in told["spaces"]:
        assert is_open(space["address"])
    second = shell("sandbox", "up", "--detach")
    assert (second.code, second.is_one_line()) == (2, True), second
    assert "runs already" in second.err
