"""A set of transcripts converted, each on its own, and written whole.

done = convert_set("traces.jsonl", "reset", Path("out"))
done.converted, done.left_out, done.reasons
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from knapsack_lib.audit.convert import Unproven, converted
from knapsack_lib.audit.replay import LIMITS
from knapsack_lib.audit.rewriting import episode_of, row_of
from knapsack_lib.audit.transcripts import Transcript
from knapsack_lib.episodes import Episode
from knapsack_lib.errors import UserError, check_choice
from knapsack_lib.interpreter import Pool
from knapsack_lib.profiles import RUNTIMES
from knapsack_lib.progress import progress
from knapsack_lib.published.files import must_be_new, plain_name, written_whole

__all__ = ["Conversion", "LeftOut", "convert_set"]

LISTED = "left_out.jsonl"
CHATS = "train.jsonl"


class LeftOut(NamedTuple):
    """An episode that could not be proven. `kind`: what the reasons are counted by."""

    transcript_id: str
    kind: str
    text: str


@dataclass
class Conversion:
    """`changed`: blocks whose code is another now. `files`: what was written, in the folder."""

    converted: int = 0
    blocks: int = 0
    changed: int = 0
    left_out: list[LeftOut] = field(default_factory=list)
    files: list[str] = field(default_factory=list)

    @property
    def reasons(self) -> Counter[str]:
        return Counter(one.kind for one in self.left_out)


def convert_set(
    transcripts: Iterable[Transcript],
    target: str,
    out: Path,
    packages: Sequence[str] = (),
    total: int = 0,
) -> Conversion:
    """Convert what can be proven into the new folder `out`: a store for each cell of our episodes, and
    train.jsonl of the conversations of others. What is left out is listed in left_out.jsonl there.

    `total`: how many there are, for the display. The folder is there whole or not at all. Raises UserError where it is there already, for a runtime
    that is neither, and where nothing could be converted.
    """
    target = check_choice("runtime", target, RUNTIMES)
    must_be_new(out)
    done, bar = Conversion(), progress(f"to {target}", "episodes")
    with written_whole(out) as part, ExitStack() as files:
        part.mkdir()
        pool = files.enter_context(Pool(LIMITS, after_kill="lose", packages=tuple(packages)))
        opened: dict[str, Any] = {}
        for place, line in _lines(transcripts, target, pool, done):
            count = done.converted + len(done.left_out)
            if total:  # of what is piped in nobody knows it
                bar(count, max(total, count))
            if place not in opened:
                path = part / place
                path.parent.mkdir(parents=True, exist_ok=True)
                opened[place] = files.enter_context(open(path, "w", encoding="utf-8"))
            opened[place].write(line + "\n")
        if not done.converted:
            first = f", the first since {done.left_out[0].text}" if done.left_out else ""
            raise UserError(f"none of {len(done.left_out)} episodes could be converted{first}")
        _without_family(part)
        done.files = sorted(one.relative_to(part).as_posix() for one in part.rglob("*.jsonl"))
    return done


def _lines(
    transcripts: Iterable[Transcript], target: str, pool: Pool, done: Conversion
) -> Iterator[tuple[str, str]]:
    """(file, line) of each episode, in the order of the source."""
    for transcript in transcripts:
        try:
            new, proof = converted(transcript, target, pool)
            if transcript.episode is not None:
                found = episode_of(new, proof, target)
                place, line = _store(found), found.to_line()
            else:
                row = row_of(transcript, new)
                place, line = CHATS, json.dumps(row, ensure_ascii=False, separators=(",", ":"))
        except Unproven as reason:
            left = LeftOut(transcript.transcript_id, reason.kind, str(reason))
            done.left_out.append(left)
            yield LISTED, json.dumps(left._asdict(), ensure_ascii=False)
        else:
            done.converted += 1
            done.blocks += len(new.steps)
            both = zip(transcript.steps, new.steps, strict=True)
            done.changed += sum(old.code != now.code for old, now in both)
            yield place, line


def _store(episode: Episode) -> str:
    """The file of its cell's store, in the folder of its family."""
    cell = plain_name(f"{episode.train}-{episode.runtime}-{episode.difficulty}", "the cell")
    return f"{plain_name(episode.family, 'family')}/{cell}/episodes.jsonl"


def _without_family(folder: Path) -> None:
    """As `knapsack import` leaves it: where there is one family, its folder is not there."""
    families = [one for one in folder.iterdir() if one.is_dir()]
    if len(families) == 1:
        for store in families[0].iterdir():
            store.rename(folder / store.name)
        families[0].rmdir()
