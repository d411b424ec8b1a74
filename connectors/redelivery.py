"""One contract that is answered from kept output shares, at one agent: no party, no row, no frame.

Invariants: as a session's: whoever runs this has verified contract and approvals, and an output share leaves only after
the audit log says that it will. It is sealed to the contract's recipients with the seat's session key of this very
contract, as its party would have sealed it, so that a recipient opens and checks it like any other.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.rules.party_job import failure
from connectors.session import SessionKeys
from gateway.domain.approval import SignedContract
from gateway.domain.computation import SealedShare
from gateway.domain.errors import IsthmusError
from gateway.domain.session import Completed, Failure, Progress, RunEvent
from gateway.rules import sealing
from gateway.rules.roster import Roster

PHASE = "re-delivered"


@dataclass(slots=True)
class Redelivery:
    entity: str
    contract: SignedContract
    roster: Roster
    keys: SessionKeys
    # The digest of the contract whose shares were kept.
    origin: str
    # This space's output vectors by pid, as kept.
    vectors: Callable[[], Awaitable[Mapping[int, Sequence[int]]]]
    # Writes down that they leave now, durably, before they do.
    spend: Callable[[], Awaitable[None]]
    # Signs the receipt over the digests of the sealed output shares and the summary.
    receipt: Callable[[list[str], dict[str, Any]], Awaitable[str]]
    _stopped: Failure | None = None

    async def run(self) -> AsyncGenerator[RunEvent, None]:
        """Events until Completed or Failure."""
        yield Progress(PHASE, 0.0)
        try:
            shares = self._sealed(await self.vectors())
            if self._stopped is None:
                await self.spend()
            if self._stopped is not None:
                yield self._stopped
                return
            for share in shares:
                yield share
            outputs = sorted(hashlib.sha256(base64.b64decode(share.sealed)).hexdigest() for share in shares)
            summary = {"bytes_sent": 0, "rounds": 0, "seconds": 0.0, "redelivered": self.origin}
            token = await self.receipt(outputs, summary)
        except IsthmusError as problem:
            yield failure(problem.reason, problem.space or self.entity, PHASE, problem.public, problem.advice)
            return
        yield Completed(token)

    def stop(self, failure: Failure) -> None:
        """Somebody else ended it."""
        self._stopped = failure

    def _sealed(self, vectors: Mapping[int, Sequence[int]]) -> list[SealedShare]:
        shares = []
        for pid, vector in sorted(vectors.items()):
            for recipient in self.contract.body.recipients:
                key = base64.b64decode(recipient.key, validate=True)
                sealed = sealing.seal_output(
                    key, self.keys.seats[pid], self.roster.transcript, pid, recipient.name, vector
                )
                shares.append(SealedShare(pid, recipient.name, base64.b64encode(sealed).decode()))
        return shares
