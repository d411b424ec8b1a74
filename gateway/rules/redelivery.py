"""Whether a contract is answered from output shares that were kept of an earlier one, and of which: pure.

Invariants: contract and approvals alone decide, so that every space comes to the same and no gateway can decide it;
an agent says that it keeps a share only for the very pid, m, t, program and cells that the contract has; what all
seats name is one earlier contract, or there is no re-delivery. A wrong word gives no wrong number: shares of different
sessions do not lie on one polynomial.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Sequence

from gateway.domain.approval import SignedApproval, SignedContract
from gateway.domain.contract import Contract
from gateway.domain.kept import Kept
from gateway.domain.plan import Verdict
from gateway.rules.canonical import question
from gateway.rules.statistics import about_one_person

DIGEST = re.compile(r"[0-9a-f]{64}")


def origin(contract: SignedContract, approvals: Iterable[SignedApproval]) -> str:
    """The digest of the earlier contract whose kept shares answer this one; empty if it has to be computed.

    `approvals` are those of which `gateway.rules.roster` makes a roster: one of each space.
    """
    # A demonstration shows what a party receives, and none runs; about one person nobody keeps a share.
    if contract.body.demo_view or about_one_person(contract.body.query):
        return ""
    kept = {approval.entity: approval.body.kept for approval in approvals}
    named = {kept.get(seat.entity, "") for seat in contract.body.seats}
    if len(named) != 1:
        return ""
    (one,) = named
    return one if one != contract.digest and DIGEST.fullmatch(one) else ""


def answers(kept: Kept, contract: Contract, entity: str) -> bool:
    """Whether what `entity` keeps answers `contract` at each of its seats."""
    return (
        not contract.demo_view
        and not about_one_person(contract.query)
        and kept.question == question(contract)
        and kept.seats == tuple(seat.entity for seat in contract.seats)
        and (len(kept.seats), kept.t) == (contract.m, contract.t)
        and kept.program == contract.program.digest
        and [share.pid for share in kept.shares] == [seat.pid for seat in contract.seats_of(entity)] != []
        and set(_cells(kept.parameters)) == set(_cells(contract.program.parameters))
        and _measures(kept.parameters) == _measures(contract.program.parameters)
    )


def rearranged(shares: Sequence[int], there: str, here: str) -> list[int]:
    """One party's output vector under the parameters `there`, in the order of cells that the parameters `here` give.

    A vector is one or more values for each cell, block by block, and behind them what is said of all cells together.
    Raises ValueError unless both have the same cells, the same measures in the same order, and the vector fits them.
    """
    if _measures(there) != _measures(here):
        raise ValueError("the measures are not those of the kept shares, or stand in another order")
    place = {cell: number for number, cell in enumerate(_cells(there))}
    order = [place.get(cell) for cell in _cells(here)]
    blocks = len(shares) - _of_all(here)
    if len(order) != len(place) or not order or blocks < 0 or blocks % len(order):
        raise ValueError("the cells are not those of the kept shares")
    moved = []
    for start in range(0, blocks, len(order)):
        for number in order:
            if number is None:
                raise ValueError("a cell is none of the kept shares'")
            moved.append(shares[start + number])
    return [*moved, *shares[blocks:]]


def agreed_seats(draft: Contract, verdicts: Iterable[Verdict]) -> tuple[str, ...]:
    """The seats, by pid, of an answer to the draft's question, where every owner asked says the same who sits in the
    draft or would sit then; none otherwise.

    No owner is moved from its seat by another's word alone, and a space that the draft does not seat comes to one only
    where all owners say so: who sits decides who could see everything together.
    """
    owners = {provider.entity for provider in draft.providers}
    said = {verdict.space: verdict.kept_seats for verdict in verdicts if verdict.space in owners}
    named = {kept_seats for kept_seats in said.values() if kept_seats}
    if len(named) != 1:
        return ()
    (one,) = named
    drafted = {seat.entity for seat in draft.seats}
    sitting = said.keys() & (drafted | set(one))
    confirming = sitting if set(one) <= drafted else owners
    return one if all(said.get(owner) == one for owner in confirming) else ()


def _measures(parameters: str) -> list[str]:
    """What is measured, in the order of the blocks that it makes in a vector."""
    return [measure["name"] for measure in json.loads(parameters).get("measures", [])]


def _of_all(parameters: str) -> int:
    """How many outputs are about no one cell: a test between groups, and whether it is told."""
    return 2 if json.loads(parameters).get("log_rank") else 0


def _cells(parameters: str) -> list[frozenset[tuple[str, str]]]:
    """Each cell by its code in every column, and by the stage reached, how close together people were recorded or which
    quantile it is where that is asked, or by whether it is on each list, in the program's order
    (`gateway.rules.statistics`). A test is of the whole table, one cell of all codes."""
    given = json.loads(parameters)
    if "program" in given:  # what an order of codes means to it, it alone knows
        return [frozenset({("", parameters)})]
    if "test" in given:
        return [frozenset((column["name"], code) for column in given["columns"] for code in column["codes"])]
    if "lists" in given:
        names = given["lists"]
        patterns = range(1, 1 << len(names))
        return [frozenset((name, str(p >> bit & 1)) for bit, name in enumerate(names)) for p in patterns]
    # The last axis, which has an order of its own; no column is called like it.
    ends = len(given.get("stages", given.get("at", [0])))
    if "within" in given:
        ends = len(given["within"]) + 2
    columns = [[(column["name"], code) for code in column["codes"]] for column in given["columns"]]
    return [frozenset(cell) for cell in itertools.product(*columns, [("", str(end)) for end in range(ends)])]
