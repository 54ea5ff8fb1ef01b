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

from knapsack_lib.cli import COMMANDS
from knapsack_lib.study import DEFAULTS, STAGES

REPOSITORY = Path(__file__).resolve().parents[1]
LIBRARY = REPOSITORY / "knapsack_lib"
NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))
MODULES = sorted(LIBRARY.rglob("*.py"))
LONGEST_CELL = 25

# A module imports only from rooms above its own (and from its own).
ROOMS = [
    "errors",
    "seeds",
    "files",
    "machine",
    "proxies",
    "messages",
    "blocks",
    "syntax",
    "profiles",
    "families",
    "provenance",
    "hub",
    "keys",
    "progress",
    "interpreter",
    "prompts",
    "chat",
    "policies",
    "episodes",
    "store",
    "react",
    "agent",
    "executors",
    "rollouts",
    "training",
    "serving",
    "policy_factory",
    "play",
]
# What stands above the rooms, with what it imports: the study and its command line on one side, what
# is made of episodes on the other.
ABOVE = {
    "study": {*ROOMS[: ROOMS.index("keys") + 1], "interpreter", "store"},
    "papermill_default": {"errors", "files", "progress", "study"},
    "runner": {
        "errors",
        "files",
        "papermill_default",
        "policy_factory",
        "profiles",
        "progress",
        "study",
    },
    "task_source": {"errors", "families", "files", "hub", "profiles", "published"},
    "resource_estimate": {"policies", "profiles"},
    "doctor": {
        "chat",
        "errors",
        "files",
        "machine",
        "interpreter",
        "policies",
        "profiles",
        "resource_estimate",
    },
    "analysis": {"errors", "seeds", "files", "syntax", "profiles", "families", "episodes", "store"},
    "published": {*ROOMS[: ROOMS.index("agent") + 1], "analysis"},
    "explorer": {*ROOMS[: ROOMS.index("agent") + 1], "analysis", "published"},
    "audit": {*ROOMS[: ROOMS.index("agent") + 1], "analysis", "published", "explorer"},
    "cli": {
        "errors",
        "files",
        "profiles",
        "study",
        "runner",
        "doctor",
        "analysis",
        "published",
        "explorer",
        "audit",
    },
}
SPECIAL_LAYOUT = 5  # tables of data that a formatter would make unreadable


def tracked() -> list[Path]:
    """Files under version control; in an unpacked archive, all that are not made."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z"],
            cwd=REPOSITORY,
            capture_output=True,
            encoding="utf-8",
            check=True,
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
    return [
        cell
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
        if cell["cell_type"] == "code"
    ]


def is_parameters(cell: dict) -> bool:
    return "parameters" in cell["metadata"].get("tags", [])


def test_every_stage_has_its_notebook():
    assert set(STAGES) <= {path.stem for path in NOTEBOOKS}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebooks_are_kept_without_outputs(path):
    for cell in code_cells(path):
        assert not cell["outputs"], "clear the outputs before committing"
        assert cell["execution_count"] is None
    assert "papermill" not in json.loads(path.read_text(encoding="utf-8"))["metadata"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebooks_start_any_python_3_kernel(path):
    kernel = json.loads(path.read_text(encoding="utf-8"))["metadata"]["kernelspec"]
    assert (kernel["name"], kernel["language"]) == ("python3", "python")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_cells_are_short(path):
    longest = max("".join(cell["source"]).count("\n") + 1 for cell in code_cells(path))
    assert longest <= LONGEST_CELL


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_the_first_cell_holds_the_defaults_of_its_stage_as_plain_literals(path):
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
        for line in (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if not line.startswith("#")
    ]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line) for line in lines)
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in lines}
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    for text in [*project["dependencies"], *extras["notebooks"], *extras["train"], *extras["dev"]]:
        name = re.match(r"[A-Za-z0-9._-]+", text)[0].lower().replace("_", "-")
        assert name in pinned, f"{name} has no pin in constraints.txt"


def test_importing_the_package_is_light():
    heavy = {"torch", "transformers", "pandas", "scipy", "matplotlib", "papermill", "IPython"}
    code = "import sys, knapsack_lib.study, knapsack_lib.runner, knapsack_lib.rollouts, knapsack_lib.play; print(*sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        encoding="utf-8",
        check=True,
        env=environment,
    )
    assert not heavy & set(done.stdout.split())


# The Makefile -------------------------------------------------------------------------------------


def make(*words, **environment):
    """What make would do, without doing it."""
    inherited = {k: v for k, v in os.environ.items() if k not in ("PROFILE", "SEED", "MAKEFLAGS")}
    command = ["make", "--no-print-directory", "--dry-run", "VENV=.venv", *words]
    return subprocess.run(
        command,
        cwd=REPOSITORY,
        capture_output=True,
        encoding="utf-8",
        check=True,
        env=inherited | environment,
    ).stdout


def commands(*words, **environment):
    """The lines of the command line that a target calls."""
    lines = make("-o", ".venv/.made-from-constraints", *words, **environment).splitlines()
    begin = ".venv/bin/python -m knapsack_lib.cli "
    return [line.removeprefix(begin) for line in lines if line.startswith(begin)]


@pytest.mark.parametrize(
    ("words", "called"),
    [
        (["paper"], ["run --profile 'pocket'"]),
        (["paper", "PROFILE=smoke", "SEED=3"], ["run --profile 'smoke' --seed '3'"]),
        (["paper", "PROFILE=my study"], ["run --profile 'my study'"]),
        (["smoke"], ["run --profile smoke"]),
        (["plan"], ["plan --profile 'pocket'"]),
        (["clean", "PROFILE=smoke"], ["clean --profile 'smoke'"]),
        (["verify"], ["verify --profile 'pocket'"]),
        (["html"], ["pages --profile 'pocket'"]),
        (["figures"], ["figures", "pdf"]),
        (["figures", "PROFILE=smoke"], ["figures --profile 'smoke'", "pdf --profile 'smoke'"]),
        (["base"], ["run --profile pocket-seeds --stage 00_pocket_base"]),
    ],
)
def test_a_target_calls_one_command_line(words, called):
    assert [" ".join(line.split()) for line in commands(*words)] == called


@pytest.mark.parametrize(
    ("words", "exported"),
    [(["PROFILE="], {}), ([], {"PROFILE": ""}), (["PROFILE= ", "SEED= "], {}), ([], {"SEED": ""})],
)
def test_an_empty_profile_or_seed_is_one_that_was_not_given(words, exported):
    assert [line.strip() for line in commands(*words, "clean", **exported)] == [
        "clean --profile 'pocket'"
    ]


def test_every_command_that_make_calls_exists():
    text = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    called = re.findall(r"(?:\$\(KNAPSACK\)|knapsack_lib\.cli) ([a-z-]+)", text)
    assert len(called) > 8 and set(called) <= set(COMMANDS)


@pytest.fixture
def checking(tmp_path):
    """Run a target of a copy of the Makefile, where python is a shell script."""
    shutil.copy(REPOSITORY / "Makefile", tmp_path)
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).touch()
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / ".made-from-constraints").touch()

    def run(target: str, python: str) -> subprocess.CompletedProcess:
        interpreter = tmp_path / ".venv" / "bin" / "python"
        interpreter.write_text(f"#!/bin/sh\n{python}\n", encoding="utf-8")
        interpreter.chmod(0o755)
        command = ["make", "--no-print-directory", target]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8")

    run.folder = tmp_path
    return run


def test_make_help_lists_every_target():
    text = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    targets = {
        name for line in re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE) for name in line.split()
    }
    shown = subprocess.run(
        ["make", "--no-print-directory"],
        cwd=REPOSITORY,
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert set(re.findall(r"^  make (\S+) +\S", shown.stdout, re.MULTILINE)) == targets
    assert {"env", "paper", "test", "figures", "lab", "base", "smoke", "help"} <= targets


@pytest.mark.parametrize(
    "ending, kept", [("exit 1", "as it was\n"), ("kill -9 $$", "as it was\n"), ("exit 0", "half\n")]
)
def test_a_check_that_fails_leaves_the_kept_report_as_it_was(checking, ending, kept):
    report = checking.folder / "benchmarks" / "check_unsloth.txt"
    report.parent.mkdir()
    report.write_text("as it was\n", encoding="utf-8")
    done = checking("check-unsloth", f"echo half\n{ending}")
    assert (done.returncode == 0) == (kept == "half\n") and "half" in done.stdout
    assert report.read_text(encoding="utf-8") == kept and [
        path.name for path in report.parent.iterdir()
    ] == [report.name]


def imported(path: Path) -> set[str]:
    """Dotted names under knapsack_lib that a module imports (not those for type checkers alone)."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
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
    assert room in ROOMS or room in ABOVE, f"enter {room} in ROOMS or ABOVE here, and in docs/"
    allowed = {*ROOMS[: ROOMS.index(room) + 1]} if room in ROOMS else {room} | ABOVE[room]
    for name in imported(path):
        assert name.split(".")[0] in allowed, f"{shown} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(LIBRARY).as_posix())
def test_what_a_module_offers_exists_and_is_documented(path):
    module = ast.parse(path.read_text(encoding="utf-8"))
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


def strings_and_names(path: Path) -> set[str]:
    """The words of a module's code: its strings (but those that document) and its names."""
    module = ast.parse(path.read_text(encoding="utf-8"))
    documents = {
        id(node.body[0].value)
        for node in ast.walk(module)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    found = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found |= set() if id(node) in documents else {node.value}
        elif isinstance(node, ast.Name | ast.Attribute):
            found.add(node.id if isinstance(node, ast.Name) else node.attr)
    return found


OWN_NAME = re.compile(
    rf"knapsack_lib|knapsack-lib|KNAPSACK_[A-Z]+|knapsack (?:{'|'.join(COMMANDS)})\b"
)
# The engine of papermill, the command itself, the salt of ids in pictures, and the interpreter's look at
# what a child has loaded: these are called as the package is.
CALLED_SO = {
    "papermill_default.py": {"knapsack"},
    "runner.py": {"knapsack"},
    "cli/__init__.py": {"knapsack"},
    "analysis/style.py": {"knapsack"},
    "interpreter/__main__.py": {"import sys\nprint([m for m in sys.modules if 'knapsack' in m])"},
}
OF_THE_TASK = re.compile(
    r"knapsack|take_item|items_(taken|inspected)|inspect_budget|weight_used", re.I
)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(LIBRARY).as_posix())
def test_no_module_outside_families_knows_the_family_of_the_study(path):
    shown = path.relative_to(LIBRARY).as_posix()
    if shown.split("/")[0] in ("families", "published"):  # the authors' files are of one family
        return
    words = {word for word in strings_and_names(path) if OF_THE_TASK.search(OWN_NAME.sub("", word))}
    assert words <= CALLED_SO.get(shown, set())


def test_a_name_that_all_share_is_defined_once():
    once = {
        "RUNTIMES",
        "TRAININGS",
        "DIFFICULTIES",
        "SCRIPTED",
        "COMMITTED",
        "SPELLINGS",
        "STAGES",
        "UserError",
    }
    places: dict[str, list[str]] = {name: [] for name in once}
    for path in MODULES:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            targets = (
                node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            )
            bound = {t.id for t in targets if isinstance(t, ast.Name)}
            bound |= {node.name} if isinstance(node, ast.ClassDef | ast.FunctionDef) else set()
            for name in bound & once:
                places[name].append(path.relative_to(LIBRARY).as_posix())
    assert {name: len(found) for name, found in places.items()} == dict.fromkeys(once, 1), places


def by_locale(source: str) -> list[int]:
    """Lines that read, write or run text in whatever encoding the machine's language has."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        given = {word.arg: getattr(word.value, "value", None) for word in node.keywords}
        if "encoding" in given or None in given:  # None: **arguments, which may hold one
            continue
        bare = isinstance(node.func, ast.Name)
        modes = (
            [given["mode"]]
            if "mode" in given
            else [
                getattr(value, "value", None)
                for value in (node.args[1:2] if bare else node.args[:1])
            ]
        )
        opens = name == "open" and (
            any(isinstance(mode, str) and re.fullmatch("[rwaxt+]+", mode) for mode in modes)
            or (bare and not modes)
            or (not node.args and not modes)
        )
        texts = (name == "read_text" and not node.args) or (
            name == "write_text" and len(node.args) < 2
        )
        if opens or texts or given.get("text") is True or given.get("universal_newlines") is True:
            found.append(node.lineno)
    return found


@pytest.mark.parametrize(
    "call",
    [
        *("p.read_text()", "p.write_text('x')", "open(p)", "open(p, 'w')", "p.open()"),
        *("p.open('a')", "open(p, mode='r')", "run(c, text=True)"),
    ],
)
def test_text_that_depends_on_the_machines_language_is_seen(call):
    assert by_locale(call)
    end = ", encoding='utf-8')" if not call.endswith("()") else "encoding='utf-8')"
    assert not by_locale(call[:-1] + end)


@pytest.mark.parametrize("call", ["open(p, 'rb')", "p.open('wb')", "opener.open(request)"])
def test_bytes_depend_on_no_language(call):
    assert not by_locale(call)


def test_all_text_is_read_and_written_as_utf_8_whatever_the_machines_language():
    for path in tracked():
        if path.suffix == ".py" and "attacks" not in path.parts:  # those are not ours to run
            sources = [path.read_text(encoding="utf-8")]
        elif path.suffix == ".ipynb":
            sources = ["".join(cell["source"]) for cell in code_cells(path)]
        else:
            continue
        for source in sources:
            assert not by_locale(source), f"{path.relative_to(REPOSITORY)}: {by_locale(source)}"


def test_the_formatter_formats():
    kept = [
        f"{path.relative_to(REPOSITORY)}:{number}"
        for path in tracked()
        if path.suffix == ".py" and path != Path(__file__).resolve()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(r"#\s*fmt: (skip|off)", line)
    ]
    assert len(kept) <= SPECIAL_LAYOUT, kept
