"""A report on a dataset as people read it: a data-protection officer, on paper or on the screen.

Invariant: it says what the report says, in words, and makes nothing up.
"""

from __future__ import annotations

from connectors.rules.inference import Inference
from connectors.rules.reporting import Asked, Budget, DatasetReport
from gateway.domain.document import Block, Document, Facts, Grid, Section
from gateway.rules import noise, wording
from gateway.rules.dates import day_of
from gateway.rules.retention import moment

DIGEST_SHOWN = 16
NOTE = (
    "For the dataset's owner alone. It names people who asked, since accounting for that is its purpose, and says why "
    "questions were refused and by how many rows answers differ, which nobody else may know."
)
UNLIMITED = "any number"


def document(made: DatasetReport) -> Document:
    details = tuple(_details(number, item) for number, item in _numbered(made))
    return Document(
        "Report on a dataset",
        f"{made.title} ({made.dataset})",
        (
            Section("What this is", (_head(made),)),
            Section("Who asked what, and what came of it", _questions(made)),
            Section("What was refused", _refusals(made)),
            Section("What the policy allows", _policy(made)),
            Section("What is left", (_budgets(made.budgets),)),
            Section("What can still be inferred, and what it costs", _inferences(made)),
            Section("How long this is known", (_kept(made),)),
            *((Section("The questions, one by one", details),) if details else ()),
        ),
        NOTE,
    )


def _numbered(made: DatasetReport) -> list[tuple[int, Asked]]:
    return list(enumerate(made.asked, start=1))


def _head(made: DatasetReport) -> Facts:
    outcomes: dict[str, int] = {}
    for item in made.asked:
        outcomes[item.outcome] = outcomes.get(item.outcome, 0) + 1
    return Facts(
        "The report",
        (
            ("Dataset", f"{made.title}: {made.dataset}"),
            ("Owner", made.space),
            ("Period", f"from {moment(made.since) if made.since else 'the beginning'} to before {moment(made.until)}"),
            ("Made", f"{moment(made.made)}, from an audit log of {made.log_size} records with root {made.log_root}"),
            (
                "Questions approved",
                f"{len(made.asked)}: " + (", ".join(f"{n} {name}" for name, n in sorted(outcomes.items())))
                if made.asked
                else "none",
            ),
            ("Refused", f"{len(made.refused_by_rows)} by the ledger, {len(made.refused_by_policy)} by the policy"),
            ("Answers in the ledger", f"{made.answers}, since the dataset exists"),
            ("Answers about one person", f"{made.person_answers}, since the dataset exists"),
        ),
    )


def _questions(made: DatasetReport) -> tuple[Block, ...]:
    if not made.asked:
        return ("Nothing was asked and approved in this period.", *_forgotten(made))
    rows = tuple(
        (str(number), moment(item.at), item.title, f"{item.requester} of {item.initiator}", item.purpose, item.outcome)
        for number, item in _numbered(made)
    )
    intro = (
        "Each line is a contract that this space approved; the same numbers stand over the details at the end. "
        "Released means that every step at this agent was done and the output shares left for the recipients."
    )
    return (
        intro,
        Grid("Questions", ("No.", "Approved", "What", "By", "Purpose", "Outcome"), rows, (0,)),
        *_forgotten(made),
    )


def _forgotten(made: DatasetReport) -> tuple[str, ...]:
    if not made.forgotten:
        return ()
    return (
        f"{made.forgotten} more were answered in this period, of which the contract is not kept any more: the ledger "
        "and the audit log still have their digests and times.",
    )


def _details(number: int, item: Asked) -> Facts:
    recipients = "; ".join(f"{to.name} ({to.kind}), {wording.place(to.jurisdiction)}" for to in item.recipients)
    signed = "who signed it" if item.requester_signed else f"for whom {item.initiator} vouches"
    receipt = f"signed over record {item.record} of the audit log, head {item.head}" if item.record is not None else ""
    pairs = (
        ("Asked by", f"{item.requester}, {signed}"),
        ("Initiator", f"{item.initiator}, {wording.place(item.initiator_jurisdiction)}"),
        ("Approved", moment(item.at)),
        ("Purpose", wording.coded(item.purpose, item.purpose_means)),
        ("Legal basis", wording.coded(item.legal_basis, item.legal_basis_means)),
        ("Statistic", item.statistic),
        ("Rows asked of", "; ".join(item.filters) or "all rows of the edition"),
        ("Edition", item.edition),
        ("Lists", ", ".join(item.sources)),
        ("Recipients", recipients),
        ("Limits", item.limits),
        ("Noise", item.noise),
        ("Stewards", f"approved with the keys {', '.join(item.stewards)}" if item.stewards else ""),
        ("Outcome", f"{item.outcome}: {item.why}" if item.why else item.outcome),
        ("Asks the same as", item.repeats),
        ("Receipt", receipt),
        ("Contract", item.contract),
        ("Session", item.session),
        ("Question", item.question),
    )
    return Facts(f"No. {number}: {item.title}", tuple((name, said) for name, said in pairs if said))


def _refusals(made: DatasetReport) -> tuple[Block, ...]:
    blocks: list[Block] = []
    if made.refused_by_rows:
        spaces = tuple((space, str(count)) for space, count in made.refusals_by_space)
        rows = tuple(
            (moment(item.at), item.space, item.objection, item.contract[:DIGEST_SHOWN]) for item in made.refused_by_rows
        )
        blocks += [
            "By the ledger, which depends on rows. Whoever asked heard one and the same refusal; a refusal tells a "
            "little itself, namely that one of the rules applied.",
            Grid("By asking space", ("Space", "Refusals"), spaces, (1,)),
            Grid("Each of them", ("When", "Space", "Objection", "Contract"), rows),
        ]
    if made.refused_by_policy:
        said = tuple((moment(item.at), item.said, item.contract[:DIGEST_SHOWN]) for item in made.refused_by_policy)
        blocks.append(Grid("By the policy", ("When", "What was said", "Contract"), said))
    return tuple(blocks) or ("Nothing was refused in this period.",)


def _policy(made: DatasetReport) -> tuple[Block, ...]:
    changes = tuple((moment(item.at), item.said) for item in made.policy_changes)
    blocks: tuple[Block, ...] = (Facts(f"Version {made.policy_version}, as its file says now", made.policy),)
    return (*blocks, Grid("Changes in this period", ("When", "What"), changes)) if changes else blocks


def _budgets(budgets: tuple[Budget, ...]) -> Grid:
    rows = tuple(
        (
            item.name,
            _amount(item.spent, item.per),
            UNLIMITED if item.allowed is None else _amount(item.allowed, item.per),
            UNLIMITED if item.left is None else _amount(item.left, item.per),
        )
        for item in budgets
    )
    return Grid("Budgets", ("Of", "Spent", "Allowed", "Left"), rows, (1, 2, 3))


def _amount(value: int, per: int) -> str:
    """Exactly; what is divided is ε."""
    return str(value) if per == 1 else noise.text(value)


def _inferences(made: DatasetReport) -> tuple[Block, ...]:
    blocks: list[Block] = [
        f"Worked out from the row sets of all {made.answers} answers in the ledger, by the rules of docs/ledger.md. "
        "What leaves by another road, such as a published report of the same list, is not in it."
    ]
    for item in made.inferences:
        blocks.append(
            Facts(
                item.kind[0].upper() + item.kind[1:],
                (("Found", str(item.found)), ("What it tells", item.said), ("What it costs", item.cost)),
            )
        )
        if item.pairs:
            blocks.append(_pairs(made, item))
    return tuple(blocks)


def _pairs(made: DatasetReport, item: Inference) -> Grid:
    names = {one.contract: f"No. {number}" for number, one in _numbered(made)}
    rows = tuple(
        (
            names.get(pair.first, pair.first[:DIGEST_SHOWN]),
            names.get(pair.second, pair.second[:DIGEST_SHOWN]),
            str(pair.only_first),
            str(pair.only_second),
            str(pair.apart),
        )
        for pair in item.pairs
    )
    shown = f"The {len(rows)} closest of {item.found} pairs" if item.found > len(rows) else "The pairs"
    heads = ("One", "Other", "Only in one", "Only in other", "Differ by")
    return Grid(f"{shown}: {item.kind}", heads, rows, (2, 3, 4))


def _kept(made: DatasetReport) -> Facts:
    return Facts(
        "Retention",
        (
            ("Contracts", f"{made.contracts_days} days, so those of before {_first_day(made)} are gone"),
            ("Output shares that answer repeats", f"{made.kept_days} days, at agents with seats, sealed to themselves"),
            ("Ledger", "for ever: without an answer in it, a question that differs by one person would pass"),
            ("Answers about one person", "for ever, the case as a keyed hash: a quota of a case has no end"),
            ("Digests of contracts that were run", "for ever: so that none runs twice"),
            ("Audit log", "for ever: it would not verify with a hole in it"),
        ),
    )


def _first_day(made: DatasetReport) -> str:
    return day_of(made.made - made.contracts_days * 24 * 60 * 60)
