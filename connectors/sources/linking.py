"""One provider's lists, linked at home: one row per person, ready to be shared.

Invariants: a person is one row, whatever number of the provider's lists they are on and however often on
each; rows come out in order of their keys, which tells nothing of the files; names and dates stay here,
only keys, memberships, code indices and the numbers that are measured leave.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from connectors.sources.errors import SourceError
from connectors.sources.files import Row
from connectors.sources.snapshot import KNOWN_CELLS
from connectors.vocabularies.linkage import Linkage, normalise, part
from gateway.domain.dataset import Column, ColumnType
from gateway.domain.errors import Reason
from gateway.rules.dates import is_day, number

NO_EDGES: Mapping[str, Sequence[str | int]] = {}
NO_CHOICE: Mapping[str, Sequence[str]] = {}
# Bits of the membership mask.
MAX_LISTS = 60
UNKNOWN = -1  # the code of a person on none of the lists that tell the column


@dataclass(frozen=True, slots=True)
class LinkedRows:
    """Columns of equal length: `keys` of 60 bits, ascending; `lists` a bit per list of the query; `codes` an
    index into the code list per group column, or UNKNOWN; `values` a number per measured column, days counted from 1970
    on, None where there is none. `conflicts` counts people whose rows disagree on a code or a number."""

    keys: list[int]
    lists: list[int]
    codes: list[tuple[int, ...]]
    conflicts: int
    values: list[tuple[int | None, ...]]


def link_locally(
    lists: Sequence[tuple[int, Sequence[Row]]],
    key_columns: Sequence[Column],
    group_columns: Sequence[Column],
    salt: bytes,
    edges: Mapping[str, Sequence[str | int]] = NO_EDGES,
    told: Mapping[int, Sequence[int]] | None = None,
    measured: Sequence[Column] = (),
    chosen: Mapping[str, Sequence[str]] = NO_CHOICE,
) -> LinkedRows:
    """Link rows of (key cells, group cells, measured cells), each list with its index in the query. Of a group column
    with `edges`, the code is the number of the interval that its cell lies in, and one more for an empty cell; of one
    with `chosen` codes, the code's number among these, and one more for any other; of another one of integers it is the
    cell itself, or UNKNOWN. `told` says which group columns (by their places) the rows of each list have; None: all
    have all.

    The code on a person's first list that tells it, in the order given, wins, and the number on the first list of all.
    Raises SourceError (INPUT_OUT_OF_RANGE) for a key that cannot be normalised, a code outside its list or a number
    that is none.
    """
    if not key_columns:
        raise ValueError("people are linked on at least one column")
    coders = [coder(column, edges.get(column.name, ()), chosen.get(column.name, ())) for column in group_columns]
    # Names and days come again and again; what is known of them is let go with this call.
    known = [lru_cache(KNOWN_CELLS, typed=True)(partial(normal, column=column)) for column in key_columns]
    linkage = Linkage(salt)
    people: dict[int, tuple[int, tuple[int, ...], tuple[int | None, ...]]] = {}
    conflicting: set[int] = set()
    for index, rows in lists:
        if not 0 <= index < MAX_LISTS:
            raise ValueError(f"a list has an index from 0 to {MAX_LISTS - 1}")
        here = range(len(group_columns)) if told is None else told[index]
        numbers = len(key_columns) + len(here)
        cells = {column: place for place, column in enumerate(here, len(key_columns))}
        places = [(code, cells.get(column)) for column, code in enumerate(coders)]
        for row in rows:
            if len(row) != numbers + len(measured):
                raise ValueError("a row has other cells than its columns")
            key = linkage.key([of_cell(cell) for of_cell, cell in zip(known, row, strict=False)])
            codes = tuple([UNKNOWN if place is None else code(row[place]) for code, place in places])
            values = tuple([_number(cell, column) for cell, column in zip(row[numbers:], measured, strict=True)])
            on, first, own = people.get(key, (0, codes, values))
            if codes != first:
                if any(UNKNOWN not in both and both[0] != both[1] for both in zip(first, codes, strict=True)):
                    conflicting.add(key)
                first = tuple([new if old == UNKNOWN else old for old, new in zip(first, codes, strict=True)])
            if values != own:
                conflicting.add(key)
            people[key] = (on | 1 << index, first, own)
    keys = sorted(people)
    return LinkedRows(
        keys=keys,
        lists=[people[key][0] for key in keys],
        codes=[people[key][1] for key in keys],
        conflicts=len(conflicting),
        values=[people[key][2] for key in keys],
    )


def normal(cell: str | int | None, column: Column) -> bytes:
    """A key cell as linkage takes it. Raises SourceError for one that cannot be normalised."""
    try:
        return part(normalise("" if cell is None else str(cell), column.type, column.normalise))
    except ValueError as wrong:
        raise _broken(column.name, str(wrong)) from None


def _number(cell: str | int | None, column: Column) -> int | None:
    if cell is None or isinstance(cell, int):
        return cell
    if column.type is ColumnType.DATE and is_day(cell):
        return number(cell)
    raise _broken(column.name, "not a number")


def coder(column: Column, edges: Sequence[Any], chosen: Sequence[str]) -> Callable[[Any], int]:
    """From a cell to its code's number."""
    if edges:
        return lambda cell: len(edges) + 1 if cell is None else bisect_right(edges, cell)
    if column.type is ColumnType.INTEGER:
        return lambda cell: UNKNOWN if cell is None else int(cell)
    indices = {code.value: i for i, code in enumerate(column.codes)}
    if chosen:
        numbers = {code: i for i, code in enumerate(chosen)}
        indices = {code: numbers.get(code, len(chosen)) for code in indices}

    def index(cell: str | int | None) -> int:
        found = indices.get(str(cell)) if cell is not None else None
        if found is None:
            raise _broken(column.name, "code not in list")
        return found

    return index


def _broken(column: str, what: str) -> SourceError:
    return SourceError(
        Reason.INPUT_OUT_OF_RANGE,
        f"the source breaks its description in {column}: {what}",
        field=column,
        advice="Its owner finds the rows with a check of the dataset.",
    )
