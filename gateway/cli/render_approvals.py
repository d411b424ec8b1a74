"""An inbox and a plan for those who decide: in plain words, and as JSON objects.

Invariants as in `gateway.cli.render`; the digest that is shown is the one that is signed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.table import Table

from gateway.cli.typeset import host, lines, minute, table, words
from gateway.domain.query import Query
from gateway.rules import common_codes, wording
from gateway.rules.records import to_plain

if TYPE_CHECKING:
    from gateway.cli.approving import Done, Page
    from gateway.domain.inbox import Waiting

SHOWN = 12
STATES = {
    "DELIVERED": "new",
    "SEEN": "seen",
    "APPROVED": "approved",
    "REJECTED": "rejected",
    "WITHDRAWN": "withdrawn by its asker",
    "EXPIRED": "not decided in time",
    "NOT_NEEDED": "nobody has to decide",
}


def rows(found: Sequence[Waiting]) -> RenderableType:
    if not found:
        return words("Nothing waits for a decision.")
    made = table("Plan", "Question", "State", "Decide by", fixed=("Plan", "Decide by"))
    for row in found:
        count = f"{row.have} of {row.need}"
        made.add_row(
            words(row.digest[:SHOWN]),
            lines(row.title, f"{row.requester} at {host(row.initiator)}"),
            words(f"{STATES[row.state]}, {count}"),
            words(minute(row.deadline)),
        )
    return made


def plain_row(row: Waiting) -> dict[str, Any]:
    return {
        "plan": row.digest,
        "title": row.title,
        "initiator": row.initiator,
        "requester": row.requester,
        "state": row.state.value,
        "have": row.have,
        "need": row.need,
        "standing": row.editions,
        "delivered": row.delivered,
        "seen": row.seen,
        "seen_by": row.seen_by,
        "deadline": row.deadline,
        "expires": row.expires,
        "withdrawn": row.withdrawn,
    }


def page(found: Page) -> RenderableType:
    facts = Table.grid(padding=(0, 2))
    facts.add_column(max_width=20)
    facts.add_column(overflow="fold")  # nothing of it is cut off, least of all what is signed
    for topic, text in told(found):
        facts.add_row(words(topic, "bold"), words(text))
    return Group(words(found.body.query.title, "bold"), "", facts)


def plain(found: Page) -> dict[str, Any]:
    return {
        **plain_row(found.shown.waiting),
        "verified": found.shown.verified,
        "contract": to_plain(found.body),
        "learns": [to_plain(item) for item in found.plan.learns],
        "smallest_group": list(found.plan.smallest_group),
        "decisions": [
            {"by": one.signer, "for": one.seat, "approves": one.approves, "at": one.at, "reason": one.text}
            for one in found.shown.decided
        ],
        "earlier": [
            {
                "title": one.title,
                "initiator": one.initiator,
                "purpose": one.purpose,
                "at": one.at,
                "datasets": list(one.datasets),
            }
            for one in found.shown.earlier
        ],
        "budgets": [
            {"dataset": one.dataset, "what": one.what, "spent": one.spent, "limit": one.limit, "per": one.per}
            for one in found.shown.budgets
        ],
        "told": [{"topic": topic, "text": text} for topic, text in told(found)],
    }


def told(found: Page) -> list[tuple[str, str]]:
    """Topic and what is said of it: all that a decision is about, then what helps to make it."""
    body, plan, row = found.body, found.plan, found.shown.waiting
    asked, asker = body.query, found.asker
    where = f", {asker.jurisdiction}" if asker.jurisdiction else ""
    signature = "" if found.shown.verified else "; its signature cannot be verified now, the agent did when it came"
    said = [
        ("Asked", wording.statistic(asked, rules=body.key_rules)),
        ("By", f"{body.requester} at {host(body.initiator)} ({asker.name}{where}){signature}"),
        ("For", f"{asked.purpose} ({wording.purpose(asked.purpose) or 'declared by a policy'})"),
        ("On the basis of", f"{asked.legal_basis} ({wording.legal_basis(asked.legal_basis) or 'national law'})"),
        *(("Of", text) for text in _sources(found)),
        ("Editions", _editions(asked)),
        ("Noise", wording.noise(body.limits)),
        ("Limits", wording.limits(body)),
        *(("Learns", f"{learner.who}: {learner.what}") for learner in plan.learns),
        ("Would see everything", f"only together: {' + '.join(plan.smallest_group)}"),
        ("Decide by", f"{minute(row.deadline)}; {row.have} of {row.need} have approved"),
        *(("Decided", _decision(found, index)) for index in range(len(found.shown.decided))),
        *(("Left", text) for text in _budgets(found)),
        *(
            ("Asked before", f"{one.title}: by {host(one.initiator)}, for {one.purpose}, {minute(one.at)}")
            for one in found.shown.earlier
        ),
        ("You sign", f"plan {row.digest}"),
    ]
    if not found.shown.earlier:
        said.insert(-1, ("Asked before", "nothing was asked of these datasets within a year"))
    if body.demo_view:
        said.insert(6, ("Receive buffer", "a sample of what the asker's own party receives is shown to it"))
    return said


def decision(done: Done) -> str:
    place = f" in the place of {done.place}" if done.place else ""
    verb = "approved" if done.said == "approve" else "rejected"
    said = done.waiting
    return (
        f"{done.name}{place} {verb} plan {said.digest[:SHOWN]}: {STATES[said.state]}, "
        f"{said.have} of {said.need} stewards have approved it."
    )


def plain_decision(done: Done) -> dict[str, Any]:
    return {**plain_row(done.waiting), "decision": done.said, "by": done.name, "as": done.place or done.name}


def _sources(found: Page) -> list[str]:
    editions = {item.dataset: item for provider in found.body.providers for item in provider.inputs}
    texts, titles = [], dict(found.shown.titles)
    for index, source in enumerate(found.body.query.sources):
        own = "yours: " if source.dataset in titles else ""
        title = f" ({titles[source.dataset]})" if source.dataset in titles else ""
        kept = " and ".join(wording.filtered(item) for item in common_codes.filters(found.body, index))
        rows_kept = f", only where {kept}" if kept else ", all of it"
        texts.append(f"{own}{source.dataset}{title}, edition {editions[source.dataset].edition}{rows_kept}")
    return texts


def _editions(asked: Query) -> str:
    if asked.standing == 1:
        return "these editions and no others"
    return f"these and those to come: {asked.standing} sets of editions under one approval, within a year"


def _decision(found: Page, index: int) -> str:
    one = found.shown.decided[index]
    name, seat = found.names.get(one.signer, one.signer), found.names.get(one.seat, one.seat)
    place = f" in the place of {seat}" if seat != name else ""
    reason = f": {one.text}" if one.text else ""
    return f"{name}{place} {'approved' if one.approves else 'rejected'} it, {minute(one.at)}{reason}"


def _budgets(found: Page) -> list[str]:
    texts = []
    for one in found.shown.budgets:
        limit = 0 if one.limit is None else one.limit / one.per
        left = "any number of" if one.limit is None else f"{max(0.0, limit - one.spent / one.per):g} of {limit:g}"
        texts.append(f"{one.dataset}: {left} {one.what}; {one.spent / one.per:g} spent so far")
    return texts
