"""One command for everything: it starts fast, lists what it can do, and shows a mistake as a line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from knapsack_lib import cli
from knapsack_lib.cli import COMMANDS, knapsack
from knapsack_lib.errors import UserError

REPOSITORY = Path(__file__).resolve().parents[2]
HEAVY = {"torch", "transformers", "pandas", "scipy", "matplotlib", "papermill", "IPython", "numpy"}


def test_help_lists_every_command_with_what_it_does():
    shown = CliRunner().invoke(knapsack, ["-h"]).output
    listed = {line.split()[0]: line.split()[1:] for line in shown.splitlines() if line[:2] == "  "}
    assert all(len(listed[name]) > 3 for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_has_an_example(name):
    shown = CliRunner().invoke(knapsack, [name, "--help"])
    assert shown.exit_code == 0 and f"Example:  knapsack {name} " in shown.output


def test_an_unknown_command_is_refused():
    done = CliRunner().invoke(knapsack, ["rum"])
    assert done.exit_code == 2 and "No such command 'rum'" in done.output


def test_the_help_of_the_command_line_loads_nothing_heavy():
    code = "import sys, knapsack_lib.cli as c\ntry: c.knapsack(['--help'])\nexcept SystemExit: print(*sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        encoding="utf-8",
        check=True,
        env=environment,
    )
    assert not HEAVY & set(done.stdout.split())


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (UserError("no profile"), "error: no profile\n"),
        (
            FileNotFoundError(2, "No such file", "a/b"),
            "error: a/b: No such file; give another path\n",
        ),
        (PermissionError(13, "Denied", "a", None, "b"), "error: b: Denied; give another path\n"),
        (OSError("something\nelse"), "error: something else\n"),
        (OSError(), "error: OSError\n"),
    ],
)
def test_a_users_mistake_and_what_the_file_system_refuses_are_one_line(
    monkeypatch, capsys, error, line
):
    def refuse():
        raise error

    monkeypatch.setattr(cli, "knapsack", refuse)
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 2 and capsys.readouterr().err == line


def test_the_package_can_be_run_as_a_module(project):
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", "knapsack_lib.cli", "plan", "--profile", "none"]
    done = subprocess.run(
        command, capture_output=True, encoding="utf-8", env=environment, cwd=project
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr.startswith("error: profile 'none' has no file") and done.stderr.count("\n") == 1
    )
