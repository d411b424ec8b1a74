"""What t parties together see of the protocols on packed bits: with all shares held fixed, everything they receive is
jointly uniform given the streams that they know, whatever the shares are. All masks are XORed or added, so this is a
matter of rank: no combination of what they see may be constant from row to row.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from itertools import combinations

import numpy as np
import pytest

from connectors.engine.bits import and_, open_bits, share_own
from connectors.engine.compare import less_field
from connectors.engine.convert import count, to_field
from connectors.engine.cost import Shape
from connectors.engine.field import Array
from connectors.engine.randomness import Stream, Streams, fresh
from connectors.engine.runtime import Engine
from connectors.engine.shuffle import shuffle
from tests.engine.harness import SHAPES, Party, engines, run, shared
from tests.engine.packed import shared_planes, shared_words
from tests.engine.test_views import chi_square
from tests.engine.views import Views, rank

shapes = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"m{shape.m}")
small = pytest.mark.parametrize("shape", SHAPES[:2], ids=lambda shape: f"m{shape.m}")
WIDTH = 8  # words: 512 rows, many more than words that anybody sees
Protocol = Callable[[Engine], Awaitable[object]]


class Noted(Stream):
    """A stream whose words are written down."""

    def __init__(self, stream: Stream, words: list[Array]) -> None:
        self._cipher, self._words = stream._cipher, words

    def words(self, n: int) -> Array:
        self._words.append(super().words(n))
        return self._words[-1].copy()


class NotedStreams(Streams):
    def __init__(self, streams: Streams) -> None:
        super().__init__(streams._key)
        self.words: list[Array] = []

    def at(self, purpose: str, counter: int) -> Stream:
        return Noted(super().at(purpose, counter), self.words)


async def watched(shape: Shape, protocol: Protocol) -> list[Party]:
    parties = engines(shape)

    async def one(party: Party) -> None:
        rt = party.engine
        await rt.start()
        rt.to = {peer: NotedStreams(streams) for peer, streams in rt.to.items()}
        rt.by = {peer: NotedStreams(streams) for peer, streams in rt.by.items()}
        rt.groups = {group: NotedStreams(streams) for group, streams in rt.groups.items()}
        party.result = await protocol(rt)
        rt.finish()

    await asyncio.gather(*(one(party) for party in parties))
    return parties


def views(shape: Shape, protocol: Protocol) -> Iterator[list[Array]]:
    """For each t parties, the words that they draw and receive, nothing twice."""
    parties = asyncio.run(watched(shape, protocol))
    for coalition in combinations(range(shape.m), shape.t):
        seen: dict[object, list[Array]] = {}
        for pid in coalition:
            rt = parties[pid].engine
            seen |= {(pid, "to", peer): rt.to[peer].words for peer in rt.peers}  # type: ignore[attr-defined]
            seen |= {(peer, "to", pid): rt.by[peer].words for peer in rt.peers}  # type: ignore[attr-defined]
            seen |= {group: streams.words for group, streams in rt.groups.items()}  # type: ignore[attr-defined]
            for i, (_, sender, words) in enumerate(parties[pid].seen):
                if sender not in coalition and words.size % WIDTH == 0:  # shorter is an answer, which says nothing
                    seen[pid, i] = list(words.reshape(-1, WIDTH))
        yield [words for vectors in seen.values() for words in vectors]


def constant_combinations(view: list[Array]) -> int:
    """The relations over GF(2) between 1 and the words of a view that hold in every row."""
    rows = [int.from_bytes(words.astype("<u8").tobytes(), "little") for words in view]
    left, found = [(1 << 64 * WIDTH) - 1, *rows], 0
    while left:
        pivot = left.pop()
        if pivot:
            found += 1
            left = [row ^ pivot if row & (pivot & -pivot) else row for row in left]
    return 1 + len(rows) - found


def fixed(shape: Shape) -> list[Array]:
    """Shares that are the same in all rows: of one random bit."""
    bit = np.array([fresh().words(1)[0] & np.uint64(1)], dtype=np.uint64)
    all_ones = np.uint64(2**64 - 1)
    return [np.repeat((share & np.uint64(1)) * all_ones, WIDTH, axis=1) for share in shared_words(shape, bit)]


def sender_seen_twice(view: list[Array]) -> int:
    """Members of one cyclic group in the coalition get the same words; they count once."""
    return len(view) - len({words.tobytes() for words in view})


@shapes
def test_an_and_shows_no_coalition_anything(shape: Shape) -> None:
    for _ in range(4):
        x, y = fixed(shape), fixed(shape)
        for view in views(shape, lambda rt, x=x, y=y: and_(rt, x[rt.pid], y[rt.pid], "test")):  # type: ignore[misc]
            assert len(view) >= 2 * shape.t
            assert constant_combinations(view) == sender_seen_twice(view)


@shapes
def test_a_dealers_bits_are_seen_by_no_coalition_without_it(shape: Shape) -> None:
    for dealer in (0, shape.m - 1):
        own, sizes = fixed(shape)[0][0], {dealer: WIDTH}

        async def share(rt: Engine, own: Array = own, sizes: dict[int, int] = sizes) -> object:
            return await share_own(rt, own, sizes, "test")

        coalitions = combinations(range(shape.m), shape.t)
        for coalition, view in zip(coalitions, views(shape, share), strict=True):
            if dealer not in coalition:
                assert constant_combinations(view) == sender_seen_twice(view)


@shapes
def test_a_shuffle_shows_no_coalition_anything(shape: Shape) -> None:
    """Of one row of many words, so that every word of a view stays in its place."""
    x = fixed(shape)
    for view in views(shape, lambda rt: shuffle(rt, x[rt.pid][:, :, None], "test")):
        words = [part for part in view if part.size == WIDTH]  # the rest are permutations
        assert len(words) > 3 * shape.t
        assert constant_combinations(words) == sender_seen_twice(words)


@shapes
def test_the_measure_sees_a_leak(shape: Shape) -> None:
    """An opening shows the word that is missing, and t parties are shown it more than once."""
    x = fixed(shape)

    async def opened(rt: Engine) -> None:
        await open_bits(rt, x[rt.pid], "test")

    parties = asyncio.run(watched(shape, opened))
    words = [words[:WIDTH] for _, _, words in parties[0].seen if words.size >= WIDTH]
    assert constant_combinations(words) == len(words) > 0


def scalar(shape: Shape) -> list[Array]:
    return [share[:, :, :1] for share in shared_planes(shape, [int(fresh().words(1)[0]) & 1], 1)]


@small
@pytest.mark.parametrize("protocol", [to_field, count])
def test_bits_on_their_way_into_the_field_are_seen_by_no_coalition(shape: Shape, protocol: object) -> None:
    for _ in range(2):
        x = scalar(shape)
        runs = 80
        seen = Views(shape, runs, lambda rt, _, x=x: protocol(rt, x[rt.pid], 1, "test"))  # type: ignore[misc,operator]
        for coalition in combinations(range(shape.m), shape.t):
            rows = [[1, *seen.of(coalition, run_)] for run_ in range(runs)]
            assert len(rows[0]) < runs - 8
            assert len(rows[0]) - rank(rows) == 0


def test_what_a_party_receives_looks_alike_whatever_is_compared_or_counted() -> None:
    """Each of the four highest and lowest bits of what comes, word by word, for inputs that are far apart."""
    shape, n = SHAPES[0], 64 * 256

    async def both(rt: Engine, x: Array, y: Array, bits: Array) -> None:
        await less_field(rt, x, y, 20, "compare")
        await count(rt, bits, n, "count")

    for value in (0, 2**20 - 1):
        x, y = shared(shape, [value] * n), shared(shape, [2**20 - 1 - value] * n)
        bits = shared_planes(shape, [value] * n, 2)
        parties = run(shape, lambda rt, x=x, y=y, bits=bits: both(rt, x[rt.pid], y[rt.pid], bits[rt.pid]))  # type: ignore[misc]
        for party in parties:
            for step, top in (("compare", 60), ("count", 57)):
                received = np.concatenate([words for s, _, words in party.seen if s == step])
                assert received.size > 5000
                for place in (0, top):
                    nibbles = received >> np.uint64(place) & np.uint64(15)
                    assert chi_square([int(np.sum(nibbles == k)) for k in range(16)]) < 90  # 15 degrees: 1e-12
