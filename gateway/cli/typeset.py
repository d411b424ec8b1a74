"""Words, numbers and tables, as every page of the command line sets them.

Invariants: text from elsewhere is shown as text, without markup and control characters; 80 columns are enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from rich import box
from rich.table import Table
from rich.text import Text

from gateway.cli.output import printable

DIGEST_SHOWN = 16


def table(*headings: str, title: str = "", numbers: Sequence[str] = (), fixed: Sequence[str] = ()) -> Table:
    """An empty table; `numbers` are headings of right-aligned columns, `fixed` of columns that do not wrap."""
    made = Table(
        box=box.SIMPLE_HEAD,
        title=Text(title, style="bold") if title else None,
        title_justify="left",
        pad_edge=False,
        show_edge=False,
        collapse_padding=True,
    )
    for heading in headings:
        right = heading in numbers
        made.add_column(
            heading, justify="right" if right else "left", no_wrap=right or heading in fixed, overflow="fold"
        )
    return made


def words(text: object, style: str = "") -> Text:
    return Text(printable(str(text)), style=style)


def lines(first: object, *further: object) -> Text:
    """One cell of several lines, the first of them bold."""
    rest = [words(text) for text in further if str(text)]
    return Text("\n").join([words(first, "bold"), *rest])


def number(value: float) -> str:
    """With a no-break space between thousands."""
    return f"{value:,.0f}".replace(",", "\N{NO-BREAK SPACE}")


def age(seconds: int) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{max(0, seconds)} s"


def size(octets: float) -> str:
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if octets >= factor:
            return f"{octets / factor:.1f} {unit}"
    return f"{octets:.0f} B"


def host(entity: str) -> str:
    return entity.removeprefix("https://")


def hours(hours: int) -> str:
    if hours % 24:
        return f"{hours} hours" if hours > 1 else "1 hour"
    return f"{hours // 24} days" if hours > 24 else "1 day"


def day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")


def minute(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def now() -> int:
    from gateway.edges.clock import SystemClock

    return SystemClock().now()
