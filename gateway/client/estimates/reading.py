"""Overlap tables in files: CSV as they are published, and what `isthmus run` gives with `--csv` and `--json`.

Invariants: an error names the file, the line or row, the column, and what to do; nothing is guessed: a cell
that is suppressed, rounded or noised is no count, and a pattern stands once. Patterns that are absent are
zeros, since zeros are data.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.client.estimates.table import MAX_LISTS, OverlapTable
from gateway.domain.errors import IsthmusError, Reason

COUNT, HIDDEN = "count", "suppressed"
MAX_BYTES = 1024 * 1024
# More people than there are; up to here counts are exact in floating point too.
MAX_COUNT = 10**10
SUPPRESSED = re.compile(r"|<\s*[0-9]+\s*\*?|\*+|hidden\*?|suppressed|null|none|n/?a|nan|-|–", re.IGNORECASE)
RELEASED = "Estimate from a table that was released exactly, with every cell"


@dataclass(frozen=True, slots=True)
class Published:
    """A table, and what its file says about where it comes from."""

    table: OverlapTable
    source: str


def read_table(path: Path | str) -> Published:
    """A CSV file, or JSON where it begins with a brace. Raises IsthmusError(INVALID_ARGUMENT)."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as problem:
        raise _wrong(f"{path} cannot be read: {problem.strerror}", "Check the path") from None
    if len(raw) > MAX_BYTES:
        raise _wrong(f"{path} is longer than {MAX_BYTES} bytes", f"{MAX_LISTS} lists have 255 rows at most")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = raw[: problem.start].count(b"\n") + 1
        raise _wrong(f"{path.name}, line {line}: not UTF-8 text", "Save the table as CSV in UTF-8") from None
    return from_json(text, path.name) if text.lstrip().startswith("{") else from_csv(text, path.name)


def from_csv(text: str, name: str = "table") -> Published:
    """A header of list names that ends in `count`, then a row of 0 and 1 and the count of people per pattern.

    Lines that begin with `#` say where the table comes from, or are the facts that `isthmus run --csv` writes; then
    `count` may be followed by `suppressed`, which names what is hidden. Empty lines are passed over.
    """
    comments: list[str] = []
    rows: list[tuple[str, list[str]]] = []
    for number, line in enumerate(io.StringIO(text, newline=None), start=1):
        where = f"{name}, line {number}"
        if line.startswith("#"):
            comments.append(line.lstrip("# ").strip())
        elif line.strip(" ,;\t\n"):
            try:
                values = next(csv.reader([line.rstrip("\n")], strict=True, skipinitialspace=True))
            except csv.Error as problem:
                raise _wrong(f"{where}: not CSV ({problem})", "Write values separated by commas") from None
            rows.append((where, [value.strip() for value in values]))
    if not rows:
        raise _wrong(f"{name} is empty", "Write a header `LIST,LIST,…,count` and a row per pattern of lists")
    where, header = rows[0]
    if header[-2:] == [COUNT, HIDDEN]:
        facts = _facts(comments)
        _exact(name, facts.get("limits"))
        comments = [str(facts.get("title", "")), f"contract {facts.get('contract', 'unnamed')}"]
        rows = [(at, _shown(row) if len(row) == len(header) else row) for at, row in rows]
        header = header[:-1]
    lists = _lists(where, header)
    return Published(_tabulated(name, lists, rows[1:]), " ".join(comments).strip())


def _shown(row: list[str]) -> list[str]:
    """Without the last column, which names what is hidden."""
    return row[:-1] if row[-1] == "" else [*row[:-2], HIDDEN]


def _facts(comments: Sequence[str]) -> dict[str, Any]:
    """Each `name: value`, of which the value is JSON; what is not is a comment and no fact."""
    found: dict[str, Any] = {}
    for comment in comments:
        name, _, value = comment.partition(": ")
        with contextlib.suppress(ValueError, RecursionError):
            found[name] = json.loads(value)
    return found


def _exact(name: str, limits: object) -> None:
    """Raises for counts with noise or rounded; `limits` are what the table was released under, if it says."""
    for limit in ("epsilon", "rounding"):
        if isinstance(limits, dict) and limits.get(limit) is not None:
            said = f"{name}: its counts were released with {limit} {limits[limit]}, and zeros and small cells are what "
            raise _wrong(said + "the models live on", RELEASED, f"limits.{limit}")


def from_json(text: str, name: str = "table") -> Published:
    """The object of `isthmus run --json` for an overlap table that was released exactly."""
    try:
        made = json.loads(text)
        columns, rows = list(made["columns"]), list(made["rows"])
        limits = (made.get("receipt") or {}).get("limits") or {}
        listed = [(f"{name}, row {number}", [_cell(row, column) for column in columns]) for number, row in
                  enumerate(rows, start=1)]  # fmt: skip
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        advice = "Give CSV, or the JSON of an overlap table as `isthmus run --json` prints it"
        raise _wrong(f"{name} begins like JSON and is not what `isthmus run --json` prints", advice) from None
    if not rows:
        raise _wrong(f"{name} holds no rows: nothing was released", RELEASED)
    _exact(name, limits)
    lists = _lists(f"{name}, columns", [str(column) for column in columns])
    return Published(_tabulated(name, lists, listed), f"computation {made.get('computation', 'unnamed')}")


def _cell(row: dict[str, Any], column: str) -> str:
    value = row[column]
    return "" if value is None else str(value)


def _lists(where: str, header: Sequence[str]) -> list[str]:
    """The names of the lists. `where` is what an error begins with."""
    if header[-1] != COUNT:
        found = f"the last column is {header[-1]!r:.40}, not `{COUNT}`"
        also = ", separated by commas" if len(header) == 1 and re.search(r"[;\t|]", header[0]) else ""
        raise _wrong(f"{where}: {found}", f"Write the header as LIST,LIST,…,{COUNT}{also}", f"column {len(header)}")
    lists = list(header[:-1])
    if not 2 <= len(lists) <= MAX_LISTS:
        advice = "Merge lists: who is on any of them is on the merged one" if len(lists) > 2 else "Name more lists"
        raise _wrong(f"{where}: {len(lists)} lists, and an estimate takes 2 to {MAX_LISTS}", advice)
    for column, label in enumerate(lists, start=1):
        if not label or label in lists[: column - 1]:
            said = f"a second list {label!r:.40}" if label else "a list without a name"
            raise _wrong(f"{where}: {said}", "Give each list a name of its own", f"column {column}")
    return lists


def _tabulated(name: str, lists: Sequence[str], rows: Sequence[tuple[str, list[str]]]) -> OverlapTable:
    """Each row's error begins with the place that stands beside it."""
    counts = [0] * (2 ** len(lists) - 1)
    seen: dict[int, str] = {}
    for where, row in rows:
        if len(row) != len(lists) + 1:
            advice = f"Write {len(lists)} times 0 or 1, then the count"
            raise _wrong(f"{where}: {len(row)} values for {len(lists) + 1} columns", advice)
        mask = 0
        for bit, (label, value) in enumerate(zip(lists, row, strict=False)):
            if value not in ("0", "1"):
                advice = "Write 1 for those on that list and 0 for those not on it"
                raise _wrong(f"{where}: {value!r:.40} is neither 0 nor 1", advice, f"column {label}")
            mask |= int(value) << bit
        if mask == 0:
            advice = "Remove the row: how many are on no list is what is estimated"
            raise _wrong(f"{where}: the pattern of those on no list", advice)
        if mask in seen:
            advice = "Keep one row per pattern, with the sum of their counts"
            raise _wrong(f"{where}: the pattern of {seen[mask].rpartition(', ')[2]} again", advice)
        seen[mask] = where
        counts[mask - 1] = _count(where, row[-1])
    if not any(counts):
        raise _wrong(f"{name} counts nobody", "Write a row with its count for every pattern that somebody has")
    return OverlapTable(tuple(lists), tuple(counts))


def _count(where: str, value: str) -> int:
    if SUPPRESSED.fullmatch(value):
        raise _wrong(f"{where}: {value!r} is a suppressed cell and no count, and zeros and small cells are what the "
                     "models live on", RELEASED, f"column {COUNT}")  # fmt: skip
    if not (value.isascii() and value.isdigit()):
        raise _wrong(f"{where}: {value!r:.40} is no whole number of people", "Write digits alone", f"column {COUNT}")
    if len(value.lstrip("0")) > 11 or int(value) > MAX_COUNT:
        advice = f"Write at most {MAX_COUNT}"
        raise _wrong(f"{where}: {value:.40} is more people than there are", advice, f"column {COUNT}")
    return int(value)


def _wrong(public: str, advice: str, field: str = "") -> IsthmusError:
    return IsthmusError(Reason.INVALID_ARGUMENT, public, field=field, advice=advice)
