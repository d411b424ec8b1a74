"""A document as one HTML file that prints well.

Invariants: whatever a document says is text and stands escaped, also what strangers chose; the page holds no script and
asks for nothing from outside, which its own policy says to the browser too; equal documents have equal bytes.
"""

from __future__ import annotations

import base64
import hashlib
from html import escape

from gateway.domain.document import Block, Document, Facts, Grid, Section

# Black on white, A4; heads of tables stand on every page that they go on to; a fact is not torn apart.
_STYLE = """
@page { size: A4; margin: 18mm 16mm 20mm;
  @bottom-right { content: counter(page) " / " counter(pages); font-size: 8pt; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 1.5rem; color: #000; background: #fff;
  font: 11pt/1.45 "Liberation Sans", "Helvetica Neue", Arial, sans-serif; }
header { border-bottom: 2px solid #000; margin-bottom: 1.2rem; padding-bottom: .6rem; }
h1 { font-size: 1.6em; line-height: 1.2; margin: 0 0 .2rem; }
header p { margin: 0; }
h2 { font-size: 1.2em; margin: 1.8rem 0 .5rem; border-bottom: 1px solid #000; padding-bottom: .15rem; }
p { margin: .4rem 0 .7rem; max-width: 46rem; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1.2rem; font-size: .88em; }
caption { text-align: left; font-weight: bold; padding: .2rem 0 .35rem; caption-side: top; }
th, td { text-align: left; vertical-align: top; padding: .28rem .5rem .28rem 0; border-bottom: 1px solid #999;
  overflow-wrap: anywhere; }
thead th { border-bottom: 2px solid #000; }
th[scope="row"] { font-weight: bold; }
table.facts th[scope="row"] { width: 24%; }
.whole { overflow-wrap: normal; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
footer { border-top: 1px solid #000; margin-top: 2rem; padding-top: .5rem; font-size: .85em; }
@media print {
  body { max-width: none; padding: 0; font-size: 9.5pt; }
  h2 { break-after: avoid; }
  caption, p:has(+ table) { break-after: avoid; }
  thead { display: table-header-group; }
  tr { break-inside: avoid; }
  table.facts { break-inside: avoid; }
  p { orphans: 3; widows: 3; }
}
"""
# Characters of a word for which its column is made wide enough; longer ones may be broken anywhere.
_WHOLE = 22
# No script, no frame, no request; of styles, the one above.
_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY = f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none'; form-action 'none'"


def page(document: Document) -> str:
    """The whole file, in UTF-8 when it is written."""
    sections = "\n".join(_section(section) for section in document.sections)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{escape(document.title)}: {escape(document.subtitle)}</title>\n"
        f"<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<header>\n<h1>{escape(document.title)}</h1>\n<p>{escape(document.subtitle)}</p>\n</header>\n"
        f"<main>\n{sections}\n</main>\n<footer><p>{escape(document.note)}</p></footer>\n</body>\n</html>\n"
    )


def _section(section: Section) -> str:
    blocks = "\n".join(_block(block) for block in section.blocks)
    return f"<section>\n<h2>{escape(section.title)}</h2>\n{blocks}\n</section>"


def _block(block: Block) -> str:
    match block:
        case Facts(caption, pairs):
            rows = "\n".join(
                f'<tr><th scope="row">{escape(name)}</th><td>{escape(said)}</td></tr>' for name, said in pairs
            )
            return f'<table class="facts">\n<caption>{escape(caption)}</caption>\n<tbody>\n{rows}\n</tbody>\n</table>'
        case Grid():
            return _grid(block)
    return f"<p>{escape(block)}</p>"


def _grid(grid: Grid) -> str:
    def kind(place: int) -> str:
        if place in grid.numbers:
            return ' class="number"'
        words = (word for row in (grid.heads, *grid.rows) for word in row[place].split())
        return ' class="whole"' if max(map(len, words), default=0) <= _WHOLE else ""

    heads = "".join(f'<th scope="col"{kind(place)}>{escape(head)}</th>' for place, head in enumerate(grid.heads))
    rows = "\n".join(
        f'<tr><th scope="row"{kind(0)}>{escape(row[0])}</th>'
        + "".join(f"<td{kind(place)}>{escape(cell)}</td>" for place, cell in enumerate(row[1:], start=1))
        + "</tr>"
        for row in grid.rows
    )
    return (
        f"<table>\n<caption>{escape(grid.caption)}</caption>\n<thead><tr>{heads}</tr></thead>\n"
        f"<tbody>\n{rows}\n</tbody>\n</table>"
    )
