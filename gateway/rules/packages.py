"""Which program answers a question: the one that everybody who takes part runs, byte for byte. Of those that no release
has, who admits which.

Invariant: what a question leaves open of a packaged program is filled in from what is offered; whatever is filled in,
agents hold against what they have installed (`connectors.rules.approval`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.identity import EntityId, host_of
from gateway.domain.offer import ProgramOffer, Space
from gateway.domain.query import PackagedProgram, Query
from gateway.rules import statistics

HOW = "its operator reads the package, runs `isthmus programs check DIR`, and adds the digest"


def shared_program(asked: Query, spaces: Mapping[str, Space]) -> ProgramOffer:
    """The newest version that all these spaces would run. Raises IsthmusError(PROGRAM_UNKNOWN) naming who would not."""
    name, packaged = statistics.program_of(asked), asked.statistic.program
    offered = {
        entity: {
            offer.identity: offer
            for offer in space.offer.programs
            if offer.name == name and bool(offer.descriptor) is (packaged is not None)
            if packaged is None or packaged.digest in ("", offer.digest)
        }
        for entity, space in spaces.items()
    }
    common = set.intersection(*(set(here) for here in offered.values()))
    engines = {(space.offer.engine, space.offer.codec) for space in spaces.values()}
    if not common and packaged is not None:
        raise _not_admitted(packaged, offered)
    if not common or len(engines) > 1:
        raise IsthmusError(
            Reason.PROGRAM_UNKNOWN,
            f"the spaces of this question share no version of the program {name}",
            field="statistic",
            advice="Their operators have to run the same release; `isthmus spaces` shows what each speaks",
        )
    first = next(iter(offered.values()))
    return first[max(common, key=lambda identity: identity[1])]


def filled_in(asked: Query, offer: ProgramOffer) -> Query:
    """The question with what it leaves open of a packaged program: its digest, and what it says of itself."""
    packaged = asked.statistic.program
    if packaged is None:
        return asked
    whole = replace(packaged, digest=offer.digest, descriptor=packaged.descriptor or offer.descriptor)
    return replace(asked, statistic=replace(asked.statistic, program=whole))


def answers(frozen: Query, asked: Query) -> bool:
    """Whether a contract's query is what was asked, with nothing filled in but what that left open."""
    there, here = frozen.statistic.program, asked.statistic.program
    if there is None or here is None:
        return frozen == asked
    whole = replace(here, digest=here.digest or there.digest, descriptor=here.descriptor or there.descriptor)
    return frozen == replace(asked, statistic=replace(asked.statistic, program=whole))


def identified(name: str, digest: str) -> str:
    """How people are told which program is meant."""
    return f"program {name}@sha256:{digest}"


def _not_admitted(
    packaged: PackagedProgram, offered: Mapping[str, Mapping[tuple[str, int, str], ProgramOffer]]
) -> IsthmusError:
    """Of the digest that most of them run: who does, and who does not."""
    running: dict[str, list[str]] = {}
    for entity, here in offered.items():
        for _, _, digest in here:
            running.setdefault(digest, []).append(host_of(EntityId(entity)))
    if not running:
        which = f"{packaged.name} with digest {packaged.digest}" if packaged.digest else packaged.name
        return IsthmusError(
            Reason.PROGRAM_UNKNOWN,
            f"no space of this question runs a program {which}",
            field="statistic.program",
            advice="`isthmus programs` has those that are run; docs/new-program.md how another one comes to spaces",
        )
    digest = max(sorted(running), key=lambda one: len(running[one]))
    admitting = running[digest]
    others = [host_of(EntityId(entity)) for entity in offered if host_of(EntityId(entity)) not in admitting]
    return IsthmusError(
        Reason.PROGRAM_UNKNOWN,
        f"{' and '.join(others)} {'does' if len(others) == 1 else 'do'} not allow "
        f"{identified(packaged.name, digest)}; {' and '.join(admitting)} {'does' if len(admitting) == 1 else 'do'}",
        field="statistic.program",
        advice=f"At each of them {HOW} to `programs` of its agent's configuration",
    )
