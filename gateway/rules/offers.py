"""What a space may offer: its own datasets, each once, described so that a query can be checked against it.

Invariant: no space offers a dataset under another's name, so that nobody can stand in for an owner in a plan.
"""

from __future__ import annotations

from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.identity import EntityId, host_of
from gateway.domain.offer import Offer, ProgramOffer
from gateway.rules import descriptors, one_person
from gateway.rules.codelists import ANYWHERE, ROLES
from gateway.rules.key_rules import well_formed
from gateway.rules.plans import MAX_PERSONS, MAX_STANDING, MAX_WITHIN
from gateway.rules.policy import dominance_in_range, rounding_in_range
from gateway.rules.privacy import terms_hold
from gateway.rules.queries import DATASET_NAME, MAX_INTEGER
from gateway.rules.statistics.base import COLUMN_NAME

MAX_SEATS = 64
MAX_PROGRAMS, MAX_TEXT = 64, 4000
MAX_NUMBER = 2**31 - 1  # what the catalogue can say of terms


def check_offer(offer: Offer, entity: str) -> Offer:
    """`offer` itself. Raises IsthmusError(INVALID_ARGUMENT) naming what `entity` may not offer."""
    own = f"spaces/{host_of(EntityId(entity))}/datasets/"
    names = [dataset.name for dataset in offer.datasets]
    if len(set(names)) < len(names):
        raise _refused("offers a dataset twice", "datasets", entity)
    if not 0 <= offer.seats <= MAX_SEATS:
        raise _refused(f"offers {offer.seats} seats", "seats", entity)
    if len(offer.programs) > MAX_PROGRAMS or not all(map(_holds, offer.programs)):
        raise _refused("describes a program at a length or in numbers out of range", "programs", entity)
    for dataset in offer.datasets:
        if not dataset.name.startswith(own) or DATASET_NAME.fullmatch(dataset.name) is None:
            raise _refused(f"offers {dataset.name!r:.100}, which is not under {own}", "datasets", entity)
        columns = [column.name for column in dataset.columns]
        if len(set(columns)) < len(columns) or not all(COLUMN_NAME.fullmatch(name) for name in columns):
            raise _refused(f"describes a column of {dataset.name} twice or by no name", "datasets.columns", entity)
        for column in dataset.columns:
            if not well_formed(column.normalise):
                raise _refused(f"gives {dataset.name} {column.name} rules that are none", "datasets.columns", entity)
            values = [code.value for code in column.codes]
            if len(set(values)) < len(values):
                raise _refused(f"lists a code of {dataset.name} {column.name} twice", "datasets.columns", entity)
        terms = dataset.terms
        numbers = (terms.minimum_cell, terms.minimum_seats, terms.minimum_t, terms.version)
        if dataset.edition.row_bound < 1 or not all(0 <= number <= MAX_NUMBER for number in numbers):
            raise _refused(f"gives {dataset.name} a bound or a minimum outside its range", "datasets", entity)
        if not dominance_in_range(terms.dominance) or not rounding_in_range(terms.rounding):
            raise _refused(f"gives {dataset.name} a dominance or rounding out of range", "datasets.terms", entity)
        if set(terms.roles) - {*ROLES, ANYWHERE}:
            raise _refused(f"answers roles for {dataset.name} that nobody has", "datasets.terms", entity)
        if not one_person.terms_hold(terms.one_person):
            raise _refused(f"answers about one person of {dataset.name} beyond all ranges", "datasets.terms", entity)
        if not terms_hold(terms.privacy):
            raise _refused(f"gives {dataset.name} a privacy budget out of range", "datasets.terms", entity)
        if not (
            0 <= terms.persons <= MAX_PERSONS
            and 1 <= terms.decide_within <= MAX_WITHIN
            and 1 <= terms.standing <= MAX_STANDING
        ):
            raise _refused(f"wants people for {dataset.name} in numbers out of range", "datasets.terms", entity)
    return offer


def _holds(program: ProgramOffer) -> bool:
    """Whether the catalogue can say what is offered of a program."""
    texts = [program.name, program.digest, program.leakage, program.title, program.inputs, program.outputs]
    texts += [program.takes, program.formula, program.sample]
    texts += [text for opening in program.opens for text in (opening.step, opening.why)]
    small = [program.version, *(n for cost in program.costs for n in (cost.m, cost.providers, cost.rounds))]
    large = [n for cost in program.costs for n in (cost.rows, cost.bytes_per_party)]
    return (
        len(program.descriptor) <= descriptors.MAX_TEXT
        and max(len(program.opens), len(program.costs)) <= MAX_PROGRAMS
        and all(len(text) <= MAX_TEXT for text in texts)
        and all(0 <= number <= MAX_NUMBER for number in small)
        and all(0 <= number <= MAX_INTEGER for number in large)
    )


def _refused(what: str, field: str, entity: str) -> IsthmusError:
    return IsthmusError(
        Reason.INVALID_ARGUMENT,
        f"this space {what}",
        field=field,
        space=entity,
        advice="Its operator corrects the offer",
    )
