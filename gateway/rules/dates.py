"""Days as ISO 8601 writes them."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

_EPOCH = date(1970, 1, 1).toordinal()
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def is_day(text: str) -> bool:
    """True for an existing day in the form 2013-12-31."""
    if _DAY.fullmatch(text) is None:
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def before(day: str) -> str:
    """The day before."""
    return (date.fromisoformat(day) - timedelta(days=1)).isoformat()


def number(day: str) -> int:
    """How many days after the first of 1970 (below zero: before it)."""
    return date.fromisoformat(day).toordinal() - _EPOCH


def day(number: int) -> str:
    """The day with this number."""
    return date.fromordinal(number + _EPOCH).isoformat()


def day_of(now: int) -> str:
    """The day in UTC of a time in seconds since 1970; days in this form sort as text."""
    return datetime.fromtimestamp(now, UTC).date().isoformat()
