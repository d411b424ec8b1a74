"""What an agent's configuration says of its parties, held against the machine before anything starts."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from connectors.config import AgentConfig
from connectors.engine.confinement import REQUIRED, offered
from connectors.engine.forking import PartySettings
from connectors.engine.kernelcache import VARIABLE, kernel_folder
from gateway.config import broken


def party_settings(config: AgentConfig, beside: Path) -> PartySettings:
    """Raises IsthmusError(CONFIGURATION) where parties could not start as configured.

    From here on this process, too, takes compiled kernels from the checked folder alone.
    """
    if config.seats and sys.platform != "linux":
        raise broken("parties run on Linux alone", "seats", "Set seats = 0 here: a space may just provide data")
    missing = [name for name in REQUIRED if name not in offered()]
    if config.seats and config.confinement == "required" and missing:
        raise broken(
            f"this machine cannot confine a party: its kernel offers no {' and no '.join(missing)}",
            "confinement",
            "docs/confinement.md says what provides it, and what protects a party without it",
        )
    folder = kernel_folder(config.kernels, beside)
    os.environ[VARIABLE] = str(folder)
    packages = tuple((str(item.folder), item.digest) for item in config.programs)
    return PartySettings(str(folder), config.party_memory << 20, config.confinement, packages)
