"""Small plots of an episode as SVG text: the family's numbers and the tokens by turn, with the
turns that went wrong.

svg({"persistent→persistent": readings, "reset→reset": others}, cursor=3)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from knapsack_lib.explorer.markup import text
from knapsack_lib.explorer.reading import Reading

__all__ = ["svg", "thumbnail"]

Episodes = Mapping[str, Sequence[Reading]]  # what they are called -> turns

TOKENS = "tokens so far"
COLOURS = ("#0072b2", "#d55e00")
WIDTH, HEIGHT, LEFT, TOP, GAP = 215, 92, 44, 16, 14
BOTTOM = TOP + HEIGHT


def svg(episodes: Episodes, cursor: int = 0) -> str:
    """One panel per measure, a line per episode; a cross is a turn that went wrong, the grey line
    the turn `cursor`."""
    measures = _measures(*episodes.values())
    panels = [_panel(place, measure, episodes, cursor) for place, measure in enumerate(measures)]
    names = "".join(
        f'<text x="{LEFT + 180 * i}" y="{BOTTOM + 34}" fill="{COLOURS[i % 2]}">■ {text(name)}</text>'
        for i, name in enumerate(episodes)
    )
    width, height = len(panels) * (WIDTH + LEFT + GAP), BOTTOM + 40
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" font-family="sans-serif" font-size="11">{"".join(panels)}{names}</svg>'
    )


def _measures(*episodes: Sequence[Reading]) -> list[str]:
    """What is drawn: the first two of the family's numbers, and the tokens."""
    first = next((list(readings[0].progress) for readings in episodes if readings), [])
    return [*first[:2], TOKENS]


def _values(readings: Sequence[Reading], measure: str) -> list[float]:
    return [float({TOKENS: one.tokens, **one.progress}.get(measure, 0)) for one in readings]


def _panel(place: int, measure: str, episodes: Episodes, cursor: int) -> str:
    left = place * (WIDTH + LEFT + GAP) + LEFT
    curves = [_values(readings, measure) for readings in episodes.values()]
    turns = max(map(len, curves), default=1)
    top = max(map(max, filter(None, curves)), default=0.0) or 1.0

    step = WIDTH / max(1, turns - 1)
    out = [
        f'<text x="{left}" y="11" fill="#222">{text(measure)}</text>',
        f'<rect x="{left}" y="{TOP}" width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#ccc"/>',
        f'<text x="{left - 4}" y="{TOP + 9}" text-anchor="end" fill="#666">{top:,.0f}</text>',
        f'<text x="{left - 4}" y="{BOTTOM}" text-anchor="end" fill="#666">0</text>',
        f'<text x="{left}" y="{BOTTOM + 13}" fill="#666">1</text>',
        f'<text x="{left + WIDTH}" y="{BOTTOM + 13}" text-anchor="end" fill="#666">{turns}</text>',
    ]
    if cursor:
        across = left + step * (cursor - 1)
        out.append(
            f'<line x1="{across:.1f}" x2="{across:.1f}" y1="{TOP}" y2="{BOTTOM}" stroke="#888" stroke-width="1.5"/>'
        )
    for number, (readings, curve) in enumerate(zip(episodes.values(), curves, strict=True)):
        colour, dash = COLOURS[number % 2], ' stroke-dasharray="5 3"' if number % 2 else ""
        points = [(left + step * i, BOTTOM - HEIGHT * value / top) for i, value in enumerate(curve)]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        out.append(
            f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.7"{dash}/>'
        )
        out += [
            f'<path d="M{x - 3:.1f} {y - 3:.1f}l6 6m0-6l-6 6" stroke="{colour}" stroke-width="1.6">'
            f"<title>{text(reading.trouble)}</title></path>"
            for reading, (x, y) in zip(readings, points, strict=True)
            if reading.trouble
        ]
    return "".join(out)


def thumbnail(readings: Sequence[Reading]) -> str:
    """The first number by turn and a tick for every turn that went wrong, in a corner's size."""
    curve = _values(readings, _measures(readings)[0])
    top, step = max(curve, default=0) or 1, 116 / max(1, len(curve) - 1)
    line = " ".join(
        f"{2 + step * i:.1f},{22 - 18 * value / top:.1f}" for i, value in enumerate(curve)
    )
    ticks = "".join(
        f'<rect x="{1 + step * i:.1f}" y="24" width="3" height="4" fill="#d55e00"/>'
        for i, reading in enumerate(readings)
        if reading.trouble
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 120 30" width="120" height="30"><polyline points="{line}" '
        f'fill="none" stroke="#0072b2" stroke-width="1.6"/>{ticks}</svg>'
    )
