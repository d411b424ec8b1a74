"""What `isthmus programs check` says to people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType

from gateway.cli.typeset import table, words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connectors.engine.examination import Finding
    from connectors.engine.packages import Package


def checked(package: Package, findings: Sequence[Finding]) -> RenderableType:
    """Each finding; then the digest, and what admits it, or that nothing does yet."""
    descriptor = package.descriptor
    made = table("What", "Holds", "Why not", fixed=("Holds",))
    for finding in findings:
        made.add_row(words(finding.what), "✗ no" if finding.wrong else "✓ yes", words(finding.wrong))
    head = words(f"{descriptor.name}, version {descriptor.version}: {descriptor.title}", "bold")
    if any(finding.wrong for finding in findings):
        return Group(head, "", made, "", words("It does not do what it says: nobody should admit it."))
    return Group(head, "", made, "", *map(words, _admitting(package)))


def _admitting(package: Package) -> list[str]:
    """What an operator writes, and where, in lines that are copied: none but a long folder is broken in 80 columns."""
    return [
        "Read program.py and the leakage statement before you admit it.",
        "",
        "To run it at your seats, in the agent's configuration:",
        "[[programs]]",
        f'folder = "{package.folder}"',
        f'digest = "{package.digest}"',
        "",
        "To let it run on a dataset, in its policy, with program among its statistics:",
        f'packages = ["{package.digest}"]',
    ]
