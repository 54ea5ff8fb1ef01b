"""The study as a graph: parameters are checked, missing stages are named by their commands, steps come
in an order in which they can run, and what is stale is found."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from common import one_line
from made import finish, leave_adapter, leave_first_stage, leave_store

from knapsack_lib.errors import UserError
from knapsack_lib.files import shown
from knapsack_lib.profiles import Cell, load_profile
from knapsack_lib.runner import stale_steps
from knapsack_lib.store import EpisodeStore
from knapsack_lib.study import (
    STAGES,
    check_parameters,
    forget_key,
    graph,
    resolve,
)

REPOSITORY = Path(__file__).resolve().parents[1]


def teacher(runtime):
    return Cell("knapsack", "teacher", runtime, "easy")


def ipython(**names):
    """What globals() holds in a fresh kernel when the second cell runs."""
    return {
        "__name__": "__main__",
        "_": "",
        "__": "",
        "_i": "",
        "_ih": [""],
        "_oh": {},
        "_dh": [],
        "In": [""] * 4,
        "Out": {},
        "get_ipython": print,
        "exit": print,
        "quit": print,
        "open": open,
        "check_parameters": check_parameters,
        **names,
    }


# Parameters ---------------------------------------------------------------------------------------


def test_words_take_the_papers_spellings_and_name_the_output(project):
    step = resolve("04_cross_eval", {"train": "base", "runtime": "stateless", "difficulty": "hard"})
    assert step.words == ("base", "reset", "medium")
    assert shown(step.output) == "runs/pocket/notebooks/04_cross_eval-base-reset-medium.ipynb"
    assert step.seed == load_profile("pocket").seed
    assert step.cell == Cell("knapsack", "base", "reset", "medium")


@pytest.mark.parametrize(
    ("parameters", "line"),
    [
        (
            {"runtme": "reset"},
            "has no parameter 'runtme'; did you mean runtime? it takes: profile, seed, train, runtime",
        ),
        (
            {"runtime": "resett"},
            "runtime = 'resett' is unknown; choose one of: persistent, reset, functions, data, ttl:k "
            "(k: steps from 1 up, as in ttl:3)",
        ),
        ({"difficulty": "easier"}, "choose one of: easy, medium"),
        ({"profile": "pokcet"}, "choose one of: pocket, pocket-seeds, smoke"),
        ({"seed": "7"}, "seed = '7' is not a whole number"),
        ({"seed": -1}, "seed = -1 is not a whole number"),
    ],
)
def test_a_wrong_name_or_value_is_one_line_that_lists_the_right_ones(project, parameters, line):
    with pytest.raises(UserError) as caught:
        resolve("04_cross_eval", parameters)
    assert line in one_line(caught)


def test_an_unknown_stage_lists_the_stages(project):
    for ask in (lambda: resolve("4", {}), lambda: check_parameters("4", {})):
        with pytest.raises(UserError, match="there is no stage '4'; choose one of: 00_pocket_base"):
            ask()


@pytest.mark.parametrize(
    ("setting", "value", "line"),
    [
        (
            "family: knapsack",
            "family: chess",
            "family 'chess' is unknown; choose one of: files, knapsack",
        ),
        ("medium: pocket-medium", "medium: huge", "size 'huge' is unknown; choose one of: easy, "),
    ],
)
def test_a_family_or_a_size_that_is_none_is_one_line_before_anything_runs(
    project, setting, value, line
):
    path = project / "params" / "smoke.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace(setting, value), encoding="utf-8")
    with pytest.raises(UserError) as caught:
        resolve("01_generate", {"profile": "smoke"})
    assert line in one_line(caught)


def test_training_has_no_base_arm(project):
    with pytest.raises(
        UserError, match="train = 'base' is unknown; choose one of: persistent, reset"
    ):
        resolve("03_finetune", {"train": "base"})


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"train_seed": 2}, "in 1 to 1 .train_seeds of the profile pocket"),
        ({"profile": "pocket-seeds", "train_seed": 4}, "in 1 to 3"),
        ({"profile": "pocket-seeds", "train_seed": True}, "in 1 to 3"),
        ({"profile": "pocket-seeds", "train": "base", "train_seed": 2}, "the base is not trained"),
    ],
)
def test_a_training_seed_that_the_profile_does_not_have_is_one_line(project, given, why):
    with pytest.raises(UserError, match=why) as caught:
        resolve("04_cross_eval", given)
    one_line(caught)


def test_a_fresh_kernel_holds_only_parameters(project):
    step = check_parameters("01_generate", ipython(profile="smoke", seed=5))
    assert (step.profile.name, step.seed) == ("smoke", 5)
    with pytest.raises(UserError, match="no parameter 'sed'; did you mean seed"):
        check_parameters("01_generate", ipython(profile="smoke", seed=5, sed=7))


def test_the_cell_can_be_run_again_at_the_end_of_a_session(project):
    names = ipython(profile="smoke", seed=5, count=3, rows=[1])
    check_parameters("01_generate", names | {"In": [""] * 9})
    with pytest.raises(UserError, match="no parameter 'count'"):
        check_parameters("01_generate", names)


def test_the_command_of_a_step_names_what_differs_from_the_defaults(project):
    step = resolve("04_cross_eval", {"profile": "smoke", "train": "reset", "seed": 4})
    assert step.command == (
        "papermill notebooks/04_cross_eval.ipynb -p train reset -p runtime persistent "
        "-p difficulty easy -p profile smoke -p seed 4"
    )
    assert resolve("01_generate", {}).command == "papermill notebooks/01_generate.ipynb"


def test_a_profile_outside_params_is_named_by_its_path_in_every_command(project):
    shutil.copy(project / "params" / "smoke.yaml", project / "mine.yaml")
    text = (project / "mine.yaml").read_text(encoding="utf-8").replace("name: smoke", "name: mine")
    (project / "mine.yaml").write_text(text, encoding="utf-8")
    first = resolve("01_generate", {"profile": "mine.yaml"})
    assert {step.arguments[-1] for step in graph(first.run, first.given_profile)} == {"mine.yaml"}


# What is missing ----------------------------------------------------------------------------------


def test_a_missing_stage_is_named_by_the_command_that_makes_it(project):
    step = resolve("04_cross_eval", {"profile": "smoke", "train": "reset", "seed": 4})
    with pytest.raises(
        UserError, match="first: papermill notebooks/01_generate.ipynb -p profile smoke -p seed 4$"
    ):
        step.require()
    leave_first_stage(step.run)
    leave_store(step.run, teacher("reset"))
    with pytest.raises(
        UserError,
        match="run first: papermill notebooks/03_finetune.ipynb -p train reset -p profile smo",
    ):
        step.require()
    leave_adapter(step.run, step.cell)
    step.require()


def test_all_commands_are_named_when_several_stages_are_missing(project):
    step = resolve("04_cross_eval", {"train": "persistent"})
    leave_first_stage(step.run)
    with pytest.raises(UserError) as caught:
        step.require()
    assert one_line(caught).endswith(
        "run first: papermill notebooks/02_teacher.ipynb -p runtime persistent"
        " && papermill notebooks/03_finetune.ipynb -p train persistent"
    )


def test_the_untrained_base_needs_no_adapter(project):
    step = resolve("04_cross_eval", {"train": "base", "profile": "smoke"})
    leave_first_stage(step.run)
    step.require()


def test_a_store_with_episodes_under_way_is_not_complete(project):
    step = resolve("03_finetune", {"profile": "smoke"})
    leave_first_stage(step.run)
    leave_store(step.run, teacher("persistent"))
    step.require()
    with EpisodeStore(step.run.store(teacher("persistent")), "key"):
        pass
    with pytest.raises(UserError, match="teacher/persistent, which is missing or incomplete"):
        step.require()


def test_too_few_task_files_are_a_missing_stage(project):
    step = resolve("02_teacher", {"profile": "smoke"})
    leave_first_stage(step.run)
    step.require()
    next(step.run.tasks("validation").glob("*.json")).unlink()
    with pytest.raises(UserError, match="tasks/validation"):
        step.require()


def test_the_analysis_asks_for_make_when_anything_is_missing(project):
    with pytest.raises(UserError, match=r"run first: make paper PROFILE=smoke SEED=9$"):
        resolve("05_analysis", {"profile": "smoke", "seed": 9}).require()


def test_the_analysis_of_other_episodes_needs_no_step(project):
    step = resolve("05_analysis", {"profile": "smoke", "source": "runs/theirs"})
    step.require()
    assert step.needs() == [] and step.name == "05_analysis-source-runs-theirs"
    assert step.root == step.run.root / "source-runs-theirs"


# The graph ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "adapters"), [("pocket", 1), ("pocket-seeds", 3)])
def test_the_graph_is_the_whole_study_in_an_order_in_which_it_can_run(project, name, adapters):
    steps = graph(load_profile(name).run())
    counts = {"01": 1, "02": 2, "03": 2 * adapters, "04": 4 + 8 * adapters, "05": 1}
    wanted = [stage for stage, count in counts.items() for _ in range(count)]
    assert [step.stage.name[:2] for step in steps] == wanted
    assert (
        len({step.output for step in steps}) == len({step.command for step in steps}) == len(steps)
    )
    for place, step in enumerate(steps):
        assert all(steps.index(earlier) < place for earlier in step.needs())


def test_the_graph_plays_the_cells_of_the_profile_and_trains_its_adapters(project):
    profile = load_profile("pocket-seeds")
    steps = graph(profile.run())
    cells = {stage: [s.cell for s in steps if s.stage.name == stage] for stage in STAGES}
    assert cells["04_cross_eval"] == profile.cells()
    assert cells["03_finetune"] == profile.adapters()
    assert cells["02_teacher"] == profile.teachers()


def test_a_step_of_the_graph_is_what_its_command_resolves_to(project):
    steps = graph(load_profile("pocket-seeds").run(5))
    for step in steps:
        given = dict(zip(step.arguments[1::3], step.arguments[2::3], strict=True))
        for number in ("seed", "train_seed"):
            given |= {number: int(given[number])} if number in given else {}
        assert resolve(step.stage.name, given) == step
    last = resolve("04_cross_eval", {"profile": "pocket-seeds", "train": "reset", "train_seed": 3})
    assert last.output.name == "04_cross_eval-reset-persistent-easy-train3.ipynb"
    assert last.needs()[-1].train_seed == 3


# Staleness ----------------------------------------------------------------------------------------


@pytest.fixture
def finished(project):
    """The steps of a smoke study that has run to its end."""
    for path in (REPOSITORY / "notebooks").glob("*.ipynb"):
        shutil.copy(path, project / "notebooks")
    steps = graph(load_profile("smoke").run())
    for step in steps:
        finish(step)
    return steps


def again(steps):
    """The same steps, their keys worked out anew."""
    return graph(load_profile(steps[0].profile.name).run(steps[0].seed))


def stages(steps):
    return [step.stage.name[:2] for step in steps]


def test_before_the_first_run_every_step_is_stale_and_after_it_none(project, finished):
    assert stale_steps(again(finished)) == []
    shutil.rmtree(project / "runs")
    assert stale_steps(again(finished)) == finished


def test_what_needs_a_stale_step_is_stale(finished):
    (teacher_step,) = [step for step in finished if step.name == "02_teacher-reset"]
    forget_key(teacher_step.output)
    found = stale_steps(again(finished))
    assert stages(found) == ["02", "03", *["04"] * 4, "05"]
    assert {step.train or step.runtime for step in found[:-1]} == {"reset"}


def test_an_executed_notebook_that_is_gone_is_made_again(finished):
    finished[-1].output.unlink()
    assert stale_steps(again(finished)) == finished[-1:]


@pytest.mark.parametrize(
    ("stage", "product"),
    [
        ("01_generate", lambda step: next(step.run.tasks("easy").glob("*.json"))),
        ("02_teacher", lambda step: step.run.store(step.cell)),
        ("03_finetune", lambda step: step.run.adapter(step.cell)),
        ("04_cross_eval", lambda step: step.run.store(step.cell)),
    ],
)
def test_a_step_whose_product_is_gone_is_stale(finished, stage, product):
    step = next(step for step in finished if step.stage.name == stage)
    path = product(step)
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert stale_steps(again(finished))[0] == step


def test_a_store_whose_episodes_are_under_way_is_stale(finished):
    step = finished[-2]
    with EpisodeStore(step.run.store(step.cell), "key"):
        pass
    assert stages(stale_steps(again(finished))) == ["04", "05"]


def test_a_changed_setting_makes_stale_what_depends_on_it_and_its_return_makes_it_fresh(
    project, finished
):
    path = project / "params" / "smoke.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("margin: 0.05", "margin: 0.06"), encoding="utf-8")
    assert stages(stale_steps(again(finished))) == ["05"]
    path.write_text(text.replace("max_new_tokens: 96", "max_new_tokens: 95"), encoding="utf-8")
    assert len(stale_steps(again(finished))) == len(finished)
    path.write_text(text, encoding="utf-8")
    assert stale_steps(again(finished)) == []


def test_a_comment_in_a_profile_makes_nothing_stale(project, finished):
    path = project / "params" / "smoke.yaml"
    path.write_text(path.read_text(encoding="utf-8") + "# a comment\n", encoding="utf-8")
    assert stale_steps(again(finished)) == []


def test_another_seed_is_another_run(finished):
    other = graph(finished[0].profile.run(99))
    assert stale_steps(other) == other and stale_steps(again(finished)) == []
    assert replace(finished[0], run=other[0].run) == other[0]
