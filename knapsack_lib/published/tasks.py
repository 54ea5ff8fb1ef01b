"""Task files, drawn from a profile or from a JSON config in the authors' shape.

made = generate_tasks("easy.json", Path("tasks/easy"))     # made.written, made.kept, made.different
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from knapsack_lib.errors import UserError, check_choice, first_problem
from knapsack_lib.families import Task, family_named, family_names
from knapsack_lib.files import write_whole
from knapsack_lib.profiles import load_profile
from knapsack_lib.published.files import shown_name
from knapsack_lib.published.records import json_object

__all__ = ["Made", "generate_tasks"]

# Settings of the authors' program: accepted in a config, not used.
UNUSED = (
    "cache_db_path",
    "llm",
    "llm_enabled",
    "max_workers",
    "out_dir",
)


class _Settings(BaseModel):
    """The top level of the authors' configs, without the sections of families."""

    model_config = ConfigDict(extra="forbid")

    run_name: str = "run"
    seed_start: int = Field(default=0, ge=0)


@dataclass(frozen=True)
class Made:
    """Names of task files: new ones, those that were there already, and those of them that are not
    what would be drawn."""

    written: tuple[str, ...]
    kept: tuple[str, ...]
    different: tuple[str, ...]


def generate_tasks(config: str, out: Path, split: str = "easy") -> Made:
    """Draw every task of the config and write those that are not there yet. Raises UserError for a
    bad config."""
    drawn = _from_json(Path(config)) if config.endswith(".json") else _from_profile(config, split)
    written: list[str] = []
    kept: list[str] = []
    different: list[str] = []
    for task in drawn:
        path = out / f"{task.task_id}.json"
        if not path.exists():
            written.append(write_whole(path, task.to_json()).name)
        else:
            (kept if _same(path, task) else different).append(path.name)
    return Made(tuple(written), (*kept, *different), tuple(different))


def _same(path: Path, task: Task) -> bool:
    try:
        there = json_object(path.read_bytes(), path.name)
    except UserError:
        return False
    return all(there.get(key) == value for key, value in json.loads(task.to_json()).items())


def _from_profile(name: str, split: str) -> Iterable[Task]:
    profile = load_profile(name)
    counts = profile.splits()
    split = check_choice("split", split, tuple(counts))
    size = profile.difficulties["medium" if split == "medium" else "easy"]
    return (
        family_named(profile.family).make_task(size, seed=profile.seed, split=split, index=index)
        for index in range(counts[split])
    )


def _from_json(path: Path) -> Iterable[Task]:
    if not path.is_file():
        raise UserError(f"{shown_name(path)}: no such config; give a profile's name or a JSON file")
    config = json_object(path.read_bytes(), path.name)
    sections = {name: config.pop(name) for name in family_names() if name in config}
    if not sections:
        raise UserError(f"{path.name}: has no section {' or '.join(family_names())}")
    try:
        top = _Settings(**{name: value for name, value in config.items() if name not in UNUSED})
        drawn = [
            family_named(name).tasks_from_config(
                section, seed=top.seed_start, run_name=top.run_name
            )
            for name, section in sections.items()
        ]
    except ValidationError as error:
        raise UserError(f"{path.name}: {first_problem(error)}") from None
    return chain.from_iterable(drawn)
