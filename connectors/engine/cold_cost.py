"""What MPyC's own secure types cost (cold.py); without MPyC, for agents too.

Invariant: the costs are exact, not estimates; a test compares them with what a session sends.
"""

from connectors.engine.cost import Cost, Shape, levels
from gateway.rules.sharing import P

WORD = 8


def width(modulus: int) -> int:
    """Bytes of an element on the wire: whole words."""
    return WORD * -(-modulus.bit_length() // (8 * WORD))


def most(shape: Shape, modulus: int) -> int:
    """The largest bound that a conversion from or to this modulus takes."""
    return min(modulus, P) >> shape.t.bit_length() + 1


def conversion_cost(shape: Shape, n: int, modulus: int) -> Cost:
    """To a kind of this modulus (P: of `from_cold`)."""
    k, words = shape.t.bit_length(), n * (width(modulus) // WORD)
    dealt = (shape.t + 1) * (k + 1) * (shape.m - 1)
    products = (2 * k - 1) * shape.t * shape.m * (shape.m - 1)
    at_once = max(k + 1, k * ((shape.t + 1) // 2))
    return Cost(1 + k * levels(shape.t + 1), (dealt + products) * words, at_once * words)


def products_cost(shape: Shape, n: int, modulus: int) -> Cost:
    """Of n products or inner products, at once. 1 round."""
    words = n * (width(modulus) // WORD)
    return Cost(1, shape.m * (shape.m - 1) * words, words)


def truncated_cost(shape: Shape, before: Cost, bits: int, modulus: int) -> Cost:
    """Of one value by `bits`, which `before` computes; its mask is made meanwhile: as many random bits, each a product
    of t + 1 signs that as many parties deal, and an upper part that they deal. Then one opening, 1 round.
    """
    words, others = width(modulus) // WORD, shape.m - 1
    dealt, products = (shape.t + 1) * others, shape.t * shape.m * others
    rounds = max(before.rounds, 2 + levels(shape.t + 1)) + 1
    elements = bits * (dealt + products) + dealt + shape.m * others
    largest = bits * max(1, (shape.t + 1) // 2)
    return Cost(rounds, before.elements + elements * words, before.largest + largest * words)
