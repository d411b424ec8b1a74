"""What providers put in where nobody is recognised across them: totals of their own records, for each cell.

Invariants: sizes depend on public bounds only. A total is shared bit by bit, in as many bits as its provider's bound
takes. A session goes on only if for every provider all members of a group hold the same shares (wellformed.py), all its
records are as many as such bits can say, and, where programs ask for it, a sum is one that the records of its cell can
have: so whatever a provider puts in are the totals of some records, and lies within the ranges that programs compute
in, cell by cell and over all cells. What is opened for that is zero for whoever keeps to the protocol, and else a
number about the liar's own totals. That totals are true nobody can detect. A provider's part of a cell is its own
total.

Planes (bits.py) of the K cells: of each total its bits, lowest first, total after total. How many there are says how
many bits a count has, so that parties read it from what they hold.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Protocol

import numpy as np

from connectors.engine.bits import ROWS, words_for
from connectors.engine.compare import negative, negative_cost
from connectors.engine.convert import to_field, to_field_cost
from connectors.engine.cost import Cost, Shape, levels
from connectors.engine.errors import Abort, InputRejected
from connectors.engine.field import Array, combine, mul, sub, total
from connectors.engine.limits import Limits
from connectors.engine.rows import InputCells, InputRows, Parameters, Words, check_bound
from connectors.engine.sharing import open_, open_cost
from connectors.engine.wellformed import one_input, one_input_cost

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine


CHECK = "totals: check inputs"
# Step -> why what it opens may be known.
OPENS = {
    CHECK: "in how many places a provider's totals are none that records within its bound have, 0 for whoever keeps to "
    "the protocol",
}


class Placing(Protocol):
    """Which cell codes belong to."""

    def check(self, rows: InputRows) -> None:
        """That codes are in their range. Raises InputRejected naming the column."""

    def cell(self, codes: Sequence[int]) -> int | None:
        """None: they count nowhere."""


@dataclass(frozen=True, slots=True)
class Pooled:
    """How many cells, and the totals of each: how many records first. For each total, how many bits it has more than a
    count of records. `most`, if not 0: the second total of a cell is at most so many times the first, which is checked
    where programs rely on it."""

    cells: int
    wider: tuple[int, ...] = (0,)
    most: int = 0

    def size(self, bound: int) -> tuple[int, int]:
        """Planes and words of a plane, of a provider with this bound."""
        return sum(self._widths(bound.bit_length())), words_for(self.cells)

    def encode(self, given: InputRows | InputCells, bound: int, placing: Placing) -> Words:
        """A provider's totals as planes. Raises InputRejected, naming the field."""
        check_bound(bound)
        if not isinstance(given, InputCells) or given.totals.shape != (len(self.wider), len(given.codes)):
            raise InputRejected("totals", f"are not {len(self.wider)} for each combination of codes")
        placing.check(given.combinations)
        totals = placed(given, self.cells, placing.cell)
        widths = self._widths(bound.bit_length())
        if any((row >> np.uint64(width)).any() for row, width in zip(totals, widths, strict=True)):
            raise InputRejected("totals", f"are of more than {bound} records")
        if int(totals[0].sum()) > bound:
            raise InputRejected("rows", f"there are {totals[0].sum()} records and the contract's bound is {bound}")
        if self.most and (totals[1] > totals[0] * np.uint64(self.most)).any():
            raise InputRejected("totals", f"are more than {self.most} for a record")
        bits = [
            row >> np.uint64(bit) & np.uint64(1)
            for row, width in zip(totals, widths, strict=True)
            for bit in range(width)
        ]
        rows = np.zeros((len(bits), ROWS * words_for(self.cells)), dtype=np.uint8)
        rows[:, : self.cells] = bits
        return np.packbits(rows, axis=1, bitorder="little").view("<u8").astype(np.uint64)

    async def totals(self, rt: "Engine", inputs: Sequence[Array], uniform: Sequence[Array], step: str) -> Array:
        """Field shares [Q, P, K] of each provider's totals, from its planes [S, L, W]. `uniform` are its bits for
        noise, if there is any. Raises SessionAborted."""
        await one_input(rt, inputs, uniform)
        digits = await to_field(rt, np.concatenate(inputs, axis=1), self.cells, step)
        bits = list(map(self._bits, inputs))
        each = np.split(digits, np.cumsum([width for own in bits for width in self._widths(own)])[:-1])
        numbers = np.stack([combine([1 << bit for bit in range(len(one))], one) for one in each])
        found = np.moveaxis(numbers.reshape(len(inputs), len(self.wider), self.cells), 0, 1)
        await self._check(rt, found, bits)
        return found

    async def _check(self, rt: "Engine", totals: Array, bits: Sequence[int]) -> None:
        """That these are totals of some records."""
        most = np.array([(1 << own) - 1 for own in bits], dtype=np.uint64)
        margins = sub(most, total(totals[0]))[:, None]
        if self.most:
            margins = np.concatenate([margins, sub(mul(totals[0], self.most), totals[1])], axis=1)
        below = await negative(rt, margins.reshape(-1), self._margin_bits(bits), CHECK)
        broken = (await to_field(rt, below, margins.size, CHECK)).reshape(margins.shape)
        # Opened: zero for whoever keeps to the protocol, else a number about the liar's own totals.
        for provider, number in enumerate(await open_(rt, total(broken), CHECK)):
            if number:
                rt.abort(
                    Abort.BAD_INPUT,
                    f"provider {provider} shared totals that no records within its bound have, or a party made it seem "
                    "so",
                )

    def _margin_bits(self, bits: Sequence[int]) -> int:
        """What `_check` compares is below 2 to these."""
        return max(bits) + max(levels(self.cells), self.wider[1] if self.most else 0)

    def rows(self, inputs: Sequence[Array]) -> int:
        """No count of records of all providers is above this."""
        return sum((1 << self._bits(shares)) - 1 for shares in inputs)

    def rows_of(self, bounds: Sequence[int]) -> int:
        """The same, from the providers' bounds."""
        return sum((1 << bound.bit_length()) - 1 for bound in bounds)

    def cost(self, bounds: Sequence[int], shape: Shape) -> Cost:
        """Of `totals`."""
        out = one_input_cost(shape, len(bounds))
        out += to_field_cost(shape, sum(self.size(bound)[0] for bound in bounds), self.cells)
        checked = len(bounds) * (1 + (self.cells if self.most else 0))
        out += negative_cost(shape, self._margin_bits([bound.bit_length() for bound in bounds]), checked)
        return out + to_field_cost(shape, 1, checked) + open_cost(shape, len(bounds))

    def _widths(self, bits: int) -> list[int]:
        return [bits + more for more in self.wider]

    def _bits(self, shares: Array) -> int:
        """Of a count, from what a provider put in."""
        planes: int = shares.shape[1]
        return (planes - sum(self.wider)) // len(self.wider)


def placed(given: InputCells, cells: int, cell: Callable[[Sequence[int]], int | None]) -> Words:
    """[Q, K]: totals by cells."""
    out = np.zeros((len(given.totals), cells), dtype=np.uint64)
    for codes, own in zip(given.codes, given.totals.T, strict=True):
        if (at := cell(codes)) is not None:
            out[:, at] += own
    return out


def with_parts(totals: Array, limits: Limits) -> Array:
    """[..., 1 + P, K], or [..., 1, K] where it does not matter whose records are: of all providers together, then of
    each, from those of each [..., P, K]."""
    everyone = total(totals, axis=-2)[..., None, :]
    return np.concatenate([everyone, totals], axis=-2) if limits.by_provider else everyone


def input_size(program: ModuleType, parameters: Parameters, bound: int) -> tuple[int, int]:
    """[C, n]: the words that a provider with this bound puts in."""
    pooled: Pooled | None = program.pooled(parameters) if hasattr(program, "pooled") else None
    if pooled is not None:
        return pooled.size(bound)
    words: int = program.words(parameters)
    return words, bound
