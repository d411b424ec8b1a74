"""`isthmus datasets show` (its name may be left out) and `isthmus spaces`: what can be asked, and of whom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.output import AsJson, ProfileFile, answering, profile_at

if TYPE_CHECKING:
    from gateway.client.messages import Catalogue, Listed
    from gateway.client.sync import Client


def show(
    name: Annotated[
        str | None, typer.Argument(help="One dataset: its columns and codes. A short name will do.")
    ] = None,
    profile: ProfileFile = None,
    json: AsJson = False,
) -> None:
    """Datasets of all spaces, or one with its columns; what `isthmus datasets` does by itself."""
    with answering(json) as output:
        from gateway.cli import render_catalogue, shapes
        from gateway.client.sync import Client
        from gateway.edges.clock import SystemClock

        now = SystemClock().now()
        with Client(profile_at(profile)) as client:
            if name is None:
                found = client.datasets()
                output.give(lambda: shapes.of_catalogue(found, now), lambda: render_catalogue.catalogue(found, now))
            else:
                listed = _named(client, name)
                output.give(lambda: shapes.of_dataset(listed, now), lambda: render_catalogue.dataset(listed, now))


def spaces(profile: ProfileFile = None, json: AsJson = False) -> None:
    """Who is in this federation, with their seats."""
    with answering(json) as output:
        from gateway.cli import render_catalogue, shapes
        from gateway.client.sync import Client
        from gateway.edges.clock import SystemClock

        now = SystemClock().now()
        with Client(profile_at(profile)) as client:
            found = client.spaces()
        output.give(
            lambda: {"spaces": [shapes.of_space(space, now) for space in found]},
            lambda: render_catalogue.spaces(found, now),
        )


def _named(client: Client, name: str) -> Listed:
    """The dataset of that name, or the only one with that short name."""
    from gateway.domain.errors import IsthmusError, Reason

    if "/" in name:
        return client.dataset(name)
    found: Catalogue = client.datasets()
    fitting = [listed for listed in found.datasets if listed.dataset.short_name == name]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        names = ", ".join(listed.dataset.name for listed in fitting)
        raise IsthmusError(
            Reason.UNKNOWN_DATASET,
            f"{name} is the name of several datasets",
            field="name",
            advice=f"Say which: {names}",
        )
    raise IsthmusError(
        Reason.UNKNOWN_DATASET, f"no dataset is named {name}", field="name", advice="`isthmus datasets` lists all"
    )
