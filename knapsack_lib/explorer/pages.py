"""Episodes as HTML: one turn, a whole episode, two next to each other, a table, an index. The same
for widgets and for files.

write_pages(catalogue, places, folder)      # index.html and a page per episode; they need no kernel and no network
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from knapsack_lib.episodes import ACTED, Episode, Turn
from knapsack_lib.explorer import plots
from knapsack_lib.explorer.catalogue import Catalogue
from knapsack_lib.explorer.markup import chip, code, drawing, fragment, page, text
from knapsack_lib.explorer.reading import Reading

__all__ = [
    "arms",
    "episodes_page",
    "heading",
    "messages",
    "numbers",
    "rows_table",
    "turn",
    "view",
    "write_pages",
]

COLUMNS = {  # column -> (heading, format; "" is text)
    "run": ("run", ""),
    "train": ("train", ""),
    "runtime": ("runtime", ""),
    "difficulty": ("difficulty", ""),
    "train_seed": ("train seed", "d"),
    "task_id": ("task", ""),
    "score": ("score", ".3f"),
    "finish_reason": ("ended by", ""),
    "failure": ("failure", ""),
    "steps": ("turns", "d"),
    "tokens": ("tokens", ",d"),
    "errors": ("errors", "d"),
    "seconds": ("seconds", ".1f"),
}
ENDED = "<p class=soft>this episode has ended</p>"


def arms(episode: Episode) -> str:
    """train → runtime."""
    return f"{episode.train} → {episode.runtime}"


def numbers(result: Mapping[str, Any]) -> list[str]:
    """The numbers of a result without its score, in words."""
    return [
        f"{name.replace('_', ' ')} {value:g}"
        for name, value in result.items()
        if name not in ("score", "solved") and isinstance(value, (int, float))
    ]


def heading(episode: Episode) -> str:
    """The episode's title line, how it ended, and its prompt, folded away."""
    score = episode.result.get("score", math.nan)
    score = math.nan if score is None else score
    kind = "good" if score > 0 and episode.finish_reason == "finish" else "bad"
    chips = [chip("no score" if math.isnan(score) else f"score {score:.3f}", kind)]
    facts = [f"ended by {episode.finish_reason}", f"{len(episode.turns)} turns"]
    chips += map(chip, facts + numbers(episode.result))
    title = f"{text(arms(episode))} <span class='soft'>{text(episode.task_id)}</span>"
    prompt = f"<details><summary>prompt</summary>{messages(episode.opening)}</details>"
    return f"<h1>{title}</h1><p>{''.join(chips)}</p>{prompt}"


def messages(given: Sequence[Mapping[str, str]]) -> str:
    """Messages as they were sent."""
    return "".join(
        f'<pre class="out">{text(one["role"])}: {text(one["content"])}</pre>' for one in given
    )


def turn(reading: Reading) -> str:
    """One turn: what the model wrote, the block, what came back, what it did to the state."""
    one, trouble = reading.turn, reading.trouble
    tokens = f"{one.prompt_tokens:,} + {one.completion_tokens:,} tokens, {reading.tokens:,} so far"
    facts = " · ".join(f"{name} {value:g}" for name, value in reading.progress.items())
    return "".join(
        [
            f'<h2>turn {reading.number} <span class="soft">{tokens}</span> {trouble and chip(trouble, "bad")}</h2>',
            f'<div class="prose">{text(reading.reasoning)}</div>',
            f"<pre>{code(one.code, reading.marks)}</pre>"
            if one.code is not None
            else (
                f"<pre>{text(reading.call)}</pre>"
                if reading.call
                else ""
                if one.parse_status in ACTED
                else chip(f"not run: {one.parse_status}", "bad")
            ),
            f'<div class="prose soft">{text(reading.after)}</div>' if reading.after else "",
            f'<pre class="out{trouble and " bad"}">{text(_observation(one))}</pre>',
            _calls(one.tool_calls),
            "" if reading.call else _bindings(reading),
            f'<div class="soft">{text(facts)}</div>{reading.picture and drawing(reading.picture)}',
        ]
    )


def _observation(one: Turn) -> str:
    """What came back; of a last turn, which nothing answered, what it printed and how it failed."""
    lines = [one.observation]
    if one.observation is None:
        failed = f"{one.error_type}: {one.error}" if one.error_type else ""
        stopped = f"stopped: {one.killed_by}" if one.killed_by else ""
        lines = [one.stdout.rstrip("\n"), failed or stopped]
    return "\n".join(filter(None, lines)) or "(nothing was shown)"


def _calls(calls: Sequence[dict]) -> str:
    if not calls:
        return ""
    rows = "".join(
        f"<tr><td>{text(c['name'])}({text(', '.join(map(repr, c['args'])))})</td>"
        f"<td>{chip(c['error'], 'bad') if c['error'] else text(c['result'])}</td></tr>"
        for c in calls
    )
    return f"<details><summary>tool calls: {len(calls)}</summary><table>{rows}</table></details>"


def _bindings(reading: Reading) -> str:
    gone = {*reading.changed, *reading.lost}
    groups = {
        "new": reading.new,
        "changed": reading.changed,
        "lost": reading.lost,
        "": [name for name in reading.before if name not in gone],
    }
    chips = "".join(chip(name, kind) for kind, names in groups.items() for name in names)
    lost = chip("all state was lost", "bad") if reading.turn.state_lost else ""
    return f"<div>bindings: {chips or '<span class=soft>none</span>'}{lost}</div>"


def episodes_page(found: Sequence[tuple[Episode, Sequence[Reading]]], cursor: int = 0) -> str:
    """One episode, or two next to each other, turn by turn, under one set of plots. `cursor`: that
    turn alone (0: all)."""
    names = [arms(episode) for episode, _ in found]
    if names[1:] == names[:1]:
        names = [f"{name} ({letter})" for name, letter in zip(names, "AB", strict=True)]
    both = [readings for _, readings in found]
    body = _columns("", [heading(episode) for episode, _ in found])
    body += plots.svg(dict(zip(names, both, strict=True)), cursor)
    if cursor and len(found) == 1:
        kinds = {cursor: "changed"}
        body += "".join(
            chip(one.number, f"{one.trouble and 'bad'} {kinds.get(one.number, '')}")
            for one in both[0]
        )
    for number in [cursor] if cursor else range(1, max(map(len, both)) + 1):
        turns = [turn(one[number - 1]) if number <= len(one) else ENDED for one in both]
        body += _columns("turn", turns)
    return body


def _columns(kind: str, cells: Sequence[str]) -> str:
    columns = "".join(f"<div>{cell}</div>" for cell in cells)
    return f'<div class="{kind}{" pair" if len(cells) > 1 else ""}">{columns}</div>'


def rows_table(
    rows: pd.DataFrame,
    chosen: int = -1,
    order: str = "",
    descending: bool = False,
    links: Mapping[int, str] | None = None,
) -> str:
    """Rows of a catalogue. `data-place` and `data-order` are what the widget listens to. `links`:
    HTML of a first column, by the row's place."""
    arrow = {order: " ▾" if descending else " ▴"}
    heads = "".join(
        f'<th class="{form and "n"}" data-order="{name}" tabindex="0">{label}{arrow.get(name, "")}</th>'
        for name, (label, form) in COLUMNS.items()
    )
    lines = []
    for place, row in zip(rows.index, rows[list(COLUMNS)].itertuples(index=False), strict=True):
        cells = [] if links is None else [f"<td>{links[place]}</td>"]
        cells += [
            f'<td class="n">{format(value, form) if value == value else "–"}</td>'
            if form
            else f"<td>{text(value)}</td>"
            for value, (_, form) in zip(row, COLUMNS.values(), strict=True)
        ]
        kind = "chosen" if place == chosen else ""
        lines.append(f'<tr data-place="{place}" class="{kind}">{"".join(cells)}</tr>')
    first = "" if links is None else "<th></th>"
    return f'<table class="rows"><thead><tr>{first}{heads}</tr></thead><tbody>{"".join(lines)}</tbody></table>'


def view(catalogue: Catalogue, *places: int) -> Any:
    """One episode whole, or two next to each other, as something that a notebook shows without a
    widget."""
    from IPython.display import HTML

    return HTML(fragment(episodes_page([catalogue.read(place) for place in places[:2]])))


def write_pages(catalogue: Catalogue, places: Sequence[int], folder: Path) -> Path:
    """A page per episode and an index with a small plot of each; returns the index. Old pages there
    are replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("episode-*.html"):
        old.unlink()
    links = {}
    for place in places:
        episode, readings = catalogue.read(place)
        name, title = f"episode-{place:06d}.html", f"{arms(episode)}, {episode.task_id}"
        body = f'<p><a href="index.html">all episodes</a></p>{episodes_page([(episode, readings)])}'
        (folder / name).write_text(page(title, body), encoding="utf-8")
        links[place] = f'<a href="{name}">{plots.thumbnail(readings)}read</a>'
    table = rows_table(catalogue.frame.loc[list(places)], links=links)
    index = folder / "index.html"
    index.write_text(page("Episodes", f"<h1>{len(links)} episodes</h1>{table}"), encoding="utf-8")
    return index
