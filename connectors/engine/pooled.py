"""What providers put in where nobody is recognised across them: totals of their own records, for each cell.

Invariants: nothing is opened; sizes depend on public bounds only. A total is shared bit by bit, in as many bits as its
provider's bound takes, so whatever a provider puts in lies within the range that limits compare in; that a total is
true, or fits another one, nobody can detect. A provider's part of a cell is its own total.

Planes (bits.py) of the K cells: of each total its bits, lowest first, total after total. How many there are says how
many bits a count has, so that parties read it from what they hold.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from connectors.engine.bits import ROWS, words_for
from connectors.engine.convert import to_field, to_field_cost
from connectors.engine.cost import Cost, Shape
from connectors.engine.errors import InputRejected
from connectors.engine.field import Array, combine, total
from connectors.engine.limits import Limits
from connectors.engine.rows import InputCells, InputRows, Parameters, Words, check_bound

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine


@dataclass(frozen=True, slots=True)
class Pooled:
    """How many cells, and the totals of each: how many records first. For each total, how many bits it has more than a
    count of records."""

    cells: int
    wider: tuple[int, ...] = (0,)

    def size(self, bound: int) -> tuple[int, int]:
        """Planes and words of a plane, of a provider with this bound."""
        return sum(self._widths(bound.bit_length())), words_for(self.cells)

    def encode(self, given: InputRows | InputCells, bound: int) -> Words:
        """A provider's totals as planes. Raises InputRejected, naming the field."""
        check_bound(bound)
        if not isinstance(given, InputCells) or given.totals.shape != (len(self.wider), self.cells):
            raise InputRejected("totals", f"are not {len(self.wider)} for each of {self.cells} cells")
        totals = given.totals.astype(np.uint64)
        widths = self._widths(bound.bit_length())
        if any((row >> np.uint64(width)).any() for row, width in zip(totals, widths, strict=True)):
            raise InputRejected("totals", f"are of more than {bound} records")
        if int(totals[0].sum()) > bound:
            raise InputRejected("rows", f"there are {totals[0].sum()} records and the contract's bound is {bound}")
        bits = [
            row >> np.uint64(bit) & np.uint64(1)
            for row, width in zip(totals, widths, strict=True)
            for bit in range(width)
        ]
        rows = np.zeros((len(bits), ROWS * words_for(self.cells)), dtype=np.uint8)
        rows[:, : self.cells] = bits
        return np.packbits(rows, axis=1, bitorder="little").view("<u8").astype(np.uint64)

    async def totals(self, rt: "Engine", inputs: Sequence[Array], step: str) -> Array:
        """Field shares [Q, P, K] of each provider's totals, from its planes [S, L, W]. 1 + ceil(log2(t + 1)) rounds."""
        digits = await to_field(rt, np.concatenate(inputs, axis=1), self.cells, step)
        widths = [width for shares in inputs for width in self._widths(self._bits(shares))]
        each = np.split(digits, np.cumsum(widths)[:-1])
        numbers = np.stack([combine([1 << bit for bit in range(len(one))], one) for one in each])
        return np.moveaxis(numbers.reshape(len(inputs), len(self.wider), self.cells), 0, 1)

    def rows(self, inputs: Sequence[Array]) -> int:
        """No count of records of all providers is above this."""
        return sum((1 << self._bits(shares)) - 1 for shares in inputs)

    def rows_of(self, bounds: Sequence[int]) -> int:
        """The same, from the providers' bounds."""
        return sum((1 << bound.bit_length()) - 1 for bound in bounds)

    def cost(self, bounds: Sequence[int], shape: Shape) -> Cost:
        """Of `totals`."""
        return to_field_cost(shape, sum(self.size(bound)[0] for bound in bounds), self.cells)

    def _widths(self, bits: int) -> list[int]:
        return [bits + more for more in self.wider]

    def _bits(self, shares: Array) -> int:
        """Of a count, from what a provider put in."""
        planes: int = shares.shape[1]
        return (planes - sum(self.wider)) // len(self.wider)


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
