"""Options of `python -m tests.bench engine`, and the order in which its columns are measured."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from dataclasses import replace

from rich.console import Console

from tests.bench.engine import direct, others, table, tunnelled
from tests.bench.engine.measuring import Measured
from tests.bench.engine.operations import ROWS, Row

COLUMNS = ("direct", "tunnel", "stock", "spu", "parties")


def run(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench engine")
    parser.add_argument("--only", action="append", metavar="ROW", help="rows, as `multiply` or `multiply:1000000`")
    parser.add_argument("--columns", default=",".join(COLUMNS), help=f"some of {', '.join(COLUMNS)}")
    chosen = parser.parse_args(arguments)
    rows = [row for row in ROWS if not chosen.only or {row.key, row.operation} & set(chosen.only)]
    columns = chosen.columns.split(",")
    if not rows or set(columns) - set(COLUMNS):
        parser.error(f"rows: {', '.join(row.key for row in ROWS)}; columns: {', '.join(COLUMNS)}")
    own = by_row(asyncio.run(direct.run(rows))) if {"direct", "parties"} & set(columns) else {}
    through = by_row(asyncio.run(tunnelled.run(rows))) if "tunnel" in columns else {}
    console = Console(width=170)
    stock = others.stock(rows) if "stock" in columns else {}
    spu = others.spu(rows) if "spu" in columns else {}
    console.print(table.main_table(rows, own, through, stock, spu))
    if "parties" in columns:
        small = [replace(row, repeats=min(row.repeats, 3)) for row in rows if row.n <= 10**5]
        more = {m: by_row(asyncio.run(direct.run(small, m))) for m in (5, 7)}
        console.print(table.more_parties(small, {3: own, **more}))


def by_row(figures: Sequence[Measured]) -> dict[str, Measured]:
    return {Row(one.operation, one.n).key: one for one in figures}
