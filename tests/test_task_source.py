"""Published task files as the test tasks of a study: found in folders, archives and by size, played by
their authors' rules or by ours, and refused in one line."""

import json
import tarfile
from dataclasses import replace

import pytest
from common import one_line
from made import tasks

from knapsack_lib.errors import UserError
from knapsack_lib.families import ToolError, family_named
from knapsack_lib.families.task_files import write_tasks
from knapsack_lib.play import play_cell
from knapsack_lib.profiles import REACT, Cell, load_profile
from knapsack_lib.prompts import opening
from knapsack_lib.study import resolve
from knapsack_lib.task_source import read_published, rules_in_words, tasks_of

KNAPSACK = family_named("knapsack")
PROFILE = "like: smoke\nabout: published tasks\ntasks: {source}\n"


@pytest.fixture
def theirs(tmp_path):
    """A folder as the authors' data set: easy and hard, and files of other kinds beside them."""
    folder = tmp_path / "their tasks"
    for place, size, count in (("easy", "pocket-easy", 5), ("hard", "pocket-medium", 4)):
        written = tasks(count, size, seed=77, split=place)
        write_tasks(folder / place, [replace(t, run_name="") for t in written])
    (folder / "README.md").write_text("tasks", encoding="utf-8")
    (folder / "easy" / "summary.json").write_text('{"num_tasks_executed": 5}', encoding="utf-8")
    (folder / "easy" / "._knapsack-easy-00000.json").write_bytes(b"\0\5\26\7")
    return folder


@pytest.fixture
def study(project, theirs):
    """A profile with that source, or another."""

    def give(source=theirs):
        text = PROFILE.format(source=json.dumps(str(source)))
        (project / "params" / "theirs.yaml").write_text(text, encoding="utf-8")
        return load_profile("theirs")

    return give


def test_a_source_alone_keeps_the_counts_of_the_profile_that_it_is_like(study, theirs):
    profile = study()
    assert profile.tasks.source == str(theirs)
    assert profile.splits() == load_profile("smoke").splits()


def test_the_test_tasks_are_the_sources_and_the_others_are_drawn_here(study, theirs):
    run = study().run()
    easy, medium = list(tasks_of(run, "easy")), list(tasks_of(run, "medium"))
    assert [t.task_id for t in easy] == [f"knapsack-easy-{i:05d}" for i in range(4)]
    assert [t.task_id for t in medium] == [f"knapsack-hard-{i:05d}" for i in range(3)]
    assert {t.seed for t in easy} <= {t.seed for t in tasks(5, seed=77, split="easy")}
    smoke = load_profile("smoke").run()
    assert list(tasks_of(run, "train")) == list(tasks_of(smoke, "train"))


def test_a_size_that_the_source_lacks_is_drawn_here(study, theirs):
    run = study(theirs / "easy").run()
    assert list(tasks_of(run, "easy"))[0].public["rules"] == "published"
    assert list(tasks_of(run, "medium")) == list(tasks_of(load_profile("smoke").run(), "medium"))


def test_an_archive_does_as_well(study, theirs, tmp_path):
    with tarfile.open(tmp_path / "theirs.tar.gz", "w:gz") as archive:
        archive.add(theirs, "data")
    packed, plain = (
        read_published(str(place), KNAPSACK, "published")
        for place in (tmp_path / "theirs.tar.gz", theirs)
    )
    assert packed == plain and {k: len(v) for k, v in plain.items()} == {"easy": 5, "medium": 4}


def test_the_rules_are_a_setting_that_the_world_and_the_prompt_follow(
    theirs, make_limits, plain_options
):
    for rules, refused in (("published", False), ("ours", True)):
        task = read_published(str(theirs), KNAPSACK, rules)["easy"][0]
        world = KNAPSACK.world(task)
        item = task.reference["optimal_item_ids"][0]
        try:
            world.take_item(item)
        except ToolError as refusal:
            assert refused and "never inspected" in str(refusal)
        else:
            assert not refused
        told = opening(KNAPSACK, world.facts(), "reset", make_limits(), plain_options)
        assert ("taken without being inspected" in told[1]["content"]) == (not refused)


def test_which_rules_are_used_is_said(study):
    assert "by the authors' rules" in rules_in_words(study())
    assert "by this package's rules" in rules_in_words(load_profile("smoke"))


@pytest.mark.parametrize("style", ["persistent", REACT])
def test_they_are_played_from_files_to_episodes(study, style):
    run = study().run()
    for split in run.profile.splits():
        write_tasks(run.tasks(split), tasks_of(run, split))
    episodes = play_cell(run, Cell("knapsack", "expert", style, "easy"))
    assert len(episodes) == 4 and all(e.result["score"] > 0 for e in episodes)
    assert all("taken without being inspected" in e.opening[1]["content"] for e in episodes)


def test_a_change_of_the_source_makes_the_tasks_stale(study, theirs, project):
    (project / "notebooks" / "01_generate.ipynb").write_text("{}", encoding="utf-8")
    study()
    before = resolve("01_generate", {"profile": "theirs"}).key
    assert before == resolve("01_generate", {"profile": "theirs"}).key
    (theirs / "easy" / "knapsack-easy-00004.json").unlink()
    assert before != resolve("01_generate", {"profile": "theirs"}).key


def spoil(theirs, what):
    file = theirs / "easy" / "knapsack-easy-00001.json"
    data = json.loads(file.read_text(encoding="utf-8"))
    if what == "lacks a key":
        del data["reference"]
    elif what == "another schema":
        data["schema_version"] = "2"
    elif what == "no world":
        data["private"] = {"items": {"a": 1}}
    elif what == "nothing to score by":
        data["reference"]["optimal_value"] = 0
    elif what == "an id that leads elsewhere":
        data["task_id"] = "../../x"
    elif what == "an id twice":
        data["task_id"] = "knapsack-easy-00000"
    file.write_text(json.dumps(data), encoding="utf-8")


@pytest.mark.parametrize(
    "what",
    [
        "lacks a key",
        "another schema",
        "no world",
        "nothing to score by",
        "an id that leads elsewhere",
        "an id twice",
    ],
)
def test_a_file_that_is_no_task_is_named_in_one_line(theirs, what):
    spoil(theirs, what)
    with pytest.raises(UserError, match=r"knapsack-easy-00001\.json|task id") as caught:
        read_published(str(theirs), KNAPSACK, "published")
    one_line(caught)


def test_too_few_tasks_no_tasks_no_source_and_no_size_are_one_line_each(study, theirs, tmp_path):
    for file in sorted((theirs / "easy").glob("knapsack-*.json"))[2:]:
        file.unlink()
    with pytest.raises(UserError, match="holds 2 easy tasks .* asks for 4; lower it") as caught:
        tasks_of(study().run(), "easy")
    one_line(caught)
    (tmp_path / "empty").mkdir()
    loose = tmp_path / "loose"
    write_tasks(loose, [replace(t, run_name="") for t in tasks(1)])
    for place, said in (
        (tmp_path / "empty", "no task of family knapsack"),
        (tmp_path / "nowhere", "no such folder, archive or file"),
        (loose, "nothing tells whether its task is easy or medium"),
    ):
        with pytest.raises(UserError, match=said) as caught:
            read_published(str(place), KNAPSACK, "published")
        one_line(caught)


def test_tasks_of_another_family_are_passed_over(theirs):
    file = theirs / "easy" / "knapsack-easy-00001.json"
    data = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**data, "family": "chess"}), encoding="utf-8")
    assert len(read_published(str(theirs), KNAPSACK, "published")["easy"]) == 4
