"""Issuing for clients and people, over a real store and real tokens, with a clock that the test moves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.caller import Caller, CallerKind, Rights
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.sign_in import ClaimRule, Grant, Inbound
from gateway.edges.own_tokens import SignedTokens
from gateway.edges.store.database import Database
from gateway.flows.sign_in import SIGN_IN_LASTS, Issued, SigningIn, challenge_of
from gateway.rules.jose import Problem, TokenProblem, parse_compact
from gateway.rules.oidc import TokenType
from tests.fakes import FakeClock, FakeIds
from tests.unit import trust_kit

WIDE = Grant(("catalogue", "compute"), Rights(("*",), ("*",), ("*",)))
NARROW = Grant(("catalogue",), Rights(("a",), ("*",), ("*",)))
DESK = Caller(CallerKind.HOLDER, "desk", certificate="A" * 43)
OTHER = Caller(CallerKind.HOLDER, "other", certificate="B" * 43)
VERIFIER = "v" * 43


@dataclass
class Ministry:
    """A provider whose tokens say whom they are for, and are good for ten minutes."""

    clock: FakeClock
    grant: Grant = WIDE

    def verify(self, token: str, token_type: TokenType) -> Inbound:
        subject, _, jti = token.partition(" ")
        claims = {"sub": subject, "group": "staff"}
        ends = self.clock.at + 600
        return Inbound("ministry", "https://login.example", subject, claims, token, "d" * 64, "{}", f"jti:{jti}", ends)

    def rules(self, provider: str) -> Sequence[ClaimRule]:
        return (ClaimRule("group", "staff", self.grant),) if provider == "ministry" else ()


@dataclass
class Known:
    grants: dict[str, Grant] = field(default_factory=lambda: {"anna": WIDE})

    def grant(self, name: str) -> Grant | None:
        return self.grants.get(name)

    async def knows(self, name: str, password: str) -> bool:
        return name in self.grants and password == "right"


@dataclass
class Desk:
    signing_in: SigningIn
    database: Database
    clock: FakeClock
    ministry: Ministry
    known: Known

    async def code(self, name: str = "anna") -> str:
        code = await self.signing_in.password(name, "right", "desk", challenge_of(VERIFIER), "192.0.2.7")
        assert code is not None
        return code

    async def renewed(self, issued: Issued, caller: Caller = DESK) -> Issued:
        return await self.signing_in.exchange(caller, issued.token, TokenType.ACCESS_TOKEN)

    async def kinds(self) -> list[str]:
        return [fact.kind for fact in await self.database.audit.read(start=0, limit=100)]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    bench = trust_kit.new_bench()
    clock = FakeClock()
    # One clock for the flow and for the verifier.
    bench.federation._clock = clock.now
    tokens = SignedTokens(trust_kit.CARE, lambda: bench.care.tokens, trust_kit.Verifier(bench.federation, clock.now))
    ministry, known = Ministry(clock), Known()
    async with await Database.open(f"sqlite+aiosqlite:///{tmp_path}/state.db") as database:
        signing_in = SigningIn(
            trust_kit.CARE,
            clock,
            FakeIds(),
            database.once,
            database.sign_ins,
            database.audit,
            tokens,
            ministry,
            known,
            {"desk": WIDE, "other": WIDE, "console": WIDE},
            frozenset({"console"}),
        )
        yield Desk(signing_in, database, clock, ministry, known)


def claims(issued: Issued) -> dict[str, Any]:
    return parse_compact(issued.token, 10_000).claims


def test_a_clients_own_token_is_its_configured_grant(desk: Desk) -> None:
    issued = desk.signing_in.issue(DESK)
    assert claims(issued)["sub"] == "desk" and issued.grant == WIDE and "act" not in claims(issued)
    with pytest.raises(IsthmusError) as refused:
        desk.signing_in.issue(replace(DESK, id="console"))
    assert refused.value.reason is Reason.PERMISSION_DENIED


async def test_an_inbound_token_is_exchanged_once_and_kept(desk: Desk) -> None:
    issued = await desk.signing_in.exchange(DESK, "dana one", TokenType.ID_TOKEN)
    assert (issued.subject, issued.ends) == ("dana@ministry", desk.clock.at + 600)
    kept = await desk.database.sign_ins.evidence(claims(issued)["jti"])
    assert kept is not None and (kept.token, kept.person, kept.client) == ("dana one", "dana@ministry", "desk")
    for caller in (DESK, OTHER):
        with pytest.raises(TokenProblem) as refused:
            await desk.signing_in.exchange(caller, "dana one", TokenType.ID_TOKEN)
        assert refused.value.problem is Problem.REPLAY
    assert await desk.kinds() == ["token.exchanged"]


async def test_of_many_exchanges_at_once_one_succeeds(desk: Desk) -> None:
    tries = (desk.signing_in.exchange(DESK, "dana one", TokenType.ID_TOKEN) for _ in range(10))
    answers = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(answer, Issued) for answer in answers) == 1
    assert await desk.kinds() == ["token.exchanged"]


async def test_whoever_is_granted_nothing_does_not_spend_the_token(desk: Desk) -> None:
    desk.ministry.grant = Grant(("operate",), WIDE.rights)
    with pytest.raises(IsthmusError) as refused:
        await desk.signing_in.exchange(DESK, "dana one", TokenType.ID_TOKEN)
    assert refused.value.reason is Reason.PERMISSION_DENIED
    desk.ministry.grant = NARROW
    assert (await desk.signing_in.exchange(DESK, "dana one", TokenType.ID_TOKEN)).grant == NARROW


async def test_a_sign_in_goes_on_until_it_ends_and_no_further(desk: Desk) -> None:
    issued = await desk.signing_in.exchange(DESK, "dana one", TokenType.ID_TOKEN)
    ends = issued.ends
    for later, expires in ((200, 500), (250, 600), (140, 600)):
        desk.clock.at += later
        issued = await desk.renewed(issued)
        assert (issued.ends, issued.expires) == (ends, ends - 600 + expires)
        assert claims(issued)["act"] == {"sub": "desk"}
    desk.clock.at += 20
    with pytest.raises(TokenProblem):
        await desk.renewed(issued)
    assert await desk.kinds() == ["token.exchanged", "token.renewed", "token.renewed", "token.renewed"]


async def test_a_token_that_has_expired_is_not_renewed(desk: Desk) -> None:
    issued = await desk.signing_in.redeem(DESK, await desk.code(), VERIFIER)
    assert issued.ends == desk.clock.at + SIGN_IN_LASTS
    desk.clock.at += 310
    with pytest.raises(TokenProblem) as refused:
        await desk.renewed(issued)
    assert refused.value.problem is Problem.TIMES


async def test_only_the_client_of_a_persons_token_renews_it_and_a_clients_own_is_not_renewed(desk: Desk) -> None:
    issued = await desk.signing_in.redeem(DESK, await desk.code(), VERIFIER)
    with pytest.raises(TokenProblem) as stolen:
        await desk.renewed(issued, OTHER)
    assert stolen.value.problem is Problem.BINDING
    with pytest.raises(TokenProblem) as own:
        await desk.renewed(desk.signing_in.issue(DESK))
    assert own.value.problem is Problem.BINDING


async def test_whose_rights_were_narrowed_or_taken_has_to_sign_in_again(desk: Desk) -> None:
    issued = await desk.signing_in.redeem(DESK, await desk.code(), VERIFIER)
    for now in ({"anna": NARROW}, {}):
        desk.known.grants = dict(now)
        with pytest.raises(IsthmusError) as refused:
            await desk.renewed(issued)
        assert refused.value.reason is Reason.PERMISSION_DENIED
    desk.known.grants = {"anna": NARROW}
    assert (await desk.signing_in.redeem(DESK, await desk.code(), VERIFIER)).grant == NARROW


async def test_a_person_who_is_gone_before_the_code_is_used_gets_nothing(desk: Desk) -> None:
    code = await desk.code()
    desk.known.grants = {}
    with pytest.raises(IsthmusError) as refused:
        await desk.signing_in.redeem(DESK, code, VERIFIER)
    assert refused.value.reason is Reason.PERMISSION_DENIED


def test_what_a_person_may_be_granted_is_looked_up_where_they_are_known(desk: Desk) -> None:
    assert desk.signing_in.standing("anna@people") == (WIDE,)
    assert desk.signing_in.standing("dana@ministry") == (WIDE,)
    assert desk.signing_in.standing("anna@elsewhere") == ()
    (nothing,) = desk.signing_in.standing("dana@people")
    assert nothing.scopes == ()
