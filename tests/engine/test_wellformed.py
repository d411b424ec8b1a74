"""What a provider may get wrong: shares that are not one input, and rows with one key, are found before anything is
computed on them; rows that no honest provider has count for nobody.
"""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from types import ModuleType

import numpy as np
import pytest

from connectors.engine.cost import Shape
from connectors.engine.errors import Abort, SessionAborted
from connectors.engine.field import Array
from connectors.engine.programs import crosstab, group_count, overlap
from connectors.engine.rows import HEAD_BITS, KEY_BITS, InputRows
from connectors.engine.wellformed import ORDER, STEP, check_well_formed, well_formed_cost
from gateway.rules import noise
from tests.engine.harness import SHAPES, Party, engines, revealed, run
from tests.engine.packed import sent, shared_words
from tests.engine.test_programs import CROSSED, EVERY, GROUPS, LISTS

shapes = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"m{shape.m}")
ROWS = InputRows([8, 9, 10], [1, 2, 3], [(0, 1), (1, 0), (0, 0)], [(3,), (None,), (90,)])
PADDING = 3  # the row behind the three
FIVE: dict[str, object] = {"columns": [{"name": "form", "codes": list("abcde")}], "minimum_cell": 0}


@shapes
@pytest.mark.parametrize(("program", "parameters"), EVERY)
def test_shares_that_differ_within_a_group_end_the_session_and_blame_nobody(
    program: ModuleType, parameters: dict[str, object], shape: Shape
) -> None:
    inputs = [shared_words(shape, program.encode(parameters, ROWS, 5, secrets.token_bytes)) for _ in range(2)]
    inputs[1][shape.m - 1][-1, 0, 2] ^= np.uint64(1)
    differing(program, parameters, shape, inputs, [])


def test_uniform_bits_for_noise_that_differ_within_a_group_end_it_too() -> None:
    parameters = {**LISTS, "noise": noise.table("1")}
    inputs = [shared_words(SHAPES[0], overlap.encode(parameters, ROWS, 5, secrets.token_bytes)) for _ in range(2)]
    uniform = [shared_words(SHAPES[0], overlap.own_noise(parameters, bytes(32))) for _ in range(2)]
    uniform[1][2][-1, 3] ^= np.uint64(1)
    differing(overlap, parameters, SHAPES[0], inputs, uniform)


def differing(
    program: ModuleType,
    parameters: dict[str, object],
    shape: Shape,
    inputs: list[list[Array]],
    uniform: list[list[Array]],
) -> None:
    """Of the second provider."""

    async def all_run() -> tuple[list[object], list[Party]]:
        parties = engines(shape)

        async def one(party: Party) -> object:
            await party.engine.start()
            mine, bits = ([shares[party.engine.pid] for shares in all_] for all_ in (inputs, uniform))
            try:
                return await program.run(party.engine, parameters, mine, bits)
            except SessionAborted:  # then its agent ends the session everywhere
                for other in parties:
                    other.engine.fail(SessionAborted(Abort.DEADLINE, "the test's"))
                raise

        return await asyncio.gather(*(one(party) for party in parties), return_exceptions=True), parties

    ended, parties = asyncio.run(all_run())
    assert all(isinstance(failure, SessionAborted) for failure in ended)
    own = [failure for failure in ended if isinstance(failure, SessionAborted) and failure.reason != Abort.DEADLINE]
    assert own
    assert {(failure.reason, failure.culprit) for failure in own} == {(Abort.INCONSISTENT_SHARES, None)}
    assert all("provider 1" in failure.detail for failure in own)
    for party in parties:
        assert {step for step, _, _ in party.seen} <= {STEP, ORDER}  # a round was on its way already


@shapes
def test_shares_that_fit_together_pass_at_the_cost_that_is_said(shape: Shape) -> None:
    inputs = [shared_words(shape, np.arange(2 * n, dtype=np.uint64).reshape(2, n)) for n in (1, 70, 7)]
    parties = run(shape, lambda rt: check_well_formed(rt, [shares[rt.pid] for shares in inputs]))
    spent, expected = sent(parties), well_formed_cost(shape, 78, 3)
    assert (spent.rounds, spent.elements) == (expected.rounds, expected.elements)


def result(program: ModuleType, parameters: dict[str, object], inputs: Sequence[Array]) -> list[int]:
    shares = [shared_words(SHAPES[0], words) for words in inputs]
    return revealed(run(SHAPES[0], lambda rt: program.run(rt, parameters, [s[rt.pid] for s in shares])), 1)


def in_order(words: Array) -> Array:
    return words[:, np.argsort(words[0] & np.uint64((1 << KEY_BITS) - 1))]


def on_lists(words: Array) -> None:
    words[0, PADDING] |= np.uint64(0b111 << HEAD_BITS)


def in_a_cell(words: Array) -> None:
    words[0, PADDING] |= np.uint64(0b101 << HEAD_BITS)


def in_a_cell_and_all_known(words: Array) -> None:
    words[0, PADDING] |= np.uint64(0b111_11_101 << HEAD_BITS & 2**64 - 1)
    words[1, PADDING] |= np.uint64(0b111_11_101 >> 3)


@pytest.mark.parametrize("minimum", [0, 2])
@pytest.mark.parametrize(
    ("program", "base", "spoil"),
    [
        (overlap, LISTS, on_lists),
        (group_count, GROUPS, in_a_cell),
        (crosstab, CROSSED, in_a_cell_and_all_known),
    ],
)
def test_a_row_that_is_not_real_is_on_no_list_in_no_cell_and_nobodys(
    program: ModuleType, base: dict[str, object], spoil: Callable[[Array], None], minimum: int
) -> None:
    parameters = {**base, "minimum_cell": minimum}
    inputs = [program.encode(parameters, ROWS, 4, secrets.token_bytes) for _ in range(2)]
    spoil(inputs[1])
    assert result(program, parameters, inputs) == program.clear(parameters, [ROWS, ROWS])


@pytest.mark.parametrize("minimum", [0, 2])
@pytest.mark.parametrize(("program", "parameters"), EVERY)
@pytest.mark.parametrize("liar", [0, 1])
def test_a_row_that_is_not_real_takes_nobodys_place_whoever_comes_first(
    program: ModuleType, parameters: dict[str, object], minimum: int, liar: int
) -> None:
    parameters = {**parameters, "minimum_cell": minimum}
    keys = [(i + 1) << 50 for i in range(12)]
    rows = [InputRows(keys, [1] * 12, [(0, 0)] * 12, [(9,)] * 12)] * 2
    rows[liar] = InputRows([], [], [])
    inputs = [program.encode(parameters, part, 12, secrets.token_bytes) for part in rows]
    inputs[liar][0, :3] = np.array(keys[:3], dtype=np.uint64)
    inputs[liar] = in_order(inputs[liar])
    found = result(program, parameters, inputs)
    assert found == program.clear(parameters, rows)
    assert found[0] == 12


def test_a_real_row_on_no_list_makes_nobody_its_providers() -> None:
    """Did it, the rest without that provider would fall below the minimum exactly if the person is another's."""
    parameters = {**LISTS, "minimum_cell": 11}
    for on_list in (True, False):
        keys = [*range(1000, 1010), 77 if on_list else 1010]
        rows = InputRows(keys, [2] * 11, [])
        probe = overlap.encode(parameters, InputRows([77], [1], []), 4, secrets.token_bytes)
        probe[0] &= np.uint64((1 << HEAD_BITS) - 1)
        inputs = [probe, overlap.encode(parameters, rows, 16, secrets.token_bytes)]
        assert result(overlap, parameters, inputs) == overlap.clear(parameters, [InputRows([], [], []), rows])


def test_an_index_that_no_code_has_counts_nowhere() -> None:
    words = group_count.encode(FIVE, InputRows([1, 2, 3], [], [(4,), (0,), (0,)]), 3, secrets.token_bytes)
    words[0, 1] |= np.uint64(0b101 << HEAD_BITS)
    assert result(group_count, FIVE, [words])[:5] == [1, 0, 0, 0, 1]


def test_bits_above_the_payload_say_nothing_about_whose_a_row_is() -> None:
    """They lie where the flags of providers go: were they kept, a person of one provider alone would be nobody's, and
    the rest without that provider would look large enough.
    """
    parameters: dict[str, object] = {"lists": ["a"], "minimum_cell": 2}
    ours, theirs = InputRows([1, 2], [1, 1], []), InputRows([3], [1], [])
    words = [overlap.encode(parameters, rows, 2, secrets.token_bytes) for rows in (ours, theirs)]
    assert overlap.clear(parameters, [ours, theirs]) == [0, 0]
    for flags in (0b01, 0b10, 0b11):
        spoiled = [word | np.uint64(flags << (HEAD_BITS + 1)) for word in words]
        assert result(overlap, parameters, spoiled) == [0, 0]


def ended_by(inputs: Sequence[Array], shape: Shape) -> tuple[list[SessionAborted], set[str]]:
    """How a session of `overlap` with these rows ends at each party, and the steps in which parties received."""
    shares = [shared_words(shape, words) for words in inputs]

    async def all_run() -> tuple[list[SessionAborted], set[str]]:
        parties = engines(shape)

        async def one(party: Party) -> SessionAborted:
            await party.engine.start()
            with pytest.raises(SessionAborted) as ended:
                await overlap.run(party.engine, LISTS, [share[party.engine.pid] for share in shares])
            return ended.value

        failures = await asyncio.gather(*(one(party) for party in parties))
        return failures, {step for party in parties for step, _, _ in party.seen}

    return asyncio.run(all_run())


@shapes
@pytest.mark.parametrize("real", [0, 1])
def test_rows_of_one_provider_with_one_key_end_it_before_anything_is_sorted(shape: Shape, real: int) -> None:
    """Copies of the keys beside somebody's would show in the sort whether another provider has a row between them."""
    victim, copies = 1 << 59, 4
    other = overlap.encode(LISTS, InputRows([victim], [2], []), 5, secrets.token_bytes)
    probe = overlap.encode(LISTS, InputRows([5], [1], []), 1 + 2 * copies, secrets.token_bytes)
    probe[0, 1:] = np.repeat(np.array([victim - 1, victim + 1], dtype=np.uint64), copies)
    probe[0, 1:] |= np.uint64(real << KEY_BITS | real << HEAD_BITS)
    failures, steps = ended_by([other, in_order(probe)], shape)
    assert {(failure.reason, failure.culprit) for failure in failures} == {(Abort.REPEATED_KEYS, None)}
    assert steps == {STEP, ORDER}
    # The control: as many keys there, all different.
    probe[0, 1:] += np.arange(2 * copies, dtype=np.uint64) * np.uint64(2)
    assert len(result(overlap, LISTS, [other, in_order(probe)])) == overlap.outputs(LISTS)


@pytest.mark.parametrize("swapped", [0, 1, 2])
def test_rows_out_of_order_end_it_wherever_they_stand(swapped: int) -> None:
    inputs = [overlap.encode(LISTS, ROWS, n, secrets.token_bytes) for n in (1000, 64, 3)]
    last = inputs[swapped].shape[1] - 1
    inputs[swapped][:, [last - 1, last]] = inputs[swapped][:, [last, last - 1]]
    failures, _ = ended_by(inputs, SHAPES[0])
    assert {failure.detail for failure in failures} == {
        f"provider {swapped} shared a key twice, or a party made it seem so"
    }
