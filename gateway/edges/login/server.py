"""The login page's own listener, beside the gRPC port, in the gateway's event loop.

Invariants: it takes over neither signals nor logging, and ends with the gateway; no connection lasts longer than a
page takes, so that nobody can hold them all.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from gateway.domain.errors import IsthmusError, Reason
from gateway.edges.keys import read_secret

log = structlog.get_logger()


CONNECTION_LASTS = 30.0
CONNECTIONS = 64


class _Brief(H11Protocol):
    """Whatever a connection is busy with, it ends."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._end = self.loop.call_later(CONNECTION_LASTS, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end.cancel()
        super().connection_lost(exc)


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serving(app: Starlette, listen: str, certificate: Path | None, key: Path | None) -> AsyncIterator[int]:
    """The port, while `app` is served. Raises IsthmusError(CONFIGURATION) when the address cannot be had."""
    if key is not None:
        read_secret(key)  # refuses one that others can read
    host, _, port = listen.rpartition(":")
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    try:
        listener = socket.create_server((host.strip("[]"), int(port)), family=family)
    except (OSError, ValueError, OverflowError):
        raise IsthmusError(
            Reason.CONFIGURATION,
            f"the address {listen} cannot be listened on",
            field="login.listen",
            advice="Another process may hold the port: choose another, or stop it",
        ) from None
    bound = int(listener.getsockname()[1])
    settings = uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=CONNECTIONS,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=1,
        h11_max_incomplete_event_size=16 * 1024,
        http=_Brief,
        ws="none",
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )
    try:
        settings.load()
    except OSError:  # TLS's own errors are of this kind
        listener.close()
        raise IsthmusError(
            Reason.CONFIGURATION,
            f"the login page cannot be served with {certificate}",
            field="login.certificate",
            advice="Check that certificate and key are PEM files that belong together",
        ) from None
    server = _Server(settings)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    log.info("login page listens", port=bound)
    try:
        yield bound
    finally:
        server.should_exit = True
        await task
        listener.close()
