"""An anchor on a database of its own, with a clock that stands still, and newcomers with real keys."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.domain.identity import EntityId, Jwk, KeyUse
from gateway.domain.membership import Member
from gateway.edges.clock import SystemIds
from gateway.edges.federation import entity_configuration
from gateway.edges.keys import SigningKey, new_signing_key
from gateway.edges.store.database import Database
from gateway.edges.tokens import sign, signature_holds
from gateway.edges.vouching import AnchorDesk
from gateway.flows.vouch import Vouch
from gateway.rules import invitations
from gateway.rules.invitations import AnchorCard
from gateway.rules.jwks import jwk_set
from tests.unit.trust_kit import ANCHOR, NOW, Space

HOUR = 3600


@dataclass
class Clock:
    time: int = NOW

    def now(self) -> int:
        return self.time


@dataclass
class Office:
    """The anchor and what its operator holds."""

    database: Database
    desk: AnchorDesk
    vouch: Vouch
    clock: Clock

    async def invited(self, entity: EntityId, valid: int = HOUR, *, again: bool = False) -> str:
        """The line that is handed over."""
        kept, line = self.desk.invite(entity, valid, SystemIds(), again=again)
        await self.vouch.invite(kept)
        return line

    async def join(self, line: str, configuration: str, *, proof: bytes | None = None) -> Member:
        """As the port does it."""
        token, seed = invitations.split(line)
        invited = self.desk.invitation(token)
        return await self.vouch.join(invited, proof or invitations.proof(seed, token, configuration), configuration)

    async def joined(self, space: Space) -> Member:
        return await self.join(await self.invited(space.entity_id), self.configuration(space))

    async def fetch(
        self, space: Space, rotations: Sequence[str] = (), version: int = 0, **changes: Any
    ) -> tuple[Member, Sequence[Member], bool]:
        configuration = self.configuration(space, **changes)
        known = await self.vouch.known(space.entity_id, configuration, rotations)
        return await self.vouch.fetch(known, version)

    def configuration(self, space: Space, *, key: SigningKey | None = None, **changes: Any) -> str:
        metadata = space.metadata(**changes)
        return entity_configuration(
            space.entity_id, metadata, [ANCHOR], key or space.federation, self.clock.now(), further_keys=()
        )

    def rotation(self, space: Space, use: KeyUse, by: SigningKey, *keys: Jwk, **changes: Any) -> str:
        now = self.clock.now()
        claims: dict[str, Any] = {
            "iss": space.entity_id,
            "sub": space.entity_id,
            "aud": ANCHOR,
            "iat": now,
            "exp": now + HOUR,
            "jti": SystemIds().fresh(),
            "use": use.value,
            "jwks": jwk_set(keys),
        }
        return sign("isthmus-rotation+jwt", {**claims, **changes}, by)

    async def kinds(self) -> list[str]:
        """What the audit log has, by kind."""
        return [fact.kind for fact in await self.database.audit.read(start=0, limit=1000)]


@asynccontextmanager
async def office(folder: Path, *prefixes: str) -> AsyncIterator[Office]:
    key, revocation, clock = new_signing_key(), new_signing_key(), Clock()
    names = tuple(EntityId(prefix) for prefix in prefixes or ("https://*.example",))
    card = AnchorCard(ANCHOR, "127.0.0.1:1", "PEM", (key.jwk,), (revocation.jwk,), names)
    desk = AnchorDesk(card, key, clock)
    async with await Database.open(f"sqlite+aiosqlite:///{folder}/anchor.db") as database:
        vouch = Vouch(ANCHOR, clock, database.members, database.invitations, desk, signature_holds, database.rulebooks)
        yield Office(database, desk, vouch, clock)
