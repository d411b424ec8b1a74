"""The inbox in the agent's own database, for the command line on the agent's machine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from connectors.budgets import describe
from connectors.config import AgentConfig
from connectors.desk import Desk
from connectors.people import People
from connectors.rules.decisions import Rule
from connectors.stewards import load_stewards, rule_of
from gateway.cli.auditing import opened
from gateway.config import load
from gateway.domain.inbox import Shown, Waiting
from gateway.domain.offer import Operator
from gateway.edges.clock import SystemClock
from gateway.edges.documents import Reader
from gateway.edges.federation import Federation, operator_of
from gateway.edges.tokens import Verifier

PAGE = 200


@dataclass(frozen=True, slots=True)
class Beside:
    desk: Desk

    async def list(self, everything: bool) -> Sequence[Waiting]:
        found: list[Waiting] = []
        after = ""
        while True:
            page, after = await self.desk.listed(everything, after=after, limit=PAGE)
            found += page
            if not after:
                return found

    async def show(self, plan: str) -> Shown:
        return await self.desk.show(plan)

    async def hand_in(self, plan: str, decision: str) -> Waiting:
        return await self.desk.take(plan, decision)


@asynccontextmanager
async def beside(agent: Path) -> AsyncIterator[tuple[Beside, dict[str, str]]]:
    """The inbox, and the names of the stewards by thumbprint."""
    settings = load(AgentConfig, agent)
    stewards = load_stewards(settings.stewards)
    described = describe(settings)
    clock = SystemClock()

    def rule(name: str, statistic: str) -> Rule | None:
        held = described.get(name)
        return None if held is None else rule_of(held.dataset.terms, held.stewards, statistic, stewards)

    async with opened(agent, settings) as database:

        async def believed() -> tuple[Reader, Mapping[str, Operator]]:
            trust = Federation([anchor.load() for anchor in settings.anchors], clock.now, database.beliefs)
            await trust.restore()
            known = {str(entity.entity_id): operator_of(entity) for entity in trust.entities()}
            return Reader(Verifier(trust, clock.now)), known

        people = People(settings.entity, rule, stewards, database.inbox, clock)
        desk = Desk(settings.entity, database, people, lambda: described, believed, clock)
        yield Beside(desk), {steward.key.kid: steward.name for steward in stewards}
