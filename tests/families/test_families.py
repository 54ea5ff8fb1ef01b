"""The registry of families, and CONTRIBUTING's recipe followed: a family in one file is generated,
taught, played, analysed and explored, and nothing else in the library has heard of it."""

import json
import shutil
from pathlib import Path

import pytest
from common import one_line

from knapsack_lib import keys
from knapsack_lib.analysis.failures import failure_of
from knapsack_lib.analysis.metrics import episode_frame
from knapsack_lib.errors import UserError
from knapsack_lib.explorer.catalogue import open_catalogue
from knapsack_lib.explorer.pages import write_pages
from knapsack_lib.families import (
    family_file,
    family_named,
    family_names,
    family_or_unknown,
)
from knapsack_lib.families.base import Task
from knapsack_lib.families.task_files import read_tasks
from knapsack_lib.interpreter import Pool
from knapsack_lib.play import play_cell
from knapsack_lib.profiles import RUNTIMES, Cell, load_profile
from knapsack_lib.runner import run_study
from knapsack_lib.store import read_episodes
from knapsack_lib.study import graph

REPOSITORY = Path(__file__).resolve().parents[2]
PROFILE = """\
like: smoke
about: a family of the project's own
family: toy
difficulties: {easy: short, medium: long}
tasks: {train: 6, validation: 2, easy: 3, medium: 2}
limits: {turns: 6, tool_calls: 3, wall_seconds: 10, cpu_seconds: 2, memory_mb: 512, output_chars: 2000}
"""


# The registry -------------------------------------------------------------------------------------


def test_an_unknown_family_lists_the_families(project):
    with pytest.raises(
        UserError, match="'chess' is unknown; choose one of: files, knapsack"
    ) as caught:
        family_named("chess")
    one_line(caught)


def test_what_families_share_is_no_family(project):
    assert family_names() == ["files", "knapsack", "navigation", "rule_diagnosis", "tables"]


@pytest.mark.parametrize(
    "text", ["", "FAMILY = 3", "from knapsack_lib.families.knapsack import FAMILY"]
)
def test_a_module_without_a_family_of_its_name_is_one_line(project, text):
    name = f"odd{len(text)}"
    (project / "families").mkdir()
    (project / "families" / f"{name}.py").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=f"whose name is '{name}'") as caught:
        family_named(name)
    one_line(caught)


@pytest.mark.parametrize("name", ["knapsack", "base"])
def test_a_file_of_the_project_cannot_stand_in_for_one_of_the_library(project, name):
    (project / "families").mkdir()
    (project / "families" / f"{name}.py").write_text("FAMILY = None", encoding="utf-8")
    for look_up in (family_names, lambda: family_file("knapsack")):
        with pytest.raises(
            UserError, match=f"families/{name}.py has the name of .* rename"
        ) as caught:
            look_up()
        one_line(caught)


UNTOLD = """
from knapsack_lib.families.base import Family
class Broken(Family):
    name, tools = "broken", ("finish",)
    def make_task(self, size, *, seed, split, index): ...
    def world(self, task): ...
FAMILY = Broken()
"""


@pytest.mark.parametrize(
    "source, line",
    [
        (
            "import json\n1 / 0\n",
            "broken.py cannot be imported (ZeroDivisionError: division by zero)",
        ),
        ("x = 1\n", "needs FAMILY = an instance of Family whose name is 'broken'"),
        (UNTOLD, "its class lacks sizes (see families/base.py)"),
    ],
)
def test_a_family_that_is_not_whole_is_one_line_each_time(project, source, line):
    (project / "families").mkdir()
    (project / "families" / "broken.py").write_text(source, encoding="utf-8")
    for _ in range(2):
        with pytest.raises(UserError) as caught:
            family_named("broken")
        assert line in one_line(caught)


def test_episodes_of_an_unknown_family_can_be_read_and_not_played(project):
    family = family_or_unknown("chess")
    assert family.attempted({"score": 0.5}) and not family.attempted({"score": 0.0})
    assert family.progress([[], []], {}, None) == [{}, {}] and family.picture([], None) == ""
    with pytest.raises(UserError, match="'chess' is unknown") as caught:
        family.make_task("any", seed=1, split="easy", index=0)
    one_line(caught)


@pytest.mark.parametrize("family", family_names())
@pytest.mark.parametrize("size", ["pocket-easy", "easy"])
def test_a_task_plays_the_same_drawn_or_read_from_its_file(family, size, make_limits, play_script):
    """Its file has its keys in another order than the one in which they were drawn."""
    teacher = load_profile("pocket").teacher
    with Pool(make_limits(turns=60, tool_calls=12, output_chars=30_000)) as pool:
        for index in range(3):
            task = family_named(family).make_task(size, seed=5, split="easy", index=index)
            read = Task.from_json(task.to_json())
            drawn, again = (play_script(pool, one, "persistent", teacher) for one in (task, read))
            assert drawn.to_line() == again.to_line()
            assert drawn.finish_reason == "finish"


# The recipe ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A project with the toy family, whose tasks are drawn and taught by notebooks 01 and 02."""
    folder = tmp_path_factory.mktemp("own")
    for name in ("notebooks", "params"):
        shutil.copytree(REPOSITORY / name, folder / name)
    (folder / "families").mkdir()
    shutil.copyfile(REPOSITORY / "tests/data/toy_family.py", folder / "families/toy.py")
    (folder / "params" / "toy.yaml").write_text(PROFILE, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KNAPSACK_ROOT", str(folder))
        patch.chdir(folder)
        run = load_profile("toy").run()
        first = [step for step in graph(run) if step.stage.name in ("01_generate", "02_teacher")]
        assert run_study(first, jobs=2) == 0
        yield run


def test_its_tasks_are_files_of_the_published_schema(study):
    for split, count in study.profile.splits().items():
        tasks = read_tasks(study.tasks(split), "")
        assert len(tasks) == count and {task.family for task in tasks} == {"toy"}
    text = next(study.tasks("easy").glob("*.json")).read_text(encoding="utf-8")
    assert json.loads(text)["schema_version"] == "pythonformer.task.v1"


def test_its_expert_teaches_one_plan_in_both_runtimes(study):
    traces = [read_episodes(study.store(cell), "") for cell in study.profile.teachers()]
    assert [len(found) for found in traces] == [8, 8]
    assert max(len(episode.turns) for episode in traces[0]) > 2
    for persistent, reset in zip(*traces, strict=True):
        assert persistent.result == reset.result and persistent.result["solved"]
        assert persistent.finish_reason == "finish"
        calls = [[turn.tool_calls for turn in episode.turns] for episode in (persistent, reset)]
        assert calls[0] == calls[1]
        later = [(p.code, r.code) for p, r in zip(persistent.turns, reset.turns, strict=True)][1:-1]
        assert all("low, high, answer =" not in p and "low, high, answer =" in r for p, r in later)
        assert (
            persistent.opening == reset.opening and "guess(number)" in reset.opening[0]["content"]
        )


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_an_untrained_model_plays_it(study, runtime):
    episodes = play_cell(study, Cell("toy", "base", runtime, "easy"))
    assert len(episodes) == 3
    assert all(set(e.result) == {"score", "solved", "guesses"} for e in episodes)


def test_its_episodes_are_analysed_with_its_own_metrics(study):
    episodes = play_cell(study, Cell("toy", "expert", "persistent", "medium"))
    frame = episode_frame(episodes)
    assert frame.columns[-1] == "guesses" and frame.guesses.dtype == "int64"
    assert (frame.guesses == [e.result["guesses"] for e in episodes]).all()
    assert not any("items" in column or "capacity" in column for column in frame)
    assert [failure_of(episode) for episode in episodes] == ["", ""]
    lazy = [turn for turn in episodes[0].turns if "finish" in turn.code]
    idle = type(episodes[0])(
        **{
            **vars(episodes[0]),
            "turns": lazy,
            "result": {"score": 0.0, "solved": False, "guesses": 0},
        }
    )
    assert failure_of(idle) != ""


def test_its_episodes_are_explored_with_its_picture(study, tmp_path):
    catalogue = open_catalogue(str(study.store(study.profile.teachers()[0])))
    place = int(catalogue.frame.steps.idxmax())
    episode, turns = catalogue.read(place)
    assert catalogue.task(place).family == "toy" and catalogue.find(guesses=(1, 99)).shape[0] == 8
    assert [turn.progress["guesses"] for turn in turns][-1] == episode.result["guesses"]
    assert turns[0].picture.count("<circle") == 3
    assert not any(mark.kind == "missing" for turn in turns for mark in turn.marks)
    index = write_pages(catalogue, [place], tmp_path / "pages")
    pages = "".join(page.read_text(encoding="utf-8") for page in index.parent.rglob("*.html"))
    assert "<circle" in pages and "guesses" in pages


def test_its_file_is_among_the_sources_of_its_episodes(study, monkeypatch):
    before = keys.sources_digest("toy", keys.EPISODE)
    path = family_file("toy")
    assert path is not None and path.name == "toy.py"
    text = path.read_text(encoding="utf-8")
    try:
        path.write_text(text + "\n# changed\n", encoding="utf-8")
        keys.sources_digest.cache_clear()
        assert keys.sources_digest("toy", keys.EPISODE) != before
    finally:
        path.write_text(text, encoding="utf-8")
        keys.sources_digest.cache_clear()
