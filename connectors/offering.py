"""What this agent offers: its datasets, its seats, and the programs of its release.

Invariant: the offer follows from the holdings alone, so that a changed policy changes both or neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from types import ModuleType

from connectors.engine import programs
from connectors.engine.cost import Shape
from connectors.engine.packages import Package, loaded
from connectors.engine.programs.about import About
from connectors.engine.wire import ELEMENT_BYTES
from connectors.holdings import Holding
from connectors.rules.approval import OwnPart
from gateway.domain.offer import Offer, Opening, ProgramCost, ProgramOffer
from gateway.rules.descriptors import written

# What a session is spoken in: the runtime, and the version of the codec of `engine/wire.py`.
ENGINE, CODEC = "mpyc 0.11", 1


# Of which runs an offer says what they cost: parties, providers, rows of all providers together.
SIZES = ((3, 3, 3_000), (3, 3, 30_000), (3, 3, 300_000), (3, 3, 3_000_000), (5, 3, 300_000), (7, 3, 300_000))


def program_offers() -> tuple[ProgramOffer, ...]:
    """What this release runs and what its operator added, with what each program says of itself."""
    return tuple(_offer(module, programs.digest(name)) for name, module in sorted(programs.PROGRAMS.items()))


def package_offer(package: Package) -> ProgramOffer:
    """As whoever installs it would offer it. Its module is run."""
    return _offer(loaded(package), package.digest)


@cache
def _offer(module: ModuleType, digest: str) -> ProgramOffer:
    about: About = module.ABOUT
    return ProgramOffer(
        module.NAME,
        module.VERSION,
        digest,
        module.LEAKAGE,
        title=about.title,
        inputs=about.inputs,
        outputs=about.outputs,
        takes=about.takes,
        opens=tuple(Opening(step, why) for step, why in module.OPENS.items()),
        formula=about.formula,
        sample=about.sampled,
        costs=tuple(_cost(module, *size) for size in SIZES),
        descriptor=written(module.DESCRIPTOR) if hasattr(module, "DESCRIPTOR") else "",
    )


def _cost(module: ModuleType, m: int, providers: int, rows: int) -> ProgramCost:
    cost = module.cost(module.ABOUT.sample, [rows // providers] * providers, Shape(m, (m - 1) // 2))
    return ProgramCost(m, providers, rows, cost.rounds, ELEMENT_BYTES * cost.elements // m)


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
