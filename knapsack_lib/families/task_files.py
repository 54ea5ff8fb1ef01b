"""Tasks on disk: one JSON file each, read when it is asked for.

write_tasks(folder, tasks)
tasks = read_tasks(folder, hint="papermill notebooks/01_generate.ipynb")
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import overload

from knapsack_lib.errors import UserError
from knapsack_lib.families.base import Task
from knapsack_lib.files import refused_in_one_line

__all__ = ["TaskFiles", "read_tasks", "write_tasks"]


class TaskFiles(Sequence[Task]):
    """Tasks on disk, each read when it is asked for; a slice and a sum are TaskFiles too, and what
    travels is the names.

    Raises UserError for a file that is no task.
    """

    def __init__(self, paths: Sequence[str]):
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    @overload
    def __getitem__(self, place: int) -> Task: ...
    @overload
    def __getitem__(self, place: slice) -> TaskFiles: ...
    def __getitem__(self, place: int | slice) -> Task | TaskFiles:
        if isinstance(place, slice):
            return TaskFiles(self.paths[place])
        path = Path(self.paths[place])
        return Task.from_json(path.read_text(encoding="utf-8", errors="replace"), path.name)

    def __add__(self, other: TaskFiles) -> TaskFiles:
        return TaskFiles([*self.paths, *other.paths])

    def __eq__(self, other: object) -> bool:
        return list(self) == list(other) if isinstance(other, Sequence) else NotImplemented


def write_tasks(folder: Path, tasks: Iterable[Task]) -> None:
    """One file a task, replaced whole once all of them are made; files of tasks that are not among
    these are removed. Raises UserError, and leaves the folder's tasks as they were, when the disk is
    full or may not be written."""
    keep, parts = set(), dict[Path, Path]()
    with refused_in_one_line(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            for task in tasks:
                path, text = folder / f"{task.task_id}.json", task.to_json()
                if not path.exists() or path.read_text(encoding="utf-8") != text:
                    parts[path] = path.with_suffix(".part")
                    parts[path].write_text(text, encoding="utf-8")
                keep.add(path.name)
        except BaseException:
            for part in parts.values():
                part.unlink(missing_ok=True)
            raise
        for stale in sorted(folder.glob("*.json")):
            if stale.name not in keep:
                stale.unlink()
        for path, part in parts.items():
            part.replace(path)


def read_tasks(folder: Path, hint: str) -> TaskFiles:
    """All tasks of a folder in id order, each looked at once. `hint` is the command that makes
    them, for the error line."""
    paths = sorted(str(path) for path in folder.glob("*.json"))
    if not paths:
        raise UserError(f"no tasks in {folder.name}; run first: {hint}")
    found = TaskFiles(paths)
    for _ in found:  # a bad file is reported before anything is played
        pass
    return found
