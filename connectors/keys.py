"""The agent's rings of keys: its contract key, its certificate, and the CA of its space.

Invariant: the agent signs with a key only while its own space's verified chain vouches for it; the gateway's word is
not enough.
"""

from __future__ import annotations

import asyncio

import structlog

from connectors.config import AgentConfig
from gateway.domain.identity import KeyUse, host_of
from gateway.edges import ringfiles
from gateway.edges.certificates import Purpose
from gateway.edges.channels import Target
from gateway.edges.federation import Federation
from gateway.edges.keyrings import KeyRing
from gateway.edges.keys import SigningKey
from gateway.edges.space_keys import believed, leaves
from gateway.ports import Clock

log = structlog.get_logger()
WATCH_EVERY = 0.5


class AgentKeys:
    def __init__(self, settings: AgentConfig, trust: Federation, clock: Clock) -> None:
        """Raises IsthmusError(CONFIGURATION)."""
        self._settings = settings
        self.contract: KeyRing[SigningKey] = KeyRing(
            settings.keys.contract,
            clock.now,
            ringfiles.signing,
            lambda kid: believed(trust, settings.entity, KeyUse.CONTRACTS, kid),
        )
        self.ca: KeyRing[bytes] = KeyRing(settings.tls.ca, clock.now, ringfiles.certificate)
        self.agent = leaves(settings.tls.agent, self.authorities, clock, Purpose.CLIENT)

    def authorities(self) -> bytes:
        return b"".join(self.ca.published())

    def target(self) -> Target:
        """How the own gateway is dialled now."""
        return Target(self._settings.gateway, host_of(self._settings.entity), self.authorities(), self.agent.active())

    async def watch(self) -> None:
        """Read again what changed, for ever."""
        while True:
            await asyncio.sleep(WATCH_EVERY)
            try:
                self.contract.refresh()
                self.ca.refresh()
                self.agent.refresh()
            except Exception as bug:  # nobody would look at the rings again
                log.error("rings of keys", exc_info=bug)
