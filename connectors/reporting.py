"""Reads what a report on a dataset needs: the agent's files and its own database. The agent may run meanwhile.

Invariants: it changes nothing, reads no row of a source and asks nobody; a contract whose stored form does not have the
digest that was approved stops the report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pyroaring import BitMap

from connectors.config import AgentConfig, DatasetConfig, PolicyConfig
from connectors.explaining import explained
from connectors.policies import described
from connectors.rules.inference import Taken
from connectors.rules.reporting import SIGNED, AboutPerson, DatasetReport, Known, Terms, columns_of, report
from gateway.config import load
from gateway.domain.approval import Approved
from gateway.domain.audit import Fact, TreeHead
from gateway.domain.contract import Contract
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.identity import host_of
from gateway.domain.offer import Operator
from gateway.edges.federation import Federation, operator_of
from gateway.edges.store.database import Database
from gateway.edges.store.person_answers import PersonAnswer
from gateway.edges.store.reports import GivenAnswer
from gateway.ports import Clock
from gateway.rules.codelists import LEGAL_BASES
from gateway.rules.contract import stored_contract
from gateway.rules.dates import day_of
from gateway.rules.records import from_bytes
from gateway.rules.text import nearest

PAGE = 500
# What the audit log says of questions; the rest of it is not read into records.
_KINDS = (
    "contract.approved", "contract.refused", "ledger.answered", "ledger.refused", "policy.changed", "session.started",
    "session.output", "session.completed", "session.failed", "session.refused", "redelivery.started",
    "redelivery.output", "redelivery.completed", "redelivery.failed",
)  # fmt: skip


def terms_in(settings: AgentConfig, name: str, today: str) -> Terms:
    """What the files of `settings` say of the dataset called `name`, in full or in short.

    Raises IsthmusError(UNKNOWN_DATASET) naming the nearest one.
    """
    host, known = host_of(settings.entity), []
    for path in settings.datasets:
        file = load(DatasetConfig, path)
        full = f"spaces/{host}/datasets/{file.id}"
        known.append(full)
        if name in (full, file.id):
            policy = load(PolicyConfig, file.policy)
            laws = {**LEGAL_BASES, **{item.code: item.law for item in policy.national_law}}
            return Terms(
                described(host, file, policy),
                policy.questions,
                explained(policy, today),
                laws,
                settings.retention.contracts_days,
                settings.retention.kept_days,
            )
    raise IsthmusError(
        Reason.UNKNOWN_DATASET,
        f"no dataset is called {name!r:.100} in the agent's configuration",
        field="NAME",
        advice=nearest(name, known, "There are") if known else "It has none",
    )


async def dataset_report(
    database: Database, settings: AgentConfig, clock: Clock, name: str, since: int, until: int
) -> DatasetReport:
    """Of questions and refusals from `since` to before `until` (seconds)."""
    terms = terms_in(settings, name, day_of(clock.now()))
    if published := await database.editions.of(terms.dataset.name):  # the newest is on offer, whatever the file says
        terms = replace(terms, dataset=replace(terms.dataset, edition=published[-1].edition))
    return await report_under(database, terms, await _operators(database, settings, clock), clock, since, until)


async def report_under(
    database: Database, terms: Terms, operators: Mapping[str, Operator], clock: Clock, since: int, until: int
) -> DatasetReport:
    """The same under `terms`, with recipients where `operators` are."""
    full = terms.dataset.name
    head = await database.audit.head()
    facts = await _facts(database, head.size)
    completed = [position for position, fact in facts if fact.kind in SIGNED]
    known = Known(
        approved=await _approved(database, since, until),
        taken=[_taken(answer, full) for answer in await database.reports.answers(full)],
        facts=facts,
        heads={position: await _signed_over(database, position) for position in completed},
        operators=operators,
        spenders=await database.ledger.spenders(),
        about_persons=[_about_person(answer) for answer in await database.person_answers.given(full)],
        head=head,
    )
    return report(terms, known, since, until, clock.now())


async def _signed_over(database: Database, position: int) -> TreeHead:
    """The head that the receipt carries: the log's when this record was its last."""
    return await database.audit.head_at(position + 1)


async def _facts(database: Database, size: int) -> Sequence[tuple[int, Fact]]:
    wanted = [f'"kind":"{kind}"' for kind in _KINDS]
    found: list[tuple[int, Fact]] = []
    for start in range(0, size, PAGE):
        for position, record in await database.audit.raw(start=start, limit=min(PAGE, size - start)):
            if any(kind in record for kind in wanted):
                found.append((position, from_bytes(Fact, record, what="fact", reason=Reason.AUDIT_BROKEN)))
    return [(position, fact) for position, fact in found if fact.kind in _KINDS]


async def _approved(database: Database, since: int, until: int) -> list[tuple[Approved, Contract | None]]:
    found: list[tuple[Approved, Contract | None]] = []
    while page := await database.approvals.list(
        since=since, until=until, after=found[-1][0].digest if found else "", limit=PAGE
    ):
        found += [(kept, stored_contract(kept.contract, kept.digest) if kept.contract else None) for kept in page]
    return found


def _taken(answer: GivenAnswer, dataset: str) -> Taken:
    taken = Taken(
        answer.question,
        answer.contract,
        answer.at,
        answer.edition,
        frozenset(answer.sources),
        answer.table,
        BitMap.deserialize(answer.rows),
        charge=answer.charge,
        asker=answer.asker,
    )
    if not answer.signed:
        return taken
    return columns_of(taken, stored_contract(answer.signed, answer.contract), dataset)


def _about_person(answer: PersonAnswer) -> AboutPerson:
    return AboutPerson(answer.contract, answer.asker, answer.case, answer.at)


async def _operators(database: Database, settings: AgentConfig, clock: Clock) -> Mapping[str, Operator]:
    """Whoever this agent believes now, by its own anchors."""
    trust = Federation([anchor.load() for anchor in settings.anchors], clock.now, database.beliefs)
    await trust.restore()
    return {entity.entity_id: operator_of(entity) for entity in trust.entities()}
