"""Small plots of an episode as SVG text: the family's numbers and the tokens by turn, with the
turns that went wrong.

svg({"persistent→persistent": readings, "reset→reset": others}, cursor=3)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from knapsack_lib.explorer.markup import text
from knapsack_lib.explorer.reading import Reading

__all__ = ["svg", "thumbnail"]

SERIES = 2  # of the family's numbers, before the tokens
TOKENS = "tokens so far"
COLOURS = ("#0072b2", "#d55e00")
WIDTH, HEIGHT, LEFT, TOP, GAP = 215, 92, 44, 16, 14


def svg(episodes: Mapping[str, Sequence[Reading]], cursor: int = 0) -> str:
    """One panel per measure, a line per episode; a cross is a turn that went wrong, the grey line
    the turn `cursor`."""
    turns = max((len(readings) for readings in episodes.values()), default=1)
    panels = _panels(episodes)
    parts = [_panel(i, measure, episodes, turns, cursor) for i, measure in enumerate(panels)]
    names = "".join(
        f'<text x="{LEFT + 180 * i}" y="{TOP + HEIGHT + 34}" fill="{COLOURS[i % 2]}">■ {text(name)}</text>'
        for i, name in enumerate(episodes)
    )
    width, height = len(panels) * (WIDTH + LEFT + GAP), TOP + HEIGHT + 40
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" font-family="sans-serif" font-size="11">{"".join(parts)}{names}</svg>'
    )


def _panels(episodes: Mapping[str, Sequence[Reading]]) -> list[str]:
    """What is drawn: the first of the family's numbers, and the tokens."""
    first = next((readings[0] for readings in episodes.values() if readings), None)
    return [*([] if first is None else list(first.progress)[:SERIES]), TOKENS]


def _value(reading: Reading, measure: str) -> float:
    return float(reading.tokens if measure == TOKENS else reading.progress.get(measure, 0.0))


def _panel(
    place: int, measure: str, episodes: Mapping[str, Sequence[Reading]], turns: int, cursor: int
) -> str:
    left = place * (WIDTH + LEFT + GAP) + LEFT
    top = (
        max(
            (_value(r, measure) for readings in episodes.values() for r in readings),
            default=0.0,
        )
        or 1.0
    )

    def x(turn: int) -> float:
        return round(left + WIDTH * (turn - 1) / max(1, turns - 1), 1)

    def y(value: float) -> float:
        return round(TOP + HEIGHT * (1 - value / top), 1)

    out = [
        f'<text x="{left}" y="11" fill="#222">{text(measure)}</text>',
        f'<rect x="{left}" y="{TOP}" width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#ccc"/>',
        f'<text x="{left - 4}" y="{TOP + 9}" text-anchor="end" fill="#666">{top:,.0f}</text>',
        f'<text x="{left - 4}" y="{TOP + HEIGHT}" text-anchor="end" fill="#666">0</text>',
        f'<text x="{left}" y="{TOP + HEIGHT + 13}" fill="#666">1</text>',
        f'<text x="{left + WIDTH}" y="{TOP + HEIGHT + 13}" text-anchor="end" fill="#666">{turns}</text>',
    ]
    if cursor:
        out.append(
            f'<line x1="{x(cursor)}" x2="{x(cursor)}" y1="{TOP}" y2="{TOP + HEIGHT}" stroke="#888" stroke-width="1.5"/>'
        )
    for number, readings in enumerate(episodes.values()):
        colour, dash = COLOURS[number % 2], ' stroke-dasharray="5 3"' if number % 2 else ""
        line = " ".join(f"{x(r.number)},{y(_value(r, measure))}" for r in readings)
        out.append(
            f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.7"{dash}/>'
        )
        for r in readings:
            if r.trouble:
                cx, cy = x(r.number), y(_value(r, measure))
                cross = f"M{cx - 3} {cy - 3}l6 6m0-6l-6 6"
                out.append(
                    f'<path d="{cross}" stroke="{colour}" stroke-width="1.6"><title>{text(r.trouble)}</title></path>'
                )
    return "".join(out)


def thumbnail(readings: Sequence[Reading]) -> str:
    """The first number by turn and a tick for every turn that went wrong, in a corner's size."""
    measure = _panels({"": readings})[0]
    top = max((_value(r, measure) for r in readings), default=0) or 1
    step = 116 / max(1, len(readings) - 1)
    line = " ".join(
        f"{2 + step * i:.1f},{22 - 18 * _value(r, measure) / top:.1f}"
        for i, r in enumerate(readings)
    )
    ticks = "".join(
        f'<rect x="{1 + step * i:.1f}" y="24" width="3" height="4" fill="#d55e00"/>'
        for i, r in enumerate(readings)
        if r.trouble
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 120 30" width="120" height="30"><polyline points="{line}" '
        f'fill="none" stroke="#0072b2" stroke-width="1.6"/>{ticks}</svg>'
    )
