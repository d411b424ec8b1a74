"""A process of its own that writes until it is killed: run by test_crash.py, by its path.

`writer.py loop URL` writes for ever and prints what was acknowledged; `writer.py steps FOLDER` makes one
database per step and dies there by SIGKILL, right before the n-th statement or commit of the same writes.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import secrets
import signal
import sys

from sqlalchemy import event
from sqlalchemy.engine import Engine

from gateway.domain.approval import Approved
from gateway.domain.audit import Fact
from gateway.domain.computation import Computation, Role, State
from gateway.edges.store.database import Database


def fresh() -> Computation:
    return Computation(
        id=secrets.token_hex(16),
        role=Role.HOME,
        requester="https://a.example/users/ann",
        request_id=secrets.token_hex(16),
        request_digest="d" * 64,
        state=State.PENDING,
        query="{}",
        contract="",
        contract_digest="",
        created=1,
        updated=1,
        expires=2,
    )


def facts(computation: Computation, revision: int) -> list[Fact]:
    """Two for each revision, the second naming it."""
    return [Fact(1, "saved", "writer", computation.id, part) for part in ("first half", f"revision {revision}")]


def approved(digest: str) -> Approved:
    return Approved(digest, "jws", "contract", "question", "writer", 1)


async def loop(url: str) -> None:
    async with await Database.open(url) as database:
        while True:
            one = fresh()
            one = await database.computations.create(one, facts(one, 0))
            for revision in range(1, 6):
                one = await database.computations.save(one, facts(one, revision))
                await database.approvals.keep(approved(f"{one.id}/{revision}"), [Fact(1, "approved", "writer", "", "")])
                print(one.id, one.revision, flush=True)


async def few(url: str) -> None:
    async with await Database.open(url) as database:
        one = fresh()
        one = await database.computations.create(one, facts(one, 0))
        await database.computations.save(dataclasses.replace(one, state=State.AGREED), facts(one, 1))
        await database.approvals.keep(approved(f"{one.id}/1"), [Fact(1, "approved", "writer", "", "")])


def steps(folder: str) -> None:
    """Prints the step that was never reached, and how that last process ended."""
    step, ended = 0, -signal.SIGKILL
    while ended == -signal.SIGKILL:
        step += 1
        child = os.fork()
        if child == 0:
            die_before(step)
            asyncio.run(few(f"sqlite+aiosqlite:///{folder}/{step}.db"))
            os._exit(0)
        ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(step, ended)


def die_before(step: int) -> None:
    done = 0

    def count(*_: object) -> None:
        nonlocal done
        done += 1
        if done == step:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "before_cursor_execute", count)
    event.listen(Engine, "commit", count)


if __name__ == "__main__":
    if sys.argv[1] == "loop":
        asyncio.run(loop(sys.argv[2]))
    else:
        steps(sys.argv[2])
