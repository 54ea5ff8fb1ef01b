"""What makes an output stale and what does not: a copy of the library is edited, file by file."""

import shutil
from pathlib import Path

import pytest

from knapsack_lib import keys
from knapsack_lib.keys import ANALYSIS, EPISODE, TRAINING, sources_digest, store_key
from knapsack_lib.profiles import load_profile
from knapsack_lib.study import graph

REPOSITORY = Path(__file__).resolve().parents[1]
STAGES = ("01_generate", "02_teacher", "03_finetune", "04_cross_eval", "05_analysis")
ALL = ("01", "02", "03", "04 base", "04", "05")


@pytest.fixture
def library(project, monkeypatch):
    """A copy of the library that may be edited, in a project with the real notebooks."""
    copy = project / "knapsack_lib"
    shutil.copytree(keys.LIBRARY, copy, ignore=shutil.ignore_patterns("__pycache__", "pocket-base"))
    for stage in STAGES:
        shutil.copy(REPOSITORY / "notebooks" / f"{stage}.ipynb", project / "notebooks")
    monkeypatch.setattr(keys, "LIBRARY", copy)
    sources_digest.cache_clear()
    yield copy
    sources_digest.cache_clear()


def stage_keys():
    """Stage -> the keys of its steps, as they are now. The base's cells need no adapter."""
    sources_digest.cache_clear()
    found = {}
    for step in graph(load_profile("smoke").run()):
        stage = step.stage.name[:2] + (" base" if step.train == "base" else "")
        found.setdefault(stage, []).append(step.key)
    assert tuple(found) == ALL
    return found


def changed_stages(edit):
    """The stages of which every step has another key after `edit()`. Those of one stage change
    together or not at all."""
    before = stage_keys()
    edit()
    after = stage_keys()
    together = {
        stage: {old != new for old, new in zip(before[stage], after[stage], strict=True)}
        for stage in ALL
    }
    assert all(len(change) == 1 for change in together.values())
    return tuple(stage for stage in ALL if together[stage] == {True})


def append(path):
    with open(path, "a", encoding="utf-8") as file:
        file.write("\n# edited\n")


def test_every_source_in_the_lists_is_there():
    for name in (*EPISODE, *TRAINING, *ANALYSIS):
        assert (keys.LIBRARY / name).exists(), name
    assert set(EPISODE) < set(TRAINING) and set(EPISODE) < set(ANALYSIS)


@pytest.mark.parametrize(
    "name",
    [
        "doctor.py",
        "cli/study.py",
        "explorer/widget.py",
        "families/knapsack/view.py",
        "papermill_default.py",
        "progress.py",
        "published/table.py",
        "resource_estimate.py",
        "runner.py",
        "study.py",
    ],
)
def test_what_only_shows_starts_or_describes_makes_nothing_stale(library, name):
    assert changed_stages(lambda: append(library / name)) == ()


@pytest.mark.parametrize(
    "name",
    ["agent.py", "prompts.py", "rollouts.py", "chat/chatml.py", "assets/chat_template.jinja"],
)
def test_what_an_agent_meets_makes_every_stage_stale(library, name):
    assert changed_stages(lambda: append(library / name)) == ALL


@pytest.mark.parametrize("folder", ["interpreter", "policies"])
def test_every_file_of_the_interpreter_and_the_policies_shapes_episodes(library, folder):
    digests = {sources_digest("knapsack", EPISODE)}
    files = list((library / folder).rglob("*.py"))
    for file in files:
        append(file)
        sources_digest.cache_clear()
        digests.add(sources_digest("knapsack", EPISODE))
    assert len(digests) == len(files) + 1 > 4


@pytest.mark.parametrize("name", ["__init__", "expert", "tasks", "world"])
def test_the_familys_own_files_shape_its_episodes(library, name):
    edit = lambda: append(library / "families" / "knapsack" / f"{name}.py")  # noqa: E731
    assert changed_stages(edit) == ALL


def test_another_family_of_the_library_makes_nothing_stale(library):
    other = library / "families" / "chess.py"
    other.write_text("FAMILY = None\n", encoding="utf-8")
    assert changed_stages(lambda: append(other)) == ()


def test_training_makes_adapters_and_what_they_play_stale(library):
    edit = lambda: append(library / "training" / "trainer.py")  # noqa: E731
    assert changed_stages(edit) == ("03", "04", "05")


@pytest.mark.parametrize("name", ["figures/cells.py", "claims.py", "statistics.py"])
def test_an_edit_of_the_analysis_makes_the_analysis_alone_stale(library, name):
    assert changed_stages(lambda: append(library / "analysis" / name)) == ("05",)


def test_a_file_that_is_renamed_or_removed_counts_as_an_edit(library):
    old = library / "interpreter" / "report.py"
    assert changed_stages(lambda: old.rename(old.with_name("reported.py"))) != ()
    assert changed_stages(lambda: old.with_name("reported.py").unlink()) != ()


def test_what_is_no_source_does_not_count(library):
    def leave():
        (library / "interpreter" / "__pycache__").mkdir()
        (library / "interpreter" / "__pycache__" / "host.pyc").write_bytes(b"\0")
        (library / "interpreter" / "notes.txt").write_text("a note", encoding="utf-8")

    assert changed_stages(leave) == ()


@pytest.mark.parametrize("stage", STAGES)
def test_an_edit_of_a_notebook_makes_it_stale_and_what_reads_it(library, project, stage):
    readers = {
        "01_generate": ALL,
        "02_teacher": ("02", "03", "04", "05"),
        "03_finetune": ("03", "04", "05"),
        "04_cross_eval": ("04 base", "04", "05"),
        "05_analysis": ("05",),
    }
    edit = lambda: append(project / "notebooks" / f"{stage}.ipynb")  # noqa: E731
    assert changed_stages(edit) == readers[stage]


@pytest.mark.parametrize(
    ("setting", "text", "stale"),
    [
        ("margin: 0.05", "margin: 0.06", ("05",)),
        ("about: every", "about: nearly every", ("05",)),
        ("seed: 1\n", "seed: 2\n", ALL),
        ("cpu_seconds: 2", "cpu_seconds: 3", ALL),
    ],
)
def test_a_setting_makes_stale_what_depends_on_it(library, project, setting, text, stale):
    path = project / "params" / "smoke.yaml"
    before = path.read_text(encoding="utf-8")
    assert setting in before
    assert (
        changed_stages(lambda: path.write_text(before.replace(setting, text, 1), encoding="utf-8"))
        == stale
    )


# Stores -------------------------------------------------------------------------------------------


def test_a_store_key_changes_with_everything_that_shapes_episodes(project):
    run = load_profile("smoke").run()
    run.tasks("easy").mkdir(parents=True)
    (run.tasks("easy") / "0.json").write_text("{}", encoding="utf-8")
    inputs = {"easy": run.tasks("easy")}
    cells = run.profile.cells()
    found = {
        store_key(run, inputs, cells[0]),
        store_key(run, inputs, cells[1]),
        store_key(run, {}, cells[0]),
        store_key(run, inputs, cells[0], sources=TRAINING),
        store_key(load_profile("smoke").run(2), inputs, cells[0]),
        store_key(load_profile("pocket").run(), inputs, cells[0]),
    }
    assert len(found) == 6 and store_key(run, inputs, cells[1]) in found
    (run.tasks("easy") / "0.json").write_text("{ }", encoding="utf-8")
    assert store_key(run, inputs, cells[0]) not in found


def test_a_store_key_follows_the_sources_and_not_their_place(library, project, monkeypatch):
    run = load_profile("smoke").run()
    here = store_key(run, {}, run.profile.cells()[0])
    monkeypatch.setattr(keys, "LIBRARY", REPOSITORY / "knapsack_lib")
    sources_digest.cache_clear()
    assert store_key(run, {}, run.profile.cells()[0]) == here
    monkeypatch.setattr(keys, "LIBRARY", library)
    append(library / "doctor.py")
    append(library / "families" / "knapsack" / "view.py")
    sources_digest.cache_clear()
    assert store_key(run, {}, run.profile.cells()[0]) == here
    append(library / "prompts.py")
    sources_digest.cache_clear()
    assert store_key(run, {}, run.profile.cells()[0]) != here
    monkeypatch.setattr(keys, "package_versions", lambda: {"torch": "0"})
    changed = store_key(run, {}, run.profile.cells()[0])
    monkeypatch.setattr(keys, "package_versions", lambda: {"torch": "0", "pandas": "9"})
    assert store_key(run, {}, run.profile.cells()[0]) == changed
