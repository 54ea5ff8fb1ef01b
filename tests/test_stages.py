"""The stage table: parameters are checked, missing stages are named, provenance holds no machine;
the runner's manners."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import pytest
from knapsack_lib.stages import check_parameters, plan, resolve

from knapsack_lib import progress as progress_module
from knapsack_lib.errors import UserError
from knapsack_lib.profiles import load_profile
from knapsack_lib.provenance import (
    BESIDE,
    code_digest,
    environment_stamp,
    path_digest,
    provenance,
    store_key,
    write_provenance,
)
from knapsack_lib.runner import still_to_come

REPOSITORY = Path(__file__).resolve().parents[1]


def leave(run, *, splits=(), stores=(), adapters=()):
    """Put down what earlier stages would have left."""
    for split in splits:
        run.tasks(split).mkdir(parents=True)
        for number in range(run.profile.splits()[split]):
            (run.tasks(split) / f"{number}.json").write_text("{}")
    for store in stores:
        store.mkdir(parents=True)
        (store / "episodes.jsonl").write_text("")
    for adapter in adapters:
        adapter.mkdir(parents=True)
        (adapter / "model.safetensors").write_bytes(b"")


def leave_first_stage(run):
    leave(run, splits=run.profile.splits(), stores=[run.expert("easy"), run.expert("medium")])


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


def test_words_take_the_paper_s_spellings_and_name_the_output(project):
    at = resolve("04_cross_eval", {"train": "base", "runtime": "stateless", "difficulty": "hard"})
    assert at.words == ("base", "reset", "medium")
    assert at.run.shown(at.output) == "runs/pocket/notebooks/04_cross_eval-base-reset-medium.ipynb"
    assert at.seed == load_profile("pocket").seed


@pytest.mark.parametrize(
    ("parameters", "said"),
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
    ],
)
def test_a_wrong_name_or_value_is_one_line_that_lists_the_right_ones(project, parameters, said):
    with pytest.raises(UserError) as caught:
        resolve("04_cross_eval", parameters)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_training_has_no_base_arm(project):
    with pytest.raises(
        UserError, match="train = 'base' is unknown; choose one of: persistent, reset"
    ):
        resolve("03_finetune", {"train": "base"})


def test_a_fresh_kernel_holds_only_parameters(project):
    at = check_parameters("01_generate", ipython(profile="smoke", seed=5))
    assert (at.profile.name, at.seed) == ("smoke", 5)
    with pytest.raises(UserError, match="no parameter 'sed'; did you mean seed"):
        check_parameters("01_generate", ipython(profile="smoke", seed=5, sed=7))


def test_the_cell_can_be_run_again_at_the_end_of_a_session(project):
    names = ipython(profile="smoke", seed=5, count=3, rows=[1])
    check_parameters("01_generate", names | {"In": [""] * 9})
    with pytest.raises(UserError, match="no parameter 'count'"):
        check_parameters("01_generate", names)


def test_a_missing_stage_is_named_by_the_command_that_makes_it(project):
    at = resolve("04_cross_eval", {"profile": "smoke", "train": "reset", "seed": 4})
    with pytest.raises(
        UserError, match="first: papermill notebooks/01_generate.ipynb -p profile smoke -p seed 4$"
    ):
        at.require()
    leave_first_stage(at.run)
    leave(at.run, stores=[at.run.teacher("reset")])
    with pytest.raises(
        UserError,
        match="run first: papermill notebooks/03_finetune.ipynb -p train reset -p profile smo",
    ):
        at.require()
    leave(at.run, adapters=[at.run.adapter("reset")])
    at.require()


def test_all_commands_are_named_when_several_stages_are_missing(project):
    at = resolve("04_cross_eval", {"train": "persistent"})
    leave_first_stage(at.run)
    with pytest.raises(UserError) as caught:
        at.require()
    assert str(caught.value).endswith(
        "run first: papermill notebooks/02_teacher.ipynb -p runtime persistent"
        " && papermill notebooks/03_finetune.ipynb -p train persistent"
    )


def test_the_untrained_base_needs_no_adapter(project):
    at = resolve("04_cross_eval", {"train": "base", "profile": "smoke"})
    leave_first_stage(at.run)
    at.require()


def test_a_store_with_episodes_under_way_is_not_complete(project):
    at = resolve("03_finetune", {"profile": "smoke"})
    leave_first_stage(at.run)
    leave(at.run, stores=[at.run.teacher("persistent")])
    at.require()
    (at.run.teacher("persistent") / "turns.jsonl").write_text("")
    with pytest.raises(UserError, match="teacher/persistent, which is missing or incomplete"):
        at.require()


def test_too_few_task_files_are_a_missing_stage(project):
    at = resolve("02_teacher", {"profile": "smoke"})
    leave_first_stage(at.run)
    at.require()
    next(at.run.tasks("validation").glob("*.json")).unlink()
    with pytest.raises(UserError, match="tasks/validation"):
        at.require()


def test_the_analysis_asks_for_make_when_anything_is_missing(project):
    with pytest.raises(UserError, match=r"run first: make paper PROFILE=smoke SEED=9$"):
        resolve("05_analysis", {"profile": "smoke", "seed": 9}).require()


def test_the_plan_is_the_whole_study_in_an_order_that_works(project):
    whole = plan(resolve("01_generate", {}))
    assert [at.stage.name[:2] for at in whole] == ["01"] + ["02"] * 2 + ["03"] * 2 + ["04"] * 12 + [
        "05"
    ]
    assert len({at.output for at in whole}) == 18
    for place, at in enumerate(whole):
        assert all(whole.index(earlier) < place for earlier in at.before())


def test_the_plan_holds_every_adapter_of_a_profile_with_more_than_one(project):
    whole = plan(resolve("01_generate", {"profile": "pocket-seeds"}))
    assert [at.stage.name[:2] for at in whole] == ["01"] + ["02"] * 2 + ["03"] * 6 + ["04"] * (
        4 + 2 * 3 * 4
    ) + ["05"]
    assert len({at.output for at in whole}) == len(whole)
    for place, at in enumerate(whole):
        assert all(whole.index(earlier) < place for earlier in at.before())
    last = resolve("04_cross_eval", {"profile": "pocket-seeds", "train": "reset", "train_seed": 3})
    assert last in whole and last.output.name == "04_cross_eval-reset-persistent-easy-train3.ipynb"
    assert last.arguments[-2:] == ["train_seed", "3"] and last.before()[-1].train_seed == 3


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
    assert "\n" not in str(caught.value)


def test_what_is_still_to_come_counts_stale_stages_only(project):
    whole = plan(resolve("01_generate", {"profile": "smoke"}))
    assert still_to_come(whole[0]) == "02 x2, 03 x2, 04 x12, 05, paper"
    for age, at in enumerate(whole):
        at.output.parent.mkdir(parents=True, exist_ok=True)
        at.output.write_text("")
        os.utime(at.output, (age + 1, age + 1))
    assert (
        still_to_come(resolve("03_finetune", {"profile": "smoke", "train": "reset"}))
        == "04 x4, 05, paper"
    )
    assert still_to_come(whole[-1]) == "paper"


# ---- provenance -----------------------------------------------------------------------------------------------------


def test_provenance_holds_no_place_of_this_machine_and_no_clock(project):
    at = resolve("01_generate", {"profile": "smoke"})
    leave(at.run, splits=["train"])
    inputs = {"tasks": at.run.tasks("train"), "package": Path(progress_module.__file__)}
    write_provenance(at.run, project / "a.json", inputs)
    time.sleep(0.01)
    write_provenance(at.run, project / "b.json", inputs)
    text = (project / "a.json").read_text()
    assert text == (project / "b.json").read_text()
    assert str(project) not in text and str(REPOSITORY) not in text
    assert json.loads(text)["inputs"]["package"]["path"] == "knapsack_lib/progress.py"
    assert json.loads(text)["profile_digest"] == at.profile.digest()


def test_outside_a_checkout_the_commit_is_unknown(project, monkeypatch):
    run = load_profile("smoke").run()
    assert provenance(run, {})["commit"] == "unknown"
    monkeypatch.setenv("PATH", "")
    assert provenance(run, {})["dirty"] == "unknown"


def test_in_a_checkout_the_commit_and_changed_sources_are_told(project):
    def git(*words):
        who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        return subprocess.run(
            ["git", *who, *words], cwd=project, check=True, capture_output=True, text=True
        ).stdout

    git("init", "-q")
    git("add", "params")
    git("commit", "-qm", "one")
    run = load_profile("smoke").run()
    (project / "figures").mkdir()
    (project / "figures" / "made.csv").write_text("an output is no change of a source")
    made = provenance(run, {})
    assert (made["commit"], made["dirty"]) == (git("rev-parse", "HEAD").strip(), False)
    with open(project / "params" / "smoke.yaml", "a") as file:
        file.write("# touched\n")
    assert provenance(run, {})["dirty"] is True


def test_the_digest_of_a_store_ignores_its_clock(tmp_path):
    (tmp_path / "episodes.jsonl").write_text("{}\n")
    before = path_digest(tmp_path)
    (tmp_path / "timings.jsonl").write_text('{"seconds": 1}\n')
    assert path_digest(tmp_path) == before
    (tmp_path / "episodes.jsonl").write_text("{ }\n")
    assert path_digest(tmp_path) != before
    with pytest.raises(UserError, match="input absent"):
        path_digest(tmp_path / "absent")


def test_a_store_key_changes_with_everything_that_shapes_episodes(project):
    run = load_profile("smoke").run()
    leave(run, splits=["easy"])
    inputs = {"tasks": run.tasks("easy")}
    keys = {
        store_key(run, inputs, "persistent"),
        store_key(run, inputs, "reset"),
        store_key(run, {}, "persistent"),
        store_key(load_profile("smoke").run(2), inputs, "persistent"),
        store_key(load_profile("pocket").run(), inputs, "persistent"),
    }
    assert len(keys) == 5
    assert store_key(run, inputs, "reset") in keys


def test_make_and_the_store_key_agree_on_which_sources_shape_episodes():
    shown = ["make", "--no-print-directory", "--eval", "shown: ; @echo $(CORE)", "shown"]
    listed = subprocess.run(
        shown, cwd=REPOSITORY, check=True, capture_output=True, text=True
    ).stdout.split()
    library = REPOSITORY / "knapsack_lib"
    ours = [p.relative_to(library) for p in library.rglob("*.py")]
    wanted = {f"knapsack_lib/{name.as_posix()}" for name in ours if name.parts[0] not in BESIDE}
    assert {name for name in listed if name.endswith(".py")} == wanted
    assert len(code_digest()) == 64


def test_the_stamp_names_profile_and_packages(project, capsys):
    stamp = environment_stamp(load_profile("smoke"))
    shown = capsys.readouterr().out
    assert stamp["packages"]["numpy"] in shown and "profile smoke" in shown
