"""Proofs over the audit log's tree: that a record is in it, and that it only grew (RFC 9162 sections 2.1.3, 2.1.4).

Invariants: a proof is asked for by leaves alone, so that whoever stores the roots of perfect subtrees reads O(log
size) of them and hashes nothing else; verifying needs neither store nor log; what does not fit is False, never an
error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gateway.rules.merkle import HASH, folded, node_hash

# The leaves from the first up to, not including, the second.
Range = tuple[int, int]
# (level, index) of a perfect subtree.
Place = tuple[int, int]


def subtrees(leaves: Range) -> list[Place]:
    """The perfect subtrees that make up a range of the tree, largest first."""
    start, end = leaves
    places = []
    while start < end:
        fits = (end - start).bit_length() - 1
        level = fits if start == 0 else min(fits, (start & -start).bit_length() - 1)
        places.append((level, start >> level))
        start += 1 << level
    return places


def inclusion(position: int, size: int) -> list[Range]:
    """PATH (section 2.1.3.1): whose hashes prove that leaf `position` is in the tree of `size`, deepest first.

    Raises ValueError for a leaf that such a tree does not have.
    """
    if not 0 <= position < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {position}")
    start, end, path = 0, size, list[Range]()
    while end - start > 1:
        middle = start + _split(end - start)
        if position < middle:
            path.append((middle, end))
            end = middle
        else:
            path.append((start, middle))
            start = middle
    return path[::-1]


def consistency(before: int, size: int) -> list[Range]:
    """PROOF (section 2.1.4.1): whose hashes prove that the tree of `size` begins with the tree of `before` leaves.

    Nothing for equal sizes. Raises ValueError unless 0 < before <= size.
    """
    if not 0 < before <= size:
        raise ValueError(f"a tree of {size} leaves does not continue one of {before}")
    start, end, path = 0, size, list[Range]()
    while end != before:
        middle = start + _split(end - start)
        if before <= middle:
            path.append((middle, end))
            end = middle
        else:
            path.append((start, middle))
            start = middle
    if start:
        path.append((start, end))
    return path[::-1]


def hashes(path: Sequence[Range], stored: Callable[[Place], bytes]) -> tuple[bytes, ...]:
    """A proof from its ranges, and the stored roots of perfect subtrees."""
    return tuple(folded([stored(place) for place in subtrees(leaves)]) for leaves in path)


def includes(root: bytes, size: int, position: int, leaf: bytes, path: Sequence[bytes]) -> bool:
    """Whether `path` proves that the tree of this size and root has this leaf hash there (section 2.1.3.2)."""
    if not 0 <= position < size or any(len(part) != HASH for part in path):
        return False
    at, last, top = position, size - 1, leaf
    for part in path:
        if last == 0:
            return False
        if at & 1 or at == last:
            top = node_hash(part, top)
            while not at & 1 and at != 0:
                at, last = at >> 1, last >> 1
        else:
            top = node_hash(top, part)
        at, last = at >> 1, last >> 1
    return last == 0 and top == root


def continues(before: int, earlier: bytes, size: int, root: bytes, path: Sequence[bytes]) -> bool:
    """Whether `path` proves that the tree of `size` and `root` begins with that of `before` and `earlier`
    (section 2.1.4.2)."""
    if not 0 < before <= size or any(len(part) != HASH for part in path):
        return False
    if before == size:
        return not path and earlier == root
    parts = list(path) if before & (before - 1) else [earlier, *path]
    if not parts:
        return False
    at, last = before - 1, size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    old = new = parts[0]
    for part in parts[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            old, new = node_hash(part, old), node_hash(part, new)
            while not at & 1 and at != 0:
                at, last = at >> 1, last >> 1
        else:
            new = node_hash(new, part)
        at, last = at >> 1, last >> 1
    return last == 0 and old == earlier and new == root


def _split(size: int) -> int:
    """The largest power of two smaller than `size` (section 2.1.1)."""
    return 1 << (size - 1).bit_length() - 1
