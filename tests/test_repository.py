"""The rules of the repository: clean notebooks, no places of one machine, light imports, rooms in
order."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from knapsack_lib.stages import DEFAULTS, STAGES

from knapsack_lib.profiles import DIFFICULTIES, RUNTIMES, TRAININGS

REPOSITORY = Path(__file__).resolve().parents[1]
LIBRARY = REPOSITORY / "knapsack_lib"
NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))
MODULES = sorted(LIBRARY.rglob("*.py"))
LONGEST_CELL = 25

# A module imports only from rooms to the left of its own (and from its own).
ROOMS = [
    "profiles",
    "hub",
    "families",
    "interpreter",
    "prompts",
    "policies",
    "episodes",
    "agent",
    "executors",
    "rollouts",
    "training",
    "analysis",
]
# Beside the rooms, with what they may import: helpers of the notebooks and of make. `policies`
# below its __init__ may also use `training.conversations`, which spells a conversation as tokens,
# the same for training and for serving.
BESIDE = {
    "provenance": {"profiles"},
    "progress": set(),
    "stages": {"interpreter", "profiles", "provenance"},
    "papermill_default": {"profiles", "progress", "stages"},
    "runner": {"papermill_default", "profiles", "progress", "stages"},
    "serving": set(ROOMS[:-1]),
    "casting": {*ROOMS[:-1], "serving"},
    "needs": {"profiles", "policies"},
    "doctor": {"profiles", "policies", "interpreter", "needs"},
    "published": {*ROOMS, "provenance"},
    "cli": {*ROOMS, "doctor", "explorer", "published"},
    "explorer": {*ROOMS, "published", "progress", "provenance", "stages"},
}
EXCEPTIONS = {
    (f"policies/{name}.py", module)
    for name in ("pocket", "chat_server")
    for module in ("training.conversations", "training")
}


def tracked() -> list[Path]:
    """Files under version control; in an unpacked archive, all that are not made."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True
        )
        return [
            REPOSITORY / name
            for name in listed.stdout.split("\0")
            if name and (REPOSITORY / name).is_file()
        ]
    except (OSError, subprocess.CalledProcessError):
        made = {".venv", "runs", "__pycache__", ".git"}
        return [
            p
            for p in REPOSITORY.rglob("*")
            if p.is_file() and not made & set(p.relative_to(REPOSITORY).parts)
        ]


def code_cells(path: Path) -> list[dict]:
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]


def is_parameters(cell: dict) -> bool:
    return "parameters" in cell["metadata"].get("tags", [])


def test_every_stage_has_its_notebook():
    assert set(STAGES) <= {path.stem for path in NOTEBOOKS}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebooks_are_kept_without_outputs(path):
    for cell in code_cells(path):
        assert not cell["outputs"], "clear the outputs before committing"
        assert cell["execution_count"] is None
    assert "papermill" not in json.loads(path.read_text())["metadata"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebooks_start_any_python_3_kernel(path):
    kernel = json.loads(path.read_text())["metadata"]["kernelspec"]
    assert (kernel["name"], kernel["language"]) == ("python3", "python")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_cells_are_short(path):
    longest = max("".join(cell["source"]).count("\n") + 1 for cell in code_cells(path))
    assert longest <= LONGEST_CELL


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_the_first_cell_holds_the_stage_s_defaults_as_plain_literals(path):
    cells = code_cells(path)
    assert [is_parameters(cell) for cell in cells] == [True] + [False] * (len(cells) - 1)
    found = {}
    for line in ast.parse("".join(cells[0]["source"])).body:
        assert isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name), (
            "only name = literal"
        )
        found[line.targets[0].id] = ast.literal_eval(line.value)
    if path.stem in STAGES:
        assert found == {name: DEFAULTS[name] for name in STAGES[path.stem].parameters}
        assert f'check_parameters("{path.stem}", globals())' in "".join(cells[1]["source"])


def test_no_file_names_a_place_of_one_machine():
    place = re.compile(r"(?<![\w./~:-])/(?:home|Users|root|work)/\w")
    index = re.compile(
        r"--(?:extra-)?index-url|--find-links|https?://[\w.-]*(?:pypi|pythonhosted)", re.IGNORECASE
    )
    for path in tracked():
        data = path.read_bytes()
        if b"\0" in data or path == Path(__file__).resolve():
            continue
        for number, line in enumerate(data.decode().splitlines(), 1):
            assert not place.search(line), (
                f"{path.relative_to(REPOSITORY)}:{number} names a folder of one machine"
            )
            assert not index.search(line), (
                f"{path.relative_to(REPOSITORY)}:{number} names a package index"
            )


def test_the_constraints_are_whole_and_name_no_place():
    lines = [
        line
        for line in (REPOSITORY / "constraints.txt").read_text().splitlines()
        if not line.startswith("#")
    ]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line) for line in lines)
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in lines}
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    for text in [*project["dependencies"], *extras["notebooks"], *extras["train"], *extras["dev"]]:
        name = re.match(r"[A-Za-z0-9._-]+", text)[0].lower().replace("_", "-")
        assert name in pinned, f"{name} has no pin in constraints.txt"


def test_importing_the_package_is_light():
    heavy = {"torch", "transformers", "pandas", "scipy", "matplotlib", "papermill", "IPython"}
    code = "import sys, knapsack_lib, knapsack_lib.stages, knapsack_lib.runner, knapsack_lib.rollouts; print(*sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert not heavy & set(done.stdout.split())


def test_make_help_lists_every_target():
    text = (REPOSITORY / "Makefile").read_text()
    targets = {
        name for line in re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE) for name in line.split()
    }
    shown = subprocess.run(
        ["make", "--no-print-directory"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert set(re.findall(r"^  make (\S+) +\S", shown.stdout, re.MULTILINE)) == targets
    assert {"env", "paper", "test", "figures", "lab", "base", "smoke", "help"} <= targets


def test_make_knows_the_words_of_the_library():
    text = (REPOSITORY / "Makefile").read_text()
    for name, words in (
        ("RUNTIMES", RUNTIMES),
        ("TRAININGS", TRAININGS),
        ("DIFFICULTIES", DIFFICULTIES),
    ):
        assert f"{name} := {' '.join(words)}\n" in text


@pytest.fixture
def project(tmp_path):
    """A project of nothing but the Makefile, its profiles, two runs and an environment whose Python
    is a shell script: project(*words, python="...") runs make there. Its `folder` is the place."""
    shutil.copy(REPOSITORY / "Makefile", tmp_path)
    shutil.copytree(REPOSITORY / "params", tmp_path / "params")
    for name in (
        "pyproject.toml",
        "constraints.txt",
        "knapsack_lib/a.py",
        "runs/pocket/kept",
        "runs/smoke/kept",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / ".made-from-constraints").touch()

    def run(
        *words: str, python: str = "echo $*", **environment: str
    ) -> subprocess.CompletedProcess:
        interpreter = tmp_path / ".venv" / "bin" / "python"
        interpreter.write_text(f"#!/bin/sh\n{python}\n")
        interpreter.chmod(0o755)
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name not in ("PROFILE", "SEED", "MAKEFLAGS")
        }
        command = ["make", "--no-print-directory", *words]
        return subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, env=inherited | environment
        )

    run.folder = tmp_path
    return run


@pytest.mark.parametrize(
    "words, exported", [(["PROFILE="], {}), ([], {"PROFILE": ""}), (["PROFILE= ", "SEED= "], {})]
)
def test_clean_of_no_profile_is_that_of_the_default_one(project, words, exported):
    done = project(*words, "clean", **exported)
    assert (done.returncode, done.stdout) == (0, "rm -rf -- runs/pocket\n")
    assert [path.name for path in (project.folder / "runs").iterdir()] == ["smoke"]


@pytest.mark.parametrize(
    "goal", ["clean", "html", "paper", "base", "figures", "verify", "env", "cells", "analysis"]
)
@pytest.mark.parametrize(
    "word, said",
    [
        (
            "PROFILE=papr",
            "PROFILE=papr has no file in params/; choose one of: colab paper pocket-seeds pocket ",
        ),
        ("PROFILE=../knapsack_lib", "PROFILE=../knapsack_lib has no file in params/; choose"),
        ("PROFILE=pocket ..", "PROFILE=pocket .. has no file in params/; choose"),
        (
            "SEED=1 knapsack_lib",
            "SEED=1 knapsack_lib is no whole number; give one without leading zeros, as SEED=2",
        ),
        ("SEED=02", "SEED=02 is no whole number"),
    ],
)
def test_a_profile_or_a_seed_that_is_none_is_one_line_and_nothing_is_done(
    project, goal, word, said
):
    done = project(word, goal)
    assert (
        done.returncode == 2
        and not done.stdout
        and done.stderr.count("\n") == 1
        and said in done.stderr
    )
    assert (project.folder / "runs" / "pocket" / "kept").exists() and (
        project.folder / "knapsack_lib" / "a.py"
    ).exists()


@pytest.mark.parametrize("goal", ["help", "sandbox", "bench"])
def test_what_is_about_no_run_takes_no_notice_of_a_profile_that_is_exported_for_something_else(
    project, goal
):
    done = project(goal, PROFILE="of another program")
    assert (done.returncode, done.stderr) == (0, "") and done.stdout


def test_html_is_made_of_every_notebook_that_ran_to_its_end(project):
    notebooks = project.folder / "runs" / "pocket" / "notebooks"
    whole = [
        "01_generate",
        "03_finetune-reset-train2",
        "04_cross_eval-base-reset-easy",
        "04_cross_eval-reset-reset-easy-train3",
    ]
    notebooks.mkdir()
    for name in (*whole, "05_analysis.failed", "03_finetune-reset.part"):
        (notebooks / f"{name}.ipynb").touch()
    done = project("html")
    assert done.returncode == 0
    assert re.findall(r"\S*/(\S+)\.ipynb", done.stdout) == whole


@pytest.mark.parametrize(
    "ending, kept", [("exit 1", "as it was\n"), ("kill -9 $$", "as it was\n"), ("exit 0", "half\n")]
)
def test_a_check_that_fails_leaves_the_kept_report_as_it_was(project, ending, kept):
    report = project.folder / "benchmarks" / "check_unsloth.txt"
    report.parent.mkdir()
    report.write_text("as it was\n")
    done = project("check-unsloth", python=f"echo half\n{ending}")
    assert (done.returncode == 0) == (kept == "half\n") and "half" in done.stdout
    assert report.read_text() == kept and [path.name for path in report.parent.iterdir()] == [
        report.name
    ]


def imported(path: Path) -> set[str]:
    """Dotted names under knapsack_lib that a module imports (not those for type checkers alone)."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "knapsack_lib":
            below = node.module.removeprefix("knapsack_lib").lstrip(".")
            found |= {below} if below else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.startswith("knapsack_lib.")]
            found |= {name.removeprefix("knapsack_lib.") for name in names}
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(LIBRARY).as_posix())
def test_a_module_imports_only_from_earlier_rooms(path):
    shown = path.relative_to(LIBRARY).as_posix()
    room = shown.split("/")[0].removesuffix(".py")
    if room == "__init__":
        assert not imported(path)
        return
    assert room in ROOMS or room in BESIDE, (
        f"enter {room} in ROOMS or BESIDE here, and in CONTRIBUTING.md"
    )
    allowed = {*ROOMS[: ROOMS.index(room) + 1]} if room in ROOMS else {room} | BESIDE[room]
    for name in imported(path):
        assert name.split(".")[0] in allowed or (shown, name) in EXCEPTIONS, (
            f"{shown} imports {name}"
        )


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(LIBRARY).as_posix())
def test_what_a_module_offers_exists_and_is_documented(path):
    module = ast.parse(path.read_text())
    assert ast.get_docstring(module), "say in two lines what the module is for"
    defined = {
        node.name: node for node in module.body if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }
    names, offered = set(defined), []
    for node in module.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            names |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            bound = {
                n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)
            }
            names |= bound
            if "__all__" in bound:
                offered = ast.literal_eval(node.value)
    assert set(offered) <= names
    for name in offered:
        assert name not in defined or ast.get_docstring(defined[name]), f"{name} has no docstring"
