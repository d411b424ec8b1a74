"""Text that strangers chose, made safe to stand in one line of a log or a terminal.

Invariant: what `escaped` returns has no line break, no control, no invisible and no direction-changing character.
"""

from __future__ import annotations


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
