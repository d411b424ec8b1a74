"""`isthmus trust show`: what a configuration and its database say of who is believed, invited or a member."""

from __future__ import annotations

import asyncio
import json
import time
import tomllib
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from gateway.anchor.app import opened
from gateway.cli.trust_rulebook import standing_of
from gateway.config import GatewayConfig, database_url, load
from gateway.domain.identity import Entity, Jwk
from gateway.domain.membership import Member
from gateway.edges.anchors import read_statements
from gateway.edges.clock import SystemClock
from gateway.edges.federation import CHAINS, Federation
from gateway.edges.own_statement import own_statement
from gateway.edges.space_keys import SpaceKeys
from gateway.edges.store.database import Database
from gateway.rules.invitations import fingerprint
from gateway.rules.jose import MAX_CHAIN_BYTES, TokenProblem, parse_compact
from gateway.rules.membership import word_of
from gateway.rules.rulebook import acceptance_of

T = TypeVar("T")
_ALL = 1_000_000


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


async def shown(config: Path) -> dict[str, Any]:
    """As `--json` prints it. Raises IsthmusError(CONFIGURATION)."""
    with suppress(OSError, tomllib.TOMLDecodeError):
        if "operator" not in tomllib.loads(config.read_text()):
            return await _anchor(config)
    return await _space(config)


async def _anchor(config: Path) -> dict[str, Any]:
    async with opened(config) as office:
        card = office.desk.card
        members = [
            {
                "entity": member.entity,
                "state": "left" if member.left else "suspended" if member.suspended else _state(member),
                "rulebook": _accepted(member, card.entity),
                "joined": member.joined,
                "statement_expires": member.statement_expires,
                "believed_until": _expiry([member.configuration, member.statement]),
                "keys": {
                    "federation": _kids(member.pins.federation),
                    "contracts": _kids(member.pins.contracts),
                    "revocations": _kids(member.pins.revocations),
                },
                **_described(member.configuration),
            }
            for member in await office.database.members.since(0, _ALL)
        ]
        invitations = [
            {
                "id": one.id,
                "entity": one.entity,
                "state": "expired" if one.state.value == "open" and one.expires < time.time() else one.state.value,
                "expires": one.expires,
                "attempts": one.attempts,
            }
            for one in await office.database.invitations.list()
        ]
        return {
            "anchor": card.entity,
            "address": card.address,
            "fingerprint": fingerprint(card.keys),
            "prefixes": list(card.prefixes),
            "members": sorted(members, key=lambda member: str(member["entity"])),
            "invitations": sorted(invitations, key=lambda one: int(str(one["expires"]))),
        }


async def _space(config: Path) -> dict[str, Any]:
    settings = load(GatewayConfig, config)
    now = int(time.time())
    anchors = [anchor.load() for anchor in settings.anchors]
    trust = Federation(anchors, lambda: now)
    statements = read_statements(settings.statement)
    superiors: dict[str, str] = {}
    if statements:
        keys = SpaceKeys(settings.keys, settings.tls, settings.entity, trust, SystemClock())
        own = own_statement(settings, keys, [anchor.entity_id for anchor in anchors], now)
        with suppress(TokenProblem):
            superiors[trust.admit([own, *statements]).entity_id] = _issuer(statements[-1])
    async with await Database.open(database_url(settings.database, config.parent)) as database:
        await trust.rulebooks.restore(database.beliefs)
        for belief in await database.beliefs.all(CHAINS):
            chain = json.loads(belief.body)
            with suppress(TokenProblem):
                superiors[trust.admit(chain).entity_id] = _issuer(chain[-1])
    return {
        "entity": settings.entity,
        "joined": trust.entity(settings.entity) is not None,
        "admit": settings.admit,
        "anchors": [
            {
                "entity": anchor.entity,
                "address": anchor.address,
                "fingerprint": fingerprint(pinned.keys),
                "prefixes": list(anchor.prefixes),
            }
            for anchor, pinned in zip(settings.anchors, anchors, strict=True)
        ],
        "believed": [
            {**_believed(entity, superiors[entity.entity_id]), **standing_of(entity, trust)}
            for entity in trust.entities()
        ],
    }


def tables(found: dict[str, Any]) -> list[Callable[[], RenderableType]]:
    """The same for people."""
    if "anchor" in found:
        head = f"{found['anchor']} at {found['address']}, fingerprint {found['fingerprint']}\n"
        head += f"vouches for {', '.join(found['prefixes'])}"
        members = _table(
            ("member", "state", "rulebook", "operator", "where", "endpoint", "believed until", "statement until"),
            (
                (
                    each["entity"], each["state"], str(each["rulebook"] or ""),
                    each["operator"], each["jurisdiction"], each["endpoint"],
                    _day(each["believed_until"]), _day(each["statement_expires"]),
                )
                for each in found["members"]
            ),
        )  # fmt: skip
        invited = _table(
            ("invitation", "for", "state", "until", "attempts"),
            (
                (each["id"], each["entity"], each["state"], _day(each["expires"]), str(each["attempts"]))
                for each in found["invitations"]
            ),
        )
        return [lambda: Text(head), lambda: members, lambda: invited]
    state = "has joined" if found["joined"] else "has not joined, or its statement has expired"
    anchors = _table(
        ("anchor", "address", "fingerprint", "believed about"),
        (
            (each["entity"], each["address"] or "not asked", each["fingerprint"], "\n".join(each["prefixes"]))
            for each in found["anchors"]
        ),
    )
    believed = _table(
        ("space", "operator", "where", "endpoint", "by", "until", "rulebook", "federation key"),
        (
            (
                each["entity"], each["operator"], each["jurisdiction"], each["endpoint"], each["anchor"],
                _day(each["believed_until"]), each["objection"] or str(each["rulebook"] or ""),
                each["keys"]["federation"][0][:16],
            )
            for each in found["believed"]
        ),
    )  # fmt: skip
    return [lambda: Text(f"{found['entity']} {state}; peers: {found['admit']}"), lambda: anchors, lambda: believed]


def _believed(entity: Entity, anchor: str) -> dict[str, Any]:
    return {
        "entity": entity.entity_id,
        "operator": entity.operator,
        "jurisdiction": entity.jurisdiction,
        "endpoint": entity.endpoint,
        "anchor": anchor,
        "believed_until": entity.expires_at,
        "keys": {
            "federation": _kids(entity.federation_keys),
            "tokens": _kids(entity.token_keys),
            "contracts": _kids(entity.contract_keys),
            "revocations": _kids(entity.revocation_keys),
        },
    }


def _state(member: Member) -> str:
    return "paused" if word_of(member.configuration).paused else "member"


def _accepted(member: Member, anchor: str) -> int:
    accepted = acceptance_of(word_of(member.configuration), anchor)
    return 0 if accepted is None else accepted.version


def _described(configuration: str) -> dict[str, str]:
    """What a member said of itself; the anchor verified it when it came."""
    metadata = parse_compact(configuration, MAX_CHAIN_BYTES).claims["metadata"]["isthmus_gateway"]
    return {
        "operator": str(metadata["organization_name"]),
        "jurisdiction": str(metadata["jurisdiction"]),
        "endpoint": str(metadata["endpoint"]),
    }


def _issuer(statement: str) -> str:
    return str(parse_compact(statement, MAX_CHAIN_BYTES).claims["iss"])


def _expiry(chain: list[str]) -> int:
    return min(int(parse_compact(statement, MAX_CHAIN_BYTES).claims["exp"]) for statement in chain)


def _kids(keys: Iterable[Jwk]) -> list[str]:
    return [key.kid for key in keys]


def _day(at: int) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M}"


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Table:
    made = Table(box=None, header_style="bold", pad_edge=False)
    for head in heads:
        made.add_column(head, overflow="fold")
    for row in rows:
        made.add_row(*(Text(cell) for cell in row))
    return made
