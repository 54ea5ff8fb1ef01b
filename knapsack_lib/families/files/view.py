"""The folder as the explorer shows it: the files as the calls of an episode left them, and what was handed in.

The calls are made again in a world of their own. They may come from anybody's files: that world refuses what is odd, and
texts are cut and escaped. Where `disk: reset` had brought the folder back between blocks, the picture still shows what was
written: the record of an episode does not hold these moments.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from html import escape

from knapsack_lib.families.base import Calls, Task, ToolError
from knapsack_lib.families.files.world import FilesWorld

__all__ = ["picture", "progress"]

NOTHING = Task(
    task_id="",
    family="files",
    seed=0,
    difficulty={},
    tools=[],
    public={},
    private={"files": {}, "page": 1},
    reference={"columns": [], "rows": []},
    nl="",
    run_name="",
)
ACROSS, BOX, GAP, HEIGHT, LINE = 3, 208, 8, 78, 12  # boxes in a row; pixels
LINES, LETTERS, SHOWN = 4, 33, 24  # of a file; in a line; boxes
GIVEN, WRITTEN, SUBMITTED = ("#f4f4f4", "#999"), ("#e3eff8", "#0072b2"), ("#fff", "#009e73")


def progress(turns: Sequence[Calls], task: Task | None) -> list[dict[str, float]]:
    """Files read and written, and with the task the rows of the table handed in that are right."""
    world, found = _start(task), []
    for calls in turns:
        _follow(world, calls)
        result = world.result()
        names = ("files_read", "files_written", *(("rows_right",) if task else ()))
        found.append({name.replace("_", " "): result[name] for name in names})
    return found


def picture(turns: Sequence[Calls], task: Task | None) -> str:
    """A box for each file with its name, its size and its first lines: grey for one that was there, blue for one that
    was written; and a green one for the table that was handed in."""
    world = _start(task)
    for calls in turns:
        _follow(world, calls)
    texts = list(world.folder.texts.items())[:SHOWN]
    boxes = [
        (f"{name}: {_lines(text)}, {len(text)} bytes", text, colours)
        for name, text in texts
        for colours in [WRITTEN if name in world.folder.written else GIVEN]
    ]
    if world.submitted is not None:
        result = world.result()
        right = f": {result['rows_right']} of {result['rows_wanted']} rows right" if task else ""
        boxes.append((f"handed in{right}", world.submitted, SUBMITTED))
    if not boxes:
        return ""
    width = ACROSS * (BOX + GAP) - GAP
    height = ((len(boxes) - 1) // ACROSS + 1) * (HEIGHT + GAP) - GAP
    drawn = "".join(_box(number, *box) for number, box in enumerate(boxes))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-1 -1 {width + 2} {height + 2}" width="{width + 2}" '
        f'height="{height + 2}" role="img" font-family="sans-serif" font-size="11">{drawn}</svg>'
    )


def _box(number: int, title: str, text: str, colours: tuple[str, str]) -> str:
    x, y = number % ACROSS * (BOX + GAP), number // ACROSS * (HEIGHT + GAP)
    fill, edge = colours
    lines = text.splitlines()
    shown = lines[:LINES] if len(lines) <= LINES else [*lines[: LINES - 1], "…"]
    rows = "".join(
        f'<text x="{x + 6}" y="{y + 28 + LINE * k}" font-family="monospace" font-size="10" fill="#444">'
        f"{escape(_plain(line))}</text>"
        for k, line in enumerate(shown)
    )
    return (
        f'<rect x="{x}" y="{y}" width="{BOX}" height="{HEIGHT}" fill="{fill}" stroke="{edge}"/>'
        f'<text x="{x + 6}" y="{y + 14}" fill="#222">{escape(_plain(title))}</text>{rows}'
    )


def _lines(text: str) -> str:
    count = len(text.splitlines())
    return f"{count} line{'' if count == 1 else 's'}"


def _plain(text: str) -> str:
    """Letters that can be shown, and no more of them than fit a box."""
    text = text if text.isprintable() else ascii(text)
    return text if len(text) <= LETTERS else text[: LETTERS - 1] + "…"


def _start(task: Task | None) -> FilesWorld:
    """The task's world; an empty one where there is no task, or one that is none of this family."""
    if task is not None:
        with contextlib.suppress(AttributeError, KeyError, TypeError, ValueError):
            world = FilesWorld(task)
            world.ls()
            world.result()
            return world
    return FilesWorld(NOTHING)


def _follow(world: FilesWorld, calls: Calls) -> None:
    for call in calls:
        if not call["error"]:
            with contextlib.suppress(ToolError, TypeError, KeyError):
                world.tools[call["name"]](*call["args"])
