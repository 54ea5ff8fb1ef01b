"""The commands of cli/exchange.py: what they print, their exit codes, and what they refuse in one
line."""

import json

import pandas as pd
import pytest
from click.testing import CliRunner

from knapsack_lib import cli
from knapsack_lib.cli import COMMANDS, knapsack
from knapsack_lib.errors import UserError
from knapsack_lib.explorer.catalogue import open_catalogue
from knapsack_lib.published.reading import read_source
from knapsack_lib.published.records import read_records
from knapsack_lib.published.table import latex_table


def run(*arguments):
    return CliRunner().invoke(knapsack, [str(argument) for argument in arguments])


def test_every_command_has_help_with_an_example():
    assert run("--help").exit_code == 0
    for name in (name for name, (module, _) in COMMANDS.items() if module == "exchange"):
        help_text = run(name, "--help")
        assert help_text.exit_code == 0 and "Example:  knapsack" in help_text.output, name


def test_the_help_of_table_shows_a_spec_that_is_one(tmp_path):
    text = run("table", "--help").output
    spec = json.loads(text[text.index('{"caption"') : text.index("]}") + 2])
    (tmp_path / "spec.json").write_text(json.dumps(spec), encoding="utf-8")
    with pytest.raises(
        UserError, match=r"cells\.0\.path: no file or folder summary\.json"
    ):  # all else is in order
        latex_table(tmp_path / "spec.json")


def test_stats_and_compare_print_for_people_and_for_machines(sample):
    a, b = sample / "persistent", sample / "stateless"
    printed = json.loads(run("stats", a, b, "--json").output)
    assert [one["episodes"] for one in printed] == [8, 8] and printed[0]["tool_calls"] is None
    assert json.loads(run("stats", a, b, "--json", "--as-published").output)[0][
        "tool_calls"
    ] == pytest.approx(41 / 7)
    assert "not recorded" in run("stats", a, b).output
    found = json.loads(run("compare", a, b, "--json").output)
    assert (found["n_pairs"], found["wilcoxon_w"], found["wilcoxon_p"]) == (8, 3.0, 0.625)
    assert "rank-biserial         +0.400" in run("compare", a, b).output


def test_import_and_export_go_there_and_back(sample, tmp_path):
    assert (
        run(
            "import", sample / "stateless", "--out", tmp_path / "theirs", "--runtime", "reset"
        ).exit_code
        == 0
    )
    assert run("export", tmp_path / "theirs", "--out", tmp_path / "again").exit_code == 0
    back = read_records(tmp_path / "again")
    assert (
        len(back.records) == 8
        and back.records[0].cell == ("published", "reset", "easy")
        or back.records[0].cell is None
    )
    assert (
        run(
            "export", tmp_path / "theirs", "--format", "parquet", "--out", tmp_path / "e.parquet"
        ).exit_code
        == 0
    )
    assert (
        run(
            "export", tmp_path / "theirs", "--format", "chat", "--out", tmp_path / "e.jsonl"
        ).exit_code
        == 0
    )


def refused(answer, message):
    """The one line of a command that was refused."""
    code, text = answer
    assert code == 2 and text.startswith("error: ") and text.count("\n") == 1, text
    assert message in text


def test_a_task_file_is_written_next_to_a_part_of_the_users_own(command, tmp_path):
    config = {"knapsack": {"num_tasks": 1, "num_allowed_classes": 2}}
    (tmp_path / "easy.json").write_text(json.dumps(config), encoding="utf-8")
    (tmp_path / "tasks").mkdir()
    mine = tmp_path / "tasks" / "knapsack-0000000000.part"
    mine.write_text("precious", encoding="utf-8")
    assert (
        command("generate", "easy.json", "--out", "tasks")[0] == 0
        and mine.read_text(encoding="utf-8") == "precious"
    )


def test_parquet_is_replaced_whole_or_kept(command, sample, tmp_path, monkeypatch):
    (tmp_path / "e.parquet").write_text("as it was", encoding="utf-8")

    def fails(frame, path, **_):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device", str(path))

    with monkeypatch.context() as patched:
        patched.setattr(pd.DataFrame, "to_parquet", fails)
        answer = command(
            "export", sample / "persistent", "--format", "parquet", "--out", "e.parquet"
        )
    refused(answer, "No space left on device")
    assert (tmp_path / "e.parquet").read_text(encoding="utf-8") == "as it was" and len(
        list(tmp_path.iterdir())
    ) == 1
    assert (
        command("export", sample / "persistent", "--format", "parquet", "--out", "e.parquet")[0]
        == 0
    )
    assert len(pd.read_parquet(tmp_path / "e.parquet")) == 8


@pytest.mark.parametrize(
    ("out", "message"),
    [("file/x", "file: File exists; give another path"), ("d", "d")],
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
    command, sample, tmp_path, tree, words, out, message
):
    (tmp_path / "d").mkdir()
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    cell = {
        "difficulty": "easy",
        "train": "base",
        "runtime": "reset",
        "score_override": 0.5,
        "path": "summary.json",
    }
    (tmp_path / "spec.json").write_text(json.dumps({"cells": [cell]}), encoding="utf-8")
    (tmp_path / "summary.json").write_text("{}", encoding="utf-8")
    before = tree(tmp_path)
    refused(
        command(*words.replace("S", str(sample / "persistent"), 1).split(), "--out", out), message
    )
    assert tree(tmp_path) == before


@pytest.mark.parametrize("out", ["file", "file/x"])
def test_tasks_cannot_be_written_into_a_file(command, tmp_path, out):
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    (tmp_path / "easy.json").write_text(
        json.dumps({"knapsack": {"num_tasks": 1, "num_allowed_classes": 2}}), encoding="utf-8"
    )
    refused(command("generate", "easy.json", "--out", out), "give another path")


def test_a_table_may_go_into_a_folder_that_is_not_there_yet(command, tmp_path):
    cell = {"difficulty": "easy", "train": "base", "runtime": "reset", "absent": True}
    (tmp_path / "spec.json").write_text(json.dumps({"cells": [cell]}), encoding="utf-8")
    assert command("table", "spec.json", "--out", "new/x.tex") == (0, "wrote new/x.tex\n")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["x.tex"]


@pytest.mark.parametrize(
    ("error", "message"),
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
def test_what_the_file_system_refuses_is_one_line(command, monkeypatch, error, message):
    def fails():
        raise error

    monkeypatch.setattr(cli, "knapsack", fails)
    refused(command(), message)


@pytest.mark.parametrize(
    ("words", "message"),
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
    command, sample, tmp_path, tree, words, message
):
    before = tree(tmp_path.parent)
    refused(command("import", sample / "persistent", "--out", "deep/out", *words), message)
    assert tree(tmp_path.parent) == before


def test_the_papers_words_for_a_cell_are_those_of_ours(command, sample, tmp_path):
    words = ("--train", "stateless", "--runtime", "stateless", "--difficulty", "hard")
    assert command("import", sample / "persistent", "--out", "out", *words)[0] == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["reset-reset-medium"]
    frame = open_catalogue(tmp_path / "out").frame
    assert set(zip(frame.train, frame.runtime, frame.difficulty, strict=True)) == {
        ("reset", "reset", "medium")
    }


@pytest.mark.parametrize("task", ["a/b", "../../b", "a\\b", "a\x00b", "a" * 300])
def test_a_task_id_that_cannot_be_a_files_name_is_one_line_and_nothing_is_written(
    command, tmp_path, tree, task
):
    line = {"messages": [{"role": "assistant", "content": "x"}], "task_id": task}
    (tmp_path / "traces.jsonl").write_text(json.dumps(line), encoding="utf-8")
    assert command("import", "traces.jsonl", "--out", "theirs")[0] == 0
    before = tree(tmp_path)
    refused(command("export", "theirs", "--out", "again"), "task id")
    assert tree(tmp_path) == before


@pytest.mark.parametrize("count", [1e30, -4, 2**60, 10**400])
def test_counts_that_no_table_can_hold_are_not_recorded(command, tmp_path, count):
    metrics = {"items_taken_count": count, "inspected_count": count}
    line = {"messages": [{"role": "assistant", "content": "x"}], "task_id": "t", "metrics": metrics}
    (tmp_path / "traces.jsonl").write_text(json.dumps(line), encoding="utf-8")
    command("import", "traces.jsonl", "--out", "theirs")
    assert command("export", "theirs", "--format", "parquet", "--out", "e.parquet")[0] == 0
    assert command("export", "theirs", "--out", "again")[0] == 0
    (episode,) = read_source(tmp_path / "again").episodes
    assert episode.result["items_taken"] == episode.result["items_inspected"] == 0


def test_scores_whose_sum_is_no_number_are_none(command, tmp_path):
    lines = [
        {"messages": [{"role": "assistant", "content": "x"}], "score": 1.7e308} for _ in range(2)
    ]
    (tmp_path / "traces.jsonl").write_text(
        "".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8"
    )
    assert command("export", "traces.jsonl", "--out", "again")[0] == 0
    assert {record.score for record in read_records(tmp_path / "again").records} == {None}


def test_a_note_is_no_failure_of_an_import_and_a_line_left_out_is(command, tmp_path):
    line = json.dumps({"messages": [{"role": "assistant", "content": "x"}]})
    (tmp_path / "whole.jsonl").write_text(line, encoding="utf-8")
    code, text = command("import", "whole.jsonl", "--out", "whole")
    assert code == 0 and "note: whole.jsonl: conversations record no tokens" in text
    (tmp_path / "cut.jsonl").write_text(line + "\n" + line[:20], encoding="utf-8")
    code, text = command("import", "cut.jsonl", "--out", "cut")
    assert code == 1 and "1 episodes in 1 stores" in text and "cut.jsonl:2: no whole JSON" in text


def test_an_import_without_traces_notes_it_and_succeeds_and_a_damaged_file_is_left_out(
    command, copy
):
    folder = copy("persistent")
    (folder / "knapsack-knapsack-0000000003.trace.json").unlink()
    code, text = command("import", folder, "--out", "one")
    assert code == 0 and "1 episodes have no trace" in text
    (folder / "knapsack-knapsack-0000000002.json").write_text("{", encoding="utf-8")
    code, text = command("import", folder, "--out", "other")
    assert code == 1 and "0000000002.json: no whole JSON" in text


def test_an_import_says_where_a_family_and_a_cell_are_taken_from(command, tmp_path):
    line = json.dumps({"messages": [{"role": "assistant", "content": "x"}]})
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "whole.jsonl").write_text(line, encoding="utf-8")
    code, text = command("import", "mine", "--out", "lamps", "--family", "lamps")
    assert code == 0 and "1 have no task id: they are called after their lines" in text
    (episode,) = [
        open_catalogue(tmp_path / "lamps").open(place)
        for place in open_catalogue(tmp_path / "lamps").frame.index
    ]
    assert episode.family == "lamps" and episode.task_id.startswith("lamps-persistent-")
    refused(
        command("import", "mine", "--out", "x", "--family", "a/b"), "family = 'a/b' is no plain"
    )
