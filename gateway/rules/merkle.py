"""The Merkle tree over the audit log's facts (RFC 9162 section 2.1.1), grown from a compact frontier.

Invariants: leaves and nodes are hashed under different prefixes, so that no node passes for a leaf; a
frontier holds one root per set bit of its size, largest subtree first, and nothing else; a frontier is
never changed, `grown` returns the next one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from gateway.domain.records import record

HASH = 32


def leaf_hash(entry: bytes) -> bytes:
    """SHA-256(0x00 || entry)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


@record
class Frontier:
    """The roots of the perfect subtrees that `size` leaves fall into, largest first: ⌊log₂ size⌋ + 1 at most."""

    size: int = 0
    roots: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if self.size < 0 or len(self.roots) != self.size.bit_count() or any(len(r) != HASH for r in self.roots):
            raise ValueError(f"a tree of {self.size} leaves has no such frontier")


@record
class Node:
    """The root of a perfect subtree: of the 2^level leaves from `index` · 2^level on. Level 0 is a leaf's own hash."""

    level: int
    index: int
    hash: bytes


def grown(frontier: Frontier, entries: Iterable[bytes]) -> Frontier:
    """The frontier after these entries; each costs O(log size) hashes."""
    return with_nodes(frontier, entries)[0]


def with_nodes(frontier: Frontier, entries: Iterable[bytes]) -> tuple[Frontier, list[Node]]:
    """The frontier after these entries, and every perfect subtree that they complete, in the order of completion."""
    size, roots = frontier.size, list(frontier.roots)
    nodes: list[Node] = []
    for entry in entries:
        top, level = leaf_hash(entry), 0
        nodes.append(Node(0, size, top))
        # Each trailing one of the old size is a perfect subtree as large as the one that just closed.
        carry = size
        while carry & 1:
            top, carry, level = node_hash(roots.pop(), top), carry >> 1, level + 1
            nodes.append(Node(level, carry, top))
        roots.append(top)
        size += 1
    return Frontier(size, tuple(roots)), nodes


def root(frontier: Frontier) -> bytes:
    """The tree's root; SHA-256 of nothing for the empty tree."""
    return folded(frontier.roots)


def folded(subtrees: Sequence[bytes]) -> bytes:
    """The root over neighbouring perfect subtrees, largest first; SHA-256 of nothing for none."""
    if not subtrees:
        return hashlib.sha256(b"").digest()
    *left, top = subtrees
    for subtree in reversed(left):
        top = node_hash(subtree, top)
    return top
