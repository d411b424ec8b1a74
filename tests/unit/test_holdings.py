"""What an agent says of a source that changed after its edition was offered: nothing that depends on rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from connectors.config import CodeConfig
from connectors.engine.rows import InputCells, InputRows
from connectors.holdings import Holding, read_rows, row_sets
from connectors.sources.tables import DatasetSource, SourceConfig
from gateway.domain.dataset import Code, Dataset
from gateway.domain.errors import IsthmusError, Reason
from tests import examples

GOOD = "name,born,age,seen,note,year,form\n" + "Anna Canaryname,1990-01-02,30,,,2013,LABOUR\n" * 40


def test_what_was_checked_and_offered_is_read_and_another_edition_of_it_is_not(tmp_path: Path) -> None:
    contract, key = examples.contract(), bytes(32)
    provider = contract.providers[0]
    dataset = examples.dataset(provider.entity)
    (tmp_path / "list.csv").write_text(GOOD + "Bo Canaryname,1990-01-02,30,,,2013,LABOUR\n")
    source = DatasetSource(SourceConfig(tmp_path, "list.csv", dataset.columns, dataset.key_columns))
    pinned = source.check(key).pinned
    assert pinned is not None
    held = replace(dataset, edition=replace(dataset.edition, snapshot=pinned))
    approved = replace(provider, inputs=(replace(provider.inputs[0], snapshot=pinned),))
    agreed = replace(contract, providers=(approved, *contract.providers[1:]))
    read = read_rows(agreed, provider.entity, {dataset.name: Holding(held, source, ("*",), key)})
    assert isinstance(read, InputRows) and len(read.keys) == 2
    # The file is what the contract names, and this agent has checked and offered something else.
    with pytest.raises(IsthmusError) as refused:
        read_rows(agreed, provider.entity, {dataset.name: Holding(dataset, source, ("*",), key)})
    assert refused.value.reason is Reason.EDITION_CHANGED


def test_rows_of_codes_that_not_all_sources_have_are_left_out_and_the_contracts_list_gives_codes_their_places(
    tmp_path: Path,
) -> None:
    """This owner has one code more, and its list in another order."""
    key, known = bytes(32), examples.spaces()
    dataset = examples.dataset(examples.CARE)
    codes = tuple(Code(code, "") for code in ("OTHER", "FORCED", "SEXUAL", "LABOUR"))
    columns = tuple(replace(column, codes=codes) if column.name == "form" else column for column in dataset.columns)
    forms = {"Ana": "LABOUR", "Bo": "FORCED", "Cai": "OTHER", "Di": "FORCED", "Eve": "LABOUR"}
    people = [*forms.items(), ("Di", "SEXUAL")]
    rows = [f"{name},1990-01-02,30,,,2013,{form}" for name, form in people]
    (tmp_path / "list.csv").write_text("\n".join(["name,born,age,seen,note,year,form", *rows, ""]))
    source = DatasetSource(SourceConfig(tmp_path, "list.csv", columns, dataset.key_columns))
    pinned = source.check(key).pinned
    assert pinned is not None
    dataset = replace(dataset, columns=columns, edition=replace(dataset.edition, snapshot=pinned))
    known[examples.CARE] = replace(known[examples.CARE], offer=replace(known[examples.CARE].offer, datasets=(dataset,)))
    agreed = examples.contract(examples.question(common_codes=True), known)
    held = {dataset.name: Holding(dataset, source, ("*",), key)}
    read = read_rows(agreed, examples.CARE, held)
    assert isinstance(read, InputRows)
    # Ana, Cai, Di and Eve, by the places in LABOUR, SEXUAL, OTHER.
    assert sorted(read.codes) == [(0,), (0,), (1,), (2,)]
    # The ledger sees the rows that were read, and no others.
    assert len(row_sets(agreed, examples.CARE, held)[dataset.name].kept) == 4
    # Nor does an owner who adds up at home.
    apart = examples.contract(examples.question(common_codes=True, link_on=()), known)
    added = read_rows(apart, examples.CARE, held)
    assert isinstance(added, InputCells)
    assert (added.codes, added.totals.tolist()) == ([(0,), (1,), (2,)], [[2, 1, 1]])


def told(folder: Path, content: bytes) -> IsthmusError:
    contract = examples.contract()
    provider = contract.providers[0]
    dataset: Dataset = next(
        d for d in (examples.dataset(p.entity) for p in contract.providers) if d.name == provider.inputs[0].dataset
    )
    (folder / "list.csv").write_bytes(content)
    source = DatasetSource(SourceConfig(folder, "list.csv", dataset.columns, dataset.key_columns))
    holding = Holding(dataset, source, ("*",), bytes(32))
    with pytest.raises(IsthmusError) as caught:
        read_rows(contract, provider.entity, {dataset.name: holding})
    return caught.value


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (GOOD.encode(), Reason.EDITION_CHANGED),
        ((GOOD + "Canaryname,Canarydate,30,,,2013,LABOUR\n").encode(), Reason.EDITION_CHANGED),
        ((GOOD + "Canaryname,1990-01-02,30,,,2013,Canarycode\n").encode(), Reason.EDITION_CHANGED),
        ((GOOD + 'Canaryname,"Canaryopen').encode(), Reason.SOURCE_UNREADABLE),
        (GOOD.encode() + b"Canaryname\xff,1990-01-02,30,,,2013,LABOUR\n", Reason.SOURCE_UNREADABLE),
    ],
)
def test_a_changed_source_is_refused_in_words_that_do_not_depend_on_rows(
    tmp_path: Path, content: bytes, reason: Reason
) -> None:
    problem = told(tmp_path, content)
    assert problem.reason is reason
    said = f"{problem.public} {problem.advice} {problem.field}"
    assert not any(character.isdigit() for character in said)
    assert "Canary" not in said + problem.private


def test_a_code_has_a_value() -> None:
    """The code without a name is the one that programs keep for whoever has another one than a question compares."""
    with pytest.raises(ValidationError, match="at least 1 character"):
        CodeConfig(value="")
