"""Whatever a source is (folders, archives, training traces, a data set id), it becomes the same
episodes; and stores of them."""

import json
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pandas as pd
import pytest
from common import one_line

from knapsack_lib.errors import UserError
from knapsack_lib.explorer.catalogue import open_catalogue
from knapsack_lib.profiles import Cell
from knapsack_lib.published.reading import read_source, write_stores
from knapsack_lib.published.records import read_records


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


@pytest.mark.parametrize("name", ["summary.json", "traces.jsonl", "r.py"])
def test_a_file_that_is_no_result_is_one_line(tmp_path, name):
    (tmp_path / name).write_text("{}", encoding="utf-8")
    for read, message in (
        (read_records, "no knapsack-<task>.json .or another"),
        (read_source, "no knapsack-<task>.json and no"),
        (open_catalogue, "no episodes in"),
    ):
        with pytest.raises(UserError, match=message) as error:
            read(tmp_path / name)
        assert name in one_line(error)


def test_published_files_become_episodes_that_can_be_explored(sample, tmp_path):
    episodes = read_source(sample / "persistent").episodes
    met = next(e for e in episodes if e.task_id.endswith("4"))
    assert (
        any(turn.error_type == "NameError" for turn in met.turns) and met.finish_reason == "finish"
    )
    assert [e.finish_reason for e in episodes if e.task_id.endswith(("5", "6"))] == [
        "max_turns",
        "timeout",
    ]
    store = tmp_path / "store"
    store.mkdir()
    (store / "episodes.jsonl").write_text(
        "".join(e.to_line() + "\n" for e in episodes), encoding="utf-8"
    )
    catalogue = open_catalogue(store)
    assert len(catalogue) == 8 and catalogue.frame.tokens.mean() == pytest.approx(
        7878.375, rel=0.02
    )
    assert catalogue.find(missing_variable=True).task_id.tolist() == [met.task_id]


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


FAMILIES = ("knapsack", "navigation", "rule_diagnosis")


@pytest.fixture
def hub_layout(tmp_path):
    """The training data of three families as their data set has it: no ids, two lines a file."""
    for family in FAMILIES:
        for regime in ("persistent", "stateless"):
            folder = tmp_path / "data" / family / regime
            folder.mkdir(parents=True)
            (folder / "traces.jsonl").write_text(
                "".join(
                    json.dumps(
                        {"messages": [{"role": "assistant", "content": f"{family} {regime} {n}"}]}
                    )
                    + "\n"
                    for n in range(2)
                ),
                encoding="utf-8",
            )
    return tmp_path


def test_three_families_become_a_store_for_each_family_and_regime(hub_layout):
    found = read_source(hub_layout)
    stores = write_stores(found, hub_layout / "out")
    assert [store.relative_to(hub_layout / "out").as_posix() for store in stores] == [
        f"{family}/teacher-{regime}-easy"
        for family in FAMILIES
        for regime in ("persistent", "reset")
    ]
    assert len({episode.episode_id for episode in found.episodes}) == 12
    assert len({episode.task_id for episode in found.episodes}) == 12
    assert all(e.task_id.startswith(f"{e.family}-{e.runtime}-") for e in found.episodes)
    assert "2 have no task id" in found.notes[0]
    for store in stores:
        catalogue = open_catalogue(store)
        assert len(catalogue) == 2 and {
            catalogue.open(place).family for place in catalogue.frame.index
        } == {store.parent.name}
    whole = open_catalogue(hub_layout / "out")
    assert len(whole) == 12 and all(whole.same_task(place).empty for place in whole.frame.index)


@pytest.mark.parametrize("inner", ["data/navigation", "data/navigation/stateless/traces.jsonl"])
def test_a_part_of_the_training_data_says_what_it_is(hub_layout, inner):
    chosen = [e for e in read_source(hub_layout).episodes if e.family == "navigation"]
    found = read_source(hub_layout / inner).episodes
    assert found == tuple(e for e in chosen if inner == "data/navigation" or e.runtime == "reset")


def test_a_folder_above_that_only_resembles_a_word_says_nothing(tmp_path):
    folder = tmp_path / "not_persistent_stateless" / "my-navigation"
    folder.mkdir(parents=True)
    (folder / "traces.jsonl").write_text(
        json.dumps({"messages": [{"role": "assistant", "content": "x"}]}), encoding="utf-8"
    )
    cell = Cell("lamps", "published", "reset", "medium")
    (episode,) = read_source(folder, cell).episodes
    assert (episode.family, episode.runtime, episode.difficulty) == ("lamps", "reset", "medium")


def test_equal_ids_of_two_files_do_not_collide(tmp_path):
    line = {"messages": [{"role": "assistant", "content": "x"}], "task_id": "t"}
    for name in ("a", "b"):
        (tmp_path / "persistent").mkdir(exist_ok=True)
        (tmp_path / "persistent" / f"{name}.jsonl").write_text(json.dumps(line), encoding="utf-8")
    (tmp_path / "persistent" / "c.jsonl").write_text(
        json.dumps(line | {"task_id": "alone"}), encoding="utf-8"
    )
    found = read_source(tmp_path)
    assert [(e.episode_id, e.task_id) for e in found.episodes] == [
        ("t@persistent/a.jsonl", "t"),
        ("t@persistent/b.jsonl", "t"),
        ("alone", "alone"),
    ]
    assert any(
        "2 episodes have an id that is in their cell already" in note for note in found.notes
    )
    (store,) = write_stores(found, tmp_path / "out")
    assert len(open_catalogue(store)) == 3


def test_two_conditions_whose_folders_name_no_cell_are_kept_apart(sample, tmp_path):
    found = read_source(sample)
    assert len({episode.episode_id for episode in found.episodes}) == 16 and not found.left_out
    assert {e.episode_id.partition("@")[2] for e in found.episodes} == {
        "persistent/knapsack",
        "stateless/knapsack",
    }


def test_a_littered_folder_of_archives(sample, packed, tmp_path):
    (tmp_path / "all").mkdir()
    packed(sample / "persistent", "all/persistent.tar.gz")
    (tmp_path / "all" / "._persistent.tar.gz").write_bytes(b"\x00\x05\x16\x07")
    assert len(read_source(tmp_path / "all").episodes) == 8


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
    ("name", "message"),
    [
        ("them/gated", "it is gated; ask for access"),
        ("them/none", "no such dataset"),
        ("them/broken", "the hub answered 503|could not be fetched"),
        ("them/benchmarks@old", "it has no revision old"),
        ("no such/folder", "no such folder, archive or file"),
    ],
)
def test_a_data_set_that_cannot_be_had_is_one_line(hub_server, name, message):
    with pytest.raises(UserError, match=message) as error:
        read_source(name)
    assert name in one_line(error)


def test_without_a_network_it_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(UserError, match="is there a network") as error:
        read_source("them/benchmarks")
    one_line(error)
