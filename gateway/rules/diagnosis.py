"""From measurements below the first call to findings: name, port, TLS, clock. Pure.

Invariants: every judgement is total over what can be measured; each finding that is not ok names a cause, whose
turn it is and what to do; what is said of a name, a port or a certificate is said by host name, so that it reads
the same at both ends. What is judged by the peer's answers is in `gateway.rules.diagnosis_peer`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from statistics import median

from gateway.domain.diagnosis import (
    Actor,
    Answer,
    Cause,
    ClockSeen,
    Ends,
    Finding,
    Handshake,
    Outcome,
    Reached,
    Step,
    Trouble,
)
from gateway.domain.identity import EntityId, host_of
from gateway.rules.tokens import DAY, LEEWAY

# A clock that differs by more is worth a warning; by `tokens.LEEWAY`, and tokens are refused.
CLOCK_WARNS = 1000  # milliseconds
SOON = 14 * DAY


def host(entity: str) -> str:
    return host_of(EntityId(entity))


def failed(step: Step, cause: Cause, text: str, actor: Actor, advice: str, measured: str = "") -> Finding:
    return Finding(step, Outcome.FAILED, text, cause, measured, actor, advice)


def warned(step: Step, cause: Cause, text: str, actor: Actor, advice: str, measured: str = "") -> Finding:
    return Finding(step, Outcome.WARNING, text, cause, measured, actor, advice)


def fine(step: Step, text: str, measured: str = "") -> Finding:
    return Finding(step, Outcome.OK, text, measured=measured)


def not_tried(step: Step, root: Step) -> Finding:
    return Finding(step, Outcome.NOT_TRIED, f"Not tried: {root} comes first.")


def name(ends: Ends, seen: Reached) -> Finding:
    where = ends.address.rpartition(":")[0] or ends.address
    match seen.trouble:
        case None:
            return fine(Step.NAME, f"{where} has an address.", seen.what)
        case Trouble.NO_SUCH_NAME:
            actor, correct = _address_is_wrong(ends)
            text = f"No address is known for the name {where}, under which {host(ends.peer)} is to be reached."
            advice = f"{correct}, or publish the name in the DNS"
            return failed(Step.NAME, Cause.NAME_UNKNOWN, text, actor, advice)
        case _:
            text = f"The name service of {host(ends.own)} gives no answer about {where}."
            advice = "Check the resolver of the machine that looks the name up (/etc/resolv.conf) and try again"
            return failed(Step.NAME, Cause.RESOLVER_SILENT, text, Actor.OWN, advice)


def port(ends: Ends, seen: Reached) -> Finding:
    match seen.trouble:
        case None:
            measured = f"{ends.address} open after {_milliseconds(seen.seconds)}"
            return fine(Step.PORT, f"{ends.address} accepts connections.", measured)
        case Trouble.REFUSED:
            actor, correct = _address_is_wrong(ends)
            text = f"Nothing listens on {ends.address}: the connection was refused."
            start = f"Start the gateway of {host(ends.peer)} and check its `listen`"
            advice = correct if actor is Actor.OWN else f"{start}; or {correct[0].lower()}{correct[1:]}"
            return failed(Step.PORT, Cause.PORT_CLOSED, text, actor, advice)
        case Trouble.UNREACHABLE:
            text = f"There is no route from {host(ends.own)} to {ends.address}."
            advice = f"Check the network of {host(ends.own)}, its routes and its VPN"
            return failed(Step.PORT, Cause.NO_ROUTE, text, Actor.OWN, advice, seen.what)
        case _:
            text = f"{ends.address} did not answer the connection at all: something drops the packets."
            advice = (
                f"Have the firewalls between {host(ends.own)} and {ends.address} let TCP through; "
                "check that the address is the right machine's"
            )
            return failed(Step.PORT, Cause.PORT_FILTERED, text, Actor.NETWORK, advice, f"waited {seen.seconds:.0f} s")


def tls(ends: Ends, seen: Handshake, now: int, *, own_holds: bool) -> Finding:
    """`own_holds`: the own client certificate is one that the own statement's CA issued, and valid now."""
    peer, where = host(ends.peer), ends.address
    actor, correct = _address_is_wrong(ends)
    if seen.trouble is not None and not seen.issuer:
        return _no_handshake(ends, seen.trouble)
    if peer not in seen.names:
        shown = ", ".join(seen.names) or "no name at all"
        text = f"{where} presents a certificate for {shown}, not for {peer}: another gateway answers there."
        return failed(Step.TLS, Cause.WRONG_ENTITY, text, actor, f"{correct}; each port has one space", shown)
    if seen.issued is False:
        text = f"The certificate at {where} was issued by {seen.issuer}, which is not the CA in {peer}'s statement."
        advice = (
            f"Serve a certificate that the CA in the statement of {peer} issued, or publish the new CA in the "
            "statement; if the certificate is not yours, something in between ends the TLS connection"
        )
        return failed(Step.TLS, Cause.WRONG_AUTHORITY, text, Actor.PEER, advice, f"issuer {seen.issuer}")
    if now > seen.ends:
        text = f"The certificate of {peer} has expired."
        advice = f"Issue a new certificate for the port of {peer} and load it"
        return failed(Step.TLS, Cause.CERTIFICATE_EXPIRED, text, Actor.PEER, advice, f"expired {_day(seen.ends)}")
    if now < seen.begins:
        text = f"The certificate of {peer} is not valid yet by the clock of {host(ends.own)}."
        advice = "Compare the clocks of both machines first; then the certificate's dates"
        measured = f"begins {_day(seen.begins)}"
        return failed(Step.TLS, Cause.CERTIFICATE_NOT_YET_VALID, text, Actor.BOTH, advice, measured)
    # Where its own certificate was shown, nobody stood in between: it is the gateway that closed, and a gRPC server
    # does that, without an alert, to client certificates that it does not accept.
    if seen.trouble is Trouble.CLIENT_REFUSED or (seen.trouble is Trouble.CLOSED and seen.issued):
        return _client_refused(ends, own_holds=own_holds)
    if seen.trouble is not None:
        return _no_handshake(ends, seen.trouble)
    if seen.protocol != "h2":
        text = f"{where} speaks TLS, but not HTTP/2: gRPC cannot pass."
        advice = f"Forward the port of {peer} as TCP: a proxy that ends TLS cannot carry it"
        return failed(Step.TLS, Cause.NOT_GRPC, text, Actor.PEER, advice, seen.protocol or "no ALPN")
    until = f"{seen.version}, certificate until {_day(seen.ends)}"
    if seen.ends - now < SOON:
        text = f"The certificate of {peer} expires soon."
        advice = f"Issue a new certificate for the port of {peer}"
        return warned(Step.TLS, Cause.CERTIFICATE_SOON, text, Actor.PEER, advice, until)
    issued = "" if seen.issued is None else ", issued by the CA in its statement"
    return fine(Step.TLS, f"{peer} shows its own certificate{issued}.", until)


def calls(ends: Ends, answer: Answer) -> Finding | None:
    """The finding that stands for the first call where it got no answer of a gateway."""
    if answer not in (Answer.UNREACHABLE, Answer.LATE):
        return None
    text = f"TLS stands, but no call to {host(ends.peer)} is answered."
    advice = f"Look into the log of the gateway of {host(ends.peer)}; a proxy in front of it has to pass HTTP/2"
    return failed(Step.CLOCK, Cause.CALLS_UNANSWERED, text, Actor.PEER, advice, str(answer))


def clock(ends: Ends, seen: ClockSeen | None, witnesses: Sequence[int]) -> Finding:
    """`seen` None: a release that does not tell. `witnesses` are the offsets of other peers' clocks."""
    own, peer = host(ends.own), host(ends.peer)
    if seen is None:
        text = f"{peer} runs a release that does not tell its clock."
        return warned(Step.CLOCK, Cause.PROBE_UNKNOWN, text, Actor.PEER, f"Upgrade the gateway of {peer}")
    digits = 3 if seen.within < 500 else 0
    measured = f"{seen.offset / 1000:+.{digits}f} s (± {seen.within / 1000:.{digits}f} s)"
    off = max(0, abs(seen.offset) - (seen.within if seen.within >= 500 else 0))
    if off <= CLOCK_WARNS:
        return fine(Step.CLOCK, f"The clocks of {own} and {peer} agree.", measured)
    ahead = "ahead of" if seen.offset > 0 else "behind"
    text = f"The clock of {peer} is {abs(seen.offset) / 1000:.0f} s {ahead} that of {own}"
    actor = _wrong_clock(seen.offset, witnesses)
    whose = {Actor.OWN: f" of {own}", Actor.PEER: f" of {peer}"}.get(actor, "s of both, since nobody else was asked")
    advice = f"Synchronise the clock{whose} (NTP)"
    if off >= LEEWAY * 1000:
        text += f": tokens are refused from {LEEWAY} s on."
        return failed(Step.CLOCK, Cause.CLOCKS_DIFFER, text, actor, advice, measured)
    text += f". From {LEEWAY} s on tokens are refused."
    return warned(Step.CLOCK, Cause.CLOCKS_DIFFER, text, actor, advice, measured)


def offset_of(probes: Sequence[tuple[int, int, int]]) -> ClockSeen:
    """From (sent, received, peer's clock) of each probe, in milliseconds: the offset at the midpoint of the
    quickest one, which bounds the error by half its round trip (Cristian 1989, section 4)."""
    sent, received, theirs = min(probes, key=lambda probe: probe[1] - probe[0])
    return ClockSeen(round(theirs - (sent + received) / 2), max(1, (received - sent + 1) // 2))


def _wrong_clock(offset: int, witnesses: Sequence[int]) -> Actor:
    """Whose clock is off: the own one if the others stand where the peer does, the peer's if they stand here."""
    if not witnesses:
        return Actor.BOTH
    third = median(witnesses)
    if abs(third) <= CLOCK_WARNS < abs(third - offset):
        return Actor.PEER
    if abs(third - offset) <= CLOCK_WARNS < abs(third):
        return Actor.OWN
    return Actor.BOTH


def _address_is_wrong(ends: Ends) -> tuple[Actor, str]:
    """Who corrects an address at which the peer is not: who wrote it down."""
    if ends.stated and ends.stated != ends.address:
        return Actor.OWN, f"Correct the address of {host(ends.peer)} at {host(ends.own)}: it states {ends.stated}"
    return Actor.PEER, f"Correct the `endpoint` that {host(ends.peer)} states"


def _no_handshake(ends: Ends, trouble: Trouble) -> Finding:
    where, peer = ends.address, host(ends.peer)
    match trouble:
        case Trouble.SILENT:
            text = f"{where} accepts the connection and never answers the TLS handshake."
            advice = f"See whether the gateway of {peer} hangs, or what else holds its port open (a proxy, a firewall)"
            return failed(Step.TLS, Cause.TLS_SILENT, text, Actor.PEER, advice)
        case Trouble.PLAINTEXT:
            text = f"{where} answers without TLS: that is no gateway, or something in front of it took TLS off."
            advice = f"{_address_is_wrong(ends)[1]}, or have the port forwarded as it is"
            return failed(Step.TLS, Cause.TLS_ABSENT, text, _address_is_wrong(ends)[0], advice)
        case Trouble.CLOSED:
            text = f"{where} closes the connection in the TLS handshake."
            advice = f"See what ends connections in front of the gateway of {peer}, and its log"
            return failed(Step.TLS, Cause.TLS_CLOSED, text, Actor.PEER, advice)
        case _:
            text = f"The TLS handshake with {where} fails."
            advice = f"See whether what listens there is the gateway of {peer}, and of which release"
            return failed(Step.TLS, Cause.TLS_FAILED, text, Actor.PEER, advice)


def _client_refused(ends: Ends, *, own_holds: bool) -> Finding:
    own, peer = host(ends.own), host(ends.peer)
    if not own_holds:
        text = (
            f"{own} shows {peer} a client certificate that has expired or that the CA in its statement did not issue."
        )
        advice = f"Issue `tls.client_certificate` of {own} afresh, by the CA in its statement"
        return failed(Step.TLS, Cause.OWN_CERTIFICATE, text, Actor.OWN, advice)
    text = f"{peer} refuses the client certificate of {own}: it does not know the CA of {own}."
    advice = f"Admit {own} at {peer}: its statement names the CA"
    return failed(Step.TLS, Cause.CERTIFICATE_REFUSED, text, Actor.PEER, advice)


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 0.1 else f"{seconds * 1000:.0f} ms"


def _day(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")
