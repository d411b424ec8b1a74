"""The bench's table: medians of repeated runs, all of one run of the bench."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from rich.table import Table

from tests.bench.engine.measuring import Measured
from tests.bench.engine.operations import OPERATIONS, Row
from tests.bench.engine.others import Other

Figures = Mapping[str, Measured]
WIDE = "multiply:1000000"  # where what a message takes beside its elements is least


def main_table(
    rows: Sequence[Row], direct: Figures, tunnelled: Figures, stock: Mapping[str, Other], spu: Mapping[str, Other]
) -> Table:
    table = Table(
        title="Three parties on this machine: medians in seconds; × is how many times ours, direct; "
        "(from n): measured at n and scaled",
    )
    for head in ("operation", "goal", "direct", "met", "tunnel", "×", "stock MPyC", "×", "SPU", "×", "rounds", "bytes"):
        table.add_column(head, justify="left" if head == "operation" else "right")
    for row in rows:
        ours = direct.get(row.key)
        own = _median(ours)
        through = _median(tunnelled.get(row.key))
        table.add_row(
            title(row),
            seconds(row.goal),
            seconds(own) + ("" if ours is None or ours.right else " WRONG"),
            "" if row.goal is None or own is None else ("yes" if own <= row.goal else "no"),
            seconds(through),
            ratio(through, own),
            *_other(row, stock.get(row.operation), own),
            *_other(row, spu.get(row.operation), own),
            str(ours.rounds) if ours is not None and ours.rounds else "",
            f"{ours.sent:,}" if ours is not None and ours.sent else "",
        )
    ours, theirs = direct.get(WIDE), stock.get("multiply")
    if ours is not None:
        table.add_row(
            "bytes per party and product", "8", f"{ours.sent / ours.n:.2f}", "", "", "",
            "" if theirs is None else f"{theirs.sent / theirs.n:.1f}",
        )  # fmt: skip
    return table


def more_parties(rows: Sequence[Row], by_parties: Mapping[int, Figures]) -> Table:
    """Direct, with more parties; × is how many times m = 3."""
    table = Table("operation", title="More parties, direct: medians in seconds, bytes that the busiest party sends")
    for m in by_parties:
        for head in (f"m = {m}", *(["×"] if m > 3 else []), "bytes", *(["×"] if m > 3 else [])):
            table.add_column(head, justify="right")
    for row in rows:
        cells = [title(row)]
        first = by_parties[3].get(row.key)
        for m, figures in by_parties.items():
            one = figures.get(row.key)
            sent = None if one is None else one.sent
            cells.append(seconds(_median(one)))
            cells += [ratio(_median(one), _median(first))] if m > 3 else []
            cells.append("" if sent is None else f"{sent:,}")
            cells += [ratio(sent, None if first is None else first.sent)] if m > 3 else []
        table.add_row(*cells)
    return table


def _other(row: Row, other: Other | None, own: float | None) -> tuple[str, str]:
    if other is None or not other.seconds or row.goal is None:
        return "", ""
    growth = OPERATIONS[row.operation].growth
    scaled = statistics.median(other.seconds) * (growth(row.n) / growth(other.n) if other.n != row.n else 1)
    return seconds(scaled) + ("" if other.n == row.n else f" (from {size(other.n)})"), ratio(scaled, own)


def _median(measured: Measured | None) -> float | None:
    return None if measured is None else statistics.median(measured.seconds)


def ratio(figure: float | None, own: float | None) -> str:
    if figure is None or not own:
        return ""
    times = figure / own
    return f"{times:,.0f}" if times >= 10 else f"{times:.1f}"


def seconds(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.4f}" if value < 0.1 else f"{value:.3f}" if value < 10 else f"{value:.1f}"


def title(row: Row) -> str:
    return OPERATIONS[row.operation].title + (f", {size(row.n)}" if row.n > 1 else "")


def size(n: int) -> str:
    power = len(str(n)) - 1
    return f"10^{power}" if n == 10**power and power > 2 else str(n)
