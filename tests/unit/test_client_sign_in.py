"""The SDK and people: signing in over loopback, going on with a sign-in, and never as somebody else."""

from __future__ import annotations

import asyncio
import json
import stat
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from pydantic import ValidationError

from gateway.client import AsyncClient, Profile
from gateway.client.sign_in import Attempt, code_from_browser
from gateway.domain.errors import IsthmusError, Reason
from gateway.edges import keys
from gateway.flows.sign_in import challenge_of
from tests.unit.client_kit import NOW, FakeGateway, served

PAGE = "http://127.0.0.1:8444"


@dataclass
class MovingClock:
    at: int = NOW

    def now(self) -> int:
        return self.at


def with_login(profile: Profile) -> Profile:
    return profile.model_copy(update={"login": PAGE})


async def test_a_person_signs_in_and_the_client_asks_in_their_name(tmp_path: Path) -> None:
    gateway, shown = FakeGateway(), []

    def show(address: str) -> None:
        asked = {name: value for name, (value,) in parse_qs(urlsplit(address).query).items()}
        shown.append(asked)
        back = f"{asked['redirect_uri']}?code={'c' * 43}&state={asked['state']}"
        visits.append(asyncio.create_task(_visit(back)))

    visits: list[asyncio.Task[httpx.Response]] = []
    async with served(gateway, tmp_path) as profile, AsyncClient(with_login(profile), clock=MovingClock()) as client:
        said = await client.sign_in(show)
        assert (said.subject, said.scopes, said.ends) == ("anna@people", ("catalogue",), gateway.sign_in_ends)
        await client.datasets()
    (page,) = await asyncio.gather(*visits)
    assert "You are signed in" in page.text and "default-src 'none'" in page.headers["content-security-policy"]
    assert said.token not in repr(said)
    (request,) = gateway.exchanged
    assert request.authorization_code.code == "c" * 43
    assert shown[0]["code_challenge"] == challenge_of(request.authorization_code.code_verifier)
    assert (shown[0]["client_id"], shown[0]["code_challenge_method"]) == ("analyst", "S256")
    assert set(gateway.seen_tokens) == {said.token}
    assert (tmp_path / "me.token").read_text() == said.token
    assert stat.S_IMODE((tmp_path / "me.token").stat().st_mode) == 0o600


async def _visit(address: str) -> httpx.Response:
    async with httpx.AsyncClient() as browser:
        return await browser.get(address)


async def test_a_redirect_of_another_attempt_is_not_taken() -> None:
    attempt, answers = Attempt(), []

    async def visits(redirect: str) -> None:
        for query in (
            "",
            "?code=stolen",
            "?code=stolen&state=guessed",
            f"?code=a&code=b&state={attempt.state}",
            f"?code=a&state={attempt.state}&more=1",
        ):
            answers.append((await _visit(redirect + query)).status_code)
        answers.append((await _visit(f"{redirect}elsewhere?code=a&state={attempt.state}")).status_code)
        answers.append((await _visit(f"{redirect}?code=mine&state={attempt.state}")).status_code)

    tasks: list[asyncio.Task[None]] = []

    def show(address: str) -> None:
        (redirect,) = parse_qs(urlsplit(address).query)["redirect_uri"]
        tasks.append(asyncio.create_task(visits(redirect)))

    assert await code_from_browser(PAGE, "analyst", show, attempt) == "mine"
    await asyncio.gather(*tasks)
    assert answers == [404] * 6 + [200]
    assert attempt.verifier not in repr(attempt) and attempt.state not in repr(attempt)


async def test_without_a_login_page_the_profile_is_named(tmp_path: Path) -> None:
    async with served(FakeGateway(), tmp_path) as profile, AsyncClient(profile, clock=MovingClock()) as client:
        with pytest.raises(IsthmusError) as refused:
            await client.sign_in(print)
    assert (refused.value.reason, refused.value.field) == (Reason.CONFIGURATION, "login")


async def test_a_sign_in_goes_on_while_it_is_used_in_this_process_and_the_next(tmp_path: Path) -> None:
    clock = MovingClock()
    gateway = FakeGateway(clock=clock, sign_in_ends=NOW + 700)
    async with served(gateway, tmp_path) as profile:
        async with AsyncClient(profile, clock=clock) as client:
            first = (await client.exchange("inbound")).token
            clock.at = NOW + 100
            await client.datasets()
            assert len(gateway.exchanged) == 1
            clock.at = NOW + 200  # less than half of it is left
            await client.datasets()
            assert len(gateway.exchanged) == 2
            assert gateway.exchanged[-1].subject_token.token == first
        clock.at = NOW + 450
        async with AsyncClient(profile, clock=clock) as client:
            await client.datasets()
        assert len(gateway.exchanged) == 3
        clock.at = NOW + 690  # to its end: there is no longer one to be had
        async with AsyncClient(profile, clock=clock) as client:
            await client.datasets()
        assert len(gateway.exchanged) == 3
        assert (tmp_path / "me.token").read_text() == gateway.tokens[-1]
        assert [path.name for path in tmp_path.glob("me.token*")] == ["me.token"]


async def test_whoevers_sign_in_has_ended_does_not_go_on_as_the_client(tmp_path: Path) -> None:
    clock = MovingClock()
    gateway = FakeGateway(clock=clock)
    async with served(gateway, tmp_path) as profile:
        async with AsyncClient(profile, clock=clock) as client:
            await client.exchange("inbound")
            clock.at = NOW + 301
            with pytest.raises(IsthmusError) as here:
                await client.datasets()
        async with AsyncClient(profile, clock=clock) as client:
            with pytest.raises(IsthmusError) as there:
                await client.datasets()
    for refused in (here, there):
        assert refused.value.reason is Reason.UNAUTHENTICATED and "isthmus login" in refused.value.advice
    assert gateway.seen_tokens == [] and len(gateway.tokens) == 1


async def test_a_token_that_others_can_read_is_not_used(tmp_path: Path) -> None:
    async with served(FakeGateway(), tmp_path) as profile, AsyncClient(profile, clock=MovingClock()) as client:
        keys.write_secret(tmp_path / "me.token", b"x.y.z")
        (tmp_path / "me.token").chmod(0o644)
        with pytest.raises(IsthmusError) as refused:
            await client.datasets()
    assert refused.value.reason is Reason.CONFIGURATION


@pytest.mark.parametrize("address", ["http://gateway.care.example", "https://x/?a=1", "javascript:x", "https://a b"])
def test_a_login_page_without_tls_is_not_on_another_machine(tmp_path: Path, address: str) -> None:
    good = {"gateway": "g:1", "server_name": "s", "ca": "a", "certificate": "b", "key": "c"}
    assert Profile.model_validate({**good, "login": "https://gateway.care.example:8444/"})
    with pytest.raises(ValidationError):
        Profile.model_validate({**good, "login": address})
    assert json.dumps(good)
