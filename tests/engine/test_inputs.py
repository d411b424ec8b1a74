"""Rows as packed words, and their shares on the way to the seats."""

import secrets
from collections.abc import Sequence
from itertools import pairwise, repeat

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.engine.cost import Shape
from connectors.engine.errors import Abort, Culprit, SessionAborted
from connectors.engine.inputs import CHUNK_BYTES, Inbox, join, length, seal_inputs, split
from connectors.engine.programs import group_count, overlap
from connectors.engine.rows import HEAD_BITS, KEY_BITS, InputRows, Words, pack, words_per_row
from gateway.rules.sealing import fresh_key
from tests.engine.harness import SHAPES
from tests.engine.test_programs import GROUPS, LISTS

shapes = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"m{shape.m}")
TRANSCRIPT = bytes(range(32))


def fields(words: Words, payload_bits: int) -> list[tuple[int, int, int]]:
    """(key, real, payload) of each row, from its words as one number."""
    rows = [sum(int(word) << 64 * c for c, word in enumerate(row)) for row in words.T]
    assert all(row >> HEAD_BITS + payload_bits == 0 for row in rows)
    return [(row & (1 << KEY_BITS) - 1, row >> KEY_BITS & 1, row >> HEAD_BITS) for row in rows]


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 2**60 - 1), st.integers(0, 2**64 - 1)), max_size=8, unique_by=lambda row: row[0]
    ),
    bits=st.integers(0, 18),
    padding=st.integers(0, 3),
)
def test_a_row_has_its_key_is_real_and_carries_its_payload(
    rows: list[tuple[int, int]], bits: int, padding: int
) -> None:
    keys, payload = [key for key, _ in rows], [value % 2**bits for _, value in rows]
    words = pack(keys, np.array(payload, dtype=np.uint64), bits, len(rows) + padding, secrets.token_bytes)
    assert words.shape == (words_per_row(bits), len(rows) + padding)
    found = fields(words, bits)
    assert all(key < following for (key, _, _), (following, _, _) in pairwise(found))
    assert [row for row in found if row[1]] == sorted(zip(keys, repeat(1), payload))
    assert all(value == 0 for _, real, value in found if not real)


def test_rows_of_padding_have_keys_of_their_own() -> None:
    words = pack([], np.zeros(0, dtype=np.uint64), 3, 1000, secrets.token_bytes)
    keys = [key for key, _, _ in fields(words, 3)]
    assert len(set(keys)) == 1000
    assert 0.45 < sum(keys) / 1000 / 2**60 < 0.55


def test_keys_that_are_drawn_twice_are_drawn_anew() -> None:
    drawn = iter([[7, 7, 9], [5], [11]])
    words = pack(
        [5], np.zeros(1, dtype=np.uint64), 3, 4, lambda _: b"".join((k << 4).to_bytes(8, "little") for k in next(drawn))
    )
    assert fields(words, 3) == [(5, 1, 0), (7, 0, 0), (9, 0, 0), (11, 0, 0)]


def test_three_lists_fit_into_one_word() -> None:
    assert (overlap.words(LISTS), group_count.words(GROUPS)) == (1, 1)
    assert overlap.words({**LISTS, "lists": list("abcdefgh")}) == 2


def test_codes_are_binary_with_the_first_column_on_top() -> None:
    rows = InputRows([5, 6], [], [(1, 2), (0, 1)])
    words = group_count.encode(GROUPS, rows, 2, secrets.token_bytes)
    assert fields(words, 3) == [(5, 1, 0b110), (6, 1, 0b001)]


@shapes
@pytest.mark.parametrize("n", [1, 7])
def test_shares_are_those_of_the_words_and_one_seat_alone_misses_each(shape: Shape, n: int) -> None:
    words = np.frombuffer(secrets.token_bytes(16 * n), dtype=np.uint64).reshape(2, n)
    plain = split(words, shape)
    assert [len(part) for part in plain] == [length(pid, shape, 2, n) for pid in range(shape.m)]
    shares = [join(part, pid, shape, 2, n) for pid, part in enumerate(plain)]
    known = {share.tobytes() for party in shares for share in party}
    total = np.bitwise_xor.reduce([np.frombuffer(share, dtype=np.uint64) for share in known])
    assert np.array_equal(total.reshape(2, n), words)
    for pid in range(shape.m):
        held = {share.tobytes() for share in shares[pid]}
        assert len(held) == len(shares[pid]) < len(known)
    again = [join(part, pid, shape, 2, n) for pid, part in enumerate(split(words, shape))]
    assert not any(np.any(a == b) for a, b in zip(shares, again, strict=True))


def sealed(shape: Shape, bound: int, keys: Sequence[int]) -> tuple[dict[int, list[bytes]], list[bytes], bytes]:
    """Chunks by seat, the seats' private keys, and the provider's public one."""
    seats, provider = [fresh_key() for _ in range(shape.m)], fresh_key()
    chunks = seal_inputs(
        transcript=TRANSCRIPT, entity="https://a.example", private_key=provider[0],
        seats={pid: public for pid, (_, public) in enumerate(seats)}, program="overlap",
        parameters={**LISTS, "lists": list("abcdefgh")}, bound=bound, rows=InputRows(keys, [1] * len(keys), []),
    )  # fmt: skip
    return chunks, [private for private, _ in seats], provider[1]


def inbox(shape: Shape, pid: int, private: bytes, provider: bytes, bound: int) -> Inbox:
    return Inbox(
        4, entity="https://a.example", public_key=provider, transcript=TRANSCRIPT, pid=pid, private_key=private,
        shape=shape, words=2, bound=bound,
    )  # fmt: skip


@shapes
def test_chunks_are_as_many_and_as_long_whatever_the_rows_are_and_come_out_as_shares(shape: Shape) -> None:
    bound = 150_000  # two words each: over two chunks
    full, privates, provider = sealed(shape, bound, range(5, 100_000))
    empty, _, _ = sealed(shape, bound, [])
    assert {pid: list(map(len, c)) for pid, c in full.items()} == {pid: list(map(len, c)) for pid, c in empty.items()}
    assert len(full[0]) == 3
    assert len(full[shape.m - 1]) == 1  # seeds alone
    assert all(len(chunk) <= CHUNK_BYTES for chunks in full.values() for chunk in chunks)
    shares = []
    for pid, private in enumerate(privates):
        box = inbox(shape, pid, private, provider, bound)
        for chunk in full[pid]:
            assert not box.complete
            box.feed(chunk)
        assert box.complete
        rows, uniform = box.shares()
        assert uniform.shape[1] == 0
        shares += list(rows)
    words = np.bitwise_xor.reduce(list({share.tobytes(): share for share in shares}.values()))
    assert [key for key, _, _ in fields(words[:, :3], 8)] == [5, 6, 7]


@pytest.mark.parametrize("change", ["again", "skipped", "shortened", "of another seat", "after the end", "empty"])
def test_what_is_not_the_next_chunk_of_this_provider_is_refused_in_its_name(change: str) -> None:
    shape, bound = SHAPES[0], 150_000
    chunks, privates, provider = sealed(shape, bound, [1])
    box = inbox(shape, 0, privates[0], provider, bound)
    wrong = {
        "again": [chunks[0][0], chunks[0][0]],
        "skipped": [chunks[0][1]],
        "shortened": [chunks[0][0][:-1]],
        "of another seat": [chunks[1][0]],
        "after the end": [*chunks[0], chunks[0][-1]],
        "empty": [b""],
    }[change]
    with pytest.raises(SessionAborted) as refused:
        for chunk in wrong:
            box.feed(chunk)
    assert (refused.value.reason, refused.value.culprit) == (Abort.BAD_INPUT, Culprit("provider", 4))


def test_too_few_shares_are_refused() -> None:
    shape = SHAPES[0]
    chunks, privates, provider = sealed(shape, 100, [1])
    box = inbox(shape, 0, privates[0], provider, 101)
    with pytest.raises(SessionAborted, match="where 1648 are due"):
        box.feed(chunks[0][0])
