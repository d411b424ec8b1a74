"""The record of processing as people read it.

Invariant: it says what the record says, in words, and makes nothing up.
"""

from __future__ import annotations

from gateway.domain.computation import State
from gateway.domain.document import Block, Document, Facts, Grid, Section
from gateway.rules import wording
from gateway.rules.processing import Asked, Processing
from gateway.rules.retention import moment

NOTE = (
    "A record of processing, not the result: it holds no number that was computed. It names who asked, since "
    "accounting for that is its purpose."
)


def document(made: Processing) -> Document:
    asked = made.asked
    title = made.computation if asked is None else asked.title
    sections = () if asked is None else (
        Section("For what, and on which basis", (_purposes(asked),)),
        Section("Who is responsible", _controllers(asked)),
        Section("Whose data, and which", (_data(asked),)),
        Section("Who learns the result, and where", (_recipients(asked),)),
        Section("How it was protected", (_security(asked), _seats(asked))),
    )  # fmt: skip
    return Document(
        "Record of processing",
        title,
        (
            Section("The computation", (_head(made),)),
            *sections,
            Section("How long what is kept", (_kept(made),)),
            Section("Where it is on record", _receipts(made)),
        ),
        NOTE,
    )


def _head(made: Processing) -> Facts:
    ended = made.times.ended
    why = f"{made.state} ({made.reason}: {made.why})" if made.reason else made.state
    pairs = [
        ("Computation", made.computation),
        ("This space", f"{made.space}, {'home of the request' if made.role == 'HOME' else 'takes part'}"),
        ("State", why),
        ("Asked", moment(made.times.created)),
        ("Ended", "not yet" if ended is None else moment(ended)),
        ("Contract", made.contract),
        ("Record made", moment(made.made)),
    ]
    return Facts("The computation", tuple(pairs))


def _purposes(asked: Asked) -> Facts:
    signed = "who signed it" if asked.requester_signed else f"for whom {asked.initiator} vouches"
    return Facts(
        "Purpose and legal basis",
        (
            ("Title", asked.title),
            ("Asked by", f"{asked.requester}, {signed}"),
            ("Purpose", wording.coded(asked.purpose, asked.purpose_means)),
            ("Legal basis", wording.coded(asked.legal_basis, asked.legal_basis_means)),
            ("Statistic", asked.statistic),
        ),
    )


def _controllers(asked: Asked) -> tuple[Block, ...]:
    rows = tuple(
        (one.space, one.operator or "not known here any more", one.jurisdiction or "–", ", ".join(one.datasets))
        for one in asked.controllers
    )
    return (
        "Each owner decides about its own data and approved these bytes on its own: its policy, its ledger, its "
        "purpose limits. Records never leave their owner; what leaves are shares that tell nothing one by one.",
        Grid("Controllers of the data", ("Space", "Operator", "Where", "Lists"), rows),
    )


def _data(asked: Asked) -> Facts:
    filters = "; ".join(f"{dataset}: {said}" for dataset, said in asked.filters)
    bound = sum(one.row_bound for one in asked.controllers)
    return Facts(
        "Categories of data subjects and of data",
        (
            ("People", f"on these lists: {', '.join(name for one in asked.controllers for name in one.datasets)}"),
            ("How many", f"padded to {bound}, whatever their real number"),
            ("Columns used", ", ".join(asked.columns)),
            ("Filters at the owner", filters or "none"),
            ("Editions", ", ".join(edition for one in asked.controllers for edition in one.editions)),
        ),
    )


def _recipients(asked: Asked) -> Grid:
    rows = tuple((f"{to.name} ({to.kind})", to.space, to.place) for to in asked.recipients)
    return Grid("Recipients, and transfers to third countries", ("Recipient", "Space", "Where"), rows)


def _security(asked: Asked) -> Facts:
    view = (
        "a sample of one party's receive buffer was shown: for made-up data only" if asked.demo_view else "none shown"
    )
    alone = "any one alone sees" if asked.t == 1 else f"any {asked.t} together see"
    return Facts(
        "Security measures",
        (
            ("Computed on", f"secret shares by {asked.m} seats, of which {alone} nothing"),
            ("Who would see everything", " + ".join(asked.smallest_group) + ", if they pooled what they have"),
            ("Limits on the result", asked.limits),
            ("Noise", asked.noise),
            ("Program", f"{asked.program} on {asked.engine}, digest {asked.program_digest}"),
            (
                "Transport",
                "mutual TLS between gateways; party traffic sealed from party to party, output to recipients",
            ),
            ("Receive buffers", view),
        ),
    )


def _seats(asked: Asked) -> Grid:
    rows = tuple((str(one.pid), one.operator, one.space, one.jurisdiction or "–") for one in asked.processors)
    return Grid("Who computed", ("Seat", "Operator", "Space", "Where"), rows, (0,))


def _kept(made: Processing) -> Facts:
    times = made.times

    def said(until: int | None, deleted: int | None, otherwise: str) -> str:
        if deleted is not None:
            return f"deleted on {moment(deleted)}"
        return otherwise if until is None else f"until {moment(until)}, then deleted"

    live = "the computation has not ended"
    none = live if times.ended is None else f"this space holds none of it ({made.state})"
    return Facts(
        "Retention at this space",
        (
            ("Result, sealed", said(times.result_until, times.result_deleted, none)),
            ("Query, contract, approvals", said(times.record_until, times.record_deleted, live)),
            ("Receipts and audit log", "for ever: they prove what was done"),
        ),
    )


def _receipts(made: Processing) -> tuple[Block, ...]:
    if not made.receipts:
        return (
            "There are no receipts: nothing was computed to its end."
            if made.state != State.RELEASED
            else "No receipts are kept.",
        )
    rows = tuple((one.space, str(one.log_size), one.log_head) for one in made.receipts)
    return (Grid("Receipts: heads of everybody's audit logs", ("Space", "Records", "Head"), rows, (1,)),)
