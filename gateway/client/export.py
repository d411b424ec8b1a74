"""A released table for other programs: CSV and Arrow, with what it rests on attached.

Invariants: a suppressed number is empty and named in its row's `suppressed`, never zero; editions, limits and receipt
travel in the same file; a code that a spreadsheet would take for a formula is marked as text. PyArrow (extra `[arrow]`)
is imported when it is first wanted, not before.
"""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

from gateway.client.summary import Summary
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.result import Row, Table
from gateway.rules.records import to_plain

if TYPE_CHECKING:
    import pyarrow as pa

COUNT, SUPPRESSED = "count", "suppressed"
# What opens a formula where a spreadsheet opens the file.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def column_names(table: Table) -> list[str]:
    """The code columns; one that is called as we call a number keeps its place under another name."""
    taken = (SUPPRESSED, *table.numbers)
    names = list[str]()
    for name in table.columns:
        made = name
        while made in taken or made in names or (made != name and made in table.columns):
            made += "_code"
        names.append(made)
    return names


def hidden(table: Table, row: Row) -> list[str]:
    """The names of the row's numbers that are suppressed or do not exist."""
    return [name for name, value in zip(table.numbers, table.told(row), strict=True) if value is None]


def overall(table: Table) -> dict[str, int | float | None]:
    """What the table tells as a whole, by name; None where it is suppressed or does not exist."""
    return {figure.name: figure.value for figure in table.overall}


def facts(table: Table, short: Summary) -> dict[str, Any]:
    """What a table tells as a whole, and what it rests on: question, unit, editions, limits, contract, and what every
    space put on record."""
    contract = short.contract
    return {
        **({"overall": overall(table)} if table.overall else {}),
        "title": contract.query.title,
        "statistic": to_plain(contract.query.statistic),
        "unit": "people",
        "editions": {item.dataset: item.edition for provider in contract.providers for item in provider.inputs},
        "limits": to_plain(contract.limits),
        **({} if short.off_by_95 is None else {"off_by_95": short.off_by_95}),
        "contract": short.digest,
        "receipts": [
            {"space": receipt.space, "size": receipt.tree_size, "root": receipt.tree_head} for receipt in short.receipts
        ],
    }


def as_csv(table: Table, short: Summary) -> str:
    """RFC 4180 under lines that begin with `#`, one for each of `facts`, as JSON."""
    made = io.StringIO()
    for name, value in facts(table, short).items():
        made.write(f"# {name}: {json.dumps(value, ensure_ascii=False, sort_keys=True)}\n")
    rows = csv.writer(made, lineterminator="\r\n")
    rows.writerow([*map(_text, column_names(table)), *table.numbers, SUPPRESSED])
    for row in table.rows:
        numbers = ("" if value is None else value for value in table.told(row))
        rows.writerow([*map(_text, row.codes), *numbers, " ".join(hidden(table, row))])
    return made.getvalue()


def as_arrow(table: Table, short: Summary) -> pa.Table:
    """Codes as text, the count as int64, measures as double, `suppressed` as a list of names; `facts` as JSON in the
    schema's metadata under `isthmus`. Raises IsthmusError(CONFIGURATION) without PyArrow."""
    try:
        import pyarrow as pa
    except ModuleNotFoundError as missing:
        raise IsthmusError(
            Reason.CONFIGURATION,
            "an Arrow file needs PyArrow, which is not installed here",
            advice="Install it with: pip install 'isthmus[arrow]'",
        ) from missing
    columns: dict[str, Any] = {
        name: pa.array([row.codes[place] for row in table.rows], pa.string())
        for place, name in enumerate(column_names(table))
    }
    if table.counted:
        columns[COUNT] = pa.array([row.count for row in table.rows], pa.int64())
    for place, name in enumerate(table.measures):
        columns[name] = pa.array([row.values[place] for row in table.rows], pa.float64())
    columns[SUPPRESSED] = pa.array([hidden(table, row) for row in table.rows], pa.list_(pa.string()))
    return pa.table(columns).replace_schema_metadata({"isthmus": json.dumps(facts(table, short), ensure_ascii=False)})


def arrow_file(made: pa.Table) -> bytes:
    """The bytes of an Arrow IPC file."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, made.schema) as file:
        file.write_table(made)
    return bytes(sink.getvalue())


def _text(code: str) -> str:
    return f"'{code}" if code.startswith(_FORMULA) else code
