"""Task files: drawn from a profile or from a JSON config in the authors' shape, and read in either
spelling.

    made = generate_tasks("easy.json", Path("tasks/easy"), split="easy")     # made.written, made.kept, made.different
    tasks = read_task_files("tasks.tar.gz")

The authors' own tasks cannot be drawn again from their config (they take the allowed classes from
an unseeded generator); what is drawn here from it has the same ranges and rules, and is the same
every time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from knapsack_lib.errors import UserError, check_choice
from knapsack_lib.families import family_named
from knapsack_lib.families.base import SCHEMA, Task
from knapsack_lib.families.knapsack.tasks import LETTERS, Size, make_task
from knapsack_lib.profiles import load_profile
from knapsack_lib.published.files import members, shown_name, written_whole
from knapsack_lib.published.records import read_json

__all__ = ["Made", "generate_tasks", "read_task_files"]

SPLITS = ("train", "validation", "easy", "medium")
# The data card's spelling -> the code's
CARD = {
    "budget": "inspect_budget",
    "valid_classes": "allowed_classes",
}


class _Knapsack(BaseModel):
    """The section `knapsack` of the authors' configs."""

    model_config = ConfigDict(extra="forbid")

    num_tasks: int = Field(default=100, ge=0)
    n_items_range: tuple[int, int] = (10, 30)
    weight_range: tuple[int, int] = (1, 20)
    value_range: tuple[int, int] = (1, 50)
    classes: list[str] = Field(
        default_factory=lambda: ["A", "B", "C"], min_length=1, max_length=len(LETTERS)
    )
    num_allowed_classes: int = Field(default=10, ge=1)
    capacity_ratio_range: tuple[float, float] = (0.35, 0.6)
    force_nonempty_optimum: bool = True


class _Settings(BaseModel):
    """Their top level. The other families and the settings of their program are accepted and not
    used."""

    model_config = ConfigDict(extra="forbid")

    run_name: str = "run"
    seed_start: int = Field(default=0, ge=0)
    knapsack: _Knapsack
    out_dir: Any = None
    llm_enabled: Any = None
    max_workers: Any = None
    llm: Any = None
    navigation: Any = None
    rule_diagnosis: Any = None
    cache_db_path: Any = None


@dataclass(frozen=True)
class Made:
    """Names of task files: new ones, those that were there and are the same, those that were there
    and are not."""

    written: tuple[str, ...]
    kept: tuple[str, ...]
    different: tuple[str, ...]


def generate_tasks(config: str, out: Path, split: str = "easy") -> Made:
    """Draw every task of the config and write those that are not there yet. Raises UserError for a
    bad config."""
    tasks = _from_json(Path(config)) if config.endswith(".json") else _from_profile(config, split)
    written: list[str] = []
    kept: list[str] = []
    different: list[str] = []
    for task in tasks:
        path = out / f"{task.task_id}.json"
        if path.exists():
            (kept if _same(path, task) else different).append(path.name)
            continue
        with written_whole(path) as part:
            part.write_text(task.to_json(), encoding="utf-8")
        written.append(path.name)
    return Made(tuple(written), tuple([*kept, *different]), tuple(different))


def _same(path: Path, task: Task) -> bool:
    try:
        there = read_json(path.read_bytes(), path.name)
    except UserError:
        return False
    wanted = json.loads(task.to_json())
    return isinstance(there, dict) and all(there.get(key) == value for key, value in wanted.items())


def _from_profile(name: str, split: str) -> Iterator[Task]:
    profile = load_profile(name)
    split = check_choice("split", split, SPLITS)
    size = profile.difficulties["medium" if split == "medium" else "easy"]
    return (
        family_named(profile.family).make_task(size, seed=profile.seed, split=split, index=index)
        for index in range(profile.splits()[split])
    )


def _from_json(path: Path) -> Iterator[Task]:
    if not path.is_file():
        raise UserError(f"{shown_name(path)}: no such config; give a profile's name or a JSON file")
    try:
        settings = _Settings.model_validate(read_json(path.read_bytes(), path.name))
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(
            f"{path.name}: {'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg']}"
        ) from None
    own = settings.knapsack
    if own.num_allowed_classes > len(own.classes):
        raise UserError(
            f"{path.name}: num_allowed_classes = {own.num_allowed_classes}, but only {len(own.classes)} classes"
        )
    # Were one of two classes of one name allowed, items would be usable that the optimum left out.
    twice = next((name for name in own.classes if own.classes.count(name) > 1), None)
    if twice is not None:
        raise UserError(
            f"{path.name}: knapsack.classes names {twice!r:.60} twice; give each class a name of its own"
        )
    size = Size(
        settings.run_name,
        own.n_items_range,
        own.weight_range,
        own.value_range,
        len(own.classes),
        own.num_allowed_classes,
        own.capacity_ratio_range,
    )
    names = dict(zip(LETTERS, own.classes, strict=False))
    drawn = (
        make_task(size, seed=settings.seed_start, split="config", index=i)
        for i in range(own.num_tasks)
    )
    return (_renamed(task, names, index, settings.run_name) for index, task in enumerate(drawn))


def _renamed(task: Task, names: dict[str, str], index: int, run_name: str) -> Task:
    """The task under the config's class names and in the authors' numbering."""
    items = {
        item: {**facts, "class": names[facts["class"]]}
        for item, facts in task.private["items"].items()
    }
    public = {
        **task.public,
        "allowed_classes": [names[letter] for letter in task.public["allowed_classes"]],
    }
    own = f"knapsack-{index:010d}"
    return replace(task, private={"items": items}, public=public, task_id=own, run_name=run_name)


# Reading ------------------------------------------------------------------------------------------


def read_task_files(source: str | Path) -> list[Task]:
    """Every task of a folder, archive or file, in the code's spelling or the data card's (`budget`,
    `valid_classes`).

    Raises UserError naming the file that is no task.
    """
    tasks = [
        _task(read_json(data, name), name)
        for name, data in members(source, lambda name: name.endswith(".json"))
    ]
    if not tasks:
        raise UserError(f"{shown_name(source)}: no task files (*.json) in it")
    return tasks


def _task(data: Any, name: str) -> Task:
    shown = shown_name(name)
    if not isinstance(data, dict):
        raise UserError(f"{shown}: holds a {type(data).__name__} where a task is expected")
    public = data.get("public")
    if isinstance(public, dict):
        data = {**data, "public": {CARD.get(key, key): value for key, value in public.items()}}
    task = Task.from_json(json.dumps({"schema_version": SCHEMA, **data}), shown)
    for part, keys in (
        ("public", ("item_ids", "capacity", "allowed_classes", "inspect_budget")),
        ("private", ("items",)),
        ("reference", ("optimal_value",)),
    ):
        there = asdict(task)[part]
        lacking = [key for key in keys if not isinstance(there, dict) or key not in there]
        if lacking:
            raise UserError(f"{shown}: {part} lacks {lacking[0]}; this is no knapsack task")
    return task
