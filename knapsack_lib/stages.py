"""The stages of a study: what each notebook takes, makes and needs. The second cell of every notebook is

    from knapsack_lib.stages import check_parameters
    stage = check_parameters("04_cross_eval", globals())     # stage.profile, stage.run, stage.seed, stage.train, ...

which turns a misspelt name, a wrong value or a missing earlier stage into one line that says what to do.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from knapsack_lib.interpreter.persistence import persistence_named
from knapsack_lib.profiles import DIFFICULTIES, RUNTIMES, TRAININGS, Profile, Run, UserError, check_choice, load_profile
from knapsack_lib.provenance import code_digest, environment_stamp, provenance

__all__ = [
    "DEFAULTS", "STAGES", "Stage", "StageRun", "check_parameters", "code_digest", "environment_stamp", "plan",
    "provenance", "resolve",
]  # fmt: skip

# The parameters cells hold exactly these (a test compares them).
DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {
        "profile": "pocket",
        "seed": None,
        "runtime": "persistent",
        "train": "persistent",
        "difficulty": "easy",
        "train_seed": 1,
        "source": "",
    }  # fmt: skip
)


@dataclass(frozen=True)
class Stage:
    """One notebook. `words` are its parameters in the order in which they name outputs, each with its allowed values or
    with a function that returns the right spelling or raises UserError. `trained`: there is one for each adapter. `sourced`: it may read
    other episodes than those of the profile's run."""

    name: str
    words: Mapping[str, tuple[str, ...] | Callable[[str], str]] = field(default_factory=dict)
    seeded: bool = True
    trained: bool = False
    sourced: bool = False

    @property
    def parameters(self) -> tuple[str, ...]:
        seed, train_seed = ["seed"] if self.seeded else [], ["train_seed"] if self.trained else []
        return ("profile", *seed, *self.words, *train_seed, *(["source"] if self.sourced else []))


def any_runtime(word: str) -> str:
    """The study's two runtimes and the modes between them."""
    return persistence_named(word).name


STAGES: Mapping[str, Stage] = MappingProxyType(
    {
        stage.name: stage
        for stage in (
            Stage("00_pocket_base", seeded=False),
            Stage("01_generate"),
            Stage("02_teacher", {"runtime": RUNTIMES}),
            Stage("03_finetune", {"train": RUNTIMES}, trained=True),
            Stage(
                "04_cross_eval",
                {"train": TRAININGS, "runtime": any_runtime, "difficulty": DIFFICULTIES},
                trained=True,
            ),
            Stage("05_analysis", sourced=True),
            Stage("06_explore", sourced=True),
        )
    }
)


@dataclass(frozen=True)
class StageRun:
    """A stage with its parameters checked. Words that the stage does not take are empty."""

    stage: Stage
    run: Run
    given_profile: str  # a name, or a path that ends in .yaml
    train: str = ""
    runtime: str = ""
    difficulty: str = ""
    train_seed: int = 1
    source: str = ""  # empty: the profile's own run

    @property
    def profile(self) -> Profile:
        return self.run.profile

    @property
    def seed(self) -> int:
        return self.run.seed

    @property
    def words(self) -> tuple[str, ...]:
        return tuple(getattr(self, name) for name in self.stage.words)

    @property
    def output(self) -> Path:
        """Where the executed notebook goes."""
        others = [self.source_name] if self.source else []
        return self.run.notebook(self.stage.name, *self.words, *others, train_seed=self.train_seed)

    @property
    def source_name(self) -> str:
        """What stands for the source in a file's name: its last part, or owner and name of a data set."""
        named = Path(self.source).name if Path(self.source).exists() else self.source
        return "source-" + re.sub(r"[^A-Za-z0-9.]+", "-", named).strip("-.")

    @property
    def root(self) -> Path:
        """Where figures and tables go."""
        return self.run.root / self.source_name if self.source else self.run.published_root

    @property
    def arguments(self) -> list[str]:
        """The -p arguments that say the same to papermill."""
        pairs = list(zip(self.stage.words, self.words, strict=True))
        if self.given_profile != DEFAULTS["profile"]:
            pairs.append(("profile", self.given_profile))
        if self.stage.seeded and not self.run.own:
            pairs.append(("seed", str(self.seed)))
        if self.train_seed > 1:
            pairs.append(("train_seed", str(self.train_seed)))
        if self.source:
            pairs.append(("source", self.source))
        return [text for name, value in pairs for text in ("-p", name, value)]

    @property
    def command(self) -> str:
        """What a user types to run this stage."""
        return " ".join(["papermill", f"notebooks/{self.stage.name}.ipynb", *self.arguments])

    def another(self, name: str, train_seed: int = 1, **words: str) -> StageRun:
        """Another stage of the same run."""
        return StageRun(STAGES[name], self.run, self.given_profile, train_seed=train_seed, **words)

    def before(self) -> list[StageRun]:
        """The stages whose products this one reads."""
        if self.stage.name == "02_teacher":
            return [self.another("01_generate")]
        if self.stage.name == "03_finetune":
            return [self.another("02_teacher", runtime=self.train)]
        if self.stage.name == "04_cross_eval":
            first = self.another("01_generate")
            return (
                [first]
                if self.train == "base"
                else [first, self.another("03_finetune", self.train_seed, train=self.train)]
            )
        if self.stage.name == "05_analysis" and not self.source:
            return [at for at in plan(self) if at.stage.name != "05_analysis"]
        return []

    def missing(self) -> Iterator[Path]:
        """Those products of this stage that are not there or not complete."""
        run, tasks = self.run, self.profile.tasks
        if self.stage.name == "01_generate":
            for split in type(tasks).model_fields:
                if sum(1 for _ in run.tasks(split).glob("*.json")) != getattr(tasks, split):
                    yield run.tasks(split)
            yield from (run.expert(d) for d in DIFFICULTIES if not _complete(run.expert(d)))
        elif self.stage.name == "02_teacher" and not _complete(run.teacher(self.runtime)):
            yield run.teacher(self.runtime)
        elif self.stage.name == "03_finetune":
            adapter = run.adapter(self.train, self.train_seed)
            if not any(
                (adapter / name).is_file() for name in ("model.safetensors", "adapter/adapter_model.safetensors")
            ):
                yield adapter
        elif self.stage.name == "04_cross_eval":
            cell = run.cell(self.train, self.runtime, self.difficulty, self.train_seed)
            if not _complete(cell):
                yield cell

    def require(self) -> None:
        """Raise UserError with the command to run first when the product of an earlier stage is missing."""
        for earlier in self.before():
            for path in earlier.missing():
                todo = _chain(earlier)
                if len(todo) > 3 or self.stage.name == "05_analysis":
                    todo = [self._make()]
                what = f"{self.stage.name} needs {self.run.shown(path)}, which is missing or incomplete"
                raise UserError(f"{what}; run first: {' && '.join(todo)}")

    def _make(self) -> str:
        profile = [] if self.profile.name == DEFAULTS["profile"] else [f"PROFILE={self.profile.name}"]
        return " ".join(["make paper", *profile, *([] if self.run.own else [f"SEED={self.seed}"])])


def _complete(store: Path) -> bool:
    # A store keeps turns.jsonl for as long as episodes are under way (episodes.py).
    return (store / "episodes.jsonl").is_file() and not (store / "turns.jsonl").exists()


def _chain(at: StageRun) -> list[str]:
    """Commands for `at`, after those of what it lacks itself, in the order in which they must run."""
    commands: list[str] = []
    for earlier in at.before():
        if next(earlier.missing(), None) is not None:
            commands += [command for command in _chain(earlier) if command not in commands]
    return [*commands, at.command]


def plan(at: StageRun) -> list[StageRun]:
    """All stages of a study in order: 01, 02 x2, 03 x2 and 04 x8 for each training seed, 04 x4 of the base, 05."""
    return [
        at.another("01_generate"),
        *(at.another("02_teacher", runtime=runtime) for runtime in RUNTIMES),
        *(at.another("03_finetune", seed, train=train) for seed in at.profile.seeds() for train in RUNTIMES),
        *(
            at.another("04_cross_eval", seed, train=train, runtime=runtime, difficulty=difficulty)
            for train in TRAININGS
            for seed in at.profile.seeds(train)
            for runtime in RUNTIMES
            for difficulty in DIFFICULTIES
        ),
        at.another("05_analysis"),
    ]


def resolve(name: str, parameters: Mapping[str, Any]) -> StageRun:
    """Check a stage's parameters (those left out take their defaults).

    Raises UserError for an unknown stage, parameter, profile or value; the line lists the right ones.
    """
    if name not in STAGES:
        raise UserError(f"there is no stage {name!r}; choose one of: {', '.join(STAGES)}")
    stage = STAGES[name]
    for given in parameters:
        if given not in stage.parameters:
            close = difflib.get_close_matches(given, stage.parameters, n=1)
            meant = f"did you mean {close[0]}? " if close else ""
            raise UserError(f"{name} has no parameter {given!r}; {meant}it takes: {', '.join(stage.parameters)}")
    values = {key: parameters.get(key, DEFAULTS[key]) for key in stage.parameters}
    words = {
        key: allowed(values[key]) if callable(allowed) else check_choice(key, values[key], allowed)
        for key, allowed in stage.words.items()
    }
    profile = load_profile(str(values["profile"]))
    train_seed = _train_seed(profile, words.get("train", ""), values["train_seed"]) if stage.trained else 1
    run, source = profile.run(values.get("seed")), str(values.get("source", ""))
    return StageRun(stage, run, str(values["profile"]), train_seed=train_seed, source=source, **words)


def _train_seed(profile: Profile, train: str, given: object) -> int:
    possible = profile.seeds(train)
    if isinstance(given, bool) or not isinstance(given, int) or given not in possible:
        why = "the base is not trained" if train == "base" else f"train_seeds of the profile {profile.name}"
        raise UserError(f"train_seed = {given!r} is not in 1 to {len(possible)} ({why}); choose one of these")
    return given


def check_parameters(name: str, namespace: Mapping[str, Any]) -> StageRun:
    """Read the parameters of notebook `name` from its globals(), check them and what earlier stages left.

    Raises UserError: one line with the right names or values, or with the command to run first.
    """
    if name not in STAGES:
        raise UserError(f"there is no stage {name!r}; choose one of: {', '.join(STAGES)}")
    declared = {key: namespace[key] for key in STAGES[name].parameters if key in namespace}
    at = resolve(name, declared | {key: namespace[key] for key in _stray(name, namespace)})
    at.require()
    return at


def _stray(name: str, namespace: Mapping[str, Any]) -> list[str]:
    """Plain values in a fresh namespace that are no parameter of the stage: papermill put them there.

    When this cell runs first, the kernel has seen at most the defaults, the injected cell and this one. Later, in a
    session of somebody at work in JupyterLab, other names are their own and are left alone.
    """
    if len(namespace.get("In", ())) > 4:  # In[0] is always empty
        return []
    ours = {*STAGES[name].parameters, "In", "Out"}
    plain = (bool, int, float, str, list, tuple, dict, type(None))
    return [
        key
        for key, value in namespace.items()
        if key not in ours and not key.startswith(("_", "PAPERMILL_")) and isinstance(value, plain)
    ]
