"""What a provider puts in, so that the noise of a question is its own and comes again with the question.

Invariants: a seed is a PRF of the canonical question, with its editions, filters and limits, under keys that only this
owner has; it leaves as shares of what it is expanded to, and nobody else ever knows it. The noise of a question is the
XOR of what all its providers put in: whoever lacks one of their keys knows nothing of it (DESIGN section 7).
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from connectors.holdings import Holding
from gateway.domain.contract import Contract
from gateway.rules.canonical import question

SEED_BYTES = 32
LABEL = b"isthmus noise v1"


def noise_seed(contract: Contract, entity: str, holdings: Mapping[str, Holding]) -> bytes:
    """32 bytes: HMAC-SHA256 of the question's digest under a key by HKDF-SHA256 from the snapshot key of a dataset and
    its name, and the XOR of these over this provider's datasets in the contract. Without the name, two datasets for
    which an owner uses one key file would put in the same, and together nothing."""
    provider, asked = contract.provider_of(entity), question(contract).encode()
    seed = 0
    for item in () if provider is None else provider.inputs:
        label = b"%b %b" % (LABEL, item.dataset.encode())
        key = HKDF(SHA256(), SEED_BYTES, salt=None, info=label).derive(holdings[item.dataset].snapshot_key)
        seed ^= int.from_bytes(hmac.digest(key, asked, "sha256"))
    return seed.to_bytes(SEED_BYTES)
