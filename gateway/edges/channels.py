"""A gRPC channel that is dialled anew when certificates or address change; calls under way end on the old one.

Invariants: a call begins on a channel with the roots, certificate and address of now; a channel that has been replaced
is closed when its last call has ended, never before.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc

from gateway.edges.certificates import Credentials
from gateway.edges.grpc.serve import MAX_MESSAGE

CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.max_send_message_length", MAX_MESSAGE),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 5_000),
    ("grpc.enable_http_proxy", 0),
    # Channels with the same address and other certificates must not share a connection.
    ("grpc.use_local_subchannel_pool", 1),
)


@dataclass(frozen=True)
class Target:
    """Whom to dial and as whom: `name` is the host name in its certificate, `roots` PEM of the CAs of that."""

    address: str
    name: str
    roots: bytes
    credentials: Credentials = field(repr=False)

    def dial(self) -> grpc.aio.Channel:
        own = self.credentials
        tls = grpc.ssl_channel_credentials(self.roots, own.key_pem, own.certificate_pem)
        named = ("grpc.ssl_target_name_override", self.name)
        return grpc.aio.secure_channel(self.address, tls, options=(*CHANNEL_OPTIONS, named))


@dataclass(eq=False)
class Dialled:
    """One channel, and how many use it."""

    target: Target
    channel: grpc.aio.Channel
    users: int = 0


class Channels:
    """The channel to one target, which may change."""

    def __init__(self, target: Callable[[], Target]) -> None:
        self._target = target
        self._current: Dialled | None = None
        self._all: set[Dialled] = set()

    @property
    def is_outdated(self) -> bool:
        """Whether the next call would dial anew."""
        return self._current is None or self._current.target != self._target()

    @asynccontextmanager
    async def lease(self) -> AsyncIterator[grpc.aio.Channel]:
        """The channel of now, which stays open while it is leased."""
        target = self._target()
        before = self._current
        if before is None or before.target != target:
            self._current = Dialled(target, target.dial())
            self._all.add(self._current)
            if before is not None:
                await self._close_unused(before)
        used = self._current
        if used is None:  # closed meanwhile
            raise RuntimeError("the channel was closed")
        used.users += 1
        try:
            yield used.channel
        finally:
            used.users -= 1
            if used is not self._current:
                await self._close_unused(used)

    async def close(self) -> None:
        self._current = None
        for dialled in list(self._all):
            self._all.discard(dialled)
            await dialled.channel.close(None)

    async def _close_unused(self, dialled: Dialled) -> None:
        if not dialled.users and dialled in self._all:
            self._all.discard(dialled)
            await dialled.channel.close(None)
