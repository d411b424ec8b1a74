"""Days as ISO 8601 writes them."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

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


def day_of(now: int) -> str:
    """The day in UTC of a time in seconds since 1970; days in this form sort as text."""
    return datetime.fromtimestamp(now, UTC).date().isoformat()
