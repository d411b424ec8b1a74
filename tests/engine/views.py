"""What t colluding parties see of a protocol, run after run: what they receive from the others, the streams that they
share with them, and their own draws.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import numpy as np

from connectors.engine.cost import Shape
from connectors.engine.field import Array
from connectors.engine.randomness import Stream, Streams, fresh
from connectors.engine.runtime import Engine, Group
from gateway.rules.sharing import P
from tests.engine.harness import Party, engines

Step = Callable[[Engine, int], Awaitable[object]]


class Watched(Stream):
    """A stream whose draws are written down."""

    def __init__(self, stream: Stream, drawn: list[int]) -> None:
        self._cipher, self._drawn = stream._cipher, drawn

    def elements(self, n: int) -> Array:
        return self._keep(super().elements(n))

    def _keep(self, values: Array) -> Array:
        self._drawn.extend(int(value) for value in values)
        return values


class WatchedStreams(Streams):
    """Streams whose labels, counters and draws are written down."""

    def __init__(self, key: bytes, drawn: list[int], used: list[tuple[bytes, str, int]]) -> None:
        super().__init__(key)
        self._drawn, self._asked = drawn, used

    def at(self, purpose: str, counter: int) -> Stream:
        self._asked.append((self._key, purpose, counter))
        return Watched(super().at(purpose, counter), self._drawn)


class Views:
    """`runs` runs of `step` in one session; what a coalition saw of each is a vector."""

    def __init__(self, shape: Shape, runs: int, step: Step) -> None:
        self.shape, self.runs = shape, runs
        self.drawn_to: dict[tuple[int, int], list[int]] = {}
        self.drawn_by: dict[tuple[int, int], list[int]] = {}
        self.own: dict[int, list[int]] = {}
        self.drawn_in: dict[tuple[int, Group], list[int]] = {}
        self.used: dict[int, list[tuple[bytes, str, int]]] = {}
        self.results: dict[int, list[object]] = {}
        self.parties: list[Party] = []
        self._bounds: dict[int, list[dict[object, int]]] = {}
        asyncio.run(self._run(step))

    async def _run(self, step: Step) -> None:
        self.parties = engines(self.shape)
        await asyncio.gather(*(self._one(party, step) for party in self.parties))

    async def _one(self, party: Party, step: Step) -> None:
        rt, pid = party.engine, party.engine.pid
        await rt.start()
        used = self.used[pid] = []
        for peer in rt.peers:
            self.drawn_to[pid, peer], self.drawn_by[pid, peer] = [], []
            rt.to[peer] = WatchedStreams(rt.to[peer]._key, self.drawn_to[pid, peer], used)
            rt.by[peer] = WatchedStreams(rt.by[peer]._key, self.drawn_by[pid, peer], used)
        self.own[pid] = []
        rt.own = Watched(fresh(), self.own[pid])
        for group, streams in rt.groups.items():
            self.drawn_in[pid, group] = []
            rt.groups[group] = WatchedStreams(streams._key, self.drawn_in[pid, group], used)
        self._bounds[pid], self.results[pid] = [self._marks(party)], []
        for run in range(self.runs):
            self.results[pid].append(await step(rt, run))
            self._bounds[pid].append(self._marks(party))
        rt.finish()

    def _marks(self, party: Party) -> dict[object, int]:
        pid = party.engine.pid
        marks: dict[object, int] = {"own": len(self.own[pid]), "seen": len(party.seen)}
        for peer in party.engine.peers:
            marks["to", peer] = len(self.drawn_to[pid, peer])
            marks["by", peer] = len(self.drawn_by[pid, peer])
        for group in party.engine.groups:
            marks[group] = len(self.drawn_in[pid, group])
        return marks

    def of(self, coalition: Sequence[int], run: int) -> list[int]:
        """What the coalition saw in one run, nothing twice and nothing that its members tell each other."""
        view: list[int] = []
        groups: set[Group] = set()
        for pid in coalition:
            begin, end = self._bounds[pid][run], self._bounds[pid][run + 1]
            for peer in range(self.shape.m):
                if peer == pid:
                    continue
                view += self.drawn_to[pid, peer][begin["to", peer] : end["to", peer]]
                if peer not in coalition:
                    view += self.drawn_by[pid, peer][begin["by", peer] : end["by", peer]]
            view += self.own[pid][begin["own"] : end["own"]]
            for group in self.parties[pid].engine.groups.keys() - groups:
                view += self.drawn_in[pid, group][begin[group] : end[group]]
                groups.add(group)
            for _, sender, elements in self.parties[pid].seen[begin["seen"] : end["seen"]]:
                if sender not in coalition:
                    view += [int(element) for element in elements]
        return view


def rank(rows: Sequence[Sequence[int]]) -> int:
    """Of a matrix over F_p."""
    left = np.array(rows, dtype=object) % P
    found = 0
    for column in range(left.shape[1]):
        pivots = np.flatnonzero(left[found:, column])
        if not pivots.size:
            continue
        pivot = found + int(pivots[0])
        left[[found, pivot]] = left[[pivot, found]]
        left[found] = left[found] * pow(int(left[found, column]), -1, P) % P
        below = left[found + 1 :]
        left[found + 1 :] = (below - below[:, column : column + 1] * left[found][None, :]) % P
        found += 1
        if found == left.shape[0]:
            break
    return found
