"""What a provider puts in: its rows, each packed into words of bits; or totals of its records (pooled.py).

Invariants: no MPyC and no kernel here (agents encode). A row is, from its lowest bit: a linkage key of 60 bits, whether
the row is real, and the program's payload; rows are padded to the public bound with rows that have a random key and
zeros elsewhere, so they belong to nothing. Rows are in the order of their keys, which are all different: parties check
it (wellformed.py), and end the session where it is not so. A false match of two keys among N rows has probability below
N^2 / 2^61 (2^-37 for 4096 rows, 2^-18 for 3 * 10^6).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from connectors.engine.errors import InputRejected

Words = npt.NDArray[np.uint64]

WORD_BITS = 64
KEY_BITS = 60
HEAD_BITS = KEY_BITS + 1  # key and `real`
MAX_ROWS = 1 << 22  # of all providers together; a party takes 0.8 GB for 3 * 10^6 rows on three lists

TokenBytes = Callable[[int], bytes]
Parameters = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class InputRows:
    """One provider's rows, one per person of that provider: linkage key (60 bits, unique), which of the
    query's lists the person is on (bit i for list i), the index of the person's code in each group
    column (-1: none of the sources here that tell the column has the person), and the person's numbers, in units and
    between bounds that the parameters say (None: it is not known).
    """

    keys: Sequence[int]
    lists: Sequence[int]
    codes: Sequence[tuple[int, ...]]
    values: Sequence[tuple[int | None, ...]] = ()


@dataclass(frozen=True, slots=True)
class InputCells:
    """One provider's totals [Q, N], where nobody is recognised across providers: for each of N combinations of codes,
    as rows have them, how many records there are with it, and then of each number how many have one, and what they add
    up to."""

    codes: Sequence[tuple[int, ...]]
    totals: Words

    @property
    def combinations(self) -> InputRows:
        """A row of each."""
        return InputRows(range(len(self.codes)), [], self.codes)


def check_bound(bound: int) -> None:
    """Raises InputRejected."""
    if not 1 <= bound <= MAX_ROWS:
        raise InputRejected("rows", f"the bound of {bound} rows is not between 1 and {MAX_ROWS}")


def check_rows(rows: InputRows | InputCells, bound: int) -> InputRows:
    """The rows, where what holds for every program that links does. Raises InputRejected."""
    if isinstance(rows, InputCells):
        raise InputRejected("rows", "are totals, and this program links people")
    check_bound(bound)
    if len(rows.keys) > bound:
        raise InputRejected("rows", f"there are {len(rows.keys)} rows and the contract's bound is {bound}")
    if any(not 0 <= key < 1 << KEY_BITS for key in rows.keys):
        raise InputRejected("keys", f"a linkage key is not a number of {KEY_BITS} bits")
    if len(set(rows.keys)) != len(rows.keys):
        raise InputRejected("keys", "a linkage key occurs twice; link the provider's own rows first")
    return rows


def words_per_row(payload_bits: int) -> int:
    return -(-(HEAD_BITS + payload_bits) // WORD_BITS)


def pack(keys: Sequence[int], payload: Words, payload_bits: int, bound: int, token_bytes: TokenBytes) -> Words:
    """[C, bound] words of rows with these keys (all different) and payloads, and padding. `payload`: one word for each
    row [n], or words [K, n] with the lowest bits first.
    """
    own = np.array(keys, dtype=np.uint64)
    words = np.zeros((words_per_row(payload_bits), bound), dtype=np.uint64)
    words[0] = _padded(own, bound, token_bytes)
    places = np.searchsorted(words[0], own)
    words[0, places] |= np.uint64(1 << KEY_BITS)
    for column, part in enumerate(np.atleast_2d(payload)):
        words[column, places] |= part << np.uint64(HEAD_BITS)
        if column + 1 < len(words):
            words[column + 1, places] = part >> np.uint64(WORD_BITS - HEAD_BITS)
    return words


def _padded(keys: Words, bound: int, token_bytes: TokenBytes) -> Words:
    """These keys and random ones, `bound` different ones in ascending order."""
    while len(keys) < bound:  # again only where two are alike
        drawn = np.frombuffer(token_bytes(8 * (bound - len(keys))), dtype="<u8").astype(np.uint64)
        keys = np.union1d(keys, drawn >> np.uint64(WORD_BITS - KEY_BITS))
    return np.sort(keys)
