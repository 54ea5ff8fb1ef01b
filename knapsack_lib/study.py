"""The study as a graph: its stages, what each takes and makes, and which are stale.

    step = check_parameters("04_cross_eval", globals())    # the second cell of every notebook
    step.profile, step.run, step.cell
    for step in graph(run): step.needs(), step.is_stale()

A stage is a notebook, a step is a stage with its parameters. This is the one place where the graph is stated: notebooks
check their parameters here, `knapsack run` plays it, and a misspelt name, a wrong value or a missing earlier step is one
line that says what to do.
"""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from knapsack_lib.errors import UserError, check_choice
from knapsack_lib.families import family_named
from knapsack_lib.files import digest_of, path_digest, project_root, shown, write_whole
from knapsack_lib.interpreter.persistence import persistence_named
from knapsack_lib.keys import ANALYSIS, EPISODE, TRAINING, computing_packages, sources_digest
from knapsack_lib.profiles import (
    ARMS,
    DIFFICULTIES,
    REACT,
    TRAININGS,
    Cell,
    Profile,
    Run,
    load_profile,
)
from knapsack_lib.provenance import environment_stamp
from knapsack_lib.store import is_complete

__all__ = [
    "DEFAULTS",
    "STAGES",
    "Stage",
    "Step",
    "check_parameters",
    "environment_stamp",
    "graph",
    "resolve",
]

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
    }
)


@dataclass(frozen=True)
class Stage:
    """One notebook.

    `words` are its parameters in the order in which they name outputs, each with its allowed values, or with a function
    that returns the right spelling or raises UserError. `seeded`: it takes a root seed. `trained`: there is one for each
    adapter. `sourced`: it may read other episodes than those of the profile's run. `needs` gives the steps whose products
    it reads, `lacks` those of its own products that are missing or incomplete. `sources` are the parts of the library
    that shape what it makes (keys.py). `judges`: settings that only judge episodes count too.
    """

    name: str
    words: Mapping[str, tuple[str, ...] | Callable[[str], str]] = field(default_factory=dict)
    seeded: bool = True
    trained: bool = False
    sourced: bool = False
    needs: Callable[[Step], list[Step]] = lambda step: []
    lacks: Callable[[Step], Iterator[Path]] = lambda step: iter(())
    sources: tuple[str, ...] = EPISODE
    judges: bool = False

    @property
    def parameters(self) -> tuple[str, ...]:
        seed, train_seed = ["seed"] * self.seeded, ["train_seed"] * self.trained
        return ("profile", *seed, *self.words, *train_seed, *["source"] * self.sourced)


@dataclass(frozen=True)
class Step:
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
    def cell(self) -> Cell:
        """The cell that this step plays, or whose adapter it trains; stage 02's is the teacher's."""
        train = self.train or "teacher"
        trained = self.stage.trained and train in ARMS
        seed = self.train_seed if trained else 0
        return Cell(
            self.profile.family, train, self.runtime or train, self.difficulty or "easy", seed
        )

    @property
    def name(self) -> str:
        """As the executed notebook is called."""
        parts = [self.stage.name, *self.words, *([self.source_name] if self.source else [])]
        plain = "-".join(parts).replace(":", "")
        return f"{plain}-train{self.train_seed}" if self.train_seed > 1 else plain

    @property
    def output(self) -> Path:
        """Where the executed notebook goes."""
        return self.run.root / "notebooks" / f"{self.name}.ipynb"

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
        if self.stage.seeded and not self.run.is_default_seed:
            pairs.append(("seed", str(self.seed)))
        if self.train_seed > 1:
            pairs.append(("train_seed", str(self.train_seed)))
        if self.source:
            pairs.append(("source", self.source))
        return [text for name, value in pairs for text in ("-p", name, value)]

    @property
    def command(self) -> str:
        """What a user types to run this step."""
        return shlex.join(["papermill", f"notebooks/{self.stage.name}.ipynb", *self.arguments])

    def at(self, stage: str, train_seed: int = 1, **words: str) -> Step:
        """Another step of the same run."""
        return Step(STAGES[stage], self.run, self.given_profile, train_seed=train_seed, **words)

    def needs(self) -> list[Step]:
        """The steps whose products this one reads."""
        return self.stage.needs(self)

    # Staleness --------------------------------------------------------------------------------------------------------

    @cached_property
    def key(self) -> str:
        """What the executed notebook depends on: its text, its parameters, the settings and sources behind it, and the
        same of every step that it needs."""
        settings = self.profile.digest() if self.stage.judges else self.profile.episode_digest()
        return digest_of(
            {
                "notebook": path_digest(project_root() / "notebooks" / f"{self.stage.name}.ipynb"),
                "parameters": [self.seed, *self.words, self.train_seed, self.source],
                "settings": settings,
                "sources": sources_digest(self.profile.family, self.stage.sources),
                "base": _shipped_base(self.profile) if self.stage.trained else "",
                "packages": computing_packages(),
                "needs": [step.key for step in self.needs()],
                **({"source of tasks": source} if (source := _task_source(self.profile)) else {}),
            }
        )

    def is_stale(self) -> bool:
        """Whether it has to be run: never run to its end, or what it depends on has changed since, or a product is gone."""
        mark = _key_file(self.output)
        same = mark.is_file() and mark.read_text(encoding="utf-8").strip() == self.key
        return (
            not (same and self.output.is_file()) or next(self.stage.lacks(self), None) is not None
        )

    # What is missing --------------------------------------------------------------------------------------------------

    def require(self) -> None:
        """Raise UserError with the command to run first when the product of an earlier step is missing."""
        for earlier in self.needs():
            for path in earlier.stage.lacks(earlier):
                todo = _chain(earlier)
                if len(todo) > 3 or len(self.needs()) > 3:
                    todo = [self._make()]
                what = f"{self.stage.name} needs {shown(path)}, which is missing or incomplete"
                raise UserError(f"{what}; run first: {' && '.join(todo)}")

    def _make(self) -> str:
        given = self.given_profile
        profile = [] if given == DEFAULTS["profile"] else [f"PROFILE={given}"]
        seed = [] if self.run.is_default_seed else [f"SEED={self.seed}"]
        return " ".join(["make paper", *profile, *seed])


def _shipped_base(profile: Profile) -> str:
    """The weights in the package that the models are made from; "" where they come from elsewhere."""
    folder = Path(__file__).parent / "assets" / profile.training.base
    return path_digest(folder) if folder.is_dir() else ""


def _task_source(profile: Profile) -> str:
    """What tells one content of a source of tasks on this disk from another; "" where there is none."""
    path = Path(profile.tasks.source)
    return path_digest(path) if profile.tasks.source and path.exists() else ""


def _key_file(output: Path) -> Path:
    return output.with_name(f".{output.stem}.key")


def forget_key(output: Path) -> None:
    """The executed notebook at `output` is about to be made again."""
    _key_file(output).unlink(missing_ok=True)


def record_key(output: Path, key: str) -> None:
    """The executed notebook at `output` is whole, and this is what it depends on."""
    write_whole(_key_file(output), key + "\n")


def _chain(step: Step) -> list[str]:
    """Commands for `step`, after those of what it lacks itself, in the order in which they must run."""
    commands: list[str] = []
    for earlier in step.needs():
        if next(earlier.stage.lacks(earlier), None) is not None:
            commands += [command for command in _chain(earlier) if command not in commands]
    return [*commands, step.command]


# The stages -----------------------------------------------------------------------------------------------------------


def any_runtime(word: str) -> str:
    """The study's two runtimes, the modes between them, and ReAct, which has no interpreter."""
    if word == REACT:
        return REACT
    try:
        return persistence_named(word).name
    except UserError as error:
        raise UserError(f"{error}, or {REACT}") from None


def _lacks_tasks(step: Step) -> Iterator[Path]:
    run = step.run
    for split, count in step.profile.splits().items():
        if sum(1 for _ in run.tasks(split).glob("*.json")) != count:
            yield run.tasks(split)
    yield from (
        run.store(cell) for cell in step.profile.experts() if not is_complete(run.store(cell))
    )


def _lacks_episodes(step: Step) -> Iterator[Path]:
    store = step.run.store(step.cell)
    if not is_complete(store):
        yield store


def _lacks_adapter(step: Step) -> Iterator[Path]:
    adapter = step.run.adapter(step.cell)
    names = ("model.safetensors", "adapter/adapter_model.safetensors", "adapter_model.safetensors")
    if not any((adapter / name).is_file() for name in names):
        yield adapter


def _needs_of_a_cell(step: Step) -> list[Step]:
    adapter = (
        [] if step.train == "base" else [step.at("03_finetune", step.train_seed, train=step.train)]
    )
    return [step.at("01_generate"), *adapter]


STAGES: Mapping[str, Stage] = MappingProxyType(
    {
        stage.name: stage
        for stage in (
            Stage("00_pocket_base", seeded=False, sources=TRAINING),
            Stage("01_generate", lacks=_lacks_tasks),
            Stage(
                "02_teacher",
                {"runtime": ARMS},
                needs=lambda step: [step.at("01_generate")],
                lacks=_lacks_episodes,
            ),
            Stage(
                "03_finetune",
                {"train": ARMS},
                trained=True,
                needs=lambda step: [step.at("02_teacher", runtime=step.train)],
                lacks=_lacks_adapter,
                sources=TRAINING,
            ),
            Stage(
                "04_cross_eval",
                {"train": (*TRAININGS, REACT), "runtime": any_runtime, "difficulty": DIFFICULTIES},
                trained=True,
                needs=_needs_of_a_cell,
                lacks=_lacks_episodes,
            ),
            Stage(
                "05_analysis",
                sourced=True,
                needs=lambda step: [] if step.source else graph(step.run, step.given_profile)[:-1],
                sources=ANALYSIS,
                judges=True,
            ),
            Stage("06_explore", sourced=True),
            Stage("07_in_the_wild", seeded=False, sourced=True),
            Stage("08_families", seeded=False, sourced=True),
        )
    }
)


def graph(run: Run, given_profile: str = "") -> list[Step]:
    """All steps of a study in an order in which they can run."""
    first = Step(STAGES["01_generate"], run, given_profile or run.profile.name)
    return [
        first,
        *(first.at("02_teacher", runtime=cell.runtime) for cell in run.profile.teachers()),
        *(
            first.at("03_finetune", cell.train_seed, train=cell.train)
            for cell in run.profile.adapters()
        ),
        *(
            first.at(
                "04_cross_eval",
                max(1, cell.train_seed),
                train=cell.train,
                runtime=cell.runtime,
                difficulty=cell.difficulty,
            )
            for cell in run.profile.cells()
        ),
        first.at("05_analysis"),
    ]


# Parameters -----------------------------------------------------------------------------------------------------------


def resolve(name: str, parameters: Mapping[str, Any]) -> Step:
    """Check a stage's parameters (those left out take their defaults).

    Raises UserError for an unknown stage, parameter, profile, family or value; the line lists the right ones.
    """
    if name not in STAGES:
        raise UserError(f"there is no stage {name!r}; choose one of: {', '.join(STAGES)}")
    stage = STAGES[name]
    for given in parameters:
        if given not in stage.parameters:
            close = difflib.get_close_matches(given, stage.parameters, n=1)
            meant = f"did you mean {close[0]}? " if close else ""
            takes = ", ".join(stage.parameters)
            raise UserError(f"{name} has no parameter {given!r}; {meant}it takes: {takes}")
    values = {key: parameters.get(key, DEFAULTS[key]) for key in stage.parameters}
    words = {
        key: allowed(values[key]) if callable(allowed) else check_choice(key, values[key], allowed)
        for key, allowed in stage.words.items()
    }
    profile = load_profile(str(values["profile"]))
    family = family_named(profile.family)
    for size in profile.difficulties.values():
        family.size(size)
    train_seed = (
        _train_seed(profile, words.get("train", ""), values["train_seed"]) if stage.trained else 1
    )
    return Step(
        stage,
        profile.run(values.get("seed")),
        str(values["profile"]),
        train_seed=train_seed,
        source=str(values.get("source", "")),
        **words,
    )


def _train_seed(profile: Profile, train: str, given: object) -> int:
    possible = max(1, *profile.train_seeds_of(train))
    if isinstance(given, bool) or not isinstance(given, int) or not 1 <= given <= possible:
        why = (
            "the base is not trained"
            if train == "base"
            else f"train_seeds of the profile {profile.name}"
        )
        raise UserError(
            f"train_seed = {given!r} is not in 1 to {possible} ({why}); choose one of these"
        )
    return given


def check_parameters(name: str, namespace: Mapping[str, Any]) -> Step:
    """Read the parameters of notebook `name` from its globals(), check them and what earlier steps left.

    Raises UserError: one line with the right names or values, or with the command to run first.
    """
    if name not in STAGES:
        raise UserError(f"there is no stage {name!r}; choose one of: {', '.join(STAGES)}")
    declared = {key: namespace[key] for key in STAGES[name].parameters if key in namespace}
    step = resolve(name, declared | {key: namespace[key] for key in _stray(name, namespace)})
    step.require()
    return step


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
