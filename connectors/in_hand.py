"""What an agent has in hand: approvals that wait for their run, with their session keys, and sessions that run.

Invariants: session keys live here, in memory alone, and are handed out once; an approval that is let go frees what the
ledger had set aside for it; whatever ends one of these ends it here, whether or not the gateway does anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from connectors.redelivery import Redelivery
from connectors.session import Session, SessionKeys
from gateway.domain.approval import SignedApproval, SignedContract
from gateway.domain.errors import IsthmusError
from gateway.domain.session import Failure

MAX_WAITING_OF_ONE = 128


@dataclass(slots=True)
class InHand:
    # Told the digest of a contract that was approved and will not be run.
    let_go: Callable[[str], None]
    # By contract digest.
    waiting: dict[str, tuple[SignedContract, SessionKeys]] = field(default_factory=dict)
    # By session, with the approvals that it runs under.
    running: dict[str, tuple[Session | Redelivery, Sequence[SignedApproval]]] = field(default_factory=dict)

    def make_room(self, initiator: str) -> None:
        """An initiator that proposes and does not run loses its own oldest keys, and nobody else's."""
        own = [digest for digest, (asked, _) in self.waiting.items() if asked.body.initiator == initiator]
        if len(own) >= MAX_WAITING_OF_ONE:
            self._forget(own[0])

    def wait(self, contract: SignedContract, keys: SessionKeys) -> None:
        self.waiting[contract.digest] = (contract, keys)

    def take(self, digest: str) -> SessionKeys | None:
        """The keys of an approved contract, to whoever runs it, once."""
        found = self.waiting.pop(digest, None)
        return None if found is None else found[1]

    def begin(self, session: Session | Redelivery, signed: Sequence[SignedApproval]) -> None:
        self.running[session.contract.body.session] = (session, signed)

    def done(self, contract: SignedContract) -> None:
        self.running.pop(contract.body.session, None)

    def stop(self, session: str, failure: Failure) -> None:
        """Somebody says that the session has ended, or that it will not begin."""
        if (running := self.running.get(session)) is not None:
            running[0].stop(failure)
        for digest in [digest for digest, (asked, _) in self.waiting.items() if asked.body.session == session]:
            self._forget(digest)

    def contracts(self) -> list[tuple[SignedContract, Sequence[SignedApproval]]]:
        """All of it, each with the approvals that it runs under; of what waits nobody else's are known."""
        running = [(session.contract, signed) for session, signed in self.running.values()]
        return [*running, *((contract, ()) for contract, _ in self.waiting.values())]

    def end(self, contract: SignedContract, problem: IsthmusError) -> None:
        """It may not go on, for this reason: what runs is stopped, what waits forgotten. Another contract that only
        names the same session is left alone."""
        running = self.running.get(contract.body.session)
        if running is not None and running[0].contract.digest == contract.digest:
            failure = Failure(problem.reason.value, problem.space, "session", problem.public, problem.advice)
            running[0].stop(failure)
        if contract.digest in self.waiting:
            self._forget(contract.digest)

    def _forget(self, digest: str) -> None:
        del self.waiting[digest]
        self.let_go(digest)
