"""This space's own chain: its statement, made anew when what it says has changed, and its superiors' about it.

Invariants: what leaves here has been verified with the pinned anchors as everybody else will; a statement that is made
later says a later time, so that nobody goes back to an earlier one; a superior's statement that does not hold is not
used, the last good one stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import structlog

from gateway.domain.errors import IsthmusError, Reason
from gateway.edges.federation import Federation
from gateway.ports import Clock
from gateway.rules.jose import MAX_CHAIN_BYTES, TokenProblem, parse_compact

log = structlog.get_logger()
STATEMENT_EVERY = 3600  # seconds after which the own statement is made anew; it lives a day


class OwnChain:
    def __init__(
        self, made: Callable[[int], str], says: Callable[[], object], superior: Path, trust: Federation, clock: Clock
    ) -> None:
        """`made(now)` signs the own statement, which changes whenever `says()` does; `superior` is a file.

        Call `refresh` before the first use.
        """
        self._made, self._says, self._file, self._trust, self._clock = made, says, superior, trust, clock
        self._superior = _read(superior)
        if not self._superior:
            raise IsthmusError(
                Reason.CONFIGURATION,
                f"the anchor's statement {superior} cannot be read",
                field="statement",
                advice="Join an anchor: isthmus trust join INVITATION --config gateway.toml",
            )
        self._warned = ""
        self._said: object = None
        self._chain: tuple[str, ...] = ()
        self._at = 0

    def __call__(self) -> tuple[str, ...]:
        if self._clock.now() - self._at > STATEMENT_EVERY:
            self.refresh()
        return self._chain

    def vouches_for(self, kid: str) -> bool:
        """Whether the superior names this federation key."""
        return kid in _kids(_claims(self._superior.split()[0]).get("jwks"))

    def refresh(self) -> bool:
        """Make the chain anew if it has to be; whether what it says has changed. Raises TokenProblem at first only."""
        kept, fresh = self._superior, _read(self._file)
        if fresh not in ("", kept):
            self._superior = fresh
            try:
                self._make()
                return True
            except TokenProblem as problem:
                self._superior = kept
                self._warn(fresh, "the anchor's new statement does not hold, the last good one stays", problem)
        said = self._says()
        if said == self._said and self._clock.now() - self._at <= STATEMENT_EVERY:
            return False
        changed = said != self._said
        try:
            self._make()
        except TokenProblem as problem:
            if not self._chain:
                raise
            self._warn(repr(said), "this space's new statement does not hold, the last good one stays", problem)
            return False
        return changed

    def _make(self) -> None:
        """A fresh chain under the present superior's statement, kept if it holds."""
        said = self._says()
        at = max(self._clock.now(), self._at + 1)
        chain = (self._made(at), *self._superior.split())
        self._trust.admit(chain)
        self._chain, self._at, self._said = chain, at, said

    def _warn(self, about: str, text: str, problem: TokenProblem) -> None:
        """Once for one thing: what is broken is tried again with every look."""
        if about != self._warned:
            self._warned = about
            log.warning(text, problem=problem.private)


def _read(path: Path) -> str:
    """Empty while it is being replaced, or gone."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _claims(statement: str) -> Mapping[str, Any]:
    try:
        return parse_compact(statement, MAX_CHAIN_BYTES).claims
    except TokenProblem:
        return {}


def _kids(jwks: object) -> frozenset[str]:
    keys = jwks.get("keys", []) if isinstance(jwks, dict) else []
    return frozenset(str(key.get("kid")) for key in keys if isinstance(key, dict))
