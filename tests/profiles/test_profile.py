"""Profiles: one strict object from YAML however it is laid out, one-line errors, digests."""

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from common import one_line

from knapsack_lib.cli import knapsack
from knapsack_lib.errors import UserError
from knapsack_lib.profiles import DIFFICULTIES, RUNTIMES, TRAININGS, load_profile
from knapsack_lib.study import graph

PARAMS = Path(__file__).parents[2] / "params"
POCKET = PARAMS / "pocket.yaml"


def write(project, text, name="odd"):
    (project / "params" / f"{name}.yaml").write_text(text, encoding="utf-8", newline="")
    return name


def changed_profile(project, change):
    data = yaml.safe_load(POCKET.read_text(encoding="utf-8"))
    data["name"] = "odd"
    change(data)
    return write(project, yaml.safe_dump(data))


def test_the_pocket_profile_keeps_prompts_equal_in_every_cell(project):
    options = load_profile("pocket").prompt
    assert (options.cue, options.list_bindings) == ("none", False)


# Layout -------------------------------------------------------------------------------------------

DATA = {**yaml.safe_load((PARAMS / "smoke.yaml").read_text(encoding="utf-8")), "name": "own"}
PLAIN = yaml.safe_dump(DATA, sort_keys=False)


def spaced(text):
    """Comments and blank lines wherever a line ends."""
    return "# first\n\n" + text.replace("\n", "   # why\n\n  # more\n") + "# last"


def indented(text):
    return "".join(f"   {line}" for line in text.splitlines(keepends=True))


LAYOUTS = {
    "as committed": (PARAMS / "smoke.yaml")
    .read_text(encoding="utf-8")
    .replace("name: smoke", "name: own"),
    "block": yaml.safe_dump(DATA, default_flow_style=False, indent=7),
    "flow": yaml.safe_dump(DATA, default_flow_style=True, width=60),
    "flow in one line": yaml.safe_dump(DATA, default_flow_style=True, width=10**6),
    "JSON": json.dumps(DATA),
    "JSON over many lines": json.dumps(DATA, indent=3),
    "quoted keys and values with tags": yaml.safe_dump(DATA, default_style='"'),
    "quoted keys": "".join(
        f"'{key}' : {json.dumps(value)}\n" if n % 2 else f'"{key}": {json.dumps(value)}\n'
        for n, (key, value) in enumerate(DATA.items())
    ),
    "explicit keys": "".join(f"? {key}\n: {json.dumps(value)}\n" for key, value in DATA.items()),
    "another order": yaml.safe_dump(dict(reversed(DATA.items())), sort_keys=False),
    "comments": spaced(PLAIN),
    "a document with its marks": f"%YAML 1.1\n---\n{PLAIN}...\n",
    "lines of Windows and a byte order mark": "\ufeff" + PLAIN.replace("\n", "\r\n"),
    "indented as a whole": indented(PLAIN),
    "no last newline": PLAIN.rstrip("\n"),
    "anchors": PLAIN.replace("\nseed: 1\n", "\nseed: &one 1\n").replace(
        "\ntrain_seeds: 1\n", "\ntrain_seeds: *one\n"
    ),
    "merged keys": yaml.safe_dump({**DATA, "limits": None}).replace(
        "limits: null", f"limits:\n  <<: {json.dumps(DATA['limits'] | {'turns': 3})}\n  turns: 16"
    ),
}


def test_the_layouts_are_different_texts_of_the_same_settings():
    assert all(yaml.safe_load(text) == DATA for text in LAYOUTS.values())
    assert len(set(LAYOUTS.values())) == len(LAYOUTS)
    assert "&one" in LAYOUTS["anchors"] and "*one" in LAYOUTS["anchors"]


def read_in_every_way(project):
    """The profile `own`, its graph, and what the command line says of it."""
    profile = load_profile("own")
    for name in ("01_generate", "02_teacher", "03_finetune", "04_cross_eval", "05_analysis"):
        (project / "notebooks" / f"{name}.ipynb").write_text("{}", encoding="utf-8")
    steps = graph(profile.run())
    plan = CliRunner().invoke(knapsack, ["plan", "--profile", "own"], catch_exceptions=False)
    assert plan.exit_code == 0 and plan.output.count("\n") == len(steps)
    return (
        profile,
        profile.digest(),
        profile.episode_digest(),
        [(step.command, step.output, step.key) for step in steps],
        plan.output,
    )


@pytest.mark.parametrize("layout", list(LAYOUTS)[1:])
def test_a_profile_behaves_the_same_in_every_legal_layout(project, layout):
    write(project, LAYOUTS["as committed"], "own")
    first = read_in_every_way(project)
    write(project, LAYOUTS[layout], "own")
    assert read_in_every_way(project) == first


@pytest.mark.parametrize("style", [False, True])
def test_a_chain_of_likes_behaves_as_the_whole_profile(project, style):
    write(project, PLAIN.replace("seed: 1\n", "seed: 5\n", 1), "own")
    whole = read_in_every_way(project)
    write(project, yaml.safe_dump({"like": "smoke", "seed": 4}, default_flow_style=style), "first")
    write(project, '{"like" : "first", "seed": 5}  # a comment', "second")
    write(project, "'like' : &name second\n", "own")
    assert read_in_every_way(project) == whole


# Wrong settings -----------------------------------------------------------------------------------


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
        (lambda d: d["teacher"].update(batch_sizes=[0]), "teacher.batch_sizes"),
        (lambda d: d["teacher"].update(batch_sizes=[2, -2]), "teacher.batch_sizes"),
        (lambda d: d["prompt"].update(cue="maybe"), "prompt.cue"),
        (lambda d: d["limits"].update(wall_seconds=0), "limits.wall_seconds"),
        (lambda d: d.update(difficulties={"easy": "pocket-easy"}), "difficulties"),
        (lambda d: d.update(seed=-1), "seed"),
        (lambda d: d.update(family="../chess"), "family"),
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
        "like: smoke\nseed: 1\nseed: 2",
        "like: smoke\nseed: 010",
        "like: smoke\nseed: 1:30",
        "seed: " + "[" * 5000,
    ],
)
def test_a_file_that_is_no_profile_is_one_line(project, text):
    (project / "params" / "bad.yaml").write_bytes(text.encode(errors="surrogateescape"))
    (project / "params" / "empty.yaml").write_text("", encoding="utf-8")
    with pytest.raises(UserError) as caught:
        load_profile("bad")
    assert "bad.yaml" in one_line(caught)


def test_an_unknown_profile_lists_the_known_ones(project):
    with pytest.raises(UserError, match="pocket, pocket-seeds, smoke") as caught:
        load_profile("pokcet")
    one_line(caught)
    with pytest.raises(UserError, match="has no file"):
        load_profile("n" * 300)


def test_a_profile_cannot_be_changed_after_it_was_read(project):
    profile = load_profile("pocket")
    with pytest.raises(Exception, match="frozen"):
        profile.seed = 2
    with pytest.raises(Exception, match="frozen"):
        profile.limits.turns = 2


def test_a_paid_teacher_is_asked_from_one_machine_only():
    paper = load_profile("paper")
    assert paper.executor == "local" and paper.teacher.policy == "gemini"
    with pytest.raises(ValueError, match="is asked from one machine: executor = local"):
        type(paper).model_validate({**paper.model_dump(), "executor": "ray"})


# Like another -------------------------------------------------------------------------------------


def test_a_profile_like_another_differs_in_nothing_but_its_own_settings(project):
    one, three = load_profile("pocket"), load_profile("pocket-seeds")
    changed = {
        name for name in type(one).model_fields if getattr(one, name) != getattr(three, name)
    }
    assert changed == {"name", "about", "train_seeds", "published"}
    assert one.episode_digest() == three.episode_digest() and one.digest() != three.digest()
    with pytest.raises(UserError, match="'nothing' has no file") as caught:
        load_profile(write(project, "like: nothing\n"))
    one_line(caught)


def test_a_profile_like_the_published_one_has_a_name_and_a_place_of_its_own(project):
    mine = load_profile(write(project, "like: pocket-seeds\nseed: 7\n", "mine"))
    assert (mine.name, mine.seed, mine.train_seeds, mine.published) == ("mine", 7, 3, False)
    assert mine.run().root == project / "runs" / "mine" == mine.run().published_root


def test_profiles_that_are_like_each_other_are_one_line(project):
    write(project, "like: two\n", "one")
    write(project, "like: one\n", "two")
    with pytest.raises(UserError, match="leads too far, or back to itself") as caught:
        load_profile("one")
    one_line(caught)


# Digests ------------------------------------------------------------------------------------------


def test_every_setting_changes_the_digest(project):
    def set_in(part, key, value):
        return lambda d: (d[part] if part else d).update({key: value})

    changes = [
        lambda d: None,
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
    digests = {load_profile(changed_profile(project, change)).digest() for change in changes}
    assert len(digests) == len(changes)


def test_judging_differently_plays_the_same_episodes():
    pocket = load_profile("pocket")
    judged = pocket.model_copy(
        update={"analysis": pocket.analysis.model_copy(update={"margin": 0.2}), "about": "x"}
    )
    assert judged.digest() != pocket.digest() and judged.episode_digest() == pocket.episode_digest()
    kept = pocket.interpreter.model_copy(update={"after_kill": "lose"})
    assert (
        pocket.model_copy(update={"interpreter": kept}).episode_digest() != pocket.episode_digest()
    )


def test_how_a_server_is_waited_for_shapes_no_episode_and_which_one_answers_does():
    served = load_profile("served-smoke")

    def change(**more):
        serving = served.evaluation.serving.model_copy(update=more)
        evaluation = served.evaluation.model_copy(update={"serving": serving})
        return served.model_copy(update={"evaluation": evaluation}).episode_digest()

    assert change(timeout_seconds=9.0, concurrency=3) == served.episode_digest()
    assert change(url="http://a/v1") != served.episode_digest()
    assert change(names={"base": "another"}) != served.episode_digest()


# Cells --------------------------------------------------------------------------------------------


def test_the_cells_are_every_policy_in_both_runtimes_on_both_sizes():
    one, three = load_profile("pocket"), load_profile("pocket-seeds")
    assert len(one.cells()) == 12 and len(three.cells()) == 4 + 8 * 3
    assert len(set(three.cells())) == 28 and set(one.cells()) < set(three.cells())
    found = {(cell.train, cell.runtime, cell.difficulty) for cell in one.cells()}
    assert found == {(t, r, d) for t in TRAININGS for r in RUNTIMES for d in DIFFICULTIES}
    assert {cell.train_seed for cell in three.cells() if cell.train == "base"} == {0}
    assert list(three.train_seeds_of("reset")) == [1, 2, 3]
    assert list(three.train_seeds_of("base")) == [0]


def test_every_adapter_plays_in_some_cell_and_plays_aligned_first():
    profile = load_profile("pocket-seeds")
    assert {cell.adapter for cell in profile.adapters()} == {
        cell.adapter for cell in profile.cells() if cell.train != "base"
    }
    assert all(
        cell in profile.cells() and cell.train == cell.runtime for cell in profile.adapters()
    )
    assert {cell.train_seed for cell in [*profile.teachers(), *profile.experts()]} == {0}
