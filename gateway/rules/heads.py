"""Signed heads of audit logs, which every receipt carries, held against each other: pure.

Invariant: of two heads of one log the one signed later is over at least as many records, and over equally many it is
the same head; where that does not hold, the log was forked or cut, and the two signatures prove it.
"""

from __future__ import annotations

from collections.abc import Iterable

from gateway.domain.audit import SignedHead
from gateway.rules.jose import Problem, TokenProblem, parse_compact

MAX_RECEIPT = 64 * 1024
# Receipts of parallel sessions are signed in any order, but this close to each other (seconds).
SLACK = 30


def signed_head(receipt: str) -> SignedHead:
    """The head that a receipt carries; whether its signature holds is not looked at. Raises TokenProblem."""
    claims = parse_compact(receipt, MAX_RECEIPT).claims
    try:
        said = claims["receipt"]
        head = SignedHead(claims["iss"], said["tree_size"], said["tree_head"], claims["iat"], receipt)
    except (KeyError, TypeError):
        head = None
    if head is None or not (isinstance(head.size, int) and isinstance(head.at, int) and isinstance(head.root, str)):
        raise TokenProblem(Problem.MALFORMED, "a receipt without the head of an audit log")
    return head


def fork(before: SignedHead, came: SignedHead) -> str:
    """What is wrong when `came` comes after `before`, of the same space; empty if nothing."""
    if came.size == before.size and came.root != before.root:
        return f"two heads over the same {came.size} records: {before.root} and {came.root}"
    if came.size < before.size and came.at > before.at + SLACK:
        return f"a head over {before.size} records, and {came.at - before.at} s later one over {came.size}"
    return ""


def takes_the_place_of(before: SignedHead, came: SignedHead) -> bool:
    """Whether later heads are held against `came` from now on: it is newer, and over more or on another branch."""
    return came.at > before.at and (came.size >= before.size or bool(fork(before, came)))


def forks(heads: Iterable[SignedHead]) -> list[tuple[str, str]]:
    """Every (space, what is wrong) among heads in the order in which they came."""
    latest: dict[str, SignedHead] = {}
    over: dict[tuple[str, int], SignedHead] = {}
    found = []
    for head in heads:
        same = over.setdefault((head.space, head.size), head)
        before = latest.setdefault(head.space, head)
        if wrong := fork(same, head) or fork(before, head):
            found.append((head.space, wrong))
        if takes_the_place_of(before, head):
            latest[head.space] = head
    return found
