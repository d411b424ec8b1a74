"""Descriptors of program packages: read, held to what a question and a table can say, and written in one way.

Invariants: a descriptor that passes here is what its text says, to the letter; everything that a question may choose
has public bounds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from math import prod

from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.program import Descriptor, Output
from gateway.rules.records import from_bytes, from_plain, to_bytes
from gateway.rules.sharing import P

NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
MAX_TEXT, MAX_SAID = 8000, 2000  # characters: of a descriptor, of one text in it
MAX_SLOTS, MAX_CODES, MAX_OUTPUTS, MAX_NUMBER = 6, 32, 16, 2**31 - 1
MAX_SHOWN = 4096  # numbers that come out
LIMITS = ("dominance", "rounding")  # that a program may apply; the minimum is none of its choice


def read(text: str, *, what: str = "statistic.program.descriptor") -> Descriptor:
    """Raises IsthmusError(MALFORMED_QUERY) unless `text` is the one way to write a descriptor that holds."""
    try:
        if len(text) > MAX_TEXT:
            raise _wrong(what, "", f"is longer than {MAX_TEXT} characters")
        found = _checked(from_bytes(Descriptor, text, what=what), what)
        if written(found) != text:
            raise _wrong(what, "", "is not in its canonical form")
    except IsthmusError as wrong:
        field = f"{what}.{wrong.field}".rstrip(".")
        raise IsthmusError(Reason.MALFORMED_QUERY, wrong.public, field=field, advice=wrong.advice) from None
    return found


def from_manifest(plain: object, *, what: str) -> Descriptor:
    """Of a parsed TOML file. Raises IsthmusError(CONFIGURATION) naming the field."""
    found = from_plain(Descriptor, plain, what=what, reason=Reason.CONFIGURATION)
    try:
        checked = _checked(found, what)
    except IsthmusError as wrong:
        raise IsthmusError(Reason.CONFIGURATION, wrong.public, field=wrong.field, advice=wrong.advice) from None
    if len(written(checked)) > MAX_TEXT:
        raise _wrong(what, "", f"says more than {MAX_TEXT} characters", Reason.CONFIGURATION)
    return checked


def written(descriptor: Descriptor) -> str:
    """Canonical JSON (RFC 8785)."""
    return to_bytes(descriptor).decode()


def sized(descriptor: Descriptor, codes: Mapping[str, int]) -> tuple[int, int]:
    """How many rows come out, and how many numbers in all, for so many codes of each slot."""
    rows = prod(codes[name] for name in descriptor.rows)
    return rows, len(descriptor.outputs) * rows + (rows if descriptor.told == "each" else 1)


def bounds(output: Output, settings: Mapping[str, int]) -> tuple[int, int, int]:
    """Least, most and per of an output, under these settings."""
    most, per = (settings[value] if isinstance(value, str) else value for value in (output.most, output.per))
    return output.least, most, per


def out_of_type(
    descriptor: Descriptor, codes: Mapping[str, int], settings: Mapping[str, int], opened: Sequence[int]
) -> str:
    """Why `opened` is not what the descriptor says of the outputs; empty where it is. What is not told is 0, with the
    flag 0, and whatever else it were would tell something."""
    rows, numbers = sized(descriptor, codes)
    if len(opened) != numbers:
        return f"{len(opened)} numbers came out, where {numbers} were said"
    flags = list(opened[len(descriptor.outputs) * rows :])
    if any(flag not in (0, 1) for flag in flags):
        return "what says whether a number is told is neither 0 nor 1"
    of_row = flags * rows if descriptor.told == "all" else flags
    for number, output in enumerate(descriptor.outputs):
        least, most, _ = bounds(output, settings)
        for row, value in enumerate(signed(opened[number * rows : (number + 1) * rows])):
            if not of_row[row] and value:
                return f"{output.name} is not told, and not 0"
            if of_row[row] and not least <= value <= most:
                return f"{output.name} is not between {least} and {most}"
    return ""


def signed(values: Sequence[int]) -> list[int]:
    """Field elements above the half are numbers below zero."""
    return [value - P if value > P // 2 else value for value in values]


def _checked(found: Descriptor, what: str) -> Descriptor:
    slots, settings = [slot.name for slot in found.inputs], [setting.name for setting in found.settings]
    named = [*slots, *settings, *(output.name for output in found.outputs)]
    coded = [slot.name for slot in found.inputs if slot.use == "codes"]
    problems = (
        (any(NAME.fullmatch(name) is None for name in (found.name, *named)), "name", "a name is lower case, digits, _"),
        (len(set(named)) < len(named), "inputs", "inputs, settings and outputs have different names"),
        (not 1 <= found.version <= MAX_NUMBER, "version", "is a whole number from 1 on"),
        (not coded or len(slots) > MAX_SLOTS, "inputs", f"are 1 to {MAX_SLOTS}, one of codes at least"),
        (not 1 <= len(found.outputs) <= MAX_OUTPUTS, "outputs", f"are 1 to {MAX_OUTPUTS}"),
        (len(settings) > MAX_SLOTS, "settings", f"are {MAX_SLOTS} at most"),
        (not set(found.rows) <= set(coded) or len(set(found.rows)) < len(found.rows), "rows", "are inputs of codes"),
        (not set(found.limits) <= set(LIMITS), "limits", f"are among {', '.join(LIMITS)}"),
        (len({opened.step for opened in found.opens}) < len(found.opens), "opens", "names a step twice"),
    )
    for wrong, field, why in problems:
        if wrong:
            raise _wrong(what, field, why)
    texts = [("title", found.title), ("leakage", found.leakage), ("formula", found.formula)]
    texts += [(f"opens.{opened.step}", opened.why) for opened in found.opens]
    for said in (found.inputs, found.settings, found.outputs):
        texts += [(item.name, item.says) for item in said]
    for field, text in texts:
        if not 3 <= len(text) <= MAX_SAID or not text.isprintable():
            raise _wrong(what, field, f"says something, in one line of {MAX_SAID} characters at most")
    for slot in found.inputs:
        if not 1 <= slot.fewest <= slot.most <= MAX_CODES:
            raise _wrong(what, f"inputs.{slot.name}", f"takes between 1 and {MAX_CODES} codes")
    for setting in found.settings:
        if not 0 <= setting.least <= setting.default <= setting.most <= MAX_NUMBER:
            raise _wrong(what, f"settings.{setting.name}", "has least, default and most in this order, from 0 on")
    least_of = {setting.name: setting.least for setting in found.settings}
    for output in found.outputs:
        _check_output(output, least_of, what)
    if sized(found, {slot.name: slot.most for slot in found.inputs})[1] > MAX_SHOWN:
        raise _wrong(what, "rows", f"make more than {MAX_SHOWN} numbers; let slots take fewer codes")
    return found


def _check_output(output: Output, least_of: Mapping[str, int], what: str) -> None:
    for field, value in (("most", output.most), ("per", output.per)):
        if isinstance(value, str) and value not in least_of:
            raise _wrong(what, f"outputs.{output.name}.{field}", f"{value} is none of the settings")
    least, most, per = bounds(output, least_of)
    if not -(2**52) <= least <= most <= 2**52 or not 1 <= per <= MAX_NUMBER:
        raise _wrong(what, f"outputs.{output.name}", "has least and most in this order, within 2^52, and per from 1 on")


def _wrong(what: str, field: str, why: str, reason: Reason = Reason.MALFORMED_QUERY) -> IsthmusError:
    return IsthmusError(
        reason, f"{what}: {field} {why}".replace(":  ", ": "), field=field, advice="docs/new-program.md"
    )
