"""A database as the explorer shows it: what the tool calls of an episode brought, as numbers and as a picture.

Tool calls may come from anybody's files: whatever is no schema and no answer counts for nothing, and texts are shortened
and escaped.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from knapsack_lib.families.base import Calls

__all__ = ["picture", "progress"]

WIDTH, GAP, LINE = 640, 8, 14  # in pixels, a line of text too
BOXES, BOX = 4, 154  # boxes side by side, the width of each
TABLES, COLUMNS, QUERIES = 12, 8, 8  # that are shown
BOX_LETTERS, QUERY_LETTERS = 24, 92
SHOWN, HIDDEN, FAILED = "#0072b2", "#dddddd", "#b03000"


class _Database:
    """What an agent has found out so far."""

    def __init__(self) -> None:
        self.schemas: dict[str, Mapping[str, Any]] = {}  # empty for a table that is only named
        self.queries: list[tuple[str, int | None]] = []  # with its rows, None where it was refused

    def follow(self, call: Mapping[str, Any]) -> None:
        first = str(call["args"][0]) if call["args"] else ""
        answer = None if call["error"] else _read(call["result"])
        if call["name"] == "tables" and isinstance(answer, list):
            for name in answer:
                self.schemas.setdefault(str(name), {})
        elif call["name"] == "schema" and isinstance(answer, dict):
            self.schemas[first] = answer
        elif call["name"] == "query" and not _over_budget(call["error"]):
            rows = answer.get("rows") if isinstance(answer, dict) else None
            self.queries.append((first, len(rows) if isinstance(rows, list) else None))

    @property
    def seen(self) -> list[str]:
        return [name for name, columns in self.schemas.items() if columns]

    @property
    def rows(self) -> int:
        return sum(rows or 0 for _, rows in self.queries)


def progress(turns: Sequence[Calls], result: Mapping[str, Any]) -> list[dict[str, float]]:
    """Tables looked at, queries asked and rows read, and the queries left where that is known."""
    budget = result.get("query_budget")
    database, found = _Database(), []
    for calls in turns:
        for call in calls:
            database.follow(call)
        asked = len(database.queries)
        now: dict[str, float] = {
            "tables looked at": len(database.seen),
            "queries": asked,
            "rows read": database.rows,
        }
        found.append(now | ({"queries left": budget - asked} if type(budget) is int else {}))
    return found


def picture(turns: Sequence[Calls]) -> str:
    """A box for each table, with its columns once they are known, and below the last queries with their numbers of rows."""
    database = _Database()
    for calls in turns:
        for call in calls:
            database.follow(call)
    if not database.schemas and not database.queries:
        return ""
    heading = (
        f"tables looked at: {len(database.seen)} of {len(database.schemas)}, "
        f"queries: {len(database.queries)}, rows read: {database.rows}"
    )
    parts, top = [_text(0, 11, heading, "#222")], 20
    shown = list(database.schemas.items())[:TABLES]
    for first in range(0, len(shown), BOXES):
        row = shown[first : first + BOXES]
        lines = max(min(len(columns), COLUMNS + 1) for _, columns in row)
        for place, (name, columns) in enumerate(row):
            parts += _box(place * (BOX + GAP), top, name, columns, lines)
        top += (lines + 1) * LINE + 2 * GAP
    if len(database.schemas) > TABLES:
        parts.append(_text(0, top + 8, f"and {len(database.schemas) - TABLES} more tables", "#666"))
        top += LINE + GAP
    if len(database.queries) > QUERIES:
        earlier = f"{len(database.queries) - QUERIES} earlier queries"
        parts.append(_text(0, top + 8, earlier, "#666"))
        top += LINE
    for sql, rows in database.queries[-QUERIES:]:
        count = "refused" if rows is None else f"{rows} row" if rows == 1 else f"{rows} rows"
        colour = FAILED if rows is None else "#222"
        parts.append(_text(0, top + 8, count, colour))
        text = _short(sql, 2 * QUERY_LETTERS) or "(no text)"
        for line in textwrap.wrap(text, QUERY_LETTERS, max_lines=2, placeholder="…"):
            parts.append(_text(64, top + 8, line, colour))
            top += LINE
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-1 0 {WIDTH + 2} {top}" width="{WIDTH + 2}" '
        f'height="{top}" role="img" font-family="sans-serif" font-size="11">{"".join(parts)}</svg>'
    )


def _box(x: int, y: int, name: str, columns: Mapping[str, Any], lines: int) -> list[str]:
    """A table: its name, and a line for each column with its type."""
    height = (lines + 1) * LINE + GAP
    colour, letters = (SHOWN, "#ffffff") if columns else (HIDDEN, "#444")
    parts = [
        f'<rect x="{x}" y="{y}" width="{BOX}" height="{height}" fill="#ffffff" stroke="{colour}"/>',
        f'<rect x="{x}" y="{y}" width="{BOX}" height="{LINE + 2}" fill="{colour}"/>',
        _text(x + 5, y + 12, _short(name, BOX_LETTERS), letters),
    ]
    shown = [
        f"{column}: {str(kind).removeprefix('integer -> ')}" for column, kind in columns.items()
    ][: COLUMNS + 1]
    if len(columns) > COLUMNS + 1:
        shown[COLUMNS:] = [f"and {len(columns) - COLUMNS} more"]
    for number, line in enumerate(shown, start=1):
        parts.append(_text(x + 5, y + number * LINE + 13, _short(line, BOX_LETTERS), "#222"))
    return parts


def _text(x: int, y: int, text: str, colour: str) -> str:
    return f'<text x="{x}" y="{y}" fill="{colour}">{escape(text)}</text>'


def _short(text: str, most: int) -> str:
    """On one line, in letters that can be shown, and not too many of them."""
    text = text[: 10 * most]
    text = " ".join(text.split()) if text.isascii() else text
    text = text if text.isprintable() else ascii(text)
    return text if len(text) <= most else text[: most - 1] + "…"


def _over_budget(error: Any) -> bool:
    """Whether the query was refused before it was asked."""
    return isinstance(error, str) and ("used up" in error or "a query is a text" in error)


def _read(result: Any) -> Any:
    """What a tool's JSON text says; None for what is none."""
    try:
        return json.loads(result)
    except (TypeError, ValueError, RecursionError):
        return None
