"""What may stand between two gateways: listeners that are none, and proxies that cut, swallow or throttle."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listener(handle: Handle) -> AsyncIterator[str]:
    """Something that is no gateway, at an address."""
    tasks: set[asyncio.Task[None]] = set()

    async def track(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            tasks.add(task)
        try:
            await handle(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(track, "127.0.0.1", 0, limit=64 * 1024)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def between(
    port: int, *, cut_after: int | None = None, rate: float | None = None, swallows: bool = False
) -> AsyncIterator[str]:
    """A proxy before `port`: ends a connection that has carried more than `cut_after` bytes to it (or, where it
    `swallows`, lets nothing more through), or lets through `rate` bytes a second each way."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(pump(reader, inner_writer, cut_after, rate, swallows))
                group.create_task(pump(inner_reader, writer, None, rate))
        except* (ConnectionError, EOFError):
            pass
        finally:
            inner_writer.close()

    async with listener(handle) as address:
        yield address


async def pump(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    cut_after: int | None,
    rate: float | None,
    swallows: bool = False,
) -> None:
    carried, began = 0, time.monotonic()
    while data := await reader.read(4096 if rate else 65536):
        carried += len(data)
        if cut_after is not None and carried > cut_after:
            if swallows:
                continue
            raise EOFError
        if rate is not None:
            # A line of this speed: what came may leave when the line would have carried it.
            began = max(began, time.monotonic() - 0.05)
            began += len(data) / rate
            await asyncio.sleep(max(0.0, began - time.monotonic()))
        writer.write(data)
        await writer.drain()
    raise EOFError
