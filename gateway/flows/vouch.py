"""What an anchor does: invites, lets join, keeps members' statements fresh, tells who changed, suspends.

Invariants: nobody becomes a member but by an open invitation in its own name; a statement is handed out only once the
chain that it completes verifies as everybody else will verify it; a suspended member gets no statement and nothing
that is told about it proves anything any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gateway.domain.audit import Fact
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.identity import Entity, EntityId
from gateway.domain.membership import Invitation, InvitationState, Member
from gateway.domain.rulebook import OwnWord, Published, Rulebook
from gateway.ports import Clock, Invitations, Members, RulebookStore, Vouching
from gateway.rules.dates import day_of
from gateway.rules.invitations import Invited, proves, refuse
from gateway.rules.jose import MAX_CHAIN_BYTES, TokenProblem, parse_compact
from gateway.rules.membership import is_due, pins_in, rotated, rulebooks_of, word_of
from gateway.rules.rulebook import acceptance_of, check_succession, digest_of, standing
from gateway.rules.tokens import DAY
from gateway.rules.verification import SignatureCheck

MAX_ATTEMPTS = 10  # to join with one invitation: enough for somebody who corrects a configuration
PAGE = 128  # members in one answer
STATEMENT_LIFETIME = 30 * DAY


@dataclass(frozen=True)
class Known:
    """A caller of Fetch, verified: its record with rotations applied, what its chain says, what it may not have."""

    before: Member
    member: Member
    entity: Entity
    facts: tuple[Fact, ...]
    refused: tuple[TokenProblem, ...]


@dataclass(frozen=True, slots=True)
class Vouch:
    entity: EntityId
    clock: Clock
    members: Members
    invitations: Invitations
    vouching: Vouching
    signature_holds: SignatureCheck
    rulebooks: RulebookStore

    async def invite(self, invitation: Invitation) -> None:
        """Raises IsthmusError(ALREADY_EXISTS) for a member, unless the invitation is to replace its keys."""
        if not invitation.again and await self.members.get(invitation.entity) is not None:
            raise IsthmusError(
                Reason.ALREADY_EXISTS,
                f"{invitation.entity} is a member already",
                advice="--again invites it to join with new keys, in place of those that are pinned",
            )
        detail = f"until {invitation.expires}" + (", to join with new keys" if invitation.again else "")
        await self.invitations.keep(invitation, [self._fact("invited", invitation.entity, invitation.id, detail)])

    async def withdraw(self, id: str) -> None:
        if not await self.invitations.withdraw(id, [self._fact("invitation.withdrawn", self.entity, id, "")]):
            raise IsthmusError(
                Reason.NOT_FOUND, f"no invitation {id} is open", advice="`isthmus trust show` lists them"
            )

    async def join(self, invited: Invited, proof: bytes, configuration: str) -> Member:
        """The newcomer as a member. `invited` is an invitation that this anchor signed and that has not expired."""
        kept = await self.invitations.get(invited.id)
        if kept is None or kept.entity != invited.entity:
            refuse("this invitation is not known here", "Ask the anchor's operator for a new one")
        if kept.state is not InvitationState.OPEN:
            was = "was used before" if kept.state is InvitationState.USED else "was withdrawn"
            refuse(f"this invitation {was}", "Ask the anchor's operator for a new one")
        if await self.invitations.attempted(invited.id) > MAX_ATTEMPTS:
            refuse("too many attempts were made with this invitation", "Ask the anchor's operator for a new one")
        if not proves(proof, invited, configuration):
            refuse("the secret part does not fit this invitation", "Use the whole line that was handed over")
        now = self.clock.now()
        known = await self.members.get(invited.entity)
        if known is not None and not kept.again:
            raise IsthmusError(Reason.ALREADY_EXISTS, f"{invited.entity} is a member already", space=invited.entity)
        if known is not None and kept.issued < known.suspended:  # by its own word too: who left asks anew
            refuse(
                f"{invited.entity} was suspended since this invitation was made, or has left",
                "Ask the anchor's operator for a new one",
            )
        pins = pins_in(configuration, invited.entity, now)
        statement, expires = self.vouching.statement(invited.entity, pins, await self._rulebooks())
        self.vouching.verify(configuration, statement)
        member = Member(invited.entity, pins, configuration, statement, expires, joined=now)
        kids = " ".join(key.kid for key in pins.federation)
        return await self.members.add(
            member, invited.id, [self._fact("member.joined", invited.entity, invited.id, f"federation keys {kids}")]
        )

    async def known(self, caller: str, configuration: str, rotations: Sequence[str]) -> Known:
        """Who fetches: its chain verified with the pins that its rotations leave. Writes nothing.

        Raises IsthmusError: UNAUTHENTICATED for whoever is no member, PERMISSION_DENIED for who is suspended.
        """
        before = await self.members.get(caller)
        if before is None:
            raise IsthmusError(
                Reason.UNAUTHENTICATED, f"{caller} is no member here", advice="Join with an invitation", space=caller
            )
        if before.left:
            refuse(f"{caller} has left this federation", "It comes back with an invitation made with --again")
        if before.suspended:
            refuse(f"{caller} is suspended by this anchor", "Its operator and the anchor's have to talk")
        now = self.clock.now()
        member, refused = rotated(before, rotations, self.entity, now, self.signature_holds)
        facts = []
        books = await self._rulebooks()
        whys = {
            "pins rotated": member.pins != before.pins,
            "half of its life was over": is_due(member, STATEMENT_LIFETIME, now),
            "the rulebook is another": rulebooks_of(before.statement) != books,
        }
        if why := next((why for why, holds in whys.items() if holds), ""):
            statement, expires = self.vouching.statement(caller, member.pins, books)
            member = replace(member, statement=statement, statement_expires=expires)
            facts.append(self._fact("member.statement", caller, caller, why))
        entity = self.vouching.verify(configuration, member.statement)
        if entity.issued_at >= _issued_at(before):
            facts += self._heard(caller, word_of(before.configuration), entity.word)
            member = replace(member, configuration=configuration)
            if self.entity in entity.word.leaving:
                member = replace(member, suspended=now, left=now)
        return Known(before, member, entity, tuple(facts), tuple(refused))

    async def fetch(self, known: Known, version: int) -> tuple[Member, Sequence[Member], bool]:
        """The caller as it is now, everybody who changed after `version`, and whether there are more."""
        member = known.member
        if member != known.before:
            member = await self.members.save(member, known.facts)
        changed = await self.members.since(version, PAGE + 1)
        return member, changed[:PAGE], len(changed) > PAGE

    async def suspend(self, entity: str, *, lift: bool = False) -> None:
        member = await self.members.get(entity)
        if member is None:
            raise IsthmusError(Reason.NOT_FOUND, f"{entity} is no member", advice="`isthmus trust show` lists them")
        if member.left:
            refuse(f"{entity} has left by its own word", "It comes back with an invitation made with --again")
        if bool(member.suspended) is not lift:
            return
        kind = "member.reinstated" if lift else "member.suspended"
        changed = replace(member, suspended=0 if lift else self.clock.now())
        await self.members.save(changed, [self._fact(kind, self.entity, entity, "")])

    async def publish(self, text: str, version: int, in_force: int) -> Rulebook:
        """The next version of the rulebook, which members find in their statements from now on.

        Raises IsthmusError(INVALID_ARGUMENT) for one that does not come after those that are published.
        """
        book, now = Rulebook(version, digest_of(text), in_force), self.clock.now()
        detail = f"digest {book.digest}, in force from {day_of(in_force)}"
        fact = self._fact("rulebook.published", self.entity, f"version {version}", detail)
        await self.rulebooks.add(Published(book, now), text, lambda known: check_succession(known, book, now), [fact])
        return book

    async def text(self, version: int) -> str:
        """The text of a version; empty where there is none."""
        return await self.rulebooks.text(version) or "" if version else ""

    async def _rulebooks(self) -> tuple[Rulebook, ...]:
        return standing([item.book for item in await self.rulebooks.list()], self.clock.now())

    def _heard(self, caller: str, before: OwnWord, word: OwnWord) -> list[Fact]:
        """What a member says of its membership that it did not say before."""
        facts = []
        accepted = acceptance_of(word, self.entity)
        if accepted is not None and accepted != acceptance_of(before, self.entity):
            detail = f"version {accepted.version}, digest {accepted.digest}"
            facts.append(self._fact("rulebook.accepted", caller, self.entity, detail))
        if word.paused is not before.paused:
            facts.append(self._fact("member.paused" if word.paused else "member.resumed", caller, caller, ""))
        if self.entity in word.leaving:
            facts.append(self._fact("member.left", caller, self.entity, "by its own word"))
        return facts

    def _fact(self, kind: str, subject: str, about: str, detail: str) -> Fact:
        return Fact(self.clock.now(), kind, subject, about, detail[:1000])


def _issued_at(member: Member) -> int:
    """When the configuration that is kept was issued: an older one never replaces it."""
    return int(parse_compact(member.configuration, MAX_CHAIN_BYTES).claims["iat"])
