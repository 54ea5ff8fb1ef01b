"""Files in and out: archives that mean harm, tasks in both spellings, episodes there and back, the
command line."""

import contextlib
import io
import json
import tarfile

import pytest
from click.testing import CliRunner

from knapsack_lib.analysis.results import read_results
from knapsack_lib.cli import knapsack
from knapsack_lib.errors import UserError
from knapsack_lib.explorer.catalogue import open_catalogue
from knapsack_lib.profiles import load_profile
from knapsack_lib.published.episodes import to_episodes, write_chat, write_published
from knapsack_lib.published.files import members
from knapsack_lib.published.reading import read_source
from knapsack_lib.published.records import read_records
from knapsack_lib.published.table import latex_table
from knapsack_lib.published.tasks import generate_tasks, read_task_files

CONFIG = {
    "run_name": "easy_5",
    "seed_start": 7,
    "navigation": {"num_tasks": 0},
    "knapsack": {
        "num_tasks": 5,
        "n_items_range": [25, 40],
        "weight_range": [5, 20],
        "value_range": [10, 100],
        "classes": list("ABCDEFGHIJKLMNO"),
        "num_allowed_classes": 3,
        "capacity_ratio_range": [0.35, 0.5],
    },
}


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "easy.json"
    path.write_text(json.dumps(CONFIG))
    return path


# Archives -----------------------------------------------------------------------------------------


def archive(path, **member):
    with tarfile.open(path, "w:gz") as made:
        info = tarfile.TarInfo(member.pop("name", "knapsack-a.json"))
        data = member.pop("data", b"{}")
        for key, value in {"size": len(data), **member}.items():
            setattr(info, key, value)
        made.addfile(info, io.BytesIO(data))
    return path


@pytest.mark.parametrize(
    ("member", "said"),
    [
        ({"name": "../knapsack-a.json"}, "points outside"),
        ({"name": "a/../../knapsack-a.json"}, "points outside"),
        ({"name": "/etc/knapsack-a.json"}, "points outside"),
        ({"name": "..\\knapsack-a.json"}, "points outside"),
        (
            {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd", "size": 0, "data": b""},
            "a link or a device",
        ),
        ({"type": tarfile.LNKTYPE, "linkname": "x", "size": 0, "data": b""}, "a link or a device"),
        ({"type": tarfile.FIFOTYPE, "size": 0, "data": b""}, "a link or a device"),
    ],
)
def test_an_archive_that_means_harm_is_refused_in_one_line_and_writes_nothing(
    tmp_path, member, said
):
    path = archive(tmp_path / "bad.tar.gz", **member)
    before = sorted(tmp_path.parent.iterdir())
    with pytest.raises(UserError, match=said) as error:
        list(members(path))
    assert "\n" not in str(error.value) and sorted(tmp_path.parent.iterdir()) == before


def test_an_archive_that_is_cut_short_is_one_line(tmp_path, sample, packed):
    path = packed(sample / "persistent")
    whole = path.read_bytes()
    for end in (3, len(whole) // 2, len(whole) * 3 // 4):
        path.write_bytes(whole[:end])
        with pytest.raises(UserError) as error:
            read_records(path)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("packing", ["gz", "bz2", "xz"])
def test_a_damaged_archive_of_any_packing_is_one_line(tmp_path, sample, packing):
    path = tmp_path / f"made.tar.{packing}"
    with tarfile.open(path, f"w:{packing}") as made:
        made.add(sample / "persistent", arcname="persistent")
    assert len(read_records(path).records) == 8
    whole = path.read_bytes()
    for place in range(3, len(whole), len(whole) // 40):
        path.write_bytes(whole[:place] + bytes(64) + whole[place + 64 :])
        with contextlib.suppress(UserError):  # what is damaged may be a part that nobody reads
            read_records(path)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="the archive is damaged") as error:
        read_records(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["summary.json", "traces.jsonl", "r.py"])
def test_a_file_that_is_no_result_is_one_line(tmp_path, name):
    (tmp_path / name).write_text("{}")
    for read, said in (
        (read_records, "no knapsack-<task>.json in it"),
        (read_source, "no knapsack-<task>.json and no"),
        (open_catalogue, "no episodes in"),
    ):
        with pytest.raises(UserError, match=said) as error:
            read(tmp_path / name)
        assert name in str(error.value) and "\n" not in str(error.value)


def test_a_link_out_of_a_folder_is_refused(tmp_path, copy):
    folder = copy("persistent")
    (folder / "knapsack-out.json").symlink_to("/etc/hostname")
    with pytest.raises(UserError, match="leads out"):
        read_records(folder)


# Tasks --------------------------------------------------------------------------------------------


def test_tasks_of_a_config_are_the_same_every_time_and_those_there_are_kept(config, tmp_path):
    first, again = (
        generate_tasks(str(config), tmp_path / "a"),
        generate_tasks(str(config), tmp_path / "b"),
    )
    assert first.written == again.written == tuple(f"knapsack-{i:010d}.json" for i in range(5))
    for name in first.written:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    (tmp_path / "a" / first.written[2]).write_text("{")
    third = generate_tasks(str(config), tmp_path / "a")
    assert (third.written, len(third.kept), third.different) == ((), 5, (first.written[2],))
    assert (tmp_path / "a" / first.written[2]).read_text() == "{"


def test_drawn_tasks_obey_the_config(config, tmp_path):
    generate_tasks(str(config), tmp_path / "a")
    for task in read_task_files(tmp_path / "a"):
        items = task.private["items"].values()
        assert 25 <= len(items) <= 40 and all(
            5 <= i["weight"] <= 20 and 10 <= i["value"] <= 100 for i in items
        )
        assert len(task.public["allowed_classes"]) == 3 and {i["class"] for i in items} <= set(
            "ABCDEFGHIJKLMNO"
        )
        assert task.run_name == "easy_5"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"colour": 1}, "colour: Extra inputs"),
        ({"knapsack": {"num_items": 3}}, "knapsack.num_items"),
        ({"knapsack": {"num_allowed_classes": 4}}, "only 3 classes"),
        ({"knapsack": {"n_items_range": [9, 3], "num_allowed_classes": 2}}, "items"),
        (
            {"knapsack": {"classes": ["A", "B", "A"], "num_allowed_classes": 1}},
            "classes names 'A' twice",
        ),
        (
            {"knapsack": {"capacity_ratio_range": [0.3, float("inf")], "num_allowed_classes": 2}},
            "capacity_ratio",
        ),
        ({"knapsack": {"value_range": [1, 2**70], "num_allowed_classes": 2}}, "value"),
    ],
)
def test_a_bad_config_is_one_line(tmp_path, change, said):
    path = tmp_path / "bad.json"
    path.write_text(json.dumps({"knapsack": {}, **change}))
    with pytest.raises(UserError, match=said) as error:
        generate_tasks(str(path), tmp_path / "a")
    assert "\n" not in str(error.value) and not (tmp_path / "a").exists()


def test_task_files_are_read_in_the_codes_spelling_and_in_the_data_cards(sample, tmp_path):
    ours = read_task_files(sample / "tasks")
    for path in (sample / "tasks").glob("*.json"):
        data = json.loads(path.read_text())
        public = data["public"]
        public["budget"], public["valid_classes"] = (
            public.pop("inspect_budget"),
            public.pop("allowed_classes"),
        )
        (tmp_path / path.name).write_text(json.dumps(data))
    assert len(ours) == 8 and read_task_files(tmp_path) == ours
    (tmp_path / "other.json").write_text('{"public": {}}')
    with pytest.raises(UserError, match=r"other\.json lacks the key"):
        read_task_files(tmp_path)


# Episodes -----------------------------------------------------------------------------------------


def test_published_files_become_episodes_that_can_be_explored(sample, tmp_path):
    episodes = to_episodes(
        read_records(sample / "persistent").records, ("published", "persistent", "easy")
    )
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
    (store / "episodes.jsonl").write_text("".join(e.to_line() + "\n" for e in episodes))
    catalogue = open_catalogue(store)
    assert len(catalogue) == 8 and catalogue.frame.tokens.mean() == pytest.approx(
        7878.375, rel=0.02
    )
    assert catalogue.find(missing_variable=True).task_id.tolist() == [met.task_id]


def test_our_episodes_come_back_from_published_files_as_they_were(tmp_path):
    ours = read_results(load_profile("pocket-seeds").run()).episodes[::97]
    seconds = [None, 2.5, *[7.0] * (len(ours) - 2)]
    assert write_published(ours, tmp_path / "out", seconds) == len(ours)
    found = read_records(tmp_path / "out")
    order = [(e.train, e.runtime, e.difficulty, e.train_seed, e.task_id) for e in ours]
    back = {
        (e.train, e.runtime, e.difficulty, e.train_seed, e.task_id): e
        for e in to_episodes(found.records)
    }
    assert [back[key] for key in order] == ours and not found.problems
    assert {record.tokens for record in found.records} == {
        sum(t.prompt_tokens + t.completion_tokens for t in e.turns) for e in ours
    }
    assert sorted(record.seconds or 0 for record in found.records)[:3] == [0, 2.5, 7.0]
    with pytest.raises(UserError, match="is there already"):
        write_published(ours, tmp_path / "out")


def test_chat_lines_hold_the_conversations(tmp_path):
    ours = read_results(load_profile("pocket-seeds").run()).episodes[:5]
    assert write_chat(ours, tmp_path / "deep" / "chat.jsonl") == 5
    lines = [
        json.loads(line) for line in (tmp_path / "deep" / "chat.jsonl").read_text().splitlines()
    ]
    assert [line["messages"] for line in lines] == [e.messages() for e in ours]


# The command --------------------------------------------------------------------------------------


def run(*arguments):
    return CliRunner().invoke(knapsack, [str(argument) for argument in arguments])


def test_every_command_has_help_with_an_example():
    assert run("--help").exit_code == 0
    for name in knapsack.commands:
        said = run(name, "--help")
        assert said.exit_code == 0 and "Example:  knapsack" in said.output, name


def test_the_help_of_table_shows_a_spec_that_is_one(tmp_path):
    said = run("table", "--help").output
    spec = json.loads(said[said.index('{"caption"') : said.index("]}") + 2])
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    with pytest.raises(
        UserError, match=r"cells\.0\.path: no file or folder summary\.json"
    ):  # all else is in order
        latex_table(tmp_path / "spec.json")


def test_stats_and_compare_print_for_people_and_for_machines(sample):
    a, b = sample / "persistent", sample / "stateless"
    told = json.loads(run("stats", a, b, "--json").output)
    assert [one["episodes"] for one in told] == [8, 8] and told[0]["tool_calls"] is None
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
