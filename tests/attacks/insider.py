"""A party of the contract that breaks the protocol: it has a seat, its session key and every other key of its space.

It stands for `police`, whose gateway, agent and party the attacker runs; care's agent and party processes are real.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from connectors.engine.inputs import seal_inputs
from connectors.engine.rows import InputRows
from connectors.rules.session_keys import PairKeys, pair_keys
from gateway.domain.approval import SeatKey
from gateway.domain.contract import Contract
from gateway.domain.session import PROVIDER_BASE, Approval, Frame
from gateway.edges.tunnel import MAX_FRAME
from gateway.rules import sealing
from gateway.rules.jose import parse_compact
from gateway.rules.roster import transcript
from tests.attacks.rogue import CARE, NEUTRAL, POLICE, World, digest_of
from tests.attacks.test_run_past_its_gateway import Agreed


@dataclass(frozen=True)
class Insider:
    """What everybody but care knows: the keys of all other roles."""

    agreed: Agreed
    seats: dict[int, tuple[bytes, bytes]]
    providers: dict[str, tuple[bytes, bytes]]
    public: dict[int, bytes]
    session: bytes

    @property
    def contract(self) -> Contract:
        return self.agreed.contract

    def of(self, pid: int, session: bytes | None = None) -> PairKeys:
        """What party `pid` shares with care's party, which is 0."""
        return pair_keys(self.seats[pid][0], pid, session or self.session, self.public)[0]

    def index_of(self, entity: str) -> int:
        return [provider.entity for provider in self.contract.providers].index(entity)

    def inputs_of(self, entity: str) -> list[Frame]:
        """What an honest provider without a single row sends to care's party: padding."""
        return [
            frame for chunk in self.chunks(entity) for frame in in_pieces(PROVIDER_BASE + self.index_of(entity), chunk)
        ]

    def chunks(self, entity: str) -> Sequence[bytes]:
        contract = self.contract
        bound = next(provider.row_bound for provider in contract.providers if provider.entity == entity)
        parameters = json.loads(contract.program.parameters)
        sealed = seal_inputs(
            transcript=self.session,
            entity=entity,
            private_key=self.providers[entity][0],
            seats=self.public,
            program=contract.program.name,
            parameters=parameters,
            bound=bound,
            rows=InputRows([], [], []),
        )
        return sealed[0]


async def insider(world: World, contract: Contract | None = None) -> Insider:
    """A contract that care's agent approves for real, and everybody else with keys that the attacker has made."""
    contract = contract or world.contract()
    token, chains = world.sign(contract), world.chains(contract)
    own = await world.line.propose(token, chains)
    assert isinstance(own, Approval), own
    digest = digest_of(token)
    seats = {seat.pid: sealing.fresh_key() for seat in contract.seats if seat.entity != CARE}
    providers = {p.entity: sealing.fresh_key() for p in contract.providers if p.entity != CARE}
    approvals = {CARE: own.token}
    for entity in contract.entities():
        if entity != CARE:
            keys = tuple(SeatKey(seat.pid, _text(seats[seat.pid][1])) for seat in contract.seats_of(entity))
            provider = _text(providers[entity][1]) if entity in providers else ""
            approvals[entity] = world.approve(entity, contract, digest, seats=keys, provider=provider)
    agreed = Agreed(contract, token, chains, approvals)
    mine = own_keys(own.token)
    public = {**mine, **{pid: pair[1] for pid, pair in seats.items()}}
    digests = {entity: bytes.fromhex(digest_of(approval)) for entity, approval in approvals.items()}
    session = transcript(
        bytes.fromhex(digest),
        {seat.pid: digests[seat.entity] for seat in contract.seats},
        {provider.entity: digests[provider.entity] for provider in contract.providers},
    )
    assert [seat.entity for seat in contract.seats] == [CARE, POLICE, NEUTRAL]
    return Insider(agreed, seats, providers, public, session)


def own_keys(approval: str) -> dict[int, bytes]:
    claims = parse_compact(approval, 64 * 1024).claims
    return {seat["pid"]: base64.b64decode(seat["key"]) for seat in claims["seats"]}


def labelled(counter: int, payload: bytes) -> bytes:
    return struct.pack("<q", counter) + payload


def in_pieces(source: int, sealed: bytes) -> list[Frame]:
    starts = range(0, len(sealed), MAX_FRAME)
    return [Frame(source, 0, sealed[at : at + MAX_FRAME], at + MAX_FRAME < len(sealed)) for at in starts]


def from_party(pid: int, sealed: Iterable[bytes]) -> list[Frame]:
    return [frame for one in sealed for frame in in_pieces(pid, one)]


def _text(key: bytes) -> str:
    return base64.b64encode(key).decode()
