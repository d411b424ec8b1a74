"""MPyC's own secure types in our sessions give what clear text gives, and convert to and from native shares."""

from fractions import Fraction
from math import sqrt
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from connectors.engine.arithmetic import multiply
from connectors.engine.cold import from_cold, open_, root, to_cold
from connectors.engine.cold_cost import conversion_cost, most, width
from connectors.engine.cost import Cost, Shape
from connectors.engine.masked import MASKING_BITS, OPENINGS_BITS, SECURITY_BITS
from connectors.engine.runtime import Engine
from connectors.engine.wire import COUNTER_BYTES, ELEMENT_BYTES
from connectors.rules.session_keys import TAG_BYTES
from gateway.rules.sharing import P, lagrange
from tests.engine.harness import SHAPES, Party, revealed, shared
from tests.engine.stocked import compute
from tests.long import LONG

SIZES = SHAPES if LONG else SHAPES[:2]  # seven parties take half a minute more a test
shapes = pytest.mark.parametrize("shape", SIZES, ids=lambda shape: f"m{shape.m}")
few = settings(
    max_examples=4 if LONG else 2, deadline=None, phases=(Phase.explicit, Phase.generate)
)  # a session is slow to shrink
INTEGERS = st.integers(-(2**15), 2**15)
FRACTION_BITS = 14


def opened(parties: list[Party]) -> Any:
    """What all parties learned, the same."""
    assert all(party.result == parties[0].result for party in parties)
    return parties[0].result


@shapes
@few
@given(a=INTEGERS, b=INTEGERS, modulus=st.integers(2, 1000))
def test_integers_compute_as_in_clear_text(shape: Shape, a: int, b: int, modulus: int) -> None:
    async def program(rt: Engine) -> object:
        number = rt.SecInt(32)
        x, y = number(a), number(b)
        values = [
            x + y,
            x - y,
            x * y,
            -x,
            x < y,
            x <= y,
            x == y,
            abs(x),
            rt.if_else(x < y, x, y),
            rt.in_prod([x, y], [y, y]),
        ]
        return await open_(rt, [*values, x % modulus, x // modulus, x % 2], "test")

    expected = [a + b, a - b, a * b, -a, a < b, a <= b, a == b, abs(a), min(a, b), a * b + b * b]
    assert opened(compute(shape, program)) == [*expected, a % modulus, a // modulus, a % 2]


def quotients_and_roots(shape: Shape, a: int, b: int) -> None:
    above, below, ulp = Fraction(a, 16), Fraction(b, 16), Fraction(1, 2**FRACTION_BITS)

    async def program(rt: Engine) -> object:
        number = rt.SecFxp(2 * FRACTION_BITS, FRACTION_BITS)
        x, y = number(float(above)), number(float(below))
        return await open_(rt, [x * y, x / y, root(number(abs(b))), root(number(abs(b) / 2**8))], "test")

    product, quotient, large, small = opened(compute(shape, program))
    assert abs(Fraction(product) - above * below) <= ulp
    assert abs(Fraction(quotient) - above / below) <= ulp * (1 + abs(above)) * (1 + 8 / abs(below))
    assert abs(large - sqrt(abs(b))) <= 2 * ulp
    assert abs(Fraction(small) ** 2 - Fraction(abs(b), 2**8)) <= 4 * ulp


@few
@given(a=st.integers(-(2**7), 2**7), b=st.integers(1, 2**8), sign=st.sampled_from([1, -1]))
def test_quotients_and_roots_of_fixed_point_numbers_are_off_by_what_is_stated(a: int, b: int, sign: int) -> None:
    quotients_and_roots(SHAPES[0], a, sign * b)


@pytest.mark.parametrize("shape", SIZES[1:], ids=lambda shape: f"m{shape.m}")
def test_so_they_are_with_more_parties(shape: Shape) -> None:
    quotients_and_roots(shape, 100, -243)


@shapes
def test_lists_sort_random_bits_are_bits_and_types_convert_into_each_other(shape: Shape) -> None:
    async def program(rt: Engine) -> object:
        number, element = rt.SecInt(16), rt.SecFld(101)
        bits = rt.random_bits(number, 64)
        ordered = rt.sorted([number(v) for v in (5, -1, 7, 0)])
        inverse = await open_(rt, [1 / element(7)], "test")
        converted = await open_(rt, [rt.convert(element(99), number), rt.convert(rt.SecFxp(24, 8)(-5), number)], "test")
        return await open_(rt, ordered, "test"), await open_(rt, bits, "test"), int(inverse[0]), converted

    ordered, bits, inverse, converted = opened(compute(shape, program))
    assert converted == [99, -5]
    assert ordered == [-1, 0, 5, 7]
    assert set(bits) == {0, 1}
    assert inverse == pow(7, -1, 101)


@shapes
@pytest.mark.parametrize("kind", ["integer", "fixed point", "small field", "large field"])
def test_conversions_hold_to_the_edges_of_their_bounds(shape: Shape, kind: str) -> None:
    small, large = 2**31 - 1, 2**127 - 1
    bound = {"integer": most(shape, P), "fixed point": 2**30, "small field": most(shape, small), "large field": 2**40}[
        kind
    ]
    values = [0, 1, bound - 1, -1, -(bound - 1), bound // 3]
    x = shared(shape, [v % P for v in values])

    def secure(rt: Engine) -> Any:
        if kind == "integer":
            return rt.SecInt(62)
        if kind == "fixed point":
            return rt.SecFxp(40, 8)
        return rt.SecFld(modulus=small if kind == "small field" else large)

    async def program(rt: Engine) -> object:
        wanted = secure(rt)
        cold = await to_cold(rt, x[rt.pid], bound, wanted)
        known = await open_(rt, cold, "test")
        sent, rounds = [c.bytes_sent for c in rt.channels.values()], rt.rounds
        back = await from_cold(rt, cold, bound)
        sent = [c.bytes_sent - before for c, before in zip(rt.channels.values(), sent, strict=True)]
        return known, back, sum(sent), rt.rounds - rounds

    parties = compute(shape, program)
    results: list[Any] = [party.result for party in parties]
    modulus = {"small field": small, "large field": large}.get(kind)
    assert [int(v) for v in results[0][0]] == [v % modulus if modulus else v for v in values]
    scale = 2**8 if kind == "fixed point" else 1
    assert revealed(parties, shape.t, 1) == [scale * v % P for v in values]
    cost = conversion_cost(shape, len(values), P)
    frames = cost.rounds * shape.m * (shape.m - 1) * (COUNTER_BYTES + TAG_BYTES)
    assert sum(result[2] for result in results) - frames == ELEMENT_BYTES * cost.elements
    assert {result[3] for result in results} == {cost.rounds}


@shapes
def test_conversions_refuse_bounds_for_which_they_could_be_wrong(shape: Shape) -> None:
    x = shared(shape, [1])

    async def program(rt: Engine) -> object:
        cold = await to_cold(rt, x[rt.pid], 2, rt.SecInt(80))
        for kind, bound in ((rt.SecInt(32), 2**31 + 1), (rt.SecFxp(32, 8), 2**23 + 1), (rt.SecFld(101), 60)):
            with pytest.raises(ValueError, match=r"room|moved"):
                await to_cold(rt, x[rt.pid], bound, kind)
        with pytest.raises(ValueError, match="moved"):
            await to_cold(rt, x[rt.pid], most(rt.shape, P) + 1, rt.SecInt(80))
        with pytest.raises(ValueError, match="moved"):
            await from_cold(rt, cold, 2**60 + 1)
        with pytest.raises(RuntimeError, match="lanes"):
            await from_cold(rt.fork(1), cold, 2)
        return await from_cold(rt, [], 2)

    assert all(np.asarray(party.result).size == 0 for party in compute(shape, program))


@shapes
def test_the_same_prime_needs_no_conversion(shape: Shape) -> None:
    values = [0, 1, P - 1, 12345]
    x = shared(shape, values)

    async def program(rt: Engine) -> object:
        before = rt.rounds
        same = await from_cold(rt, await to_cold(rt, x[rt.pid], P >> 3, rt.SecFld(modulus=P)), P >> 3)
        assert np.array_equal(same, x[rt.pid])
        return rt.rounds - before

    assert opened(compute(shape, program)) == 0


def test_the_cost_of_a_conversion_to_wider_elements_counts_their_words() -> None:
    shape, modulus = SHAPES[0], 2**127 - 1
    assert conversion_cost(shape, 10, modulus) == Cost(2, 2 * conversion_cost(shape, 10, P).elements, 40)


@shapes
def test_native_steps_and_secure_types_take_turns(shape: Shape) -> None:
    """Each waits for the other's messages, though neither is awaited."""
    x = shared(shape, [3, 4, 5])

    async def program(rt: Engine) -> object:
        number = rt.SecInt(32)
        begun = [number(v) < 10 for v in range(20)]  # under way while native steps go on
        squares = await multiply(rt, x[rt.pid], x[rt.pid], "test")
        cold = await to_cold(rt, squares, 100, number)
        fourth = await multiply(rt, squares, squares, "test")
        return await open_(rt, [*begun, *(v % 7 for v in cold)], "test"), fourth

    parties = compute(shape, program)
    assert revealed(parties, shape.t, 1) == [81, 256, 625]
    assert parties[0].result[0] == [*[1] * 10, *[0] * 10, 9 % 7, 16 % 7, 25 % 7]  # type: ignore[index]


def test_however_much_is_computed_at_once_frames_are_few_and_within_the_cap() -> None:
    n, cap = 100, 2048
    early: list[int] = []

    async def program(rt: Engine) -> object:
        for channel in rt.channels.values():

            def feed(sealed: bytes, channel: Any = channel, original: Any = channel.feed) -> None:
                original(sealed)
                early.append(len(channel._early))

            channel.feed = feed  # type: ignore[method-assign]
        number = rt.SecInt(16)
        return await open_(rt, [number(v) < n // 2 for v in range(n)], "test")

    parties = compute(SHAPES[0], program, cap)
    assert opened(parties) == [v < n // 2 for v in range(n)]
    lengths = [length for party in parties for _, length in party.lengths]
    assert max(lengths) <= cap + COUNTER_BYTES + TAG_BYTES
    assert sum(lengths) > cap / 2 * len(lengths)
    assert max(early) <= 1


@pytest.mark.parametrize("operation", ["less", "modulo", "bits", "inner product", "trailing zeros", "lowest bit"])
def test_what_is_opened_is_longer_by_the_security_parameter_than_what_it_hides(operation: str) -> None:
    """Of each opened value, the top bits: were a mask shorter, they would be those of what it hides, or none."""
    bits, fraction = 32, 12

    async def program(rt: Engine) -> object:
        number, fixed = rt.SecInt(bits), rt.SecFxp(bits, fraction)
        x = number(3)
        done = {
            "less": lambda: x < 5,
            "modulo": lambda: x % 3,
            "bits": lambda: rt.to_bits(x),
            "inner product": lambda: rt.in_prod([fixed(1.5), fixed(2.5)], [fixed(3.5), fixed(0.5)]),
            "trailing zeros": lambda: rt.trailing_zeros(x),
            "lowest bit": lambda: rt.lsb(x),
        }[operation]()
        await rt.gather(done)
        return rt.SecInt(bits).field.modulus if operation != "inner product" else fixed.field.modulus

    party = compute(SHAPES[0], program)[0]
    modulus: Any = party.result
    shares = [s for step, _, s in party.seen if step.startswith("secure types: open")]
    by = lagrange((2, 3), 0, modulus)
    values = [
        int(by[0] * a + by[1] * b) % modulus
        for x, y in zip(shares[::2], shares[1::2], strict=True)
        for a, b in zip(x, y, strict=True)
    ]
    masked = [value for value in values if value > 1]  # 0 and 1: candidates for r that were not below the modulus
    hidden = bits + (fraction if operation == "inner product" else 0)
    assert masked
    assert min(value.bit_length() for value in masked) > hidden + SECURITY_BITS


def test_a_type_whose_field_has_no_room_for_masks_is_refused() -> None:
    async def program(rt: Engine) -> object:
        with pytest.raises(ValueError, match="too small"):
            rt.SecInt(32, p=P)
        field = rt.SecFld(modulus=P)
        for protocol in (rt.sgn, rt.lsb, rt.trailing_zeros):
            with pytest.raises(TypeError, match="no room"):
                protocol(field(3))
        with pytest.raises(ValueError, match="fraction"):
            rt.SecFxp(44, 20)(1) / rt.SecFxp(44, 20)(3)
        narrow, wide = rt.SecInt(8).field.modulus, rt.SecFxp(8, 4).field.modulus
        return narrow.bit_length() >= 8 + MASKING_BITS + 2, wide.bit_length() >= 8 + 4 + MASKING_BITS + 2

    assert opened(compute(SHAPES[0], program)) == (True, True)


def test_masks_hold_for_a_whole_session() -> None:
    """k bits, of which at most 3 are lost, against all openings that a session may have."""
    assert MASKING_BITS - 3 - OPENINGS_BITS >= SECURITY_BITS == 40


def test_elements_travel_in_whole_words() -> None:
    assert [width(m) for m in (101, P, 2**64 + 13, 2**127 - 1, 2**128 + 51)] == [8, 8, 16, 16, 24]
