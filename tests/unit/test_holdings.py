"""What an agent says of a source that changed after its edition was offered: nothing that depends on rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from connectors.holdings import Holding, read_rows
from connectors.sources.tables import DatasetSource, SourceConfig
from gateway.domain.dataset import Dataset
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
    assert len(read_rows(agreed, provider.entity, {dataset.name: Holding(held, source, ("*",), key)}).keys) == 2
    # The file is what the contract names, and this agent has checked and offered something else.
    with pytest.raises(IsthmusError) as refused:
        read_rows(agreed, provider.entity, {dataset.name: Holding(dataset, source, ("*",), key)})
    assert refused.value.reason is Reason.EDITION_CHANGED


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
