"""Opens results that are sealed to this gateway: port `Opener`."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.domain.approval import SignedApproval, SignedContract
from gateway.domain.computation import SealedShare
from gateway.domain.result import Table
from gateway.rules import release, sealing
from gateway.rules.roster import open_result


@dataclass(frozen=True, slots=True)
class RecipientKey:
    """The gateway's X25519 key (raw); contracts name its public half."""

    private: bytes = field(repr=False)

    def key(self) -> str:
        return base64.b64encode(sealing.public_of(self.private)).decode()

    def open(
        self, contract: SignedContract, approvals: Sequence[SignedApproval], shares: Sequence[SealedShare]
    ) -> Table:
        for recipient in contract.body.recipients:
            if recipient.kind == "gateway" and recipient.key == self.key():
                return open_result(contract, approvals, shares, recipient.name, self.private)
        raise release.inconsistent("this gateway's key is not the contract's")
