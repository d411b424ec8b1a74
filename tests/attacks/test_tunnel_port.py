"""Rows 20 and 26 at a running gateway's port: a gateway of the contract that sends what is not its own to send.

care initiates a session in which it sits first, so that it dials police; everybody approves; then its tunnel attacks.
"""

from __future__ import annotations

import base64
import queue
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import cast

import grpc
import pytest

from gateway.api.peer.v1 import peer_pb2 as peer
from gateway.client import Client, Profile, load_query
from gateway.domain.approval import ApprovalBody, SeatKey
from gateway.domain.contract import Contract
from gateway.domain.session import PROVIDER_BASE
from gateway.edges import keys
from gateway.edges.clock import SystemClock, SystemIds
from gateway.edges.documents import Writer
from gateway.edges.tunnel import MAX_FRAME, MAX_SEALED
from gateway.rules import sealing
from gateway.rules.jose import parse_compact
from gateway.rules.tokens import payload_digest
from tests.attacks.port import OK, PEER, Port, bearer
from tests.attacks.test_sessions import signed
from tests.e2e.shell import QUERIES

CARE = "https://care.example"
ENDS_WITHIN = 10.0


class Session:
    """A contract of care that every agent has approved; the attacker is care's gateway, and its agent as well."""

    def __init__(self, port: Port) -> None:
        self.port = Port(port.shell, "police")
        query = load_query(QUERIES / "form_year.yaml").query
        places = tuple(f"https://{name}.example" for name in ("care", "police", "neutral"))
        query = replace(query, seats=replace(query.seats, at=places))
        with Client(Profile.load(port.shell.sandbox.profile("care"))) as client:
            self.contract: Contract = client.plan(query).draft
        assert [seat.entity for seat in self.contract.seats] == list(places)
        self.token = signed(port, self.contract, "care")
        self.digest = payload_digest(parse_compact(self.token, 512 * 1024).payload)
        names = [_name(entity) for entity in self.contract.entities()]
        self.chains = [peer.Chain(statements=port.chain(name)) for name in names]
        self.approvals = [self._own() if name == "care" else self._asked(name) for name in names]

    def _asked(self, space: str) -> str:
        request = peer.ProposeRequest(contract=self.token, chains=self.chains)
        answer = Port(self.port.shell, space).as_peer("care", "Propose", request)
        assert answer.code is OK, answer
        return str(peer.ProposeResponse.FromString(answer.body).approval)

    def _own(self) -> str:
        fresh = base64.b64encode(sealing.fresh_key()[1]).decode()
        seat = base64.b64encode(sealing.fresh_key()[1]).decode()
        home = self.port.folder / "spaces" / "care" / "agent" / "contract.pem"
        writer = Writer(CARE, lambda: keys.load_signing_key(home), SystemClock(), SystemIds())
        return writer.approval(self.contract, ApprovalBody(self.digest, (SeatKey(0, seat),), fresh))

    def attacked_by(self, frames: Iterator[peer.Frame]) -> peer.Failure:
        """police runs the session, and care's tunnel brings `frames`; what police reports at last."""
        run = peer.RunRequest(contract=self.token, approvals=self.approvals, chains=self.chains).SerializeToString()
        first = peer.TunnelRequest(open={"session": self.contract.session}).SerializeToString()
        over = threading.Event()

        def sent() -> Iterator[bytes]:
            yield first
            for frame in frames:
                yield peer.TunnelRequest(frames=[frame]).SerializeToString()
            over.wait(ENDS_WITHIN)

        with self.port.channel(self.port.gateway("care")) as channel:
            events = channel.unary_stream(PEER + "Run")(run, metadata=self._bearer("Run", run), timeout=ENDS_WITHIN)
            next(iter(events))  # it runs
            # Held, since gRPC ends a call that nobody holds.
            tunnel = channel.stream_stream(PEER + "Tunnel")(
                sent(), metadata=self._bearer("Tunnel", first), timeout=ENDS_WITHIN
            )
            for event in events:
                last = peer.RunResponse.FromString(event)
            tunnel.cancel()
            over.set()
        assert last.WhichOneof("event") == "failure", last
        return cast(peer.Failure, last.failure)

    def _bearer(self, method: str, received: bytes) -> Sequence[tuple[str, str]]:
        return bearer(self.port.request_token("care", PEER + method, received))


def _overlong() -> Iterator[peer.Frame]:
    for _ in range(MAX_SEALED // MAX_FRAME + 1):
        yield peer.Frame(source=0, destination=1, sealed=bytes(MAX_FRAME), more=True)


ATTACKS = {
    "20 the seat of another": lambda: iter([peer.Frame(source=2, destination=1, sealed=b"x")]),
    "20 the seat of police itself": lambda: iter([peer.Frame(source=1, destination=1, sealed=b"x")]),
    "20 a seat that the contract does not have": lambda: iter([peer.Frame(source=5, destination=1, sealed=b"x")]),
    "20 another provider": lambda: iter([peer.Frame(source=PROVIDER_BASE + 99, destination=1, sealed=b"x")]),
    "20 through police to a third": lambda: iter([peer.Frame(source=0, destination=2, sealed=b"x")]),
    "26 more than a party takes, in pieces": _overlong,
}


@pytest.mark.parametrize("name", ATTACKS)
def test_20_26_a_gateway_that_sends_what_it_may_not_ends_the_session_and_is_named(port: Port, name: str) -> None:
    session = Session(port)
    failure = session.attacked_by(ATTACKS[name]())
    assert (failure.reason, failure.culprit) == ("PROTOCOL_VIOLATION", CARE), failure
    # The attacker concludes nothing: police ends it by itself, with its party.
    about = f"computations/{session.contract.session}"
    end = time.monotonic() + ENDS_WITHIN
    while not any(fact.kind == "computation.failed" and about in fact.about for fact in port.shell.facts("police")):
        assert time.monotonic() < end
    while len(port.shell.sandbox.process_ids()["party"].get("police", [])) != 1:
        assert time.monotonic() < end


def test_20_a_second_tunnel_in_the_same_name_is_refused(port: Port) -> None:
    session = Session(port)
    first = peer.TunnelRequest(open={"session": session.contract.session}).SerializeToString()
    held: threading.Event = threading.Event()
    ended: queue.Queue[grpc.Call] = queue.Queue()

    def silent() -> Iterator[bytes]:
        yield first
        held.wait(ENDS_WITHIN)

    with session.port.channel(port.gateway("care")) as channel:
        calls = []
        for _ in range(2):
            token = session._bearer("Tunnel", first)
            call = channel.stream_stream(PEER + "Tunnel")(silent(), metadata=token, timeout=ENDS_WITHIN)
            call.add_done_callback(ended.put)
            calls.append(call)
        # Whichever comes first stays.
        refused = ended.get(timeout=ENDS_WITHIN)
        assert refused.code() is grpc.StatusCode.ABORTED
        assert sorted(call.is_active() for call in calls) == [False, True]
        held.set()
        for call in calls:
            call.cancel()


def _name(entity: str) -> str:
    return entity.removeprefix("https://").removesuffix(".example")
