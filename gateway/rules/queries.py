"""What makes a query well formed, before any dataset is looked at.

Invariant: a query that passes here has exactly one statistic, one operator per filter, no source twice,
and prints to canonical bytes that mean the same to everybody.
"""

from __future__ import annotations

import re
from typing import Any

from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.query import Query
from gateway.rules import noise, policy
from gateway.rules.plans import MAX_STANDING
from gateway.rules.records import from_plain
from gateway.rules.statistics import STATISTICS, UNLINKED, of
from gateway.rules.statistics.base import check_column, malformed

MAX_SOURCES = 32
MAX_INTEGER = 2**53 - 1  # what canonical JSON holds exactly (RFC 8785)
DATASET_NAME = re.compile(r"spaces/[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?/datasets/[a-z0-9][a-z0-9_-]{0,62}")


def read_query(data: Any, *, what: str = "query file") -> Query:
    """The query in plain JSON values; raises IsthmusError(MALFORMED_QUERY) naming the field."""
    if not isinstance(data, dict):
        raise _malformed(what, "", "a query is a mapping of fields, see docs/queries")
    return checked(from_plain(Query, {"link_on": [], **data}, what=what, reason=Reason.MALFORMED_QUERY), what=what)


def checked(query: Query, *, what: str = "query") -> Query:
    """`query` itself, once its shape holds."""
    if len(query.statistic.chosen) != 1:
        raise _malformed(what, "statistic", f"name exactly one statistic: {' or '.join(STATISTICS)}")
    if not 1 <= len(query.sources) <= MAX_SOURCES:
        raise _malformed(what, "sources", f"name between 1 and {MAX_SOURCES} datasets")
    for text, field in (
        (query.title, "title"),
        (query.purpose, "purpose"),
        (query.legal_basis, "legal_basis"),
    ):
        if not 1 <= len(text) <= 200 or not text.isprintable():
            raise _malformed(what, field, "1 to 200 printable characters")
    names: set[str] = set()
    for index, source in enumerate(query.sources):
        where = f"sources[{index}].dataset"
        if DATASET_NAME.fullmatch(source.dataset) is None:
            raise _malformed(what, where, "a dataset is named spaces/HOST/datasets/ID")
        if source.dataset in names:
            raise _malformed(what, where, "a dataset stands in a query once")
        names.add(source.dataset)
        for number, item in enumerate(source.filters):
            operators = [item.equals is not None, item.one_of is not None, item.between is not None]
            field = f"sources[{index}].filters[{number}]"
            if sum(operators) != 1:
                raise _malformed(what, field, "a filter has exactly one of equals, one_of, between")
            check_column(item.column, f"{field}.column")
            between = () if item.between is None else (item.between.low, item.between.high)
            for value in (item.equals, *(item.one_of or ()), *between):
                if isinstance(value, int) and abs(value) > MAX_INTEGER:
                    raise _malformed(what, field, "an integer lies between -(2^53 - 1) and 2^53 - 1")
    if len(set(query.link_on)) != len(query.link_on):
        raise _malformed(what, "link_on", "name the columns that identify a person, each once")
    if not query.link_on and query.statistic.name not in UNLINKED:
        *some, last = UNLINKED
        text = f"name the columns that identify a person: without them goes {', '.join(some)} or {last} alone"
        raise _malformed(what, "link_on", text)
    for number, column in enumerate(query.link_on):
        check_column(column, f"link_on[{number}]")
    of(query).check(query)
    minimum = query.limits.minimum_cell
    if minimum is not None and not 0 <= minimum <= 100_000:
        raise _malformed(what, "limits.minimum_cell", "between 0 and 100 000")
    if not policy.dominance_in_range(query.limits.dominance):
        raise _malformed(what, "limits.dominance", f"between 1 and {policy.MAX_DOMINANCE} percent")
    if not policy.rounding_in_range(query.limits.rounding):
        raise _malformed(what, "limits.rounding", f"between 2 and {policy.MAX_ROUNDING}")
    if query.limits.epsilon is not None:
        try:
            noise.epsilon(query.limits.epsilon)
        except ValueError as wrong:
            raise _malformed(what, "limits.epsilon", str(wrong)) from None
    if not 1 <= query.standing <= MAX_STANDING:
        raise _malformed(what, "standing", f"between 1 and {MAX_STANDING} editions")
    return query


def _malformed(what: str, field: str, text: str) -> IsthmusError:
    return malformed(field, text, what=what)
