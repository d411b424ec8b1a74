"""Linkage keys: how two lists recognise the same person without showing who it is.

Invariants: what a rule does is declared here and is the same at every owner, and owners who link declare the same rules
(gateway/rules/key_rules.py), so that equal people get equal keys; the salt is the session's, so that keys of two
sessions cannot be matched; it is no secret, and a key leaves its owner in shares alone; an empty or malformed key value
raises rather than linking strangers.

Two of n people collide with probability below n^2 / 2^61: 10^-8 for 10^5 people.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import date
from importlib.metadata import PackageNotFoundError, version

from gateway.domain.dataset import ColumnType
from gateway.rules.key_rules import USUAL

# Below the field's prime 2^61 - 1, with room for a flag bit.
KEY_BITS = 60
MIN_SALT = 16

_ISO_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
# Unicode's block of combining diacritical marks: the accents of Latin, Greek and Cyrillic letters.
# Vowel signs of other scripts are combining too, but they are letters and stay.
_ACCENTS = re.compile("[\u0300-\u036f]")


ACCENTS, CASE, PUNCTUATION = "accents", "case", "punctuation"
# Writes every script in Latin letters (anyascii, ISC licence). The version is part of the rule: another one may choose
# other letters, and then the same person has another key.
ANYASCII = "0.3.3"
TRANSLITERATE = f"transliterate-anyascii-{ANYASCII}"
RULES = (ACCENTS, CASE, PUNCTUATION, TRANSLITERATE)
# Letters that are written for an apostrophe: in Ukrainian, in Hawaiian.
_APOSTROPHES = "\u02bb\u02bc"


def check_library() -> None:
    """Raises ValueError where the library here is not the one that the rule names."""
    try:
        found = version("anyascii")
    except PackageNotFoundError:
        found = "none"
    if found != ANYASCII:
        raise ValueError(f"{TRANSLITERATE} needs anyascii {ANYASCII}, and here is {found}; install what the lock names")


def compared(declared: Sequence[str]) -> tuple[str, ...] | None:
    """Declared rules in the one way to write what comes of them: sorted, without accents where nothing has any after
    transliteration; None for the usual ones, which hold where nothing is declared."""
    told = set(declared) - ({ACCENTS} if TRANSLITERATE in declared else set())
    return None if not told or told == set(USUAL) else tuple(sorted(told))


def normalise(value: str, type: ColumnType, rules: Sequence[str] | None = None) -> str:
    """One key value in its declared form; raises ValueError, without the value, if it has none.

    Text: by its rules (None: case and accents do not count), in compatibility decomposition, white space collapsed.
    Dates: ISO 8601 days that exist. Integers: no leading zeros or plus. Codes: as they are.
    """
    if type is ColumnType.DATE:
        normal = parse_day(value).isoformat()
    elif type is ColumnType.INTEGER:
        normal = str(int(value))
    elif type is ColumnType.CODE:
        normal = value
    elif rules is None and value.isascii():  # nothing to decompose, no accents, and folding is lower case
        normal = " ".join(value.lower().split())
    else:
        normal = _text(value, USUAL if rules is None else rules)
    if not normal:
        raise ValueError("a key value is empty")
    return normal


def _text(value: str, rules: Sequence[str]) -> str:
    if TRANSLITERATE in rules:
        from anyascii import anyascii

        # Of composed letters: Й is a letter of its own, and no И with a sign.
        value = anyascii(unicodedata.normalize("NFKC", value))
    value = unicodedata.normalize("NFKD", value)
    if CASE in rules:
        value = unicodedata.normalize("NFKD", value.casefold())
    if ACCENTS in rules:
        value = _ACCENTS.sub("", value)
    if PUNCTUATION in rules:
        value = "".join(map(_plain, value))
    # Once more: marks that something stood between may be in another order now.
    return " ".join(unicodedata.normalize("NFKD", value).split())


def _plain(letter: str) -> str:
    """A dash or low line is a space, other punctuation, symbols and what is not seen are nothing."""
    kind = unicodedata.category(letter)
    if kind in ("Pd", "Pc"):
        return " "
    return "" if kind[0] in "PS" or kind == "Cf" or letter in _APOSTROPHES else letter


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
