"""Navigation as the explorer shows it: the part of the graph that the tool calls of an episode brought to light, as numbers
and as a picture.

Tool calls may come from anybody's files: answers are checked, and texts are shortened and escaped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from knapsack_lib.families.base import Calls, Task

__all__ = ["picture", "progress"]

MOST = 60  # nodes that are drawn
WIDTH, TOP, ROW = 640, 24, 46
NARROW, WIDE = 56, 92  # from column to column
BOX, TALL = 36, 16  # of a node
LETTERS = 4  # of an id that are shown in its box
ID_LETTERS = 40
LINE = 13  # between two lines of text
WALKED, SEEN = "#0072b2", "#b0b0b0"
FILLS = {"here": "#0072b2", "visited": "#cfe4f2", "new": "#fff"}
LEGEND = (
    "blue: here; pale: visited; white: seen, not visited; thick edge: walked; orange frame: goal"
)


class _Walk:
    """What an agent has seen and walked so far."""

    def __init__(self, start: str) -> None:
        self.here = start
        self.visited = {start: None}  # a dict keeps the order
        self.known = {start: None}
        self.edges: dict[tuple[str, str], bool] = {}  # whether it was walked
        self.steps = 0

    def follow(self, calls: Calls) -> None:
        for call in calls:
            if call["error"]:
                continue
            if call["name"] == "scan" and isinstance(call["result"], str):
                found = (one.strip() for one in call["result"].split(",", MOST)[:MOST])
                for node in filter(None, found):
                    self.known.setdefault(node)
                    self.edges.setdefault((self.here, node), False)
            elif call["name"] == "move" and call["args"] and isinstance(call["args"][0], str):
                node = call["args"][0]
                self.edges[self.here, node] = True
                self.known.setdefault(node)
                self.visited.setdefault(node)
                self.here = node
                self.steps += 1

    def columns(self) -> list[list[str]]:
        """The known nodes by their number of steps from the start, as far as edges are known."""
        after: dict[str, list[str]] = {}
        for node, other in self.edges:
            after.setdefault(node, []).append(other)
        start = next(iter(self.visited))
        columns, reached = [[start]], {start}
        while columns[-1]:
            column = []
            for node in columns[-1]:
                for other in after.get(node, ()):
                    if other not in reached:
                        reached.add(other)
                        column.append(other)
            columns.append(column)
        return columns[:-1]


def _walk(task: Task | None) -> _Walk:
    return _Walk(task.public["start"] if task else "start")


def progress(turns: Sequence[Calls], task: Task | None) -> list[dict[str, float]]:
    """Steps walked, nodes visited, nodes seen and not visited, and the steps left where that is known."""
    return list(_progress(turns, task))


def _progress(turns: Sequence[Calls], task: Task | None) -> Iterator[dict[str, float]]:
    walk = _walk(task)
    for calls in turns:
        walk.follow(calls)
        yield {
            "steps walked": walk.steps,
            "nodes visited": len(walk.visited),
            "seen, not visited": len(walk.known) - len(walk.visited),
            **({"steps left": task.public["max_steps"] - walk.steps} if task else {}),
        }


def picture(turns: Sequence[Calls], task: Task | None) -> str:
    """The known part of the graph, in columns by the steps from the start."""
    walk = _walk(task)
    for calls in turns:
        walk.follow(calls)
    goal = task.public["goal"] if task else None
    places, width, height = _places(walk)
    parts = [
        _edge(places[a], places[b], walked)
        for (a, b), walked in sorted(walk.edges.items(), key=lambda edge: edge[1])
        if a in places and b in places and a != b
    ]
    parts += [_node(walk, node, place, node == goal) for node, place in places.items()]
    of = f" of {task.public['max_steps']}" if task else ""
    new = len(walk.known) - len(walk.visited)
    heading = (
        f"walk: step {walk.steps}{of}, {len(walk.visited)} nodes visited, {new} seen and not visited; "
        f"at {_plain(walk.here)}" + (f", goal {_plain(goal)}" if goal else "")
    )
    hidden = len(walk.known) - len(places)
    legend = LEGEND + (f"; {hidden} more nodes are not drawn" if hidden else "")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-1 0 {width + 2} {height}" width="{width + 2}" '
        f'height="{height}" role="img" font-family="sans-serif" font-size="11">'
        f'<text y="11" fill="#222">{escape(heading)}</text>{"".join(parts)}'
        f'<text y="{height - 5}" fill="#666" font-size="10">{legend}</text></svg>'
    )


def _places(walk: _Walk) -> tuple[dict[str, tuple[float, float]], int, int]:
    """(middle of each node that is drawn, width, height)."""
    drawn = set(list(walk.known)[:MOST])
    columns = [[node for node in column if node in drawn] for column in walk.columns()]
    columns = [column for column in columns if column]
    rows = max(map(len, columns))
    apart = min(WIDE, max(NARROW, WIDTH // len(columns)))
    places = {}
    for x, column in enumerate(columns):
        for y, node in enumerate(column):
            places[node] = (
                apart * x + BOX / 2,
                TOP + ROW * (y + (rows - len(column)) / 2 + 0.5),
            )
    return places, max(WIDTH, apart * len(columns)), TOP + ROW * rows + 2 * LINE


def _edge(start: tuple[float, float], end: tuple[float, float], walked: bool) -> str:
    """An arrow from box to box: straight to a column further right, else a bow below (back) or beside (same column)."""
    colour, line = (WALKED, 2.5) if walked else (SEEN, 1.2)
    (x1, y1), (x2, y2) = start, end
    if x2 > x1:
        x1, x2 = x1 + BOX / 2, x2 - BOX / 2
        bend = (x1 + x2) / 2, (y1 + y2) / 2
    elif x2 < x1:
        y1, y2 = y1 + TALL / 2, y2 + TALL / 2
        bend = (x1 + x2) / 2, max(y1, y2) + 10 + (x1 - x2) / 8
    else:
        x1, x2 = x1 + BOX / 2, x2 + BOX / 2
        bend = x1 + 14, (y1 + y2) / 2
    # The head: two strokes, a little to both sides of where the line comes from.
    dx, dy = x2 - bend[0], y2 - bend[1]
    length = max(1.0, (dx * dx + dy * dy) ** 0.5)
    dx, dy = 6 * dx / length, 6 * dy / length
    head = (
        f"M{x2 - dx - dy / 2:.1f} {y2 - dy + dx / 2:.1f} L{x2:.1f} {y2:.1f} "
        f"L{x2 - dx + dy / 2:.1f} {y2 - dy - dx / 2:.1f}"
    )
    return (
        f'<path d="M{x1:.1f} {y1:.1f} Q{bend[0]:.1f} {bend[1]:.1f} {x2:.1f} {y2:.1f} {head}" '
        f'fill="none" stroke="{colour}" stroke-width="{line}"/>'
    )


def _node(walk: _Walk, node: str, place: tuple[float, float], is_goal: bool) -> str:
    """A box with the end of the id, all of which is its title."""
    x, y = place
    state = "here" if node == walk.here else "visited" if node in walk.visited else "new"
    stroke, line = ("#d55e00", 3) if is_goal else ("#555", 1)
    colour = "#fff" if state == "here" else "#222"
    shown = _plain(node)
    return (
        f"<g><title>{escape(shown)}: {state}{', goal' if is_goal else ''}</title>"
        f'<rect x="{x - BOX / 2:.1f}" y="{y - TALL / 2:.1f}" width="{BOX}" height="{TALL}" rx="4" '
        f'fill="{FILLS[state]}" stroke="{stroke}" stroke-width="{line}"/>'
        f'<text x="{x:.1f}" y="{y + 4:.1f}" text-anchor="middle" fill="{colour}">'
        f"{escape(shown[-LETTERS:])}</text></g>"
    )


def _plain(text: str) -> str:
    """Letters that can be shown, and not too many of them."""
    text = text[:ID_LETTERS]
    return (text if text.isprintable() else ascii(text))[:ID_LETTERS]
