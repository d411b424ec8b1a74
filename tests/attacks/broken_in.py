"""A gateway in the hands of somebody who broke in: its own code, keys and files, in its own process and under its user.

`python -m tests.attacks.broken_in gateway.toml`. What it does beyond the gateway's own work stands in
`orders.json` beside the configuration, read whenever a session begins; `frames.bin` there is what it saw passing.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from gateway import app
from gateway.domain.approval import ApprovalBody, SeatKey
from gateway.domain.computation import SealedShare
from gateway.domain.session import Approval, Completed, Frame, Refusal, RunEvent
from gateway.edges import keys
from gateway.edges.agents import AgentLine
from gateway.edges.clock import SystemClock, SystemIds
from gateway.edges.documents import RECEIPT, Writer
from gateway.edges.tokens import sign
from gateway.edges.tunnel import Tunnel
from gateway.rules import sealing
from gateway.rules.contract import read_contract
from gateway.rules.jose import parse_compact
from gateway.rules.tokens import payload_digest

HOME = Path(sys.argv[1]).parent
# What is tampered with is the frame of this number that passes in one direction.
AT = 3
CLOSE = 0.05  # seconds


def orders() -> dict[str, Any]:
    path = HOME / "orders.json"
    return json.loads(path.read_text()) if path.exists() else {}


class Listening(Tunnel):
    """Every frame comes by here, from the own agent ("out") and for it ("in")."""

    _kept: ClassVar[list[Frame]] = []

    async def _take_all(self, route: Any, sender: str, incoming: AsyncIterator[Frame]) -> None:
        order = orders()
        way = "out" if sender == self._entity else "in"
        if order.get("do") == "record":
            incoming = self._recorded(incoming)
        elif order.get("way") == way:
            incoming = _swapped(incoming) if order["do"] == "swap" else self._tampered(incoming, order["do"])
        await super()._take_all(route, sender, incoming)

    async def _recorded(self, incoming: AsyncIterator[Frame]) -> AsyncIterator[Frame]:
        with (HOME / "frames.bin").open("ab") as file:
            async for frame in incoming:
                file.write(frame.sealed)
                self._kept.append(frame)
                yield frame

    async def _tampered(self, incoming: AsyncIterator[Frame], do: str) -> AsyncIterator[Frame]:
        count = 0
        async for frame in incoming:
            count += 1
            match do if count == AT else "":
                case "alter":
                    yield replace(frame, sealed=bytes([frame.sealed[0] ^ 1]) + frame.sealed[1:])
                case "cut":
                    yield replace(frame, sealed=frame.sealed[:-1])
                case "repeat":
                    yield frame
                    yield frame
                case "invent":
                    yield frame
                    yield replace(frame, sealed=os.urandom(len(frame.sealed)), more=False)
                case "old":
                    pair = frame.source, frame.destination
                    yield next(kept for kept in self._kept if (kept.source, kept.destination) == pair)
                case _:
                    yield frame


async def _swapped(incoming: AsyncIterator[Frame]) -> AsyncIterator[Frame]:
    """The first two frames from one party to another that come close enough upon each other change places."""
    coming = asyncio.ensure_future(anext(incoming, None))
    swapped = False
    while (frame := await coming) is not None:
        coming = asyncio.ensure_future(anext(incoming, None))
        await asyncio.wait({coming}, timeout=0 if swapped else CLOSE)
        then = coming.result() if coming.done() else None
        if swapped or then is None or (then.source, then.destination) != (frame.source, frame.destination):
            yield frame
            continue
        swapped = True
        coming = asyncio.ensure_future(anext(incoming, None))
        yield then
        yield frame


class Lying(AgentLine):
    """Answers in the agent's place where it is told to."""

    async def propose(self, contract: str, chains: Any) -> Approval | Refusal:
        order = orders()
        if order.get("do") != "approve":
            return await super().propose(contract, chains)
        token = parse_compact(contract, 512 * 1024)
        body = read_contract(token.claims)
        seats = tuple(SeatKey(seat.pid, _public()) for seat in body.seats_of(self._entity))
        provides = _public() if body.provider_of(self._entity) is not None else ""
        key = keys.load_signing_key(HOME / "keys" / f"{order['key']}.pem")
        writer = Writer(self._entity, lambda: key, SystemClock(), SystemIds())
        return Approval(writer.approval(body, ApprovalBody(payload_digest(token.payload), seats, provides)))

    async def run(self, contract: str, approvals: Sequence[str], chains: Any) -> AsyncGenerator[RunEvent, None]:
        order = orders()
        async for event in super().run(contract, approvals, chains):
            if isinstance(event, Completed) and order.get("do") == "receipt":
                claims = {**parse_compact(event.receipt, 64 * 1024).claims, "jti": SystemIds().fresh()}
                key = keys.load_signing_key(HOME / "keys" / "token.pem")
                yield replace(event, receipt=sign(RECEIPT, claims, key))
            elif isinstance(event, SealedShare) and order.get("do") == "share":
                sealed = bytearray(base64.b64decode(event.sealed))
                sealed[-1] ^= 1
                yield replace(event, sealed=base64.b64encode(bytes(sealed)).decode())
            else:
                yield event


def _public() -> str:
    return base64.b64encode(sealing.fresh_key()[1]).decode()


if __name__ == "__main__":
    app.Tunnel, app.AgentLine = Listening, Lying  # type: ignore[attr-defined]
    asyncio.run(app.serve_until_stopped(Path(sys.argv[1]), embedded=True))
