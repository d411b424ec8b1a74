"""Attacks that enter at the agent's connection, past a gateway whose checks are patched out: what it runs.

Each is refused with its reason before a party is used, and the agent's audit log says why. What does start ends
with the first thing that is wrong, and leaves no party behind.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import pytest

from gateway.domain.approval import SeatKey
from gateway.domain.computation import SealedShare
from gateway.domain.contract import Contract
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.session import Approval, Completed, Failure, Frame, Progress, RunEvent
from gateway.rules import sealing
from gateway.rules.jose import parse_compact
from tests.attacks.repeats import EARLIER, keeps, keeps_nothing, named, opened, received_by, renamed, vector
from tests.attacks.rogue import ANSWER_WITHIN, CARE, COUNT, NEUTRAL, POLICE, REGISTRY, SISTER, World, digest_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

Chains = Sequence[Sequence[str]]
NOTHING: Mapping[str, str] = MappingProxyType({})
BOTH = {POLICE: EARLIER, NEUTRAL: EARLIER}


@dataclass(frozen=True)
class Agreed:
    """A contract that everybody has approved, as its home gateway holds it."""

    contract: Contract
    token: str
    chains: Chains
    approvals: dict[str, str]

    @property
    def digest(self) -> str:
        return digest_of(self.token)


async def agree(world: World, contract: Contract | None = None, kept: Mapping[str, str] = NOTHING) -> Agreed:
    """`kept` is what everybody but care says that it keeps."""
    contract = contract or world.contract()
    token, chains = world.sign(contract), world.chains(contract)
    own = await world.line.propose(token, chains)
    assert isinstance(own, Approval), own
    others = {
        entity: world.approve(entity, contract, digest_of(token), kept=kept.get(entity, ""))
        for entity in contract.entities()
        if entity != CARE
    }
    return Agreed(contract, token, chains, {CARE: own.token, **others})


async def refusal(world: World, token: str, approvals: Sequence[str], chains: Chains) -> IsthmusError:
    """What Run is refused with; nothing has started then."""
    start, parties = len(world.facts()), await world.warm_parties()
    with pytest.raises(IsthmusError) as refused:
        async with asyncio.timeout(ANSWER_WITHIN):
            async for _ in world.line.run(token, approvals, chains):
                raise AssertionError("the session started")
    kinds = {fact.kind for fact in world.facts(start)}
    assert kinds == {"session.refused"}
    assert refused.value.reason in world.facts(start)[0].detail
    assert world.parties() == parties
    assert str(world.folder) not in str(refused.value)
    return refused.value


async def events(world: World, agreed: Agreed, until: Callable[[RunEvent], bool]) -> list[RunEvent]:
    """The session's events up to the first that `until` wants; then it is stopped, if it has not ended."""
    world.tunnel.open(agreed.contract)
    seen: list[RunEvent] = []
    stopped = Failure("CANCELLED", CARE, "session", "the test has seen enough", "")
    async with asyncio.timeout(ANSWER_WITHIN):
        async for event in world.line.run(agreed.token, tuple(agreed.approvals.values()), agreed.chains):
            seen.append(event)
            if until(event):
                await world.line.stop(agreed.contract.session, stopped)
    await world.tunnel.close(agreed.contract.session)
    return seen


def _is_progress(event: RunEvent) -> bool:
    return isinstance(event, Progress)


def _swapped(world: World, agreed: Agreed) -> list[str]:
    """The session keys of two spaces exchanged, by somebody who can sign for neither."""
    forged = world.approve(POLICE, agreed.contract, agreed.digest, key=world.token_key(POLICE))
    return [forged if entity == POLICE else token for entity, token in agreed.approvals.items()]


def _altered(token: str) -> str:
    """Another session key under the old signature."""
    head, payload, signature = token.split(".")
    other = parse_compact(token, 64 * 1024).claims
    from gateway.domain.identity import b64url

    changed = {**other, "provider": "A" * 43 + "="}
    assert payload != b64url(json.dumps(changed).encode())
    return ".".join((head, b64url(json.dumps(changed).encode()), signature))


def _same_key(world: World, agreed: Agreed) -> list[str]:
    """police takes the public key of neutral's seat for its own."""
    neutral = parse_compact(agreed.approvals[NEUTRAL], 64 * 1024).claims
    copied = (SeatKey(1, neutral["seats"][0]["key"]),)
    copy = world.approve(POLICE, agreed.contract, agreed.digest, seats=copied)
    return [copy if entity == POLICE else token for entity, token in agreed.approvals.items()]


def _of(agreed: Agreed, entity: str, token: str) -> list[str]:
    return [token if name == entity else own for name, own in agreed.approvals.items()]


RUNS: dict[str, tuple[Reason, Callable[[World, Agreed], list[str]]]] = {
    "no approvals": (Reason.APPROVALS_INVALID, lambda w, a: []),
    "one missing": (Reason.APPROVALS_INVALID, lambda w, a: list(a.approvals.values())[:-1]),
    "the own one missing": (Reason.APPROVALS_INVALID, lambda w, a: list(a.approvals.values())[1:]),
    "one twice": (Reason.APPROVALS_INVALID, lambda w, a: [*a.approvals.values(), a.approvals[POLICE]]),
    "one twice in place of another": (
        Reason.APPROVALS_INVALID,
        lambda w, a: [*list(a.approvals.values())[:-1], a.approvals[POLICE]],
    ),
    "two of one space": (
        Reason.APPROVALS_INVALID,
        lambda w, a: [*a.approvals.values(), w.approve(POLICE, a.contract, a.digest)],
    ),
    "one of a space that takes no part": (
        Reason.APPROVALS_INVALID,
        lambda w, a: [*a.approvals.values(), w.approve(SISTER, a.contract, a.digest)],
    ),
    "one over other bytes": (
        Reason.APPROVALS_INVALID,
        lambda w, a: _of(a, POLICE, w.approve(POLICE, a.contract, "0" * 64)),
    ),
    "one of another session": (
        Reason.UNAUTHENTICATED,
        lambda w, a: _of(a, POLICE, w.approve(POLICE, w.contract(), a.digest)),
    ),
    "one by the gateway's token key": (Reason.UNAUTHENTICATED, _swapped),
    "the own one by the gateway's token key": (
        Reason.UNAUTHENTICATED,
        lambda w, a: _of(a, CARE, w.approve(CARE, a.contract, a.digest, key=w.token_key(CARE))),
    ),
    "one in another's name": (
        Reason.UNAUTHENTICATED,
        lambda w, a: _of(a, POLICE, w.approve(POLICE, a.contract, a.digest, key=w.token_key(CARE))),
    ),
    "another's keys altered": (
        Reason.UNAUTHENTICATED,
        lambda w, a: _of(a, POLICE, _altered(a.approvals[POLICE])),
    ),
    "a kept answer named in another's": (
        Reason.UNAUTHENTICATED,
        lambda w, a: _of(a, POLICE, renamed(a.approvals[POLICE], EARLIER)),
    ),
    "a kept answer named in the own one": (
        Reason.UNAUTHENTICATED,
        lambda w, a: _of(a, CARE, renamed(a.approvals[CARE], EARLIER)),
    ),
    "a kept answer named by the gateway's token key": (
        Reason.UNAUTHENTICATED,
        lambda w, a: _of(a, CARE, w.approve(CARE, a.contract, a.digest, key=w.token_key(CARE), kept=EARLIER)),
    ),
    "a kept answer that the agent never named": (
        Reason.APPROVALS_INVALID,
        lambda w, a: _of(a, CARE, w.approve(CARE, a.contract, a.digest, kept=EARLIER)),
    ),
    "the own one altered": (Reason.UNAUTHENTICATED, lambda w, a: _of(a, CARE, _altered(a.approvals[CARE]))),
    # A signature by the right key is not enough: this agent knows what it approved.
    "an own one that the agent never gave": (
        Reason.APPROVALS_INVALID,
        lambda w, a: _of(a, CARE, w.approve(CARE, a.contract, a.digest)),
    ),
    "one key for two seats": (Reason.APPROVALS_INVALID, _same_key),
    "keys for another's seats": (
        Reason.APPROVALS_INVALID,
        lambda w, a: _of(a, POLICE, w.approve(POLICE, a.contract, a.digest, seats=(SeatKey(2, "A" * 43 + "="),))),
    ),
    "no key for its part as provider": (
        Reason.APPROVALS_INVALID,
        lambda w, a: _of(a, REGISTRY, w.approve(REGISTRY, a.contract, a.digest, provider="")),
    ),
    "a key that is none": (
        Reason.APPROVALS_INVALID,
        lambda w, a: _of(a, REGISTRY, w.approve(REGISTRY, a.contract, a.digest, provider="short")),
    ),
}


@pytest.mark.parametrize("name", RUNS)
async def test_22_a_run_with_wrong_approvals_is_refused(world: World, name: str) -> None:
    agreed = await agree(world)
    reason, approvals = RUNS[name]
    chains = [*agreed.chains, world.chain(SISTER)]
    assert (await refusal(world, agreed.token, approvals(world, agreed), chains)).reason is reason
    # What was refused has consumed nothing: the honest run still starts.
    if name == "no approvals":
        assert isinstance((await events(world, agreed, _is_progress))[-1], Failure)


async def test_21_an_approved_contract_is_run_only_in_its_time_and_as_it_was_signed(world: World) -> None:
    agreed = await agree(world)
    approvals = list(agreed.approvals.values())
    swapped = replace(agreed.contract, recipients=world.contract().recipients)
    found = await refusal(world, world.sign(swapped), approvals, agreed.chains)
    assert found.reason is Reason.APPROVALS_INVALID
    changed = replace(agreed.contract, program=replace(agreed.contract.program, digest="0" * 64))
    found = await refusal(world, world.sign(changed), approvals, agreed.chains)
    assert found.reason is Reason.PROGRAM_MISMATCH
    head, payload, _ = agreed.token.split(".")
    other = world.sign(world.contract()).split(".")[2]
    found = await refusal(world, f"{head}.{payload}.{other}", approvals, agreed.chains)
    assert found.reason is Reason.UNAUTHENTICATED


async def test_21_a_contract_that_nobody_proposed_here_does_not_run(world: World) -> None:
    contract = world.contract()
    token = world.sign(contract)
    approvals = [world.approve(entity, contract, digest_of(token)) for entity in contract.entities()]
    found = await refusal(world, token, approvals, world.chains(contract))
    assert found.reason is Reason.APPROVALS_INVALID


async def test_21_a_contract_runs_once_whatever_comes_in_between(world: World) -> None:
    agreed = await agree(world)
    approvals = list(agreed.approvals.values())
    ended = (await events(world, agreed, _is_progress))[-1]
    assert isinstance(ended, Failure)
    assert ended.reason == "CANCELLED"
    found = await refusal(world, agreed.token, approvals, agreed.chains)
    assert found.reason is Reason.CONTRACT_CONSUMED
    # The same payload under another header is the same contract.
    again = world.signed_otherwise(agreed.token)
    assert (await refusal(world, again, approvals, agreed.chains)).reason is Reason.CONTRACT_CONSUMED
    await world.restart_agent()
    assert (await refusal(world, agreed.token, approvals, agreed.chains)).reason is Reason.CONTRACT_CONSUMED


async def test_21_session_keys_do_not_outlive_the_agent(world: World) -> None:
    agreed = await agree(world)
    await world.restart_agent()
    # What it approved it stands by; the keys were in its memory alone.
    assert await world.line.propose(agreed.token, agreed.chains) == Approval(agreed.approvals[CARE])
    found = await refusal(world, agreed.token, list(agreed.approvals.values()), agreed.chains)
    assert found.reason is Reason.CONTRACT_CONSUMED
    assert "session keys" in found.public


async def test_25_a_frame_that_no_party_sealed_ends_the_session(world: World) -> None:
    agreed = await agree(world)
    world.injected = [Frame(1, 0, b"\x80\x04\x95canary")]
    start, parties = len(world.facts()), world.parties()
    world.tunnel.open(agreed.contract)
    world.tunnel.start(agreed.contract.session)
    ended = (await events(world, agreed, lambda event: False))[-1]
    world.injected = []
    assert isinstance(ended, Failure)
    # Whom it suspects; that either gateway may have altered it, `gateway.rules.blame` knows.
    assert (ended.reason, ended.culprit) == ("FRAME_UNREADABLE", POLICE)
    kinds = [fact.kind for fact in world.facts(start)]
    assert kinds == ["ledger.answered", "session.started", "session.failed"]
    assert world.parties().isdisjoint(parties)


async def test_34_kept_shares_leave_when_all_seats_name_their_contract_and_no_party_is_used(world: World) -> None:
    private, public = sealing.fresh_key()
    contract = received_by(world.contract(), public)
    keeps(world, contract)
    start, parties = len(world.facts()), await world.warm_parties()
    agreed = await agree(world, contract, BOTH)
    assert named(agreed.approvals[CARE]) == EARLIER
    progress, share, completed = await events(world, agreed, lambda event: False)
    assert isinstance(progress, Progress) and isinstance(share, SealedShare) and isinstance(completed, Completed)
    assert progress.phase == "re-delivered"
    approvals = list(agreed.approvals.values())
    assert opened(contract, agreed.token, agreed.digest, approvals, share, private) == vector(contract)
    receipt = parse_compact(completed.receipt, 64 * 1024).claims["receipt"]
    assert (receipt["redelivered"], receipt["bytes_sent"], receipt["rounds"]) == (EARLIER, 0, 0)
    facts = world.facts(start)
    assert [fact.kind for fact in facts] == [
        "contract.approved", "ledger.answered", "redelivery.started", "redelivery.output", "redelivery.completed",
    ]  # fmt: skip
    assert all(EARLIER in fact.detail for fact in facts[2:4])
    assert world.parties() == parties
    # Nor once more: its contract is consumed.
    found = await refusal(world, agreed.token, approvals, agreed.chains)
    assert found.reason is Reason.CONTRACT_CONSUMED


@pytest.mark.parametrize(
    "others", [{}, {POLICE: EARLIER}, {POLICE: EARLIER, NEUTRAL: "f" * 64}, dict.fromkeys((POLICE, NEUTRAL), "f" * 64)]
)
async def test_34_kept_shares_stay_where_they_are_unless_all_seats_name_one_contract(
    world: World, others: dict[str, str]
) -> None:
    contract = world.contract()
    keeps(world, contract)
    agreed = await agree(world, contract, others)
    assert named(agreed.approvals[CARE]) == EARLIER
    start = len(world.facts())
    seen = await events(world, agreed, _is_progress)
    assert not [event for event in seen if isinstance(event, SealedShare | Completed)]
    assert [fact.kind for fact in world.facts(start)] == ["ledger.answered", "session.started", "session.failed"]


async def test_34_what_the_others_keep_is_of_no_use_to_a_seat_that_keeps_nothing(world: World) -> None:
    keeps_nothing(world)
    agreed = await agree(world, world.contract(), BOTH)
    assert named(agreed.approvals[CARE]) == ""
    start = len(world.facts())
    await events(world, agreed, _is_progress)
    assert "session.started" in [fact.kind for fact in world.facts(start)]


async def test_34_a_kept_share_that_was_swapped_is_not_sent_and_not_named_again(world: World) -> None:
    contract = world.contract()
    keeps(world, contract, as_of="f" * 64)
    agreed = await agree(world, contract, BOTH)
    assert named(agreed.approvals[CARE]) == EARLIER
    start = len(world.facts())
    progress, ended = await events(world, agreed, lambda event: False)
    assert isinstance(progress, Progress) and isinstance(ended, Failure)
    assert (ended.reason, ended.culprit) == ("KEPT_SHARE_UNREADABLE", CARE)
    assert [fact.kind for fact in world.facts(start)] == [
        "ledger.answered", "redelivery.started", "kept.deleted", "redelivery.failed",
    ]  # fmt: skip
    again = await agree(world, world.contract(), BOTH)
    assert named(again.approvals[CARE]) == ""
    await world.line.stop(again.contract.session, Failure("CANCELLED", CARE, "approval", "it will not be run"))


async def test_34_a_kept_share_of_a_revoked_contract_is_not_named(world: World) -> None:
    contract = world.contract()
    keeps(world, contract)
    world.line.tell([], [world.list_of(POLICE, contracts=[EARLIER])])
    agreed = await agree(world, contract, BOTH)
    assert named(agreed.approvals[CARE]) == ""
    await world.line.stop(agreed.contract.session, Failure("CANCELLED", CARE, "approval", "it will not be run"))


async def test_24_a_file_that_changed_after_approval_is_not_computed_with(world: World) -> None:
    agreed = await agree(world)
    file = world.home(CARE) / "data" / "la.csv"
    before = file.read_text()
    start = len(world.facts())
    try:
        file.write_text(_without_last_row(before))
        ended = (await events(world, agreed, lambda event: False))[-1]
    finally:
        file.write_text(before)
    assert isinstance(ended, Failure)
    assert (ended.reason, ended.culprit) == ("EDITION_CHANGED", CARE)
    assert "datasets/la" in ended.text
    last = world.facts(start)[-1]
    assert (last.kind, last.about) == ("session.failed", agreed.digest)
    assert "EDITION_CHANGED" in last.detail
    # The file as it was offered serves again.
    again = await agree(world, world.contract(COUNT))
    seen = await events(world, again, _is_progress)
    assert isinstance(seen[-1], Failure)
    assert seen[-1].reason == "CANCELLED"


def _without_last_row(text: str) -> str:
    return text[: text.rstrip("\n").rindex("\n") + 1]


async def test_24_a_source_that_became_a_link_is_not_followed(world: World, tmp_path: Path) -> None:
    """Row 39 too: what the description calls a file may not lead out of its folder."""
    agreed = await agree(world)
    file = world.home(CARE) / "data" / "la.csv"
    elsewhere = tmp_path / "la.csv"
    file.rename(elsewhere)
    try:
        file.symlink_to(elsewhere)
        ended = (await events(world, agreed, lambda event: False))[-1]
    finally:
        file.unlink()
        elsewhere.rename(file)
    assert isinstance(ended, Failure)
    assert ended.culprit == CARE
    assert ended.reason == "SOURCE_UNREADABLE", ended
    assert str(tmp_path) not in ended.text
