"""Reads what a record of processing needs from a gateway's own database. The gateway may run meanwhile.

Invariant: it changes nothing and asks nobody; neither a share nor a table is opened.
"""

from __future__ import annotations

from pathlib import Path

from gateway.cli.auditing import opened
from gateway.config import GatewayConfig, load
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.offer import Operator
from gateway.edges.clock import SystemClock
from gateway.edges.federation import Federation, operator_of
from gateway.ports import Clock
from gateway.rules.contract import stored_contract
from gateway.rules.processing import Processing, processing


async def processing_of(config: Path, id: str, clock: Clock | None = None) -> Processing:
    """Raises IsthmusError(NOT_FOUND) for a computation that this space was never part of."""
    settings, clock = load(GatewayConfig, config), clock or SystemClock()
    async with opened(config, settings) as database:
        kept = await database.computations.get(id.removeprefix("computations/"))
        if kept is None:
            raise IsthmusError(
                Reason.NOT_FOUND,
                f"this space has no computation {id:.100}",
                field="ID",
                advice="An operator sees all of them: isthmus computations list",
            )
        trust = Federation([anchor.load() for anchor in settings.anchors], clock.now, database.beliefs)
        await trust.restore()
    body = stored_contract(kept.contract, kept.contract_digest) if kept.contract else None
    operators: dict[str, Operator] = {entity.entity_id: operator_of(entity) for entity in trust.entities()}
    own = settings.operator  # whose own chain is made afresh, and is in no store
    named = Operator(settings.entity, own.name, own.group, tuple(own.affiliates), own.jurisdiction)
    operators.setdefault(settings.entity, named)
    return processing(kept, body, settings.entity, operators, settings.retention.rules, clock.now())
