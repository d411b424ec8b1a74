"""Datasets as their owner describes them: never a row, always one immutable edition.

A dataset is named `spaces/{host}/datasets/{id}`; the host is that of the owner's entity ID.
"""

from __future__ import annotations

from enum import StrEnum

from gateway.domain.records import record


class ColumnType(StrEnum):
    TEXT = "text"
    DATE = "date"
    INTEGER = "integer"
    CODE = "code"


@record
class Code:
    value: str
    label: str


@record
class Column:
    """One column; `codes` is its code list (only for type `code`), `standard` the field of the vocabulary. Numbers and
    days may have bounds, both or none, which are public and never crossed: only such a column is added up. `normalise`
    are the rules by which a key column's texts are compared, sorted; None for the usual ones (rules/key_rules.py)."""

    name: str
    type: ColumnType
    label: str = ""
    standard: str = ""
    codes: tuple[Code, ...] = ()
    least: str | int | None = None
    most: str | int | None = None
    normalise: tuple[str, ...] | None = None


@record
class Privacy:
    """Differential privacy, in decimals as text: one question gets noise for `epsilon` at most; the questions of one
    operator cost `budget` together at most, and those of all of them `total`, as long as there is the dataset. Where it
    is not `required`, questions without noise are answered too, under the other limits.
    """

    epsilon: str
    budget: str
    total: str | None = None
    required: bool = True


@record
class OnePerson:
    """Under what a dataset is part of answers about one person: legal bases and roles, the fewest people of each list
    that is searched, how many answers a case and a day of one asking space gets. `case` is the column by which its own
    people are asked about; empty: nobody of it is.
    """

    legal_bases: tuple[str, ...]
    roles: tuple[str, ...]
    least_list: int
    quota_per_case: int
    quota_per_day: int
    case: str = ""


@record
class Terms:
    """What a dataset's policy says in public, so that a dry run can answer from metadata alone.

    From the day `expires` on (ISO 8601, in UTC; empty: never) nothing is answered. `transfer` are the jurisdictions of
    the spaces whose people may have results: countries, EU for its member states, * for all. Where
    `programs` names digests, no other program runs on the dataset.
    """

    purposes: tuple[str, ...]
    legal_bases: tuple[str, ...]
    statistics: tuple[str, ...]
    minimum_cell: int
    exact_statistics: tuple[str, ...] = ()
    zero_is_small: bool = False
    minimum_seats: int = 3
    demo_view: bool = False
    version: int = 1
    expires: str = ""
    minimum_t: int = 1
    transfer: tuple[str, ...] = ("*",)
    programs: tuple[str, ...] = ()
    # Of programs that no release has, these run on it.
    packages: tuple[str, ...] = ()
    # What a cell may hold of one provider, in percent, and what counts are multiples of.
    dominance: int | None = None
    rounding: int | None = None
    # One of which the requester has to have; "*": whoever asks, without a role too.
    roles: tuple[str, ...] = ("*",)
    # Where it is left out, the owner answers nothing with noise.
    privacy: Privacy | None = None
    # How many of its stewards have to approve a question, within how many hours, for which statistics (none named:
    # all), and for how many editions at once.
    persons: int = 0
    decide_within: int = 168
    person_statistics: tuple[str, ...] = ()
    standing: int = 1
    # Where it is left out, the dataset is no part of any answer about one person.
    one_person: OnePerson | None = None


@record
class Edition:
    """One immutable, dated state.

    `row_bound` is the public size that its people are padded to; `snapshot` is an HMAC over its rows under
    a key that only the owner has, so that the owner notices a change and nobody can guess at the rows.
    """

    id: str
    created: int
    snapshot: str
    row_bound: int


@record
class Dataset:
    name: str
    title: str
    description: str
    vocabulary: str
    columns: tuple[Column, ...]
    key_columns: tuple[str, ...]
    coverage: str
    terms: Terms
    edition: Edition

    def column(self, name: str) -> Column | None:
        return next((column for column in self.columns if column.name == name), None)

    @property
    def space_host(self) -> str:
        return self.name.split("/")[1]

    @property
    def short_name(self) -> str:
        return self.name.rsplit("/", 1)[-1]
