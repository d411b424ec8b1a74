"""What a dataset's owner reports: who asked what, on which basis, what came of it, what is left.

Invariants: it follows from contracts as they were signed, from the ledger and from the audit log, and from nothing
else, so that every number can be found there again; no row, and no number of a released table, is in it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from connectors.rules import budgets
from connectors.rules.budgets import Spent
from connectors.rules.inference import Inference, Taken, inferences
from gateway.domain.approval import Approved
from gateway.domain.audit import Fact, TreeHead
from gateway.domain.contract import Contract
from gateway.domain.dataset import Dataset
from gateway.domain.offer import Operator
from gateway.domain.records import record
from gateway.rules import common_codes, noise, statistics, wording
from gateway.rules.jose import TokenProblem, parse_compact
from gateway.rules.seats import hands

# The records over which a receipt is signed.
SIGNED = ("session.completed", "redelivery.completed")
DAY = 24 * 60 * 60
MAX_APPROVAL = 64 * 1024  # bytes, as when it was signed


class Outcome(StrEnum):
    """How it ended at this agent; whether the recipient could open it, its own gateway knows."""

    RELEASED = "released"
    REPEATED = "delivered again"
    FAILED = "failed"
    REFUSED = "refused"
    NOT_RUN = "not run"
    OPEN = "not run yet"


@record
class RecipientAt:
    name: str
    kind: str
    jurisdiction: str


@record
class Asked:
    """One contract that this space approved. `repeats` is the contract that asked the same before, if any;
    `record` is the position in the audit log of the record that the receipt was signed over, `head` the head there."""

    contract: str
    session: str
    at: int
    initiator: str
    initiator_jurisdiction: str
    requester: str
    requester_signed: bool
    title: str
    purpose: str
    purpose_means: str
    legal_basis: str
    legal_basis_means: str
    question: str
    repeats: str
    edition: str
    statistic: str
    filters: tuple[str, ...]
    sources: tuple[str, ...]
    recipients: tuple[RecipientAt, ...]
    limits: str
    noise: str
    outcome: str
    why: str
    record: int | None = None
    head: str = ""
    # Thumbprints of the keys of the stewards whose word the approval rests on; none where the policy wants nobody.
    stewards: tuple[str, ...] = ()


@record
class RefusedByRows:
    """Refused by the ledger: in these words it is known to the owner alone."""

    contract: str
    at: int
    space: str
    objection: str


@record
class RefusedByPolicy:
    contract: str
    at: int
    said: str


@record
class Budget:
    """What may be spent of something; `allowed` and `left` are None where there is no limit. All of them are to be
    divided by `per`."""

    name: str
    spent: int
    allowed: int | None
    left: int | None
    per: int = 1


@record
class PolicyChange:
    at: int
    said: str


@record
class DatasetReport:
    """`since` and `until` (seconds; until is not within) bound questions and refusals. Budgets and inferences are those
    of the whole ledger, as it is at `made`. `forgotten` counts contracts that were approved and are kept no more."""

    dataset: str
    title: str
    space: str
    since: int
    until: int
    made: int
    policy_version: int
    policy: tuple[tuple[str, str], ...]
    policy_changes: tuple[PolicyChange, ...]
    asked: tuple[Asked, ...]
    forgotten: int
    refused_by_rows: tuple[RefusedByRows, ...]
    refusals_by_space: tuple[tuple[str, int], ...]
    refused_by_policy: tuple[RefusedByPolicy, ...]
    answers: int
    budgets: tuple[Budget, ...]
    inferences: tuple[Inference, ...]
    contracts_days: int
    kept_days: int
    log_size: int
    log_root: str
    # Answers about one person, since the dataset exists; they stand in no ledger of rows.
    person_answers: int = 0


@dataclass(frozen=True, slots=True)
class AboutPerson:
    """An answer about one person; `case` is a keyed digest of how the asking space names it."""

    contract: str
    asker: str
    case: str
    at: int


@dataclass(frozen=True, slots=True)
class Terms:
    """What the owner's files say of the dataset now. `legal_bases` has words for national law too."""

    dataset: Dataset
    questions: int | None
    explained: tuple[tuple[str, str], ...]
    legal_bases: Mapping[str, str]
    contracts_days: int
    kept_days: int


@dataclass(frozen=True, slots=True)
class Known:
    """One reading of the agent's own database. `approved` are of the period, of any dataset, each with its contract
    (None: not kept any more); `facts` are positions in the audit log and what stands there, all of them."""

    approved: Sequence[tuple[Approved, Contract | None]]
    # Of this dataset's whole ledger, with who asked which columns where that is still known.
    taken: Sequence[Taken]
    facts: Sequence[tuple[int, Fact]]
    heads: Mapping[int, TreeHead]
    operators: Mapping[str, Operator]
    head: TreeHead
    # Who has spent of privacy budgets, and those in the same hands, as they were believed then.
    spenders: Sequence[Operator] = ()
    # What this dataset has answered about one person, ever.
    about_persons: Sequence[AboutPerson] = ()


def report(terms: Terms, known: Known, since: int, until: int, now: int) -> DatasetReport:
    """Everything of one dataset."""
    name = terms.dataset.name
    by_contract: dict[str, list[tuple[int, Fact]]] = {}
    for position, fact in known.facts:
        by_contract.setdefault(fact.about, []).append((position, fact))
    first = {answer.question: answer.contract for answer in known.taken}
    mine = [(kept, body) for kept, body in known.approved if body is not None and _names(body, name)]
    answered = {answer.contract for answer in known.taken} | {answer.contract for answer in known.about_persons}
    forgotten = [kept for kept, body in known.approved if body is None and kept.digest in answered]
    rows = _refused_by_rows(name, known.facts, since, until)
    budget = _questions(terms, known.taken)
    operators = [*known.operators.values(), *known.spenders]
    return DatasetReport(
        dataset=name,
        title=terms.dataset.title,
        space=f"https://{terms.dataset.space_host}",
        since=since,
        until=until,
        made=now,
        policy_version=terms.dataset.terms.version,
        policy=terms.explained,
        policy_changes=tuple(
            PolicyChange(fact.at, fact.detail)
            for _, fact in by_contract.get(name, ())
            if fact.kind == "policy.changed" and since <= fact.at < until
        ),
        asked=tuple(
            _asked(kept, body, terms, known, by_contract.get(kept.digest, ()), first, now) for kept, body in mine
        ),
        forgotten=len(forgotten),
        refused_by_rows=rows,
        refusals_by_space=tuple(sorted(Counter(refused.space for refused in rows).items())),
        refused_by_policy=tuple(
            RefusedByPolicy(fact.about, fact.at, fact.detail)
            for _, fact in known.facts
            if fact.kind == "contract.refused" and _says(fact.detail, name) and since <= fact.at < until
        ),
        answers=len(known.taken),
        budgets=(budget, *_epsilon(terms, known.taken, operators), *_persons(terms, known, operators, now)),
        inferences=inferences(known.taken, max(2, terms.dataset.terms.minimum_cell), budget.left),
        contracts_days=terms.contracts_days,
        kept_days=terms.kept_days,
        log_size=known.head.size,
        log_root=known.head.root,
        person_answers=len(known.about_persons),
    )


def columns_of(taken: Taken, body: Contract, dataset: str) -> Taken:
    """`taken` with the columns that its contract counts by and filters on, in this dataset."""
    index = next(number for number, source in enumerate(body.query.sources) if source.dataset == dataset)
    filtered = {item.column for item in common_codes.filters(body, index)}
    uses = statistics.of(body.query).uses(body.query)
    counted = frozenset(used.column for used in uses if used.taken_from(index))
    return replace(taken, counted=counted, filtered=frozenset(filtered))


def _says(detail: str, dataset: str) -> bool:
    """Whether these words are about the dataset, and not about one whose name only begins like its own."""
    return re.search(rf"{re.escape(dataset)}(?![A-Za-z0-9_-])", detail) is not None


def _names(body: Contract, dataset: str) -> bool:
    return any(source.dataset == dataset for source in body.query.sources)


def _asked(
    kept: Approved,
    body: Contract,
    terms: Terms,
    known: Known,
    facts: Sequence[tuple[int, Fact]],
    first: Mapping[str, str],
    now: int,
) -> Asked:
    asked, name = body.query, terms.dataset.name
    where = _jurisdiction(body.initiator, known.operators)
    outcome, why = _outcome(body, facts, now)
    receipt = next((position for position, fact in facts if fact.kind in SIGNED), None)
    earlier = first.get(kept.question, "")
    return Asked(
        contract=kept.digest,
        session=body.session,
        at=kept.at,
        initiator=body.initiator,
        initiator_jurisdiction=where,
        requester=body.requester,
        requester_signed=body.requester_signed,
        title=asked.title,
        purpose=asked.purpose,
        purpose_means=wording.purpose(asked.purpose),
        legal_basis=asked.legal_basis,
        legal_basis_means=terms.legal_bases.get(asked.legal_basis, ""),
        question=kept.question,
        repeats=earlier if earlier != kept.digest else "",
        edition=next(
            (item.edition for provider in body.providers for item in provider.inputs if item.dataset == name), ""
        ),
        statistic=wording.statistic(asked, terms.dataset, body.key_rules),
        filters=tuple(
            wording.filtered(item, terms.dataset)
            for index, source in enumerate(asked.sources)
            if source.dataset == name
            for item in common_codes.filters(body, index)
        ),
        sources=tuple(source.dataset for source in asked.sources),
        # Recipients are the initiator's own (gateway/rules/contract.py): where it is, the result goes.
        recipients=tuple(RecipientAt(item.name, item.kind, where) for item in body.recipients),
        limits=wording.limits(body),
        noise=wording.noise(body.limits),
        outcome=outcome.value,
        why=why,
        record=receipt,
        head="" if receipt is None else known.heads[receipt].root,
        stewards=_stewards(kept.approval),
    )


def _stewards(approval: str) -> tuple[str, ...]:
    """Who signed the decisions in this agent's own approval, as it stored it."""
    try:
        decisions = parse_compact(approval, MAX_APPROVAL).claims.get("decisions", [])
        return tuple(parse_compact(decision, MAX_APPROVAL).kid for decision in decisions)
    except TokenProblem:
        return ()


def _jurisdiction(entity: str, operators: Mapping[str, Operator]) -> str:
    return operators[entity].jurisdiction if entity in operators else ""


def _outcome(body: Contract, facts: Sequence[tuple[int, Fact]], now: int) -> tuple[Outcome, str]:
    said = {fact.kind: fact.detail for _, fact in facts}
    left = "; output shares had left by then" if {"session.output", "redelivery.output"} & set(said) else ""
    if "session.completed" in said:
        return Outcome.RELEASED, ""
    if "redelivery.completed" in said:
        return Outcome.REPEATED, "from the output shares that were kept; nothing was computed, and it cost nothing"
    for kind in ("session.failed", "redelivery.failed"):
        if kind in said:
            return Outcome.FAILED, said[kind] + left
    if {"session.started", "redelivery.started"} & set(said):
        return Outcome.FAILED, "the agent was stopped in mid-session" + left
    for kind in ("session.refused", "ledger.refused"):
        if kind in said:
            return Outcome.REFUSED, said[kind]
    return (Outcome.OPEN, "") if now <= body.expires else (Outcome.NOT_RUN, "nobody ran it before it expired")


def _refused_by_rows(
    dataset: str, facts: Sequence[tuple[int, Fact]], since: int, until: int
) -> tuple[RefusedByRows, ...]:
    """Each contract once, as the ledger counts it."""
    found: dict[str, RefusedByRows] = {}
    for _, fact in facts:
        named, _, objection = fact.detail.partition(": ")
        if fact.kind == "ledger.refused" and named == dataset and since <= fact.at < until:
            found.setdefault(fact.about, RefusedByRows(fact.about, fact.at, fact.subject, objection))
    return tuple(found.values())


def _epsilon(terms: Terms, taken: Sequence[Taken], operators: Sequence[Operator]) -> tuple[Budget, ...]:
    """Of everybody, then of each operator that has spent some, by one of its spaces."""
    spent, once = Spent(), {answer.question: answer for answer in taken}
    for answer in once.values():
        spent.add(answer.asker, answer.charge)
    allowed = budgets.Budget.of(terms.dataset.terms.privacy)
    if allowed is None and not spent.total:
        return ()
    together, name = hands(operators), "epsilon of privacy"
    each = 0 if allowed is None else allowed.each
    total = 0 if allowed is None else allowed.total
    askers = {together.get(asker, asker): asker for asker in sorted(spent.by)}

    def of(whose: str, gone: int, most: int | None) -> Budget:
        return Budget(f"{name}, {whose}", gone, most, None if most is None else max(0, most - gone), noise.UNITS)

    by_operator = (of(f"operator of {asker}", spent.of(asker, together), each) for asker in askers.values())
    return (of("everybody", spent.total, total), *by_operator)


def _persons(terms: Terms, known: Known, operators: Sequence[Operator], now: int) -> tuple[Budget, ...]:
    """Of each operator that has had answers about one person: those of a day, and the cases that they were ever of."""
    together = hands(operators)
    by: dict[str, list[AboutPerson]] = {}
    for answer in known.about_persons:
        by.setdefault(together.get(answer.asker, answer.asker), []).append(answer)
    allowed = terms.dataset.terms.one_person
    most = 0 if allowed is None else allowed.quota_per_day
    found: list[Budget] = []
    for theirs in by.values():
        whose, today = f"operator of {theirs[0].asker}", sum(answer.at > now - DAY for answer in theirs)
        found += [
            Budget(f"answers about one person within a day, {whose}", today, most, max(0, most - today)),
            Budget(f"cases asked about, {whose}", len({answer.case for answer in theirs}), None, None),
        ]
    return tuple(found)


def _questions(terms: Terms, taken: Sequence[Taken]) -> Budget:
    edition = terms.dataset.edition.id
    spent = len({answer.question for answer in taken if answer.edition == edition})
    left = None if terms.questions is None else max(0, terms.questions - spent)
    return Budget(f"different questions on edition {edition}", spent, terms.questions, left)
