"""The login page's own listener, beside the gRPC port, in the gateway's event loop.

Invariant: it takes over neither signals nor logging, and ends with the gateway.
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

from gateway.domain.errors import IsthmusError, Reason
from gateway.edges.keys import read_secret

log = structlog.get_logger()


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
        limit_concurrency=64,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=1,
        h11_max_incomplete_event_size=16 * 1024,
        http="h11",
        ws="none",
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )
    server = _Server(settings)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    log.info("login page listens", port=bound)
    try:
        yield bound
    finally:
        server.should_exit = True
        await task
        listener.close()
