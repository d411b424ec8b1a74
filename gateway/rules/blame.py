"""Whose doing it was that a session failed, from what its spaces report: pure, and the same for every order.

Invariants: whoever is named has said so itself, or more accuse it than can lie together, or the gateway that decides
found it itself; everything else is `UNDETERMINED`. A word of one against another names nobody: frames are sealed with
keys that both ends hold, so who received one proves it to nobody else. What a report is worth:

- ADMITTED, the space's own party, agent, rows or gateway: enough alone.
- FOUND, what came to the gateway that decides and may not come (a frame of another's seat, a share, a receipt): enough
  alone. Were it to lie, it could tell everybody any verdict without this.
- ACCUSED, a frame that opened and is wrong, or that does not open, or a revocation, by who received it: it takes more
  operators of seats than can pool what they see (t; DESIGN section 6), since these hold an honest one. Who has no seat
  receives no frames.
- GONE, a connection that its other end closed: it takes all who had a line to it, and that nothing is heard of it.
- NONE, silence, a deadline, shares that do not fit, whatever its reporter cannot know: never enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from gateway.domain.contract import Contract
from gateway.domain.errors import Reason
from gateway.domain.session import UNDETERMINED, Failure

MAX_TEXT = 1000


class Ground(IntEnum):
    """Stronger ones first."""

    ADMITTED = 1
    FOUND = 2
    ACCUSED = 3
    GONE = 4
    NONE = 5


GROUNDS = {
    Reason.PROTOCOL_VIOLATION.value: Ground.ACCUSED,
    Reason.REVOKED.value: Ground.ACCUSED,
    Reason.FRAME_UNREADABLE.value: Ground.ACCUSED,
    Reason.PEER_UNREACHABLE.value: Ground.GONE,
}


@dataclass(frozen=True, slots=True)
class Report:
    """A failure, and the space that reports it."""

    reporter: str
    failure: Failure

    @property
    def ground(self) -> Ground:
        accused = self.failure.culprit
        if accused == UNDETERMINED:
            return Ground.NONE
        if accused == self.reporter:
            return Ground.ADMITTED
        ground = GROUNDS.get(self.failure.reason, Ground.NONE)
        return Ground.FOUND if ground is Ground.ACCUSED and self.failure.found else ground


def believable(failure: Failure, reporter: str, contract: Contract) -> Failure:
    """What a space reports, as far as it can be true: a known reason, and a culprit that takes part."""
    reason = failure.reason if failure.reason in Reason.__members__ else Reason.INTERNAL.value
    culprit = failure.culprit or UNDETERMINED
    if culprit not in (UNDETERMINED, contract.initiator, *contract.entities()):
        culprit = reporter
    return replace(
        failure,
        reason=reason,
        culprit=culprit,
        text=failure.text[:MAX_TEXT],
        action=failure.action[:MAX_TEXT],
        found=failure.found and reporter == contract.initiator,
    )


def is_settled(contract: Contract, reports: Iterable[Report]) -> bool:
    """Whether no further report can change the verdict, so that nobody has to wait for one."""
    found = list(reports)
    if any(report.ground in (Ground.ADMITTED, Ground.FOUND) for report in found):
        return True
    if _by_many(contract, found) is not None or _gone(contract, found) is not None:
        return True
    return {report.reporter for report in found} >= {contract.initiator, *contract.entities()}


def verdict(contract: Contract, reports: Iterable[Report]) -> Failure:
    """What every space is told. `reports` hold at least one."""
    ordered = sorted(reports, key=lambda report: _order(contract, report))
    culprit = _culprit(contract, ordered)
    if culprit == UNDETERMINED:
        return _undetermined(ordered)
    found = next(report for report in ordered if report.failure.culprit == culprit)
    if found.ground is not Ground.ACCUSED:
        return found.failure
    by = ", ".join(dict.fromkeys(report.reporter for report in ordered if report.failure.culprit == culprit))
    return replace(found.failure, text=f"{found.failure.text[: MAX_TEXT // 2]} (reported by {by})"[:MAX_TEXT])


def alone(entity: str, failure: Failure) -> Failure:
    """What a space tells when it hears nothing of the others: its own doing it knows, and nothing else."""
    return failure if failure.culprit == entity else _undetermined([Report(entity, failure)])


def _culprit(contract: Contract, reports: Sequence[Report]) -> str:
    """The entity, or UNDETERMINED. `reports` are in order."""
    if reports[0].ground in (Ground.ADMITTED, Ground.FOUND):
        return reports[0].failure.culprit
    if (proven := _by_many(contract, reports)) is not None:
        return proven
    if any(report.ground is Ground.ACCUSED for report in reports):
        return UNDETERMINED
    return _gone(contract, reports) or UNDETERMINED


def _by_many(contract: Contract, reports: Sequence[Report]) -> str | None:
    """The one whom operators of more than t seats accuse."""
    operators = {seat.entity: seat.operator for seat in contract.seats}
    accusers: dict[str, set[str]] = {}
    for report in reports:
        if report.ground is Ground.ACCUSED and report.reporter in operators:
            accusers.setdefault(report.failure.culprit, set()).add(operators[report.reporter])
    found = [accused for accused, by in accusers.items() if len(by) > contract.t]
    return found[0] if len(found) == 1 else None


def _gone(contract: Contract, reports: Sequence[Report]) -> str | None:
    """The one whom everybody lost who had a line to it, if they lost nobody else and it has said nothing since."""
    lost = {report.failure.culprit for report in reports if report.ground is Ground.GONE}
    if len(lost) != 1:
        return None
    (accused,) = lost
    seated = {seat.entity for seat in contract.seats}
    near = {entity for entity in contract.entities() if entity in seated or accused in seated}
    by = {report.reporter for report in reports if report.ground is Ground.GONE}
    heard = any(report.reporter == accused for report in reports)
    return None if heard or (near | {contract.initiator}) - {accused} - by else accused


def _order(contract: Contract, report: Report) -> tuple[int, int, str, str, str]:
    entities = contract.entities()
    place = entities.index(report.reporter) if report.reporter in entities else len(entities)
    return (report.ground, place, report.failure.reason, report.failure.culprit, report.failure.text)


def _undetermined(reports: Sequence[Report]) -> Failure:
    said = list(dict.fromkeys(_said(report) for report in reports))
    concerned = {report.reporter for report in reports} | {report.failure.culprit for report in reports}
    text = "; ".join(said)
    whom = ", ".join(sorted(concerned - {UNDETERMINED}))
    return replace(
        reports[0].failure,
        culprit=UNDETERMINED,
        text=f"whose doing it was cannot be told: {text}"[:MAX_TEXT],
        action=f"Ask again; if it comes back, the operators of {whom} hold their logs against each other",
    )


def _said(report: Report) -> str:
    """Its reporter, and beside it whom it accuses: one of the two it was, if the report is an accusation."""
    accused = "" if report.failure.culprit in (UNDETERMINED, report.reporter) else f" of {report.failure.culprit}"
    return f"{report.reporter} reports{accused}: {report.failure.text[: MAX_TEXT // 2]}"
