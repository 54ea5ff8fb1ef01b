"""Text of episodes as HTML. Everything that a model or a tool has written passes through `text` or
`code` here, and every picture of a family through `drawing`.

Nothing of it is markup: letters that mean something to a browser are escaped, control characters
(ANSI codes among them) become pictures of themselves.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from itertools import groupby
from xml.etree import ElementTree

from pygments.lexers.python import PythonLexer
from pygments.token import STANDARD_TYPES

from knapsack_lib.explorer.reading import Mark

__all__ = ["CSS", "chip", "code", "drawing", "fragment", "page", "text"]

LONGEST = 20_000  # characters of one text that are shown; the rest is counted
PICTURES = {  # of what would be seen as nothing, or change how other letters are seen
    **{number: chr(0x2400 + number) for number in range(32) if chr(number) not in "\n\t"},
    **dict.fromkeys(range(0x80, 0xA0), "\u241b"),
    # The direction of what follows
    **dict.fromkeys([0x61C, 0x200E, 0x200F, *range(0x202A, 0x202F)], "\u241b"),
    **dict.fromkeys(range(0x2066, 0x206A), "\u241b"),
    # Half a character: no file could hold it
    **dict.fromkeys(range(0xD800, 0xE000), "\ufffd"),
    0x7F: "\u2421",
    0x2028: "\u240a",
    0x2029: "\u240a",
}

CSS = """
.ks{font:14px/1.45 system-ui,sans-serif;color:#222;background:#fff;text-align:left}
.ks h1{font-size:19px;margin:.2em 0}.ks h2{font-size:15px;margin:1em 0 .3em}.ks a{color:#0072b2}
.ks pre{font:12.5px/1.45 ui-monospace,DejaVu Sans Mono,monospace;margin:.3em 0;padding:.5em .7em;border-radius:4px;
white-space:pre-wrap;overflow-wrap:anywhere;background:#f6f6f6}
.ks pre.out{background:#fff;border:1px solid #ddd}.ks pre.bad{border-left:4px solid #d55e00}
.ks .prose{margin:.2em 0;white-space:pre-wrap;overflow-wrap:anywhere}.ks .soft{color:#666}.ks .turn{border-top:1px solid #ddd;padding:.5em 0}
.ks .turn:focus,.ks .now{outline:none;background:#fbfaf3}
.ks .chip{display:inline-block;font-size:12px;padding:0 .5em;border-radius:9px;background:#eee;margin:1px 3px 1px 0;overflow-wrap:anywhere}
.ks .new{background:#cfe9dd}.ks .changed{background:#fdf0c4}.ks .lost{background:#f6d5c5;text-decoration:line-through}
.ks .bad.chip{background:#d55e00;color:#fff}.ks .good.chip{background:#009e73;color:#fff}
.ks mark.missing{background:#ffd9c7;border-bottom:2px solid #d55e00;color:inherit}
.ks mark.restated{background:#dcebf7;color:inherit}
.ks mark.relied{background:#dcebf7;border-bottom:2px solid #0072b2;color:inherit}
.ks table{border-collapse:collapse;font-size:13px}.ks td,.ks th{padding:2px 8px;border-bottom:1px solid #e5e5e5;text-align:left;
vertical-align:top}.ks td.n,.ks th.n{text-align:right;font-variant-numeric:tabular-nums}
.ks table.rows{white-space:nowrap}.ks-pane tr[data-place]{cursor:pointer}.ks-pane tr[data-place]:hover{background:#f2f7fb}.ks tr.chosen{background:#dcebf7}
.ks .pair{display:grid;grid-template-columns:1fr 1fr;gap:0 1.2em}.ks .pair>div{min-width:0}
.ks .k{color:#00557f;font-weight:600}.ks .s{color:#7a3d00}.ks .m{color:#7a3d00}.ks .c{color:#777;font-style:italic}
.ks .nf{color:#333;font-weight:600}.ks svg{display:block;max-width:100%;margin:.4em 0}.ks td svg{display:inline;vertical-align:middle;max-width:none}
"""

KINDS = {"k": "k", "kn": "k", "kc": "k", "ow": "k", "nf": "nf", "nc": "nf"}
TITLES = {
    "missing": "no such name at this point",
    "restated": "restates what was shown before",
    "relied": "bound by an earlier block",
}
SVG = "http://www.w3.org/2000/svg"
SHAPES = {f"{{{SVG}}}{name}" for name in "svg g title text rect circle line path polyline".split()}
ACTIVE = re.compile("^on|href|style", re.I)
PLAIN = re.compile(r"[\w\s.,:#%'/+-]*")  # of an attribute: nothing that is called or fetched
ElementTree.register_namespace("", SVG)


def text(value: object) -> str:
    """Plain text as HTML, whatever is in it. What is beyond LONGEST characters is counted instead
    of shown."""
    whole = str(value)
    return _escaped(whole[:LONGEST]) + _rest(whole)


def _escaped(piece: str) -> str:
    return html.escape(piece.translate(PICTURES))


def _rest(whole: str) -> str:
    beyond = len(whole) - LONGEST
    return f' <span class="soft">… {beyond:,} more characters</span>' if beyond > 0 else ""


def chip(value: object, kind: str = "") -> str:
    """A small label."""
    return f'<span class="chip {kind}">{text(value)}</span>'


def code(source: str, marks: Sequence[Mark] = ()) -> str:
    """Python with colours, and with the marked parts in <mark>. A missing name wins over a restated
    literal."""
    shown = source[:LONGEST]
    colours, kinds = [""] * len(shown), [""] * len(shown)
    for start, token, piece in PythonLexer().get_tokens_unprocessed(shown):
        short = STANDARD_TYPES.get(token, "")
        colour = KINDS.get(short, short[:1] if short[:1] in ("k", "s", "m", "c") else "")
        colours[start : start + len(piece)] = [colour] * len(piece)
    for mark in sorted(marks, key=lambda mark: mark.kind == "missing"):
        part = range(*slice(mark.start, mark.end).indices(len(shown)))
        kinds[mark.start : mark.end] = [mark.kind] * len(part)
    out = []
    for kind, marked in groupby(range(len(shown)), key=kinds.__getitem__):
        out.append(f'<mark class="{kind}" title="{TITLES[kind]}">' if kind else "")
        for colour, places in groupby(marked, key=colours.__getitem__):
            piece = _escaped("".join(shown[place] for place in places))
            out.append(f'<span class="{colour}">{piece}</span>' if colour else piece)
        out.append("</mark>" if kind else "")
    return "".join(out) + _rest(source)


def drawing(svg: str) -> str:
    """A family's picture, if it holds nothing but shapes and text; else what else it holds."""
    try:
        tree = ElementTree.fromstring(svg)
    except ElementTree.ParseError as error:
        return chip(f"the picture is no SVG: {error}", "bad")
    for node in tree.iter():
        for name, value in {"tag": "", **node.attrib}.items():
            if node.tag not in SHAPES or ACTIVE.search(name) or not PLAIN.fullmatch(value):
                found = f"{node.tag.rpartition('}')[2]} {name}={value}"
                return chip(f"the picture holds more than shapes and text: {found}", "bad")
    # Written anew: what the browser reads is what was checked.
    return ElementTree.tostring(tree, encoding="unicode")


def fragment(body: str) -> str:
    """HTML with its style, for the output of a notebook's cell."""
    return f'<style>{CSS}</style><div class="ks">{body}</div>'


def page(title: str, body: str, style: str = "") -> str:
    """A page that stands alone: no script runs in it and nothing is fetched, whatever the body
    holds. `style`: CSS after the common one."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{text(title[:200])}</title>'
        f"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f'<meta name="viewport" content="width=device-width"><style>body{{margin:1.5em auto;max-width:90em;padding:0 1em}}'
        f'{CSS}{style}</style></head><body class="ks">{body}</body></html>\n'
    )
