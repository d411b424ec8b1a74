from __future__ import annotations

import pytest

from gateway.domain.errors import IsthmusError, Reason
from gateway.flows.discover import Discover
from tests import examples
from tests.fakes import FakeFederation


def discover(*ids: str) -> Discover:
    known = {
        examples.HOME: examples.space(examples.HOME, *(examples.dataset(examples.HOME, id) for id in ids)),
        examples.CARE: examples.space(examples.CARE, examples.dataset(examples.CARE, "list")),
    }
    return Discover(FakeFederation(examples.HOME, known, {}))


def test_pages_hold_every_dataset_once_in_the_order_of_names() -> None:
    catalogue = discover("a", "b", "c")
    names, after = [], ""
    while True:
        page, after = catalogue.datasets(after, 2)
        assert len(page) <= 2
        names += [dataset.name for dataset, _ in page]
        if not after:
            break
    assert names == sorted(names)
    assert len(set(names)) == 4


def test_a_short_name_is_enough_where_it_is_the_only_one() -> None:
    assert discover("a").dataset("a")[0].name == "spaces/home.example/datasets/a"


@pytest.mark.parametrize("name", ["nothing", "list"])
def test_an_unknown_or_ambiguous_name_is_refused(name: str) -> None:
    with pytest.raises(IsthmusError) as caught:
        discover("list").dataset(name)
    assert caught.value.reason is Reason.UNKNOWN_DATASET
