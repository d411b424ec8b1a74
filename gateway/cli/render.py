"""What a person sees: rich renderables for everything that commands and demo print.

Invariants: text from elsewhere is shown as text, without markup and control characters; nothing is said by
colour alone; a suppressed cell is never shown as a number; 80 columns are enough.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table

from gateway.cli.output import printable
from gateway.cli.render_curves import survival_table
from gateway.cli.render_flows import PICTURES as FLOWS
from gateway.cli.render_program import PICTURES as PROGRAMS
from gateway.cli.render_quantiles import PICTURES as QUANTILES
from gateway.cli.render_regressions import PICTURES as REGRESSIONS
from gateway.cli.render_summary import summary_table
from gateway.cli.render_tables import PICTURES as TABLES
from gateway.cli.render_tables import noise_said, pivot_table
from gateway.cli.render_tests import PICTURES as TESTS
from gateway.cli.typeset import DIGEST_SHOWN, day, host, hours, lines, minute, number, size, table, words
from gateway.client.estimates.result import SIDE_BY_SIDE
from gateway.domain.plan import Decision
from gateway.domain.session import PROVIDER_BASE, UNDETERMINED
from gateway.rules.statistics.base import whom

if TYPE_CHECKING:
    from gateway.cli.ask import Answer
    from gateway.client.estimates import Estimate
    from gateway.client.summary import Summary
    from gateway.domain.computation import Computation, View
    from gateway.domain.plan import Plan

DECISIONS = {Decision.ALLOWED: "✓ yes", Decision.REFUSED: "✗ no", Decision.UNREACHABLE: "? no answer"}
VALUES_SHOWN = 3
# By kind of statistic; others are shown as a pivot.
OWN = {"summary": summary_table, "survival": survival_table}
PICTURES = {**TABLES, **FLOWS, **TESTS, **QUANTILES, **PROGRAMS, **REGRESSIONS, **OWN}


def plan(made: Plan) -> RenderableType:
    """What is going to happen, before it does."""
    draft = made.draft
    parties = table("Party", "Run by", "At", title="Who computes")
    for seat in draft.seats:
        parties.add_row(str(seat.pid), words(seat.operator), words(host(seat.entity)))
    editions = table("Dataset", "At", "Edition", "Padded to", title="\nOn what", numbers=("Padded to",))
    for provider in draft.providers:
        for item in provider.inputs:
            short = item.dataset.rsplit("/", 1)[-1]
            editions.add_row(
                words(short), words(host(provider.entity)), words(item.edition), number(item.row_bound)
            )  # fmt: skip
    learns = table("Who", "Learns", title="\nWho learns what")
    for entry in made.learns:
        learns.add_row(words(entry.who), words(entry.what))
    verdicts = table("Space", "Verdict", "Why", title="\nWhat each space says to it", fixed=("Verdict",))
    for verdict in made.verdicts:
        why = ". ".join(text for text in (verdict.text, verdict.advice) if text)
        verdicts.add_row(words(host(verdict.space)), DECISIONS[verdict.decision], words(why))
    group = " + ".join(made.smallest_group)
    alone = "Any one party alone learns" if draft.t == 1 else f"Any {draft.t} parties together learn"
    forecast = made.forecast
    limits = draft.limits
    said = [
        f"{alone} nothing of anybody's records. The smallest group that together would see everything:",
        f"    {group}",
        f"Cells under {limits.minimum_cell} are suppressed before anything is opened."
        if limits.minimum_cell > 1
        else f"Every cell is released{'' if limits.epsilon else ' exactly'}, the small ones too.",
        *([f"Counts come {noise}."] if (noise := noise_said(limits)) is not None else []),
        f"It should take about {forecast.seconds:.1f} s and {number(forecast.rounds)} rounds; "
        f"a party sends {size(forecast.bytes_per_party)} on average.",
    ]
    if draft.requester_roles:
        said.append(f"Asked in the role of {' and '.join(draft.requester_roles)}, on the word of the asking space.")
    for wanted in made.persons:
        stewards = "1 steward" if wanted.persons == 1 else f"{wanted.persons} stewards"
        said.append(f"Needs {stewards} at {host(wanted.space)}, within {hours(wanted.hours)}.")
    if draft.demo_view:
        said.append("For demonstration, the result shows a sample of what the asking space's own party receives.")
    sentences = Group("", *(words(line) for line in said))
    return Group(words(draft.query.title, "bold"), "", parties, sentences, editions, learns, verdicts)


def result(answer: Answer) -> RenderableType:
    """The released table, in the picture of its statistic: groups as a pivot, an overlap or rates as rows."""
    query, limits = answer.summary.contract.query, answer.summary.contract.limits
    others = {"summary": summary_table, "survival": survival_table}
    picture = {**TABLES, **FLOWS, **TESTS, **QUANTILES, **PROGRAMS, **REGRESSIONS, **others}.get(
        query.statistic.name, pivot_table
    )
    counted = [] if query.link_on else [words(f"Counted are {whom(query)}.")]
    return Group(words(query.title, "bold"), *counted, "", picture(answer.table, limits, answer.labels))


def estimates(found: Sequence[Estimate]) -> RenderableType:
    """All models side by side, with what they rest on."""
    made = table("Model", "Everyone", "95 % interval", "On no list", "AIC", "BIC", numbers=_NUMBERS, fixed=("Model",))
    further: dict[str, None] = {}
    for item in found:
        if item.refused is not None or item.point is None:
            made.add_row(words(item.model), "none")
            further[f"{item.model}: no estimate, because {item.refused}."] = None
            continue
        low = "?" if item.lo is None else number(item.lo)
        high = "no end" if item.hi is None else number(item.hi)
        made.add_row(
            words(item.model),
            number(item.point),
            f"{low} – {high}",
            number(item.point - item.observed),
            "" if item.aic is None else f"{item.aic:.1f}",
            "" if item.bic is None else f"{item.bic:.1f}",
        )
        further[f"{item.model}: lists that go together are {', '.join(item.terms) or 'none'}."] = None
    notes = dict.fromkeys(note for item in found for note in item.notes)
    observed = found[0].observed if found else 0
    head = words(f"How many there are in all, beyond the {number(observed)} who stand on a list", "bold")
    return Group(head, "", made, "", *(words(text) for text in (*further, *(notes or [SIDE_BY_SIDE]))))


_NUMBERS = ("Everyone", "95 % interval", "On no list", "AIC", "BIC")


def view(found: Sequence[View]) -> RenderableType:
    """A sample of what one party received."""
    parts: list[RenderableType] = []
    for pid, space in dict.fromkeys((item.pid, item.space) for item in found):
        made = table("Step", "From", "Received", title=f"What party {pid} at {printable(host(space))} received")
        for item in found:
            if (item.pid, item.space) == (pid, space):
                rest = len(item.values) - VALUES_SHOWN
                more = f" and {rest} more" if rest > 0 else ""
                made.add_row(
                    words(item.step), sender(item.sender), words(" ".join(item.values[:VALUES_SHOWN]) + more)
                )  # fmt: skip
        parts += [made, ""]
    return Group(*parts, words("Each number is a share or a masked value: by itself it is as good as random."))


def sender(number: int) -> str:
    """Parties are numbered from 0; providers from `PROVIDER_BASE`."""
    return f"party {number}" if number < PROVIDER_BASE else f"provider {number - PROVIDER_BASE}"


def receipt(short: Summary) -> RenderableType:
    """What was agreed, who approved it, and where it is on record."""
    limits = short.contract.limits
    kept = [
        f"no cell under {limits.minimum_cell}"
        if limits.minimum_cell > 1
        else "no cell is hidden"
        if limits.epsilon
        else "none: released exactly",
        *([noise] if (noise := noise_said(limits)) is not None else []),
        *(["nor one that a provider could get by subtracting its own people"] if limits.provider_subtraction else []),
        *(["zero counts as small"] if limits.zero_is_small else []),
        *([f"no provider has over {limits.dominance} percent of a cell"] if limits.dominance is not None else []),
        *([f"rounded to multiples of {limits.rounding}"] if limits.rounding is not None else []),
    ]
    facts = Table.grid(padding=(0, 2))
    facts.add_row(words("Contract", "bold"), words(short.digest))
    facts.add_row(words("Limits", "bold"), words(", ".join(kept)))
    facts.add_row(words("Recipient", "bold"), words(", ".join(item.name for item in short.contract.recipients)))
    ran = f"answered from shares kept of contract {short.redelivered}; no session was run"
    facts.add_row(words("Session", "bold"), words(ran if short.redelivered else f"{short.seconds:.1f} s"))
    made = table("Space", "Approval", "Audit log", "Its head", "Sent", numbers=("Audit log", "Sent"))
    digests = {item.entity: item.digest for item in short.approvals}
    for item in short.receipts:
        approved = digests.get(item.space, "none")[:DIGEST_SHOWN]
        made.add_row(
            words(host(item.space)),
            words(approved),
            f"{number(item.tree_size)} records",
            words(item.tree_head[:DIGEST_SHOWN]),
            size(item.bytes_sent),
        )
    return Group(words("Receipt", "bold"), "", facts, "", made)


def computations(found: Sequence[Computation]) -> RenderableType:
    if not found:
        return words("You have asked nothing yet.")
    made = table("Computation", "State", "Asked", fixed=("State", "Asked"))
    for item in found:
        why = f"{item.ending.text} ({host(item.ending.space)})" if item.ending is not None else ""
        made.add_row(lines(item.id, _title(item), why), item.state.value, minute(item.created))
    return made


def computation(item: Computation) -> RenderableType:
    """Where one computation stands, space by space."""
    made = table("Space", "Status", "Phase", "Done", numbers=("Done",))
    for status in item.spaces:
        made.add_row(
            words(host(status.space)), words(status.status), words(status.phase), f"{100 * status.fraction:.0f} %"
        )  # fmt: skip
    said: list[RenderableType] = [
        lines(f"{item.name}: {item.state}", _title(item)),
        words(f"asked by {item.requester or 'somebody'} at {minute(item.created)}; {_agreed(item)}"),
        "",
        made,
    ]
    for gone in item.deletions:
        what = "result" if gone.kind == "results" else "record"
        when = f"was deleted on {day(gone.at)}: {gone.kind} are kept for {gone.days} days here"
        said += ["", words(f"Its {what} {when}.")]
    if item.ending is not None:
        ending = item.ending
        where = f" at {host(ending.space)}" if ending.space and ending.space != UNDETERMINED else ""
        said += ["", words(f"{ending.reason}{where}: {ending.text}. Next: {ending.action or 'ask again'}")]
    return Group(*said)


def _agreed(item: Computation) -> str:
    if item.contract_digest or not item.plan_digest:
        return f"contract {item.contract_digest}"
    return f"people decide on plan {item.plan_digest}"


def _title(item: Computation) -> str:
    """What was asked, in its asker's words."""
    try:
        asked = json.loads(item.query)
    except ValueError:
        return ""
    return str(asked.get("title", "")) if isinstance(asked, dict) else ""
