"""Profiles: params/*.yaml -> one strict, frozen object, and every path of a run.

    profile = load_profile("pocket")
    run = profile.run(seed=1)          # run.tasks("train"), run.cell("persistent", "reset", "easy"), ...

A profile is the whole experimental setting. Nothing else in the library holds a setting, and no other module spells a path.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from knapsack_lib.profiles.settings import (
    Analysis,
    Base,
    Cues,
    Evaluation,
    Gates,
    Gemini,
    Interpreting,
    Limits,
    Serving,
    Strict,
    TaskCounts,
    Teacher,
    Training,
)

__all__ = [
    "Analysis", "Base", "Cues", "Evaluation", "Gates", "Gemini", "Interpreting", "Limits", "Profile", "Run", "SPELLINGS",
    "Serving", "TaskCounts", "Teacher", "Training", "UserError", "check_choice", "installs", "load_profile", "named_seed",
    "project_root",
]  # fmt: skip

RUNTIMES = ("persistent", "reset")
TRAININGS = ("base", *RUNTIMES)
DIFFICULTIES = ("easy", "medium")
SPELLINGS = {"stateless": "reset", "hard": "medium"}  # the words of the paper's files, accepted everywhere


class UserError(Exception):
    """A mistake a user can mend. Its text is one line: what is wrong, where, and the mend."""

    def _render_traceback_(self) -> list[str]:
        # IPython asks an exception for this: notebooks then show the line instead of a stack of frames.
        return [f"UserError: {self}"]


def installs(extra: str) -> str:
    """The command, typed in the project's folder, that installs an extra at the versions the project pins."""
    return "make env PROFILE=paper" if extra == "gpu" else f"pip install -c constraints.txt -e '.[{extra}]'"


def named_seed(root: int, *names: object) -> int:
    """A 63-bit seed for one named draw: independent of order of use, of the process and of PYTHONHASHSEED."""
    text = json.dumps([int(root), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def check_choice(name: str, value: object, allowed: tuple[str, ...]) -> str:
    """Return the canonical spelling of a command-line word, or raise UserError with the list of right ones."""
    word = SPELLINGS.get(str(value), str(value))
    if word not in allowed:
        raise UserError(f"{name} = {value!r} is unknown; choose one of: {', '.join(allowed)}")
    return word


class Profile(Strict):
    """One study. `difficulties` maps the words easy and medium to named sizes in the family."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="that of its file: outputs go to runs/<name>"
    )
    about: str
    seed: int = Field(ge=0)
    train_seeds: int = Field(
        ge=1, description="adapters per regime: the same traces in another order, then the same cells"
    )
    family: Literal["knapsack"]
    difficulties: dict[Literal["easy", "medium"], str]
    tasks: TaskCounts
    limits: Limits
    interpreter: Interpreting
    cues: Cues
    teacher: Teacher
    base: Base
    training: Training
    evaluation: Evaluation
    gates: Gates
    analysis: Analysis
    executor: Literal["local", "processes", "ray", "dask"] = Field(
        default="local", description="where shards are played: executors.py"
    )
    published: bool = Field(description="true: figures/, paper/ and results/ of the repository are this profile's")

    @field_validator("difficulties")
    @classmethod
    def _both(cls, value: dict) -> dict:
        if set(value) != set(DIFFICULTIES):
            raise ValueError("needs exactly the keys easy and medium")
        return value

    @model_validator(mode="after")
    def _one_seed_each(self) -> Profile:
        named = self.training.seeds
        if named and len(named) < self.train_seeds:
            raise ValueError(f"training.seeds names {len(named)} adapters, train_seeds asks for {self.train_seeds}")
        if self.teacher.policy == "gemini" and self.executor != "local":
            raise ValueError("a paid teacher is asked from one machine: executor = local")
        if self.training.choose == "play" and self.evaluation.engine != "pocket":
            raise ValueError("training.choose = play needs the pocket engine; choose by loss")
        return self

    def seeds(self, train: str = "") -> range:
        """The training seeds of a regime: 1 to train_seeds; for the base, which is not trained, 1."""
        return range(1, 2 if train == "base" else self.train_seeds + 1)

    def splits(self) -> dict[str, int]:
        """Split -> number of tasks: train, validation, easy, medium."""
        return self.tasks.model_dump()

    def digest(self) -> str:
        """SHA-256 of the canonical JSON of every setting."""
        text = json.dumps(self.model_dump(mode="json", exclude_defaults=True), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def episode_digest(self) -> str:
        """The same without what only describes or judges: two profiles with one such digest play the same episodes."""
        beside: dict[str, Any] = dict.fromkeys(
            ("name", "about", "train_seeds", "gates", "analysis", "executor", "published"), True
        )
        beside["teacher"] = {"gemini": {"concurrency", "attempts", "timeout_seconds", "budget_usd"}}
        beside["evaluation"] = {
            "serving": {
                "gpu_memory",
                "concurrency",
                "start_seconds",
                "timeout_seconds",
                "agreement",
                "url",
                "python",
            }  # not `names`: they say which model answers
        }
        text = self.model_dump_json(exclude=beside, exclude_defaults=True)
        return hashlib.sha256(json.dumps(json.loads(text), sort_keys=True).encode()).hexdigest()

    def run(self, seed: int | None = None) -> Run:
        """The places of this profile's run under one root seed (the profile's own by default)."""
        seed = self.seed if seed is None else seed
        if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
            raise UserError(f"seed = {seed!r} is not a whole number from 0 up")
        return Run(self, seed)


@dataclass(frozen=True)
class Run:
    """Every path of one run. Folders are made by whoever writes into them."""

    profile: Profile
    seed: int

    @property
    def own(self) -> bool:
        return self.seed == self.profile.seed

    @property
    def root(self) -> Path:
        name = self.profile.name if self.own else f"{self.profile.name}-seed{self.seed}"
        return project_root() / "runs" / name

    @property
    def published_root(self) -> Path:
        """Where figures/, paper/ and results/ go: the repository itself for the published profile and seed."""
        return project_root() if self.profile.published and self.own else self.root

    @property
    def base_output(self) -> Path:
        """Where notebook 00 writes the pocket base: into the package for the published profile."""
        shipped = Path(__file__).parents[1] / "assets" / self.profile.training.base
        return shipped if self.profile.published else self.root / self.profile.training.base

    def notebook(self, stem: str, *words: str, train_seed: int = 1) -> Path:
        return self.root / "notebooks" / (_joined(stem, *words, train_seed=train_seed) + ".ipynb")

    def tasks(self, split: str) -> Path:
        return self.root / "tasks" / split

    def teacher(self, runtime: str) -> Path:
        return self.root / "teacher" / runtime

    def expert(self, difficulty: str) -> Path:
        """The scripted expert's episodes on the test tasks: the yardstick of the gates."""
        return self.root / "expert" / difficulty

    def adapter(self, train: str, train_seed: int = 1) -> Path:
        return self.root / "adapters" / _joined(train, train_seed=train_seed)

    def cell(self, train: str, runtime: str, difficulty: str, train_seed: int = 1) -> Path:
        return self.root / "cells" / _joined(train, runtime, difficulty, train_seed=train_seed)

    def training_seed(self, what: str, train_seed: int) -> int:
        """The seed of a draw of one adapter's training: the same in both arms."""
        named = self.profile.training.seeds
        if named:
            return named_seed(named[train_seed - 1], what) if what != "fine-tune" else named[train_seed - 1]
        return named_seed(self.seed, what, *([train_seed] if train_seed > 1 else []))

    def shown(self, path: Path) -> str:
        """A path as outputs and messages show it: relative to the project."""
        return os.path.relpath(path, project_root())


def _joined(*words: str, train_seed: int) -> str:
    """The name of an output. The first adapter of a regime goes without a number."""
    plain = "-".join(words).replace(":", "")  # ttl:3 -> ttl3: make and some file systems have no colon in a name
    return plain if train_seed == 1 else f"{plain}-train{train_seed}"


def project_root() -> Path:
    """The folder that holds params/ and notebooks/: KNAPSACK_ROOT, else the nearest such folder above here.

    Raises UserError when there is none.
    """
    named = os.environ.get("KNAPSACK_ROOT")
    starts = [Path(named)] if named else [Path.cwd(), Path(__file__).parent]
    for start in starts:
        for folder in (start, *start.resolve().parents):
            if (folder / "params").is_dir() and (folder / "notebooks").is_dir():
                return folder.resolve()
    raise UserError("no folder with params/ and notebooks/ here or above; run from the project or set KNAPSACK_ROOT")


def load_profile(name: str) -> Profile:
    """Read params/<name>.yaml (or a path that ends in .yaml). `like: <name>` takes that profile's sections, then its own.

    Raises UserError with one line for a missing file, an unknown or missing key, or a value out of range.
    """
    path = _profile_file(name)
    data = _settings(path)
    if isinstance(data, dict) and data.setdefault("name", path.stem) != path.stem:
        raise UserError(
            f"{path.name}: name is {data['name']!r}; write {path.stem!r}, as its file is called, or leave it out"
        )
    try:
        return Profile.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise UserError(f"{path.name}: {where}: {first['msg']}; mend that line and run again") from None


def _profile_file(name: str) -> Path:
    path = Path(name) if str(name).endswith(".yaml") else project_root() / "params" / f"{name}.yaml"
    try:
        there = path.is_file()
    except OSError:  # too long a name, for one
        there = False
    if not there:
        known = sorted(p.stem for p in (project_root() / "params").glob("*.yaml"))
        raise UserError(f"profile {name!r} has no file {path.name} in params/; choose one of: {', '.join(known)}")
    return path


def _settings(path: Path, above: tuple[Path, ...] = ()) -> Any:
    """What a file says, over what the profile that it is like says; a name, and being the published one, are its own."""
    data = _read_yaml(path)
    if not isinstance(data, dict) or "like" not in data:
        return data
    other = _profile_file(str(data.pop("like")))
    if other in (path, *above) or len(above) == 3:  # the Makefile follows as many
        raise UserError(
            f"{path.name}: like: {other.stem} leads too far, or back to itself; name a profile that is whole"
        )
    given = _settings(other, (path, *above))
    if not isinstance(given, dict):
        raise UserError(f"{path.name}: like: {other.stem} holds no settings; name another profile")
    return {**given, "published": False, "name": path.stem, **data}


def _read_yaml(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError) as error:
        raise UserError(f"{path.name} is not valid YAML: {' '.join(str(error).split())}") from None
