"""Progress of a long loop, shown where the work was started.

    step = progress("fine-tune", "steps")
    step(done, total)                  # as often as the loop likes

A bar in JupyterLab and on a terminal. When a runner asks for it (KNAPSACK_PROGRESS=<file>), lines of JSON in that file
instead, so that the executed notebook stays free of bars. Silent in CI and where no one looks.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

__all__ = ["FEED", "progress"]

FEED = "KNAPSACK_PROGRESS"  # environment variable: the file a runner reads
SECONDS_BETWEEN = 0.5  # at most this often, plus the first and the last


def progress(label: str, unit: str) -> Callable[[int, int], None]:
    """A callable (done, total). `label` names the loop, `unit` what is counted, in the plural."""
    feed = os.environ.get(FEED)
    if feed:
        return _to_file(Path(feed), label, unit)
    if os.environ.get("CI") == "true":
        return lambda done, total: None
    return _to_bar(label, unit)


def _to_file(path: Path, label: str, unit: str) -> Callable[[int, int], None]:
    last = float("-inf")

    def show(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < SECONDS_BETWEEN and done < total:
            return
        last = now
        line = json.dumps({"label": label, "unit": unit, "done": done, "total": total})
        with open(path, "a", encoding="utf-8") as file:  # one short write: a reader sees whole lines
            file.write(line + "\n")

    return show


def _to_bar(label: str, unit: str) -> Callable[[int, int], None]:
    from tqdm.auto import tqdm  # here, since it looks for a notebook front end when it is imported

    bar = None

    def show(done: int, total: int) -> None:
        nonlocal bar
        if bar is None:
            # disable=None: no bar where the output is neither a terminal nor a notebook.
            bar = tqdm(total=total, initial=done, desc=label, unit=f" {unit}", disable=None)
        bar.total = total
        bar.update(done - bar.n)
        if done >= total:
            bar.close()
            bar = None

    return show
