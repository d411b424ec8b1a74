"""Packages of programs: what is refused unread, what an examination finds, and the one of the documentation."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.engine import examination, packages, programs
from connectors.engine.cost import Shape
from connectors.engine.examination import COST, OPENS, SAYS, SIZES, TWIN, TYPES, examine
from connectors.engine.forking import PartySettings
from connectors.engine.rows import MAX_ROWS, InputRows
from connectors.launch.forkserver import ForkServer, ServerGone
from gateway.domain.errors import IsthmusError, Reason
from tests.engine.harness import SHAPES, revealed
from tests.engine.relay import SETTINGS, Federation
from tests.engine.relay import run as relayed
from tests.engine.test_programs import execute

DISSIMILARITY = Path(__file__).parents[2] / "docs" / "programs" / "dissimilarity"
Rows = list[InputRows]


def question(codes: int, minimum: int, steps: int = 100) -> dict[str, Any]:
    over = [f"c{code}" for code in range(codes)]
    columns = [{"name": "sex", "codes": ["f", "m"]}, {"name": "form", "codes": over}]
    return {"program": "dissimilarity", "columns": columns, "settings": {"steps": steps}, "minimum_cell": minimum}


def people(cells: list[list[int]], providers: int = 1) -> Rows:
    """So many people in each cell, dealt to the providers in turn."""
    rows = [(sex, form) for sex, own in enumerate(cells) for form, count in enumerate(own) for _ in range(count)]
    keys = random.Random(4).sample(range(2**60), len(rows))
    dealt = [list(zip(keys, rows, strict=True))[own::providers] for own in range(providers)]
    return [InputRows([key for key, _ in own], [1] * len(own), [codes for _, codes in own]) for own in dealt]


def duncan(cells: list[list[int]], steps: int) -> int:
    """Independent of the program: decimals, the formula as it is published, halves up."""
    one, other = ([Decimal(count) / sum(own) for count in own] for own in cells)
    index = sum(abs(a - b) for a, b in zip(one, other, strict=True)) / 2
    return int((index * steps).quantize(Decimal(1), ROUND_HALF_UP))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("cells", "steps"),
    [
        ([[5, 5], [5, 5]], 100),  # alike
        ([[9, 0, 0], [0, 4, 4]], 100),  # nobody in common
        ([[7, 2, 4], [3, 8, 5]], 100),
        ([[1, 7], [4, 4]], 10),
        ([[3, 1], [1, 3]], 10),
    ],
)
def test_the_index_is_what_its_formula_says_at_any_number_of_parties(
    shape: Shape, cells: list[list[int]], steps: int
) -> None:
    module, rows = packages.loaded(packages.read(DISSIMILARITY)), people(cells)
    parameters = question(len(cells[0]), 1, steps)
    parties = execute(module, parameters, rows, [len(rows[0].keys) + 2], shape)
    assert revealed(parties, shape.t) == module.clear(parameters, rows) == [duncan(cells, steps), 1]


def test_any_table_is_rounded_as_decimals_round_it() -> None:
    rng, module = random.Random(9), packages.loaded(packages.read(DISSIMILARITY))
    for _ in range(200):
        codes, steps = rng.randint(2, 6), rng.choice([10, 37, 100])
        cells = [[rng.randint(0, 9) for _ in range(codes)] for _ in range(2)]
        totals = [*map(sum, cells), *map(sum, zip(*cells, strict=True))]
        told = module.clear(question(codes, 1, steps), people(cells))
        assert told == ([duncan(cells, steps), 1] if all(totals) else [0, 0])


@pytest.mark.parametrize(
    ("cells", "providers", "told"),
    [
        ([[5, 5], [5, 5]], 1, 1),
        ([[1, 2], [9, 9]], 1, 0),  # a group of three
        ([[9, 1], [9, 1]], 1, 0),  # a code that two have
        ([[5, 5], [5, 5]], 2, 1),
        ([[4, 4], [4, 4]], 3, 1),
        ([[3, 3], [3, 3]], 3, 1),
        ([[2, 3], [3, 2]], 4, 0),  # of 5 people three providers leave too few without one of them
    ],
)
def test_it_is_told_only_where_each_total_is_enough_without_any_one_provider(
    cells: list[list[int]], providers: int, told: int
) -> None:
    module, rows = packages.loaded(packages.read(DISSIMILARITY)), people(cells, providers)
    parameters = question(2, 4)
    bounds = [len(own.keys) + 1 for own in rows]
    result = revealed(execute(module, parameters, rows, bounds, SHAPES[0]), 1)
    assert result == module.clear(parameters, rows)
    assert result[1] == told and (told or result == [0, 0])


def test_numbers_of_the_largest_session_stay_in_the_field() -> None:
    """Signs are taken of numbers below 2^59 at m = 3, and 2^58 above (compare.py)."""
    module = packages.loaded(packages.read(DISSIMILARITY))
    steps = max(setting.most for setting in module.DESCRIPTOR.settings)
    assert module._compared(module._width([MAX_ROWS]), steps) < 58
    assert 4 * steps * (MAX_ROWS // 2) ** 2 < 2 ** module._compared(module._width([MAX_ROWS]), steps)


# What an examination finds: the package of the documentation, with one thing changed.


def altered(folder: Path, change: Callable[[str], str] = str, manifest: Callable[[str], str] = str) -> Path:
    shutil.copytree(DISSIMILARITY, folder, dirs_exist_ok=True)
    for name, edit in (("program.py", change), ("program.toml", manifest)):
        before = (folder / name).read_text()
        (folder / name).write_text(edit(before))
    return folder


def swap(old: str, new: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new)

    return change


def test_the_package_of_the_documentation_does_what_it_says() -> None:
    findings = examine(packages.loaded(packages.read(DISSIMILARITY)))
    assert [(finding.what, finding.wrong) for finding in findings] == [(what, "") for what in examination.ORDER]


LEAKS = swap(
    "    one, other = people.cells\n",
    "    one, other = people.cells\n    from connectors.engine.sharing import open_\n"
    '    await open_(rt, people.rows, "dissimilarity: a look")\n',
)


@pytest.mark.parametrize(
    ("change", "manifest", "what"),
    [
        (swap("+ both) // (2 * both), 1]", "+ both) // (2 * both) + 1, 1]"), str, TWIN),
        (swap("    return [(2 * steps", "    raise ValueError\n    return [(2 * steps"), str, TWIN),
        (str, swap('most = "steps"', "most = 3"), TYPES),
        (swap("reshare_cost(shape, 2)", "reshare_cost(shape, 3)"), str, COST),
        (LEAKS, str, TWIN),  # the engine opens nothing in a step that is not declared
        (str, lambda text: text + '\n[[opens]]\nstep = "dissimilarity: never"\nwhy = "it is not"\n', OPENS),
        (str, swap("Recipients learn", "Nobody hears of"), SAYS),
    ],
)
def test_an_examination_finds(
    change: Callable[[str], str], manifest: Callable[[str], str], what: str, tmp_path: Path
) -> None:
    package = packages.read(altered(tmp_path, change, manifest))
    wrong = {finding.what: finding.wrong for finding in examine(packages.loaded(package)) if finding.wrong}
    assert what in wrong


def test_an_opening_that_is_declared_is_found_to_send_more_than_the_cost_says(tmp_path: Path) -> None:
    """And whether it may be opened, nobody but a reader can say."""
    opens = '\n[[opens]]\nstep = "dissimilarity: a look"\nwhy = "it is not justified at all"\n'
    package = packages.read(altered(tmp_path, LEAKS, lambda text: text + opens))
    wrong = {finding.what for finding in examine(packages.loaded(package)) if finding.wrong}
    assert COST in wrong and OPENS not in wrong


def test_what_is_sent_may_not_follow_from_who_is_there(tmp_path: Path) -> None:
    """Rows give `encode` away how many there are: one word more for whoever has any."""
    longer = swap(
        "    return encoded(query, rows, bound, token_bytes)",
        "    return encoded(query, rows, bound + (len(rows.keys) > 3), token_bytes)",
    )
    package = packages.read(altered(tmp_path, longer))
    wrong = {finding.what for finding in examine(packages.loaded(package)) if finding.wrong}
    assert SIZES in wrong


# What is refused before anything of it is run.


@pytest.mark.parametrize(
    "line",
    [
        "import os",
        "import socket",
        "import connectors.engine.party",
        "from pathlib import Path",
        "from connectors.engine import party",
        "from connectors.engine.cold import to_cold",
        "from connectors.engine.inputs import seal_inputs",
        "from connectors.engine.programs.chi_square import clear",
        "from connectors.engine.runtime import Lockstep",
        "from gateway.edges import keys",
        "from . import helper",
        "from numpy import load",
        "from numpy import *",
        "import dataclasses",
        "from dataclasses import sys",
        "from dataclasses import make_dataclass",
        "from operator import attrgetter",
        "from typing import get_type_hints",
        "from connectors.engine.lanes import asyncio",
        "from connectors.engine.field import np",
        "from connectors.engine import programs",
        "np.fromfile('/etc/passwd')",
        "np.random.seed(1)",
        "open('/etc/passwd')",
        "eval('1')",
        "__import__('os')",
        "().__class__.__mro__",
        "getattr(np, 'load')",
        "def counter():\n    global seen\n",
        "this is no Python",
    ],
)
def test_a_module_that_uses_more_than_a_package_may_is_not_run(line: str, tmp_path: Path) -> None:
    folder = altered(tmp_path, lambda text: f"{text}\n{line}\n")
    with pytest.raises(IsthmusError) as caught:
        packages.read(folder)
    assert caught.value.reason is Reason.CONFIGURATION and "program.py, line" in caught.value.public


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('name = "dissimilarity"\nversion', 'name = "overlap"\nversion', "every release has"),
        ("version = 1", "version = 0", "version"),
        ("fewest = 2\nmost = 2", "fewest = 3\nmost = 2", "codes"),
        ('use = "codes"\nsays = "the two', 'use = "text"\nsays = "the two', "use"),
        ("version = 1", "version = 1\nsecret = 2", "unknown field secret"),
        ('per = "steps"', 'per = "stairs"', "none of the settings"),
        ("least = 10", "least = 0", "per from 1 on"),
        ("version = 1", "version =", "program.toml"),
    ],
)
def test_a_manifest_that_does_not_hold_is_refused_by_name(old: str, new: str, said: str, tmp_path: Path) -> None:
    folder = altered(tmp_path, manifest=swap(old, new))
    with pytest.raises(IsthmusError, match=said) as caught:
        packages.read(folder)
    assert caught.value.reason is Reason.CONFIGURATION


def test_a_package_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IsthmusError, match="cannot be read"):
        packages.read(tmp_path)
    folder = altered(tmp_path, swap("def cost(", "def costs("))
    with pytest.raises(IsthmusError, match="no function cost"):
        packages.loaded(packages.read(folder))


# Digests.


def test_a_digest_changes_with_module_and_manifest_and_with_nothing_else(tmp_path: Path) -> None:
    before = packages.read(DISSIMILARITY).digest
    assert packages.read(altered(tmp_path / "same")).digest == before
    (tmp_path / "same" / "README").write_text("notes")
    assert packages.read(tmp_path / "same").digest == before
    assert packages.read(altered(tmp_path / "module", lambda text: text + "\n")).digest != before
    assert packages.read(altered(tmp_path / "says", manifest=swap("the two groups", "both groups"))).digest != before
    spaced = altered(tmp_path / "layout", manifest=lambda text: text.replace("\n\n", "\n\n\n"))
    assert packages.read(spaced).digest == before  # what it says is the same


@pytest.fixture
def installed() -> Any:
    """The programs of this process are afterwards what they were."""
    before, added = dict(programs.PROGRAMS), dict(programs._ADDED)
    yield
    for known, old in ((programs.PROGRAMS, before), (programs._ADDED, added)):
        known.clear()
        known.update(old)  # type: ignore[arg-type]


def test_what_is_installed_has_the_digest_that_was_admitted(installed: None, tmp_path: Path) -> None:
    folder = altered(tmp_path / "one")
    digest = packages.read(folder).digest
    with pytest.raises(IsthmusError, match="the configuration admits") as caught:
        packages.install(folder, "0" * 64)
    assert caught.value.field == "programs" and "dissimilarity" not in programs.PROGRAMS
    packages.install(folder, digest)
    packages.install(folder, digest)  # again is the same
    assert programs.digest("dissimilarity") == digest
    other = altered(tmp_path / "other", lambda text: text + "\n")
    with pytest.raises(IsthmusError, match="with other bytes"):
        packages.install(other, packages.read(other).digest)
    assert programs.digest("dissimilarity") == digest


# In processes that may open no file, as sessions have them.


def federated(folder: Path, parameters: dict[str, Any], rows: Rows) -> tuple[Federation, PartySettings]:
    package = packages.read(folder)
    packages.install(folder, package.digest)
    federation = Federation(programs.PROGRAMS["dissimilarity"], parameters, rows, [len(own.keys) + 1 for own in rows])
    return federation, replace(SETTINGS, packages=((str(folder), package.digest),))


async def test_confined_parties_compute_what_the_twin_says(installed: None) -> None:
    parameters, rows = question(3, 3), people([[7, 2, 4], [3, 8, 5]], 2)
    federation, settings = federated(DISSIMILARITY, parameters, rows)
    seats = await relayed(federation, settings=settings)
    assert federation.result(seats) == federation.program.clear(parameters, rows)
    assert {seat.ending for seat in seats} == {"with exit code 0"}


async def test_a_program_that_puts_out_more_than_it_declares_is_stopped_before_anything_is_sealed(
    installed: None, tmp_path: Path
) -> None:
    """Here: the counts of both groups behind the two numbers that it says it puts out."""
    more = swap(
        "np.concatenate([value, people.told])", "np.concatenate([value, people.told, people.cells.reshape(-1)])"
    )
    federation, settings = federated(altered(tmp_path, more), question(3, 3), people([[7, 2, 4], [3, 8, 5]], 2))
    seats = await relayed(federation, settings=settings)
    assert not any(seat.outputs for seat in seats)
    assert any("put out 8 numbers, not 2" in str(seat.ended) for seat in seats)


async def test_a_party_whose_folder_changed_since_is_not_forked(installed: None, tmp_path: Path) -> None:
    """Its operator admitted other bytes; the fork server says so and ends, as its agent would at its start."""
    _, settings = federated(altered(tmp_path), question(3, 3), people([[7, 2, 4], [3, 8, 5]], 2))
    (tmp_path / "program.py").write_text((tmp_path / "program.py").read_text() + "\n")
    server = await ForkServer.started(settings)
    try:
        with pytest.raises(ServerGone, match="the configuration admits"):
            await server.warm()
    finally:
        await server.close()


async def test_a_job_with_another_digest_of_the_same_name_is_refused(installed: None) -> None:
    parameters, rows = question(3, 3), people([[7, 2, 4], [3, 8, 5]], 2)
    federation, settings = federated(DISSIMILARITY, parameters, rows)

    def other(pid: int, job: dict[str, Any]) -> None:
        job["program"]["digest"] = "0" * 64

    seats = await relayed(federation, edit_job=other, settings=settings)
    assert any(seat.ended.get("reason") == "PROGRAM_MISMATCH" for seat in seats)


def test_a_package_of_numbers_counted_by_codes_does_what_it_says() -> None:
    folder = Path(__file__).parents[1] / "data" / "programs" / "at_least"
    findings = examine(packages.loaded(packages.read(folder)))
    assert [finding for finding in findings if finding.wrong] == []
