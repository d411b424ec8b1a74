"""Whether what a provider shared is one input, before anything is computed on it.

Invariant: a session goes on only if, for every provider, all members of a group hold the same share for it. Else
opened values would not fit together in a way that depends on others' rows, and whoever caused it would see which.

Nothing else about an input has to be checked, since nothing else can be wrong with it:

- Bits are bits: any words are the XOR-shares of some rows. There is no weight, no count and no second one in a block
  that could lift a cell or move another's row.
- A row belongs to its provider by its position among the inputs. Its flags, and whose person it is, are ANDed with its
  bit `real` (linking.py; for whose person it is that is a product with a public constant, hence local), so a row that
  is not real is on no list, in no cell and nobody's.
- Bits above the payload are cut off where providers' flags go (linking.py).
- An index that no code has is in no cell, since a cell is the AND of the bits of its own index.
- Two rows of one provider with one key tie in the sort (sort.py), where their shuffled order decides. That tells
  parties something of that provider's rows alone.

What remains is an input that is not true, which nobody can detect.

Members of a group compare digests: SHA-256 over the shares that two parties hold in common, by provider. A digest
tells its receiver nothing that it does not hold. 1 round, 4 words to each peer per provider. A difference ends the
session without a culprit: whether the provider or one of two seats deviated, nobody can tell from it.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from connectors.engine.cost import Cost, Shape
from connectors.engine.errors import Abort
from connectors.engine.field import Array
from connectors.engine.wire import DIGEST_WORDS, digest

if TYPE_CHECKING:
    from connectors.engine.runtime import Engine

STEP = "linking: check inputs"


async def check_well_formed(rt: "Engine", inputs: Sequence[Array]) -> None:
    """`inputs`: per provider shares [S, C, bound] of its rows. Raises SessionAborted."""
    rt.advance()
    shares = [[digest(share) for share in provider] for provider in inputs]
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


def _common(rt: "Engine", shares: Sequence[Sequence[Array]], peer: int) -> Array:
    """The digests of what this party and a peer both hold, one per provider."""
    both = [s for s, group in enumerate(rt.held) if peer in group]
    return np.concatenate([digest(*(provider[s] for s in both)) for provider in shares])


def well_formed_cost(shape: Shape, providers: int) -> Cost:
    n = DIGEST_WORDS * providers
    return Cost(1, shape.m * (shape.m - 1) * n, n)
