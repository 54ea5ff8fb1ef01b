"""The results of other people's episodes, so that notebook 05 analyses them as it does ours.

    results, notes = results_of("benchmarks/", run)      # a path, an archive, a data set id, or stores of ours

The profile's settings apply (margin, resamples, alpha). A score that is null counts as 0, and that
is noted. Cells may be missing: what needs them is left out. Episodes of a teacher or of the expert
are no cell.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from dataclasses import replace
from itertools import compress
from pathlib import Path

import numpy as np
import pandas as pd

from knapsack_lib.analysis.metrics import CELL, episode_frame, labels
from knapsack_lib.analysis.results import KEY, Results
from knapsack_lib.episodes import Episode, EpisodeFile
from knapsack_lib.errors import UserError
from knapsack_lib.profiles import ARMS, DIFFICULTIES, REACT, SCRIPTED, TRAININGS, Run
from knapsack_lib.published.files import shown_name
from knapsack_lib.published.reading import Imported, read_source
from knapsack_lib.store import find_stores, read_timings

__all__ = ["results_of"]

WORDS = ((*TRAININGS, REACT), ARMS, DIFFICULTIES)  # of the study's cells, in the order of CELL


def results_of(source: str, run: Run) -> tuple[Results, list[str]]:
    """(results, notes on them). Raises UserError for a source without cells, or with one task
    twice."""
    found = _ours(Path(source)) or read_source(source)
    found, notes = _of_family(found, run.profile.family)
    unscored = sum(math.isnan(episode.result["score"]) for episode in found.episodes)
    notes += [f"{unscored} episodes have no score and count as 0"] if unscored else []
    scored = [
        replace(episode, result=episode.result | {"score": 0.0})
        if math.isnan(episode.result["score"])
        else episode
        for episode in found.episodes
    ]
    acted = [
        (episode, math.nan if seconds is None else seconds)
        for episode, seconds in zip(scored, found.seconds, strict=True)
        if episode.train not in SCRIPTED
    ]
    acted.sort(key=lambda pair: (pair[0].difficulty, pair[0].task_id, *labels(pair[0]).values()))
    rows = [{**labels(episode), "seconds": seconds} for episode, seconds in acted]
    clock = pd.DataFrame(rows, columns=[*KEY, "seconds"])
    known = [clock[name].isin(words) for name, words in zip(CELL, WORDS, strict=True)]
    unknown = clock[~np.logical_and.reduce(known)]
    if len(unknown) or not acted:
        cell = "_".join(*unknown[CELL].head(1).to_numpy()) if acted else ""
        what = f"cell {cell!r} is none of the study's" if cell else "no episodes of a trained model"
        raise UserError(
            f"{shown_name(source)}: {what}; name folders {{base,persistent,stateless}}_{{persistent,stateless}}_{{easy,hard}},"
            " or give knapsack import --train --runtime --difficulty"
        )
    twice = clock[clock.duplicated(KEY)]
    if len(twice):
        raise UserError(
            f"{shown_name(source)}: task {twice.task_id.iloc[0]} is twice in a cell; name one of the folders"
        )
    episodes = [episode for episode, _ in acted]
    digest = hashlib.sha256("".join(e.to_line() + "\n" for e in episodes).encode()).hexdigest()
    provenance = {
        "profile": run.profile.name,
        "profile_digest": run.profile.digest(),
        "seed": run.seed,
        "settings": run.profile.model_dump(mode="json"),
        "parameters": None,
        "source": Path(source).name,
    }
    teacher, expert = (
        episode_frame(e for e in scored if e.train == name and e.runtime in ARMS)
        for name in SCRIPTED
    )
    results = Results(episodes, clock, teacher, expert, {}, provenance, digest)
    return results, [*notes, *found.notes]


def _of_family(found: Imported, family: str) -> tuple[Imported, list[str]]:
    """Where a source holds several families, those of the profile's: no mean is over two of them."""
    counts = Counter(episode.family for episode in found.episodes)
    if len(counts) == 1 or family not in counts:
        return found, []
    kept = [one.family == family for one in found.episodes]
    others = ", ".join(
        f"{count} of {name}" for name, count in sorted(counts.items()) if name != family
    )
    chosen = replace(
        found,
        episodes=tuple(compress(found.episodes, kept)),
        seconds=tuple(compress(found.seconds, kept)),
    )
    return chosen, [f"left out, since the profile's family is {family}: {others} episodes"]


def _ours(path: Path) -> Imported | None:
    """Stores that this library wrote, also those of `knapsack import`, or a results folder."""
    episodes: list[Episode] = []
    seconds: list[float | None] = []
    for file in [*find_stores(path), *sorted(path.glob("cells.jsonl.gz"))]:
        if "expert" not in file.relative_to(path).parts:
            known = {} if file.suffix == ".gz" else read_timings(file.parent)
            read = EpisodeFile(file)
            episodes += read
            seconds += [known.get(episode.episode_id) for episode in read]
    return Imported(tuple(episodes), tuple(seconds)) if episodes else None
