"""The client of a home gateway for programs without an event loop.

Invariant: it does what `AsyncClient` does, on a loop in a thread of its own, so that it also works where a loop
runs already (a notebook); the thread ends with the client.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar

from gateway.client.aio import AsyncClient, Recipient
from gateway.client.messages import Catalogue, Found, Listed, ListedProgram
from gateway.client.profile import Profile
from gateway.client.sign_in import SignedIn, SubjectToken
from gateway.domain.computation import Computation
from gateway.domain.inbox import Shown, Waiting
from gateway.domain.offer import Space
from gateway.domain.plan import Plan
from gateway.domain.policy_text import PolicyText, Proposed
from gateway.domain.query import Query
from gateway.domain.result import Table
from gateway.edges.keys import SigningKey
from gateway.ports import Clock

T = TypeVar("T")


class Client:
    """`with Client(Profile.load(path)) as client: ...`; methods as in `AsyncClient`."""

    def __init__(self, profile: Profile, *, clock: Clock | None = None) -> None:
        self._async = AsyncClient(profile, clock=clock)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="isthmus client", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self._wait(self._async.__aenter__())
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._wait(self._async.__aexit__(kind, problem, trace))
        finally:
            self._stop()

    def datasets(self) -> Catalogue:
        return self._wait(self._async.datasets())

    def dataset(self, name: str) -> Listed:
        return self._wait(self._async.dataset(name))

    def spaces(self) -> tuple[Space, ...]:
        return self._wait(self._async.spaces())

    def programs(self) -> tuple[ListedProgram, ...]:
        return self._wait(self._async.programs())

    def plan(self, asked: Query) -> Plan:
        return self._wait(self._async.plan(asked))

    def create(self, asked: Query, request_id: str | None = None, recipient: Recipient = "self") -> Computation:
        return self._wait(self._async.create(asked, request_id, recipient))

    def get(self, name: str) -> Computation:
        return self._wait(self._async.get(name))

    def list(self) -> tuple[Computation, ...]:
        return self._wait(self._async.list())

    def cancel(self, name: str) -> Computation:
        return self._wait(self._async.cancel(name))

    def watch(self, name: str) -> Iterator[Computation]:
        items = self._async.watch(name)

        async def following() -> Computation | None:
            return await anext(items, None)

        while (item := self._wait(following())) is not None:
            yield item

    def result(self, computation: Computation) -> Table:
        return self._wait(self._async.result(computation))

    def plans_waiting(self, everything: bool = False) -> tuple[Waiting, ...]:
        """As `approvals.list` of `AsyncClient`."""
        return self._wait(self._async.approvals.list(everything))

    def plan_waiting(self, plan: str) -> Shown:
        """As `approvals.show` of `AsyncClient`."""
        return self._wait(self._async.approvals.show(plan))

    def decide(self, shown: Shown, key: SigningKey, said: str, reason: str = "", seat: str = "") -> Waiting:
        """As `approvals.decide` of `AsyncClient`."""
        return self._wait(self._async.approvals.decide(shown, key, said, reason, seat))

    def policy(self, dataset: str) -> PolicyText:
        """As `policies.show` of `AsyncClient`."""
        return self._wait(self._async.policies.show(dataset))

    def propose_policy(self, dataset: str, text: str, version: int, key: SigningKey) -> Proposed:
        """As `policies.propose` of `AsyncClient`."""
        return self._wait(self._async.policies.propose(dataset, text, version, key))

    def sign_in(self, show: Callable[[str], None]) -> SignedIn:
        return self._wait(self._async.sign_in(show))

    def exchange(self, subject_token: str, kind: SubjectToken = "id_token") -> SignedIn:
        return self._wait(self._async.exchange(subject_token, kind))

    def diagnose(self, peer: str) -> Iterator[Found]:
        items = self._async.diagnose(peer)

        async def following() -> Found | None:
            return await anext(items, None)

        while (item := self._wait(following())) is not None:
            yield item

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # an interrupt of the caller ends the call too
            raise

    def _stop(self) -> None:
        self._wait(self._loop.shutdown_asyncgens())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
