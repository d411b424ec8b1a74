"""Text that strangers chose, made safe to stand in one line of a log or a terminal; and what they may have meant.

Invariant: what `escaped` returns has no line break, no control, no invisible and no direction-changing character.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence


def escaped(text: str) -> str:
    """`text` with every unprintable character (categories C and Z but the plain space) as Python would write it.

    A backslash stays as it is, so that escaping twice changes nothing: `\\n` typed by a stranger and a line
    break of theirs read the same, and neither breaks a line.
    """
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in text
    )


def nearest(name: str, known: Sequence[str], lead: str) -> str:
    """Advice to whoever wrote a name that is not known: the one that it is closest to, or the first few."""
    close = difflib.get_close_matches(name, known, n=1)
    return f"Did you mean {close[0]}?" if close else f"{lead}: {', '.join(known[:12])}"
