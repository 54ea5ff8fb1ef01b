"""The small pictures of an audit as inline SVG, and the colours they and the page are in.

They are as wide as there is room: places are shares of the width, letters keep their size. Blue and
a disc is state, orange, hatched and a square is saying it again, as in the figures of the study.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from knapsack_lib.audit.tally import Share
from knapsack_lib.audit.verdict import PERSISTENT_ABOVE, RESET_BELOW
from knapsack_lib.explorer.markup import text
from knapsack_lib.explorer.plots import COLOURS

__all__ = [
    "PATTERN",
    "SHAPES",
    "STYLE",
    "axis",
    "bar",
    "between",
    "columns",
    "dot",
    "gauge",
    "percent",
    "swatch",
]

SHAPES = {"persistent": "●", "reset": "■", "mixed": "◆", "too little to say": "○"}
PATTERN = (
    '<svg width="0" height="0" style="position:absolute" aria-hidden="true"><pattern id="hatch" '
    'width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect width="7" height="7" class="reset"/><rect width="2" height="7" class="stripe"/></pattern></svg>'
)

STYLE = f"""
:root{{color-scheme:light dark;--ink:#222;--soft:#5c5c5c;--ground:#fff;--line:#d9d9d9;--panel:#f5f6f7;--link:#0072b2;
--persistent:{COLOURS[0]};--reset:{COLOURS[1]};--alone:#c4c8cc;--guards:#8a7bb8;--on-persistent:#fff;--word:#00557f;--string:#7a3d00;
--relied:#d3e8f7;--restated:#fbe3cf;--missing:#ffd0ba}}
@media(prefers-color-scheme:dark){{:root{{--ink:#e4e6e8;--soft:#a4a9ae;--ground:#15171a;--line:#3b3f45;--panel:#1f2327;--link:#7cc4f0;
--persistent:#56b4e9;--reset:#e69f00;--alone:#7d848b;--guards:#b3a5e0;--on-persistent:#111;--word:#8ccbf2;--string:#e8b27a;
--relied:#173f58;--restated:#4a3410;--missing:#65270f}}}}
.ks{{color:var(--ink);background:var(--ground)}}.ks main{{max-width:62rem;margin:auto}}.ks main.two{{max-width:none}}.ks a{{color:var(--link)}}.ks .soft,.ks caption{{color:var(--soft)}}
.ks h1{{font-size:24px}}.ks h2{{font-size:18px;margin:2em 0 .2em}}.ks h3{{font-size:14px;margin:1.2em 0 .2em}}.ks p{{margin:.4em 0;max-width:46rem}}
.ks pre,.ks pre.out{{background:var(--panel);border-color:var(--line)}}.ks pre.out{{background:none}}
.ks .chip{{background:var(--panel);border:1px solid var(--line);white-space:nowrap}}.ks .k{{color:var(--word)}}.ks .s,.ks .m{{color:var(--string)}}
.ks .c{{color:var(--soft)}}.ks .nf{{color:var(--ink)}}.ks .id{{overflow-wrap:anywhere}}
.ks mark.relied{{background:var(--relied);border-bottom:2px solid var(--persistent);color:inherit}}
.ks mark.restated{{background:var(--restated);border-bottom:2px dashed var(--reset);color:inherit}}
.ks mark.missing{{background:var(--missing);border-bottom:3px double var(--reset);color:inherit}}
.ks .says{{border:1px solid var(--line);border-left:8px solid var(--alone);border-radius:6px;padding:.6em 1em;margin:.8em 0}}
.ks .says.persistent{{border-left-color:var(--persistent)}}.ks .says.reset{{border-left-color:var(--reset)}}
.ks .says .word{{font-size:26px;font-weight:700;margin:0}}.ks .advice{{font-weight:600}}
.ks table.shares{{width:100%;margin:.3em 0 1em}}.ks caption{{text-align:left;padding:.2em 0;max-width:46rem}}.ks td,.ks th{{border-color:var(--line);padding:3px 6px;vertical-align:middle}}
.ks th{{font-weight:400}}.ks thead th{{color:var(--soft);font-size:12px;vertical-align:bottom}}.ks td.track,.ks th.track{{width:44%;padding:3px 16px}}
.ks td.n{{white-space:nowrap}}.ks .between{{display:inline-block;min-width:7.5em}}.ks .track svg{{width:100%}}.ks table.shares th[scope=row]{{min-width:7.5em}}.ks .two section>.pair>div>table.shares{{table-layout:fixed}}.ks .two th.track{{width:27%}}.ks .two thead th.n{{width:11em}}.ks .two thead th.count{{width:10.5em}}.ks .scroll td.track{{min-width:90px}}.ks svg.scale{{background:repeating-linear-gradient(90deg,var(--line) 0 1px,#0000 1px 25%);border-right:1px solid var(--line);box-sizing:border-box}}.ks svg.back{{max-width:40rem}}
.ks .scroll{{max-height:34em;overflow:auto;border:1px solid var(--line);border-radius:4px;padding:0 .4em}}
.ks .scroll thead th{{position:sticky;top:0;background:var(--ground)}}.ks .scroll th[scope=row]{{overflow-wrap:anywhere}}
.ks svg{{overflow:visible}}.ks svg text{{fill:var(--ink);font-size:12px}}.ks svg text.quiet{{fill:var(--soft);font-size:11px}}
svg .persistent,svg .relies{{fill:var(--persistent)}}svg .reset{{fill:var(--reset)}}svg .restates{{fill:url(#hatch)}}svg .stripe{{fill:var(--ground);opacity:.45}}
svg .alone{{fill:var(--alone)}}svg .guards{{fill:var(--guards)}}svg .grid{{stroke:var(--line)}}svg .interval{{stroke:var(--ink);stroke-width:2;opacity:.65}}
svg .zone{{opacity:.16}}svg .ring{{fill:var(--ground);stroke:var(--ink);stroke-width:2}}.ks svg text.on-relies{{fill:var(--on-persistent);font-weight:600}}
.ks svg text.on{{fill:#111;font-weight:600}}.ks svg text.plate{{stroke:var(--reset);stroke-width:6px;paint-order:stroke}}
.ks .swatch{{display:inline;vertical-align:-2px;margin:0 6px 0 0}}.ks article{{border-top:1px solid var(--line);padding:.5em 0}}.ks summary{{cursor:pointer;color:var(--link)}}
@media(max-width:1100px){{.ks .two .count{{display:none}}}}
@media(max-width:800px){{.ks .pair{{grid-template-columns:1fr}}.ks .count{{display:none}}.ks{{padding:0 .6em;margin:.5em auto}}}}
@media(max-width:520px){{.ks .between{{display:block;min-width:0}}.ks td.track,.ks th.track{{width:38%}}.ks .two thead th.n{{width:6em}}}}
"""


def percent(value: float) -> str:
    """A share in words; what is not nothing does not read 0%, and what is not all not 100%."""
    if math.isnan(value):
        return "–"
    if 1e-9 < value < 0.005:
        return "<1%"
    return ">99%" if 0.995 <= value < 1 - 1e-9 else f"{value:.0%}"


def between(share: Share) -> str:
    """Its interval in words."""
    return f"{percent(share.low)} to {percent(share.high)}" if share.episodes else ""


def _place(value: float) -> str:
    return f"{100 * min(1.0, max(0.0, value)):.2f}%"


def axis() -> str:
    """The scale of `dot`, for the head of its column."""
    return (
        '<svg height="13" aria-hidden="true"><text class="quiet" y="11" text-anchor="middle">0</text>'
        '<text class="quiet" x="50%" y="11" text-anchor="middle">50%</text>'
        '<text class="quiet" x="100%" y="11" text-anchor="middle">100%</text></svg>'
    )


def _dot(share: Share, y: int, kind: str) -> str:
    if not share.episodes:
        return f'<text class="quiet" x="2" y="{y + 4}">nothing to count</text>'
    return (
        f'<line class="interval" x1="{_place(share.low)}" x2="{_place(share.high)}" y1="{y}" y2="{y}"/>'
        f'<circle class="{kind}" cx="{_place(share.value)}" cy="{y}" r="5"/>'
    )


def dot(share: Share, kind: str = "ring") -> str:
    """A share and its interval between 0 and 1. The numbers stand beside it, so it is not read out."""
    return f'<svg class="scale" height="16" aria-hidden="true">{_dot(share, 8, kind)}</svg>'


def gauge(share: Share) -> str:
    """The share that the verdict is about, over what would be which verdict."""
    zones = ((0.0, RESET_BELOW, "reset"), (PERSISTENT_ABOVE, 1.0, "persistent"))
    shaded = "".join(
        f'<rect class="zone {kind}" x="{_place(low)}" width="{_place(high - low)}" height="30"/>'
        for low, high, kind in zones
    )
    words = "".join(
        f'<text class="quiet" x="{_place(at)}" y="44" text-anchor="{anchor}">{word}</text>'
        for at, anchor, word in (
            (0, "start", "reset"),
            ((RESET_BELOW + PERSISTENT_ABOVE) / 2, "middle", "mixed"),
            ((PERSISTENT_ABOVE + 1) / 2, "middle", "persistent"),
        )
    )
    said = f"{percent(share.value)} of what is needed again is taken from state, {between(share)}"
    return (
        f'<svg width="100%" height="50" role="img" aria-label="{said}">{shaded}'
        f"{_dot(share, 15, 'ring')}{words}</svg>"
    )


def bar(parts: Sequence[tuple[str, str, float]]) -> str:
    """One bar of (kind, words, share); the shares sum to 1."""
    out, left = [], 0.0
    for kind, _, share in parts:
        out.append(f'<rect class="{kind}" x="{_place(left)}" width="{_place(share)}" height="34"/>')
        if share >= 0.09:
            colour = {"relies": "on-relies", "restates": "on plate"}.get(kind, "on")
            out.append(
                f'<text class="{colour}" x="{_place(left + share / 2)}" y="22" text-anchor="middle">{percent(share)}</text>'
            )
        left += share
    said = text("; ".join(f"{words} {percent(share)}" for _, words, share in parts))
    return f'<svg width="100%" height="34" role="img" aria-label="{said}">{"".join(out)}</svg>'


def swatch(kind: str) -> str:
    """The key of a part of `bar`."""
    return f'<svg class="swatch" width="13" height="13" aria-hidden="true"><rect class="{kind}" width="13" height="13"/></svg>'


def columns(values: Sequence[tuple[str, float]], top: float, said: str) -> str:
    """A column for each (words, share); one of the height `top` fills the picture."""
    width, out = 1 / len(values), []
    for number, (words, share) in enumerate(values):
        height, middle = 84 * share / (top or 1), _place((number + 0.5) * width)
        out.append(
            f'<rect class="relies" x="{_place((number + 0.12) * width)}" width="{_place(0.76 * width)}" '
            f'y="{100 - height:.1f}" height="{height:.1f}"/>'
            f'<text class="quiet" x="{middle}" y="{96 - height:.1f}" text-anchor="middle">{percent(share) if share else ""}</text>'
            f'<text x="{middle}" y="115" text-anchor="middle">{words}</text>'
        )
    numbers = ", ".join(f"{words}: {percent(share)}" for words, share in values)
    return (
        f'<svg class="back" width="100%" height="120" role="img" aria-label="{text(said)}: {numbers}">{"".join(out)}'
        f'<line class="grid" x1="0" x2="100%" y1="100" y2="100"/></svg>'
    )
