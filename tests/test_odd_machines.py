"""The command where folders, homes, languages and disks are not as usual."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from knapsack_lib.files import path_digest

REPOSITORY = Path(__file__).resolve().parents[1]
ODD = "mein Ordner ü"
# No language at all, and nothing that makes up for it: text is ASCII unless the program says otherwise.
NO_LANGUAGE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
PRIVATE = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]


@pytest.fixture
def studied(tmp_path):
    """A project in a folder whose name has spaces and a letter that ASCII lacks."""
    folder = tmp_path / ODD
    for name in ("params", "notebooks"):
        shutil.copytree(REPOSITORY / name, folder / name)
    shutil.copy(REPOSITORY / "Makefile", folder)
    return folder


def command(folder, *words, module="knapsack_lib.cli", before=(), **environment):
    """(exit status, output) of the command line, in that folder."""
    done = subprocess.run(
        [*before, sys.executable, "-m", module, *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "CI": "", **environment},
    )
    return done.returncode, done.stdout.decode("utf-8", "replace").splitlines()


# Folders, homes, languages ------------------------------------------------------------------------


def test_an_odd_folder_without_a_language_or_a_home_gives_the_same_bytes(studied, tmp_path):
    odd = {**NO_LANGUAGE, "HOME": "/dev/null/home", "CI": "true"}
    code, lines = command(studied, "run", "--profile", "smoke", "--stage", "01_generate", **odd)
    assert code == 0, lines
    assert command(studied, "generate", "smoke", "--out", str(tmp_path / "usual"))[0] == 0
    assert path_digest(studied / "runs/smoke/tasks/easy") == path_digest(tmp_path / "usual")
    executed = (studied / "runs/smoke/notebooks/01_generate.ipynb").read_text(encoding="utf-8")
    assert '"stderr"' not in executed and "/tmp" not in executed


@pytest.mark.parametrize("environment", [NO_LANGUAGE, {"PYTHONIOENCODING": "latin-1"}])
def test_a_letter_that_a_terminal_lacks_stops_nothing(studied, environment):
    shown = r"'done \u2588 \xb7 \xfc'"  # a full block, a middle dot, an umlaut
    code = f"from knapsack_lib import cli; cli.knapsack = lambda: print({shown}); cli.main()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), **environment},
        capture_output=True,
    )
    assert (done.returncode, done.stderr) == (0, b"") and done.stdout.startswith(b"done ? ")


def test_make_works_in_an_odd_folder(studied):
    python = studied / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    done = subprocess.run(
        ["make", "-o", ".venv/.made-from-constraints", "plan", "PROFILE=smoke"],
        cwd=studied,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0 and "05_analysis.ipynb -p profile smoke" in done.stdout


# Disks --------------------------------------------------------------------------------------------


@pytest.fixture
def disk(tmp_path):
    """disk(prepare) -> words that run a command with a small disk of its own at the folder, after
    the shell lines `prepare` have been run there."""
    if subprocess.run([*PRIVATE, "true"], capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount a disk of their own")

    def words(folder, prepare):
        content = tmp_path / "content"
        folder.rename(content)
        folder.mkdir()
        kept = tmp_path / "left"
        script = (
            'set -e; at=$1; mount -t tmpfs -o size=4m small "$at"; cp -r "$2/." "$at"; cd "$at"\n'
            f'{prepare}\nkept=$3; shift 3; code=0; "$@" || code=$?; rm -f fill; cp -r . "$kept"; exit $code'
        )
        return [*PRIVATE, "bash", "-c", script, "-", str(folder), str(content), str(kept)], kept

    return words


READ_ONLY = 'mount -o remount,ro "$at"'
FULL = "head -c 9m /dev/zero > fill 2>/dev/null || true"
NEARLY_FULL = f"{FULL}; truncate -s -80K fill"
GENERATE = ("knapsack_lib.cli", "generate", "smoke", "--out", "tasks")
RUN = ("knapsack_lib.cli", "run", "--profile", "smoke", "--stage", "01_generate")
PAPERMILL = ("papermill", "notebooks/01_generate.ipynb", "-p", "profile", "smoke")


@pytest.mark.parametrize(
    "call, prepare, reason",
    [
        *[(call, READ_ONLY, "Read-only file system") for call in (GENERATE, RUN, PAPERMILL)],
        *[(call, FULL, "No space left on device") for call in (GENERATE, RUN, PAPERMILL)],
        (RUN, NEARLY_FULL, "No space left on device"),
    ],
)
def test_a_disk_that_takes_nothing_more_is_one_line_and_nothing_is_half_written(
    studied, disk, call, prepare, reason
):
    before, kept = disk(studied, prepare)
    module, *words = call
    code, lines = command(
        studied, *words, module=module, before=before, PYTHONDONTWRITEBYTECODE="1"
    )
    assert code in (1, 2), lines
    assert [line for line in lines if reason in line] and "Traceback" not in "\n".join(lines)
    left = [path for path in kept.rglob("*") if path.is_file() and path.suffix != ".lock"]
    assert not [path for path in left if ".part" in path.name or not path.stat().st_size]


FILLING = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from made import episode
from knapsack_lib.errors import UserError
from knapsack_lib.store import EpisodeStore, read_episodes
store = Path("s")
try:
    with EpisodeStore(store, "key") as opened:
        for number in range(10**6):
            opened.write(episode(number), 0.5)
except UserError as error:
    print(error)
Path("fill").unlink()
with EpisodeStore(store, "key") as opened:
    assert len(opened.done) == number
    opened.write(episode(number), 0.5)
    opened.close_sorted()
print(list(read_episodes(store, "")) == [episode(n) for n in range(number + 1)])
"""


def test_a_store_on_a_full_disk_ends_in_one_line_and_continues_once_there_is_space(studied, disk):
    before, _ = disk(studied, NEARLY_FULL)
    done = subprocess.run(
        [*before, sys.executable, "-c", FILLING, str(REPOSITORY / "tests")],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        encoding="utf-8",
    )
    line, whole = done.stdout.splitlines()
    assert "No space left on device; free some space, then run the same command" in line
    assert whole == "True" and done.stderr == ""
