"""Every adapter of the stored ports, one after the other, on a database of its own.

SQLite always; a PostgreSQL database too where ISTHMUS_TEST_POSTGRESQL holds its URL (it is emptied first).
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from gateway.domain.audit import Fact
from gateway.domain.computation import Computation, Role, State
from gateway.edges.store.database import Database

ADAPTERS = ["sqlite", *(["postgresql"] if "ISTHMUS_TEST_POSTGRESQL" in os.environ else [])]


@asynccontextmanager
async def _sqlite(folder: Path) -> AsyncIterator[str]:
    yield f"sqlite+aiosqlite:///{folder}/state.db"


@asynccontextmanager
async def _postgresql(_: Path) -> AsyncIterator[str]:
    url = os.environ["ISTHMUS_TEST_POSTGRESQL"]
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.execute(text("DROP SCHEMA public CASCADE"))
        await connection.execute(text("CREATE SCHEMA public"))
    await engine.dispose()
    yield url


@pytest.fixture(params=ADAPTERS)
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    async with {"sqlite": _sqlite, "postgresql": _postgresql}[request.param](tmp_path) as url:
        yield url


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    async with await Database.open(url) as database:
        yield database


@pytest.fixture
async def replica(database: Database, url: str) -> AsyncIterator[Database]:
    """A second one on the same database, as another replica or the command line would be."""
    async with await Database.open(url) as replica:
        yield replica


@pytest.fixture
def reopen(database: Database, url: str) -> Callable[[], Awaitable[Database]]:
    async def closed_and_opened() -> Database:
        await database.close()
        return await Database.open(url)

    return closed_and_opened


@pytest.fixture
def a_computation() -> Callable[..., Computation]:
    numbers: Iterator[int] = count(1)

    def make(**changes: Any) -> Computation:
        number = next(numbers)
        values: dict[str, Any] = {
            "id": f"{number:032x}",
            "role": Role.HOME,
            "requester": "https://a.example/users/ann",
            "request_id": f"request-{number}",
            "request_digest": "d" * 64,
            "state": State.PENDING,
            "query": '{"title":"victims"}',
            "contract": "",
            "contract_digest": "",
            "created": 1_700_000_000,
            "updated": 1_700_000_000,
            "expires": 1_700_000_600,
            "seconds": 1.25,
        }
        return Computation(**{**values, **changes})

    return make


@pytest.fixture
def a_fact() -> Callable[..., Fact]:
    def make(about: str = "computations/1", detail: str = "as planned") -> Fact:
        return Fact(at=1_700_000_000, kind="created", subject="https://a.example/users/ann", about=about, detail=detail)

    return make
