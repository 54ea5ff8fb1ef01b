"""Progress of long work: one line for notebooks, terminals and make.

    show = progress("04 reset in reset", "episodes")
    show(done, total, tokens=81_000, usd=0.12, errors=1)     # as often as the work likes

A bar in JupyterLab and on a terminal. When a runner asks for it (KNAPSACK_PROGRESS=<file>), lines
of JSON in that file instead, so that the executed notebook stays free of bars. Silent in CI and
where no one looks.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Protocol

__all__ = ["FEED", "Meter", "Show", "clock", "progress"]

FEED = "KNAPSACK_PROGRESS"  # environment variable: the file a runner reads
SECONDS_BETWEEN = 0.5  # at most this often, plus the first and the last


class Show(Protocol):
    """Told of progress. `done` of `total` count what earlier runs did too; tokens, USD and errors
    (failures of a network or server that a retry fixed) are of this run."""

    def __call__(
        self, done: int, total: int, *, tokens: int = 0, usd: float = 0.0, errors: int = 0
    ) -> None: ...


class Meter:
    """One loop's line of text. Rate and time left are of this run: what was there when it began
    counts as nothing."""

    def __init__(self, unit: str) -> None:
        self.unit, self._began, self._first = unit, time.monotonic(), -1

    def text(
        self, done: int, total: int, *, tokens: int = 0, usd: float = 0.0, errors: int = 0
    ) -> str:
        """`70% of 40 episodes · 0:12 left · 2.1/s · 81 k tokens · $0.12 · 1 error`: of these what
        there is."""
        self._first = done if self._first < 0 else self._first
        seconds, mine = time.monotonic() - self._began, done - self._first
        parts = [f"{done / max(1, total):4.0%} of {total:,} {self.unit}"]
        if mine > 0 and seconds > 0:
            rate = mine / seconds
            parts += [f"{clock((total - done) / rate)} left"] if done < total else []
            parts.append(f"{rate:.1f}/s" if rate >= 1 else f"{60 * rate:.1f}/min")
        if tokens:
            parts.append(f"{_short(tokens)} tokens")
        if usd:
            parts.append(f"${usd:.2f}" if usd >= 0.1 else f"${usd:.4f}")
        if errors:
            parts.append(f"{errors:,} error{'s' if errors > 1 else ''}")
        return " · ".join(parts)


def clock(seconds: float) -> str:
    """`1:05`, or `2:01:05` from an hour on."""
    minutes, rest = divmod(int(seconds), 60)
    return (
        f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
        if minutes >= 60
        else f"{minutes}:{rest:02d}"
    )


def _short(number: int) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= 0.9995 * size:
            return f"{number / size:.3g} {letter}"
    return str(number)


def progress(label: str, unit: str) -> Show:
    """Where the work was started, or nowhere. `label` names the loop, `unit` what is counted, in
    the plural."""
    feed = os.environ.get(FEED)
    if feed:
        return _to_file(Path(feed), label, unit)
    if os.environ.get("CI") == "true":
        return lambda done, total, **counts: None
    return _to_bar(label, unit)


def _to_file(path: Path, label: str, unit: str) -> Show:
    last = float("-inf")

    def show(done: int, total: int, *, tokens: int = 0, usd: float = 0.0, errors: int = 0) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < SECONDS_BETWEEN and done < total:
            return
        last = now
        counts = {"tokens": tokens, "usd": usd, "errors": errors}
        line = json.dumps(
            {"label": label, "unit": unit, "done": done, "total": total, "counts": counts}
        )
        # One short write: a reader sees whole lines. What only shows stops no work on a full disk.
        with suppress(OSError), open(path, "a", encoding="utf-8") as file:
            file.write(line + "\n")

    return show


def _to_bar(label: str, unit: str) -> Show:
    from tqdm.auto import tqdm  # here, since it looks for a notebook front end when it is imported

    bar, meter, ended = None, Meter(unit), False

    def show(done: int, total: int, *, tokens: int = 0, usd: float = 0.0, errors: int = 0) -> None:
        nonlocal bar, meter, ended
        if bar is None:
            # A shard that is replayed whole continues after its last new episode
            if ended and done >= total:
                return
            meter = Meter(unit)
            # disable=None: no bar where the output is neither a terminal nor a notebook.
            # miniters=0: tokens and cost move between two that are done.
            bar = tqdm(
                total=total,
                initial=done,
                bar_format="{desc} {bar}",
                dynamic_ncols=True,
                disable=None,
                miniters=0,
            )
        bar.total = total
        bar.set_description_str(
            f"{label} {meter.text(done, total, tokens=tokens, usd=usd, errors=errors)}",
            refresh=False,
        )
        bar.update(done - bar.n)
        if done >= total:
            bar.refresh()
            bar.close()
            bar, ended = None, True

    return show
