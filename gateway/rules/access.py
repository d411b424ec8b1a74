"""Who may call what: one table over every rpc, default deny.

Invariant: an rpc that is not in the table answers nobody; a test holds the table against the descriptors.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.domain.caller import Caller, CallerKind
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.query import Query


@dataclass(frozen=True, slots=True)
class Access:
    kind: CallerKind
    scope: str = ""
    # Seconds that a call may take; a longer deadline is cut to it, none at all is refused (streams excepted).
    longest: float = 60.0


_CATALOGUE = Access(CallerKind.CLIENT, "catalogue")
_COMPUTE = Access(CallerKind.CLIENT, "compute")
_STEWARD = Access(CallerKind.CLIENT, "steward")
_PEER = Access(CallerKind.PEER)
_HOUR = 3600.0

TABLE: dict[str, Access] = {
    "/isthmus.client.v1.CatalogueService/ListDatasets": _CATALOGUE,
    "/isthmus.client.v1.CatalogueService/GetDataset": _CATALOGUE,
    "/isthmus.client.v1.CatalogueService/ListSpaces": _CATALOGUE,
    "/isthmus.client.v1.CatalogueService/ListPrograms": _CATALOGUE,
    "/isthmus.client.v1.ComputationService/ValidateComputation": _COMPUTE,
    "/isthmus.client.v1.ComputationService/CreateComputation": _COMPUTE,
    "/isthmus.client.v1.ComputationService/GetComputation": _COMPUTE,
    "/isthmus.client.v1.ComputationService/ListComputations": _COMPUTE,
    "/isthmus.client.v1.ComputationService/WatchComputation": Access(CallerKind.CLIENT, "compute", _HOUR),
    "/isthmus.client.v1.ComputationService/CancelComputation": _COMPUTE,
    "/isthmus.client.v1.ComputationService/AcknowledgeResult": _COMPUTE,
    "/isthmus.client.v1.TokenService/IssueToken": Access(CallerKind.HOLDER),
    "/isthmus.client.v1.TokenService/ExchangeToken": Access(CallerKind.HOLDER),
    "/isthmus.client.v1.DiagnosticsService/DiagnosePeer": Access(CallerKind.CLIENT, "operate", 180.0),
    "/isthmus.client.v1.ApprovalService/ListPlans": _STEWARD,
    "/isthmus.client.v1.ApprovalService/GetPlan": _STEWARD,
    "/isthmus.client.v1.ApprovalService/DecidePlan": _STEWARD,
    "/isthmus.client.v1.PolicyService/GetPolicy": _STEWARD,
    "/isthmus.client.v1.PolicyService/ProposePolicy": _STEWARD,
    "/isthmus.peer.v1.ExaminationService/Probe": _PEER,
    "/isthmus.peer.v1.ExaminationService/ListOpenDatasets": _PEER,
    "/isthmus.peer.v1.ExaminationService/Examine": Access(CallerKind.PEER, "", 90.0),
    "/isthmus.peer.v1.PeerService/Describe": _PEER,
    "/isthmus.peer.v1.PeerService/CheckDraft": _PEER,
    "/isthmus.peer.v1.PeerService/Consult": _PEER,
    "/isthmus.peer.v1.PeerService/Propose": _PEER,
    "/isthmus.peer.v1.PeerService/Run": Access(CallerKind.PEER, "", _HOUR),
    "/isthmus.peer.v1.PeerService/Conclude": _PEER,
    "/isthmus.peer.v1.PeerService/Tunnel": Access(CallerKind.PEER, "", _HOUR),
    "/isthmus.agent.v1.AgentService/Connect": Access(CallerKind.AGENT, "", float("inf")),
    "/isthmus.agent.v1.AgentService/Carry": Access(CallerKind.AGENT, "", _HOUR),
    # Of an anchor's port alone: no gateway ever takes anybody for one of these.
    "/isthmus.trust.v1.AnchorService/Join": Access(CallerKind.INVITED, "", 10.0),
    "/isthmus.trust.v1.AnchorService/Fetch": Access(CallerKind.MEMBER, "", 10.0),
}

# One text, whichever right is missing.
NOT_ALLOWED = "this caller may not call this method"
OPERATE = "operate"
SCOPES = frozenset({"catalogue", "compute", OPERATE, "steward"})


def allow(rpc: str, caller: Caller) -> None:
    """Raises IsthmusError(PERMISSION_DENIED) unless the table lets `caller` call `rpc`."""
    entry = TABLE.get(rpc)
    if entry is None or entry.kind is not caller.kind or (entry.scope and entry.scope not in caller.scopes):
        raise IsthmusError(
            Reason.PERMISSION_DENIED,
            NOT_ALLOWED,
            private=f"{caller.kind} {caller.id} called {rpc}",
            advice="Ask the operator of this space for the scope",
        )


def allow_query(caller: Caller, asked: Query) -> None:
    """Raises IsthmusError(PERMISSION_DENIED) unless the caller's token covers this query."""
    rights = caller.rights
    wanted = [
        ("sources", source.dataset, rights.datasets)
        for source in asked.sources
    ] + [
        ("statistic", asked.statistic.name, rights.statistics),
        ("purpose", asked.purpose, rights.purposes),
    ]  # fmt: skip
    for field, value, allowed in wanted:
        if "*" not in allowed and value not in allowed:
            raise IsthmusError(
                Reason.PERMISSION_DENIED,
                f"your token does not cover {value}",
                field=field,
                advice="Ask the operator of your space to widen your rights",
            )
