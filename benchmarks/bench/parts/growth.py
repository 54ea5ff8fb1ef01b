"""What a thing costs as its number grows: tasks, items of a task, turns of an episode, workers."""

from __future__ import annotations

import resource
import statistics
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from measure import Row, alternated
from scratch import KNAPSACK, draw, expert, play

from knapsack_lib.families import Task
from knapsack_lib.families.task_files import write_tasks
from knapsack_lib.messages import Reply
from knapsack_lib.policies import Rollout, play_each
from knapsack_lib.profiles import Cell, Profile, load_profile

PART = "growth"


class Talkative:
    """Prints a line in every turn until its turns are used up."""

    independent = True

    def play(self, rollouts: Iterable[Rollout]) -> Iterator[tuple[Rollout, Any]]:
        return play_each(rollouts, lambda rollout: self)

    def reply(self, messages: list[Any]) -> Reply:
        return Reply(f"I look on.\n```python\nx = {len(messages)}\nprint(x, 'of many')\n```")


def rows(tiny: bool) -> Iterator[Row]:
    profile = load_profile("pocket")
    yield from _tasks((50, 100) if tiny else (100, 1000, 10_000, 100_000))
    yield from _items(profile, (10, 20) if tiny else (10, 30, 100, 300, 1000), tiny)
    for runtime in ("persistent", "reset"):
        yield from _turns(profile, runtime, (2, 4) if tiny else (5, 20, 50, 100, 200), tiny)
    yield from _workers(profile, tiny)


def _tasks(counts: Iterable[int]) -> Iterator[Row]:
    for count in counts:
        with tempfile.TemporaryDirectory() as place:
            began = time.perf_counter()
            write_tasks(
                Path(place),
                (KNAPSACK.make_task("easy", seed=1, split="many", index=i) for i in range(count)),
            )
            seconds = time.perf_counter() - began
        yield Row(
            PART, f"{count:,} easy tasks made and written, a task", 1e3 * seconds / count, "ms"
        )


def _items(profile: Profile, counts: Iterable[int], tiny: bool) -> Iterator[Row]:
    """All of medium's ranges, with that many items; the expert may look at 25 in a turn, as in the
    paper."""
    limits = profile.limits.model_copy(
        update={"turns": 200, "tool_calls": 25, "output_chars": 100_000}
    )
    teacher = profile.teacher.model_copy(update={"batch_sizes": [20]})
    wide = profile.model_copy(update={"limits": limits, "teacher": teacher})
    for items in counts:
        size = _sized(items)
        count = 2 if tiny else max(2, 200 // items)
        found = alternated(
            1 if tiny else 3,
            make=lambda size=size, count=count: draw(size, count, split="wide"),
        )
        tasks = draw(size, 2, split="wide")
        yield Row(PART, f"{items:,} items: a task", 1e3 * found["make"] / count, "ms")
        seconds, turns = _played(tasks, expert(wide, "persistent"), wide, "persistent")
        yield Row(
            PART,
            f"{items:,} items: an episode of the expert",
            seconds / len(tasks),
            "s",
            why=f"{turns} turns in {len(tasks)} episodes",
        )


def _sized(items: int) -> Any:
    medium = KNAPSACK.size("medium")
    return replace(
        medium,
        name=f"wide-{items}",
        items=(items, items),
        classes=5,
        allowed=3,
        min_allowed_items=2,
        min_optimal_items=1,
        max_share=1.0,
        budget_share=1.0,
    )


def _turns(profile: Profile, runtime: str, counts: Iterable[int], tiny: bool) -> Iterator[Row]:
    tasks = draw("pocket-easy", 2 if tiny else 8, split="long")
    for turns in counts:
        long = profile.model_copy(
            update={"limits": profile.limits.model_copy(update={"turns": turns})}
        )
        seconds, played = _played(tasks, Talkative(), long, runtime)
        assert played == turns * len(tasks)
        yield Row(
            PART, f"{runtime}, episodes of {turns} turns: a turn", 1e3 * seconds / played, "ms"
        )


def _workers(profile: Profile, tiny: bool) -> Iterator[Row]:
    tasks = draw("pocket-easy", 8 if tiny else 600, split="workers")
    policy = expert(profile, "reset")
    used: list[float] = []

    def one() -> None:
        before = _processor_seconds()
        _played(tasks, policy, profile, "reset", shard=25)
        used.append(_processor_seconds() - before)

    found = alternated(
        1 if tiny else 3,
        one=one,
        many=lambda: _played(tasks, policy, profile, "reset", shard=25, executor="processes"),
    )
    busy = statistics.median(used) / found["one"]
    yield Row(PART, "1 worker (local)", len(tasks) / found["one"], "episodes/s")
    yield Row(
        PART,
        "a worker for each core (processes)",
        len(tasks) / found["many"],
        "episodes/s",
        ratio=found["one"] / found["many"],
        against="one worker",
        why=f"one worker keeps {busy:.1f} cores busy already: blocks run, and are forked ahead, in processes of their own",
    )


def _processor_seconds() -> float:
    """Of this process and all that it waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(part.ru_utime + part.ru_stime for part in used)


def _played(
    tasks: list[Task], policy: Any, profile: Profile, runtime: str, **options: Any
) -> tuple[float, int]:
    """(seconds, turns in all)."""
    cell = Cell("knapsack", "teacher", runtime, "easy")
    with tempfile.TemporaryDirectory() as place:
        began = time.perf_counter()
        episodes = play(policy, cell, profile, tasks, Path(place) / "s", **options)
        return time.perf_counter() - began, sum(len(e.turns) for e in episodes)
