"""What a program says of noise that takes none: it has these two of its own name."""

import numpy as np

from connectors.engine.rows import Parameters, Words


def noise_words(parameters: Parameters) -> int:
    """Words of uniform bits that each provider puts in beside its rows: none."""
    return 0


def own_noise(parameters: Parameters, seed: bytes) -> Words:
    """A provider's uniform bits: none."""
    return np.zeros(0, dtype=np.uint64)
