"""Profiles: params/*.yaml -> one strict, frozen object.

    profile = load_profile("pocket")
    run = profile.run(seed=1)

A profile is the whole experimental setting: nothing else in the library holds a setting.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from knapsack_lib.errors import UserError, first_problem
from knapsack_lib.files import digest_of, project_root
from knapsack_lib.profiles.cell import ARMS, DIFFICULTIES, REACT, RUNTIMES, Cell
from knapsack_lib.profiles.run import Run
from knapsack_lib.profiles.settings import (
    Analysis,
    Base,
    Evaluation,
    Gates,
    InterpreterSettings,
    Limits,
    PromptOptions,
    Strict,
    TaskCounts,
    Teacher,
    Training,
)

__all__ = ["COMMITTED", "Profile", "load_profile", "read_settings"]

# The profile whose episodes, figures and tables are in the repository.
COMMITTED = "pocket-seeds"
MOST_LIKES = 3  # profiles in a chain, each like the next
EPISODE_SETTINGS = {
    "family",
    "difficulties",
    "tasks",
    "limits",
    "interpreter",
    "prompt",
    "teacher",
    "training",
    "evaluation",
}
# Parts of these that say how a server is reached, waited for and paid, not what it answers.
OPERATION: dict[str, Any] = {
    "teacher": {"gemini": {"concurrency", "attempts", "timeout_seconds", "budget_usd"}},
    "evaluation": {
        "serving": {
            "gpu_memory",
            "concurrency",
            "start_seconds",
            "timeout_seconds",
            "agreement",
            "python",
        }
    },
}


class Profile(Strict):
    """One study. `difficulties` maps the words easy and medium to named sizes in the family."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        description="that of its file: outputs go to runs/<name>",
    )
    about: str = Field(description="one line for people")
    seed: int = Field(ge=0, description="root of every random draw")
    train_seeds: int = Field(
        ge=1,
        description="adapters per regime: the same traces in another order, then the same cells",
    )
    family: str = Field(pattern=r"^[a-z_][a-z0-9_]*$", description="of tasks: families/")
    difficulties: dict[Literal["easy", "medium"], str] = Field(
        description="the words easy and medium -> sizes of the family"
    )
    tasks: TaskCounts = Field(description="how many of each split")
    limits: Limits = Field(description="what an episode may use")
    interpreter: InterpreterSettings = Field(description="how kills and protections are treated")
    prompt: PromptOptions = Field(description="what the agent reads")
    teacher: Teacher = Field(description="who writes the traces")
    base: Base = Field(description="the pocket base, for notebook 00 alone")
    training: Training = Field(description="one fine-tune")
    evaluation: Evaluation = Field(description="how models play")
    gates: Gates = Field(description="what must hold before anything is reported")
    analysis: Analysis = Field(description="how results are judged")
    executor: Literal["local", "processes", "ray", "dask"] = Field(
        default="local", description="where shards are played: executors.py"
    )
    react: bool = Field(
        default=False,
        description="whether the study has the ReAct arm too: one tool call a turn and no interpreter",
    )
    untrained: bool = Field(
        default=True, description="whether the base plays too, before it is trained on anything"
    )
    published: bool = Field(
        description="true: figures/, paper/ and results/ of the repository are this profile's"
    )

    @field_validator("difficulties")
    @classmethod
    def _both(cls, value: dict) -> dict:
        if set(value) != set(DIFFICULTIES):
            raise ValueError("needs exactly the keys easy and medium")
        return value

    @model_validator(mode="after")
    def _sections_fit(self) -> Profile:
        named = self.training.seeds
        if named and len(named) < self.train_seeds:
            raise ValueError(
                f"training.seeds names {len(named)} adapters, train_seeds asks for {self.train_seeds}"
            )
        if self.teacher.policy == "gemini" and self.executor != "local":
            raise ValueError("a paid teacher is asked from one machine: executor = local")
        if self.react and self.teacher.policy == "varied":
            raise ValueError(
                "the varied teacher writes code alone: set react: false, or teacher.policy: scripted"
            )
        if self.training.choose == "play" and self.evaluation.engine != "pocket":
            raise ValueError("training.choose = play needs the pocket engine; choose by loss")
        serving = self.evaluation.serving
        if self.training.chat == "add" and serving and not serving.url:
            raise ValueError(
                "training.chat = add trains rows of the embeddings, which vLLM takes from no adapter: name the url of a "
                "server of the merged models in evaluation.serving, or set training.chat: own"
            )
        return self

    def train_seeds_of(self, train: str) -> range:
        """The training seeds of a training: 1 to train_seeds; 0 for what is not trained."""
        return range(1, self.train_seeds + 1) if train in ARMS else range(1)

    @property
    def arms(self) -> tuple[str, ...]:
        """The kinds of traces: of one each is written, and trained on."""
        return ARMS if self.react else RUNTIMES

    def cells(self) -> list[Cell]:
        """The study's cells: the base (where it is `untrained`) and every adapter, in both runtimes, on both sizes. With the
        ReAct arm its adapters and the base play ReAct, too."""
        base = ("base",) if self.untrained else ()
        pairs = [(train, RUNTIMES) for train in (*base, *RUNTIMES)]
        calling = [(train, (REACT,)) for train in (*base, REACT)] if self.react else []
        return [
            Cell(self.family, train, runtime, difficulty, seed)
            for train, runtimes in [*pairs, *calling]
            for seed in self.train_seeds_of(train)
            for runtime in runtimes
            for difficulty in DIFFICULTIES
        ]

    def adapters(self) -> list[Cell]:
        """One aligned easy cell for each adapter, which stands for it."""
        return [
            Cell(self.family, t, t, "easy", seed)
            for seed in self.train_seeds_of(RUNTIMES[0])
            for t in self.arms
        ]

    def teachers(self) -> list[Cell]:
        return [Cell(self.family, "teacher", runtime, "easy") for runtime in self.arms]

    def experts(self) -> list[Cell]:
        return [
            Cell(self.family, "expert", "persistent", difficulty) for difficulty in DIFFICULTIES
        ]

    def splits(self) -> dict[str, int]:
        """Split -> number of tasks: train, validation, easy, medium."""
        return self.tasks.model_dump(include={"train", "validation", *DIFFICULTIES})

    def digest(self) -> str:
        """SHA-256 of every setting. A setting at its default counts as one that is not there."""
        return digest_of(self.model_dump(mode="json", exclude_defaults=True))

    def episode_digest(self) -> str:
        """SHA-256 of the settings that shape episodes: two profiles with one such digest play the same ones."""
        return digest_of(
            self.model_dump(
                mode="json", include=EPISODE_SETTINGS, exclude=OPERATION, exclude_defaults=True
            )
        )

    def run(self, seed: int | None = None) -> Run:
        """The places of this profile's run under one root seed (the profile's own by default)."""
        seed = self.seed if seed is None else seed
        if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
            raise UserError(f"seed = {seed!r} is not a whole number from 0 up")
        return Run(self, seed)


def load_profile(name: str) -> Profile:
    """Read params/<name>.yaml (or a path that ends in .yaml). `like: <name>` takes that profile's
    sections, then its own.

    Raises UserError with one line for a missing file, an unknown or missing key, or a value out of
    range.
    """
    path, data = read_settings(name)
    if isinstance(data, dict) and "studies" in data:
        raise UserError(
            f"{path.name} is a suite of studies, which `knapsack run` takes; name one of them here: "
            f"{', '.join(map(str, data['studies'] or ()))}"
        )
    if isinstance(data, dict) and data.setdefault("name", path.stem) != path.stem:
        raise UserError(
            f"{path.name}: name is {data['name']!r}; write {path.stem!r}, as its file is called, or leave it out"
        )
    try:
        return Profile.model_validate(data)
    except ValidationError as error:
        raise UserError(
            f"{path.name}: {first_problem(error)}; correct that line and run again"
        ) from None


def read_settings(name: str) -> tuple[Path, Any]:
    """(the file, what it says over what the profile that it is like says), nothing of it checked."""
    path = _profile_file(name)
    return path, _settings(path)


def _profile_file(name: str) -> Path:
    path = Path(name) if str(name).endswith(".yaml") else project_root() / "params" / f"{name}.yaml"
    try:
        there = path.is_file()
    except OSError:  # too long a name, for one
        there = False
    if not there:
        known = sorted(p.stem for p in (project_root() / "params").glob("*.yaml"))
        raise UserError(
            f"profile {name!r} has no file {path.name} in params/; choose one of: {', '.join(known)}"
        )
    return path


def _settings(path: Path, above: tuple[Path, ...] = ()) -> Any:
    """What a file says, over what the profile that it is like says; a name, and being the published
    one, are its own. `tasks: <source>` takes its counts from that profile."""
    data = _read_yaml(path)
    if not isinstance(data, dict) or "like" not in data:
        return data
    other = _profile_file(str(data.pop("like")))
    if other in (path, *above) or len(above) == MOST_LIKES:
        raise UserError(
            f"{path.name}: like: {other.stem} leads too far, or back to itself; name a profile that is whole"
        )
    given = _settings(other, (path, *above))
    if not isinstance(given, dict):
        raise UserError(f"{path.name}: like: {other.stem} holds no settings; name another profile")
    if isinstance(data.get("tasks"), str):  # a source alone: the counts stay
        data["tasks"] = {**given.get("tasks", {}), "source": data["tasks"]}
    return {**given, "published": False, "name": path.stem, **data}


class _Plain(yaml.SafeLoader):
    """Without what YAML takes for something else than is meant: of a key that stands twice the
    last, of 010 eight, of 1:30 ninety."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        for key, count in keys.items():
            if count > 1 and key != "<<":
                raise yaml.YAMLError(f"{key} stands {count} times in one section")
        return super().construct_mapping(node, deep)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        if re.match(r"[-+]?(0[0-7_]|.*:)", node.value):
            raise yaml.YAMLError(f"{node.value} is no plain number; write its digits, or quote it")
        return super().construct_yaml_int(node)


_Plain.add_constructor("tag:yaml.org,2002:int", _Plain.construct_yaml_int)


def _read_yaml(path: Path) -> Any:
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_Plain)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{path.name} is not valid YAML: {' '.join(str(error).split())}") from None
