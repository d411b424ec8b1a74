"""How owners write days: a closed list of formats, each read in one way.

Invariants: a day is known by its ISO 8601 form, in whatever format it stands, so that owners may write it differently;
a text in none of a column's formats stays what it is, and is then no day; a column has days first or months first,
since 03/05 would be two days.
"""

from __future__ import annotations

from collections.abc import Collection

# Regular expressions, one after the other, and what takes the place of what they match: the whole text, once.
Steps = tuple[tuple[str, str], ...]

ISO = "YYYY-MM-DD"


def _day_first(sign: str) -> Steps:
    return ((rf"^([0-9]{{2}})[{sign}]([0-9]{{2}})[{sign}]([0-9]{{4}})$", r"\3-\2-\1"),)


def _padded(sign: str) -> Steps:
    """One digit or two for the first part and the second: two."""
    return (
        (rf"^([0-9])[{sign}]([0-9]{{1,2}}[{sign}][0-9]{{4}})$", rf"0\1{sign}\2"),
        (rf"^([0-9]{{2}})[{sign}]([0-9])[{sign}]([0-9]{{4}})$", rf"\1{sign}0\2{sign}\3"),
    )


_MONTH_FIRST: Steps = ((r"^([0-9]{2})/([0-9]{2})/([0-9]{4})$", r"\3-\1-\2"),)

# How a format becomes the ISO form, which is read in every column.
FORMATS: dict[str, Steps] = {
    ISO: (),
    "YYYYMMDD": ((r"^([0-9]{4})([0-9]{2})([0-9]{2})$", r"\1-\2-\3"),),
    "YYYY/MM/DD": ((r"^([0-9]{4})/([0-9]{2})/([0-9]{2})$", r"\1-\2-\3"),),
    "DD.MM.YYYY": _day_first("."),
    "D.M.YYYY": _padded(".") + _day_first("."),
    "DD/MM/YYYY": _day_first("/"),
    "D/M/YYYY": _padded("/") + _day_first("/"),
    "DD-MM-YYYY": _day_first("-"),
    "MM/DD/YYYY": _MONTH_FIRST,
    "M/D/YYYY": _padded("/") + _MONTH_FIRST,
}


def ambiguous(formats: Collection[str]) -> bool:
    """Whether a day could be read in two ways."""
    return len({name[0] for name in formats} & {"D", "M"}) > 1
