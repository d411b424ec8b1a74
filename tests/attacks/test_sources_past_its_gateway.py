"""Contracts that their initiator signs on other sources than there are, past a gateway whose checks are patched out:
editions, bounds, owners, filters and keys.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gateway.domain.contract import Contract
from gateway.domain.query import Between, Filter, Overlap, Source, Statistic
from tests.attacks.proposals import Forged, Forgery, asking, changed, refused
from tests.attacks.rogue import CARE, COUNT, FORM, GO, LA, NEUTRAL, NG, PFNCA, POLICE, SISTER, World

pytestmark = pytest.mark.asyncio(loop_scope="module")


def own_input(consistent: bool = True, **changes: Any) -> Callable[[World], Forged]:
    """Something else in place of what `care` offers."""

    def change(contract: Contract) -> Contract:
        def provider(item: Any) -> Any:
            if item.entity != CARE:
                return item
            inputs = (replace(item.inputs[0], **changes), *item.inputs[1:])
            bound = sum(given.row_bound for given in inputs) if consistent else item.row_bound
            return replace(item, inputs=inputs, row_bound=bound)

        return replace(contract, providers=tuple(provider(item) for item in contract.providers))

    return changed(change)


def filtered(item: Filter) -> Callable[[World], Forged]:
    return asking(sources=(Source(LA, (item,)), Source(NG), Source(PFNCA), Source(GO)))


def _renamed(contract: Contract, old: str, new: str) -> Contract:
    sources = tuple(replace(s, dataset=s.dataset.replace(old, new)) for s in contract.query.sources)
    providers = tuple(
        replace(p, inputs=tuple(replace(i, dataset=i.dataset.replace(old, new)) for i in p.inputs))
        for p in contract.providers
    )
    return replace(contract, query=replace(contract.query, sources=sources), providers=providers)


def _under_police(contract: Contract) -> Contract:
    """care's dataset la, provided by police."""
    care, police, registry = contract.providers
    moved = care.inputs[0]
    return replace(
        contract,
        providers=(
            replace(care, inputs=care.inputs[1:], row_bound=care.row_bound - moved.row_bound),
            replace(police, inputs=(*police.inputs, moved), row_bound=police.row_bound + moved.row_bound),
            registry,
        ),
    )


FORGERIES: dict[str, Forgery] = {
    "another edition": Forgery("EDITION_CHANGED", "edition", own_input(edition="2012-9")),
    "another snapshot": Forgery("EDITION_CHANGED", "edition", own_input(snapshot="0" * 64)),
    "another row bound": Forgery("EDITION_CHANGED", "edition", own_input(row_bound=64)),
    "a bound that is not the sum": Forgery("CONTRACT_INVALID", "bound", own_input(consistent=False, row_bound=64)),
    "a dataset that is not there": Forgery(
        "EDITION_CHANGED", "nope", changed(lambda c: _renamed(c, "datasets/la", "datasets/nope"))
    ),
    "a dataset under another space": Forgery("CONTRACT_INVALID", "does not own", changed(_under_police)),
    "a source that nobody provides": Forgery(
        "CONTRACT_INVALID", "sources", changed(lambda c: replace(c, providers=c.providers[:-1]))
    ),
    "a provider twice": Forgery(
        "CONTRACT_INVALID", "sources", changed(lambda c: replace(c, providers=(*c.providers, c.providers[0])))
    ),
    "no part for this space": Forgery(
        "CONTRACT_INVALID",
        "no part",
        changed(lambda c: c, replace(COUNT, sources=(Source(PFNCA), Source(GO))), seats=(POLICE, NEUTRAL, SISTER)),
    ),
    "an unknown column": Forgery("UNKNOWN_COLUMN", "no column", filtered(Filter("salary", equals="1"))),
    "SQL for a column": Forgery("MALFORMED_QUERY", "column", filtered(Filter("1=1; DROP TABLE x", equals="1"))),
    "a filter of the wrong type": Forgery("WRONG_FILTER_TYPE", "compares", filtered(Filter(FORM, equals=3))),
    "a range of codes": Forgery("WRONG_FILTER_TYPE", "no order", filtered(Filter(FORM, between=Between("a", "z")))),
    "an unknown code": Forgery("UNKNOWN_CODE", "not a code", filtered(Filter(FORM, equals="Tax evasion"))),
    "two operators in one filter": Forgery(
        "MALFORMED_QUERY", "exactly one", filtered(Filter(FORM, equals="Other", one_of=("Other",)))
    ),
    "no linking where people have to be recognised": Forgery(
        "MALFORMED_QUERY", "identify", asking(link_on=(), statistic=Statistic(overlap=Overlap()))
    ),
    "no linking, in cells of fewer people": Forgery("POLICY_REFUSED", "at least", asking(link_on=())),
    "linking on what is no key": Forgery("UNKNOWN_COLUMN", "link", asking(link_on=("prs_Citizenship",))),
}


@pytest.mark.parametrize("name", FORGERIES)
async def test_24_sources_that_are_not_as_offered_are_refused(world: World, name: str) -> None:
    await refused(world, FORGERIES[name])
