"""Episodes as HTML: one turn, a whole episode, two side by side, an index. The same for widgets and
for files.

write_pages(catalogue, places, folder)      # index.html and a page per episode; they need no kernel and no network
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from knapsack_lib.episodes import Episode, Turn
from knapsack_lib.explorer import plots
from knapsack_lib.explorer.catalogue import Catalogue
from knapsack_lib.explorer.markup import CSS, chip, code, page, text
from knapsack_lib.explorer.reading import Reading, read

__all__ = [
    "cell_of",
    "comparison",
    "episode_page",
    "heading",
    "rows_table",
    "turn",
    "view",
    "write_pages",
]

HEADS = {  # column -> (heading, format; "" is text)
    "run": ("run", ""),
    "train": ("trained on", ""),
    "runtime": ("acts in", ""),
    "difficulty": ("tasks", ""),
    "train_seed": ("seed", "d"),
    "task_id": ("task", ""),
    "score": ("score", ".3f"),
    "finish_reason": ("ended by", ""),
    "failure": ("failure", ""),
    "steps": ("turns", "d"),
    "tokens": ("tokens", ",d"),
    "errors": ("errors", "d"),
    "seconds": ("seconds", ".1f"),
}


def cell_of(episode: Episode) -> str:
    """trained on → acts in."""
    return f"{episode.train} → {episode.runtime}"


def heading(episode: Episode) -> str:
    """The episode's title line and how it ended."""
    out = episode.result
    score = f"score {out['score']:.3f}" if out.get("score") is not None else "no score"
    kind = "good" if (out.get("score") or 0) > 0 and episode.finish_reason == "finish" else "bad"
    chips = (
        chip(score, kind)
        + chip(f"ended by {episode.finish_reason}")
        + chip(f"{len(episode.turns)} turns")
    )
    numbers = {
        n: v for n, v in out.items() if n not in ("score", "solved") and isinstance(v, (int, float))
    }
    chips += "".join(chip(f"{name.replace('_', ' ')} {value:g}") for name, value in numbers.items())
    return f"<h1>{text(cell_of(episode))} <span class='soft'>{text(episode.task_id)}</span></h1><p>{chips}</p>"


def opening(episode: Episode) -> str:
    """What the model was told, folded away."""
    told = "".join(
        f'<pre class="out">{text(m["role"])}: {text(m["content"])}</pre>' for m in episode.opening
    )
    return f"<details><summary>what the model was told</summary>{told}</details>"


def turn(reading: Reading) -> str:
    """One turn: what was said, the block, what came back, what it did to the state."""
    one, bad = reading.turn, bool(reading.trouble)
    tokens = f"{one.prompt_tokens:,} + {one.completion_tokens:,} tokens, {reading.tokens:,} so far"
    facts = [f"{name} {value:g}" for name, value in reading.progress.items()]
    parts = [
        f'<h2>turn {reading.number} <span class="soft">{tokens}</span> {chip(reading.trouble, "bad") if bad else ""}</h2>',
        f'<div class="say">{text(reading.reasoning)}</div>',
        f"<pre>{code(one.code, reading.marks)}</pre>"
        if one.code is not None
        else chip(f"not run: {one.parse_status}", "bad"),
        f'<div class="say soft">{text(reading.after)}</div>' if reading.after else "",
        f'<pre class="out{" bad" if bad else ""}">{text(_shown(one))}</pre>',
        _calls(one.tool_calls),
        _bindings(reading),
        f'<div class="soft">{text(" · ".join(facts))}</div>{reading.picture}',
    ]
    return "".join(parts)


def _shown(one: Turn) -> str:
    """What came back; of a last turn, which nothing answered, what it printed and how it failed."""
    if one.observation is not None:
        return one.observation or "(nothing was shown)"
    failed = (
        f"{one.error_type}: {one.error}"
        if one.error_type
        else f"stopped: {one.killed_by}"
        if one.killed_by
        else ""
    )
    return "\n".join(filter(None, [one.stdout.rstrip("\n"), failed])) or "(nothing was shown)"


def _calls(calls: Sequence[dict]) -> str:
    if not calls:
        return ""
    rows = "".join(
        f"<tr><td>{text(c['name'])}({text(', '.join(map(repr, c['args'])))})</td>"
        f"<td>{chip(c['error'], 'bad') if c['error'] else text(c['result'])}</td></tr>"
        for c in calls
    )
    return f"<details><summary>{len(calls)} tool calls</summary><table>{rows}</table></details>"


def _bindings(reading: Reading) -> str:
    groups = [(reading.new, "new"), (reading.changed, "changed"), (reading.lost, "lost")]
    kept = [name for name in reading.before if name not in {*reading.changed, *reading.lost}]
    chips = "".join(chip(name, kind) for names, kind in [*groups, (kept, "")] for name in names)
    lost = chip("all state was lost", "bad") if reading.turn.state_lost else ""
    return f"<div>bindings: {chips or '<span class=soft>none</span>'}{lost}</div>"


def episode_page(episode: Episode, readings: Sequence[Reading]) -> str:
    """The whole episode, every turn open."""
    turns = "".join(f'<div class="turn" id="turn-{r.number}">{turn(r)}</div>' for r in readings)
    return heading(episode) + opening(episode) + plots.svg({cell_of(episode): readings}) + turns


def comparison(pair: Sequence[tuple[Episode, Sequence[Reading]]], cursor: int = 0) -> str:
    """Two episodes side by side, turn by turn, over one set of plots. `cursor`: that turn alone (0:
    all)."""
    names = [cell_of(episode) for episode, _ in pair]
    if names[0] == names[1]:
        names = [f"{name} ({letter})" for name, letter in zip(names, "AB", strict=True)]
    plot = plots.svg(dict(zip(names, (readings for _, readings in pair), strict=True)), cursor)
    last = max(len(readings) for _, readings in pair)
    rows = []
    for number in range(1, last + 1) if not cursor else [cursor]:
        cells = (
            turn(r[number - 1]) if number <= len(r) else "<p class=soft>this episode has ended</p>"
            for _, r in pair
        )
        rows.append(
            f'<div class="pair turn">{"".join(f"<div>{cell}</div>" for cell in cells)}</div>'
        )
    heads = "".join(f"<div>{heading(episode)}</div>" for episode, _ in pair)
    return f'<div class="pair">{heads}</div>{plot}{"".join(rows)}'


def rows_table(
    rows: pd.DataFrame, chosen: Sequence[int] = (), order: str = "", descending: bool = False
) -> str:
    """Rows of a catalogue. `data-place` and `data-order` are what the widget listens to."""
    arrow = " ▾" if descending else " ▴"
    heads = "".join(
        f'<th class="{"n" if form else ""}" data-order="{name}" tabindex="0">{label}{arrow if name == order else ""}</th>'
        for name, (label, form) in HEADS.items()
    )
    lines = []
    for place, row in zip(rows.index, rows[list(HEADS)].itertuples(index=False), strict=True):
        cells = "".join(
            f'<td class="n">{"–" if value != value else format(value, form)}</td>'
            if form
            else f"<td>{text(value)}</td>"
            for value, (_, form) in zip(row, HEADS.values(), strict=True)
        )
        lines.append(
            f'<tr data-place="{place}" class="{"chosen" if place in chosen else ""}">{cells}</tr>'
        )
    return f'<table class="rows"><thead><tr>{heads}</tr></thead><tbody>{"".join(lines)}</tbody></table>'


def view(catalogue: Catalogue, *places: int) -> Any:
    """One episode whole, or two side by side, as something that a notebook shows without a widget."""
    from IPython.display import HTML

    read_ = [
        (episode, read(episode, catalogue.task(place)))
        for place in places
        for episode in [catalogue.open(place)]
    ]
    body = episode_page(*read_[0]) if len(read_) == 1 else comparison(read_[:2])
    return HTML(f'<style>{CSS}</style><div class="ks">{body}</div>')


# Files --------------------------------------------------------------------------------------------


def write_pages(catalogue: Catalogue, places: Sequence[int], folder: Path) -> Path:
    """A page per episode and an index with a small plot of each; returns the index. Old pages there
    are replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("episode-*.html"):
        old.unlink()
    lines = []
    for place in places:
        episode, name = catalogue.open(place), f"episode-{place:06d}.html"
        readings = read(episode, catalogue.task(place))
        title = f"{cell_of(episode)}, {episode.task_id}"
        back = '<p><a href="index.html">all episodes</a></p>'
        (folder / name).write_text(
            page(title, back + episode_page(episode, readings)), encoding="utf-8"
        )
        row = catalogue.frame.loc[place]
        lines.append(
            f'<tr><td><a href="{name}">{plots.thumbnail(readings)}</a></td><td><a href="{name}">{text(title)}</a></td>'
            f"<td>{text(row.difficulty)}</td><td class=n>{row.score:.3f}</td><td>{text(row.failure)}</td>"
            f"<td class=n>{row.steps}</td><td class=n>{row.tokens:,}</td></tr>"
        )
    head = "<tr><th>by turn</th><th>episode</th><th>tasks</th><th>score</th><th>failure</th><th>turns</th><th>tokens</th></tr>"
    index = folder / "index.html"
    index.write_text(
        page("Episodes", f"<h1>{len(lines)} episodes</h1><table>{head}{''.join(lines)}</table>"),
        encoding="utf-8",
    )
    return index
