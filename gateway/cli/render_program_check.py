"""What `isthmus programs check` says to people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from gateway.cli.typeset import table, words

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

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
    return Group(head, "", made, "", *map(_line, admitting(package)))


def admitting(package: Package) -> list[str]:
    """What an operator writes, and where."""
    return [
        "Read program.py and the leakage statement before you admit it. The digest of these bytes, on this release:",
        f"    {package.digest}",
        "To run it at your seats, in the agent's configuration:",
        "    [[programs]]",
        f'    folder = "{_folder(package.folder)}"',
        f'    digest = "{package.digest}"',
        "To let it run on a dataset, in its policy, with program among its statistics:",
        f'    packages = ["{package.digest}"]',
    ]


def _line(text: str) -> Text:
    """What is to be copied is never broken."""
    line = words(text)
    if text.startswith(" "):
        line.no_wrap, line.overflow = True, "ignore"
    return line


def _folder(folder: Path) -> str:
    return str(folder.absolute())
