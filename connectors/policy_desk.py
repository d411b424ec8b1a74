"""Policies that stewards change without an editor on the agent's machine: what they sign goes into the policy's file.

Invariants: nothing is taken unless the configuration says by how many; only what so many different stewards signed,
by their keys in this agent's own configuration, for this dataset and with one and the same text, is written; it is
read and held against the dataset as if it stood in the file; its version is greater than the one in force, and one text
is accepted once, whatever is brought again; the file is replaced as a whole, and not while somebody is editing it.
The watch (`connectors.policy_watch`) puts it in force, as it does what an operator writes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from connectors.config import PolicyConfig
from connectors.holdings import Holding, under
from connectors.rules.decisions import Steward
from connectors.stewards import check_holding, no_steward
from gateway.config import broken, load
from gateway.domain.audit import Fact
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.policy_text import PolicyText, Proposal, Proposed
from gateway.edges.store.database import Database
from gateway.edges.tokens import signature_holds
from gateway.ports import Clock
from gateway.rules.jose import Problem, TokenProblem, parse_compact
from gateway.rules.policy_texts import TYP, read_proposal, text_digest
from gateway.rules.tokens import PROFILES

MAX_BYTES = PROFILES[TYP].max_bytes


@dataclass(slots=True)
class PolicyDesk:
    """Of one agent. `persons` is how many stewards have to sign; 0: policies are changed in their files alone."""

    entity: str
    holdings: Mapping[str, Holding]
    stewards: Sequence[Steward]
    persons: int
    database: Database
    clock: Clock
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)

    def show(self, dataset: str) -> PolicyText:
        """The policy in force, as its file says it. Raises IsthmusError(NOT_FOUND, ILLEGAL_TRANSITION)."""
        held, file = self._held(dataset)
        try:
            text = file.read_bytes().decode()
            same = under(held, parsed(text, file.name)) == held
        except (OSError, UnicodeDecodeError, IsthmusError):
            same = False
        if not same:
            raise IsthmusError(
                Reason.ILLEGAL_TRANSITION,
                f"the policy file of {dataset} is being changed, or says what is not in force",
                field="dataset",
                space=self.entity,
                advice="Ask again in a second; if it stays so, the agent's log says why",
            )
        return PolicyText(dataset, held.dataset.terms.version, text_digest(text), text)

    async def propose(self, dataset: str, token: str) -> Proposed:
        """Keep what a steward signed, and put it in the file when enough have.

        Raises IsthmusError: PERMISSION_DENIED where no policy is taken so, or for a key that is no steward's;
        INVALID_ARGUMENT for what is signed for another dataset, has expired, is altered or older than the steward's
        newest; ILLEGAL_TRANSITION for a version that is not greater; ALREADY_EXISTS for a text accepted before;
        CONFIGURATION for what is no policy of this dataset.
        """
        if self.persons == 0:
            raise IsthmusError(
                Reason.PERMISSION_DENIED,
                "this space takes no policies from its stewards",
                space=self.entity,
                advice="Its operator sets [policy_changes] persons in agent.toml, or changes the policy's file",
            )
        async with self._one_at_a_time:
            return await self._propose(dataset, token)

    async def _propose(self, dataset: str, token: str) -> Proposed:
        held, file = self._held(dataset)
        proposal, text, version = self._read(dataset, token)
        self._check(held, file, text, version)
        detail = f"version {version}, text {proposal.digest}"
        now = self.clock.now()
        fact = Fact(now, "policy.proposed", self.entity, dataset, f"{detail}, by the key {proposal.signer}")
        if not await self.database.proposals.keep(proposal, [fact]):
            raise _refused("this steward has signed something newer for this dataset")
        signers = [
            one.signer
            for one in await self.database.proposals.of(dataset)
            if one.digest == proposal.digest and self._counts(one)
        ]
        done = Proposed(dataset, version, proposal.digest, len(signers), self.persons, len(signers) >= self.persons)
        if done.accepted:
            self.show(dataset)  # nobody's unfinished work is overwritten
            fact = Fact(now, "policy.accepted", self.entity, dataset, f"{detail}, by the keys {', '.join(signers)}")
            await self._write(file, text, proposal, fact)
        return done

    def _held(self, dataset: str) -> tuple[Holding, Path]:
        held = self.holdings.get(dataset)
        if held is None or held.policy_file is None:
            text, advice = f"there is no dataset {dataset!r:.200} with a policy here", "See: isthmus datasets"
            raise IsthmusError(Reason.NOT_FOUND, text, field="dataset", space=self.entity, advice=advice)
        return held, held.policy_file.resolve()

    def _read(self, dataset: str, token: str) -> tuple[Proposal, str, int]:
        """What was signed, its text and version, by a steward of this agent. Raises IsthmusError."""
        keys = {steward.key.kid: steward.key for steward in self.stewards}
        try:
            kid = parse_compact(token, MAX_BYTES).kid
            if kid not in keys:
                raise no_steward(kid)
            claims = read_proposal(token, kid, (keys[kid],), dataset, self.clock.now(), signature_holds).claims
        except TokenProblem as problem:
            said = {
                Problem.AUDIENCE: "it was signed for another dataset",
                Problem.TIMES: "it has expired, or is not valid yet",
                Problem.LIFETIME: "it would be good for too long",
            }
            text = said.get(problem.problem, "it is no policy that this key has signed")
            raise _refused(text, problem.private) from None
        text = str(claims["policy"])
        kept = Proposal(dataset, kid, text_digest(text), token, claims["iat"], claims["exp"])
        return kept, text, int(claims["version"])

    def _counts(self, one: Proposal) -> bool:
        """Whether it holds now, by the configuration as it is now."""
        try:
            read, _, _ = self._read(one.dataset, one.token)
        except IsthmusError:
            return False
        return (read.signer, read.digest) == (one.signer, one.digest)

    def _check(self, held: Holding, file: Path, text: str, version: int) -> None:
        """Everything that is asked of a policy's file, and a version that goes on. Raises IsthmusError."""
        policy = parsed(text, file.name)
        if policy.version != version:
            raise _refused(f"it is signed as version {version}, and its text says {policy.version}")
        present = held.dataset.terms.version
        if version <= present:
            raise IsthmusError(
                Reason.ILLEGAL_TRANSITION,
                f"version {present} of the policy of {held.dataset.name} is in force, and {version} is not newer",
                field="version",
                space=self.entity,
                advice=f"Write version = {present + 1}, and have it signed again",
            )
        check_holding(under(held, policy), self.stewards)

    async def _write(self, file: Path, text: str, proposal: Proposal, fact: Fact) -> None:
        """The file as a whole, with the rights that it has; written down before it counts."""
        made = _beside(file, text)
        try:
            # For ever: what an operator has taken back since is not brought again.
            if not await self.database.once.consume("policy", proposal.dataset, proposal.digest, None):
                raise IsthmusError(
                    Reason.ALREADY_EXISTS,
                    "this very text was accepted before",
                    field="version",
                    space=self.entity,
                    advice="Count its version up, and have it signed again",
                )
            await self.database.audit.append([fact])
            made.replace(file)
        except OSError as problem:
            raise _unwritable(file, problem) from None
        finally:
            made.unlink(missing_ok=True)


def parsed(text: str, name: str) -> PolicyConfig:
    """The policy, read as the file `name` would be. Raises IsthmusError(CONFIGURATION)."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / name
        file.write_bytes(text.encode())
        try:
            return load(PolicyConfig, file)
        except IsthmusError as problem:
            raise broken(problem.public.replace(f"{folder}/", ""), problem.field, problem.advice) from None


def _beside(file: Path, text: str) -> Path:
    """A file beside it with this text and its rights. Raises IsthmusError(CONFIGURATION)."""
    made: Path | None = None
    try:
        state = file.stat()
        descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
        made = Path(name)
        with os.fdopen(descriptor, "wb") as target:
            os.fchmod(descriptor, stat.S_IMODE(state.st_mode))
            with contextlib.suppress(PermissionError):  # it stays with the agent's user then
                os.fchown(descriptor, state.st_uid, state.st_gid)
            target.write(text.encode())
            target.flush()
            os.fsync(descriptor)
        return made
    except OSError as problem:
        if made is not None:
            made.unlink(missing_ok=True)
        raise _unwritable(file, problem) from None


def _unwritable(file: Path, problem: OSError) -> IsthmusError:
    return IsthmusError(
        Reason.CONFIGURATION,
        "the agent may not write the policy's file",
        private=f"{file}: {problem.strerror}",
        advice="Its operator lets the agent's user write the folder, or changes the file",
    )


def _refused(text: str, private: str = "") -> IsthmusError:
    return IsthmusError(
        Reason.INVALID_ARGUMENT,
        f"the proposal does not count: {text}",
        private=private,
        field="proposal",
        advice="Look at the policy in force, and sign again",
    )
