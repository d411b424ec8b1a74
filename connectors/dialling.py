"""Keeps the agent's line to its gateway: dialled again when it breaks, and ahead of that when certificates change.

Invariants: where certificates change, the new line is up before the old one is left, and what runs on the old one ends
there; a line that cannot be made is tried again, while the old one lasts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from tenacity import AsyncRetrying, retry_if_exception_type, wait_random_exponential

KEYS_EVERY = 0.5


class LineLost(Exception):
    """The line to the gateway broke; it is dialled again."""


class Held(Protocol):
    """One connection."""

    async def hold(self) -> None:
        """Until it ends: returns when a newer one has replaced it, else raises LineLost."""

    def supersede(self) -> None:
        """A newer one is on its way: the end of this one is no loss."""


async def dial_for_ever(dialled: Callable[[], Held], is_outdated: Callable[[], bool]) -> None:
    """`dialled()` is a fresh line; `is_outdated()` says that the next one would be made with other certificates."""
    leaving: set[asyncio.Task[str]] = set()
    try:
        while True:
            async for attempt in AsyncRetrying(
                retry=retry_if_exception_type(LineLost), wait=wait_random_exponential(multiplier=0.2, max=5.0)
            ):
                with attempt:
                    left = await _until_outdated(dialled(), is_outdated)
                    leaving.add(left)
                    left.add_done_callback(leaving.discard)
    finally:
        await _cancelled(*leaving)


async def _until_outdated(line: Held, is_outdated: Callable[[], bool]) -> asyncio.Task[str]:
    """The line, once another one should be dialled beside it. Raises LineLost when it is lost before."""
    held = asyncio.create_task(_quiet(line.hold()))
    try:
        while True:
            done, _ = await asyncio.wait({held}, timeout=KEYS_EVERY)
            if done:
                raise LineLost(held.result())
            if is_outdated():
                line.supersede()
                return held
    except asyncio.CancelledError:
        await _cancelled(held)
        raise


async def _quiet(holding: Awaitable[None]) -> str:
    """Why it ended."""
    try:
        await holding
    except LineLost as lost:
        return str(lost)
    return "the gateway closed the line"


async def _cancelled(*tasks: asyncio.Task[str]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
