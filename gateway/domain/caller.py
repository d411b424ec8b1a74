"""Who calls: what is left of a connection and its token once both are checked."""

from __future__ import annotations

from enum import StrEnum

from gateway.domain.records import record


class CallerKind(StrEnum):
    CLIENT = "client"
    PEER = "peer"
    AGENT = "agent"
    # A certificate of this space that has no token yet: it may ask for one and do nothing else.
    HOLDER = "holder"
    # At an anchor, whose port asks for no certificate: who brings an invitation, and who is a member.
    INVITED = "invited"
    MEMBER = "member"


@record
class Rights:
    """What a token allows a client to ask (RFC 9396 authorization_details). "*" allows all. `roles` are not what may be
    asked but as what, by their codes: no role stands for another, and "*" is none."""

    datasets: tuple[str, ...]
    statistics: tuple[str, ...]
    purposes: tuple[str, ...]
    roles: tuple[str, ...] = ()


@record
class Caller:
    """`id` is a client ID or an entity ID; `scopes` and `rights` are empty unless it is a client."""

    kind: CallerKind
    id: str
    scopes: frozenset[str] = frozenset()
    rights: Rights = Rights((), (), ())
    certificate: str = ""
