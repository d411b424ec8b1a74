"""An anchor's port is open to strangers: floods, oversized and replayed calls, and joining what one may not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest

from gateway import app
from gateway.anchor.app import opened, running
from gateway.api.trust.v1 import anchor_pb2 as pb
from gateway.cli import trust_join, trust_rulebook
from gateway.cli.init import Wanted, lay_out
from gateway.cli.trust_init import found
from gateway.config import GatewayConfig, database_url, load
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.identity import EntityId
from gateway.domain.rulebook import NO_WORD, Acceptance, OwnWord, Rulebook
from gateway.edges import certificates
from gateway.edges.anchors import AnchorLine, AnchorPoll, located
from gateway.edges.clock import SystemClock, SystemIds
from gateway.edges.federation import Federation
from gateway.edges.grpc.anchor_gate import JOINS_OF_ONE, RECORDS_OF_ONE
from gateway.edges.own_chain import OwnChain
from gateway.edges.own_statement import own_statement
from gateway.edges.rulebooks import RulebookFiles
from gateway.edges.space_keys import SpaceKeys
from gateway.edges.store.database import Database
from gateway.edges.tokens import sign
from gateway.rules import invitations
from gateway.rules.membership import word_of
from gateway.rules.tokens import request_hash

CARE, POLICE = EntityId("https://care.example"), EntityId("https://police.example")
ANCHOR = EntityId("https://anchor.example")
SERVICE = "/isthmus.trust.v1.AnchorService/"
CODE = grpc.StatusCode


@dataclass
class Member:
    """A space's files, and what its operator or a thief of its keys can make with them."""

    settings: GatewayConfig
    config: Path

    @property
    def keys(self) -> SpaceKeys:
        trust = Federation([], SystemClock().now)
        return SpaceKeys(self.settings.keys, self.settings.tls, self.settings.entity, trust, SystemClock())

    def configuration(self, word: OwnWord | None = None, later: int = 0) -> str:
        return own_statement(self.settings, self.keys, [ANCHOR], int(time.time()) + later, word)

    def fetch(self, version: int = 0, word: OwnWord | None = None, later: int = 0, **more: Any) -> bytes:
        configuration = self.configuration(word, later)
        return pb.FetchRequest(configuration=configuration, version=version, **more).SerializeToString()

    def token(self, sent: bytes, **changes: Any) -> tuple[tuple[str, str], ...]:
        now = int(time.time())
        entity = self.settings.entity
        claims: dict[str, Any] = {
            "iss": entity, "sub": entity, "aud": ANCHOR, "iat": now, "exp": now + 60, "jti": SystemIds().fresh(),
            "rpc": SERVICE + "Fetch", "rqh": request_hash(sent),
        }  # fmt: skip
        signed = sign("isthmus-request+jwt", {**claims, **changes}, self.keys.token.active())
        return (("authorization", f"Bearer {signed}"),)


@dataclass
class Door:
    """An anchor that listens, and a stranger's channel to it."""

    folder: Path
    config: Path
    channel: grpc.aio.Channel

    async def call(
        self, method: str, sent: bytes, metadata: tuple[tuple[str, str], ...] = (), timeout: float | None = 10.0
    ) -> tuple[grpc.StatusCode, str]:
        try:
            await self.channel.unary_unary(SERVICE + method)(sent, metadata=metadata, timeout=timeout)
        except grpc.aio.AioRpcError as error:
            return error.code(), error.details() or ""
        return CODE.OK, ""

    async def invited(self, entity: EntityId, **changes: Any) -> str:
        async with opened(self.config) as office:
            kept, line = office.desk.invite(entity, 3600, SystemIds(), **changes)
            await office.vouch.invite(kept)
        return line

    async def facts(self, kind: str) -> list[str]:
        async with opened(self.config) as office:
            found = await office.database.audit.read(start=0, limit=10_000)
        return [fact.detail for fact in found if fact.kind == kind]

    def space(self, entity: EntityId, name: str) -> Member:
        home = self.folder / name
        lay_out(home, Wanted.checked(entity, "127.0.0.1:9", "", "NL"), int(time.time()))
        return Member(load(GatewayConfig, home / "gateway.toml"), home / "gateway.toml")

    async def joined(self, member: Member) -> trust_join.Joined:
        line = await self.invited(member.settings.entity)
        return await trust_join.join(trust_join.prepare(line, member.config, None))

    def joining(self, member: Member, line: str) -> bytes:
        token, seed = invitations.split(line)
        configuration = member.configuration()
        proof = invitations.proof(seed, token, configuration)
        return pb.JoinRequest(invitation=token, proof=proof, configuration=configuration).SerializeToString()


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    found(tmp_path / "anchor", ANCHOR, "127.0.0.1:1", [], int(time.time()))
    config = tmp_path / "anchor" / "anchor.toml"
    from gateway.sandbox.federation import _free_ports

    config.write_text(config.read_text().replace("127.0.0.1:1", f"127.0.0.1:{_free_ports(())['anchor']}"))
    async with running(config) as port:
        ca = (tmp_path / "anchor" / "tls" / "ca.pem").read_bytes()
        options = (("grpc.ssl_target_name_override", "anchor.example"), ("grpc.max_send_message_length", -1))
        tls = grpc.ssl_channel_credentials(ca)
        async with grpc.aio.secure_channel(f"127.0.0.1:{port}", tls, options) as channel:
            yield Door(tmp_path, config, channel)


async def refused(member: Member, line: str) -> IsthmusError:
    before = member.config.read_text()
    with pytest.raises(IsthmusError) as caught:
        await trust_join.join(trust_join.prepare(line, member.config, None))
    assert member.config.read_text() == before and not member.settings.statement.exists()
    return caught.value


async def test_a_flood_of_joins_is_cut_off_and_members_are_still_served(door: Door) -> None:
    care = door.space(CARE, "care")
    await door.joined(care)
    garbage = pb.JoinRequest(invitation="e30.e30.e30", proof=bytes(64), configuration="x").SerializeToString()
    codes = [(await door.call("Join", garbage))[0] for _ in range(JOINS_OF_ONE + 40)]
    # One attempt was the member's own, a minute ago at most.
    assert codes.count(CODE.UNAUTHENTICATED) == JOINS_OF_ONE - 1
    assert set(codes[JOINS_OF_ONE:]) == {CODE.RESOURCE_EXHAUSTED}
    assert len(await door.facts("call.refused")) <= RECORDS_OF_ONE
    sent = care.fetch()
    assert (await door.call("Fetch", sent, care.token(sent)))[0] is CODE.OK


@pytest.mark.parametrize("method", ["Join", "Fetch"])
async def test_oversized_messages_fields_and_calls_without_end_are_refused(door: Door, method: str) -> None:
    assert (await door.call(method, bytes(300_000)))[0] is CODE.RESOURCE_EXHAUSTED
    kind = pb.JoinRequest if method == "Join" else pb.FetchRequest
    long = kind(configuration="x" * 70_000).SerializeToString()
    assert (await door.call(method, long))[0] in (CODE.INVALID_ARGUMENT, CODE.UNAUTHENTICATED)
    assert (await door.call(method, b"\xff" * 10))[0] in (CODE.INVALID_ARGUMENT, CODE.UNAUTHENTICATED)
    assert (await door.call(method, b"", timeout=None))[0] is CODE.INVALID_ARGUMENT


async def test_a_replayed_join_is_refused_in_plain_words(door: Door) -> None:
    care, line = door.space(CARE, "care"), await door.invited(CARE)
    sent = door.joining(care, line)
    assert (await door.call("Join", sent))[0] is CODE.OK
    code, text = await door.call("Join", sent)
    assert code is CODE.PERMISSION_DENIED and "used before" in text
    assert any("used before" in fact for fact in await door.facts("call.refused"))


async def test_a_replayed_fetch_is_refused(door: Door) -> None:
    care = door.space(CARE, "care")
    await door.joined(care)
    sent = care.fetch()
    token = care.token(sent)
    assert (await door.call("Fetch", sent, token))[0] is CODE.OK
    assert (await door.call("Fetch", sent, token))[0] is CODE.UNAUTHENTICATED
    assert "REPLAY" in (await door.facts("call.refused"))[-1]


async def test_fetching_takes_a_token_of_ones_own_over_these_very_bytes(door: Door) -> None:
    care, police = door.space(CARE, "care"), door.space(POLICE, "police")
    await door.joined(care)
    sent = care.fetch()
    tokens = {
        "none": (),
        "for other bytes": care.token(sent + b" "),
        "for another method": care.token(sent, rpc=SERVICE + "Join"),
        "for another anchor": care.token(sent, aud="https://other.example"),
        "in another name": care.token(sent, iss=POLICE, sub=POLICE),
        "by another's key": police.token(sent, iss=CARE, sub=CARE),
    }
    for what, token in tokens.items():
        assert (await door.call("Fetch", sent, token))[0] is CODE.UNAUTHENTICATED, what
    stranger = police.fetch()
    assert (await door.call("Fetch", stranger, police.token(stranger)))[0] is CODE.UNAUTHENTICATED


async def test_an_altered_invitation_is_refused_before_anything_is_sent(door: Door) -> None:
    care, line = door.space(CARE, "care"), await door.invited(CARE)
    token, seed = line.rpartition(".")[::2]
    header, payload, signature = token.split(".")
    swapped = payload[:40] + ("A" if payload[40] != "A" else "B") + payload[41:]
    for altered in (f"{header}.{swapped}.{signature}.{seed}", f"{header}.{payload}.{signature[::-1]}.{seed}"):
        assert "altered" in (await refused(care, altered)).public
    for broken in (line[:-3], token, "x" * 400 + ".y.z.w"):
        assert (await refused(care, broken)).reason is Reason.INVALID_ARGUMENT
    assert (await door.joined(care)).entity.entity_id == CARE  # of this none was used up


async def test_an_invitation_for_another_entity_is_of_no_use(door: Door) -> None:
    care, line = door.space(CARE, "care"), await door.invited(POLICE)
    assert f"is for {POLICE}" in (await refused(care, line)).public
    code, _ = await door.call("Join", door.joining(care, line))  # a client that does not check
    assert code is CODE.UNAUTHENTICATED


async def test_a_withdrawn_invitation_says_so(door: Door) -> None:
    care, line = door.space(CARE, "care"), await door.invited(CARE)
    async with opened(door.config) as office:
        (kept,) = await office.database.invitations.list()
        await office.vouch.withdraw(kept.id)
    assert "was withdrawn" in (await refused(care, line)).public


async def test_an_anchor_that_is_not_there_or_shows_another_ca_is_not_believed(door: Door) -> None:
    care = door.space(CARE, "care")
    async with opened(door.config) as office:
        port = office.settings.address
        cases = {"127.0.0.1:1": office.desk.card.tls_ca}
        cases[port] = certificates.create_authority(ANCHOR, int(time.time())).certificate_pem.decode()
        for address, ca in cases.items():
            line = _reissued(office, address, ca)
            problem = await refused(care, line)
            assert problem.reason is Reason.PEER_UNREACHABLE and str(ANCHOR) in problem.public


def _reissued(office: Any, address: str, ca: str) -> str:
    """An invitation that sends the newcomer elsewhere, signed by the anchor's own key."""
    from dataclasses import replace

    desk = replace(office.desk, card=replace(office.desk.card, address=address, tls_ca=ca))
    return str(desk.invite(CARE, 3600, SystemIds())[1])


async def test_a_join_whose_answer_was_lost_goes_on_where_it_stopped(door: Door) -> None:
    care, line = door.space(CARE, "care"), await door.invited(CARE)
    assert (await door.call("Join", door.joining(care, line)))[0] is CODE.OK
    joined = await trust_join.join(trust_join.prepare(line, care.config, None))
    assert joined.entity.entity_id == CARE and care.settings.statement.exists()


async def test_an_anchor_whose_pinned_keys_differ_is_not_joined_again(door: Door) -> None:
    care = door.space(CARE, "care")
    await door.joined(care)
    found(door.folder / "false", ANCHOR, "127.0.0.1:1", [], int(time.time()))
    async with opened(door.folder / "false" / "anchor.toml") as office:
        line = office.desk.invite(CARE, 3600, SystemIds())[1]
    with pytest.raises(IsthmusError, match="pins other keys"):
        trust_join.prepare(line, care.config, None)


async def test_what_joining_writes_is_what_both_processes_load(door: Door) -> None:
    from connectors.config import AgentConfig

    care, police = door.space(CARE, "care"), door.space(POLICE, "police")
    assert (await door.joined(care)).members == ()
    assert (await door.joined(police)).members == (CARE,)
    gateway = load(GatewayConfig, care.config)
    assert gateway.agent is not None
    agent = load(AgentConfig, gateway.agent.config)
    assert [anchor.load() for anchor in gateway.anchors] == [anchor.load() for anchor in agent.anchors]
    assert "# The gateway of one data space." in care.config.read_text()


TEXT = "# Rules\n\nOne.\n"


async def published(door: Door, text: str = TEXT, version: int = 1) -> Rulebook:
    async with opened(door.config) as office:
        return await office.vouch.publish(text, version, int(time.time()))


def accepting(book: Rulebook) -> OwnWord:
    return OwnWord((Acceptance(ANCHOR, book.version, book.digest),))


async def said_of(door: Door, entity: EntityId) -> tuple[OwnWord, bool]:
    """What the anchor has of a member: its own word, and whether it has left."""
    async with opened(door.config) as office:
        member = await office.database.members.get(entity)
    assert member is not None
    return word_of(member.configuration), bool(member.left)


async def test_an_acceptance_or_a_farewell_forged_for_another_member_is_refused(door: Door) -> None:
    care, police, book = door.space(CARE, "care"), door.space(POLICE, "police"), await published(door)
    await door.joined(care)
    await door.joined(police)
    for word in (accepting(book), OwnWord(leaving=(ANCHOR,)), OwnWord(paused=True)):
        # Care's name over police's keys, and care's own statement in police's call.
        thief = Member(care.settings.model_copy(update={"keys": police.settings.keys}), care.config)
        for sent in (thief.fetch(word=word), care.fetch(word=word)):
            assert (await door.call("Fetch", sent, police.token(sent)))[0] is CODE.UNAUTHENTICATED
    assert await said_of(door, CARE) == (NO_WORD, False)
    assert await door.facts("rulebook.accepted") == [] == await door.facts("member.left")


async def test_an_older_acceptance_that_is_replayed_does_not_replace_a_later_one(door: Door) -> None:
    care, one, two = door.space(CARE, "care"), await published(door), await published(door, TEXT + "Two.\n", 2)
    await door.joined(care)
    before = care.fetch(word=accepting(one))
    later = care.fetch(word=accepting(two), later=2)
    for sent in (later, before):
        assert (await door.call("Fetch", sent, care.token(sent)))[0] is CODE.OK
    assert await said_of(door, CARE) == (accepting(two), False)
    assert len(await door.facts("rulebook.accepted")) == 1


async def test_the_text_of_the_rulebook_is_for_members(door: Door) -> None:
    care, police, book = door.space(CARE, "care"), door.space(POLICE, "police"), await published(door)
    await door.joined(care)
    sent = police.fetch(rulebook=book.version)
    assert (await door.call("Fetch", sent, police.token(sent)))[0] is CODE.UNAUTHENTICATED
    for version, text in ((1, TEXT), (2, ""), (0, "")):
        sent = care.fetch(rulebook=version)
        call = door.channel.unary_unary(SERVICE + "Fetch", response_deserializer=pb.FetchResponse.FromString)
        answer = await call(sent, metadata=care.token(sent), timeout=10.0)
        assert answer.rulebook_text == text
    sent = care.fetch(rulebook=-1)
    assert (await door.call("Fetch", sent, care.token(sent)))[0] is CODE.INVALID_ARGUMENT


class Nobody:
    """Who hears of other members."""

    async def learn(self, anchor: str, chains: object, suspended: object) -> None:
        pass


async def polled(care: Member) -> Federation:
    """What the gateway of `care` does every few seconds, once."""
    clock, keys = SystemClock(), care.keys
    trust = Federation([anchor.load() for anchor in care.settings.anchors], clock.now)
    own = OwnChain(lambda now: care.configuration(), keys.described, care.settings.statement, trust, clock)
    own.refresh()
    line = AnchorLine(care.settings.entity, located(care.settings.anchors[0]), keys.token.active, clock, SystemIds())
    try:
        await AnchorPoll(line, own, care.settings.statement, trust, Nobody(), clock).fetch()  # type: ignore[arg-type]
    finally:
        await line.close()
    return trust


async def test_a_text_that_does_not_fit_its_digest_is_neither_kept_nor_accepted(door: Door) -> None:
    care, book = door.space(CARE, "care"), await published(door)
    await door.joined(care)
    care = Member(load(GatewayConfig, care.config), care.config)
    await _overwrite(door, "# Rules\n\nOne, and all your data.\n")
    trust = await polled(care)
    assert trust.rulebooks.of(ANCHOR) == (book,)
    assert RulebookFiles.beside(care.settings.statement).text(ANCHOR, book) is None
    with pytest.raises(IsthmusError) as caught:
        await trust_rulebook.accept(care.config, 0, "", lambda found: True)
    assert caught.value.reason is Reason.NOT_FOUND
    await _overwrite(door, TEXT)
    assert (await polled(care)).objection(CARE) is not None
    found = await trust_rulebook.seen(care.config, 0, "")
    assert (found.text, found.accepted) == (TEXT, {CARE: 0})
    with pytest.raises(IsthmusError, match="nothing was accepted"):
        await trust_rulebook.accept(care.config, 0, "", lambda found: False)
    await trust_rulebook.accept(care.config, 0, "", lambda found: True)
    assert (await polled(care)).objection(CARE) is None
    assert await said_of(door, CARE) == (accepting(book), False)
    assert (await trust_rulebook.seen(door.config, 0, "")).accepted == {CARE: 1}


async def test_a_member_leaves_by_its_own_command_and_the_anchor_revokes_it(door: Door) -> None:
    care = door.space(CARE, "care")
    await door.joined(care)
    assert await trust_rulebook.leave(care.config, "") == (ANCHOR, True)
    assert await said_of(door, CARE) == (OwnWord(leaving=(ANCHOR,)), True)
    sent = care.fetch()
    code, text = await door.call("Fetch", sent, care.token(sent))
    assert code is CODE.PERMISSION_DENIED and "has left" in text
    assert await door.facts("member.left") == ["by its own word"]
    async with await Database.open(database_url(care.settings.database, care.config.parent)) as database:
        assert [fact.kind for fact in await database.audit.read(start=0, limit=10)] == ["membership.left"]
    # Back with a new invitation, and only so.
    line = await door.invited(CARE, again=True)
    await trust_join.join(trust_join.prepare(line, care.config, None))
    assert await said_of(door, CARE) == (NO_WORD, False)


async def _overwrite(door: Door, text: str) -> None:
    """What somebody with the anchor's database, and not its key, can do."""
    import sqlite3

    with sqlite3.connect(door.config.parent / "anchor.db") as connection:
        connection.execute("UPDATE rulebooks SET text = ?", (text,))


async def until(what: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(100):
        while not await what():
            await asyncio.sleep(0.1)


async def test_a_running_gateway_fetches_the_text_and_says_for_its_space_what_its_operator_commands(door: Door) -> None:
    care, book = door.space(CARE, "care"), await published(door)
    await door.joined(care)
    care.config.write_text(care.config.read_text().replace('listen = "127.0.0.1:9"', 'listen = "127.0.0.1:0"'))
    texts = RulebookFiles.beside(care.settings.statement)

    async def fetched() -> bool:
        return texts.text(ANCHOR, book) == TEXT

    async def accepted() -> bool:
        return await said_of(door, CARE) == (accepting(book), False)

    async def paused() -> bool:
        return (await said_of(door, CARE))[0].paused

    async with app.running(care.config):
        await until(fetched)
        await trust_rulebook.accept(care.config, 0, "", lambda found: True)
        await until(accepted)
        await trust_rulebook.pause(care.config, resume=False)
        await until(paused)
        await trust_rulebook.pause(care.config, resume=True)
        await until(accepted)
        assert await trust_rulebook.leave(care.config, "") == (ANCHOR, True)
    assert (await said_of(door, CARE))[1]
    for kind, times in (("rulebook.accepted", 1), ("member.paused", 1), ("member.resumed", 1), ("member.left", 1)):
        assert len(await door.facts(kind)) == times, kind
    async with await Database.open(database_url(care.settings.database, care.config.parent)) as database:
        kinds = [fact.kind for fact in await database.audit.read(start=0, limit=10)]
    assert kinds == ["rulebook.accepted", "membership.paused", "membership.resumed", "membership.left"]
