"""From what a peer answers to findings: chain, agent, versions, policy, sizes, bandwidth, round trip. Pure.

Invariants: as of `gateway.rules.diagnosis`; of a chain that is refused only the kind of the problem is told, since
findings go to the other operator too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.domain.dataset import Dataset
from gateway.domain.diagnosis import Actor, Answer, Cause, Ends, Finding, Flow, Outcome, Sent, Spoken, Step
from gateway.domain.identity import Anchor
from gateway.domain.offer import Offer
from gateway.rules.diagnosis import failed, fine, host, warned
from gateway.rules.jose import MAX_CHAIN_BYTES, Problem, TokenProblem, parse_compact

SLOW = 10e6 / 8  # bytes per second: ten megabits
FAR = 0.25  # seconds; a session has some hundred rounds


@dataclass(frozen=True, slots=True)
class ChainSeen:
    """A peer's chain as it came, held against the pinned anchors."""

    problem: Problem | None
    superior: str = ""
    pinned: bool = True
    # The issuer of the first statement that has expired, or nobody.
    expired: str = ""


def see_chain(
    chain: Sequence[str], anchors: Sequence[Anchor], now: int, verify: Callable[[Sequence[str]], object]
) -> ChainSeen:
    """`verify` raises TokenProblem for a chain that is not to be believed."""
    try:
        verify(chain)
        return ChainSeen(None)
    except TokenProblem as problem:
        kind = problem.problem
    claims = []
    for statement in chain:
        try:
            claims.append(parse_compact(statement, MAX_CHAIN_BYTES).claims)
        except TokenProblem:
            return ChainSeen(kind)
    top = str(claims[-1].get("iss", ""))[:200] if claims else ""
    ends = [(str(item.get("iss", ""))[:200], item.get("exp")) for item in claims]
    expired = next((issuer for issuer, end in ends if isinstance(end, int) and end <= now), "")
    return ChainSeen(kind, top, any(anchor.entity_id == top for anchor in anchors), expired)


def chain(ends: Ends, answer: Answer, own_holds: bool, seen: ChainSeen | None, admitted: bool) -> Finding:
    """`answer` is to the call that exchanges statements, `seen` the chain that came, `own_holds` whether the own
    chain is one that the own anchors vouch for."""
    own, peer = host(ends.own), host(ends.peer)
    if answer is Answer.UNAUTHENTICATED:
        if not own_holds:
            text = f"The statement of {own}, or the anchor's about it, has expired or does not hold together."
            advice = f"Renew the statement of {own} at its anchor"
            return failed(Step.CHAIN, Cause.OWN_STATEMENT, text, Actor.OWN, advice)
        text = f"{peer} knows the CA of {own} and does not believe its statement or its tokens."
        advice = (
            f"Admit {own} at {peer} under an anchor that {peer} pins; the audit log of {peer} says what was refused"
        )
        return failed(Step.CHAIN, Cause.NOT_BELIEVED, text, Actor.PEER, advice)
    if answer is not Answer.GIVEN or seen is None:
        text = f"{peer} did not answer the call that exchanges statements."
        advice = f"Look into the log of the gateway of {peer}"
        return failed(Step.CHAIN, Cause.CALLS_UNANSWERED, text, Actor.PEER, advice, str(answer))
    return _seen_chain(ends, seen, admitted)


def _seen_chain(ends: Ends, seen: ChainSeen, admitted: bool) -> Finding:
    own, peer = host(ends.own), host(ends.peer)
    if seen.problem is None and admitted:
        return fine(Step.CHAIN, f"{own} and {peer} believe each other's statements.")
    if seen.problem is None:
        text = f"The statement of {peer} holds, but {own} has not admitted it."
        advice = f"Wait for the next refresh of {own}, or name {peer} among its peers"
        return failed(Step.CHAIN, Cause.NOT_ADMITTED, text, Actor.OWN, advice)
    if not seen.pinned:
        text = f"{own} pins no anchor {seen.superior}, which vouches for {peer}."
        advice = f"Pin that anchor at {own} (`[[anchors]]`) if it is to be trusted, or have {peer} join one that is"
        return failed(Step.CHAIN, Cause.ANCHOR_UNKNOWN, text, Actor.OWN, advice, seen.superior)
    if seen.expired:
        text = f"A statement in the chain of {peer} has expired: the one that {seen.expired} issued."
        advice = f"Renew it: {peer} fetches a new one from its anchor, or signs its own again"
        return failed(Step.CHAIN, Cause.STATEMENT_EXPIRED, text, Actor.PEER, advice, seen.expired)
    if seen.problem is Problem.OLDER:
        text = f"The statement of {peer} is older than one that {own} already has."
        advice = f"See whether {peer} was restored from a backup, or its clock set back"
        return warned(Step.CHAIN, Cause.STATEMENT_OLDER, text, Actor.PEER, advice)
    text = f"{own} does not believe the chain of {peer}."
    advice = f"The anchor of {peer} has to vouch for its present keys, within the prefixes that {own} allows it"
    return failed(Step.CHAIN, Cause.STATEMENT_REFUSED, text, Actor.PEER, advice, str(seen.problem))


def agent(ends: Ends, connected: bool, offer_holds: bool) -> Finding:
    peer = host(ends.peer)
    if not connected:
        text = f"The agent of {peer} is not connected to its gateway: nothing can be asked or computed there."
        advice = f"Start the agent of {peer}, or see in its log why it does not reach its gateway"
        return failed(Step.AGENT, Cause.AGENT_AWAY, text, Actor.PEER, advice)
    if not offer_holds:
        text = f"The agent of {peer} is connected, and its signed offer does not hold."
        advice = f"The statement of {peer} has to name the key with which its agent signs"
        return failed(Step.AGENT, Cause.OFFER_REFUSED, text, Actor.PEER, advice)
    return fine(Step.AGENT, f"The agent of {peer} is connected, and its offer is signed by it.")


def versions(ends: Ends, own: Spoken, peer: Spoken | None) -> Finding:
    """Whether the two can compute together; engine and codec count where both ends have an agent."""
    here, there = host(ends.own), host(ends.peer)
    if peer is None:
        text = f"{there} runs a release that does not tell what it speaks."
        return warned(Step.VERSIONS, Cause.PROBE_UNKNOWN, text, Actor.PEER, f"Upgrade the gateway of {there}")
    measured = f"{here} {_speaks(own)}; {there} {_speaks(peer)}"
    apart = ""
    if not set(own.protocols) & set(peer.protocols):
        apart = "no version of the protocol between gateways"
    elif own.engine and peer.engine and (own.engine, own.codec) != (peer.engine, peer.codec):
        apart = "no engine"
    elif own.programs and peer.programs and not own.programs & peer.programs:
        apart = "no program"
    if apart:
        actor = _behind(own.release, peer.release)
        whose = {Actor.OWN: here, Actor.PEER: there}.get(actor, f"{here} and {there}")
        text = f"{here} and {there} share {apart}: they cannot compute together."
        advice = f"Bring {whose} to the release of the others, gateway and agent"
        return failed(Step.VERSIONS, Cause.VERSIONS_APART, text, actor, advice, measured)
    if not own.engine:
        text = f"The agent of {here} is not connected, so what it speaks is not known."
        return warned(Step.VERSIONS, Cause.OWN_AGENT_AWAY, text, Actor.OWN, f"Start the agent of {here}", measured)
    if own.release != peer.release:
        text = f"{here} and {there} run different releases that go together."
        actor = _behind(own.release, peer.release)
        return warned(Step.VERSIONS, Cause.RELEASES_DIFFER, text, actor, "Upgrade when it suits you", measured)
    return fine(Step.VERSIONS, f"{here} and {there} speak the same versions.", f"both {_speaks(own)}")


def policy(ends: Ends, offer: Offer, opened: Sequence[str] | None) -> Finding:
    """`opened` are the datasets that the peer says are open to the own space; None if it did not say."""
    own, peer = host(ends.own), host(ends.peer)
    seats = f"{offer.seats} seat{'' if offer.seats == 1 else 's'}"
    if not offer.datasets and not offer.seats:
        text = f"{peer} offers neither data nor seats."
        return warned(Step.POLICY, Cause.NOTHING_OFFERED, text, Actor.PEER, f"Describe a dataset or a seat at {peer}")
    if not offer.datasets:
        return fine(Step.POLICY, f"{peer} holds no data and offers seats.", seats)
    found = [dataset for dataset in offer.datasets if opened is None or dataset.name in opened]
    if not found:
        text = f"None of the {len(offer.datasets)} datasets of {peer} is open to questions from {own}."
        advice = f"Ask the stewards of {peer} to name {own} in the policy of a dataset (`spaces`)"
        return warned(Step.POLICY, Cause.NOTHING_OPEN, text, Actor.PEER, advice, f"0 of {len(offer.datasets)}")
    measured = f"{len(found)} of {len(offer.datasets)} open: {'; '.join(map(_terms, found))}; {seats}"
    return fine(Step.POLICY, f"{peer} lets {own} ask about {len(found)} of its datasets.", measured)


def sizes(ends: Ends, sent: Sequence[Sent]) -> Finding:
    """Of messages in ascending size, each to the peer and back."""
    own, peer = host(ends.own), host(ends.peer)
    passed = [item.size for item in sent if item.answer is Answer.GIVEN]
    both = [size for size in passed if passed.count(size) == 2]
    largest = _size(max(both)) if both else "none"
    stopped = next((item for item in sent if item.answer not in (Answer.GIVEN, None)), None)
    if stopped is None:
        if any(item.answer is None for item in sent):
            text = f"Messages up to {largest} pass; larger ones were left out, the line is too slow for them."
            advice = "See the bandwidth below"
            return warned(Step.SIZES, Cause.LINE_SLOW, text, Actor.NETWORK, advice, f"largest {largest}")
        return fine(Step.SIZES, f"Messages of every size pass between {own} and {peer}.", f"largest {largest}")
    way = f"from {own} to {peer}" if stopped.up else f"from {peer} to {own}"
    text = f"Messages up to {largest} pass; one of {_size(stopped.size)} {way} does not."
    if stopped.answer in (Answer.TOO_LARGE, Answer.REFUSED):
        advice = f"See which limit the gateway of {peer}, or a proxy in front of it, sets on a message"
        return failed(
            Step.SIZES, Cause.LARGE_MESSAGES_REFUSED, text, Actor.PEER, advice, f"largest {largest}, {stopped.answer}"
        )
    advice = "Find what cuts long transfers: a proxy with a limit, a firewall, a path with a smaller MTU (VPN)"
    measured = f"largest {largest}, {stopped.answer}"
    return failed(Step.SIZES, Cause.LARGE_MESSAGES_CUT, text, Actor.NETWORK, advice, measured)


def bandwidth(ends: Ends, flow: Flow) -> Finding:
    own, peer = host(ends.own), host(ends.peer)
    if flow.broken is not None:
        text = f"The line between {own} and {peer} broke while data went over it."
        advice = "Find what ends connections in mid-transfer between the two"
        return failed(Step.BANDWIDTH, Cause.LINE_BREAKS, text, Actor.NETWORK, advice, str(flow.broken))
    measured = f"{_rate(flow.up)} there, {_rate(flow.down)} back"
    if min(flow.up, flow.down) < SLOW:
        text = f"The line between {own} and {peer} is slow: sessions over many people take long."
        advice = f"Look for the narrow place; {_rate(SLOW)} and more serve well"
        return warned(Step.BANDWIDTH, Cause.LINE_SLOW, text, Actor.NETWORK, advice, measured)
    return fine(Step.BANDWIDTH, f"The line between {own} and {peer} is fast enough.", measured)


def round_trip(ends: Ends, seconds: float | None) -> Finding:
    """`seconds` is the median; None where the peer's release answers no probe."""
    peer = host(ends.peer)
    if seconds is None:
        text = f"{peer} runs a release that answers no probe."
        return warned(Step.ROUND_TRIP, Cause.PROBE_UNKNOWN, text, Actor.PEER, f"Upgrade the gateway of {peer}")
    measured = f"{seconds * 1000:.1f} ms" if seconds < 0.1 else f"{seconds * 1000:.0f} ms"
    if seconds > FAR:
        text = f"{peer} is far away: a session of 300 rounds waits {300 * seconds:.0f} s for answers alone."
        advice = "Nothing is broken; choose seats nearer to each other, or a better route"
        return warned(Step.ROUND_TRIP, Cause.LINE_FAR, text, Actor.NETWORK, advice, measured)
    return fine(Step.ROUND_TRIP, f"{peer} answers quickly.", measured)


def no_examination(ends: Ends, ended: Answer, came: int) -> Finding:
    """Why the peer's own examination is not there, or not whole: `came` of its findings did come."""
    own, peer = host(ends.own), host(ends.peer)
    if ended is Answer.UNKNOWN_CALL:
        text = f"{peer} runs a release that examines nobody, so the way from {peer} to {own} is not known."
        return warned(Step.EXAMINATION, Cause.EXAMINATION_UNKNOWN, text, Actor.PEER, f"Upgrade the gateway of {peer}")
    if ended is Answer.TOO_LARGE:
        text = f"{peer} has examined {own} too often just now."
        return warned(Step.EXAMINATION, Cause.EXAMINATION_REFUSED, text, Actor.OWN, "Try again in a minute")
    text = f"{peer} did not say what it sees of {own}" + (" to the end." if came else ".")
    advice = f"Look into the log of the gateway of {peer}"
    return failed(Step.EXAMINATION, Cause.EXAMINATION_BROKE_OFF, text, Actor.PEER, advice, str(ended))


def root(findings: Sequence[Finding]) -> Finding | None:
    """The first that failed, else the first that warns."""
    for outcome in (Outcome.FAILED, Outcome.WARNING):
        for finding in findings:
            if finding.outcome is outcome:
                return finding
    return None


def _speaks(spoken: Spoken) -> str:
    engine = f", {spoken.engine}, codec {spoken.codec}" if spoken.engine else ""
    return f"{spoken.release} (protocol {'/'.join(map(str, spoken.protocols)) or 'none'}{engine})"


def _behind(own: str, peer: str) -> Actor:
    """Who runs the older release."""
    here, there = _numbers(own), _numbers(peer)
    if here == there:
        return Actor.BOTH
    return Actor.OWN if here < there else Actor.PEER


def _numbers(release: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdecimal() else 0 for part in release.split(".")[:3])


def _terms(dataset: Dataset) -> str:
    terms = dataset.terms
    return f"{dataset.short_name} ({', '.join(terms.statistics)} for {', '.join(terms.purposes)})"


def _size(octets: int) -> str:
    return f"{octets / 2**20:.3g} MiB" if octets >= 2**20 else f"{octets // 1024} KiB"


def _rate(octets: float) -> str:
    bits = octets * 8
    if bits >= 1e9:
        return f"{bits / 1e9:.1f} Gbit/s"
    return f"{bits / 1e6:.3g} Mbit/s" if bits >= 1e6 else f"{bits / 1e3:.3g} kbit/s"
