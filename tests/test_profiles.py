"""Profiles: one strict object from YAML, one-line errors, and the places of a run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from common import one_line

from knapsack_lib import profiles
from knapsack_lib.errors import UserError, check_choice
from knapsack_lib.profiles import load_profile
from knapsack_lib.seeds import named_seed

POCKET = Path(__file__).parent.parent / "params" / "pocket.yaml"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project folder of its own with the pocket profile in it."""
    (tmp_path / "params").mkdir()
    (tmp_path / "notebooks").mkdir()
    for name in ("pocket", "pocket-seeds"):
        (tmp_path / "params" / f"{name}.yaml").write_text(
            POCKET.with_name(f"{name}.yaml").read_text()
        )
    monkeypatch.setenv("KNAPSACK_ROOT", str(tmp_path))
    return tmp_path


def changed_profile(project, change):
    data = yaml.safe_load(POCKET.read_text())
    data["name"] = "odd"
    change(data)
    (project / "params" / "odd.yaml").write_text(yaml.safe_dump(data))
    return "odd"


def test_the_pocket_profile_keeps_prompts_equal_in_every_cell(project):
    options = load_profile("pocket").prompt
    assert (options.cue, options.list_bindings) == ("none", False)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda d: d.update(colour="red"), "colour"),
        (lambda d: d["training"].update(stepps=3), "training.stepps"),
        (lambda d: d["training"].pop("steps"), "training.steps"),
        (lambda d: d["training"].update(steps=0), "training.steps"),
        (lambda d: d["training"].update(steps="many"), "training.steps"),
        (lambda d: d["evaluation"].update(temperature=-0.1), "evaluation.temperature"),
        (lambda d: d["teacher"].update(slip_share=1.5), "teacher.slip_share"),
        (lambda d: d["teacher"].update(batch_sizes=[]), "teacher.batch_sizes"),
        (lambda d: d["prompt"].update(cue="maybe"), "prompt.cue"),
        (lambda d: d["limits"].update(wall_seconds=0), "limits.wall_seconds"),
        (lambda d: d.update(difficulties={"easy": "pocket-easy"}), "difficulties"),
        (lambda d: d.update(seed=-1), "seed"),
        (lambda d: d.update(family="chess"), "family"),
        (lambda d: d.update(name="pocket"), "name is 'pocket'; write 'odd'"),
        (lambda d: d.update(name=""), "name is ''"),
        (lambda d: d["limits"].update(turns=True), "turns is true"),
        (lambda d: d["limits"].update(wall_seconds=float("inf")), "limits.wall_seconds"),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_file_and_key(project, change, where):
    with pytest.raises(UserError) as caught:
        load_profile(changed_profile(project, change))
    text = one_line(caught)
    assert "odd.yaml" in text and where in text


@pytest.mark.parametrize("batch", [0, -2])
def test_a_batch_of_no_items_is_refused(project, batch):
    with pytest.raises(UserError) as caught:
        load_profile(changed_profile(project, lambda d: d["teacher"].update(batch_sizes=[batch])))
    assert "batch_sizes" in one_line(caught)


@pytest.mark.parametrize(
    "text",
    [
        "a: [1",
        "",
        "- 1\n- 2",
        "just words",
        "seed: 2024-13-45",
        "\udcff",
        "like: bad",
        "like: empty",
    ],
)
def test_a_file_that_is_no_profile_is_one_line(project, text):
    (project / "params" / "bad.yaml").write_bytes(text.encode(errors="surrogateescape"))
    (project / "params" / "empty.yaml").write_text("")
    with pytest.raises(UserError) as caught:
        load_profile("bad")
    assert "bad.yaml" in one_line(caught)


def test_an_unknown_profile_lists_the_known_ones(project):
    (project / "params" / "smoke.yaml").write_text("")
    with pytest.raises(UserError, match="pocket, pocket-seeds, smoke") as caught:
        load_profile("pokcet")
    one_line(caught)


def test_a_profile_cannot_be_changed_after_it_was_read(project):
    profile = load_profile("pocket")
    with pytest.raises(Exception, match="frozen"):
        profile.seed = 2
    with pytest.raises(Exception, match="frozen"):
        profile.limits.turns = 2


def test_every_setting_changes_the_digest(project):
    data, digests = yaml.safe_load(POCKET.read_text()), set()

    def set_in(part, key, value):
        return lambda d: (d[part] if part else d).update({key: value})

    changes = [
        set_in(None, "seed", 2),
        set_in(None, "about", "else"),
        set_in("tasks", "train", 2999),
        set_in("limits", "output_chars", 1999),
        set_in("prompt", "list_bindings", True),
        set_in("teacher", "slip_share", 0.13),
        set_in("training", "steps", 901),
        set_in("evaluation", "temperature", 0.3),
        set_in("gates", "finished", 0.9),
    ]
    for change in changes:
        digests.add(load_profile(changed_profile(project, change)).digest())
    digests.add(load_profile(changed_profile(project, lambda d: None)).digest())
    assert len(digests) == len(changes) + 1 and data


def test_judging_otherwise_plays_the_same_episodes():
    pocket = load_profile("pocket")
    judged = pocket.model_copy(
        update={"analysis": pocket.analysis.model_copy(update={"margin": 0.2}), "about": "x"}
    )
    assert judged.digest() != pocket.digest() and judged.episode_digest() == pocket.episode_digest()
    kept = pocket.interpreter.model_copy(update={"after_kill": "lose"})
    assert (
        pocket.model_copy(update={"interpreter": kept}).episode_digest() != pocket.episode_digest()
    )


def test_the_digest_does_not_depend_on_how_the_file_is_written(project):
    data = yaml.safe_load(POCKET.read_text())
    (project / "pocket.yaml").write_text(yaml.safe_dump(dict(reversed(list(data.items())))))
    assert load_profile(str(project / "pocket.yaml")).digest() == load_profile("pocket").digest()


@pytest.mark.parametrize(
    ("word", "read_as"), [("persistent", "persistent"), ("reset", "reset"), ("stateless", "reset")]
)
def test_the_papers_spellings_are_accepted(word, read_as):
    assert check_choice("runtime", word, profiles.RUNTIMES) == read_as
    assert check_choice("difficulty", "hard", profiles.DIFFICULTIES) == "medium"


@pytest.mark.parametrize("word", ["persistant", "", None, 3, "base"])
def test_a_misspelt_word_lists_the_right_ones(word):
    with pytest.raises(UserError, match="runtime.*persistent, reset") as caught:
        check_choice("runtime", word, profiles.RUNTIMES)
    one_line(caught)


@pytest.mark.parametrize("seed", [-1, True, 1.0, "1"])
def test_a_seed_that_is_no_whole_number_is_refused(project, seed):
    with pytest.raises(UserError, match="seed") as caught:
        load_profile("pocket").run(seed)
    one_line(caught)


def test_named_seeds_are_the_same_in_every_process():
    code = "from knapsack_lib.profiles import named_seed as n; print(n(1, 'task', 'easy', 0), n(1), n(2, 'a', 'b'))"
    answers = set()
    for hash_seed in ("0", "1", "random"):
        environment = {
            **os.environ,
            "PYTHONHASHSEED": hash_seed,
            "PYTHONPATH": str(POCKET.parent.parent),
        }
        answers.add(
            subprocess.run(
                [sys.executable, "-c", code],
                env=environment,
                capture_output=True,
                text=True,
                check=True,
            ).stdout
        )
    assert answers == {
        f"{named_seed(1, 'task', 'easy', 0)} {named_seed(1)} {named_seed(2, 'a', 'b')}\n"
    }


def test_names_are_not_glued_together_in_a_seed():
    seeds = [
        named_seed(1, "a", "bc"),
        named_seed(1, "ab", "c"),
        named_seed(1, "abc"),
        named_seed(2, "a", "bc"),
    ]
    assert len(set(seeds)) == 4 and all(0 <= s < 2**63 for s in seeds)


def test_every_place_of_a_run_is_its_own_and_inside_the_project(project):
    run = load_profile("pocket").run()
    places = [run.tasks(s) for s in ("train", "validation", "easy", "medium")]
    places += [run.teacher(r) for r in profiles.RUNTIMES] + [
        run.adapter(r) for r in profiles.RUNTIMES
    ]
    places += [run.expert(d) for d in profiles.DIFFICULTIES]
    places += [
        run.cell(t, r, d)
        for t in profiles.TRAININGS
        for r in profiles.RUNTIMES
        for d in profiles.DIFFICULTIES
    ]
    assert len(set(places)) == len(places)
    assert all(project / "runs" / "pocket" in place.parents for place in places)
    assert run.shown(run.tasks("train")) == "runs/pocket/tasks/train"


def test_another_seed_never_writes_over_the_published_results(project):
    profile = load_profile("pocket-seeds")
    own, other = profile.run(), profile.run(profile.seed + 1)
    assert own.published_root == project
    assert own.root != other.root and other.published_root == other.root


def test_a_profile_like_another_differs_in_what_it_says_alone(project):
    one, three = load_profile("pocket"), load_profile("pocket-seeds")
    changed = {
        name for name in type(one).model_fields if getattr(one, name) != getattr(three, name)
    }
    assert changed == {"name", "about", "train_seeds", "published"}
    assert one.episode_digest() == three.episode_digest() and one.digest() != three.digest()
    assert list(three.seeds()) == [1, 2, 3] and list(three.seeds("base")) == [1] == list(
        one.seeds("reset")
    )
    (project / "params" / "own.yaml").write_text("like: nothing\n")
    with pytest.raises(UserError, match="'nothing' has no file") as caught:
        load_profile("own")
    one_line(caught)


def test_a_profile_may_be_like_one_that_is_like_another_but_its_name_and_place_are_its_own(project):
    (project / "params" / "mine.yaml").write_text("like: pocket-seeds\nseed: 7\n")
    mine = load_profile("mine")
    assert (mine.name, mine.seed, mine.train_seeds, mine.published) == ("mine", 7, 3, False)
    assert mine.run().root == project / "runs" / "mine" == mine.run().published_root
    with pytest.raises(UserError, match="has no file"):
        load_profile("n" * 300)


def test_which_model_a_server_calls_what_is_part_of_what_plays():
    served = load_profile("served-smoke")
    serving = served.evaluation.serving
    change = lambda **more: served.model_copy(  # noqa: E731
        update={
            "evaluation": served.evaluation.model_copy(
                update={"serving": serving.model_copy(update=more)}
            )
        }
    )
    assert (
        change(timeout_seconds=9.0, url="http://a/v1").episode_digest() == served.episode_digest()
    )
    assert change(names={"base": "another"}).episode_digest() != served.episode_digest()


def test_training_seeds_have_draws_and_places_of_their_own(project):
    run = load_profile("pocket-seeds").run()
    places = {run.adapter("reset", k) for k in (1, 2, 3)} | {
        run.cell("reset", "ttl:2", "easy", k) for k in (1, 2, 3)
    }
    assert len(places) == 6 and run.adapter("reset") == run.adapter("reset", 1)
    draws = [
        run.training_seed(what, k) for what in ("training order", "fine-tune") for k in (1, 2, 3)
    ]
    assert len(set(draws)) == 6 and draws[0] == named_seed(run.seed, "training order")


def test_outside_any_project_the_error_says_how_to_name_one(tmp_path, monkeypatch):
    monkeypatch.setenv("KNAPSACK_ROOT", str(tmp_path))
    with pytest.raises(UserError, match="KNAPSACK_ROOT") as caught:
        profiles.project_root()
    one_line(caught)
