"""`isthmus people add | list | remove`: whom the built-in issuer knows. For operators, beside the configuration.

Invariant: a password is typed or comes on standard input; it is on no command line, in no history, in no answer.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.output import AsJson, answering

Config = Annotated[Path, typer.Option("--config", help="The gateway's configuration, with a table [login].")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Lower-case letters, digits and . _ -, at most 64.")]
Listed = Annotated[list[str], typer.Option(help="May be given several times; * is all.")]


def add(
    name: Name,
    config: Config,
    scopes: Annotated[list[str], typer.Option(help="catalogue, compute, operate, steward. May be repeated.")],
    datasets: Listed = ["*"],  # noqa: B006  (typer copies it)
    statistics: Listed = ["*"],  # noqa: B006
    purposes: Listed = ["*"],  # noqa: B006
    roles: Annotated[list[str], typer.Option(help="As what they ask. May be given several times.")] = [],  # noqa: B006
    json: AsJson = False,
) -> None:
    """Let a person sign in; asks for the password. They may do at most what their client may."""
    with answering(json) as output:
        from rich.text import Text

        from gateway.domain.errors import IsthmusError, Reason
        from gateway.edges import passwords
        from gateway.edges.people import Person, added

        path = _file(config)
        password = _password()
        if wrong := passwords.wrong_with(name, password):
            raise IsthmusError(Reason.INVALID_ARGUMENT, wrong, field="password", advice="Choose another")
        lists = (tuple(scopes), tuple(datasets), tuple(statistics), tuple(purposes), tuple(roles))
        added(path, Person(name, passwords.hashed(password), *lists))
        output.give(lambda: {"name": name, "file": str(path)}, lambda: Text(f"{name} can sign in."))


def list_(config: Config, json: AsJson = False) -> None:
    """Who can sign in, and what is granted to them."""
    with answering(json) as output:
        from rich.text import Text

        from gateway.edges.people import listed

        people = listed(_file(config))
        output.give(
            lambda: {
                "people": [
                    {
                        "name": person.name,
                        "scopes": list(person.scopes),
                        "datasets": list(person.datasets),
                        "statistics": list(person.statistics),
                        "purposes": list(person.purposes),
                        "roles": list(person.roles),
                    }
                    for person in people
                ]
            },
            lambda: Text(
                "\n".join(f"{person.name}: {', '.join(person.scopes)}" for person in people)
                or "Nobody. `isthmus people add` adds one."
            ),
        )


def remove(name: Name, config: Config, json: AsJson = False) -> None:
    """End a person's access, at once: the tokens that they have are refused from then on."""
    with answering(json) as output:
        from rich.text import Text

        from gateway.edges.people import removed

        path = _file(config)
        removed(path, name)
        output.give(lambda: {"name": name, "file": str(path)}, lambda: Text(f"{name} cannot sign in any more."))


def _file(config: Path) -> Path:
    from gateway.config import GatewayConfig, broken, load

    login = load(GatewayConfig, config).login
    if login is None:
        raise broken(f"{config} has no table [login]", "login", "docs/signing-in.md says what stands in it")
    return login.people


def _password() -> str:
    """Typed twice at a terminal; else the first line of standard input."""
    from getpass import getpass

    from gateway.domain.errors import IsthmusError, Reason

    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass("Password: ")
    if getpass("Again: ") != password:
        raise IsthmusError(Reason.INVALID_ARGUMENT, "that was not the same twice", field="password", advice="Try again")
    return password
