"""What an anchor's operator does on the command line, on the anchor's own database."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from gateway.anchor.app import opened
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.identity import EntityId, parse_entity_id
from gateway.edges.clock import SystemIds
from gateway.rules.invitations import fingerprint

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Made:
    """An invitation that was made; `line` is what is handed over."""

    id: str
    entity: str
    expires: int
    line: str
    fingerprint: str


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


async def invite(config: Path, entity: str, valid: int, *, again: bool) -> Made:
    invited = entity_of(entity)
    async with opened(config) as office:
        kept, line = office.desk.invite(invited, valid, SystemIds(), again=again)
        await office.vouch.invite(kept)
        return Made(kept.id, kept.entity, kept.expires, line, fingerprint(office.desk.card.keys))


async def withdraw(config: Path, id: str) -> None:
    async with opened(config) as office:
        await office.vouch.withdraw(id)


async def suspend(config: Path, entity: str, *, lift: bool) -> None:
    async with opened(config) as office:
        await office.vouch.suspend(entity_of(entity), lift=lift)


def entity_of(text: str) -> EntityId:
    try:
        return parse_entity_id(text)
    except ValueError as problem:
        raise IsthmusError(
            Reason.INVALID_ARGUMENT, str(problem), field="ENTITY", advice="For example https://care.example"
        ) from None
