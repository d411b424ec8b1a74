"""Whether a package's program does what it says: held against its clear-text twin, its cost formula and its types, in
sessions of three parties in one process.

Invariant: a package that passes was right in everything that was tried; what was not tried, its tests have to show.
Whether its limits and openings are enough, nobody can tell from outside: that is for whoever reads it.
"""

import asyncio
import random
import secrets
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np

from connectors.engine.bits import share_bits
from connectors.engine.cost import Cost, Shape
from connectors.engine.errors import InputRejected, SessionAborted
from connectors.engine.loopback import Seat, session
from connectors.engine.packages import MODULE, coded, sample
from connectors.engine.randomness import fresh
from connectors.engine.rows import KEY_BITS, InputRows
from connectors.engine.wire import ELEMENT_BYTES
from gateway.domain.program import Descriptor
from gateway.rules import descriptors
from gateway.rules.sharing import reconstruct

SHAPE = Shape(3, 1)
TRIALS = 12
MOST_CODES = 4  # of a slot, in a trial
MOST_NUMBER = 20  # of what is measured


@dataclass(frozen=True, slots=True)
class Finding:
    """What was held against what; `wrong` is empty where it holds."""

    what: str
    wrong: str = ""


@dataclass(frozen=True, slots=True)
class _Question:
    parameters: dict[str, Any]
    rows: list[InputRows]
    bounds: list[int]

    @property
    def settings(self) -> Mapping[str, int]:
        return dict(self.parameters["settings"])


@dataclass(slots=True)
class _Opens(Container[str]):
    """Says what a program may open, and remembers what it did."""

    declared: Mapping[str, str]
    seen: set[str] = field(default_factory=set)

    def __contains__(self, step: object) -> bool:
        self.seen.add(str(step))
        return step in self.declared


TWIN = "run computes what clear does, at three parties"
TYPES = "what comes out is what the manifest says of outputs"
COST = "cost says exactly how many rounds and elements a session takes, and the longest message"
SIZES = "what is sent depends on bounds and parameters, and not on rows"
OPENS = "values are opened in the steps that are declared, and in each of them"
TOLD = "numbers are told in some of the trials, and not in others"
SAYS = "the leakage statement says what parties and what recipients learn"
ORDER = (TWIN, TYPES, TOLD, COST, SIZES, OPENS, SAYS)


def examine(module: ModuleType, seed: int = 1) -> list[Finding]:
    """The findings on a loaded package (packages.py), the first thing that is wrong for each."""
    wrong: dict[str, str] = {}
    opens, flags = _Opens(module.OPENS), set[int]()
    try:
        for trial, question in enumerate(_questions(module.DESCRIPTOR, random.Random(seed))):  # noqa: S311  (trials, no secrets)
            for what, why in _held(module, question, opens, flags):
                wrong.setdefault(what, f"{why} (trial {trial}: {_said(question)})")
    except (SessionAborted, InputRejected) as refused:
        wrong.setdefault(TWIN, str(refused))
    except Exception as bug:  # whatever a stranger's module raises
        wrong.setdefault(TWIN, f"{MODULE} raised {bug!r}")
    if len(flags) < 2:
        wrong.setdefault(TOLD, "every flag was the same, so that much was not tried: let it take smaller questions")
    if never := sorted(set(module.OPENS) - opens.seen):
        wrong.setdefault(OPENS, f"nothing was opened in {', '.join(never)}")
    for needed in ("Parties learn", "Recipients learn"):
        if needed not in module.LEAKAGE:
            wrong.setdefault(SAYS, f"it does not say: {needed}")
    return [Finding(what, wrong.get(what, "")) for what in ORDER]


def _held(module: ModuleType, question: _Question, opens: _Opens, flags: set[int]) -> Iterator[tuple[str, str]]:
    """What is wrong with one question's session; `flags` are those that came out so far."""
    cost = module.cost(question.parameters, question.bounds, SHAPE)
    seats, opened = _run(module, question, opens, cost)
    expected = module.clear(question.parameters, question.rows)
    if opened != expected:
        yield TWIN, f"{opened[:8]} came out, and clear says {expected[:8]}"
    sizes = dict(
        zip(coded(module.DESCRIPTOR), (len(one["codes"]) for one in question.parameters["columns"]), strict=True)
    )
    flags.update(opened[len(module.DESCRIPTOR.outputs) * descriptors.sized(module.DESCRIPTOR, sizes)[0] :])
    if why := descriptors.out_of_type(module.DESCRIPTOR, sizes, question.settings, opened):
        yield TYPES, why
    yield from ((COST, why) for why in _not_as_said(cost, seats))
    empty = _Question(question.parameters, [InputRows([], [], [], []) for _ in question.rows], question.bounds)
    others, _ = _run(module, empty, opens, cost)
    if [seat.sent for seat in seats] != [seat.sent for seat in others]:
        yield SIZES, "without any rows other messages are sent"


def _not_as_said(cost: Cost, seats: list[Seat]) -> Iterator[str]:
    rounds, received = seats[0].engine.rounds - 1, [size for seat in seats for size in seat.received]  # one to begin
    if rounds != cost.rounds:
        yield f"{rounds} rounds were taken, and it says {cost.rounds}"
    if sum(received) != cost.elements:
        yield f"{sum(received)} elements were sent, and it says {cost.elements}"
    if max(received) > cost.largest:
        yield f"{max(received)} elements were in one message, and it says {cost.largest}"


def _run(module: ModuleType, question: _Question, opens: _Opens, cost: Cost) -> tuple[list[Seat], list[int]]:
    """A session; its seats, and what the output shares stand for. Raises SessionAborted, InputRejected."""
    shares = [
        share_bits(module.encode(question.parameters, rows, bound, secrets.token_bytes), SHAPE, fresh().words)
        for rows, bound in zip(question.rows, question.bounds, strict=True)
    ]
    cap = ELEMENT_BYTES * max(cost.largest, 64)
    seats, results = asyncio.run(
        session(SHAPE, lambda rt: module.run(rt, question.parameters, [s[rt.pid] for s in shares]), cap, opens)
    )
    vectors = {pid: [int(share) for share in np.ravel(np.asarray(result))] for pid, result in enumerate(results)}
    return seats, reconstruct(vectors, SHAPE.t)


def _questions(descriptor: Descriptor, rng: random.Random) -> Iterator[_Question]:
    """Between the bounds of the descriptor: settings at both ends and between, few people and some more, none."""
    for trial in range(TRIALS):
        asked: dict[str, Any] = {**sample(descriptor), "minimum_cell": rng.choice([0, 1, 2, 3, 4])}
        asked["columns"] = [
            {"name": slot.name, "codes": [f"c{code}" for code in range(_size(slot.fewest, slot.most, rng))]}
            for slot in descriptor.inputs
            if slot.use == "codes"
        ]
        if "measures" in asked:
            asked["measures"] = [{**measure, "most": MOST_NUMBER} for measure in asked["measures"]]
        asked["settings"] = {
            item.name: (item.least, item.most, rng.randint(item.least, item.most))[trial % 3]
            for item in descriptor.settings
        }
        yield _people(asked, rng, providers=1 + trial % 3, most=(4, 9, 24)[trial % 3])


def _size(fewest: int, most: int, rng: random.Random) -> int:
    return rng.randint(fewest, max(fewest, min(most, MOST_CODES)))


def _people(asked: dict[str, Any], rng: random.Random, providers: int, most: int) -> _Question:
    """Rows from a small pool, so that providers share people; codes one beyond the last are people left out."""
    pool = [rng.getrandbits(KEY_BITS) for _ in range(most + 3)]
    sizes, measured = [len(column["codes"]) for column in asked["columns"]], len(asked.get("measures", ()))
    rows = []
    for _ in range(providers):
        keys = rng.sample(pool, rng.randint(0, most))
        codes = [tuple(rng.choice([*range(size), *range(size), size]) for size in sizes) for _ in keys]
        values = [tuple(rng.choice([None, rng.randint(0, MOST_NUMBER)]) for _ in range(measured)) for _ in keys]
        rows.append(InputRows(keys, [1] * len(keys), codes, values))
    return _Question(asked, rows, [max(1, len(own.keys)) + rng.randint(0, 2) for own in rows])


def _said(question: _Question) -> str:
    people = [len(rows.keys) for rows in question.rows]
    return f"rows {people} of {question.bounds}, minimum {question.parameters['minimum_cell']}, {question.settings}"
