"""A process that is killed while it writes leaves nothing half-written and loses nothing it acknowledged."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

from gateway.domain.audit import Fact, TreeHead
from gateway.edges.store.database import Database
from gateway.rules import merkle
from gateway.rules.records import to_bytes

WRITER = Path(__file__).parent / "writer.py"
ROOT = Path(__file__).parents[2]


async def checked(url: str) -> dict[str, int]:
    """Revisions by identifier, after everything was held against everything else."""
    async with await Database.open(url) as database:
        facts: list[Fact] = []
        while page := await database.audit.read(start=len(facts), limit=500):
            facts += page
        whole = merkle.grown(merkle.Frontier(), [to_bytes(fact) for fact in facts])
        assert await database.audit.head() == TreeHead(len(facts), merkle.root(whole).hex())

        revisions: dict[str, int] = {}
        last = ""
        while page_of := await database.computations.list(requester=None, after=last, limit=500):
            revisions |= {computation.id: computation.revision for computation in page_of}
            last = page_of[-1].id
        saved = Counter((fact.about, fact.detail) for fact in facts if fact.kind == "saved")
        assert saved == Counter(
            {(id, f"revision {n}"): 1 for id, newest in revisions.items() for n in range(newest + 1)}
            | {(id, "first half"): newest + 1 for id, newest in revisions.items()}
        )
        kept = [
            await database.approvals.get(f"{id}/{n}") for id, newest in revisions.items() for n in range(1, newest + 1)
        ]
        # The latest save may have been the last thing before the end.
        approved = sum(fact.kind == "approved" for fact in facts)
        assert approved == len([approval for approval in kept if approval])
        return revisions


async def test_a_writer_that_is_killed_loses_nothing_it_acknowledged(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/state.db"
    acknowledged: dict[str, int] = {}
    for lines in (1, 17, 40):
        with subprocess.Popen(
            [sys.executable, str(WRITER), "loop", url], stdout=subprocess.PIPE, text=True, cwd=ROOT, env=_env()
        ) as writer:
            assert writer.stdout is not None
            try:
                for _ in range(lines):
                    id, revision = writer.stdout.readline().split()
                    acknowledged[id] = int(revision)
            finally:
                writer.kill()
            for line in writer.stdout:
                # What it had said before it died; the last line may be cut.
                if line.endswith("\n"):
                    id, revision = line.split()
                    acknowledged[id] = int(revision)
        revisions = await checked(url)
        assert all(revisions[id] >= revision for id, revision in acknowledged.items())


async def test_death_before_any_statement_leaves_all_of_a_transaction_or_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(WRITER), "steps", str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=_env(),
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    last, ended = map(int, done.stdout.split())
    assert ended == 0
    # Schema, create, save and keep: each statement of each was a place to die.
    assert last > 25
    found = [await checked(f"sqlite+aiosqlite:///{tmp_path}/{step}.db") for step in range(1, last + 1)]
    newest = [max(revisions.values(), default=-1) for revisions in found]
    assert newest == sorted(newest)
    assert set(newest) == {-1, 0, 1}


def _env() -> dict[str, str]:
    return {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
