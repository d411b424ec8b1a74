"""Lines between the gateways of a sandbox that can be cut: each goes through a proxy that stops passing anything on."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.sandbox.federation import PORTS_FILE, _free_ports
from gateway.sandbox.layout import SPACES
from tests.attacks.lone import laid_out
from tests.e2e.shell import Shell

Line = tuple[str, str]  # who dials whom
LOOK_EVERY = 0.02


class Lines:
    """Proxies on a loop of their own; what is cut keeps its connections, and nothing comes through them."""

    def __init__(self) -> None:
        self._cut: set[Line] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def between(self, line: Line, port: int) -> str:
        async def start() -> asyncio.Server:
            async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                try:
                    inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    writer.close()
                    return
                pumps = (self._pump(line, reader, inner_writer), self._pump(line, inner_reader, writer))
                await asyncio.gather(*pumps, return_exceptions=True)

            return await asyncio.start_server(handle, "127.0.0.1", 0)

        server = asyncio.run_coroutine_threadsafe(start(), self._loop).result(10)
        return f"127.0.0.1:{server.sockets[0].getsockname()[1]}"

    def cut(self, lines: Iterable[Line]) -> None:
        self._cut = set(lines)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    async def _pump(self, line: Line, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1 << 16):
                while line in self._cut:
                    await asyncio.sleep(LOOK_EVERY)
                writer.write(data)
                await writer.drain()
        finally:
            while line in self._cut:  # a cut line does not tell either that its other end is gone
                await asyncio.sleep(LOOK_EVERY)
            writer.close()


@contextmanager
def sandbox_with_lines(home: Path, lines: Iterable[Line]) -> Iterator[tuple[Shell, Lines]]:
    """A sandbox whose gateways dial each other over these lines through proxies."""
    folder, ports = Shell(home).folder, _free_ports(SPACES)
    chains = asyncio.run(laid_out(folder, ports))
    (folder / PORTS_FILE).write_text(json.dumps(ports))
    proxies = Lines()
    try:
        for dialler, dialled in lines:
            space = folder / "spaces" / dialler
            entity = next(spec.entity for spec in SPACES if spec.name == dialled)
            (space / f"{dialled}.chain.json").write_text(json.dumps(chains[entity]))
            address = proxies.between((dialler, dialled), ports[dialled])
            toml = space / "gateway.toml"
            peer = f'\n[[peers]]\nentity = "{entity}"\nchain = "{dialled}.chain.json"\naddress = "{address}"\n'
            toml.write_text(toml.read_text() + peer)
        with Shell.with_sandbox(home) as shell:
            yield shell, proxies
    finally:
        proxies.close()
