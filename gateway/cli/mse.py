"""`isthmus mse`: estimates from an overlap table at hand, without a profile, a gateway or a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.output import AsJson, answering


class Intervals(StrEnum):
    """Which 95 % intervals stand beside the points."""

    PROFILE = "profile"
    BOOTSTRAP = "bootstrap"
    BOTH = "both"


def mse(
    table: Annotated[
        Path,
        typer.Argument(metavar="TABLE", help="CSV with a column per list and `count`, or what `run --json` printed."),
    ],
    models: Annotated[
        str,
        typer.Option(
            metavar="A,B,...",
            help="At least two; unless named, all: stepwise-aic, minimum-bic, downhill-bic, stepwise-p, main-effects.",
        ),
    ] = "",
    intervals: Annotated[
        Intervals, typer.Option(help="Profile likelihood is quick; bootstrap repeats the selection.")
    ] = Intervals.BOTH,
    replicates: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="How many tables the bootstrap resamples. Default: 1000; 250 with six lists, 100 with more.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="The same seed gives the same intervals.")] = 1,
    json: AsJson = False,
) -> None:
    """Estimate everyone, those on no list included, from a published overlap table.

    All models side by side, with their intervals, what each refuses and why, and Chao's lower bounds.
    """
    with answering(json) as output:
        from gateway.cli import render_mse
        from gateway.client.estimates import MODELS, chao, estimate, usual_replicates
        from gateway.client.estimates.reading import read_table

        published = read_table(table)
        chosen = [name.strip() for name in models.split(",")] if models else MODELS
        usual = usual_replicates(len(published.table.lists))
        wanted = None if intervals is Intervals.PROFILE else usual if replicates is None else replicates
        with _progress(wanted, quiet=json) as tick:
            found = estimate(
                published.table,
                chosen,
                profile=intervals is not Intervals.BOOTSTRAP,
                replicates=wanted,
                seed=seed,
                tick=tick,
            )
        bounds = chao.bounds(published.table)
        output.give(
            lambda: render_mse.plain(published, found, bounds),
            lambda: render_mse.estimates(published, found),
            lambda: render_mse.chao(bounds),
            lambda: render_mse.notes(found),
        )


@contextmanager
def _progress(total: int | None, *, quiet: bool) -> Iterator[Callable[[], None]]:
    """A bar for a person at a terminal while tables are resampled."""
    import sys

    from rich.progress import Progress

    from gateway.cli.output import console_of

    console = console_of(sys.stderr)
    with Progress(console=console, transient=True, disable=quiet or not total or not console.is_terminal) as progress:
        task = progress.add_task("Resampling", total=total)
        yield lambda: progress.advance(task)
