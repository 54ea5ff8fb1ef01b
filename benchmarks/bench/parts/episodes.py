"""Episodes of the scripted expert: the loop, the interpreter and the store, without a model."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from measure import Row, alternated
from scratch import KNAPSACK, draw, expert
from scratch import play as played

from knapsack_lib.episodes import Episode
from knapsack_lib.interpreter import Interpreter, Pool, persistence_named
from knapsack_lib.profiles import Cell, load_profile
from knapsack_lib.store import read_episodes

PART = "episodes of the scripted expert"


def rows(tiny: bool) -> Iterator[Row]:
    profile, count = load_profile("pocket"), 4 if tiny else 100
    tasks = draw("pocket-easy", count, split="bench")
    for runtime in ("persistent", "reset"):
        with tempfile.TemporaryDirectory() as place:
            number = iter(range(1000))

            def play(
                runtime: str = runtime, place: str = place, number: Iterator[int] = number
            ) -> None:
                cell = Cell("knapsack", "teacher", runtime, "easy")
                where = Path(place) / str(next(number))
                played(expert(profile, runtime), cell, profile, tasks, where)

            play()
            episodes = list(read_episodes(Path(place) / "0", ""))

            def blocks(runtime: str = runtime, episodes: list[Episode] = episodes) -> None:
                with Pool(profile.limits) as pool:
                    for task, episode in zip(tasks, episodes, strict=True):
                        world = KNAPSACK.world(task)
                        with Interpreter(
                            pool, persistence_named(runtime), world.tools, seed=1
                        ) as interpreter:
                            for turn in episode.turns:
                                interpreter.run(turn.code or "")

            def lines(place: str = place, episodes: list[Episode] = episodes) -> None:
                with open(Path(place) / "lines", "w", encoding="utf-8") as file:
                    for episode in episodes:
                        file.write(episode.to_line())
                        file.flush()
                        os.fsync(file.fileno())

            found = alternated(1 if tiny else 3, play=play, blocks=blocks, lines=lines)
            floor = count / (found["blocks"] + found["lines"])
            yield Row(
                PART,
                runtime,
                count / found["play"],
                "episodes/s",
                floor,
                f"the same blocks run and the same lines written, nothing else ({found['blocks'] / found['play']:.0%} and "
                f"{found['lines'] / found['play']:.0%} of the time)",
            )
