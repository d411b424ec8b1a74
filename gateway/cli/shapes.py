"""The JSON objects of `--json`: their names and nesting are an interface and only grow.

Invariant: a suppressed cell is null and named in its row's `suppressed`; it is never zero and never left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from gateway.client.estimates import Estimate
from gateway.client.export import SUPPRESSED, column_names, hidden, overall
from gateway.client.messages import Catalogue, Listed, ListedProgram
from gateway.client.overlaps import overlaps
from gateway.client.summary import Summary
from gateway.domain.computation import Computation
from gateway.domain.offer import Space
from gateway.domain.result import Table
from gateway.rules.records import to_plain


def of_catalogue(catalogue: Catalogue, now: int) -> dict[str, Any]:
    return {
        "datasets": [of_dataset(listed, now) for listed in catalogue.datasets],
        "unreachable": list(catalogue.unreachable),
    }


def of_dataset(listed: Listed, now: int) -> dict[str, Any]:
    plain: dict[str, Any] = to_plain(listed.dataset)
    return {**plain, "space": f"https://{listed.dataset.space_host}", "age_seconds": max(0, now - listed.seen)}


def of_space(space: Space, now: int) -> dict[str, Any]:
    plain: dict[str, Any] = to_plain(space.operator)
    programs = [to_plain(program) for program in space.offer.programs]
    return {
        **plain,
        "seats": space.offer.seats,
        "engine": space.offer.engine,
        "programs": programs,
        "reachable": space.reachable,
        "rulebook": space.rulebook,
        "objection": None if space.objection is None else to_plain(space.objection),
        "age_seconds": max(0, now - space.seen),
    }


def of_program(listed: ListedProgram) -> dict[str, Any]:
    plain: dict[str, Any] = to_plain(listed.program)
    return {**plain, "spaces": list(listed.spaces), "statistics": list(listed.statistics)}


def of_computation(computation: Computation) -> dict[str, Any]:
    """Where it stands; its result is `of_run`."""
    return {
        "computation": computation.name,
        "state": computation.state.value,
        "contract": computation.contract_digest,
        "plan": computation.plan_digest,
        "requester": computation.requester,
        "created": computation.created,
        "updated": computation.updated,
        "spaces": [to_plain(status) for status in computation.spaces],
        "ending": to_plain(computation.ending) if computation.ending is not None else None,
        "deletions": [to_plain(gone) for gone in computation.deletions],
    }


def of_run(
    computation: Computation, table: Table | None, estimates: Sequence[Estimate] | None, short: Summary | None
) -> dict[str, Any]:
    """A run's one object. Without a release there are no rows, and `ending` says why."""
    made: dict[str, Any] = {
        "computation": computation.name,
        "state": computation.state.value,
        "contract": computation.contract_digest,
        "columns": [*column_names(table), *table.numbers] if table is not None else [],
        "rows": of_rows(table) if table is not None else [],
    }
    if table is not None and table.overall:
        made["overall"] = overall(table)
    if table is not None and short is not None and short.contract.query.statistic.overlap is not None:
        whole = overlaps(table, short.contract.limits)
        made["overlap"] = None if whole is None else asdict(whole)
    if estimates is not None:
        made["estimates"] = [asdict(estimate) for estimate in estimates]
    made["receipt"] = of_summary(short) if short is not None else None
    if computation.ending is not None:
        made["ending"] = to_plain(computation.ending)
    return made


def of_rows(table: Table) -> list[dict[str, Any]]:
    """Each row an object of its codes, its count and its further values."""
    names = [*column_names(table), *table.numbers]
    return [
        {**dict(zip(names, (*row.codes, *table.told(row)), strict=True)), SUPPRESSED: hidden(table, row)}
        for row in table.rows
    ]


def of_summary(short: Summary) -> dict[str, Any]:
    return {
        "contract": short.digest,
        "editions": {item.dataset: item.edition for provider in short.contract.providers for item in provider.inputs},
        "limits": to_plain(short.contract.limits),
        **_noise(short),
        "approvals": [asdict(approval) for approval in short.approvals],
        "audit_heads": [
            {"entity": receipt.space, "size": receipt.tree_size, "root": receipt.tree_head}
            for receipt in short.receipts
        ],
        "outputs": [{"entity": receipt.space, "digests": list(receipt.outputs)} for receipt in short.receipts],
        "cost": [
            {
                "entity": receipt.space,
                "bytes_sent": receipt.bytes_sent,
                "rounds": receipt.rounds,
                "seconds": receipt.seconds,
            }
            for receipt in short.receipts
        ],
        "seconds": short.seconds,
        "redelivered": short.redelivered or None,
    }


def _noise(short: Summary) -> dict[str, Any]:
    """Where counts have noise: its ε, as the contract writes it, and how far they are off at most with 95 percent."""
    limits = short.contract.limits
    return {} if limits.epsilon is None else {"noise": {"epsilon": limits.epsilon, "off_by_95": short.off_by_95}}
