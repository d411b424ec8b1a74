"""The columns of a table: what its parameters say, and where each cell stands.

Invariants: cells are row-major over the columns' codes, in the order of the parameters; an owner shares the index of
each code in binary, the first column's in the highest bits, and these bits together are a row's *place*.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

from connectors.engine.cost import levels
from connectors.engine.errors import InputRejected
from connectors.engine.programs.parameters import MAX_CELLS, known, strings
from connectors.engine.rows import InputRows, Parameters

MAX_COLUMNS = 6


@dataclass(frozen=True, slots=True)
class Columns:
    """Their names, and the codes of each. No column at all makes one cell."""

    names: tuple[str, ...]
    codes: tuple[tuple[str, ...], ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        return tuple(map(len, self.codes))

    @property
    def cells(self) -> int:
        return prod(self.sizes)

    @property
    def bits(self) -> int:
        """Of a row's code indices together."""
        return sum(map(levels, self.sizes))

    @property
    def places(self) -> list[int]:
        """For each cell, the number that its code indices make."""
        return [self.place(codes) for codes in product(*map(range, self.sizes))]

    @property
    def order(self) -> list[int]:
        """For each cell its place when columns are sorted by their names, and cells by their codes."""
        named = [sorted(zip(self.names, codes, strict=True)) for codes in product(*self.codes)]
        places = {cell: place for place, cell in enumerate(sorted(range(len(named)), key=named.__getitem__))}
        return [places[cell] for cell in range(len(named))]

    def place(self, codes: Sequence[int]) -> int:
        number = 0
        for size, code in zip(self.sizes, codes, strict=True):
            number = number << levels(size) | code
        return number

    def cell(self, codes: Sequence[int]) -> int:
        """The number of the cell with these code indices."""
        number = 0
        for size, code in zip(self.sizes, codes, strict=True):
            number = number * size + code
        return number

    def check(self, rows: InputRows, lowest: int = 0) -> None:
        """That every row has an index, from `lowest` on, for each column. Raises InputRejected naming the column."""
        if len(rows.codes) != len(rows.keys):
            raise InputRejected("codes", "does not have one entry per row")
        if any(len(codes) != len(self.sizes) for codes in rows.codes):
            raise InputRejected("codes", f"a row does not have one code for each of {', '.join(self.names)}")
        for c, (name, size) in enumerate(zip(self.names, self.sizes, strict=True)):
            if any(not lowest <= codes[c] < size for codes in rows.codes):
                raise InputRejected(name, f"a row has a code outside the {size} codes of this column")


def read_columns(parameters: Parameters, each: int = 1) -> Columns:
    """One to six columns, of at most MAX_CELLS cells with `each` of them cut in so many. Raises InputRejected."""
    described = parameters.get("columns")
    if not isinstance(described, list | tuple) or not all(isinstance(column, dict) for column in described):
        raise InputRejected("columns", "is not a list of columns, each with a name and its codes")
    names = strings([column.get("name") for column in described], "columns", MAX_COLUMNS)
    codes = []
    for name, column in zip(names, described, strict=True):
        known(column, ("name", "codes"))
        codes.append(strings(column.get("codes"), f"columns.{name}.codes", MAX_CELLS))
    columns = Columns(names, tuple(codes))
    if columns.cells * each > MAX_CELLS:
        raise InputRejected("columns", f"make {columns.cells * each} cells; at most {MAX_CELLS} are possible")
    return columns
