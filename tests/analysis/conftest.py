"""Made-up episodes, whole made-up runs, and evidence out of them. No model and no interpreter is at
work here.

Two runs are written and built once for all tests, in one project folder that nobody writes to:
`smoke`, too small for any test of significance, and `twice`, with two adapters per training. A test
that writes takes `run` or `copied`.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file

from knapsack_lib.analysis import report
from knapsack_lib.analysis.evidence import Evidence
from knapsack_lib.analysis.report import collect
from knapsack_lib.episodes import Episode, Turn
from knapsack_lib.profiles import DIFFICULTIES, TRAININGS, Analysis, Run, load_profile

REPOSITORY = Path(__file__).resolve().parents[2]
TWICE = """like: smoke
name: twice
train_seeds: 2
tasks: {train: 24, validation: 3, easy: 8, medium: 6}
analysis: {resamples: 1000, level: 0.95, alpha: 0.05, margin: 0.05, power: 0.8}
"""
OPENING = [
    {"role": "system", "content": "Write Python."},
    {"role": "user", "content": "Fill it. Capacity 24."},
]

# Episodes -----------------------------------------------------------------------------------------


def made_turn(
    prompt: int = 10, completion: int = 5, error: str | None = None, **other: object
) -> Turn:
    plain = Turn(
        reply="ok",
        reply_ids=[1, 2],
        parse_status="code",
        code="x",
        observation="o",
        stdout="o",
        error_type=error,
        error=error,
        killed_by=None,
        state_lost=False,
        bindings=[],
        tool_calls=[],
        prompt_tokens=prompt,
        completion_tokens=completion,
        slip=False,
    )
    return replace(plain, **other)


def made_episode(
    task: str,
    value: int,
    turns: list[Turn],
    cast: tuple[str, str, str],
    finish: str = "finish",
    train_seed: int = 0,
) -> Episode:
    outcome = {
        "value": value,
        "optimal_value": 40,
        "score": value / 40,
        "solved": value == 40,
        "weight_used": value // 2,
        "capacity": 24,
        "items_taken": value // 10,
        "items_inspected": 7,
    }
    train, runtime, difficulty = cast
    return Episode(
        task,
        task,
        "knapsack",
        difficulty,
        train,
        runtime,
        5,
        OPENING,
        turns,
        finish,
        outcome,
        train_seed=train_seed,
    )


def made_cell(
    train: str, runtime: str, difficulty: str, count: int, split: str, train_seed: int = 0
) -> Iterator[Episode]:
    """Drawn from the cell's name, so that cells differ; a persistent model without its names errs
    in every turn."""
    draw = [
        TRAININGS.index(train) if train in TRAININGS else 9,
        len(runtime),
        len(difficulty),
        train_seed,
    ]
    rng = np.random.default_rng(draw)
    lost, call = (
        train == "persistent" and runtime == "reset",
        {"name": "inspect", "args": [], "result": "", "error": None},
    )
    for index in range(count):
        value = 0 if lost or train == "base" else int(rng.integers(1, 5)) * 10
        turns = []
        for n in range(12 if lost else int(rng.integers(4, 7))):
            code = (
                "x = 10" if n == 0 else "print(x)" if train == "persistent" else f"x = 10\ny{n} = x"
            )
            error, spent = "NameError" if lost and n else None, int(rng.integers(10, 60))
            block = {
                "reply": f"I look.\n```python\n{code}\n```",
                "code": code,
                "tool_calls": [] if n else [call],
            }
            turns.append(made_turn(50 + 20 * n, spent, error, observation="x is 10", **block))
        finish, cast = "max_turns" if lost else "finish", (train, runtime, difficulty)
        yield made_episode(f"knapsack-{split}-{index:05d}", value, turns, cast, finish, train_seed)


def store(folder: Path, episodes: Iterator[Episode]) -> None:
    folder.mkdir(parents=True)
    listed = list(episodes)
    (folder / "episodes.jsonl").write_text(
        "".join(e.to_line() + "\n" for e in listed), encoding="utf-8"
    )
    clock = [
        json.dumps({"episode_id": e.episode_id, "seconds": 1.5 + i / 8})
        for i, e in enumerate(listed)
    ]
    (folder / "timings.jsonl").write_text("".join(line + "\n" for line in clock), encoding="utf-8")


def record(train: str, train_seed: int) -> dict:
    curve = [
        {"step": 3, "train_loss": 1.5},
        {"step": 3, "validation_loss": 1.25},
        {"step": 6, "validation_loss": 1.0},
    ]
    return {
        "train": train,
        "train_seed": train_seed,
        "steps": 6,
        "chosen_step": 6,
        "tokens_seen": 9000 + train_seed,
        "assistant_tokens_seen": 4000,
        "curve": curve,
        "validation_play": {"6": {"score": 0.5, "finished": 1.0, "episodes": 3}},
    }


def play(run: Run) -> Run:
    """Write everything that the stages before the analysis would have written."""
    profile, counts = run.profile, run.profile.splits()
    for cell in [*profile.cells(), *profile.experts(), *profile.teachers()]:
        split = "train" if cell.train == "teacher" else cell.difficulty
        train = "teacher" if cell.train == "expert" else cell.train
        labels = (train, cell.runtime, cell.difficulty)
        store(run.store(cell), made_cell(*labels, counts[split], split, cell.train_seed))
    for cell in profile.adapters():
        folder = run.adapter(cell)
        folder.mkdir(parents=True)
        (folder / "training.json").write_text(
            json.dumps(record(cell.train, cell.train_seed)), encoding="utf-8"
        )
        save_file({"a": np.zeros((30, 1000), np.float32)}, folder / "model.safetensors")
    return run


@pytest.fixture(scope="session")
def turn() -> Callable[..., Turn]:
    return made_turn


@pytest.fixture(scope="session")
def episode() -> Callable[..., Episode]:
    return made_episode


# Runs ---------------------------------------------------------------------------------------------


def new_project(folder: Path) -> Path:
    """A project folder with the profiles and the paper's text, and the profile `twice` next to the
    others."""
    for name in ("notebooks", "paper", "results"):
        (folder / name).mkdir()
    shutil.copytree(REPOSITORY / "params", folder / "params")
    shutil.copyfile(REPOSITORY / "paper" / "main.tex", folder / "paper" / "main.tex")
    (folder / "params" / "twice.yaml").write_text(TWICE, encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def built_once(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Both runs played, gathered and built: .folder, .smoke and .twice, each with run, results,
    evidence, written."""
    folder = new_project(tmp_path_factory.mktemp("project"))
    found = SimpleNamespace(folder=folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KNAPSACK_ROOT", str(folder))
        for name in ("smoke", "twice"):
            run = play(load_profile(name).run())
            results = collect(run)
            evidence = Evidence(results)
            patch.setattr(
                report, "Evidence", lambda given, own=evidence: own
            )  # so that it is worked out once
            made = SimpleNamespace(
                run=run, results=results, evidence=evidence, written=report.build(results, run)
            )
            setattr(found, name, made)
    return found


@pytest.fixture
def smoke(built_once: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    monkeypatch.setenv("KNAPSACK_ROOT", str(built_once.folder))
    return built_once.smoke


@pytest.fixture
def twice(built_once: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    monkeypatch.setenv("KNAPSACK_ROOT", str(built_once.folder))
    return built_once.twice


@pytest.fixture
def copied(built_once: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the project with both built runs, to be written to."""
    folder = Path(shutil.copytree(built_once.folder, tmp_path / "copy"))
    monkeypatch.setenv("KNAPSACK_ROOT", str(folder))
    return folder


@pytest.fixture
def make_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Run]:
    """A made-up run, of which nothing has been gathered yet, in a project of its own, to be written
    to."""
    monkeypatch.setenv("KNAPSACK_ROOT", str(new_project(tmp_path)))
    return lambda name: play(load_profile(name).run())


@pytest.fixture
def run(make_run: Callable[[str], Run]) -> Run:
    return make_run("smoke")


@pytest.fixture(scope="session")
def digests() -> Callable[[Path], dict[str, str]]:
    """File -> SHA-256, for every file below a folder."""

    def read(folder: Path) -> dict[str, str]:
        files = sorted(p for p in folder.rglob("*") if p.is_file())
        return {
            p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
            for p in files
        }

    return read


# Evidence out of a few numbers --------------------------------------------------------------------


@pytest.fixture(scope="session")
def cells_of() -> Callable[..., pd.DataFrame]:
    """A frame of cells out of columns: {"score": {"pp": [...], "pr": ..., "rp": ..., "rr": ...},
    "tokens": ...}.

    The letters are (trained on, acts in); a list has a value per task. A cell that no column names
    is not there.
    """
    words = {"b": "base", "p": "persistent", "r": "reset"}
    usual = {
        "score": 0.5,
        "tokens": 100,
        "missing_variable": False,
        "recovered": None,
        "first_missing_turn": None,
        "solved": False,
        "finished": True,
        "steps": 4,
        "tool_calls": 3,
        "seconds": 1.0,
        "failure": "",
    }

    def make(
        columns: dict[str, dict[str, list]], difficulty: str = "easy", train_seed: int = 1
    ) -> pd.DataFrame:
        rows = []
        for name in sorted({name for values in columns.values() for name in values}):
            labels = {"train": words[name[0]], "runtime": words[name[1]], "difficulty": difficulty}
            count = next(len(values[name]) for values in columns.values() if name in values)
            for i in range(count):
                own = {
                    column: values[name][i] for column, values in columns.items() if name in values
                }
                seed = 0 if name[0] == "b" else train_seed
                rows.append({**labels, "train_seed": seed, "task_id": f"t{i:02d}", **usual, **own})
        frame = pd.DataFrame(rows)
        return frame.astype(
            {"recovered": "boolean", "first_missing_turn": "Int64", "missing_variable": "bool"}
        )

    return make


@pytest.fixture(scope="session")
def results_of() -> Callable[..., SimpleNamespace]:
    """What stands for a run's Results: `cells` of one difficulty, which are taken for the other as
    well."""

    def make(
        cells: pd.DataFrame, teacher: pd.DataFrame | None = None, **judged: float
    ) -> SimpleNamespace:
        usual = {"resamples": 500, "level": 0.95, "alpha": 0.05, "margin": 0.05, "power": 0.8}
        lacking = [d for d in DIFFICULTIES if d not in set(cells.difficulty)]
        whole = pd.concat(
            [cells, *(cells.assign(difficulty=d) for d in lacking)], ignore_index=True
        )
        settings = Analysis(**{**usual, **judged})
        return SimpleNamespace(
            cells=whole,
            teacher=teacher,
            analysis=settings,
            settings={"analysis": settings.model_dump()},
            seed=1,
        )

    return make
