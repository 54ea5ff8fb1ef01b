"""What is written: whole or not at all, under the name that was asked for and no other; what cannot
be is one line."""

import json

import pandas as pd
import pytest

from knapsack_lib import cli
from knapsack_lib.cli import main
from knapsack_lib.errors import UserError
from knapsack_lib.explorer.catalogue import open_catalogue
from knapsack_lib.published.episodes import to_episodes, write_chat, write_published
from knapsack_lib.published.files import written_whole
from knapsack_lib.published.reading import Imported, read_source, write_stores
from knapsack_lib.published.records import read_records


@pytest.fixture
def command(monkeypatch, capsys, tmp_path):
    """command("stats", "a", "b"): (exit code, what it says) of the program, run in tmp_path."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        monkeypatch.setattr("sys.argv", ["knapsack", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            main()
        said = capsys.readouterr()
        return end.value.code, said.out + said.err

    return run


def refused(answer, said):
    """The one line of a command that was refused."""
    code, text = answer
    assert code == 2 and text.startswith("error: ") and text.count("\n") == 1 and said in text, text


def tree(folder):
    """Every path below a folder, and the bytes of files."""
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


# Names that the user has given to other things ----------------------------------------------------


def writers(episodes):
    found = Imported(tuple(episodes), (None,) * len(episodes))
    return {
        "stores": lambda path: write_stores(found, path),
        "published": lambda path: write_published(episodes, path),
        "chat": lambda path: write_chat(episodes, path),
    }


@pytest.mark.parametrize("kind", ["stores", "published", "chat"])
def test_a_part_of_the_users_own_stays_as_it_is(kind, sample, tmp_path):
    write = writers(to_episodes(read_records(sample / "persistent").records))[kind]
    (tmp_path / "a.part").mkdir()
    (tmp_path / "a.part" / "mine").write_text("precious")
    (tmp_path / "b.part").write_text("precious")
    for name in ("a", "b"):
        write(tmp_path / name)
    assert (
        (tmp_path / "a.part" / "mine").read_text()
        == (tmp_path / "b.part").read_text()
        == "precious"
    )
    assert {path.name for path in tmp_path.iterdir()} == {"a", "a.part", "b", "b.part"}


def test_a_task_file_is_written_beside_a_part_of_the_users_own(command, tmp_path):
    config = {"knapsack": {"num_tasks": 1, "num_allowed_classes": 2}}
    (tmp_path / "easy.json").write_text(json.dumps(config))
    (tmp_path / "tasks").mkdir()
    mine = tmp_path / "tasks" / "knapsack-0000000000.part"
    mine.write_text("precious")
    assert (
        command("generate", "easy.json", "--out", "tasks")[0] == 0
        and mine.read_text() == "precious"
    )


def test_what_fails_midway_leaves_nothing(tmp_path):
    for make in (lambda part: part.mkdir(), lambda part: part.write_text("half")):
        with pytest.raises(RuntimeError), written_whole(tmp_path / "new") as part:
            make(part)
            raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_a_new_folder_has_the_usual_rights(tmp_path):
    (tmp_path / "usual").mkdir()
    with written_whole(tmp_path / "ours") as part:
        part.mkdir()
    assert (tmp_path / "usual").stat().st_mode == (tmp_path / "ours").stat().st_mode


def test_parquet_is_replaced_whole_or_kept(command, sample, tmp_path, monkeypatch):
    (tmp_path / "e.parquet").write_text("as it was")

    def fails(frame, path, **_):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device", str(path))

    with monkeypatch.context() as patched:
        patched.setattr(pd.DataFrame, "to_parquet", fails)
        answer = command(
            "export", sample / "persistent", "--format", "parquet", "--out", "e.parquet"
        )
    refused(answer, "No space left on device")
    assert (tmp_path / "e.parquet").read_text() == "as it was" and len(
        list(tmp_path.iterdir())
    ) == 1
    assert (
        command("export", sample / "persistent", "--format", "parquet", "--out", "e.parquet")[0]
        == 0
    )
    assert len(pd.read_parquet(tmp_path / "e.parquet")) == 8


# Places that cannot be ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("out", "said"),
    [("file/x", "a file stands where its folder would be"), ("d", "d")],
    ids=["in a file", "a folder"],
)
@pytest.mark.parametrize(
    "words",
    [
        "import S",
        "export S",
        "export S --format chat",
        "export S --format parquet",
        "table spec.json",
    ],
)
def test_a_place_that_cannot_be_is_one_line_and_nothing_is_written(
    command, sample, tmp_path, words, out, said
):
    (tmp_path / "d").mkdir()
    (tmp_path / "file").write_text("mine")
    cell = {
        "difficulty": "easy",
        "train": "base",
        "runtime": "reset",
        "score_override": 0.5,
        "path": "summary.json",
    }
    (tmp_path / "spec.json").write_text(json.dumps({"cells": [cell]}))
    (tmp_path / "summary.json").write_text("{}")
    before = tree(tmp_path)
    refused(command(*words.replace("S", str(sample / "persistent"), 1).split(), "--out", out), said)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("out", ["file", "file/x"])
def test_tasks_cannot_be_written_into_a_file(command, tmp_path, out):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "easy.json").write_text(
        json.dumps({"knapsack": {"num_tasks": 1, "num_allowed_classes": 2}})
    )
    refused(
        command("generate", "easy.json", "--out", out), "a file stands where its folder would be"
    )


def test_a_table_may_go_into_a_folder_that_is_not_there_yet(command, tmp_path):
    cell = {"difficulty": "easy", "train": "base", "runtime": "reset", "absent": True}
    (tmp_path / "spec.json").write_text(json.dumps({"cells": [cell]}))
    assert command("table", "spec.json", "--out", "new/x.tex") == (0, "wrote new/x.tex\n")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["x.tex"]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            PermissionError(13, "Permission denied", "a\nb"),
            "a\\nb: Permission denied; give another path",
        ),
        (IsADirectoryError(21, "Is a directory", "made", None, "wanted"), "wanted: Is a directory"),
        (OSError("no errno\nand two lines"), "no errno and two lines"),
        (OSError(), "OSError"),
    ],
)
def test_what_the_file_system_refuses_is_one_line(command, monkeypatch, error, said):
    def fails():
        raise error

    monkeypatch.setattr(cli, "knapsack", fails)
    refused(command(), said)


# Words that become names --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--train", "../../esc"), "train = '../../esc' is no plain word"),
        (("--train", ""), "train = '' is no plain word"),
        (("--train", "a/b"), "letters, digits, _ and -"),
        (
            ("--runtime", "nonsense"),
            "runtime = 'nonsense' is unknown; choose one of: persistent, reset",
        ),
        (("--difficulty", "../x"), "difficulty = '../x' is unknown; choose one of: easy, medium"),
    ],
)
def test_a_cell_that_is_none_is_refused_and_nothing_is_written(
    command, sample, tmp_path, words, said
):
    before = tree(tmp_path.parent)
    refused(command("import", sample / "persistent", "--out", "deep/out", *words), said)
    assert tree(tmp_path.parent) == before


def test_the_papers_words_for_a_cell_are_those_of_ours(command, sample, tmp_path):
    words = ("--train", "stateless", "--runtime", "stateless", "--difficulty", "hard")
    assert command("import", sample / "persistent", "--out", "out", *words)[0] == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["reset-reset-medium"]
    frame = open_catalogue(tmp_path / "out").frame
    assert set(zip(frame.train, frame.runtime, frame.difficulty, strict=True)) == {
        ("reset", "reset", "medium")
    }


@pytest.fixture
def exported(sample, tmp_path):
    """exported(episode_id="x", ...): the sample as this library publishes it, the episode kept in
    one trace changed."""
    write_published(to_episodes(read_records(sample / "persistent").records), tmp_path / "ours")
    path = min((tmp_path / "ours").rglob("*.trace.json"))

    def make(**changed):
        trace = json.loads(path.read_text())
        trace["knapsack_lib"] |= changed
        path.write_text(json.dumps(trace))
        return tmp_path / "ours"

    return make


@pytest.mark.parametrize(
    "changed", [{"policy": "../../esc"}, {"difficulty": "a/b"}, {"runtime": "a\nb"}]
)
def test_a_cell_that_a_file_names_cannot_lead_elsewhere(exported, tmp_path, changed):
    episodes = read_source(exported(**changed)).episodes
    before = tree(tmp_path.parent)
    for write in (writers(episodes)[kind] for kind in ("stores", "published")):
        with pytest.raises(UserError, match="the cell '.*' cannot be in a file's name") as error:
            write(tmp_path / "deep" / "new")
        assert "\n" not in str(error.value)
    assert tree(tmp_path.parent) == before


@pytest.mark.parametrize("task", ["a/b", "../../b", "a\\b", "a\x00b"])
def test_a_task_id_that_cannot_be_a_files_name_is_one_line_and_nothing_is_written(
    command, tmp_path, task
):
    line = {"messages": [{"role": "assistant", "content": "x"}], "task_id": task}
    (tmp_path / "traces.jsonl").write_text(json.dumps(line))
    assert command("import", "traces.jsonl", "--out", "theirs")[0] == 1  # tokens are not recorded
    before = tree(tmp_path)
    refused(command("export", "theirs", "--out", "again"), "task id")
    assert tree(tmp_path) == before


# Numbers that cannot be ---------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1e30, -4, 2**60, 10**400])
def test_counts_that_no_table_can_hold_are_not_recorded(command, tmp_path, count):
    metrics = {"items_taken_count": count, "inspected_count": count}
    line = {"messages": [{"role": "assistant", "content": "x"}], "task_id": "t", "metrics": metrics}
    (tmp_path / "traces.jsonl").write_text(json.dumps(line))
    command("import", "traces.jsonl", "--out", "theirs")
    assert command("export", "theirs", "--format", "parquet", "--out", "e.parquet")[0] == 0
    assert command("export", "theirs", "--out", "again")[0] == 0
    (episode,) = read_source(tmp_path / "again").episodes
    assert episode.result["items_taken"] == episode.result["items_inspected"] == 0


def test_scores_whose_sum_is_no_number_are_none(command, tmp_path):
    lines = [
        {"messages": [{"role": "assistant", "content": "x"}], "score": 1.7e308} for _ in range(2)
    ]
    (tmp_path / "traces.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert command("export", "traces.jsonl", "--out", "again")[0] == 0
    assert {record.score for record in read_records(tmp_path / "again").records} == {None}


GOOD = {
    "value": 5,
    "optimal_value": 9,
    "score": 0.5,
    "solved": False,
    "weight_used": 3,
    "capacity": 7,
    "items_taken": 2,
    "items_inspected": 4,
}


@pytest.mark.parametrize(
    "changed",
    [
        {"outcome": {}},
        {"outcome": {**GOOD, "value": "5"}},
        {"outcome": {**GOOD, "score": None}},
        {"outcome": 3},
        {"outcome": {**GOOD, "value": 10**400}},
        {"outcome": {**GOOD, "capacity": float("inf")}},
        {"turns": [{}]},
        {"outcome": {**GOOD, "items_taken": 10**30}},
        {"turns": 3},
        {"task_id": 7},
        {"opening": None},
    ],
)
def test_an_episode_that_was_kept_in_a_trace_and_is_damaged_is_read_as_any_other(
    command, exported, changed
):
    folder = exported(**changed)
    assert command("export", folder, "--format", "parquet", "--out", "e.parquet")[0] == 0
    assert command("export", folder, "--out", "again")[0] == 0
    damaged = min(read_source(folder).episodes, key=lambda episode: episode.task_id)
    assert len(read_source(folder).episodes) == 8 and damaged.result["items_taken"] < 100
    assert damaged.result != changed.get("outcome") and damaged.opening and damaged.turns


def test_an_episode_that_was_kept_in_a_trace_comes_back(exported):
    damaged = min(read_source(exported(outcome=GOOD)).episodes, key=lambda episode: episode.task_id)
    assert damaged.result == GOOD


@pytest.mark.parametrize("problem", [" ", "\n\t\n", "\x1c"])
def test_an_interpreter_error_of_blanks_is_no_error(copy, problem):
    folder = copy("persistent")
    path = folder / "knapsack-knapsack-0000000000.trace.json"
    trace = json.loads(path.read_text())
    for event in trace["events"]:
        if event["type"] == "StepEvent":
            event["data"]["interpreter_result"]["error"] = problem
    path.write_text(json.dumps(trace))
    first = to_episodes(read_records(folder).records)[0]
    assert first.turns and all(turn.error_type is turn.error is None for turn in first.turns)


def test_nothing_is_not_written(tmp_path):
    with pytest.raises(UserError, match="there is no episode to write"):
        write_published([], tmp_path / "out")
    assert not list(tmp_path.iterdir())
