"""Packed bits over GF(2): replicated shares, 64 rows to a word.

Invariants: a value is the XOR of one word per group of m - t parties, and every member of a group holds that group's
word (CNF sharing; Cramer, Damgård, Ishai, TCC 2005, section 2); any t parties miss the word of exactly one group, that
of all the others. An array of shares is [S, ..., W], S = C(m-1, t) groups in the order of `rt.held`. *Planes*
[S, L, W]: word w of plane l has bit l of the rows 64 w .. 64 w + 63, lowest bit first. *Words* [S, C, n]: a row's own
bits, 64 to a column. Bits of a plane beyond the last row mean nothing. XOR is `^` and local.

Dealing (`share_own`, and the end of `and_`). The cyclic group of dealer i is i .. i + t mod m. The dealer sends its
value, less what its other groups draw from their streams, to the t others of its cyclic group; that is this group's
word. 1 round, t words per word. For t parties without the dealer the one word that they miss masks the rest: if it is
the cyclic group's, they were sent nothing.

AND, 1 round, t words per word and party (m = 3: Araki et al., CCS 2016). The product is the XOR over pairs (A, B) of
groups of x_A & y_B. Two groups of t + 1 out of 2t + 1 always meet, and each pair belongs to one party in both. A party
sums its pairs up, adds a share of zero (one stream for each pair of parties, both add it) and deals the sum; what the
groups that are not cyclic draw is taken off by one member of each. Of what the t + 1 honest parties deal, t parties
together see at most sums that the shares of zero leave uniform but for their total; the total is masked by the word
of the honest group, and where that group is cyclic, one of the summands is not seen.

Opening, 1 round, C(m-1, t+1) words per word and party: 1, 4, 15. A party lacks the words of the groups without it;
one member sends each, the t other members send a digest (SHA-256) of all theirs. Each group has an honest member, so
a wrong word from up to t parties is noticed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, pairwise, product
from math import comb, prod
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from connectors.engine.cost import Cost, Shape
from connectors.engine.errors import Abort
from connectors.engine.field import Array
from connectors.engine.native import lazily
from connectors.engine.wire import DIGEST_WORDS, digest

if TYPE_CHECKING:
    from connectors.engine.native import bits as kernels
    from connectors.engine.runtime import Engine, Group
else:
    kernels = lazily("bits")

ROWS = 64  # in a word
ONES = np.uint64(2**64 - 1)


def words_for(n: int) -> int:
    """Words of a plane of n rows."""
    return -(-n // ROWS)


def slices(shape: Shape, n: int) -> list[tuple[int, int]]:
    """The words of n rows in m parts, for roles that turn over the parties."""
    return list(pairwise(words_for(n) * i // shape.m for i in range(shape.m + 1)))


def planes(words: Array, bits: int) -> Array:
    """Words [..., C, n] -> planes [..., bits, W]; bit l of a row is bit l % 64 of its column l // 64. Local."""
    *front, columns, n = words.shape
    flat = np.ascontiguousarray(words).reshape(prod(front), columns, n)
    out = np.empty((len(flat), bits, words_for(n)), dtype=np.uint64)
    for share, column in product(range(len(flat)), range(columns)):
        kernels.to_planes(flat[share, column], out[share, ROWS * column : ROWS * (column + 1)])
    return out.reshape(*front, bits, words_for(n))


def words(planes: Array, n: int) -> Array:
    """Planes [..., L, W] of n rows -> words [..., ceil(L / 64), n]. Local."""
    *front, bits, width = planes.shape
    flat = np.ascontiguousarray(planes).reshape(prod(front), bits, width)
    columns = words_for(bits)
    out = np.empty((len(flat), columns, n), dtype=np.uint64)
    for share, column in product(range(len(flat)), range(columns)):
        kernels.to_words(flat[share, ROWS * column : ROWS * (column + 1)], out[share, column])
    return out.reshape(*front, columns, n)


def share_bits(values: Array, shape: Shape, draw: Callable[[int], Array]) -> list[Array]:
    """Shares [S, ...] of `values` for each of the m parties; `draw(n)` gives n uniform words."""
    groups = list(combinations(range(shape.m), shape.m - shape.t))
    drawn = [draw(values.size).reshape(values.shape) for _ in groups[1:]]
    by_group = [np.bitwise_xor.reduce([values, *drawn]), *drawn]
    return [np.stack([by_group[k] for k, group in enumerate(groups) if pid in group]) for pid in range(shape.m)]


def xor_public(rt: "Engine", x: Array, values: Array | np.uint64) -> Array:
    """x ^ values, for words that all parties know: only the first group's word changes. Local."""
    out = np.array(np.broadcast_to(x, (len(x), *np.broadcast_shapes(x.shape[1:], values.shape))))
    if rt.held[0] == rt.all_groups[0]:
        out[0] ^= values
    return out


def invert(rt: "Engine", x: Array) -> Array:
    """NOT x. Local."""
    return xor_public(rt, x, ONES)


def how_many(planes: Array) -> Array:
    """In binary, lowest bit first, how many of planes [S, k, W] are set, if each is set only where the one before is:
    a bit is the XOR of the planes at which it turns. Local.
    """
    count = planes.shape[1]
    out = np.zeros((len(planes), count.bit_length(), planes.shape[2]), dtype=np.uint64)
    for number in range(1, count + 1):
        for bit in range(count.bit_length()):
            if (number ^ (number - 1)) >> bit & 1:
                out[:, bit] ^= planes[:, number - 1]
    return out


async def share_own(rt: "Engine", own: Array | None, sizes: Mapping[int, int], step: str) -> dict[int, Array]:
    """Each dealer shares words that it alone knows: `sizes` has how many, `own` [sizes[rt.pid]] are this party's.
    Returns the shares [S, n] by dealer. 1 round, t words per word from the dealer.
    """
    counter = rt.advance()
    out, sends, due = {}, {}, {}
    for dealer, n in sizes.items():
        cyclic = cyclic_group(rt.shape, dealer)
        shares = out[dealer] = np.zeros((len(rt.held), n), dtype=np.uint64)
        for k, group in enumerate(rt.held):
            if dealer in group and group != cyclic:
                shares[k] = rt.groups[group].at(f"input of {dealer}", counter).words(n)
        if dealer == rt.pid and own is not None:
            masked = np.bitwise_xor.reduce([own, *shares])
            shares[rt.held.index(cyclic)] = masked
            sends = {peer: masked for peer in cyclic if peer != dealer}
        elif rt.pid in cyclic:
            due[dealer] = n
    received = await rt.exchange(sends, due, step, bits=rt.peers)
    for dealer, masked in received.items():
        out[dealer][rt.held.index(cyclic_group(rt.shape, dealer))] = masked
    return out


async def and_(rt: "Engine", x: Array, y: Array, step: str) -> Array:
    """x & y, with broadcasting. 1 round, t words per word and party."""
    counter = rt.advance()
    roles = _roles(rt.shape, rt.pid)
    shape = np.broadcast_shapes(x.shape, y.shape)
    left, right = (_rows(side, shape) for side in (x, y))
    out = np.empty_like(left)
    own = out[roles.cyclic]
    kernels.and_part(left, right, roles.seconds, roles.ends, own)
    for peer in rt.peers:
        own ^= rt.common(peer).at("and", counter).words(own.size)
    for k, carried in roles.others:
        out[k] = rt.groups[rt.held[k]].at("and", counter).words(own.size)
        if carried:
            own ^= out[k]
    sends = {peer: own for peer in rt.held[roles.cyclic] if peer != rt.pid}
    received = await rt.exchange(sends, dict.fromkeys(roles.dealers, own.size), step, bits=rt.peers)
    for dealer, k in roles.dealers.items():
        out[k] = received[dealer]
    return out.reshape(shape)


async def or_(rt: "Engine", x: Array, y: Array, step: str) -> Array:
    """x | y, with broadcasting. 1 round; it costs an `and_`."""
    return x ^ y ^ await and_(rt, x, y, step)


async def open_bits(rt: "Engine", x: Array, step: str) -> Array:
    """Everyone learns x [S, ...]. The caller says why it may be known. 1 round, C(m-1, t+1) words per word and party,
    and digests.
    """
    rt.opening(step)
    rt.advance()
    n, flat = prod(x.shape[1:]), _rows(x, x.shape)
    known = dict(zip(rt.held, flat, strict=True))
    sends, due = {}, {}
    for peer in rt.peers:
        sent, checked = _opening(rt.shape, peer)[rt.pid]
        sends[peer] = np.concatenate([*(known[group] for group in sent), _digest(known, checked)])
        sent, checked = _opening(rt.shape, rt.pid)[peer]
        due[peer] = len(sent) * n + (DIGEST_WORDS if checked else 0)
    received = await rt.exchange(sends, due, step, bits=rt.peers)
    for peer, (sent, _) in _opening(rt.shape, rt.pid).items():
        pieces = received[peer][: len(sent) * n].reshape(len(sent), n)
        known.update(zip(sent, pieces, strict=True))
    for peer, (sent, checked) in _opening(rt.shape, rt.pid).items():
        if not np.array_equal(received[peer][len(sent) * n :], _digest(known, checked)):
            rt.abort(Abort.INCONSISTENT_SHARES, f"the bits opened in {step!r} do not fit together")
    opened: Array = np.bitwise_xor.reduce(list(known.values()))
    return opened.reshape(x.shape[1:])


def share_own_cost(shape: Shape, sizes: Mapping[int, int]) -> Cost:
    return Cost(1, shape.t * sum(sizes.values()), max(sizes.values(), default=0))


def and_cost(shape: Shape, n: int) -> Cost:
    """Of n words."""
    return Cost(1, shape.m * shape.t * n, n)


def open_bits_cost(shape: Shape, n: int) -> Cost:
    """Of n words."""
    duties = _opening(shape, 0).values()
    digests = DIGEST_WORDS * sum(bool(checked) for _, checked in duties)
    largest = max(len(sent) * n + (DIGEST_WORDS if checked else 0) for sent, checked in duties)
    return Cost(1, shape.m * (comb(shape.m - 1, shape.t + 1) * n + digests), largest)


def cyclic_group(shape: Shape, dealer: int) -> "Group":
    """The group to whose t other members this dealer sends."""
    return tuple(sorted((dealer + k) % shape.m for k in range(shape.t + 1)))


def _rows(x: Array, shape: tuple[int, ...]) -> Array:
    """One row per group."""
    wide = x if x.shape == shape else np.broadcast_to(x, shape)
    return np.ascontiguousarray(wide).reshape(shape[0], prod(shape[1:]))


@dataclass(frozen=True, slots=True)
class _Roles:
    """What one party does in an AND; numbers are places in its groups held."""

    cyclic: int  # the group to which it deals
    dealers: Mapping[int, int]  # whose cyclic groups it is in besides, and which these are
    others: tuple[tuple[int, bool], ...]  # groups that are nobody's cyclic one, and whether it takes their words off
    seconds: npt.NDArray[np.int64]  # its pairs: for each first group the second ones,
    ends: npt.NDArray[np.int64]  # and where they end


@lru_cache
def _roles(shape: Shape, pid: int) -> _Roles:
    groups = [frozenset(group) for group in combinations(range(shape.m), shape.m - shape.t)]
    held = [group for group in groups if pid in group]
    cyclic = {frozenset(cyclic_group(shape, dealer)): dealer for dealer in range(shape.m)}
    seconds = [[k for k, b in enumerate(held) if _owner(shape, (a, b)) == pid] for a in held]
    return _Roles(
        cyclic=held.index(frozenset(cyclic_group(shape, pid))),
        dealers={cyclic[group]: k for k, group in enumerate(held) if group in cyclic and cyclic[group] != pid},
        others=tuple((k, _owner(shape, (group,)) == pid) for k, group in enumerate(held) if group not in cyclic),
        seconds=np.array([k for row in seconds for k in row], dtype=np.int64),
        ends=np.cumsum([len(row) for row in seconds]).astype(np.int64),
    )


def _owner(shape: Shape, groups: tuple[frozenset[int], ...]) -> int:
    """One party in all these groups, such that all parties own equally many of each kind: turn them until they come
    first among their rotations (m is prime, so these are m different ones), take the first common member, turn back.
    """

    def turned(by: int) -> list[list[int]]:
        return [sorted((pid + by) % shape.m for pid in group) for group in groups]

    by = min(range(shape.m), key=turned)
    first = min(set.intersection(*(set(group) for group in turned(by))))
    return (first - by) % shape.m


@lru_cache
def _opening(shape: Shape, to: int) -> "Mapping[int, tuple[tuple[Group, ...], tuple[Group, ...]]]":
    """For each peer of `to`: the groups without `to` whose words it sends, and those of which it sends a digest."""
    peers = [(to + k) % shape.m for k in range(1, shape.m)]
    sent: dict[int, list[Group]] = {peer: [] for peer in peers}
    missing = [tuple(sorted(group)) for group in combinations(peers, shape.m - shape.t)]
    for group in missing:
        sent[min((peer for peer in peers if peer in group), key=lambda peer: len(sent[peer]))].append(group)
    return {
        peer: (
            tuple(sorted(groups)),
            tuple(sorted(group for group in missing if peer in group and group not in groups)),
        )
        for peer, groups in sent.items()
    }


def _digest(known: "Mapping[Group, Array]", groups: "tuple[Group, ...]") -> Array:
    """Of the words of these groups; nothing if there is none."""
    return digest(*(known[group] for group in groups)) if groups else np.zeros(0, dtype=np.uint64)
