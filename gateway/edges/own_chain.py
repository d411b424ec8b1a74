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
        self._refused = ""
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
        fresh = _read(self._file)
        kept = self._superior
        if fresh not in ("", self._superior, self._refused):
            self._superior = fresh
        said = self._says()
        now = self._clock.now()
        changed = self._superior != kept or said != self._said
        if not changed and now - self._at <= STATEMENT_EVERY:
            return False
        at = max(now, self._at + 1)
        chain = (self._made(at), *self._superior.split())
        try:
            self._trust.admit(chain)
        except TokenProblem as problem:
            if not self._chain:
                raise
            if self._superior != kept:
                self._refused, self._superior = self._superior, kept
            if said != self._said or changed:
                log.warning("this space's new chain does not hold, the last good one stays", problem=problem.private)
            return False
        self._chain, self._at, self._said = chain, at, said
        return changed


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
