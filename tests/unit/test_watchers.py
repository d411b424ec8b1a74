from __future__ import annotations

import gc
from dataclasses import replace

from gateway.domain.computation import Computation, Role, State
from gateway.edges.watchers import LocalWatchers

ONE = Computation(
    "1" * 32, Role.HOME, "analyst", "request-1", "d", State.RUNNING, "{}", "", "", created=0, updated=0, expires=1
)


async def test_following_begins_with_the_call_so_that_an_end_is_not_missed() -> None:
    watchers = LocalWatchers()
    changes = watchers.follow(ONE.id)
    ended = replace(ONE, state=State.RELEASED)
    watchers.changed(ended)
    assert [item async for item in changes] == [ended]


async def test_a_slow_reader_skips_to_the_newest_version_and_others_hear_nothing_of_it() -> None:
    watchers = LocalWatchers()
    mine, other = watchers.follow(ONE.id), watchers.follow("2" * 32)
    for revision in range(5):
        watchers.changed(replace(ONE, revision=revision))
    assert (await anext(mine)).revision == 4
    watchers.changed(replace(ONE, id="2" * 32, state=State.FAILED))
    assert [item.id async for item in other] == ["2" * 32]


async def test_who_never_reads_leaves_nothing_behind() -> None:
    watchers = LocalWatchers()
    for _ in range(10):
        watchers.follow(ONE.id)
    gc.collect()
    assert len(watchers._followers) == 0
