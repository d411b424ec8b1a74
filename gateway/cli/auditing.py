"""What `isthmus audit` does: opens a process's database beside it, and hashes, compares, proves.

Invariants: nothing is changed but by `accept`, and no database is made; what is verified is all that is stored, hashed
again; whoever checks a proof needs the file alone.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import make_url

from connectors.config import AgentConfig
from gateway.anchor.config import AnchorProcessConfig
from gateway.cli.proofs import ConsistencyFile, InclusionFile
from gateway.config import GatewayConfig, broken, database_url, load
from gateway.domain.audit import Break, Fact, SignedHead
from gateway.domain.computation import Computation
from gateway.domain.errors import IsthmusError, Reason
from gateway.edges.audit_guard import Promise
from gateway.edges.audit_heads import own_promises, promises_signed
from gateway.edges.clock import SystemClock
from gateway.edges.store.database import Database
from gateway.flows.witness import FORKS, Witness
from gateway.rules import heads as rules
from gateway.rules.jose import TokenProblem
from gateway.rules.merkle import leaf_hash
from gateway.rules.records import from_bytes, to_plain

PAGE = 500

Settings = GatewayConfig | AgentConfig | AnchorProcessConfig


@dataclass(frozen=True, slots=True)
class Verified:
    """One log, hashed again: what it is over, how many signed heads it was held against, where it breaks."""

    process: str
    entity: str
    size: int
    root: str
    heads: int
    found: Break | None

    def plain(self) -> dict[str, Any]:
        said = {"log": self.process, "entity": self.entity, "size": self.size, "root": self.root, "heads": self.heads}
        return {**said, "holds": self.found is None, "break": None if self.found is None else to_plain(self.found)}

    def said(self) -> str:
        against = f", and fits {self.heads} signed heads" if self.heads else ""
        if self.found is None:
            return f"The {self.process}'s log of {self.entity} holds: {self.size} records, root {self.root}{against}."
        record = f" (it says: {self.found.kind} at {self.found.at})" if self.found.kind else ""
        return f"The {self.process}'s log of {self.entity} is BROKEN: {self.found.text}{record}."


@dataclass(frozen=True, slots=True)
class Report:
    logs: tuple[Verified, ...]
    # (space, what is wrong) of others, from the receipts that this space holds.
    forks: tuple[tuple[str, str], ...] = ()

    def plain(self) -> dict[str, Any]:
        forks = [{"space": space, "text": text} for space, text in self.forks]
        return {"logs": [log.plain() for log in self.logs], "forks": forks}

    def said(self) -> str:
        forked = [f"The agent's log of {space} was FORKED: its receipts carry {text}." for space, text in self.forks]
        return "\n".join([*(log.said() for log in self.logs), *forked])

    def check(self) -> None:
        """Raises IsthmusError(AUDIT_BROKEN) with the first thing that is wrong."""
        for log in self.logs:
            if log.found is not None:
                text, advice = log.found.text, "Keep the database as it is; docs/audit.md says what to do"
                raise IsthmusError(Reason.AUDIT_BROKEN, f"the audit log does not hold: {text}", advice=advice)
        for space, text in self.forks:
            advice = f"Ask the operator of {space}, and accept it when you know why: isthmus audit accept"
            raise IsthmusError(Reason.AUDIT_BROKEN, f"the log was forked: {text}", space=space, advice=advice)


def settings_of(config: Path) -> tuple[str, Settings]:
    """What the file configures: a gateway, an agent or an anchor. Raises IsthmusError(CONFIGURATION)."""
    try:
        keys = set(tomllib.loads(config.read_text()))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        keys = {"operator"}  # `load` says what is wrong
    if "operator" in keys:
        return "gateway", load(GatewayConfig, config)
    if "gateway" in keys:
        return "agent", load(AgentConfig, config)
    return "anchor", load(AnchorProcessConfig, config)


@asynccontextmanager
async def opened(config: Path, settings: Settings) -> AsyncIterator[Database]:
    """The database that `config` names. Raises IsthmusError(CONFIGURATION), where it is not there yet too."""
    url = database_url(settings.database, config.parent)
    file = make_url(url).database if url.startswith("sqlite") else None
    if file is not None and not Path(file).exists():
        raise broken(f"there is no database {file} yet", "database", "Start the process once, or name its own user")
    async with await Database.open(url) as database:
        yield database


async def verify(config: Path, given: Path | None) -> Report:
    """The log of `config`, held against every head of it that is known here or stands in the file `given`; of a gateway
    with an embedded agent that agent's too, and everybody's receipts against each other."""
    process, settings = settings_of(config)
    brought = [] if given is None else _receipts_in(given)
    if isinstance(settings, AgentConfig):
        promises = promises_signed(brought, settings.entity, settings.keys.contract)
        return Report((await _verified(config, settings, process, promises),))
    if not isinstance(settings, GatewayConfig):
        return Report((await _verified(config, settings, process, []),))
    own = await _verified(config, settings, process, [])
    async with opened(config, settings) as database:
        held = await signed_heads(database)
        known = {belief.issuer: belief.body for belief in await database.beliefs.all(FORKS)}
    # What the gateway has noticed stands until it is accepted, and then until it notices something new.
    noticed = [(space, _told(body)) for space, body in known.items() if body]
    forks = (*noticed, *((space, text) for space, text in rules.forks(held) if space not in known))
    if settings.agent is None:
        return Report((own,), forks)
    path = settings.agent.config
    beside = load(AgentConfig, path)
    receipts = [*(head.receipt for head in held), *brought]
    promises = promises_signed(receipts, settings.entity, settings.keys.contract)
    return Report((own, await _verified(path, beside, "agent", promises)), forks)


async def signed_heads(database: Database, space: str = "") -> list[SignedHead]:
    """The heads in all receipts that a gateway holds, of one space or of all, in the order in which they came."""
    found: list[tuple[int, SignedHead]] = []
    page: Sequence[Computation] = ()
    while page := await database.computations.list(requester=None, after=page[-1].id if page else "", limit=PAGE):
        for computation in page:
            for receipt in computation.receipts:
                try:
                    head = rules.signed_head(receipt.token)
                except TokenProblem:
                    raise IsthmusError(
                        Reason.AUDIT_BROKEN,
                        f"a receipt of {computation.name} in the store is not what came",
                        advice="Keep the database as it is; docs/audit.md says what to do",
                    ) from None
                if not space or head.space == space:
                    found.append((computation.updated, head))
    return [head for _, head in sorted(found, key=lambda one: (one[0], one[1].at))]


async def accept(config: Path, entity: str) -> bool:
    _, settings = settings_of(config)
    if not isinstance(settings, GatewayConfig):
        raise broken("a fork of another space is accepted at the gateway", "config", "Name its gateway.toml")
    async with opened(config, settings) as database:
        return await Witness(database.beliefs, database.audit, SystemClock()).accept(entity)


async def heads(config: Path, space: str) -> list[SignedHead]:
    _, settings = settings_of(config)
    if not isinstance(settings, GatewayConfig):
        raise broken("receipts lie with the gateway", "config", "Name its gateway.toml")
    async with opened(config, settings) as database:
        return await signed_heads(database, space)


async def prove(config: Path, position: int | None, since: int | None, size: int | None) -> dict[str, Any]:
    """The proof as `check-proof` reads it; of a record, or else of growth since."""
    _, settings = settings_of(config)
    async with opened(config, settings) as database:
        if position is not None:
            included = await database.audit.include(position, size)
            head, path = included.head, included.path
            made: InclusionFile | ConsistencyFile = InclusionFile(
                "inclusion", settings.entity, position, included.record, head.size, head.root, path
            )
        else:
            grown = await database.audit.consist(since or 0, size)
            earlier, head, path = grown.since, grown.head, grown.path
            made = ConsistencyFile(
                "consistency", settings.entity, earlier.size, earlier.root, head.size, head.root, path
            )
    if not made.holds():
        text, advice = "the log does not hold, and proves nothing", "Find out where: isthmus audit verify"
        raise IsthmusError(Reason.AUDIT_BROKEN, text, advice=advice)
    plain: dict[str, Any] = to_plain(made)
    return plain


def in_one_line(made: dict[str, Any]) -> str:
    return json.dumps(made)


def exported(position: int, record: str) -> dict[str, Any]:
    """A record with its leaf hash; what is no JSON any more is left as the text that it is."""
    try:
        fact = json.loads(record)
    except ValueError:
        fact = record
    return {"position": position, "fact": fact, "leaf": leaf_hash(record.encode()).hex()}


def exported_line(position: int, record: str) -> str:
    try:
        fact = from_bytes(Fact, record, what="fact")
        at = datetime.fromtimestamp(fact.at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    except (IsthmusError, ValueError, OverflowError, OSError):
        return f"{position}  {record}"
    return f"{position}  {at}  {fact.kind}  {fact.subject}  {fact.about}  {fact.detail}"


def _told(evidence: str) -> str:
    """What two receipts that are kept as evidence have against each other."""
    before, came = map(rules.signed_head, json.loads(evidence))
    return rules.fork(before, came)


async def _verified(config: Path, settings: Settings, process: str, promises: Sequence[Promise]) -> Verified:
    async with opened(config, settings) as database:
        held = list(dict.fromkeys([*await own_promises(database.beliefs), *promises]))
        found = await database.guard.verified(held)
        head = await database.audit.head()
    return Verified(process, settings.entity, head.size, head.root, len(held), found)


def _receipts_in(file: Path) -> list[str]:
    """Of what `isthmus audit heads --json` printed, somewhere else perhaps."""
    try:
        return [str(head["receipt"]) for head in json.loads(file.read_text())["heads"]]
    except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError, RecursionError):
        raise IsthmusError(
            Reason.INVALID_ARGUMENT,
            f"{file} holds no heads",
            field="heads",
            advice="A gateway prints them: isthmus audit heads --json",
        ) from None
