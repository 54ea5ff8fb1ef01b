"""Look into any episode: a widget in JupyterLab, pages without a kernel everywhere else.

    explore("pocket-seeds")                       # the explorer, or a static view where nobody can click
    explore(*episodes_of(run))                    # this run's episodes, or the committed ones while there are none
    glance("runs/pocket/cells/base-reset-easy")   # a small static view, as the other notebooks end with

A source is a profile's name, the folder of a run, or a store.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knapsack_lib.errors import UserError
from knapsack_lib.profiles import COMMITTED, Run, load_profile
from knapsack_lib.progress import FEED, progress
from knapsack_lib.store import find_stores

if TYPE_CHECKING:
    from knapsack_lib.explorer.catalogue import Catalogue

__all__ = ["episodes_of", "explore", "glance"]


def episodes_of(run: Run, source: str = "") -> list[str]:
    """What to look into: `source` if it is given, else the run, else (nothing was run yet) the
    committed results."""
    if source:
        return [source]
    if any(find_stores(run.root)):
        return [str(run.root)]
    kept = run.published_root / "results" / run.profile.name
    return [str(kept) if kept.exists() else COMMITTED]


def explore(*sources: str | Path | Catalogue, profile: str | None = None) -> Any:
    """The explorer of these sources (or of a catalogue that is open). `profile`: whose limits
    count when an episode is played again; by default the first source, where it is a profile.

    Where nobody can click (a notebook run by make) the same is shown as static pages.
    """
    from knapsack_lib.explorer.catalogue import open_catalogue

    if os.environ.get(FEED):
        return glance(*sources)
    from knapsack_lib.explorer.widget import Explorer

    catalogue = open_catalogue(*sources, progress=progress("reading episodes", "files"))
    try:
        limits = load_profile(profile or str(sources[0]))
    except UserError:
        if profile:
            raise
        limits = None
    return Explorer(catalogue, limits)


def glance(*sources: str | Path | Catalogue, count: int = 6) -> Any:
    """A static view for an executed notebook: a few episodes, spread over the index, as a table,
    and each folded open turn by turn."""
    from IPython.display import HTML

    from knapsack_lib.explorer.catalogue import open_catalogue
    from knapsack_lib.explorer.markup import fragment, text
    from knapsack_lib.explorer.pages import arms, episodes_page, rows_table

    catalogue = open_catalogue(*sources)
    places = range(0, len(catalogue), max(1, len(catalogue) // count))[:count]
    body = rows_table(catalogue.frame.loc[list(places)])
    for place in places:
        episode, readings = catalogue.read(place)
        title = f"<summary>{text(arms(episode))}, {text(episode.task_id)}</summary>"
        body += f"<details>{title}{episodes_page([(episode, readings)])}</details>"
    return HTML(fragment(body))
