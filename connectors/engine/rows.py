"""What a provider puts in: its rows, and their keys as the columns that the sort wants.

Invariants: no MPyC here (agents encode); every column is a vector of bits as field elements, padded to the
public bound; a dummy row has a random key and zeros elsewhere, so it belongs to nothing. A false match of two
60-bit keys among N rows has probability below N^2 / 2^61 (2^-37 for 4096 rows).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from connectors.engine.errors import InputRejected
from connectors.engine.field import Array

KEY_BITS = 60
DIGIT_BITS = 3  # 3300 rows, m = 3, 3 ms a round: 3 to 5 take 0.8 s, 2 takes 1.0 s; 3 sends least
DIGITS = KEY_BITS // DIGIT_BITS
ONE_HOT = (1 << DIGIT_BITS) - 1  # columns of one digit; value 0 has none
KEY_COLUMNS = DIGITS * ONE_HOT
MAX_ROWS = 1 << 17  # of all providers together; memory of a party is about 2 KiB per row

TokenBytes = Callable[[int], bytes]
Parameters = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class InputRows:
    """One provider's rows, one per person of that provider: linkage key (60 bits, unique), which of the
    query's lists the person is on (bit i for list i), and the index of the person's code in each group
    column.
    """

    keys: Sequence[int]
    lists: Sequence[int]
    codes: Sequence[tuple[int, ...]]


def check_rows(rows: InputRows, bound: int) -> None:
    """What holds for every program. Raises InputRejected."""
    if not 1 <= bound <= MAX_ROWS:
        raise InputRejected("rows", f"the bound of {bound} rows is not between 1 and {MAX_ROWS}")
    if len(rows.keys) > bound:
        raise InputRejected("rows", f"there are {len(rows.keys)} rows and the contract's bound is {bound}")
    if any(not 0 <= key < 1 << KEY_BITS for key in rows.keys):
        raise InputRejected("keys", f"a linkage key is not a number of {KEY_BITS} bits")
    if len(set(rows.keys)) != len(rows.keys):
        raise InputRejected("keys", "a linkage key occurs twice; link the provider's own rows first")


def key_columns(keys: Sequence[int], bound: int, token_bytes: TokenBytes) -> Array:
    """[KEY_COLUMNS, bound]: per digit (least significant first) and value v = 1.., whether it is v."""
    padded = np.frombuffer(token_bytes(8 * bound), dtype="<u8").astype(np.uint64) >> np.uint64(64 - KEY_BITS)
    padded[: len(keys)] = np.array(keys, dtype=np.uint64)
    shifts = np.arange(0, KEY_BITS, DIGIT_BITS, dtype=np.uint64)
    digits = (padded[None, :] >> shifts[:, None]) & np.uint64(ONE_HOT)
    one_hot: npt.NDArray[np.bool_] = digits[:, None, :] == np.arange(1, ONE_HOT + 1, dtype=np.uint64)[None, :, None]
    return one_hot.reshape(KEY_COLUMNS, bound).astype(np.uint64)


def key_weights() -> Array:
    """[KEY_COLUMNS]: a key is the inner product of its columns with these."""
    return np.array([v << (DIGIT_BITS * d) for d in range(DIGITS) for v in range(1, ONE_HOT + 1)], dtype=np.uint64)


def padded(values: Sequence[int], bound: int) -> Array:
    """A column of `values`, then zeros."""
    column = np.zeros(bound, dtype=np.uint64)
    column[: len(values)] = np.array(values, dtype=np.uint64)
    return column
