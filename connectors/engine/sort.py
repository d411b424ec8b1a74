"""Sorting rows by a key of bits: one shuffle, then quicksort in the open on opened comparisons.

Invariants: all that is opened are outcomes of comparisons between rows under a fresh uniform shuffle. With unique keys
they say no more than the order that the shuffle left, which is a uniform permutation whatever the keys are (Hamada,
Kikuchi, Ikarashi, Chida, Takahashi, ICISC 2012, section 4). Callers make keys unique and check it (wellformed.py):
rows with equal keys would keep their shuffled order, which is seen. Outcomes that are no order end the session.

The schedule is fixed by n and the number of bits (`plan`): in each phase, some rows of every segment meet each other in
pairs and become its splitters; the other rows descend them, a level of 2^b-ary search at a time; what lies between two
splitters is a segment of the next phase. At last all rows of a segment meet in pairs. Each batch of comparisons takes
the rounds of `less` and one to open, so rounds are a function of n and the bits alone; how many comparisons there are
varies a little with the permutation, which is no secret. `sort_cost` gives what is expected.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from connectors.engine.bits import ROWS, open_bits, open_bits_cost, planes, words_for
from connectors.engine.compare import less, less_cost
from connectors.engine.cost import Cost, Shape, in_blocks, levels
from connectors.engine.errors import Abort
from connectors.engine.field import Array
from connectors.engine.lanes import blocks, joined
from connectors.engine.native import lazily
from connectors.engine.shuffle import shuffle, shuffle_cost

if TYPE_CHECKING:
    from connectors.engine.native import ordering as kernels
    from connectors.engine.runtime import Engine
else:
    kernels = lazily("ordering")

Places = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Meetings = Callable[[int, Places, Places], None]

BLOCK = 1 << 15  # comparisons in one lane
_ROUND = 5e-3  # seconds, as `plan` weighs them: a round between neighbours,
_COMPARISON = 2e-9  # and a comparison, per bit


@dataclass(frozen=True, slots=True)
class Phase:
    """2^(sum of `arities`) - 1 splitters per segment, and the bits of search in each level."""

    arities: tuple[int, ...]

    @property
    def splitters(self) -> int:
        return (1 << sum(self.arities)) - 1

    @property
    def meetings(self) -> int:
        """Comparisons of a row that descends."""
        return sum((1 << bits) - 1 for bits in self.arities)


@dataclass(frozen=True, slots=True)
class Plan:
    """Phases, then all pairs of what is left."""

    phases: tuple[Phase, ...]

    def batches(self, n: int) -> list[float]:
        """How many comparisons are expected in each batch."""
        return _expected(self.phases, np.array([float(n)]), np.ones(1))


async def sort(rt: "Engine", rows: Array, bits: int, step: str) -> Array:
    """`rows` [S, C, n] in the order of their lowest `bits` bits (the first word has the lowest)."""
    n = rows.shape[-1]
    if n < 2:
        return rows
    rows = await shuffle(rt, rows, step)
    order = _Order(rt, rows[:, : words_for(bits)], bits, step)
    starts, sizes = np.zeros(1, dtype=np.int64), np.full(1, n, dtype=np.int64)
    for phase in plan(n, bits).phases:
        starts, sizes = await order.split(starts, sizes, phase)
    await order.finish(starts, sizes)
    return rows[..., order.rows]


class _Order:
    """The order so far: `rows` has at each place the number of the row, `keys` its key."""

    def __init__(self, rt: "Engine", keys: Array, bits: int, step: str) -> None:
        self._rt, self._bits, self._step = rt, bits, step
        self.keys = keys
        self.rows: Places = np.arange(keys.shape[-1], dtype=np.int64)

    async def finish(self, starts: Places, sizes: Places) -> None:
        """Sorts each segment by all its pairs."""
        places = _places(starts, sizes)
        source = np.arange(self.rows.size, dtype=np.int64)
        source[places] = await self._ranked(places, sizes)
        self._move(source)

    async def split(self, starts: Places, sizes: Places, phase: Phase) -> tuple[Places, Places]:
        """The segments between the splitters of these ones; those with no more rows than splitters are sorted."""
        count, parts = phase.splitters, phase.splitters + 1
        wide = sizes > count
        small, starts = _places(starts[~wide], sizes[~wide]), starts[wide]
        # Evenly over the places, so that equal keys, which go by their places, are divided evenly too.
        chosen = (starts[:, None] + (2 * np.arange(count) + 1) * sizes[wide][:, None] // (2 * count)).reshape(-1)
        ranked = await self._ranked(
            np.concatenate([small, chosen]), np.concatenate([sizes[~wide], np.full(starts.size, count)])
        )
        splitters = np.full((starts.size, parts), -1, dtype=np.int64)
        splitters[:, :count] = ranked[small.size :].reshape(-1, count)

        descending = np.ones(self.rows.size, dtype=np.bool_)
        descending[chosen] = False
        places = _places(starts, sizes[wide])
        places = places[descending[places]]
        at = np.repeat(parts * np.arange(starts.size), sizes[wide] - count)
        await self._descend(places, at, splitters.reshape(-1), phase)

        source, found = np.arange(self.rows.size, dtype=np.int64), np.empty(splitters.size, dtype=np.int64)
        source[small] = ranked[: small.size]
        kernels.move(starts, places, at, splitters.reshape(-1), parts, source, found)
        self._move(source)
        taken = found.reshape(-1, parts) + 1  # with the splitter behind
        begins = (starts[:, None] + np.cumsum(taken, axis=1) - taken).reshape(-1)
        return begins[found > 1], found[found > 1]

    async def _ranked(self, places: Places, sizes: Places) -> Places:
        """The rows in these places, groups of the given sizes, each in the order of its keys."""
        ends, offsets = _ends(sizes), _ends(sizes * (sizes - 1) // 2)
        outcomes = await self._meet(int(offsets[-1]), self._near(places), partial(kernels.pairs, ends, offsets))
        ordered = np.empty_like(places)
        self._check(kernels.rank(places, ends, offsets, outcomes, ordered))
        return ordered

    async def _descend(self, places: Places, at: Places, splitters: Places, phase: Phase) -> None:
        """Moves `at` from the first part of each row's group to the part that the row belongs to."""
        width, keys = phase.splitters + 1, self._near(np.concatenate([places, splitters]))
        for arity in (1 << bits for bits in phase.arities):
            width //= arity
            outcomes = await self._meet(
                places.size * (arity - 1),
                keys,
                partial(kernels.descents, places, at, splitters, arity, width),
            )
            self._check(kernels.descend(places, at, splitters, arity, width, outcomes))

    def _near(self, places: Places) -> Array:
        """The keys in these places, side by side, so that what meets often is in the cache. One if there are none:
        it meets itself.
        """
        return np.take(self.keys, places if places.size else np.zeros(1, dtype=np.int64), axis=-1)

    async def _meet(self, n: int, keys: Array, meetings: Meetings) -> Array:
        """The outcomes of n comparisons among `keys`, 64 in a word. A batch without any still takes its rounds."""

        async def block(lane: "Engine", start: int, stop: int) -> Array:
            left, right = np.empty(stop - start, dtype=np.int64), np.empty(stop - start, dtype=np.int64)
            meetings(start, left, right)
            x, y = (planes(np.take(keys, side, axis=-1), self._bits) for side in (left, right))
            outcome = await less(lane, x, y, self._step)
            # Opened: whether rows under a fresh shuffle are in order, as the head of this file says.
            return await open_bits(lane, outcome, self._step)

        return joined(await blocks(self._rt, _padded(n), BLOCK, block))

    def _move(self, source: Places) -> None:
        self.rows, self.keys = self.rows[source], np.take(self.keys, source, axis=-1)

    def _check(self, fits: bool) -> None:
        if not fits:
            self._rt.abort(Abort.INCONSISTENT_SHARES, f"the comparisons opened in {self._step!r} are no order")


def _ends(sizes: Places) -> Places:
    return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(sizes)])


def _places(starts: Places, sizes: Places) -> Places:
    """All places of these segments."""
    return np.repeat(starts - _ends(sizes)[:-1], sizes) + np.arange(int(np.sum(sizes)))


@lru_cache(maxsize=64)
def plan(n: int, bits: int) -> Plan:
    """The phases that take the least time for n rows, by a model of rounds and comparisons."""
    batch, comparison = _ROUND * (2 + levels(bits)), _COMPARISON * bits
    best, least = Plan(()), batch + comparison * n * (n - 1) / 2
    for first in range(2, 14):
        for second in range(9):
            phases, seconds, rows, segments = [], batch, float(n), 1.0
            for depth in (first, second):
                if depth == 0:
                    continue
                phase = min(
                    (_levels(depth, k) for k in range(1, depth + 1)),
                    key=lambda phase: batch * len(phase.arities) + comparison * rows * phase.meetings,
                )
                phases.append(phase)
                s = phase.splitters
                seconds += batch * (1 + len(phase.arities))
                seconds += comparison * (segments * s * (s - 1) / 2 + rows * phase.meetings)
                segments *= s + 1
                rows = max(rows - segments, 0.0)
            seconds += comparison * rows * (rows / segments)  # all pairs, twice what even segments have
            if segments < n and seconds < least:
                best, least = Plan(tuple(phases)), seconds
    return best


def _levels(depth: int, k: int) -> Phase:
    """A search over `depth` bits in k levels of about equal arity."""
    return Phase(tuple(depth // k + (i < depth % k) for i in range(k)))


def _expected(phases: tuple[Phase, ...], sizes: Floats, many: Floats) -> list[float]:
    """Comparisons in each batch from here on, of segments of which `many[i]` have `sizes[i]` rows."""
    if not phases:
        return [float(np.sum(many * sizes * (sizes - 1) / 2))]
    splitters = phases[0].splitters
    few = np.minimum(sizes, splitters)
    rest = sizes - few
    batches = _expected((), few, many)
    batches += [float(np.sum(many * rest)) * ((1 << bits) - 1) for bits in phases[0].arities]
    if len(phases) == 1:  # every way to divide the rest among splitters + 1 parts is as likely
        return [*batches, float(np.sum(many * rest * np.maximum(rest - 1, 0))) / (splitters + 2)]
    parts, chances = _parts(float(rest[0]), splitters)
    return [*batches, *_expected(phases[1:], parts, chances * (splitters + 1))]


def _parts(rows: float, splitters: int) -> tuple[Floats, Floats]:
    """Sizes of a part between splitters, and how likely they are; what is cut off is below e^-60."""
    x = np.arange(min(rows, 60 * rows / splitters + 60) + 1)
    steps = np.maximum(rows - x[:-1], 0) / np.maximum(rows - x[:-1] + splitters - 1, 1)
    return x, splitters / (rows + splitters) * np.concatenate([np.ones(1), np.cumprod(steps)])


@lru_cache(maxsize=256)  # an offer asks for the same few sorts for every program
def sort_cost(shape: Shape, columns: int, n: int, bits: int) -> Cost:
    """Of n rows of `columns` words. Rounds are exact; elements are what is expected, and exact where there is no phase;
    `largest` is a cap.
    """
    if n < 2:
        return Cost()

    def lane(comparisons: int) -> Cost:
        return less_cost(shape, bits, comparisons) + open_bits_cost(shape, words_for(comparisons))

    cost = shuffle_cost(shape, columns, n)
    for expected in plan(n, bits).batches(n):
        cost += in_blocks(_padded(round(expected)), BLOCK, lane)
    return Cost(cost.rounds, cost.elements, max(cost.largest, lane(min(BLOCK, _padded(n * (n - 1) // 2))).largest))


def _padded(comparisons: int) -> int:
    return ROWS * max(1, words_for(comparisons))
