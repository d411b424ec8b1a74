"""Opens results that are sealed to this gateway: port `Opener`."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.domain.approval import SignedApproval, SignedContract
from gateway.domain.computation import SealedShare
from gateway.domain.result import Table
from gateway.rules import sealing, sharing
from gateway.rules.roster import open_result


@dataclass(frozen=True, slots=True)
class RecipientKeys:
    """The gateway's X25519 keys (raw); contracts name the public half of one.

    `current` is named in new contracts; `every` opens what was sealed to any.
    """

    current: Callable[[], bytes]
    every: Callable[[], Sequence[bytes]]

    def key(self) -> str:
        return _public(self.current())

    def open(
        self, contract: SignedContract, approvals: Sequence[SignedApproval], shares: Sequence[SealedShare]
    ) -> Table:
        for recipient in contract.body.recipients:
            for private in self.every() if recipient.kind == "gateway" else ():
                if recipient.key == _public(private):
                    return open_result(contract, approvals, shares, recipient.name, private)
        raise sharing.inconsistent("this gateway has no key that the contract names")


def _public(private: bytes) -> str:
    return base64.b64encode(sealing.public_of(private)).decode()
