"""Linkage keys: how two lists recognise the same person without showing who it is.

Invariants: the normalisation is declared here and is the same at every owner, so that equal people get
equal keys; the salt is the session's, so that keys of two sessions cannot be matched; it is no secret, and a key
leaves its owner in shares alone; an empty or malformed key value raises rather than linking strangers.

Two of n people collide with probability below n^2 / 2^61: 10^-8 for 10^5 people.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata
from collections.abc import Iterable
from datetime import date

from gateway.domain.dataset import ColumnType

# Below the field's prime 2^61 - 1, with room for a flag bit.
KEY_BITS = 60
MIN_SALT = 16

_ISO_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
# Unicode's block of combining diacritical marks: the accents of Latin, Greek and Cyrillic letters.
# Vowel signs of other scripts are combining too, but they are letters and stay.
_ACCENTS = re.compile("[\u0300-\u036f]")


def normalise(value: str, type: ColumnType) -> str:
    """One key value in its declared form; raises ValueError, without the value, if it has none.

    Text: compatibility decomposition, case folded, accents dropped, white space collapsed. Dates: ISO
    8601 days that exist. Integers: no leading zeros or plus. Codes: as they are.
    """
    if type is ColumnType.DATE:
        normal = parse_day(value).isoformat()
    elif type is ColumnType.INTEGER:
        normal = str(int(value))
    elif type is ColumnType.CODE:
        normal = value
    elif value.isascii():  # nothing to decompose, no accents, and folding is lower case
        normal = " ".join(value.lower().split())
    else:
        folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", value).casefold())
        normal = " ".join(_ACCENTS.sub("", folded).split())
    if not normal:
        raise ValueError("a key value is empty")
    return normal


def parse_day(value: str) -> date:
    """An ISO 8601 day, YYYY-MM-DD and nothing else; raises ValueError, without the value."""
    if not _ISO_DAY.fullmatch(value):
        raise ValueError("not a date of the form YYYY-MM-DD")
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise ValueError("no such day in the calendar") from None


class Linkage:
    """Keys under one session's `salt`."""

    def __init__(self, salt: bytes) -> None:
        if len(salt) < MIN_SALT:
            raise ValueError(f"a salt has at least {MIN_SALT} bytes")
        self._salted = hmac.new(salt, digestmod=hashlib.sha256)

    def key(self, parts: Iterable[bytes]) -> int:
        """First 60 bits of HMAC-SHA256 over normalised values, each as `part` has it."""
        person = self._salted.copy()
        person.update(b"".join(parts))
        return int.from_bytes(person.digest()[:8], "big") >> (64 - KEY_BITS)


def part(value: str) -> bytes:
    """A normalised value with its length before it, so that no letter can move to its neighbour."""
    encoded = value.encode()
    return len(encoded).to_bytes(4, "big") + encoded
