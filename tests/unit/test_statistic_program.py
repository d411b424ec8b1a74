"""A packaged program's statistic: from a query to a table, by what the package's descriptor says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from connectors.engine import packages
from connectors.engine.rows import InputRows
from connectors.rules.approval import OwnPart, check_proposal
from gateway.cli.render_program import program_table
from gateway.domain.contract import Contract
from gateway.domain.dataset import ColumnType
from gateway.domain.errors import IsthmusError, Reason
from gateway.domain.offer import Opening, ProgramOffer, Space
from gateway.domain.query import Limits as Wished
from gateway.domain.query import PackagedProgram, ProgramInput, ProgramSetting, Query, Statistic
from gateway.edges.grpc.convert import query_from, query_to
from gateway.rules import descriptors, statistics
from gateway.rules import packages as filling
from gateway.rules.canonical import question, table
from gateway.rules.contract import check_parameters
from gateway.rules.queries import read_query
from gateway.rules.records import to_plain
from gateway.rules.redelivery import rearranged
from gateway.rules.statistics import Use
from tests import examples
from tests.examples import CARE, HOME, NEUTRAL, NOW, POLICE

ROOT = Path(__file__).parents[2]
DISSIMILARITY = packages.read(ROOT / "docs" / "programs" / "dissimilarity")
AT_LEAST = packages.read(ROOT / "tests" / "data" / "programs" / "at_least")
UNLIKE = PackagedProgram(
    "dissimilarity",
    (ProgramInput("groups", "year"), ProgramInput("over", "form", ("SEXUAL", "LABOUR"))),
    (ProgramSetting("steps", 40),),
)
GROWN = PackagedProgram("at_least", (ProgramInput("by", "form"), ProgramInput("what", "age", least=0, most=120)))

SPAN = ("2012-01-01", "2014-01-01")


def offered(package: packages.Package, **changes: Any) -> ProgramOffer:
    descriptor = package.descriptor
    offer = ProgramOffer(
        descriptor.name, descriptor.version, package.digest, descriptor.leakage, opens=(Opening("link", "order"),),
        descriptor=descriptors.written(descriptor),
    )  # fmt: skip
    return replace(offer, **changes)


def federation(
    *packaged: packages.Package, without: tuple[str, ...] = (), refusing: tuple[str, ...] = ()
) -> dict[str, Space]:
    """Spaces that run these packages, but those `without`, and whose owners allow them, but those `refusing`."""
    known = examples.spaces()
    for entity, space in known.items():
        allowed = () if entity in refusing else tuple(package.digest for package in packaged)
        columns = tuple(
            replace(column, least=0, most=99) if column.name == "age" else column
            for column in examples.dataset(entity).columns
        )
        datasets = tuple(
            replace(item, columns=columns, terms=replace(item.terms, packages=allowed)) for item in space.offer.datasets
        )
        added = () if entity in without else tuple(map(offered, packaged))
        offer = replace(space.offer, datasets=datasets, programs=(*space.offer.programs, *added))
        known[entity] = replace(space, offer=offer)
    return known


BOTH = federation(DISSIMILARITY, AT_LEAST)


def asked(wanted: PackagedProgram = UNLIKE, **changes: Any) -> Query:
    return examples.question(statistic=Statistic(program=wanted), **changes)


def contract(wanted: PackagedProgram = UNLIKE, known: Mapping[str, Space] = BOTH, **changes: Any) -> Contract:
    return examples.contract(asked(wanted, **changes), dict(known))


def own(entity: str, known: Mapping[str, Space] = BOTH) -> OwnPart:
    offer = known[entity].offer
    return OwnPart(entity, offer, {dataset.name: ("*",) for dataset in offer.datasets})


def refusal(made: Contract, entity: str, known: Mapping[str, Space] = BOTH) -> IsthmusError:
    with pytest.raises(IsthmusError) as caught:
        check_proposal(made, own(entity, known), examples.operators(), NOW)
    return caught.value


@pytest.mark.parametrize("wanted", [UNLIKE, GROWN])
@pytest.mark.parametrize("entity", [HOME, POLICE, CARE, NEUTRAL])
def test_what_is_allowed_everywhere_is_approved_everywhere(entity: str, wanted: PackagedProgram) -> None:
    check_proposal(contract(wanted), own(entity), examples.operators(), NOW)


def test_a_query_is_one_from_its_file_over_the_wire_and_in_canonical_form() -> None:
    for query in (asked(), asked(GROWN), contract().query):
        assert query_from(query_to(query)) == query == read_query(to_plain(query))


def test_what_is_left_open_is_filled_in_and_nothing_else() -> None:
    query = contract().query
    assert query.statistic.program == replace(
        UNLIKE, digest=DISSIMILARITY.digest, descriptor=descriptors.written(DISSIMILARITY.descriptor)
    )
    assert filling.answers(query, asked())
    assert not filling.answers(query, asked(replace(UNLIKE, settings=())))
    assert not filling.answers(query, asked(replace(UNLIKE, digest="0" * 64)))
    assert not filling.answers(replace(query, title="another"), asked())


def test_columns_are_used_as_inputs_say_numbers_behind_codes() -> None:
    later = replace(GROWN, inputs=GROWN.inputs[::-1])
    assert [(used.column, used.use) for used in statistics.of(asked(later)).uses(asked(later))] == [
        ("form", Use.GROUP),
        ("age", Use.MEASURE),
    ]
    assert contract(later).program.parameters == contract(GROWN).program.parameters


def test_an_index_comes_out_as_the_part_that_it_is() -> None:
    made, rules = contract(), statistics.of(asked())
    assert rules.outputs(made) == 2
    shown = rules.table(made, [7, 1])
    assert (shown.measures, shown.rows[0].values, shown.counted) == (("dissimilarity",), (7 / 40,), False)
    hidden = rules.table(made, [0, 0])
    assert hidden.rows[0].suppressed


def test_rows_come_out_by_codes_and_each_is_told_or_not() -> None:
    made, rules = contract(GROWN, limits=Wished(minimum_cell=11)), statistics.of(asked(GROWN))
    shown = rules.table(made, [12, 0, 31, 1, 0, 1])
    assert shown.columns == ("form",)
    assert [(row.codes, row.values) for row in shown.rows] == [
        (("LABOUR",), (12,)),
        (("SEXUAL",), (None,)),
        (("OTHER",), (31,)),
    ]
    console = Console(width=80, file=(drawn := StringIO()))
    console.print(program_table(shown, made.limits, {"form": {"": "Form", "LABOUR": "labour"}}))
    assert "labour" in drawn.getvalue() and "<11*" in drawn.getvalue() and "31" in drawn.getvalue()


def test_parameters_are_what_the_module_takes() -> None:
    module, made = packages.loaded(AT_LEAST), statistics.of(asked(GROWN))
    given = made.parameters(contract(GROWN).query, {"form": examples.FORMS})
    rows = InputRows([1, 2, 3, 4], [1] * 4, [(0,), (0,), (2,), (1,)], [(18,), (17,), (40,), (None,)])
    parameters = {**given, "minimum_cell": 0, "zero_is_small": False}
    assert module.clear(parameters, [rows]) == [1, 0, 1, 1, 1, 1]
    assert module.outputs(parameters) == statistics.of(asked(GROWN)).outputs(contract(GROWN)) == 6


def test_days_are_how_many_after_the_first_of_1970_they_are() -> None:
    slots = tuple(replace(slot, use="day") if slot.name == "what" else slot for slot in AT_LEAST.descriptor.inputs)
    described = descriptors.written(replace(AT_LEAST.descriptor, inputs=slots))
    of_days = replace(GROWN, inputs=(GROWN.inputs[0], ProgramInput("what", "seen", None, *SPAN)), descriptor=described)
    query, rules = asked(of_days), statistics.of(asked(of_days))
    assert [used.types for used in rules.uses(query)][1] == (ColumnType.DATE,)
    (measure,) = rules.parameters(query, {"form": examples.FORMS})["measures"]
    assert measure == {"name": "seen", "least": 15340, "most": 16071}
    with pytest.raises(IsthmusError, match="least and most, as days"):
        rules.parameters(asked(replace(GROWN, descriptor=described)), {"form": examples.FORMS})


@pytest.mark.parametrize(
    "opened",
    [[41, 1], [-1, 1], [1, 0], [1, 2], [1], [1, 1, 1], [2**60, 1]],
)
def test_outputs_beyond_the_declared_types_are_never_a_table(opened: list[int]) -> None:
    with pytest.raises(IsthmusError) as caught:
        statistics.of(asked()).table(contract(), opened)
    assert caught.value.reason is Reason.INCONSISTENT_SHARES


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (replace(UNLIKE, inputs=UNLIKE.inputs[:1]), "wants a column for over"),
        (replace(UNLIKE, inputs=(*UNLIKE.inputs[:1], ProgramInput("of", "form"))), "no input of"),
        (replace(UNLIKE, inputs=(ProgramInput("groups", "form"), ProgramInput("over", "year"))), "takes 2 codes"),
        (replace(UNLIKE, settings=(ProgramSetting("steps", 9),)), "from 10 to 100"),
        (replace(UNLIKE, settings=(ProgramSetting("stages", 9),)), "no setting stages"),
        (replace(GROWN, inputs=(ProgramInput("by", "form"), ProgramInput("what", "year"))), "least and most"),
        (replace(GROWN, inputs=(GROWN.inputs[0], ProgramInput("what", "seen", None, *SPAN))), "seen"),
        (replace(GROWN, inputs=(ProgramInput("by", "form"), ProgramInput("what", "age", least=0, most=50))), "bounds"),
    ],
)  # fmt: skip
def test_a_question_that_does_not_fit_the_descriptor_is_refused_by_field(wanted: PackagedProgram, said: str) -> None:
    with pytest.raises(IsthmusError, match=said) as caught:
        contract(wanted)
    assert caught.value.field.startswith("statistic.program") and caught.value.advice


@pytest.mark.parametrize(
    "wanted",
    [
        replace(UNLIKE, name="../etc"),
        replace(UNLIKE, inputs=()),
        replace(UNLIKE, inputs=(UNLIKE.inputs[0], UNLIKE.inputs[0])),
        replace(UNLIKE, settings=UNLIKE.settings * 2),
        replace(GROWN, inputs=(ProgramInput("what", "age", least=3, most=2),)),
        replace(GROWN, inputs=(ProgramInput("what", "age", least=3),)),
        replace(GROWN, inputs=(ProgramInput("what", "age", ("a",), 3, 5),)),
        replace(GROWN, inputs=(ProgramInput("what", "seen", least="2012-13-01", most="2014-01-01"),)),
        replace(UNLIKE, descriptor="{}"),
        replace(UNLIKE, descriptor=descriptors.written(AT_LEAST.descriptor)),
        replace(UNLIKE, descriptor=descriptors.written(DISSIMILARITY.descriptor) + " "),
    ],
)
def test_a_malformed_question_is_refused_before_anybody_is_asked(wanted: PackagedProgram) -> None:
    with pytest.raises(IsthmusError) as caught:
        read_query(to_plain(asked(wanted)))
    assert caught.value.reason is Reason.MALFORMED_QUERY and caught.value.field.startswith("statistic.program")


# Who allows what.


def test_a_space_where_it_is_not_installed_is_named_and_so_are_the_others() -> None:
    known = federation(DISSIMILARITY, without=(NEUTRAL,))
    with pytest.raises(IsthmusError) as caught:
        contract(known=known)
    assert caught.value.reason is Reason.PROGRAM_UNKNOWN
    said = caught.value.public
    assert said.startswith(f"neutral.example does not allow program dissimilarity@sha256:{DISSIMILARITY.digest}")
    assert all(name in said.partition(";")[2] for name in ("home.example", "police.example", "care.example"))
    assert "isthmus programs check DIR" in caught.value.advice


def test_the_same_name_with_other_bytes_is_another_program() -> None:
    known = federation(DISSIMILARITY)
    police = known[POLICE]
    altered = tuple(
        replace(offer, digest="e" * 64) if offer.name == "dissimilarity" else offer for offer in police.offer.programs
    )
    known[POLICE] = replace(police, offer=replace(police.offer, programs=altered))
    with pytest.raises(IsthmusError, match=r"police\.example does not allow"):
        contract(known=known)
    made = contract()
    assert refusal(made, POLICE, known).reason is Reason.PROGRAM_MISMATCH


def test_a_program_of_the_release_is_no_package_and_a_package_stands_in_for_none() -> None:
    with pytest.raises(IsthmusError, match="no space of this question runs a program overlap"):
        contract(replace(UNLIKE, name="overlap"))
    known = examples.spaces()
    for entity, space in known.items():
        posing = offered(DISSIMILARITY, name="overlap", version=9)
        known[entity] = replace(space, offer=replace(space.offer, programs=(*space.offer.programs, posing)))
    assert examples.contract(examples.overlap(), known).program.digest == "e" * 64


@pytest.mark.parametrize("entity", [HOME, POLICE, CARE])
def test_an_owner_whose_policy_does_not_name_the_digest_refuses_by_name(entity: str) -> None:
    found = refusal(contract(), entity, federation(DISSIMILARITY, refusing=(entity,)))
    host = entity.removeprefix("https://")
    assert found.reason is Reason.POLICY_REFUSED and found.field == "program"
    assert found.public.startswith(f"{host} does not allow program dissimilarity@sha256:{DISSIMILARITY.digest}")
    assert "isthmus programs check DIR" in found.advice


def test_a_list_of_programs_of_the_release_admits_no_package_and_forbids_none() -> None:
    listing = federation(DISSIMILARITY, refusing=(POLICE,))
    for entity in (POLICE, CARE):
        space = listing[entity]
        datasets = tuple(
            replace(item, terms=replace(item.terms, programs=(DISSIMILARITY.digest, "d" * 64)))
            for item in space.offer.datasets
        )
        listing[entity] = replace(space, offer=replace(space.offer, datasets=datasets))
    assert refusal(contract(), POLICE, listing).reason is Reason.POLICY_REFUSED
    check_proposal(contract(), own(CARE, listing), examples.operators(), NOW)


@pytest.mark.parametrize("entity", [HOME, NEUTRAL])
def test_a_seat_where_it_is_not_installed_vetoes_whatever_the_owners_say(entity: str) -> None:
    found = refusal(contract(), entity, federation(DISSIMILARITY, without=(entity,)))
    assert found.reason is Reason.PROGRAM_MISMATCH and found.space == entity
    assert "does not allow program dissimilarity@sha256:" in found.public


@pytest.mark.parametrize("entity", [HOME, POLICE, CARE, NEUTRAL])
def test_a_descriptor_that_is_not_the_installed_one_is_refused_everywhere(entity: str) -> None:
    """An initiator that shows approvers a milder leakage, or wider types, under the digest of what they installed."""
    descriptor = DISSIMILARITY.descriptor
    milder = replace(descriptor, leakage="Parties learn nothing. Recipients learn nothing.")
    wider = replace(descriptor, outputs=(replace(descriptor.outputs[0], most=2**40),))
    for other in (milder, wider):
        made = contract()
        lying = replace(made.query.statistic.program or UNLIKE, descriptor=descriptors.written(other))
        found = refusal(replace(made, query=replace(made.query, statistic=Statistic(program=lying))), entity)
        assert found.reason is Reason.CONTRACT_INVALID
        assert found.field == "query.statistic.program.descriptor"


def test_a_digest_in_the_query_that_is_not_the_programs_is_refused() -> None:
    made = contract()
    other = replace(made.query.statistic.program or UNLIKE, digest="0" * 64)
    found = refusal(replace(made, query=replace(made.query, statistic=Statistic(program=other))), POLICE)
    assert found.reason is Reason.CONTRACT_INVALID and found.field == "program.digest"


def test_limits_that_it_does_not_apply_are_refused() -> None:
    for limits in (Wished(dominance=80), Wished(rounding=5)):
        with pytest.raises(IsthmusError) as caught:
            contract(limits=limits)
        assert caught.value.reason is Reason.POLICY_REFUSED and caught.value.field.startswith("limits.")
    assert contract(GROWN, limits=Wished(rounding=5)).limits.rounding == 5


# Repeats and the ledger.


def test_codes_in_another_order_settings_and_bytes_make_another_question_and_table() -> None:
    first = contract()
    flipped = replace(UNLIKE, inputs=(UNLIKE.inputs[0], replace(UNLIKE.inputs[1], codes=("LABOUR", "SEXUAL"))))
    others = [contract(flipped), contract(replace(UNLIKE, settings=())), contract(GROWN)]
    assert len({question(made) for made in (first, *others)}) == 4
    assert len({table(made) for made in (first, *others)}) == 4
    assert question(contract(replace(UNLIKE, inputs=UNLIKE.inputs[::-1]))) == question(first)
    check_parameters(first, {"year": ("2012", "2013"), "form": examples.FORMS})


def test_kept_shares_are_shown_again_under_the_very_same_parameters_alone() -> None:
    here, there = contract().program.parameters, contract(replace(UNLIKE, settings=())).program.parameters
    assert rearranged([3, 4], here, here) == [3, 4]
    with pytest.raises(ValueError):
        rearranged([3, 4], there, here)


def test_it_is_said_what_is_learned_and_that_no_release_has_it() -> None:
    query = contract().query
    said = statistics.of(query).said(query, str.upper)
    assert "would have to change its code" in said and "no part of the release" in said and "FORM" in said
    assert "dissimilarity" in statistics.of(asked()).said(asked(), str)
