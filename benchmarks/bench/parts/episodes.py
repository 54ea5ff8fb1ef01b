"""Episodes of the scripted expert: the loop, the interpreter and the store, without a model."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from measure import Row, alternated

from knapsack_lib.agent import Cast
from knapsack_lib.episodes import Episode, read_episodes
from knapsack_lib.families import FAMILIES
from knapsack_lib.families.knapsack import make_tasks
from knapsack_lib.interpreter import Interpreter, Pool, persistence_named
from knapsack_lib.policies.scripted import ScriptedPolicy
from knapsack_lib.profiles import load_profile
from knapsack_lib.rollouts import play_tasks

PART = "episodes of the scripted expert"


def rows(tiny: bool) -> Iterator[Row]:
    profile, count = load_profile("pocket"), 4 if tiny else 100
    tasks = make_tasks("pocket-easy", count, seed=1, split="bench")
    for runtime in ("persistent", "reset"):
        with tempfile.TemporaryDirectory() as place:
            number = iter(range(1000))

            def play(
                runtime: str = runtime, place: str = place, number: Iterator[int] = number
            ) -> None:
                play_tasks(
                    tasks,
                    ScriptedPolicy(runtime, profile.teacher),
                    Cast("teacher", runtime, "easy"),
                    profile,
                    Path(place) / str(next(number)),
                    "bench",
                    seed=1,
                    shard=50,
                )

            play()
            episodes = list(read_episodes(Path(place) / "0", ""))

            def blocks(runtime: str = runtime, episodes: list[Episode] = episodes) -> None:
                with Pool(profile.limits) as pool:
                    for task, episode in zip(tasks, episodes, strict=True):
                        world = FAMILIES["knapsack"].World(task)
                        with Interpreter(
                            pool, persistence_named(runtime), world.tools, seed=1
                        ) as interpreter:
                            for turn in episode.turns:
                                interpreter.run(turn.code or "")

            def lines(place: str = place, episodes: list[Episode] = episodes) -> None:
                with open(Path(place) / "lines", "w") as file:
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
