"""One database behind the stored ports, for a gateway, an agent and an anchor alike.

Invariant: what `open` returns has the schema of this release.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

from gateway.domain.errors import IsthmusError, Reason
from gateway.edges.audit import StoredAuditLog
from gateway.edges.audit_guard import AuditGuard
from gateway.edges.store import schema
from gateway.edges.store.approvals import StoredApprovals
from gateway.edges.store.beliefs import StoredBeliefs
from gateway.edges.store.computations import StoredComputations
from gateway.edges.store.connections import Connections, connect, shown
from gateway.edges.store.editions import StoredEditions
from gateway.edges.store.inbox import StoredInbox
from gateway.edges.store.kept import StoredKept
from gateway.edges.store.ledger import StoredLedger
from gateway.edges.store.members import StoredInvitations, StoredMembers
from gateway.edges.store.once import StoredOnce
from gateway.edges.store.person_answers import StoredPersonAnswers
from gateway.edges.store.proposals import StoredProposals
from gateway.edges.store.reports import StoredReports
from gateway.edges.store.retention import StoredRetention
from gateway.edges.store.rulebooks import StoredRulebooks
from gateway.edges.store.sign_ins import StoredSignIns


class Database:
    """Open it with `await Database.open(url)`, or `async with await Database.open(url) as database`."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self.audit = StoredAuditLog(connections)
        self.guard = AuditGuard(connections)
        self.computations = StoredComputations(connections, self.guard)
        self.once = StoredOnce(connections)
        self.approvals = StoredApprovals(connections)
        self.ledger = StoredLedger(connections)
        self.person_answers = StoredPersonAnswers(connections)
        self.kept = StoredKept(connections)
        self.inbox = StoredInbox(connections)
        self.beliefs = StoredBeliefs(connections)
        self.sign_ins = StoredSignIns(connections)
        self.members = StoredMembers(connections)
        self.invitations = StoredInvitations(connections)
        self.editions = StoredEditions(connections)
        self.retention = StoredRetention(connections)
        self.reports = StoredReports(connections)
        self.rulebooks = StoredRulebooks(connections)
        self.proposals = StoredProposals(connections)

    @classmethod
    async def open(cls, url: str) -> Self:
        """Open `sqlite+aiosqlite:///path` (made, for its owner alone, if missing) or `postgresql+asyncpg://…`.

        Raises IsthmusError(CONFIGURATION) when the database cannot be reached or is not ours to use.
        """
        connections = connect(url)
        try:
            await connections.write(schema.bring_up_to_date)
        except IsthmusError as problem:
            await connections.close()
            if problem.reason is Reason.CONFIGURATION:
                raise
            raise IsthmusError(
                Reason.CONFIGURATION,
                f"the store {shown(url)} cannot be opened",
                private=problem.private,
                field="database",
                advice="Check that it is there, that this user may use it, and that it is a database of ours",
            ) from problem
        return cls(connections)

    async def close(self) -> None:
        """Finish what is running and let go of the database."""
        await self._connections.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
