"""The commands about a study: which steps they see, what they remove, and one line for a mistake."""

import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from common import one_line
from made import finish

from knapsack_lib.cli import knapsack
from knapsack_lib.cli import study as commands
from knapsack_lib.errors import UserError
from knapsack_lib.profiles import load_profile
from knapsack_lib.runner import stale_steps
from knapsack_lib.study import STAGES, graph


@pytest.fixture
def study(project):
    """A project with notebooks that hold nothing."""
    for stage in STAGES:
        (project / "notebooks" / f"{stage}.ipynb").write_text("{}", encoding="utf-8")
    return project


def shown(*words):
    done = CliRunner().invoke(knapsack, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


# plan ---------------------------------------------------------------------------------------------


def test_the_plan_shows_each_step_as_a_command_that_can_be_typed(study):
    lines = shown("plan", "--profile", "smoke", "--seed", "3").splitlines()
    commands = [step.command for step in graph(load_profile("smoke").run(3))]
    assert lines == [f"stale  {command}" for command in commands]
    assert commands[3].endswith("-p train persistent -p profile smoke -p seed 3")


def test_the_plan_shows_what_is_done(study):
    steps = graph(load_profile("smoke").run())
    for step in steps[:3]:
        finish(step)
    lines = shown("plan", "--profile", "smoke").splitlines()
    assert [line.split()[0] for line in lines] == ["done"] * 3 + ["stale"] * 15
    assert [step.command for step in stale_steps(steps)] == [
        line.split("  ")[1] for line in lines[3:]
    ]


def test_a_profile_that_is_a_path_is_run_by_its_path_from_any_folder(study, monkeypatch):
    text = (
        (study / "params" / "smoke.yaml")
        .read_text(encoding="utf-8")
        .replace("name: smoke", "name: mine")
    )
    (study / "elsewhere").mkdir()
    (study / "elsewhere" / "mine.yaml").write_text(text, encoding="utf-8")
    monkeypatch.chdir(study / "elsewhere")
    lines = shown("plan", "--profile", "mine.yaml").splitlines()
    assert len(lines) == 18 and all("-p profile elsewhere/mine.yaml" in line for line in lines)
    seen = []
    monkeypatch.setattr(
        "knapsack_lib.runner.run_study", lambda steps, jobs: seen.extend(steps) or 1
    )
    for words in ([], ["--stage", "02_teacher"], ["--stage", "06_explore"]):
        CliRunner().invoke(knapsack, ["run", "--profile", "mine.yaml", *words])
    assert len(seen) == 18 + 3 + 1
    assert {step.given_profile for step in seen} == {"elsewhere/mine.yaml"}


# run ----------------------------------------------------------------------------------------------


@pytest.fixture
def asked(study, monkeypatch):
    """The names of the steps that a run was asked for."""
    seen = []
    monkeypatch.setattr(
        "knapsack_lib.runner.run_study", lambda steps, jobs: seen.extend(steps) or 1
    )
    return lambda *words: (
        seen.clear()
        or CliRunner().invoke(
            knapsack, ["run", "--profile", "smoke", *words], catch_exceptions=False
        )
        and [step.name for step in seen]
    )


def test_one_stage_brings_what_it_needs_and_nothing_else(asked):
    assert asked("--stage", "01_generate") == ["01_generate"]
    teacher = ["01_generate", "02_teacher-persistent", "02_teacher-reset"]
    assert asked("--stage", "02_teacher") == teacher
    assert asked("--stage", "03_finetune") == [
        *teacher,
        "03_finetune-persistent",
        "03_finetune-reset",
    ]
    assert (
        len(asked("--stage", "04_cross_eval")) == 17 and len(asked("--stage", "05_analysis")) == 18
    )
    assert asked("--stage", "00_pocket_base") == ["00_pocket_base"]
    assert asked("--stage", "06_explore") == ["06_explore"]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["run", "--stage", "4"], "there is no stage '4'; choose one of: 00_pocket_base, "),
        (["run", "--profile", "papr"], "profile 'papr' has no file papr.yaml in params/; choose"),
        (["plan", "--profile", "../params"], "has no file"),
        (["clean", "--profile", "smoke ../.."], "has no file"),
        (["clean", "--profile", ""], "has no file"),
        (["clean", "--seed", "-1"], "seed = -1 is not a whole number from 0 up"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_done(study, words, line):
    (study / "runs" / "smoke").mkdir(parents=True)
    with pytest.raises(UserError) as caught:
        CliRunner().invoke(knapsack, words, catch_exceptions=False)
    assert line in one_line(caught) and (study / "runs" / "smoke").exists()


@pytest.mark.parametrize("words", [["run", "--jobs", "0"], ["run", "--seed", "many"], ["runn"]])
def test_a_wrong_option_is_refused_with_exit_code_2(study, words):
    assert CliRunner().invoke(knapsack, words).exit_code == 2


# clean --------------------------------------------------------------------------------------------


def test_clean_removes_the_run_of_one_profile_and_seed_and_nothing_else(study):
    for name in ("pocket", "pocket-seed2", "smoke"):
        (study / "runs" / name).mkdir(parents=True)
    assert shown("clean") == "removed runs/pocket\n"
    assert sorted(path.name for path in (study / "runs").iterdir()) == ["pocket-seed2", "smoke"]
    assert shown("clean", "--seed", "2") == "removed runs/pocket-seed2\n"
    assert [path.name for path in (study / "runs").iterdir()] == ["smoke"]
    assert (study / "params").is_dir() and (study / "notebooks").is_dir()
    assert shown("clean") == "removed runs/pocket\n"  # what is not there needs no removing


def test_a_run_that_is_a_link_is_left_to_whoever_made_it(study, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (study / "runs").mkdir()
    (study / "runs" / "smoke").symlink_to(elsewhere)
    done = CliRunner().invoke(knapsack, ["clean", "--profile", "smoke"])
    assert isinstance(done.exception, UserError) and "runs/smoke is a link" in str(done.exception)
    assert elsewhere.is_dir() and (study / "runs" / "smoke").is_symlink()


# pages --------------------------------------------------------------------------------------------


def test_html_is_made_of_every_notebook_that_ran_to_its_end(study, monkeypatch):
    whole = [
        "01_generate",
        "03_finetune-reset-train2",
        "04_cross_eval-base-reset-easy",
        "04_cross_eval-reset-reset-easy-train3",
    ]
    folder = load_profile("pocket").run().root / "notebooks"
    folder.mkdir(parents=True)
    for name in (*whole, "05_analysis.failed", "03_finetune-reset.part", "01_generate.prepared"):
        (folder / f"{name}.ipynb").touch()
    converted = []
    monkeypatch.setattr(subprocess, "run", lambda command, check: converted.extend(command))
    commands._notebooks_as_html(load_profile("pocket").run())
    assert [Path(word).stem for word in converted if word.endswith(".ipynb")] == whole
