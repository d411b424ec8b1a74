"""Whether what a provider shared is one input without repeated keys, before anything is computed on it.

Invariants: a session goes on only if

- for every provider, all members of a group hold the same share for it. Else opened values would not fit together in a
  way that depends on others' rows, and whoever caused it would see which.
- every provider's rows are in strictly ascending order of their keys, so that it has no two rows with one key. Equal
  keys keep their shuffled order in the sort (sort.py), which everybody sees: many equal keys below somebody's key and
  many above it would show, as two ascending runs with something between them or nothing, whether another provider has
  that person.

Nothing else about an input has to be checked, since nothing else can be wrong with it:

- Bits are bits: any words are the XOR-shares of some rows. There is no weight, no count and no second one in a block
  that could lift a cell or move another's row. A number is below a power of two by its bits, and counts only where the
  row says that it is known (group_sum.py); with that bound no sum leaves the field (measures.py).
- A row belongs to its provider by its position among the inputs. Its flags, and whose person it is, are ANDed with its
  bit `real` (linking.py; for whose person it is that is a product with a public constant, hence local), so a row that
  is not real is on no list, in no cell and nobody's. Nor does it take the place of a real row with its key, since a
  person is counted at its first row and real ones come first.
- A real row on no list makes the person nobody's in overlap, and adds to no provider's part of a cell.
- Bits for noise (noise.py) may be any: with one provider's that are uniform, the XOR of all is.
- Bits above the payload are cut off where providers' flags go (linking.py).
- An index that no code has is in no cell, since a cell is the AND of the bits of its own index.

What remains is an input that is not true, which nobody can detect.

One input: members of a group compare digests, SHA-256 over the shares that two parties hold in common, by provider. A
digest tells its receiver nothing that it does not hold. 1 round, 4 words to each peer per provider. A difference ends
the session without a culprit: whether the provider or one of two seats deviated, nobody can tell from it.

Ascending keys: each row's key is compared with the next one's, and for each provider the number of rows that are not
below the next one is opened. It is zero for whoever keeps to the protocol, and else a number about the liar's own
input. That ends the session without a culprit, since a party that sends a wrong bit can make it seem so; whose rows
they are is in the text. 10 rounds at m = 3, 11 at m = 5 and 7.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from connectors.engine.bits import ROWS, planes, words_for
from connectors.engine.compare import less, less_cost
from connectors.engine.convert import to_field, to_field_cost
from connectors.engine.cost import Cost, Shape, in_blocks
from connectors.engine.errors import Abort
from connectors.engine.field import Array, sub, total
from connectors.engine.lanes import blocks, joined
from connectors.engine.rows import KEY_BITS
from connectors.engine.sharing import open_, open_cost
from connectors.engine.wire import DIGEST_WORDS, digest

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine

STEP, ORDER = "linking: check inputs", "linking: check order of keys"
BLOCK = 1 << 10  # words of a plane in one lane, where keys are compared


async def check_well_formed(rt: "Engine", inputs: Sequence[Array], noise: Sequence[Array] = ()) -> None:
    """`inputs`: per provider shares [S, C, bound] of its rows; `noise`: [S, n] of the uniform bits that it puts in
    beside them, if any. Raises SessionAborted."""
    await one_input(rt, inputs, noise)
    await _ascending(rt, inputs)


async def one_input(rt: "Engine", inputs: Sequence[Array], noise: Sequence[Array] = ()) -> None:
    """That all members of a group hold the same of each provider's. 1 round. Raises SessionAborted."""
    rt.advance()
    parts = zip(inputs, noise, strict=True) if noise else ((rows,) for rows in inputs)
    shares = [[digest(*share) for share in zip(*part, strict=True)] for part in parts]
    common = {peer: _common(rt, shares, peer) for peer in rt.peers}
    theirs = await rt.exchange(common, {peer: mine.size for peer, mine in common.items()}, STEP, bits=rt.peers)
    for peer, mine in common.items():
        differs = np.flatnonzero(mine != theirs[peer])
        if differs.size:
            provider = int(differs[0]) // DIGEST_WORDS
            rt.abort(
                Abort.INCONSISTENT_SHARES,
                f"parties {rt.pid} and {peer} hold shares of provider {provider}'s rows that do not fit together",
                phase="linking",
            )


async def _ascending(rt: "Engine", inputs: Sequence[Array]) -> None:
    keys = np.concatenate([shares[:, :1] for shares in inputs], axis=-1)
    key, following = planes(keys, KEY_BITS), planes(np.roll(keys, -1, axis=-1), KEY_BITS)

    async def block(lane: "Engine", start: int, stop: int) -> Array:
        return await less(lane, key[..., start:stop], following[..., start:stop], ORDER)

    below = joined(await blocks(rt, key.shape[-1], BLOCK, block))
    flags = await to_field(rt, below, keys.shape[-1], ORDER)
    ends = np.cumsum([shares.shape[-1] for shares in inputs])
    # A provider's last row has no next one.
    repeats = [sub(len(part) - 1, total(part[:-1])) for part in np.split(flags, ends[:-1])]
    # Opened: zero for whoever keeps to the protocol, else a number about the liar's own rows.
    for provider, repeated in enumerate(await open_(rt, np.stack(repeats), ORDER)):
        if repeated:
            rt.abort(
                Abort.REPEATED_KEYS,
                f"provider {provider} shared a key twice, or a party made it seem so",
            )


def _common(rt: "Engine", shares: Sequence[Sequence[Array]], peer: int) -> Array:
    """The digests of what this party and a peer both hold, one per provider."""
    both = [s for s, group in enumerate(rt.held) if peer in group]
    return np.concatenate([digest(*(provider[s] for s in both)) for provider in shares])


def well_formed_cost(shape: Shape, n: int, providers: int) -> Cost:
    """Of n rows of all providers together."""
    comparing = in_blocks(words_for(n), BLOCK, lambda words: less_cost(shape, KEY_BITS, ROWS * words))
    return one_input_cost(shape, providers) + comparing + to_field_cost(shape, 1, n) + open_cost(shape, providers)


def one_input_cost(shape: Shape, providers: int) -> Cost:
    digests = DIGEST_WORDS * providers
    return Cost(1, shape.m * (shape.m - 1) * digests, digests)
