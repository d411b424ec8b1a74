"""The latest verified revocation list of every issuer, and whether a session may run by them: port `Revocations`.

Invariants: a list is believed once its signature holds and it may take the place of the one before, and is stored
before it counts; what was refused is in the audit log; a list that is passed on is judged like any other, whoever
passes it on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence

import structlog

from gateway.domain.approval import SignedApproval, SignedContract
from gateway.domain.audit import Fact
from gateway.domain.contract import Contract
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.revocation import Belief, Freshness, RevocationList, Revoked
from gateway.edges.federation import Federation
from gateway.edges.tokens import Verifier
from gateway.ports import AuditLog, Beliefs, Clock
from gateway.rules.jose import Problem, TokenProblem, parse_compact
from gateway.rules.revocation import (
    check_succession,
    contract_revoked,
    freshness,
    needed,
    read_list,
    revoked_error,
    stale,
)
from gateway.rules.tokens import PROFILES, payload_digest

REVOCATION = "isthmus-revocation+jwt"
LISTS = "revocation"  # the kind under which lists are stored
MAX_BYTES = PROFILES[REVOCATION].max_bytes
MAX_REMEMBERED = 256

log = structlog.get_logger()


class Revocations:
    """What one process, a gateway or an agent, holds of everybody's lists. `grace` is seconds, of its own policy."""

    def __init__(
        self,
        entity: str,
        trust: Federation,
        beliefs: Beliefs,
        audit: AuditLog,
        clock: Clock,
        *,
        grace: int = 0,
        own_keys: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        """`own_keys` are those that this process signs with: kid → what it is called."""
        self._entity, self._trust, self._beliefs, self._audit = entity, trust, beliefs, audit
        self._clock, self._grace, self._own_keys = clock, grace, own_keys
        self._verifier = Verifier(trust, clock.now)
        self._turn = asyncio.Lock()
        # Refused lists that the audit log has: a peer that brings one again and again adds nothing to it.
        self._refused: dict[str, None] = {}

    async def restore(self) -> None:
        """What was held before the process started. Of an anchor only what is signed with a key still pinned: who
        pins another, because one was stolen, is not bound by what the thief signed."""
        for belief in await self._beliefs.all(LISTS):
            given = read_stored(belief.body)
            pinned = [anchor for anchor in self._trust.anchors if anchor.entity_id == given.issuer]
            kid = parse_compact(belief.body, MAX_BYTES).kid
            if not pinned or any(key.kid == kid for anchor in pinned for key in anchor.revocation_keys):
                self._trust.take(given)

    async def admit(self, token: str) -> RevocationList:
        """The list in `token`, believed from now on. Raises TokenProblem, OLDER if a newer one is known."""
        async with self._turn:
            known = self._known(token)
            if known is not None:
                return known
            verified = await self._verifier.verify(token, REVOCATION, None)
            given = read_list(verified.claims, verified.digest, token)
            before = self._trust.list_of(given.issuer)
            check_succession(before, given)
            if before is not None and before.digest == given.digest:
                return before
            kept = await self._beliefs.keep(LISTS, Belief(given.issuer, given.seq, token))
            if kept.body != token:  # another replica was told a newer one, or this process has forgotten it
                newer = read_stored(kept.body)
                self._trust.take(newer)
                check_succession(newer, given)
                return newer
            self._trust.take(given)
            return given

    async def hear(self, tokens: Iterable[str], by: str) -> IsthmusError | None:
        """Lists that `by` passes on, each believed if it holds; what is wrong with its own one, if anything.

        Of others a peer may hold an older one than we do, and nothing is wrong with that. An agent's own gateway may
        not: it told the agent of all that it holds.
        """
        own: IsthmusError | None = None
        for token in tokens:
            try:
                await self.admit(token)
            except TokenProblem as problem:
                issuer = _issuer(token)
                concerned = by in (issuer, self._entity)
                if problem.problem is Problem.OVERTAKEN or (problem.problem is Problem.OLDER and not concerned):
                    continue
                if issuer == by:
                    own = rolled_back(issuer, problem)
                await self._note(token, by, issuer, own or problem)
        return own

    def held(self, issuers: Iterable[str]) -> list[str]:
        """The lists of `issuers` as they are passed on: those that another would still read."""
        lists = map(self._trust.list_of, dict.fromkeys(issuers))
        return [given.token for given in lists if given is not None and self._is(given, Freshness.FRESH)]

    def said(self, issuer: str) -> Revoked:
        """What `issuer` has revoked, as far as is known here."""
        given = self._trust.list_of(issuer)
        return Revoked() if given is None else given.revoked

    def all(self) -> list[str]:
        return self.held(given.issuer for given in self._trust.lists())

    def check(self, contract: Contract) -> None:
        """Whether a session of `contract` may begin. Raises IsthmusError(REVOCATION_STALE or REVOKED)."""
        self.check_own_keys()
        entities = _concerned(contract)
        # First what is known to be revoked, then what is not known.
        for entity in entities:
            if (withdrawn := self._trust.withdrawn(entity)) is not None:
                raise withdrawn
        for entity in entities:
            if (problem := self._trust.objection(entity)) is not None:
                raise problem
        now = self._clock.now()
        for issuer in needed(entities, self._trust.anchors):
            given = self._trust.list_of(issuer)
            if given is None or self._is(given, Freshness.STALE):
                raise stale(issuer, None if given is None else max(0, now - given.issued_at), self._entity)

    def check_own_keys(self) -> None:
        """This process signs nothing with a key of its own that was revoked. Raises IsthmusError(REVOKED)."""
        for kid, name in self._own_keys().items():
            if (by := self._trust.standing.key(self._entity, kid)) is not None:
                raise revoked_error(f"the {name} key {kid} of {self._entity}", self._entity, by)

    def revoked(self, contract: SignedContract, approvals: Sequence[SignedApproval]) -> IsthmusError | None:
        """What of a session, waiting or running, was revoked: a space, its contract, or a key that signed for it."""
        standing = self._trust.standing
        entities = _concerned(contract.body)
        for entity in entities:
            if (withdrawn := self._trust.withdrawn(entity)) is not None:
                return withdrawn
        if (by := standing.contract(contract.digest, entities)) is not None:
            return contract_revoked(by)
        signed = [(contract.body.initiator, "token", contract.token)]
        signed += [(approval.entity, "contract", approval.token) for approval in approvals]
        for entity, use, token in signed:
            kid = parse_compact(token, len(token)).kid
            if (by := standing.key(entity, kid)) is not None:
                return revoked_error(f"the {use} key {kid} of {entity}", entity, by)
        return None

    def of_contract(self, digest: str, entities: Iterable[str]) -> IsthmusError | None:
        """Whether a contract of which nothing is known here but its digest, and who took part, was revoked."""
        by = self._trust.standing.contract(digest, entities)
        return None if by is None else contract_revoked(by)

    def severed(self) -> Mapping[str, IsthmusError]:
        return self._trust.severed()

    def _is(self, given: RevocationList, wanted: Freshness) -> bool:
        return freshness(given.issued_at, self._clock.now(), self._grace) is wanted

    def _known(self, token: str) -> RevocationList | None:
        """The very list that is held already: it is passed on from all sides."""
        given = self._trust.list_of(_issuer(token))
        return given if given is not None and given.token == token else None

    async def _note(self, token: str, by: str, issuer: str, problem: IsthmusError) -> None:
        if token in self._refused:
            return
        self._refused[token] = None
        if len(self._refused) > MAX_REMEMBERED:
            del self._refused[next(iter(self._refused))]
        log.warning("revocation list refused", issuer=issuer, by=by, reason=problem.reason, detail=problem.private)
        await self._audit.append([Fact(self._clock.now(), "revocation.refused", by, issuer, problem.in_full[:1000])])


def read_stored(token: str) -> RevocationList:
    """A list out of this space's own store: verified when it came. It may have expired since, and counts still."""
    parsed = parse_compact(token, MAX_BYTES)
    return read_list(parsed.claims, payload_digest(parsed.payload), token)


def rolled_back(issuer: str, problem: TokenProblem) -> IsthmusError:
    """What the issuer of a refused list is told: whether the list is forged, or does not follow what is known."""
    texts = {
        Problem.OLDER: f"a newer revocation list of {issuer} is known here",
        Problem.TAKEN_BACK: f"an earlier revocation list of {issuer} revoked more than this one",
    }
    if problem.problem not in texts:
        return problem
    return IsthmusError(
        Reason.REVOCATION_STALE,
        texts[problem.problem],
        private=problem.private,
        space=issuer,
        advice="Put back into revoked.toml what is missing, check the clock, and let the gateway sign a new one",
    )


def _concerned(contract: Contract) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*contract.entities(), contract.initiator)))


def _issuer(token: str) -> str:
    """Whose list this says it is, before it is verified; nobody's if it cannot be read."""
    try:
        issuer = parse_compact(token, MAX_BYTES).claims.get("iss")
    except TokenProblem:
        return ""
    return issuer if isinstance(issuer, str) else ""
