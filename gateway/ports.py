"""What the flows need from the world, as protocols of five methods at most.

Each adapter raises IsthmusError alone. `tests/ports` has one suite per port that runs on every adapter.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Protocol

from gateway.domain.approval import Approved, SignedApproval, SignedContract
from gateway.domain.audit import Fact, TreeHead
from gateway.domain.computation import Computation, Receipt, SealedShare, State
from gateway.domain.contract import Contract
from gateway.domain.decision import Consulted, SignedPlan
from gateway.domain.errors import IsthmusError
from gateway.domain.identity import Entity
from gateway.domain.membership import Invitation, Member, Pins
from gateway.domain.offer import Space
from gateway.domain.plan import Verdict
from gateway.domain.result import Table
from gateway.domain.revocation import Belief
from gateway.domain.rulebook import Published, Rulebook
from gateway.domain.session import Approval, Failure, Refusal, RunEvent
from gateway.domain.sign_in import ClaimRule, Code, Evidence, Grant, Inbound
from gateway.rules.oidc import TokenType
from gateway.rules.retention import Rule

Chains = Sequence[Sequence[str]]


class Clock(Protocol):
    def now(self) -> int:
        """Seconds since 1970, UTC."""
        ...


class Ids(Protocol):
    def fresh(self) -> str:
        """A new identifier: 128 random bits in lower-case hex."""
        ...


class ComputationStore(Protocol):
    """Computations, each write in one transaction with the facts that the audit log gets about it."""

    async def create(self, computation: Computation, facts: Sequence[Fact]) -> Computation:
        """Write a new computation.

        A home computation whose (requester, request_id) is known is not written again: the stored one is
        returned when its request_digest is the same, else IsthmusError(ALREADY_EXISTS). A participant's one
        is known by its contract_digest and returned as stored.
        """
        ...

    async def get(self, id: str) -> Computation | None: ...

    async def list(self, *, requester: str | None, after: str, limit: int) -> Sequence[Computation]:
        """Newest first; `requester` None lists all; `after` is the id of the last one seen, or empty."""
        ...

    async def save(self, computation: Computation, facts: Sequence[Fact]) -> Computation:
        """Replace the stored one if its revision is still `computation.revision`; returns revision + 1.

        Raises IsthmusError(ILLEGAL_TRANSITION) when somebody else wrote in between.
        """
        ...

    async def live(self, states: Sequence[State]) -> Sequence[Computation]:
        """All computations in these states, oldest first: what a restart has to look at."""
        ...


class Once(Protocol):
    """Things that may happen once: a token's jti, a contract's digest. Atomic, durable, fails closed."""

    async def consume(self, kind: str, issuer: str, key: str, expires: int | None) -> bool:
        """True the first time and never again; `expires` None is kept for ever."""
        ...

    async def consumed(self, kind: str, issuer: str, key: str) -> bool: ...

    async def forget(self, now: int) -> int:
        """Drop what expired before `now`; returns how many."""
        ...


class Beliefs(Protocol):
    """What was last believed of each issuer, by kind: an older one never replaces a newer one, restarts and
    replicas included."""

    async def keep(self, kind: str, belief: Belief) -> Belief:
        """Store `belief` unless one of its issuer with the same or a greater order is stored; the one that counts."""
        ...

    async def renew(self, kind: str, issuer: str, make: Callable[[Belief | None], Belief]) -> Belief:
        """Replace what is stored of `issuer` by what `make` makes of it, with nobody in between; returns that.

        `make` may be called again when somebody was faster. It returns what it was given to leave it so.
        """
        ...

    async def all(self, kind: str) -> Sequence[Belief]: ...


class AuditLog(Protocol):
    """Append-only Merkle log (RFC 9162 section 2.1)."""

    async def append(self, facts: Sequence[Fact]) -> TreeHead: ...

    async def head(self) -> TreeHead: ...

    async def read(self, *, start: int, limit: int) -> Sequence[Fact]: ...


class SignIns(Protocol):
    """Codes that the login page gave out, and the tokens for which others were issued."""

    async def offer(self, hash: str, code: Code, facts: Sequence[Fact]) -> None:
        """Keep what a code stands for, by the code's hash."""
        ...

    async def take(self, hash: str) -> Code | None:
        """What the code stood for, to one caller and never again."""
        ...

    async def keep(self, evidence: Evidence, facts: Sequence[Fact]) -> None: ...

    async def evidence(self, jti: str) -> Evidence | None:
        """Why the token with this `jti` was issued."""
        ...

    async def forget(self, now: int) -> int:
        """Drop codes that expired before `now`; returns how many."""
        ...


class Providers(Protocol):
    """The organisation's OpenID Connect providers. Raises IsthmusError(UNAUTHENTICATED)."""

    def verify(self, token: str, token_type: TokenType) -> Inbound: ...

    def rules(self, provider: str) -> Sequence[ClaimRule]:
        """What the people of the provider of this name may be granted."""
        ...


class People(Protocol):
    """Whom the built-in issuer knows."""

    def grant(self, name: str) -> Grant | None:
        """What is granted to `name` now; None for a name that is not known."""
        ...

    async def knows(self, name: str, password: str) -> bool:
        """Whether this is the password of `name`; takes as long for a name that is not known."""
        ...


class OwnTokens(Protocol):
    """Access tokens that this gateway signs."""

    def sign(self, claims: Mapping[str, Any]) -> str: ...

    async def verify(self, token: str, certificate: str) -> Mapping[str, Any]:
        """The claims of an access token for this gateway that is bound to the certificate of this thumbprint.

        Raises IsthmusError(UNAUTHENTICATED).
        """
        ...


class Approvals(Protocol):
    """An agent's own approvals with their contracts: the same contract always gets the same one."""

    async def keep(self, approved: Approved, facts: Sequence[Fact]) -> str:
        """Store it unless its digest has an approval; returns the approval that counts."""
        ...

    async def get(self, digest: str) -> str | None: ...

    async def list(self, *, since: int, until: int, after: str = "", limit: int) -> Sequence[Approved]:
        """Those from `since` to before `until`, oldest first; `after` is the digest of the last one seen."""
        ...

    async def of_question(self, question: str) -> Sequence[Approved]:
        """All that ask this, oldest first."""
        ...


class Retention(Protocol):
    """Deletes what was kept for its time, a batch at a time, each with its fact; never anything that lives."""

    async def delete(self, rule: Rule, entity: str, now: int, limit: int) -> int:
        """Delete at most `limit` of what is due by `rule`; returns how many. Less than `limit`: nothing more is due,
        or somebody is at the rest."""
        ...

    async def scrub(self) -> bool:
        """Overwrite what was deleted; False where that cannot be now. Afterwards no file of the store has it."""
        ...


class Watchers(Protocol):
    """Tells watchers of a computation that it changed."""

    def changed(self, computation: Computation) -> None: ...

    def follow(self, id: str) -> AsyncIterator[Computation]:
        """Every version from this call on, until one has ended; a slow reader skips to the newest."""
        ...


class Documents(Protocol):
    """Signed documents, verified as they are read. Raises IsthmusError (UNAUTHENTICATED, APPROVALS_INVALID …)."""

    def sign(self, contract: Contract) -> str: ...

    async def contract(self, token: str) -> SignedContract: ...

    async def approval(self, token: str, contract: SignedContract) -> SignedApproval: ...

    async def receipt(self, token: str, contract: SignedContract, entity: str) -> Receipt: ...

    def recall(self, computation: Computation) -> tuple[SignedContract, Sequence[SignedApproval]]:
        """Contract and approvals that this space verified when they came, and stored. They may have expired since."""
        ...


class Plans(Protocol):
    """Plans that people decide on, signed and read. Raises IsthmusError (UNAUTHENTICATED, CONTRACT_INVALID …)."""

    def sign(self, draft: Contract, expires: int) -> SignedPlan: ...

    async def read(self, token: str) -> SignedPlan: ...

    def recall(self, computation: Computation) -> SignedPlan:
        """The plan for which a computation of this space waits, as it was signed."""
        ...

    def renew(self, plan: SignedPlan) -> SignedPlan:
        """The same plan under the key that signs now."""
        ...


class Opener(Protocol):
    """Opens what was sealed to this gateway as a recipient."""

    def key(self) -> str:
        """The public key (base64) that contracts name."""
        ...

    def open(
        self, contract: SignedContract, approvals: Sequence[SignedApproval], shares: Sequence[SealedShare]
    ) -> Table:
        """The table; raises IsthmusError(INCONSISTENT_SHARES)."""
        ...


class SpaceLine(Protocol):
    """One space as the initiator talks to it; its own space has a line too, so that both go the same way."""

    async def check(self, draft: bytes) -> Verdict: ...

    async def consult(self, plan: str, chains: Chains, withdrawn: bool) -> Consulted | Refusal:
        """How far its people are with a plan, which is put before them; or that it is asked no more."""
        ...

    async def propose(self, contract: str, chains: Chains) -> Approval | Refusal: ...

    def run(self, contract: str, approvals: Sequence[str], chains: Chains) -> AsyncGenerator[RunEvent, None]:
        """Events until Completed or Failure; raises IsthmusError when the space cannot be reached.

        Who closes it early ends the session there.
        """
        ...

    async def conclude(
        self, session: str, digest: str, state: State, failure: Failure | None, receipts: Sequence[str]
    ) -> None: ...


class Agent(Protocol):
    """This space's own agent, as its gateway sees it."""

    def offer(self) -> str | None:
        """The signed offer of the agent that is connected, or None."""
        ...

    async def check(self, draft: bytes) -> Verdict: ...

    async def propose(self, contract: str, chains: Chains) -> Approval | Refusal: ...

    def run(self, contract: str, approvals: Sequence[str], chains: Chains) -> AsyncGenerator[RunEvent, None]: ...

    async def stop(self, session: str, failure: Failure | None) -> None:
        """How a session has ended: with a failure, or, with None, well, its result released."""
        ...


class Stewards(Protocol):
    """The people who decide at this space, through its agent."""

    async def consult(self, plan: str, chains: Chains, withdrawn: bool) -> Consulted | Refusal: ...


class Revocations(Protocol):
    """What is known to be revoked, and whether that is fresh enough to begin anything."""

    def check(self, contract: Contract) -> None:
        """Whether a session of `contract` may begin. Raises IsthmusError(REVOCATION_STALE or REVOKED)."""
        ...

    def revoked(self, contract: SignedContract, approvals: Sequence[SignedApproval]) -> IsthmusError | None:
        """What of a session, waiting or running, was revoked, if anything."""
        ...

    def severed(self) -> Mapping[str, IsthmusError]:
        """By entity: that a TLS key under which it spoke to this space was revoked, since this was last asked."""
        ...


class Federation(Protocol):
    """Everybody this gateway knows, itself included."""

    def spaces(self) -> Mapping[str, Space]: ...

    def line(self, entity: str) -> SpaceLine: ...

    def chains(self, entities: Sequence[str]) -> Chains:
        """The statements that prove these spaces, to be pushed along with a contract. Raises
        IsthmusError(PEER_UNREACHABLE) where one of them is not known, or not any more."""
        ...


class Tunnels(Protocol):
    """Session traffic between this space's agent and the other spaces of the session."""

    def open(self, contract: Contract) -> None:
        """Get ready to carry this session; frames that come early wait, within bounds."""
        ...

    def start(self, session: str) -> None:
        """Dial the spaces that this one has to dial."""
        ...

    async def close(self, session: str) -> None: ...


class Members(Protocol):
    """Those for whom an anchor vouches. Every write counts one version up, in one order for all replicas."""

    async def add(self, member: Member, invitation: str, facts: Sequence[Fact]) -> Member:
        """Write a member, in place of one of the same name, and use its invitation up, in one transaction.

        Raises IsthmusError(PERMISSION_DENIED) when the invitation is not open any more; nothing is written then.
        """
        ...

    async def save(self, member: Member, facts: Sequence[Fact]) -> Member:
        """Raises IsthmusError(ILLEGAL_TRANSITION) when somebody else wrote since `member.version`."""
        ...

    async def get(self, entity: str) -> Member | None: ...

    async def since(self, version: int, limit: int) -> Sequence[Member]:
        """Those that changed after `version`, oldest change first."""
        ...


class Invitations(Protocol):
    async def keep(self, invitation: Invitation, facts: Sequence[Fact]) -> None: ...

    async def get(self, id: str) -> Invitation | None: ...

    async def attempted(self, id: str) -> int:
        """Count one more attempt to join with it; returns how many that makes."""
        ...

    async def withdraw(self, id: str, facts: Sequence[Fact]) -> bool:
        """False when it is not open: unknown, used, or withdrawn before."""
        ...

    async def list(self) -> Sequence[Invitation]: ...


class RulebookStore(Protocol):
    """Every version of an anchor's rulebook."""

    async def add(
        self, published: Published, text: str, check: Callable[[Sequence[Rulebook]], None], facts: Sequence[Fact]
    ) -> None:
        """Write it unless `check` raises, which is given what is there, with nobody in between."""
        ...

    async def list(self) -> Sequence[Published]:
        """Lowest version first."""
        ...

    async def text(self, version: int) -> str | None: ...


class Vouching(Protocol):
    """The anchor's signature, and what it verifies by it."""

    def statement(self, entity: str, pins: Pins, rulebooks: Sequence[Rulebook]) -> tuple[str, int]:
        """The statement that these are the keys of `entity`, and these the rulebooks, and when it expires."""
        ...

    def verify(self, configuration: str, statement: str) -> Entity:
        """Both as everybody else will verify them. Raises IsthmusError(UNAUTHENTICATED)."""
        ...

    def above(self) -> Sequence[str]:
        """The statements above this anchor; none for one that has no superior."""
        ...
