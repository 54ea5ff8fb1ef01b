"""What every task family provides: a Task record that round-trips through JSON, and a World that an agent acts in.

The World lives in the host process and holds everything hidden. Model-written code reaches it only through tool calls.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, overload

from knapsack_lib.profiles import UserError

__all__ = ["Task", "TaskFiles", "ToolError", "World", "read_tasks", "write_tasks"]

SCHEMA = "pythonformer.task.v1"  # the tag of the published task files


class ToolError(Exception):
    """A tool's refusal. `kind` names the builtin exception that the agent's code sees."""

    def __init__(self, kind: str, message: str):
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True)
class Task:
    """One instance in the published schema. `public` is known to the environment, not shown to the agent as a whole."""

    task_id: str
    family: str
    seed: int
    difficulty: dict[str, Any]
    tools: list[str]
    public: dict[str, Any]
    private: dict[str, Any]
    reference: dict[str, Any]
    nl: str
    run_name: str

    def to_json(self) -> str:
        """Canonical text: sorted keys, no clock, so that equal tasks are equal bytes."""
        return json.dumps({**asdict(self), "schema_version": SCHEMA}, sort_keys=True, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str, where: str = "task file") -> Task:
        """Read one task file; other keys (a clock, say) are ignored. Raises UserError naming what is missing."""
        try:
            data = json.loads(text)
            tag = data.get("schema_version", SCHEMA)
            data = {"nl": "", "tools": [], "run_name": "", **data}
            fields = {name: data[name] for name in cls.__dataclass_fields__}
            for name in ("difficulty", "public", "private", "reference"):
                if not isinstance(fields[name], dict):
                    raise ValueError(f"{name} holds no names and values")
        except (ValueError, AttributeError) as error:
            raise UserError(f"{where} is not a JSON object ({error}); make it again with notebook 01") from None
        except KeyError as error:
            raise UserError(f"{where} lacks the key {error}; make it again with notebook 01") from None
        if tag != SCHEMA:
            raise UserError(f"{where} has schema {tag!r}; this package reads {SCHEMA!r}")
        return cls(**fields)


class World(Protocol):
    """One task being acted on. Tools take and return JSON values and raise ToolError to refuse."""

    tools: Mapping[str, Callable[..., Any]]
    done: bool

    def facts(self) -> dict[str, Any]:
        """What the agent is told in words (prompts.py renders it). Never anything hidden."""
        ...

    def outcome(self) -> dict[str, Any]:
        """Score and metrics so far: value, optimal_value, optimality, solved, and the family's own."""
        ...


class TaskFiles(Sequence[Task]):
    """Tasks on disk, each read when it is asked for; a slice and a sum are TaskFiles too, and what travels is the names.

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
    """One file a task, replaced whole once all of them are made; files of tasks that are not among these are removed."""
    folder.mkdir(parents=True, exist_ok=True)
    keep, changed = set(), []
    for task in tasks:
        path, text = folder / f"{task.task_id}.json", task.to_json()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.with_suffix(".part").write_text(text, encoding="utf-8")
            changed.append(path.name)
        keep.add(path.name)
    for stale in sorted(folder.glob("*.json")):
        if stale.name not in keep:
            stale.unlink()
    for name in changed:
        (folder / name).with_suffix(".part").replace(folder / name)


def read_tasks(folder: Path, mend: str) -> TaskFiles:
    """All tasks of a folder in id order, each looked at once. `mend` is the command that makes them, for the error line."""
    paths = sorted(str(path) for path in folder.glob("*.json"))
    if not paths:
        raise UserError(f"no tasks in {folder.name}; run first: {mend}")
    found = TaskFiles(paths)
    for _ in found:  # a bad one is told of before anything is played
        pass
    return found
