"""The Merkle tree over the audit log's facts (RFC 9162 section 2.1.1), grown from a compact frontier.

Invariants: leaves and nodes are hashed under different prefixes, so that no node passes for a leaf; a
frontier holds one root per set bit of its size, largest subtree first, and nothing else; a frontier is
never changed, `grown` returns the next one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

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


def grown(frontier: Frontier, entries: Iterable[bytes]) -> Frontier:
    """The frontier after these entries; each costs O(log size) hashes."""
    size, roots = frontier.size, list(frontier.roots)
    for entry in entries:
        top = leaf_hash(entry)
        # Each trailing one of the old size is a perfect subtree as large as the one that just closed.
        carry = size
        while carry & 1:
            top = node_hash(roots.pop(), top)
            carry >>= 1
        roots.append(top)
        size += 1
    return Frontier(size, tuple(roots))


def root(frontier: Frontier) -> bytes:
    """The tree's root; SHA-256 of nothing for the empty tree."""
    if not frontier.roots:
        return hashlib.sha256(b"").digest()
    *left, top = frontier.roots
    for subtree in reversed(left):
        top = node_hash(subtree, top)
    return top
