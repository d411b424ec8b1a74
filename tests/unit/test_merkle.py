"""The tree of RFC 9162 section 2.1: the frontier against the recursive definition."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rules import merkle


def defined(entries: list[bytes]) -> bytes:
    """MTH as section 2.1.1 writes it."""
    if not entries:
        return hashlib.sha256().digest()
    if len(entries) == 1:
        return hashlib.sha256(b"\0" + entries[0]).digest()
    k = 1
    while k * 2 < len(entries):
        k *= 2
    return hashlib.sha256(b"\1" + defined(entries[:k]) + defined(entries[k:])).digest()


# Leaves and roots of the test vectors of Certificate Transparency's own code (google/certificate-transparency).
LEAVES = [
    bytes.fromhex(leaf)
    for leaf in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = {
    0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    4: "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    5: "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    6: "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    7: "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}


@pytest.mark.parametrize("size", ROOTS)
def test_the_published_roots_come_out(size: int) -> None:
    assert merkle.root(merkle.grown(merkle.Frontier(), LEAVES[:size])).hex() == ROOTS[size]


@given(st.lists(st.binary(max_size=8), max_size=70), st.data())
def test_any_list_in_any_two_parts_has_the_root_of_the_definition(entries: list[bytes], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(entries)))
    frontier = merkle.grown(merkle.grown(merkle.Frontier(), entries[:cut]), entries[cut:])
    assert frontier.size == len(entries)
    assert merkle.root(frontier) == defined(entries)


def test_a_node_is_no_leaf() -> None:
    left, right = merkle.leaf_hash(b"a"), merkle.leaf_hash(b"b")
    assert merkle.node_hash(left, right) != merkle.leaf_hash(left + right)


@pytest.mark.parametrize(
    ("size", "roots"), [(-1, ()), (1, ()), (2, (b"x" * 32, b"y" * 32)), (1, (b"short",)), (0, (b"x" * 32,))]
)
def test_a_frontier_that_fits_no_tree_is_refused(size: int, roots: tuple[bytes, ...]) -> None:
    with pytest.raises(ValueError, match="no such frontier"):
        merkle.Frontier(size, roots)
