"""`isthmus login` and `isthmus tokens exchange`: from then on this profile asks in a person's name."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.output import AsJson, Output, ProfileFile, answering, profile_at

if TYPE_CHECKING:
    from gateway.client.profile import Profile
    from gateway.client.sign_in import SignedIn


class Kind(StrEnum):
    ID_TOKEN = "id_token"  # noqa: S105  (a name)
    ACCESS_TOKEN = "access_token"  # noqa: S105


def login(
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the address and open nothing.")] = False,
    profile: ProfileFile = None,
    json: AsJson = False,
) -> None:
    """Sign in on your gateway's login page, in your browser."""
    with answering(json) as output:
        from gateway.client.sync import Client

        named = _with_token(profile)

        def show(address: str) -> None:
            import sys
            import webbrowser

            # Standard error: the address is no part of the answer.
            if no_browser or not webbrowser.open(address):
                print(f"Open this address in a browser on this machine:\n{address}", file=sys.stderr, flush=True)

        with Client(named) as client:
            _give(output, client.sign_in(show), named)


def exchange(
    subject_token_file: Annotated[
        Path, typer.Option("--subject-token-file", help="A file, mode 0600, with a token of your provider.")
    ],
    kind: Annotated[Kind, typer.Option("--kind", help="What the token is.")] = Kind.ID_TOKEN,
    profile: ProfileFile = None,
    json: AsJson = False,
) -> None:
    """Exchange a token of your organisation's provider for one of your gateway."""
    with answering(json) as output:
        from gateway.client.sync import Client
        from gateway.edges.keys import read_secret

        named = _with_token(profile)
        token = read_secret(subject_token_file).decode("ascii", "replace").strip()
        with Client(named) as client:
            _give(output, client.exchange(token, kind.value), named)


def _with_token(path: Path | None) -> Profile:
    """The profile, which has to say where the token is kept."""
    from gateway.domain.errors import IsthmusError, Reason

    named = profile_at(path)
    if named.token is None:
        raise IsthmusError(
            Reason.CONFIGURATION,
            "the profile names no file for the token",
            field="token",
            advice='Add a line to it: token = "me.token"',
        )
    return named


def _give(output: Output, signed_in: SignedIn, profile: Profile) -> None:
    from datetime import datetime

    from rich.text import Text

    until = datetime.fromtimestamp(signed_in.ends).astimezone()
    output.give(
        lambda: {
            "subject": signed_in.subject,
            "scopes": list(signed_in.scopes),
            "expires": signed_in.expires,
            "sign_in_ends": signed_in.ends,
            "token": str(profile.token),
        },
        lambda: Text(
            f"You are {signed_in.subject} and may: {', '.join(signed_in.scopes)}.\n"
            f"The sign-in ends at {until:%H:%M on %d %B %Y}, or once nothing was asked for five minutes."
        ),
    )
