"""Inclusion and consistency proofs: the published ones, the recursive reading of RFC 9162, and what proves nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rules import merkle, merkle_proofs
from tests.unit.test_merkle import LEAVES, ROOTS, defined

# Proofs over the same leaves, from the same code's tests (the vectors `precomputed_proofs` and the paths of its
# merkle tree test): (leaf, size) → PATH, (earlier size, size) → PROOF.
N01 = "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
N23 = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
N45 = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
N67 = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
N03 = "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"
N47 = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
LEAF1 = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
LEAF4 = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
LEAF6 = "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f"
LEAF0 = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
INCLUSION = {
    (0, 1): [],
    (0, 8): [LEAF1, N23, N47],
    (5, 8): [LEAF4, N67, N03],
    (2, 3): [N01],
    (1, 5): [LEAF0, N23, LEAF4],
}
CONSISTENCY = {
    (1, 1): [],
    (1, 8): [LEAF1, N23, N47],
    (6, 8): [N45, N67, N03],
    (2, 5): [N23, LEAF4],
    (6, 7): [N45, LEAF6, N03],
}

entries_of = st.lists(st.binary(max_size=4), min_size=1, max_size=70)


def split(size: int) -> int:
    k = 1
    while k * 2 < size:
        k *= 2
    return k


def path_of(m: int, entries: list[bytes]) -> list[bytes]:
    """PATH as section 2.1.3.1 writes it."""
    if len(entries) == 1:
        return []
    k = split(len(entries))
    if m < k:
        return [*path_of(m, entries[:k]), defined(entries[k:])]
    return [*path_of(m - k, entries[k:]), defined(entries[:k])]


def subproof(m: int, entries: list[bytes], whole: bool) -> list[bytes]:
    """SUBPROOF as section 2.1.4.1 writes it."""
    if m == len(entries):
        return [] if whole else [defined(entries)]
    k = split(len(entries))
    if m <= k:
        return [*subproof(m, entries[:k], whole), defined(entries[k:])]
    return [*subproof(m - k, entries[k:], False), defined(entries[:k])]


class Stored:
    """The perfect subtrees of a list as a store keeps them."""

    def __init__(self, entries: list[bytes]) -> None:
        self.frontier, nodes = merkle.with_nodes(merkle.Frontier(), entries)
        self.nodes = {(node.level, node.index): node.hash for node in nodes}
        assert len(self.nodes) == len(nodes) == 2 * len(entries) - len(entries).bit_count()

    def inclusion(self, position: int, size: int) -> list[bytes]:
        return list(merkle_proofs.hashes(merkle_proofs.inclusion(position, size), self.nodes.__getitem__))

    def consistency(self, before: int, size: int) -> list[bytes]:
        return list(merkle_proofs.hashes(merkle_proofs.consistency(before, size), self.nodes.__getitem__))


@pytest.mark.parametrize(("position", "size"), INCLUSION)
def test_the_published_inclusion_proofs_come_out_and_verify(position: int, size: int) -> None:
    path = Stored(LEAVES).inclusion(position, size)
    assert [part.hex() for part in path] == INCLUSION[position, size]
    leaf = merkle.leaf_hash(LEAVES[position])
    assert merkle_proofs.includes(bytes.fromhex(ROOTS[size]), size, position, leaf, path)


@pytest.mark.parametrize(("before", "size"), CONSISTENCY)
def test_the_published_consistency_proofs_come_out_and_verify(before: int, size: int) -> None:
    path = Stored(LEAVES).consistency(before, size)
    assert [part.hex() for part in path] == CONSISTENCY[before, size]
    earlier, root = (bytes.fromhex(ROOTS[n]) for n in (before, size))
    assert merkle_proofs.continues(before, earlier, size, root, path)


@given(entries_of, st.data())
def test_proofs_from_stored_subtrees_are_those_of_the_definition(entries: list[bytes], data: st.DataObject) -> None:
    stored = Stored(entries)
    size = data.draw(st.integers(1, len(entries)))
    position, before = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    root, earlier = defined(entries[:size]), defined(entries[:before])
    path, proof = stored.inclusion(position, size), stored.consistency(before, size)
    assert path == path_of(position, entries[:size])
    assert proof == subproof(before, entries[:size], True)
    assert merkle_proofs.includes(root, size, position, merkle.leaf_hash(entries[position]), path)
    assert merkle_proofs.continues(before, earlier, size, root, proof)


@given(entries_of, st.data())
def test_a_proof_in_which_anything_is_changed_proves_nothing(entries: list[bytes], data: st.DataObject) -> None:
    entries = [bytes([n]) + entry for n, entry in enumerate(entries)]  # no two leaves alike
    size = len(entries)
    position, before = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    stored, root, other = Stored(entries), defined(entries), b"\x77" * 32
    leaf, earlier = merkle.leaf_hash(entries[position]), defined(entries[:before])
    path, proof = stored.inclusion(position, size), stored.consistency(before, size)
    included, continued = merkle_proofs.includes, merkle_proofs.continues
    assert not included(other, size, position, leaf, path)
    assert not included(root, size, position, other, path)
    assert not included(root, size, position, leaf, [*path, other])
    for elsewhere in {*range(-1, size + 1)} - {position}:
        assert not included(root, size, elsewhere, leaf, path)
    assert not continued(before, other, size, root, proof)
    assert not continued(before, earlier, size, other, proof)
    assert not continued(before, earlier, size, root, [*proof, other])
    for changed in range(len(path)):
        assert not included(root, size, position, leaf, [*path[:changed], other, *path[changed + 1 :]])
    for changed in range(len(proof)):
        assert not continued(before, earlier, size, root, [*proof[:changed], other, *proof[changed + 1 :]])
        assert not continued(before, earlier, size, root, proof[:changed])
    if path:
        assert not included(root, size, position, leaf, path[:-1])
        assert not included(root, size, position, leaf, [path[0][:-1], *path[1:]])


@pytest.mark.parametrize(("position", "size"), [(-1, 3), (3, 3), (0, 0)])
def test_a_leaf_that_the_tree_does_not_have_has_no_proof(position: int, size: int) -> None:
    with pytest.raises(ValueError, match="has no leaf"):
        merkle_proofs.inclusion(position, size)


@pytest.mark.parametrize(("before", "size"), [(0, 3), (4, 3), (-1, 3)])
def test_a_tree_does_not_continue_a_larger_one_or_none(before: int, size: int) -> None:
    with pytest.raises(ValueError, match="does not continue"):
        merkle_proofs.consistency(before, size)
    assert not merkle_proofs.continues(before, b"\0" * 32, size, b"\0" * 32, [])


def test_a_proof_over_a_million_leaves_reads_few_subtrees() -> None:
    size = 10**6 - 1  # as many perfect subtrees as such a tree can have
    for position in (0, 1, size // 2, size - 2, size - 1):
        for ranges in (merkle_proofs.inclusion(position, size), merkle_proofs.consistency(position + 1, size)):
            assert sum(len(merkle_proofs.subtrees(leaves)) for leaves in ranges) <= 40
