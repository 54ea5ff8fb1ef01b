"""What every task family provides: tasks, the world that an agent acts in, the words it is shown,
its numbers, its expert.

    family = family_named("knapsack")
    task = family.make_task("easy", seed=7, split="train", index=0)
    world = family.world(task)

A world lives in the host process and holds everything hidden. Model-written code reaches it only
through tool calls.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal, Protocol

from knapsack_lib.errors import UserError
from knapsack_lib.messages import Message, Reply
from knapsack_lib.profiles import Teacher

__all__ = ["Calls", "Expert", "Family", "Metric", "Task", "ToolError", "World"]

SCHEMA = "pythonformer.task.v1"  # the tag of the published task files

Calls = Sequence[Mapping[str, Any]]  # tool calls as a turn records them: name, args, result, error


class ToolError(Exception):
    """A tool's refusal. `kind` names the builtin exception that the agent's code sees (RuntimeError
    where there is none of that name)."""

    def __init__(self, kind: str, message: str):
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True)
class Task:
    """One instance in the published schema. `public` is known to the environment, not shown to the
    agent as a whole."""

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
        return (
            json.dumps({**asdict(self), "schema_version": SCHEMA}, sort_keys=True, indent=1) + "\n"
        )

    @classmethod
    def from_json(cls, text: str, where: str = "task file") -> Task:
        """Read one task file; other keys (a clock, say) are ignored. Raises UserError naming what
        is missing."""
        try:
            data = json.loads(text)
            tag = data.get("schema_version", SCHEMA)
            data = {"nl": "", "tools": [], "run_name": "", **data}
            fields = {name: data[name] for name in cls.__dataclass_fields__}
            for name in ("difficulty", "public", "private", "reference"):
                if not isinstance(fields[name], dict):
                    raise ValueError(f"{name} holds no names and values")
        except (ValueError, AttributeError) as error:
            raise UserError(
                f"{where} is not a JSON object ({error}); make it again with notebook 01"
            ) from None
        except KeyError as error:
            raise UserError(
                f"{where} lacks the key {error}; make it again with notebook 01"
            ) from None
        if tag != SCHEMA:
            raise UserError(f"{where} has schema {tag!r}; this package reads {SCHEMA!r}")
        return cls(**fields)


class World(Protocol):
    """One task being acted on. Tools take and return JSON values and raise ToolError to refuse."""

    @property
    def done(self) -> bool: ...

    @property
    def tools(self) -> Mapping[str, Callable[..., Any]]: ...

    def facts(self) -> dict[str, Any]:
        """What the agent is told (the family's `task_text` shows it). Never anything
        hidden."""
        ...

    def result(self) -> dict[str, Any]:
        """How the task stands: `score` (0 to 1), `solved`, and whatever the family's metrics are
        worked out from."""
        ...


class Expert(Protocol):
    """A scripted agent that answers one episode, from what the agent is shown alone."""

    def reply(self, messages: list[Message]) -> Reply: ...


@dataclass(frozen=True)
class Metric:
    """A number of an episode's result: a column of the episode frame. `of` works it out; `form`
    formats its mean."""

    label: str
    of: Callable[[Mapping[str, Any]], float]
    kind: Literal["int64", "float64"] = "float64"
    form: str = ".1f"


class Family(ABC):
    """A family of tasks. One instance of it stands in its module under the name FAMILY."""

    name: ClassVar[str]
    tools: ClassVar[tuple[str, ...]]
    # Difficulty of a profile -> the family's own description of a size
    sizes: ClassVar[Mapping[str, Any]]
    # Prompt style ("brief", "full") -> how the tools are described, and the task message with the world's facts.
    tools_text: ClassVar[Mapping[str, str]]
    task_text: ClassVar[Mapping[str, str]]
    metrics: ClassVar[Mapping[str, Metric]] = {}  # column -> number of a result
    # What reports on published files add: name -> number of a file's metrics, NaN where it is not recorded.
    published_metrics: ClassVar[Mapping[str, Metric]] = {}
    # For the tokenizer of a base made from scratch: what its expert says, and the sizes of the tasks that it plays for it
    # (difficulty of a profile -> size; those of the profile by default).
    sentences: ClassVar[tuple[str, ...]] = ()
    tokenizer_sizes: ClassVar[Mapping[str, Any]] = {}

    @abstractmethod
    def make_task(self, size: Any, *, seed: int, split: str, index: int) -> Task:
        """The task of one (seed, size, split, index): the same bytes in every process. `size` is a
        name of `sizes` or one of their kind. Raises UserError for an unknown name, or where no task
        can be drawn."""

    @abstractmethod
    def world(self, task: Task) -> World:
        """The task, ready to be acted on."""

    def reset_disk(self, world: World) -> None:
        """Bring the files of the world, if it has any, back to how they began (interpreter.disk)."""
        return None

    def expert(self, style: str, setting: Teacher, seed: int) -> Expert:
        """The scripted expert in the style of one runtime: persistent, reset, or react (one tool call a turn). Raises
        UserError where the family has none."""
        raise UserError(f"family {self.name} has no scripted expert; choose another teacher.policy")

    def varied_expert(self, style: str, setting: Teacher, seed: int) -> Expert:
        """The varied teacher (families/varied/) in the style of one runtime, persistent or reset. Raises UserError where
        the family has none."""
        raise UserError(f"family {self.name} has no varied teacher; choose another teacher.policy")

    def size(self, name: str) -> Any:
        """Look a size up. Raises UserError with the list of sizes."""
        if name not in self.sizes:
            raise UserError(f"size {name!r} is unknown; choose one of: {', '.join(self.sizes)}")
        return self.sizes[name]

    def describe(self, size: str) -> str:
        """A size in a few words, for tables and the paper: "7 to 11 items"."""
        return size

    def attempted(self, result: Mapping[str, Any]) -> bool:
        """Whether anything was handed in as a solution, whatever it is worth."""
        return result["score"] > 0

    def explored(self, result: Mapping[str, Any]) -> bool:
        """Whether the result shows that a tool was used (the authors' files do not record calls)."""
        return self.attempted(result)

    def from_published(self, metrics: Mapping[str, float]) -> dict[str, Any]:
        """The metrics of a published result file as a world's result, without score and solved."""
        return dict(metrics)

    def to_published(self, result: Mapping[str, Any]) -> dict[str, Any]:
        """The metrics of a result file for a world's result: numbers, which from_published reads
        again. Raises KeyError or TypeError for what is no result of this family."""
        numbers = {name: value for name, value in result.items() if type(value) in (int, float)}
        numbers.pop("score", None)
        return numbers

    def tasks_from_config(self, section: Any, *, seed: int, run_name: str) -> Iterable[Task]:
        """The tasks that the family's section of a config in the authors' shape describes. Raises
        pydantic's ValidationError for a bad section, UserError where the family reads none."""
        raise UserError(f"family {self.name} has no config in the authors' shape; use a profile")

    def progress(
        self, turns: Sequence[Calls], result: Mapping[str, Any], task: Task | None
    ) -> list[dict[str, float]]:
        """What the tool calls had brought after each turn: name -> number, curves of the explorer.
        The same names in every turn. `task` is None where it is not known."""
        return [{} for _ in turns]

    def picture(self, turns: Sequence[Calls], task: Task | None) -> str:
        """The state that these tool calls led to as an SVG text, for the explorer; "" for no
        picture. Shapes and text only: links, styles, handlers and transforms are left out there."""
        return ""
