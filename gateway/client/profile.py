"""Where a client's home gateway is, and as whom it speaks there: one TOML file.

Invariants: secrets come by path, relative to the file; unknown keys are refused; nothing is guessed but the
place of the file itself.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from gateway import config
from gateway.domain.errors import IsthmusError, Reason

SANDBOX_PROFILE = "default-profile.toml"
SANDBOX_RUNS = "sandbox.json"  # there while a sandbox runs


def _page(address: str) -> str:
    # A password is typed there: https, but for a page on this machine.
    if re.fullmatch(r"https://[^\s?#]+|http://(?:127\.0\.0\.1|localhost|\[::1\])(?::[0-9]+)?/?", address) is None:
        raise ValueError("a login page has an https address, on this machine http://127.0.0.1:PORT")
    return address


class Profile(config.Strict):
    """`gateway` is host:port, `server_name` the host name in its certificate. `token` is a file with an access
    token; without one, or once it has expired, the SDK asks the gateway for one with the certificate. `login` is where
    people sign in."""

    gateway: str
    server_name: str
    ca: config.Beside
    certificate: config.Beside
    key: config.Beside
    token: config.Beside | None = None
    login: Annotated[str, AfterValidator(_page)] | None = None

    @classmethod
    def load(cls, path: Path | str) -> Profile:
        """Raises IsthmusError(CONFIGURATION) naming the field."""
        # A link is followed first: what the file names lies beside the file, not beside the link.
        return config.load(cls, Path(path).expanduser().resolve())


def sandbox_state(environment: Mapping[str, str] = os.environ) -> Path:
    """The folder in which a sandbox keeps what it runs on."""
    given = environment.get("XDG_STATE_HOME", "")
    return (Path(given) if given else Path.home() / ".local" / "state") / "isthmus" / "sandbox"


def discover(environment: Mapping[str, str] = os.environ) -> Path:
    """The profile to use when none is named: $ISTHMUS_PROFILE, the user's own, the running sandbox's."""
    if named := environment.get("ISTHMUS_PROFILE", ""):
        return Path(named)
    given = environment.get("XDG_CONFIG_HOME", "")
    own = (Path(given) if given else Path.home() / ".config") / "isthmus" / "profile.toml"
    sandbox = sandbox_state(environment) / SANDBOX_PROFILE
    if own.is_file():
        return own
    if sandbox.is_file() and (sandbox.parent / SANDBOX_RUNS).is_file():
        return sandbox
    raise IsthmusError(
        Reason.CONFIGURATION,
        f"there is no profile: neither {own} nor a running sandbox",
        advice="Start one with `isthmus sandbox up`, or name a profile with --profile or $ISTHMUS_PROFILE",
    )
