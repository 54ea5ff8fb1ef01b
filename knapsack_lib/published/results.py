"""The results of other people's episodes, so that notebook 05 says of them what it says of ours.

    results, notes = results_of("benchmarks/", run)      # a path, an archive, a data set id, or stores of ours

Judged by the profile's settings (margin, resamples, alpha). A score that is null counts as 0, and
that is noted. Cells may be missing: what needs them is left out. Episodes of a teacher or of the
expert are no cell.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from pathlib import Path

import pandas as pd

from knapsack_lib.analysis.metrics import episode_frame
from knapsack_lib.analysis.results import KEY, Results
from knapsack_lib.episodes import Episode, EpisodeFile
from knapsack_lib.errors import UserError
from knapsack_lib.profiles import DIFFICULTIES, RUNTIMES, TRAININGS, Run
from knapsack_lib.published.files import shown_name
from knapsack_lib.published.reading import Imported, read_source
from knapsack_lib.store import find_stores, read_episodes, read_timings

__all__ = ["results_of"]

SCRIPTED = ("teacher", "expert")  # traces, and the yardstick on the test tasks: no cells


def results_of(source: str, run: Run) -> tuple[Results, list[str]]:
    """(results, what is to be said about them). Raises UserError for a source without cells, or
    with one task twice."""
    found = _ours(Path(source)) or read_source(source)
    acted = [
        (_scored(e), s)
        for e, s in zip(found.episodes, found.seconds, strict=True)
        if e.train not in SCRIPTED
    ]
    teacher, expert = (
        [e for e in found.episodes if e.train == name and e.runtime in RUNTIMES]
        for name in SCRIPTED
    )
    strange = sorted({"_".join(_cell(e)) for e, _ in acted if not _known(e)})
    if strange or not acted:
        what = (
            f"cell {strange[0]!r} is none of the study's"
            if strange
            else "no episodes of a trained model"
        )
        raise UserError(
            f"{shown_name(source)}: {what}; name folders {{base,persistent,stateless}}_{{persistent,stateless}}_{{easy,hard}},"
            " or say it with knapsack import --train --runtime --difficulty"
        )
    acted.sort(
        key=lambda pair: (pair[0].difficulty, pair[0].task_id, *_cell(pair[0]), pair[0].train_seed)
    )
    episodes = [episode for episode, _ in acted]
    clock = pd.DataFrame(
        [(*_cell(e), e.train_seed, e.task_id, math.nan if s is None else s) for e, s in acted],
        columns=[*KEY, "seconds"],
    )
    twice = clock[clock.duplicated(KEY)]
    if len(twice):
        raise UserError(
            f"{shown_name(source)}: task {twice.task_id.iloc[0]} stands twice in a cell; name one of the folders"
        )
    unscored = sum(math.isnan(e.result["score"]) for e in found.episodes)
    notes = [
        *([f"{unscored} episodes have no score and count as 0"] if unscored else []),
        *found.notes,
    ]
    text = "".join(episode.to_line() + "\n" for episode in episodes)
    settings = run.profile.model_dump(mode="json")
    made = {
        "profile": run.profile.name,
        "profile_digest": run.profile.digest(),
        "seed": run.seed,
        "settings": settings,
        "parameters": None,
        "source": Path(source).name,
    }
    digest = hashlib.sha256(text.encode()).hexdigest()
    traces, yard = (episode_frame(map(_scored, group)) for group in (teacher, expert))
    return Results(episodes, clock, traces, yard, {}, made, digest), notes


def _ours(path: Path) -> Imported | None:
    """Stores that this library wrote, also those of `knapsack import`, or a results folder."""
    files = list(find_stores(path)) + sorted(path.glob("cells.jsonl.gz")) if path.is_dir() else []
    episodes: list[Episode] = []
    seconds: list[float | None] = []
    for file in files:
        if "expert" not in file.relative_to(path).parts:
            known = {} if file.suffix == ".gz" else read_timings(file.parent)
            read = (
                EpisodeFile(file)
                if file.suffix == ".gz"
                else read_episodes(file.parent, "knapsack import")
            )
            episodes += read
            seconds += [known.get(episode.episode_id) for episode in read]
    return Imported(tuple(episodes), tuple(seconds)) if episodes else None


def _cell(episode: Episode) -> tuple[str, str, str]:
    return episode.train, episode.runtime, episode.difficulty


def _known(episode: Episode) -> bool:
    return (
        episode.train in TRAININGS
        and episode.runtime in RUNTIMES
        and episode.difficulty in DIFFICULTIES
    )


def _scored(episode: Episode) -> Episode:
    if not math.isnan(episode.result["score"]):
        return episode
    return replace(episode, result=episode.result | {"score": 0.0})
