"""The tasks of a study: drawn here, or published task files in place of the test tasks.

    write_tasks(run.tasks("easy"), tasks_of(run, "easy"))

A profile with `tasks.source` (a folder, an archive or a data set id) takes its test tasks from there: those of the folders
easy and medium (the authors' word is hard). What the source lacks of the two sizes is drawn here, as the training and
validation tasks always are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from knapsack_lib.errors import SPELLINGS, UserError
from knapsack_lib.families import Family, Task, family_named
from knapsack_lib.hub import ID, fetched
from knapsack_lib.profiles import DIFFICULTIES, Profile, Run
from knapsack_lib.published.files import members, plain_name, shown_name

__all__ = ["read_published", "rules_in_words", "tasks_of"]

SIZED = re.compile(r"(?<![A-Za-z0-9])(easy|medium|hard)(?![A-Za-z0-9])")


def tasks_of(run: Run, split: str) -> Iterable[Task]:
    """The tasks of a split: train, validation, easy or medium. Raises UserError for a source that cannot be read, or that
    holds fewer tasks than the profile asks for."""
    profile, count = run.profile, run.profile.splits()[split]
    family = family_named(profile.family)
    if profile.tasks.source and split in DIFFICULTIES:
        found = read_published(profile.tasks.source, family, profile.tasks.rules)
        if split in found:
            if len(found[split]) < count:
                raise UserError(
                    f"{shown_name(profile.tasks.source)} holds {len(found[split])} {split} tasks of family {family.name}, "
                    f"tasks.{split} asks for {count}; lower it"
                )
            return found[split][:count]
    size = family.size(profile.difficulties["medium" if split == "medium" else "easy"])
    return (
        family.make_task(size, seed=run.seed, split=split, index=index) for index in range(count)
    )


def read_published(source: str, family: Family, rules: str) -> dict[str, list[Task]]:
    """Difficulty -> the family's published tasks in the order of their ids. Raises UserError with one line for a source
    that is not there, holds no task of the family, or holds one that is none, or whose size nothing tells."""
    found: dict[str, dict[str, Task]] = {}
    for name, data in members(_local(source), lambda name: name.endswith(".json")):
        task = _task(name, data, family)
        if task is None:
            continue
        said = SIZED.findall(f"{shown_name(source)}/{name}") or SIZED.findall(task.run_name)
        if not said:
            raise UserError(
                f"{shown_name(name)}: nothing tells whether its task is easy or medium; put it into a folder easy or medium"
            )
        split = SPELLINGS.get(said[-1], said[-1])
        of_split = found.setdefault(split, {})
        if task.task_id in of_split:
            raise UserError(
                f"{shown_name(name)}: a second {split} task with the id {shown_name(task.task_id)}; remove one"
            )
        public = {**task.public, **({"rules": "published"} if rules == "published" else {})}
        of_split[task.task_id] = _playable(replace(task, public=public), name, family)
    if not found:
        raise UserError(f"{shown_name(source)}: no task of family {family.name} in it")
    return {split: [tasks[key] for key in sorted(tasks)] for split, tasks in sorted(found.items())}


def _local(source: str) -> Path:
    if Path(source).exists() or not ID.fullmatch(source):
        return Path(source)
    return fetched(source, "dataset")


def _task(name: str, data: bytes, family: Family) -> Task | None:
    """The task that a file holds; None for a file of something else, or of another family."""
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict) or not {"public", "private"} <= content.keys():
        return None
    task = Task.from_json(data.decode("utf-8", errors="replace"), shown_name(name))
    if task.family != family.name:
        return None
    plain_name(str(task.task_id), "the task id")
    return task


def _playable(task: Task, name: str, family: Family) -> Task:
    """The task, once its world could be made. Raises UserError where it lacks something."""
    try:
        world: Any = family.world(task)
        world.facts(), world.result()
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise UserError(
            f"{shown_name(name)}: no world can be made of this task ({type(error).__name__}: {error}); remove it"
        ) from None
    return task


def rules_in_words(profile: Profile) -> str:
    """Which rules the test tasks are played by."""
    if not profile.tasks.source:
        return "tasks drawn here, by this package's rules"
    whose = "the authors'" if profile.tasks.rules == "published" else "this package's"
    return f"test tasks from {shown_name(profile.tasks.source)}, by {whose} rules"
