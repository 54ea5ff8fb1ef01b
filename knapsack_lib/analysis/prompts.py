"""The paper's appendix of prompts: what a model reads, and how the two trained styles answer it,
from real episodes.

write(results, folder / "prompts.tex")
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable
from pathlib import Path

from knapsack_lib.analysis.output import write_tex
from knapsack_lib.analysis.results import Results
from knapsack_lib.episodes import Episode

__all__ = ["write"]

WIDTH = 108  # letters of a line in the appendix
REPLIES = 2


def write(results: Results, path: Path) -> Path:
    """The opening messages (of every runtime, where they differ) and the first replies of both
    aligned cells on the first easy task."""
    chosen = [_first(results.episodes, runtime) for runtime in ("persistent", "reset")]
    parts, shown = [], []
    for episode in chosen:
        if episode.opening not in shown:
            shown.append(episode.opening)
    for opening in shown:
        where = "in both runtimes" if len(shown) == 1 else "in one of the runtimes"
        for message in opening:
            parts += [
                _heading(f"The prompt {where} ({message['role']} message)"),
                _verbatim(message["content"]),
            ]
    for episode in chosen:
        parts.append(
            _heading(f"The first replies of {episode.train}→{episode.runtime} on the same task")
        )
        for turn in episode.turns[:REPLIES]:
            parts += [
                _verbatim(turn.reply),
                _verbatim(f"# shown to it:\n{turn.observation or '(nothing)'}"),
            ]
    return write_tex("\n".join(parts), path, results.stamp)


def _first(episodes: Iterable[Episode], runtime: str) -> Episode:
    mine = (e for e in episodes if (e.train, e.runtime, e.difficulty) == (runtime, runtime, "easy"))
    return min(mine, key=lambda e: (e.task_id, e.train_seed))


def _heading(text: str) -> str:
    return r"\paragraph{" + text.replace("→", r"$\to$") + ".}"


def _verbatim(text: str) -> str:
    """As it is, but for long lines: they are continued after an arrow."""
    lines = [part for line in text.splitlines() for part in _wrapped(line)]
    plain = re.sub(r"[^\n -~]", "?", "\n".join(lines)).replace(r"\end{verbatim}", r"\end(verbatim)")
    return f"\\begin{{verbatim}}\n{plain}\n\\end{{verbatim}}"


def _wrapped(line: str) -> list[str]:
    parts = textwrap.wrap(line, WIDTH, drop_whitespace=False, break_on_hyphens=False) or [""]
    return [parts[0].rstrip(), *(f"  > {part.rstrip()}" for part in parts[1:])]
