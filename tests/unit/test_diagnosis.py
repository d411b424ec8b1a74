"""Judgements of the doctor: measurements in, cause and whose turn it is out."""

from __future__ import annotations

import inspect
import re
from dataclasses import replace
from typing import Any

import pytest

from gateway.api.peer.v1 import examination_pb2 as peer_pb
from gateway.cli import doctor as command
from gateway.domain.diagnosis import (
    LARGEST_PADDING,
    MIB,
    SIZES,
    Actor,
    Answer,
    Cause,
    ClockSeen,
    Ends,
    Finding,
    Flow,
    Handshake,
    Outcome,
    Reached,
    Sent,
    Spoken,
    Trouble,
)
from gateway.domain.offer import Offer
from gateway.edges.grpc.serve import MAX_MESSAGE
from gateway.rules import diagnosis, diagnosis_peer
from gateway.rules.diagnosis_peer import ChainSeen, see_chain
from gateway.rules.jose import Problem
from tests import examples
from tests.unit.trust_kit import NOW, anchor_of, chain_of, new_bench

HOME, PEER = examples.HOME, examples.POLICE
ENDS = Ends(HOME, PEER, "gw.police.example:8443", "gw.police.example:8443")
MISDIALLED = replace(ENDS, address="10.0.0.7:8443")
SHOWN = Handshake(None, "TLSv1.3", "h2", ("police.example",), "CN=police", True, NOW - 100, NOW + 86400 * 60)
OURS = Spoken("1.2.0", (1,), "mpyc 0.11", 1, frozenset({("overlap", 1, "d")}))
OFFER = Offer((examples.dataset(PEER),), examples.PROGRAMS, 1, "mpyc 0.11", 1)
DATASET = OFFER.datasets[0].name


def told(finding: Finding | None) -> tuple[Outcome, Cause, Actor]:
    assert finding is not None
    assert finding.text.endswith(".")
    # Whatever is not well says what to do, and whoever has to do it.
    assert (finding.outcome is Outcome.OK) == (finding.actor is Actor.NOBODY) == (not finding.advice)
    assert not finding.advice.endswith(".")
    return finding.outcome, finding.cause, finding.actor


FINE = (Outcome.OK, Cause.NONE, Actor.NOBODY)


def failed(cause: Cause, actor: Actor) -> tuple[Outcome, Cause, Actor]:
    return Outcome.FAILED, cause, actor


def warns(cause: Cause, actor: Actor) -> tuple[Outcome, Cause, Actor]:
    return Outcome.WARNING, cause, actor


@pytest.mark.parametrize(
    ("ends", "trouble", "expected"),
    [
        (ENDS, None, FINE),
        (ENDS, Trouble.NO_SUCH_NAME, failed(Cause.NAME_UNKNOWN, Actor.PEER)),
        (MISDIALLED, Trouble.NO_SUCH_NAME, failed(Cause.NAME_UNKNOWN, Actor.OWN)),
        (ENDS, Trouble.NO_RESOLVER, failed(Cause.RESOLVER_SILENT, Actor.OWN)),
    ],
)
def test_names(ends: Ends, trouble: Trouble | None, expected: object) -> None:
    assert told(diagnosis.name(ends, Reached("192.0.2.1", 0.1, trouble))) == expected


@pytest.mark.parametrize(
    ("ends", "trouble", "expected"),
    [
        (ENDS, None, FINE),
        (ENDS, Trouble.REFUSED, failed(Cause.PORT_CLOSED, Actor.PEER)),
        (MISDIALLED, Trouble.REFUSED, failed(Cause.PORT_CLOSED, Actor.OWN)),
        (replace(ENDS, stated=""), Trouble.REFUSED, failed(Cause.PORT_CLOSED, Actor.PEER)),
        (ENDS, Trouble.SILENT, failed(Cause.PORT_FILTERED, Actor.NETWORK)),
        (ENDS, Trouble.UNREACHABLE, failed(Cause.NO_ROUTE, Actor.OWN)),
    ],
)
def test_ports(ends: Ends, trouble: Trouble | None, expected: object) -> None:
    assert told(diagnosis.port(ends, Reached("192.0.2.1", 0.1, trouble))) == expected


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (SHOWN, FINE),
        (replace(SHOWN, issued=None), FINE),
        (Handshake(Trouble.SILENT), failed(Cause.TLS_SILENT, Actor.PEER)),
        (Handshake(Trouble.PLAINTEXT), failed(Cause.TLS_ABSENT, Actor.PEER)),
        (Handshake(Trouble.CLOSED), failed(Cause.TLS_CLOSED, Actor.PEER)),
        (Handshake(Trouble.OTHER), failed(Cause.TLS_FAILED, Actor.PEER)),
        (replace(SHOWN, names=("care.example",)), failed(Cause.WRONG_ENTITY, Actor.PEER)),
        (replace(SHOWN, names=("care.example",), issued=False), failed(Cause.WRONG_ENTITY, Actor.PEER)),
        (replace(SHOWN, issued=False), failed(Cause.WRONG_AUTHORITY, Actor.PEER)),
        # A middlebox's certificate is seen before what it does with the connection.
        (replace(SHOWN, issued=False, trouble=Trouble.CLOSED), failed(Cause.WRONG_AUTHORITY, Actor.PEER)),
        (replace(SHOWN, ends=NOW - 1), failed(Cause.CERTIFICATE_EXPIRED, Actor.PEER)),
        (replace(SHOWN, begins=NOW + 1), failed(Cause.CERTIFICATE_NOT_YET_VALID, Actor.BOTH)),
        (replace(SHOWN, ends=NOW + 86400), warns(Cause.CERTIFICATE_SOON, Actor.PEER)),
        (replace(SHOWN, protocol="http/1.1"), failed(Cause.NOT_GRPC, Actor.PEER)),
        (replace(SHOWN, trouble=Trouble.CLIENT_REFUSED), failed(Cause.CERTIFICATE_REFUSED, Actor.PEER)),
        # gRPC's server closes without an alert; where the certificate is the peer's, nobody else can have closed.
        (replace(SHOWN, trouble=Trouble.CLOSED), failed(Cause.CERTIFICATE_REFUSED, Actor.PEER)),
        (replace(SHOWN, trouble=Trouble.CLOSED, issued=None), failed(Cause.TLS_CLOSED, Actor.PEER)),
    ],
)
def test_handshakes(seen: Handshake, expected: object) -> None:
    assert told(diagnosis.tls(ENDS, seen, NOW, own_holds=True)) == expected


def test_an_own_certificate_that_does_not_hold_is_not_the_peers_fault() -> None:
    seen = replace(SHOWN, trouble=Trouble.CLIENT_REFUSED)
    assert told(diagnosis.tls(ENDS, seen, NOW, own_holds=False)) == failed(Cause.OWN_CERTIFICATE, Actor.OWN)
    assert told(diagnosis.tls(ENDS, SHOWN, NOW, own_holds=False)) == FINE


def test_the_quickest_probe_tells_the_offset_and_bounds_its_error() -> None:
    probes = [(1000, 1400, 3300), (2000, 2010, 4005), (3000, 3090, 5050)]
    assert diagnosis.offset_of(probes) == ClockSeen(2000, 5)
    # Wherever in the round trip the peer looked at its clock, the truth is within the bound.
    for at in range(2000, 2011):
        seen = diagnosis.offset_of([(2000, 2010, at + 77)])
        assert abs(seen.offset - 77) <= seen.within


CLOCKS = Cause.CLOCKS_DIFFER


@pytest.mark.parametrize(
    ("offset", "within", "witnesses", "expected"),
    [
        (1000, 5, [], FINE),
        (-1001, 5, [0], warns(CLOCKS, Actor.PEER)),
        (4999, 5, [4990], warns(CLOCKS, Actor.OWN)),
        (5000, 5, [], failed(CLOCKS, Actor.BOTH)),
        (-30_000, 5, [3, -20, 7], failed(CLOCKS, Actor.PEER)),
        (-30_000, 5, [-30_010, -29_990], failed(CLOCKS, Actor.OWN)),
        # Others that agree with nobody settle nothing.
        (-30_000, 5, [60_000], failed(CLOCKS, Actor.BOTH)),
        # Known to the second alone, from a refusal.
        (1400, 500, [], FINE),
        (30_000, 501, [0], failed(CLOCKS, Actor.PEER)),
    ],
)
def test_clocks(offset: int, within: int, witnesses: list[int], expected: object) -> None:
    assert told(diagnosis.clock(ENDS, ClockSeen(offset, within), witnesses)) == expected


def test_a_release_without_a_clock_is_no_failure() -> None:
    assert told(diagnosis.clock(ENDS, None, [])) == warns(Cause.PROBE_UNKNOWN, Actor.PEER)


@pytest.mark.parametrize("answer", Answer)
def test_a_call_that_reaches_no_gateway_is_told_apart_from_one_that_is_refused(answer: Answer) -> None:
    finding = diagnosis.calls(ENDS, answer)
    assert (finding is None) == (answer not in (Answer.UNREACHABLE, Answer.LATE))
    if finding is not None:
        assert told(finding) == failed(Cause.CALLS_UNANSWERED, Actor.PEER)


HELD = ChainSeen(None)


@pytest.mark.parametrize(
    ("answer", "own_holds", "seen", "admitted", "expected"),
    [
        (Answer.GIVEN, True, HELD, True, FINE),
        (Answer.GIVEN, True, HELD, False, failed(Cause.NOT_ADMITTED, Actor.OWN)),
        (Answer.UNAUTHENTICATED, True, None, True, failed(Cause.NOT_BELIEVED, Actor.PEER)),
        (Answer.UNAUTHENTICATED, False, None, True, failed(Cause.OWN_STATEMENT, Actor.OWN)),
        (Answer.LATE, True, None, True, failed(Cause.CALLS_UNANSWERED, Actor.PEER)),
        (Answer.REFUSED, True, None, True, failed(Cause.CALLS_UNANSWERED, Actor.PEER)),
        (
            Answer.GIVEN,
            True,
            ChainSeen(Problem.CHAIN, "https://x.example", pinned=False, expired="https://x.example"),
            True,
            failed(Cause.ANCHOR_UNKNOWN, Actor.OWN),
        ),
        (
            Answer.GIVEN,
            True,
            ChainSeen(Problem.TIMES, expired=PEER),
            False,
            failed(Cause.STATEMENT_EXPIRED, Actor.PEER),
        ),
        (Answer.GIVEN, True, ChainSeen(Problem.OLDER), True, warns(Cause.STATEMENT_OLDER, Actor.PEER)),
        (Answer.GIVEN, True, ChainSeen(Problem.SIGNATURE), True, failed(Cause.STATEMENT_REFUSED, Actor.PEER)),
    ],
)
def test_chains(answer: Answer, own_holds: bool, seen: ChainSeen | None, admitted: bool, expected: object) -> None:
    assert told(diagnosis_peer.chain(ENDS, answer, own_holds, seen, admitted)) == expected


def test_a_chain_is_seen_with_what_is_wrong_with_it() -> None:
    bench = new_bench()
    chain = chain_of(bench.police, bench.anchor_key)
    anchors = bench.federation.anchors

    def seen(given: list[str], now: int = NOW, pinned: Any = anchors) -> ChainSeen:
        bench.clock.now = now
        return see_chain(given, pinned, now, bench.federation.check)

    assert seen(chain) == HELD
    assert seen(chain, NOW + 86400 + 6).expired == bench.police.entity_id
    assert seen(chain, NOW + 31 * 86400).problem is Problem.TIMES
    swapped = [chain[0], chain_of(bench.care, bench.anchor_key)[1]]
    assert seen(swapped) == ChainSeen(Problem.CHAIN, anchors[0].entity_id, True, "")
    assert not seen(swapped, pinned=(replace(anchor_of(bench.anchor_key), entity_id=bench.care.entity_id),)).pinned
    for nonsense in ([], ["x"], ["a.b.c", "a.b.c"]):
        assert seen(nonsense).problem is not None


def test_agents() -> None:
    assert told(diagnosis_peer.agent(ENDS, True, True)) == FINE
    assert told(diagnosis_peer.agent(ENDS, False, False)) == failed(Cause.AGENT_AWAY, Actor.PEER)
    assert told(diagnosis_peer.agent(ENDS, True, False)) == failed(Cause.OFFER_REFUSED, Actor.PEER)


APART, DIFFER = Cause.VERSIONS_APART, Cause.RELEASES_DIFFER


@pytest.mark.parametrize(
    ("own", "peer", "expected"),
    [
        (OURS, OURS, FINE),
        (OURS, None, warns(Cause.PROBE_UNKNOWN, Actor.PEER)),
        (OURS, replace(OURS, release="1.10.0"), warns(DIFFER, Actor.OWN)),
        (OURS, replace(OURS, release="1.1.9"), warns(DIFFER, Actor.PEER)),
        (OURS, replace(OURS, protocols=(2, 3), release="2.0.0"), failed(APART, Actor.OWN)),
        (OURS, replace(OURS, engine="mpyc 0.10", release="1.1.0"), failed(APART, Actor.PEER)),
        (OURS, replace(OURS, codec=2), failed(APART, Actor.BOTH)),
        (OURS, replace(OURS, programs=frozenset({("overlap", 2, "e")})), failed(APART, Actor.BOTH)),
        # Without an agent nothing is known of engine and programs: that is another step's finding.
        (OURS, replace(OURS, engine="", codec=0, programs=frozenset()), FINE),
        (replace(OURS, engine="", programs=frozenset()), OURS, warns(Cause.OWN_AGENT_AWAY, Actor.OWN)),
    ],
)
def test_versions(own: Spoken, peer: Spoken | None, expected: object) -> None:
    assert told(diagnosis_peer.versions(ENDS, own, peer)) == expected


@pytest.mark.parametrize(
    ("offer", "opened", "expected"),
    [
        (OFFER, [DATASET], FINE),
        (OFFER, None, FINE),
        (OFFER, [], warns(Cause.NOTHING_OPEN, Actor.PEER)),
        # What it does not offer does not count, whatever it says.
        (OFFER, ["spaces/police.example/datasets/other"], warns(Cause.NOTHING_OPEN, Actor.PEER)),
        (replace(OFFER, datasets=()), [], FINE),
        (replace(OFFER, datasets=(), seats=0), [], warns(Cause.NOTHING_OFFERED, Actor.PEER)),
    ],
)
def test_policies(offer: Offer, opened: list[str] | None, expected: object) -> None:
    assert told(diagnosis_peer.policy(ENDS, offer, opened)) == expected


def sent(*answers: Answer | None) -> list[Sent]:
    order = [(size, up) for size in SIZES for up in (True, False)]
    return [Sent(size, up, answer) for (size, up), answer in zip(order, answers, strict=False)]


GIVEN = Answer.GIVEN


@pytest.mark.parametrize(
    ("seen", "expected", "largest"),
    [
        (sent(*[GIVEN] * 8), FINE, "4.94 MiB"),
        (sent(*[GIVEN] * 4, None, None, None, None), warns(Cause.LINE_SLOW, Actor.NETWORK), "64 KiB"),
        (sent(*[GIVEN] * 5, Answer.LATE), failed(Cause.LARGE_MESSAGES_CUT, Actor.NETWORK), "64 KiB"),
        (sent(*[GIVEN] * 6, Answer.UNREACHABLE), failed(Cause.LARGE_MESSAGES_CUT, Actor.NETWORK), "1 MiB"),
        (sent(*[GIVEN] * 6, Answer.TOO_LARGE), failed(Cause.LARGE_MESSAGES_REFUSED, Actor.PEER), "1 MiB"),
        (sent(Answer.UNREACHABLE), failed(Cause.LARGE_MESSAGES_CUT, Actor.NETWORK), "none"),
    ],
)
def test_sizes(seen: list[Sent], expected: object, largest: str) -> None:
    finding = diagnosis_peer.sizes(ENDS, seen)
    assert told(finding) == expected
    assert finding.measured.startswith(f"largest {largest}")


def test_the_largest_probe_fits_into_a_message_and_the_proto_allows_it() -> None:
    for name in ("padding", "answer_bytes"):
        request = peer_pb.ProbeRequest(padding=bytes(LARGEST_PADDING), answer_bytes=LARGEST_PADDING)
        rules = str(peer_pb.ProbeRequest.DESCRIPTOR.fields_by_name[name].GetOptions())
        assert str(LARGEST_PADDING) in rules
    answer = peer_pb.ProbeResponse(clock_ms=2**53, release="x" * 100, padding=bytes(LARGEST_PADDING))
    assert max(request.ByteSize(), answer.ByteSize()) < MAX_MESSAGE
    assert LARGEST_PADDING > 4 * MIB


@pytest.mark.parametrize(
    ("flow", "expected"),
    [
        (Flow(2e6, 2e6), FINE),
        (Flow(2e9, 1e6), warns(Cause.LINE_SLOW, Actor.NETWORK)),
        (Flow(broken=Answer.UNREACHABLE), failed(Cause.LINE_BREAKS, Actor.NETWORK)),
    ],
)
def test_bandwidths(flow: Flow, expected: object) -> None:
    assert told(diagnosis_peer.bandwidth(ENDS, flow)) == expected


def test_round_trips() -> None:
    assert told(diagnosis_peer.round_trip(ENDS, 0.25)) == FINE
    assert told(diagnosis_peer.round_trip(ENDS, 0.3)) == warns(Cause.LINE_FAR, Actor.NETWORK)
    assert told(diagnosis_peer.round_trip(ENDS, None)) == warns(Cause.PROBE_UNKNOWN, Actor.PEER)


@pytest.mark.parametrize(
    ("ended", "expected"),
    [
        (Answer.UNKNOWN_CALL, warns(Cause.EXAMINATION_UNKNOWN, Actor.PEER)),
        (Answer.TOO_LARGE, warns(Cause.EXAMINATION_REFUSED, Actor.OWN)),
        (Answer.UNREACHABLE, failed(Cause.EXAMINATION_BROKE_OFF, Actor.PEER)),
    ],
)
def test_examinations_that_did_not_come(ended: Answer, expected: object) -> None:
    assert told(diagnosis_peer.no_examination(ENDS, ended, 3)) == expected


def test_every_cause_is_one_that_some_judgement_names() -> None:
    judged = inspect.getsource(diagnosis) + inspect.getsource(diagnosis_peer) + inspect.getsource(command)
    named = set(re.findall(r"Cause\.([A-Z_]+)", judged))
    assert named | {"NONE", "UNNAMED"} == {cause.name for cause in Cause}
