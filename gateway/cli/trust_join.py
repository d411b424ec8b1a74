"""`isthmus trust join`: an invitation becomes pins, a statement, and a configuration that uses them.

Invariants: nothing is sent before the operator has agreed to fingerprint and names; what comes back is written only if
it proves, by the keys that were agreed to, what this space says of itself; a configuration is replaced whole or left as
it was; running it again after a failure goes on where it stopped.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tomllib
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel

from gateway.cli import init_texts
from gateway.cli.init import filled
from gateway.config import AnchorConfig, GatewayConfig, load
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.identity import Anchor, Entity, Jwk, host_of
from gateway.edges.anchors import AnchorAddress, AnchorLine, write_statements
from gateway.edges.clock import SystemClock, SystemIds
from gateway.edges.federation import Federation
from gateway.edges.own_statement import own_statement
from gateway.edges.rulebooks import OwnWordFile
from gateway.edges.space_keys import SpaceKeys
from gateway.edges.tokens import signature_holds
from gateway.rules import invitations
from gateway.rules.invitations import Invited
from gateway.rules.jwks import jwk_object
from gateway.rules.trust import verify_chain

T = TypeVar("T")


@dataclass(frozen=True)
class Wanted:
    """What the operator is asked to agree to, read and whole but not yet believed."""

    invited: Invited
    seed: bytes
    config: Path
    settings: GatewayConfig
    agent: Path | None

    @property
    def fingerprint(self) -> str:
        return invitations.fingerprint(self.invited.anchor.keys)


@dataclass(frozen=True)
class Joined:
    wanted: Wanted
    entity: Entity
    members: tuple[str, ...]
    files: tuple[Path, ...]

    def plain(self) -> dict[str, Any]:
        return {
            "entity": self.entity.entity_id,
            "anchor": self.wanted.invited.anchor.entity,
            "fingerprint": self.wanted.fingerprint,
            "prefixes": list(self.wanted.invited.anchor.prefixes),
            "believed_until": self.entity.expires_at,
            "members": list(self.members),
            "files": [str(file) for file in self.files],
        }

    def told(self) -> str:
        others = ", ".join(self.members) or "nobody else yet"
        lines = [
            f"{self.entity.entity_id} has joined {self.wanted.invited.anchor.entity}. Members beside it: {others}.",
            *(f"  wrote {file}" for file in self.files),
        ]
        if self.wanted.agent is None:
            lines.append("The agent needs the same pins: run this again with --agent agent.toml where it lives.")
        return "\n".join(lines)


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def prepare(given: str, config: Path, agent: Path | None) -> Wanted:
    """Raises IsthmusError when the invitation is not whole, not for this space, or over."""
    token, seed = invitations.split(_line(given))
    settings = load(GatewayConfig, config)
    try:
        invited = invitations.read(token, SystemClock().now(), signature_holds)
    except IsthmusError as problem:
        if problem.reason is Reason.PERMISSION_DENIED:
            raise
        raise IsthmusError(
            Reason.PERMISSION_DENIED,
            "this invitation was altered, or is not whole",
            private=problem.private,
            field="INVITATION",
            advice="Ask the anchor's operator for the line again, and check this machine's clock",
        ) from None
    if invited.entity != settings.entity:
        invitations.refuse(
            f"this invitation is for {invited.entity}, and {config} is of {settings.entity}",
            "Ask for an invitation in your own name",
        )
    if agent is None and settings.agent is not None:
        agent = settings.agent.config
    for pinned in settings.anchors:
        if pinned.entity == invited.anchor.entity and set(pinned.load().keys) != set(invited.anchor.keys):
            _conflict(config, pinned)
    return Wanted(invited, seed, config, settings, agent)


def question(wanted: Wanted) -> str:
    anchor = wanted.invited.anchor
    return (
        f"Anchor      {anchor.entity} at {anchor.address}\n"
        f"Fingerprint {wanted.fingerprint}\n"
        f"It will be believed about these names, and no others: {', '.join(anchor.prefixes)}"
    )


def confirmed(agreed: bool) -> None:
    if not agreed:
        invitations.refuse("nothing was sent and nothing was written", "Ask the anchor's operator, by another way")


async def join(wanted: Wanted) -> Joined:
    """Join, and write what makes it last."""
    clock, settings, card = SystemClock(), wanted.settings, wanted.invited.anchor
    hints = list(dict.fromkeys([*(anchor.entity for anchor in settings.anchors), card.entity]))
    keys = SpaceKeys(settings.keys, settings.tls, settings.entity, Federation([], clock.now), clock)
    word = OwnWordFile.beside(settings.statement).read()
    # Whoever left this anchor and joins again stays.
    word = replace(word, leaving=tuple(entity for entity in word.leaving if entity != card.entity))
    configuration = own_statement(settings, keys, hints, clock.now(), word)
    address = AnchorAddress(card.entity, card.address, card.tls_ca.encode())
    line = AnchorLine(settings.entity, address, keys.token.active, clock, SystemIds())
    try:
        proof = invitations.proof(wanted.seed, wanted.invited.token, configuration)
        try:
            statements: Sequence[str] = await line.join(wanted.invited.token, proof, configuration)
        except IsthmusError as refused:
            if refused.reason is not Reason.PERMISSION_DENIED:
                raise
            statements = await _joined_before(line, configuration, refused)
        pin = Anchor(card.entity, card.keys, card.prefixes, card.revocation_keys)
        entity = verify_chain([configuration, *statements], [pin], clock.now(), signature_holds)
        answer = await line.fetch(configuration, (), 0)
    finally:
        await line.close()
    members = tuple(sorted(_subject(chain.statements, pin, clock.now()) for chain in answer.members))
    return Joined(wanted, entity, tuple(filter(None, members)), tuple(_write(wanted, statements, clock.now())))


async def _joined_before(line: AnchorLine, configuration: str, refused: IsthmusError) -> Sequence[str]:
    """Where the answer to an earlier try was lost, this space is a member already, and may fetch."""
    try:
        return list((await line.fetch(configuration, (), 0)).statements)
    except IsthmusError:
        raise refused from None


def _subject(chain: Sequence[str], pin: Anchor, now: int) -> str:
    try:
        return verify_chain(chain, [pin], now, signature_holds).entity_id
    except IsthmusError:
        return ""


def _write(wanted: Wanted, statements: Sequence[str], now: int) -> list[Path]:
    write_statements(wanted.settings.statement, statements)
    words = OwnWordFile.beside(wanted.settings.statement)
    if (anchor := wanted.invited.anchor.entity) in (word := words.read()).leaving:
        words.write(replace(word, leaving=tuple(entity for entity in word.leaving if entity != anchor)))
    files = [wanted.settings.statement, *_pin(wanted, wanted.config, GatewayConfig, now, polled=True)]
    if wanted.agent is not None:
        from connectors.config import AgentConfig

        files += _pin(wanted, wanted.agent, AgentConfig, now, polled=False)
    return files


def _pin(wanted: Wanted, config: Path, kind: type[BaseModel], now: int, *, polled: bool) -> list[Path]:
    """The anchor's public files beside `config`, and a table at its end that names them."""
    card = wanted.invited.anchor
    text = config.read_text()
    if any(table.get("entity") == card.entity for table in tomllib.loads(text).get("anchors", [])):
        return []
    folder = config.parent / "anchor"
    folder.mkdir(exist_ok=True)
    stem = f"anchor/{host_of(card.entity)}"
    values: dict[str, object] = {
        "entity": card.entity,
        "keys": _write_keys(config.parent, stem, "federation", card.keys),
        "revocation_keys": _write_keys(config.parent, stem, "revocation", card.revocation_keys),
        "prefixes": list(card.prefixes),
        "address": card.address,
        "tls_ca": f"{stem}.ca.pem",
    }
    about = f"{datetime.fromtimestamp(now, UTC):%Y-%m-%d}, fingerprint {wanted.fingerprint}"
    table = filled(init_texts.PINS.replace("$about", about), values)
    written = [*values["keys"], *values["revocation_keys"]]  # type: ignore[misc]
    if polled:
        table += filled(init_texts.POLLED, values)
        (config.parent / f"{stem}.ca.pem").write_text(card.tls_ca)
        written.append(f"{stem}.ca.pem")
    fresh = config.with_name(config.name + ".new")
    fresh.write_text(text.rstrip("\n") + "\n" + table)
    fresh.chmod(config.stat().st_mode & 0o777)
    load(kind, fresh)  # what does not load does not replace what did
    fresh.replace(config)
    return [config, *(config.parent / name for name in written)]


def _write_keys(home: Path, stem: str, use: str, keys: Sequence[Jwk]) -> list[str]:
    names = [f"{stem}.{use}.{key.kid[:8]}.jwk.json" for key in keys]
    for name, key in zip(names, keys, strict=True):
        (home / name).write_text(json.dumps(jwk_object(key)) + "\n")
    return names


def _line(given: str) -> str:
    """The invitation itself, the file that holds it, or standard input."""
    if given == "-":
        return sys.stdin.readline()
    if given.count(".") >= 3 and len(given) > 300:
        return given
    try:
        return Path(given).read_text()
    except OSError:
        raise IsthmusError(
            Reason.INVALID_ARGUMENT,
            f"there is no file {given[:100]}, and it is no invitation either",
            field="INVITATION",
            advice="Give the line that the anchor's operator handed over, or the file that holds it",
        ) from None


def _conflict(config: Path, pinned: AnchorConfig) -> NoReturn:
    raise IsthmusError(
        Reason.PERMISSION_DENIED,
        f"{config} pins other keys of {pinned.entity} than this invitation names",
        field="anchors",
        advice="Ask the anchor's operator by another way; if its keys were replaced, take the old table out first",
    )
