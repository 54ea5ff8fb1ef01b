"""Our own episodes: episodes.jsonl of a store, or cells.jsonl.gz of committed results. The record says
what was run and what came of it, so that nothing is read off the text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from pydantic import TypeAdapter, ValidationError

from knapsack_lib.audit.formats.base import File, Format, Problems
from knapsack_lib.audit.outcomes import outcome_of
from knapsack_lib.audit.transcripts import Step, Transcript
from knapsack_lib.episodes import Episode, Turn
from knapsack_lib.errors import first_problem
from knapsack_lib.families import family_or_unknown
from knapsack_lib.store import current

__all__ = ["FORMAT", "transcript_of"]

EPISODE = TypeAdapter(Episode)
LINE = re.compile(r"\(line (\d+)\)$", re.M)


def read(file: File, problems: Problems) -> Iterator[Transcript]:
    if _superseded(file):
        return
    for place, value in file.values(problems.add):
        try:
            episode = EPISODE.validate_python(value)
        except ValidationError as error:
            problems.add(f"{place}: no episode ({first_problem(error, 'the line')})")
            continue
        yield transcript_of(episode, place)


def transcript_of(episode: Episode, place: str = "") -> Transcript:
    """The blocks of an episode that were run. `place`: where it stands in its source."""
    labels = {
        "family": episode.family,
        "train": episode.train,
        "runtime": episode.runtime,
        "difficulty": episode.difficulty,
    }
    steps = tuple(
        _step(turn) for turn in episode.turns if turn.parse_status == "code" and turn.code
    )
    name = f"{place} {episode.episode_id}"
    return Transcript(name, steps, labels, _tools(episode.family), episode=episode)


def _step(turn: Turn) -> Step:
    seen = turn.observation or ""
    line = LINE.search(seen)
    return Step(
        turn.code or "",
        turn.reply,
        seen,
        turn.error_type,
        turn.error,
        None if not turn.error_type else int(line.group(1)) if line else outcome_of(seen)[2],
        stopped=turn.killed_by is not None,
        lost=turn.lost_before,
        stdout=turn.stdout,
        calls=tuple(turn.tool_calls),
    )


@cache
def _tools(family: str) -> frozenset[str]:
    return frozenset(family_or_unknown(family).tools)


def _superseded(file: File) -> bool:
    """Whether it lies in a store of the source and is not what the store's current key names."""
    if file.path is None or file.inside is None:
        return False
    above = [one for one in file.path.parents if one == file.inside or file.inside in one.parents]
    stores = [folder for folder in above if current(folder) != folder]
    return bool(stores) and file.path.parent != current(stores[-1])


FORMAT = Format(
    "episodes",
    "this project's episodes (a store, episodes.jsonl, cells.jsonl.gz)",
    read,
    keys=(frozenset({"episode_id", "turns", "opening"}),),
    beside=r"(^|/)(turns|timings)\.jsonl$|(^|/)provenance\.json$|(^|/)current$",
)
