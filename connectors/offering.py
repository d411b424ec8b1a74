"""What this agent offers: its datasets, its seats, and the programs of its release.

Invariant: the offer follows from the holdings alone, so that a changed policy changes both or neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from connectors.engine import programs
from connectors.holdings import Holding
from connectors.rules.approval import OwnPart
from gateway.domain.offer import Offer, ProgramOffer

# What a session is spoken in: the runtime, and the version of the codec of `engine/wire.py`.
ENGINE, CODEC = "mpyc 0.11", 1


def program_offers() -> tuple[ProgramOffer, ...]:
    return tuple(
        ProgramOffer(name, module.VERSION, programs.digest(name), module.LEAKAGE)
        for name, module in sorted(programs.PROGRAMS.items())
    )


def own_part(entity: str, holdings: Mapping[str, Holding], seats: int) -> OwnPart:
    return of_holdings(OwnPart(entity, Offer((), program_offers(), seats, ENGINE, CODEC), {}), holdings)


def of_holdings(own: OwnPart, holdings: Mapping[str, Holding]) -> OwnPart:
    """The same seats and programs, with the datasets as they are held now, under their policies."""
    return replace(
        own,
        offer=replace(own.offer, datasets=tuple(holdings[name].dataset for name in sorted(holdings))),
        spaces={name: holding.spaces for name, holding in holdings.items()},
        columns={name: holding.columns for name, holding in holdings.items()},
        former={
            name: (holding.former.edition, holding.former.until)
            for name, holding in holdings.items()
            if holding.former is not None
        },
        roles={name: holding.roles for name, holding in holdings.items()},
    )
