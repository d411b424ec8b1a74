"""`program`: what a packaged program computes, by what its descriptor says of inputs, settings and outputs.

Invariants: which columns are used follows from the question alone, and what they mean from the descriptor, which the
program's digest covers and each agent holds against its own copy; what comes out and is not of the descriptor's types
is refused.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from gateway.domain.contract import Contract, Limits
from gateway.domain.dataset import ColumnType
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.program import Descriptor, Slot
from gateway.domain.query import PackagedProgram, ProgramInput, Query
from gateway.domain.result import Row, Table
from gateway.rules import descriptors, sharing
from gateway.rules.dates import is_day
from gateway.rules.dates import number as day_number
from gateway.rules.statistics.base import Codes, Use, Used, check_column, code_lists, given, lists, malformed
from gateway.rules.text import nearest

# Which one, the question says (`statistics.program_of`).
PROGRAM, LABEL = "", "further programs"
FIELD = "statistic.program"
FARTHEST, MAX_APART = 1 << 31, 1 << 24  # as for measures (connectors/engine/programs/measures.py)

_read = lru_cache(64)(descriptors.read)


def check(asked: Query) -> None:
    wanted = _of(asked)
    if descriptors.NAME.fullmatch(wanted.name) is None:
        raise malformed(f"{FIELD}.name", "a program is named in lower case letters, digits and underscores")
    for what, names in (
        ("inputs", [item.name for item in wanted.inputs]),
        ("settings", [item.name for item in wanted.settings]),
    ):
        if len(set(names)) < len(names):
            raise malformed(f"{FIELD}.{what}", "names one twice")
    columns = [item.column for item in wanted.inputs]
    if not columns or len(set(columns)) < len(columns):
        raise malformed(f"{FIELD}.inputs", "name a column for each of the program's inputs, each once")
    for number, item in enumerate(wanted.inputs):
        _check_input(item, f"{FIELD}.inputs[{number}]")
    if wanted.descriptor:
        _described(wanted)


def _check_input(item: ProgramInput, field: str) -> None:
    check_column(item.column, f"{field}.column")
    if item.codes is not None and (not item.codes or len(set(item.codes)) < len(item.codes)):
        raise malformed(f"{field}.codes", "name codes, each once, or none for all")
    bounds = (item.least, item.most)
    if bounds == (None, None):
        return
    if item.codes is not None or None in bounds:
        raise malformed(field, "an input has codes, or both least and most")
    for name, value in zip(("least", "most"), bounds, strict=True):
        if isinstance(value, str) and not is_day(value):
            raise malformed(f"{field}.{name}", "a bound is an integer or a day such as 2013-04-01")
    if isinstance(item.least, str) is not isinstance(item.most, str):
        raise malformed(f"{field}.most", "bounds are two integers or two days")
    least, most = _bounds(item)
    if not (-FARTHEST <= least < most <= FARTHEST and most - least <= MAX_APART):
        raise malformed(f"{field}.most", f"above least by at most {MAX_APART}, both within {FARTHEST} of zero")


def check_limits(asked: Query, limits: Limits) -> None:
    """Every program applies the minimum and provider subtraction; others those that its descriptor names."""
    applied = _described(_of(asked)).limits
    for name in ("epsilon", "dominance", "rounding"):
        if getattr(limits, name) is not None and name not in applied:
            raise IsthmusError(
                Reason.POLICY_REFUSED,
                f"the program {_of(asked).name} does not apply a limit on {name}",
                field=f"limits.{name}",
                advice="Leave it out, or the sources whose policy asks for it",
            )


def uses(asked: Query) -> Iterator[Used]:
    """Numbers and days come behind the codes, as programs take them."""
    inputs = list(enumerate(_of(asked).inputs))
    for number, item in inputs:
        if item.least is None:
            yield Used(item.column, f"{FIELD}.inputs[{number}].column", codes=item.codes or ())
    for number, item in inputs:
        if item.least is not None and item.most is not None:
            kind = ColumnType.DATE if isinstance(item.least, str) else ColumnType.INTEGER
            within = (item.least, item.most)
            yield Used(item.column, f"{FIELD}.inputs[{number}].column", Use.MEASURE, (kind,), within=within)


def parameters(asked: Query, codes: Codes) -> dict[str, Any]:
    """In the descriptor's order. Raises IsthmusError: UNKNOWN_CODE, or MALFORMED_QUERY where the question does not fit
    the descriptor."""
    wanted = _of(asked)
    descriptor = _described(wanted)
    filled = _filled(wanted, descriptor)
    columns = [
        {"name": item.column, "codes": _taken(slot, item, codes, f"{FIELD}.inputs[{number}]")}
        for slot, (number, item) in filled
        if slot.use == "codes"
    ]
    measures = [
        {"name": item.column, "least": _bounds(item)[0], "most": _bounds(item)[1]}
        for slot, (_, item) in filled
        if slot.use != "codes"
    ]
    made: dict[str, Any] = {"program": wanted.name, "columns": columns, "settings": _settings(wanted, descriptor)}
    return {**made, "measures": measures} if measures else made


def canonical(asked: Query) -> dict[str, Any]:
    """The program by its digest, columns by the inputs that they fill, codes in the order of the question."""
    wanted = _of(asked)
    inputs = {
        item.name: [item.column, list(item.codes or ()), *([item.least, item.most] if item.least is not None else [])]
        for item in wanted.inputs
    }
    settings = _settings(wanted, _described(wanted))
    return {"statistic": "program", "program": wanted.digest, "inputs": inputs, "settings": settings}


def outputs(contract: Contract) -> int:
    descriptor = _described(_of(contract.query))
    return descriptors.sized(descriptor, {name: len(codes) for name, codes in _codes(contract).items()})[1]


def table(contract: Contract, opened: Sequence[int]) -> Table:
    """A row for each combination of codes of the descriptor's `rows`, with what it says of each output."""
    wanted = _of(contract.query)
    descriptor, codes = _described(wanted), _codes(contract)
    sizes, settings = {name: len(own) for name, own in codes.items()}, _settings(wanted, descriptor)
    if why := descriptors.out_of_type(descriptor, sizes, settings, opened):
        raise sharing.inconsistent(f"what program {wanted.name} put out is not of its types: {why}")
    rows, _ = descriptors.sized(descriptor, sizes)
    flags = list(opened[len(descriptor.outputs) * rows :])
    told = flags * rows if descriptor.told == "all" else flags
    columns: list[list[int | float]] = []
    for number, output in enumerate(descriptor.outputs):
        per = descriptors.bounds(output, settings)[2]
        values = descriptors.signed(opened[number * rows : (number + 1) * rows])
        columns.append([value if per == 1 else value / per for value in values])
    cells = itertools.product(*(codes[name] for name in descriptor.rows))
    measures = tuple(output.name for output in descriptor.outputs)
    named = {item.name: item.column for item in wanted.inputs}
    made = tuple(
        Row(cell, None, tuple(values) if shown else (None,) * len(measures))
        for cell, shown, values in zip(cells, told, zip(*columns, strict=True), strict=True)
    )
    return Table(tuple(named[name] for name in descriptor.rows), made, measures, counted=False)


def said(asked: Query, called: Callable[[str], str]) -> str:
    wanted = _of(asked)
    inputs = ", ".join(f"{item.name} {_in_words(item, called)}" for item in wanted.inputs)
    what = f"what the program {wanted.name} computes of {inputs}"
    if wanted.descriptor:
        descriptor = _described(wanted)
        told = "; ".join(f"{output.name}, {output.says}" for output in descriptor.outputs)
        what = f"{told} (program {wanted.name} {descriptor.version}, no part of the release; {inputs})"
    return f"{what}, among people of {lists(asked)}, each once"


def _in_words(item: ProgramInput, called: Callable[[str], str]) -> str:
    if item.least is not None:
        return f"{called(item.column)} from {item.least} to {item.most}"
    return called(item.column) + ("" if item.codes is None else f" ({', '.join(item.codes)})")


def _filled(wanted: PackagedProgram, descriptor: Descriptor) -> list[tuple[Slot, tuple[int, ProgramInput]]]:
    """Each slot with what fills it, and its number in the question."""
    slots = [slot.name for slot in descriptor.inputs]
    by_name = {item.name: (number, item) for number, item in enumerate(wanted.inputs)}
    for number, item in enumerate(wanted.inputs):
        if item.name not in slots:
            raise malformed(f"{FIELD}.inputs[{number}].name", f"{wanted.name} has no input {item.name}. "
                            + nearest(item.name, slots, "It has"))  # fmt: skip
    missing = [name for name in slots if name not in by_name]
    if missing:
        raise malformed(f"{FIELD}.inputs", f"{wanted.name} wants a column for {', '.join(missing)} too")
    for slot in descriptor.inputs:
        number, item = by_name[slot.name]
        given_as = "codes" if item.least is None else "day" if isinstance(item.least, str) else "integer"
        if given_as != slot.use:
            how = "a column of codes, without bounds" if slot.use == "codes" else f"least and most, as {slot.use}s"
            raise malformed(f"{FIELD}.inputs[{number}]", f"{slot.name} is filled with {how}")
    return [(slot, by_name[slot.name]) for slot in descriptor.inputs]


def _taken(slot: Slot, item: ProgramInput, codes: Codes, field: str) -> list[str]:
    known = codes[item.column]
    for number, code in enumerate(item.codes or ()):
        if code not in known:
            raise IsthmusError(
                Reason.UNKNOWN_CODE,
                f"{code!r} is not a code of {item.column}",
                field=f"{field}.codes[{number}]",
                advice=nearest(code, list(known), "Its codes are"),
            )
    taken = list(item.codes or known)
    if not slot.fewest <= len(taken) <= slot.most:
        wanted = f"{slot.fewest}" if slot.fewest == slot.most else f"{slot.fewest} to {slot.most}"
        raise malformed(f"{field}.codes", f"{slot.name} takes {wanted} codes, and {len(taken)} are given")
    return taken


def _settings(wanted: PackagedProgram, descriptor: Descriptor) -> Mapping[str, int]:
    asked = {item.name: item.value for item in wanted.settings}
    known = {setting.name: setting for setting in descriptor.settings}
    for number, item in enumerate(wanted.settings):
        field = f"{FIELD}.settings[{number}]"
        if (setting := known.get(item.name)) is None:
            raise malformed(f"{field}.name", f"{wanted.name} has no setting {item.name}")
        if not setting.least <= item.value <= setting.most:
            raise malformed(f"{field}.value", f"{item.name} is from {setting.least} to {setting.most}")
    return {name: asked.get(name, setting.default) for name, setting in known.items()}


def _bounds(item: ProgramInput) -> tuple[int, int]:
    """Least and most; of days, how many after the first of 1970 they are."""
    least, most = (day_number(bound) if isinstance(bound, str) else given(bound) for bound in (item.least, item.most))
    return least, most


def _codes(contract: Contract) -> dict[str, tuple[str, ...]]:
    """The codes of each slot of codes."""
    wanted, told = _of(contract.query), code_lists(contract.program.parameters)
    return {item.name: told[item.column] for item in wanted.inputs if item.least is None}


def _described(wanted: PackagedProgram) -> Descriptor:
    """Raises `malformed` where it is not filled in, is none, or is another program's."""
    if not wanted.descriptor:
        raise malformed(f"{FIELD}.descriptor", "nothing says what the program's inputs and outputs are")
    descriptor = _read(wanted.descriptor)
    if descriptor.name != wanted.name:
        raise malformed(f"{FIELD}.descriptor", f"is that of a program {descriptor.name}")
    return descriptor


def _of(asked: Query) -> PackagedProgram:
    return given(asked.statistic.program)
