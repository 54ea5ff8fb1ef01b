"""Whatever a source is (folders, archives, training traces, a data set id), it becomes the same
episodes and the same results."""

import json
import re
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pandas as pd
import pytest

from knapsack_lib.analysis.evidence import Evidence
from knapsack_lib.analysis.report import build
from knapsack_lib.analysis.results import read_results
from knapsack_lib.errors import UserError
from knapsack_lib.explorer.catalogue import open_catalogue
from knapsack_lib.profiles import load_profile
from knapsack_lib.published.chats import read_chats
from knapsack_lib.published.episodes import write_published
from knapsack_lib.published.reading import read_source, write_stores
from knapsack_lib.published.results import results_of
from knapsack_lib.published.table import latex_table


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


def test_the_twelve_folders_are_read_whole_and_in_archives_too(whole, packed, tmp_path):
    folder, kept = whole
    found = read_source(folder)
    assert len(found.episodes) == len(kept) and not found.notes
    assert sorted(e.to_line() for e in found.episodes) == sorted(e.to_line() for e in kept)
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    for cell in sorted(folder.glob("*_*_*")):  # every other one packed
        if cell.name.endswith("easy"):
            packed(cell, f"mixed/{cell.name}.tar.gz")
        else:
            shutil.copytree(cell, mixed / cell.name)
    first = [e.to_line() for e in kept if e.train_seed < 2]
    assert sorted(e.to_line() for e in read_source(mixed).episodes) == sorted(first)


def test_a_summary_stands_beside_every_cell(whole):
    folder, kept = whole
    told = json.loads((folder / "persistent_persistent_easy" / "summary.json").read_text())
    mine = [
        e
        for e in kept
        if (e.train, e.runtime, e.difficulty, e.train_seed)
        == ("persistent", "persistent", "easy", 1)
    ]
    assert told["num_tasks_executed"] == len(mine) > 10
    assert told["num_tasks_solved"] == sum(e.result["solved"] for e in mine)
    assert told["average_is_solved"] == told["num_tasks_solved"] / len(mine)
    assert told["metrics"]["score"]["mean"] == pytest.approx(
        sum(e.result["score"] for e in mine) / len(mine)
    )
    spec = {
        "cells": [
            {
                "difficulty": "Easy",
                "train": "Persistent",
                "runtime": "Persistent",
                "path": "summary.json",
            },
            {
                "difficulty": "Easy",
                "train": "Persistent",
                "runtime": "Persistent",
                "metrics_path": "knapsack",
            },
        ]
    }
    (folder / "persistent_persistent_easy" / "spec.json").write_text(json.dumps(spec))
    rows = [
        line
        for line in latex_table(folder / "persistent_persistent_easy" / "spec.json").splitlines()
        if "Persistent &" in line
    ]
    assert re.sub(r" \[.*?\]", "", rows[1]) == rows[0]


def test_results_of_exported_files_are_those_of_the_run(whole, run):
    folder, kept = whole
    results, notes = results_of(str(folder), run)
    own = read_results(run)
    chosen = {e.task_id for e in kept}
    mine = own.cells[own.cells.task_id.isin(chosen)].reset_index(drop=True)
    pd.testing.assert_frame_equal(
        results.cells.drop(columns="seconds"), mine.drop(columns="seconds")
    )
    assert not notes and not results.whole and "source benchmarks" in results.stamp
    row = Evidence(results).contrast("score", "easy", "interaction")
    assert (
        row.n == (mine[mine.difficulty == "easy"].task_id.nunique())
        and row.seeds == 3
        and row.p_holm < 0.05
    )


def test_two_cells_are_analysed_as_far_as_they_go(sample, run, tmp_path):
    for name, cell in (
        ("persistent", "persistent_persistent_easy"),
        ("stateless", "stateless_stateless_easy"),
    ):
        shutil.copytree(sample / name, tmp_path / "theirs" / cell / "knapsack")
    results, notes = results_of(str(tmp_path / "theirs"), run)
    evidence = Evidence(results)
    assert evidence.cell("persistent", "persistent", "easy").score == pytest.approx(0.537325)
    assert results.cells.tool_calls.isna().all() and len(results.cells) == 16
    assert (results.cells.failure == "time limit").sum() == 2 and not notes
    tokens = evidence.contrast("tokens", "easy", "aligned")
    assert tokens.n == 7 and "1 tasks on which a cell spent no token have no ratio" in tokens.note
    written = {path.name for path in build(results, run, tmp_path / "out")}
    assert {"main_result.png", "contrasts.csv", "main.tex", "claims.csv"} <= written
    assert not {"loss_curves.png", "teacher.tex", "numbers.tex"} & written
    by_turn = pd.read_csv(tmp_path / "out" / "figures" / "tokens_by_turn.csv", comment="#")
    assert (by_turn.n == 8).all()  # the two that never began are counted
    assert by_turn[by_turn.train == "persistent"].tokens.max() == pytest.approx(7878.375)


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("", "cell 'published_persistent_easy' is none of the study's"),
        ("teacher_persistent_easy", "none of|no episodes"),
    ],
)
def test_results_without_a_cell_of_the_study_are_one_line(sample, run, tmp_path, cell, said):
    shutil.copytree(sample / "persistent", tmp_path / "x" / cell)
    with pytest.raises(UserError, match=said) as error:
        results_of(str(tmp_path / "x"), run)
    assert "\n" not in str(error.value) and "knapsack import" in str(error.value)


def test_a_folder_above_may_be_called_expert(sample, run, tmp_path):
    for folder in (
        "expert/mine/base",
        "expert/mine/expert/easy",
    ):  # the second is a yardstick within the source
        (tmp_path / folder).mkdir(parents=True)
        episodes = read_source(sample / "persistent", ("base", "persistent", "easy")).episodes
        (tmp_path / folder / "episodes.jsonl").write_text(
            "".join(e.to_line() + "\n" for e in episodes)
        )
    results, _ = results_of(str(tmp_path / "expert" / "mine"), run)
    assert len(results.cells) == 8


def test_stores_that_were_imported_open_in_the_explorer_as_the_files_do(whole, tmp_path):
    folder, kept = whole
    stores = write_stores(read_source(folder), tmp_path / "stores")
    assert len(stores) == 12
    one, other = open_catalogue(folder), open_catalogue(tmp_path / "stores")
    keys = ["train", "runtime", "difficulty", "train_seed", "task_id"]
    columns = [*keys, "score", "tokens", "failure"]
    a, b = (c.frame[columns].sort_values(keys, ignore_index=True) for c in (one, other))
    pd.testing.assert_frame_equal(a, b)
    with pytest.raises(UserError, match="is there already"):
        write_stores(read_source(folder), tmp_path / "stores")


# Training traces ----------------------------------------------------------------------------------


CHAT = [
    {"role": "system", "content": "Act."},
    {"role": "user", "content": "Fill it."},
    {"role": "assistant", "content": "I look.\n```python\nx = inspect('a')\nprint(y)\n```"},
    {"role": "user", "content": "{...}\nNameError: name 'y' is not defined"},
    {"role": "assistant", "content": "Done.\n```python\nfinish()\n```"},
]


def test_training_traces_become_episodes_of_their_regime(tmp_path):
    folder = tmp_path / "data" / "knapsack" / "stateless"
    folder.mkdir(parents=True)
    lines = [{"messages": CHAT, "task_id": "t-1", "score": 0.5}, {"messages": CHAT[:4]}]
    (folder / "traces.jsonl").write_text(
        "".join(json.dumps(line) + "\n" for line in lines) + '{"messages": [{"ro'
    )
    found = read_source(tmp_path / "data")
    first, second = found.episodes
    assert (first.train, first.runtime, first.task_id, first.finish_reason) == (
        "teacher",
        "reset",
        "t-1",
        "finish",
    )
    assert first.opening == CHAT[:2] and first.messages() == CHAT and first.result["score"] == 0.5
    assert (
        first.turns[0].code == "x = inspect('a')\nprint(y)"
        and first.turns[0].error_type == "NameError"
    )
    assert second.finish_reason == "unknown" and second.result["score"] != second.result["score"]
    assert (
        len(found.notes) == 2
        and "no tokens" in found.notes[0]
        and ":3: no whole JSON" in found.notes[1]
    )


def test_whole_traces_in_lines_are_read_too(sample):
    trace = json.loads(next(sample.glob("persistent/*0.trace.json")).read_text())
    (episode,), problems = read_chats(
        "persistent/traces.jsonl", json.dumps({"trace": trace, "id": 7}).encode()
    )
    assert (
        episode.task_id == "7"
        and len(episode.turns) == trace["summary"]["num_steps"]
        and not problems
    )


@pytest.mark.parametrize(
    "line",
    ["[]", "3", '{"messages": []}', '{"messages": "x"}', '{"messages": [3]}', "{}", "\x00", '{"a'],
)
def test_a_line_that_holds_no_conversation_is_one_line(line):
    episodes, problems = read_chats("a/traces.jsonl", line.encode())
    assert (
        not episodes
        and len(problems) == 1
        and "\n" not in problems[0]
        and "traces.jsonl:1" in problems[0]
    )


def test_a_task_twice_in_one_file_is_told():
    data = (json.dumps({"messages": CHAT, "task_id": "t"}) + "\n") * 2
    episodes, problems = read_chats("reset/traces.jsonl", data.encode())
    assert len(episodes) == 1 and "stands in an earlier line too" in problems[0]


# Data sets ----------------------------------------------------------------------------------------


@pytest.fixture
def hub_server(sample, monkeypatch, tmp_path):
    """A local server of the hub's protocol, with one data set of the sample, a gated one and a
    broken one."""
    files = {
        f"persistent_stateless_easy/knapsack/{p.name}": p.read_bytes()
        for p in (sample / "persistent").iterdir()
    }
    files["README.md"] = b"not wanted"
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def answer(self, status, body=b"", **headers):
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def do_GET(self):
            asked.append(self.path)
            path = self.path.partition("?")[0]
            if path.startswith("/api/datasets/"):
                owner, name = path.split("/")[3:5]
                if name == "gated":
                    return self.answer(403, b"{}", X_Error_Code="GatedRepo", X_Error_Message="ask")
                if name == "broken":
                    return self.answer(503)
                if (owner, name) != ("them", "benchmarks"):
                    return self.answer(
                        401, b"{}", X_Error_Code="RepoNotFound", X_Error_Message="no"
                    )
                if path.endswith("/revision/old"):
                    return self.answer(404, b"{}", X_Error_Code="RevisionNotFound")
                info = {
                    "id": "them/benchmarks",
                    "sha": "a" * 40,
                    "siblings": [{"rfilename": n} for n in files],
                    "private": False,
                    "gated": False,
                    "downloads": 0,
                    "likes": 0,
                    "tags": [],
                }
                tree = [
                    {"type": "file", "path": n, "size": len(d), "oid": "b" * 40}
                    for n, d in files.items()
                ]
                return self.answer(
                    200,
                    json.dumps(tree if "/tree/" in path else info).encode(),
                    Content_Type="application/json",
                )
            name = path.partition("/resolve/")[2].partition("/")[2]
            if name not in files:
                return self.answer(404, X_Error_Code="EntryNotFound")
            self.answer(
                200, files[name], ETag=f'"{hash(name) & 0xFFFF:04x}"', X_Repo_Commit="a" * 40
            )

        do_HEAD = do_GET

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_address[1]}")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # as a stage's kernel has it
    yield asked
    server.shutdown()


def test_a_data_set_id_is_fetched_once_and_read_as_a_folder(hub_server, sample):
    found = read_source("them/benchmarks")
    assert len(found.episodes) == 8 and found.episodes[0].runtime == "reset"
    assert [e.turns for e in found.episodes] == [
        e.turns for e in read_source(sample / "persistent").episodes
    ]
    assert not any("README" in path for path in hub_server)
    fetched = sum("/resolve/" in path for path in hub_server)
    assert len(read_source("them/benchmarks").episodes) == 8
    assert sum("/resolve/" in path for path in hub_server) == fetched > 0


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("them/gated", "it is gated; ask for access"),
        ("them/none", "no such dataset"),
        ("them/broken", "the hub answered 503|could not be fetched"),
        ("them/benchmarks@old", "it has no revision old"),
        ("no such/folder", "no such folder, archive or file"),
    ],
)
def test_a_data_set_that_cannot_be_had_is_one_line(hub_server, name, said):
    with pytest.raises(UserError, match=said) as error:
        read_source(name)
    assert "\n" not in str(error.value) and name in str(error.value)


def test_without_a_network_it_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(UserError, match="is there a network") as error:
        read_source("them/benchmarks")
    assert "\n" not in str(error.value)


# The table in a paper -----------------------------------------------------------------------------


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="no LaTeX here")
def test_the_table_compiles_with_the_packages_of_the_paper(whole, tmp_path):
    cells = [
        {
            "difficulty": size,
            "train": train,
            "runtime": runtime,
            "metrics_path": str(whole[0] / f"{train}_{runtime}_{size}"),
        }
        for size in ("easy", "hard")
        for train in ("base", "persistent", "stateless")
        for runtime in ("persistent", "stateless")
    ]
    spec = {"caption": "All_cells & 100% #1 \\ {x}", "label": "tab:all", "cells": cells}
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    table = latex_table(tmp_path / "spec.json")
    assert table.count("[") == 12 - sum("nan" in line for line in table.splitlines())
    head = re.findall(
        r"\\usepackage.*",
        (load_profile("pocket").run().published_root.parents[1] / "paper/main.tex").read_text(),
    )
    text = ["\\documentclass{article}", *head, "\\begin{document}", table, "\\end{document}"]
    (tmp_path / "t.tex").write_text("\n".join(text))
    done = subprocess.run(
        ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "t.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-2000:]
