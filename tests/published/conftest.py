"""The sample in the authors' format (tests/data), whole and damaged, and our own run as published
files."""

import shutil
import tarfile
from pathlib import Path

import pytest

from knapsack_lib.analysis.results import read_results
from knapsack_lib.cli import main
from knapsack_lib.profiles import load_profile
from knapsack_lib.published.episodes import write_published

SAMPLE = Path(__file__).resolve().parents[1] / "data" / "published_sample"


@pytest.fixture
def sample():
    return SAMPLE


@pytest.fixture
def copy(tmp_path):
    """A folder of the sample that may be damaged: copy("persistent")."""

    def make(name):
        return Path(shutil.copytree(SAMPLE / name, tmp_path / name))

    return make


@pytest.fixture
def packed(tmp_path):
    """An archive of a folder: packed(folder)."""

    def make(folder, name="made.tar.gz"):
        with tarfile.open(tmp_path / name, "w:gz") as archive:
            archive.add(folder, arcname=folder.name)
        return tmp_path / name

    return make


@pytest.fixture(scope="session")
def run():
    return load_profile("pocket-seeds").run()


@pytest.fixture(scope="session")
def whole(run, tmp_path_factory):
    """Every seventh task of the committed run as published files: twelve folders and two more
    seeds."""
    episodes = read_results(run).episodes
    tasks = sorted({e.task_id for e in episodes})[::7]
    kept = [e for e in episodes if e.task_id in set(tasks)]
    folder = tmp_path_factory.mktemp("published") / "benchmarks"
    write_published(kept, folder)
    return folder, kept


@pytest.fixture
def command(monkeypatch, capsys, tmp_path):
    """command("stats", "a", "b"): (exit code, what it prints) of the program, run in tmp_path."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        monkeypatch.setattr("sys.argv", ["knapsack", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            main()
        printed = capsys.readouterr()
        return end.value.code, printed.out + printed.err

    return run


@pytest.fixture
def tree():
    """tree(folder): every path below it, and the bytes of files."""

    def found(folder):
        return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}

    return found
