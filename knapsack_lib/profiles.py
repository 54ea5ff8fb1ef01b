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
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError, field_validator

__all__ = ["Profile", "Run", "UserError", "load_profile", "named_seed", "check_choice", "project_root", "SPELLINGS"]

RUNTIMES = ("persistent", "reset")
TRAININGS = ("base", *RUNTIMES)
DIFFICULTIES = ("easy", "medium")
SPELLINGS = {"stateless": "reset", "hard": "medium"}  # the words of the paper's files, accepted everywhere


class UserError(Exception):
    """A mistake a user can mend. Its text is one line: what is wrong, where, and the mend."""

    def _render_traceback_(self) -> list[str]:
        # IPython asks an exception for this: notebooks then show the line instead of a stack of frames.
        return [f"UserError: {self}"]


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


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TaskCounts(_Strict):
    """How many instances of each split. `train` and `validation` are drawn at the training (easy) difficulty."""

    train: int = Field(ge=1)
    validation: int = Field(ge=1)
    easy: int = Field(ge=1)
    medium: int = Field(ge=1)


class Limits(_Strict):
    """What an episode may use. The same object in every arm."""

    turns: int = Field(ge=1)
    tool_calls: int = Field(ge=1, description="tool calls within one turn")
    wall_seconds: float = Field(gt=0, description="for one turn's code")
    cpu_seconds: int = Field(ge=1, description="for one turn's code")
    memory_mb: int = Field(ge=64)
    output_chars: int = Field(ge=100, description="of one observation; what is beyond is cut and said to be")


class Interpreting(_Strict):
    """How the interpreter treats a kill, and which of its protections this study does without."""

    after_kill: Literal["restore", "lose"] = Field(
        description="restore: a persistent episode goes on from the state before the killed step; lose: from nothing"
    )
    without: tuple[Literal["files", "syscalls", "limits", "privileges"], ...] = Field(
        description="protections to do without on a machine that lacks them; see python -m knapsack_lib.interpreter"
    )


class Cues(_Strict):
    """What the agent is told about its runtime (a cue is shown in training exactly as in evaluation)."""

    prompt: Literal["brief", "full"]
    cue: Literal["none", "stated"]
    list_bindings: bool


class Teacher(_Strict):
    policy: Literal["scripted"]
    slip_share: float = Field(ge=0, le=1, description="share of traces that contain a slip and its recovery")
    batch_sizes: tuple[PositiveInt, ...] = Field(
        min_length=1, description="items inspected a turn; one is drawn per task"
    )
    style_variants: int = Field(ge=1, le=2, description="how many vocabularies of names the expert uses")


class Base(_Strict):
    """The pocket base: size, curriculum and optimisation. Lengths in tokens, rates per step."""

    seed: int = Field(ge=0)
    vocabulary: int = Field(ge=700)
    hidden: int = Field(ge=32)
    layers: int = Field(ge=1)
    heads: int = Field(ge=1)
    feed_forward: int = Field(ge=32)
    context: int = Field(ge=128)
    rope_theta: float = Field(gt=0)
    tokens: int = Field(ge=1)
    tokens_per_step: int = Field(ge=64)
    first_length: int = Field(ge=32)
    last_length: int = Field(ge=32)
    grow_until: float = Field(gt=0, le=1, description="share of the tokens after which documents have full size")
    sessions_from: float = Field(ge=0, le=1, description="share of the growth before which documents only restate")
    sessions_share: float = Field(ge=0, le=1)
    largest: int = Field(ge=2, description="things a document is about, at the end of the curriculum")
    learning_rate: float = Field(gt=0)
    matrix_rate: float = Field(gt=0)
    decay_share: float = Field(gt=0, le=1)
    other_weight: float = Field(ge=0, description="loss weight of assistant text that is no copy (a copy has 1)")
    shown_weight: float = Field(ge=0, description="loss weight of what the assistant is shown")
    threads: int = Field(ge=1)
    gate: float = Field(ge=0, le=1, description="held-out copy accuracy that must be reached")


class Training(_Strict):
    method: Literal["full", "lora", "qlora"]
    base: str
    steps: int = Field(ge=1)
    episodes_per_step: int = Field(ge=1)
    optimizer: Literal["muon", "adamw"]
    learning_rate: float = Field(gt=0)
    matrix_rate: float = Field(gt=0, description="Muon's rate for the matrices; unused with adamw")
    weight_decay: float = Field(ge=0)
    warmup_share: float = Field(ge=0, lt=1)
    decay_share: float = Field(gt=0, le=1, description="last share of the steps over which the rate falls to zero")
    max_tokens: int = Field(ge=64)
    lora_rank: int = Field(ge=1)
    lora_alpha: int = Field(ge=1)
    lora_dropout: float = Field(ge=0, lt=1)
    average_decay: float = Field(ge=0, lt=1, description="0: none; else the decay of the running average of weights")
    check_every: int = Field(ge=1, description="steps between validation losses and checkpoints")
    candidates: int = Field(ge=1, description="how many of the last checkpoints play the validation tasks")
    bf16: bool
    threads: int = Field(ge=1)


class Evaluation(_Strict):
    engine: Literal["pocket"]
    temperature: float = Field(ge=0)
    max_new_tokens: int = Field(ge=8, description="in one turn")
    context: int = Field(ge=64, description="tokens an episode may hold")
    shard: int = Field(ge=1, description="episodes decoded together; the unit that is redone after a kill")
    threads: int = Field(ge=1)


class Gates(_Strict):
    """What must hold in the aligned cells before anything is reported."""

    share_of_expert: float = Field(ge=0, le=1)
    finished: float = Field(ge=0, le=1)
    expert_turns: float = Field(ge=1, description="mean turns of the expert, so that state matters")


class Analysis(_Strict):
    """How results are judged; fixed before they are seen. Changing it changes no episode."""

    resamples: int = Field(ge=100, description="of every bootstrap interval")
    level: float = Field(gt=0.5, lt=1, description="of every interval")
    alpha: float = Field(gt=0, lt=0.5, description="of every test, after Holm's correction over the family")
    margin: float = Field(gt=0, lt=1, description="scores that differ by less count as equal (TOST)")
    power: float = Field(gt=0.5, lt=1, description="at which the smallest detectable difference is given")


class Profile(_Strict):
    """One study. `difficulties` maps the words easy and medium to named sizes in the family."""

    name: str
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
    published: bool = Field(description="true: figures/, paper/ and results/ of the repository are this profile's")

    @field_validator("difficulties")
    @classmethod
    def _both(cls, value: dict) -> dict:
        if set(value) != set(DIFFICULTIES):
            raise ValueError("needs exactly the keys easy and medium")
        return value

    def seeds(self, train: str = "") -> range:
        """The training seeds of a regime: 1 to train_seeds; for the base, which is not trained, 1."""
        return range(1, 2 if train == "base" else self.train_seeds + 1)

    def splits(self) -> dict[str, int]:
        """Split -> number of tasks: train, validation, easy, medium."""
        return self.tasks.model_dump()

    def digest(self) -> str:
        """SHA-256 of the canonical JSON of every setting."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def episode_digest(self) -> str:
        """The same without what only describes or judges: two profiles with one such digest play the same episodes."""
        text = self.model_dump_json(exclude={"name", "about", "train_seeds", "gates", "analysis", "published"})
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
        shipped = Path(__file__).parent / "assets" / self.profile.training.base
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
    """Read params/<name>.yaml (or a path that ends in .yaml). `like: <name>` takes that profile's keys, then its own.

    Raises UserError with one line for a missing file, an unknown or missing key, or a value out of range.
    """
    path = _profile_file(name)
    data = _read_yaml(path)
    if isinstance(data, dict) and "like" in data:
        data = {
            **_read_yaml(_profile_file(data["like"])),
            **{key: value for key, value in data.items() if key != "like"},
        }
    try:
        return Profile.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise UserError(f"{path.name}: {where}: {first['msg']}; mend that line and run again") from None


def _profile_file(name: str) -> Path:
    path = Path(name) if str(name).endswith(".yaml") else project_root() / "params" / f"{name}.yaml"
    if not path.is_file():
        known = sorted(p.stem for p in (project_root() / "params").glob("*.yaml"))
        raise UserError(f"profile {name!r} has no file {path.name} in params/; choose one of: {', '.join(known)}")
    return path


def _read_yaml(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise UserError(f"{path.name} is not valid YAML: {' '.join(str(error).split())}") from None
