"""Look into any episode: a widget in JupyterLab, pages without a kernel everywhere else.

    explore("pocket-seeds")                       # the explorer, or a static view where nobody can click
    explore(*episodes_of(run))                    # this run's episodes, or the committed ones while there are none
    glance("runs/pocket/cells/base-reset-easy")   # a small static view, as the other notebooks end with

A source is a profile's name, the folder of a run, or a store.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from knapsack_lib.errors import UserError
from knapsack_lib.profiles import COMMITTED, Run, load_profile
from knapsack_lib.store import find_stores

__all__ = ["episodes_of", "explore", "glance"]

SAMPLE = 6


def episodes_of(run: Run, source: str = "") -> list[str]:
    """What to look into: `source` if it is given, else the run, else (nothing was run yet) the
    committed results."""
    if source:
        return [source]
    if any(find_stores(run.root)):
        return [str(run.root)]
    kept = run.published_root / "results" / run.profile.name
    return [str(kept) if kept.exists() else COMMITTED]


def explore(*sources: str | Path, study: str | None = None) -> Any:
    """The explorer of these sources (a profile's name, a folder, a store). `study`: the profile
    whose limits count when an episode is played again; by default the first source, where it is a
    profile.

    Where nobody can click (KNAPSACK_PROGRESS is set: a notebook run by make) the same is shown as
    static pages.
    """
    from knapsack_lib.explorer.catalogue import open_catalogue

    if os.environ.get("KNAPSACK_PROGRESS"):
        return glance(*sources)
    from knapsack_lib.explorer.widget import Explorer
    from knapsack_lib.progress import progress

    catalogue = open_catalogue(*sources, progress=progress("reading episodes", "files"))
    try:
        profile = load_profile(study or str(sources[0]))
    except UserError:
        if study:
            raise
        profile = None
    return Explorer(catalogue, profile)


def glance(*sources: str | Path, count: int = SAMPLE) -> Any:
    """A static view for an executed notebook: a few episodes as a table, each folded open turn by
    turn.

    The episodes are spread over the index; whatever they hold is shown as text.
    """
    from IPython.display import HTML

    from knapsack_lib.explorer.catalogue import open_catalogue
    from knapsack_lib.explorer.markup import CSS, text
    from knapsack_lib.explorer.pages import cell_of, episode_page, rows_table
    from knapsack_lib.explorer.reading import read

    catalogue = open_catalogue(*sources)
    step = max(1, len(catalogue) // count)
    places = list(range(0, len(catalogue), step))[:count]
    parts = [rows_table(catalogue.frame.loc[places])]
    for place in places:
        episode = catalogue.open(place)
        title = text(f"{cell_of(episode)}, {episode.task_id}")
        parts.append(
            f"<details><summary>{title}</summary>{episode_page(episode, read(episode, catalogue.task(place)))}</details>"
        )
    return HTML(f'<style>{CSS}</style><div class="ks">{"".join(parts)}</div>')
