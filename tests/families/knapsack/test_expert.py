"""The scripted expert: one plan in two styles, from shown information only, with real recoveries
and seeded variety."""

import re
import statistics

import pytest
from common import one_line
from made import tasks

from knapsack_lib.errors import UserError
from knapsack_lib.families import family_named
from knapsack_lib.families.knapsack.expert import NAMES, SAYINGS, ScriptedExpert
from knapsack_lib.interpreter import Interpreter, Pool, persistence_named
from knapsack_lib.profiles import PromptOptions, Teacher

STYLES = ("persistent", "reset")
# Items a turn
ROOMY = {
    "easy": (8, 12),
    "medium": (20, 24),
    "pocket-easy": (2, 3),
    "pocket-medium": (2, 3),
}
COUNTS = {"easy": 12, "medium": 6, "pocket-easy": 40, "pocket-medium": 20}


def teacher(size="pocket-easy", slips=0.0, variants=2):
    return Teacher(
        policy="scripted", slip_share=slips, batch_sizes=ROOMY[size], style_variants=variants
    )


@pytest.fixture(scope="module")
def pools(make_limits):
    paper = make_limits(turns=40, tool_calls=25, output_chars=30_000)
    with Pool(make_limits(turns=16)) as small, Pool(paper) as large:
        yield {size: small if size.startswith("pocket") else large for size in ROOMY}


@pytest.fixture
def pairs(pools, play_script):
    """Both styles' episodes of the same tasks with the same seed."""

    def play(size, count, setting, **more):
        return [
            tuple(play_script(pools[size], task, s, setting, seed=100 + i, **more) for s in STYLES)
            for i, task in enumerate(tasks(count, size, seed=2))
        ]

    return play


def calls(episode, slips=False):
    return [
        [(c["name"], c["args"], c["result"], c["error"]) for c in t.tool_calls]
        for t in episode.turns
        if slips or not t.slip
    ]


def seen(episode):
    return [t.observation for t in episode.turns if not t.slip]


def saying(turn):
    return turn.reply.split("\n", 1)[0]


@pytest.mark.parametrize("prompt", ["brief", "full"])
@pytest.mark.parametrize("size", ROOMY)
def test_both_styles_are_the_same_plan(pairs, size, prompt):
    options = PromptOptions(style=prompt, cue="none", list_bindings=False)
    for persistent, reset in pairs(
        size,
        COUNTS[size] // (1 if prompt == "brief" else 3),
        teacher(size, slips=0.3),
        options=options,
    ):
        assert calls(persistent) == calls(reset)
        assert seen(persistent) == seen(reset)
        assert persistent.result == reset.result
        assert [t.slip for t in persistent.turns] == [t.slip for t in reset.turns]
        assert persistent.finish_reason == reset.finish_reason == "finish"


def test_the_styles_differ_in_how_state_is_carried(pairs):
    """A reset block stands alone: after the first turn each one restates what it needs; a
    persistent one does not."""
    for persistent, reset in pairs("pocket-easy", 10, teacher()):
        later = list(zip(persistent.turns[1:-1], reset.turns[1:-1], strict=True))
        assert all(re.search(r"^\w+ = [\[{]", r.code, re.M) for _, r in later)
        assert not any(re.search(r"^\w+ = [\[{(\d]", p.code, re.M) for p, _ in later)
        assert sum(len(r.code) for _, r in later) > 1.5 * sum(len(p.code) for p, _ in later)


@pytest.mark.parametrize("style", STYLES)
def test_a_traces_code_needs_its_own_runtime_only_where_the_style_says(pools, play_script, style):
    """The persistent style played in a reset interpreter misses its names; the reset style does as
    well anywhere."""
    task = tasks(1, seed=2)[0]
    home = play_script(pools["pocket-easy"], task, style, teacher())
    blocks = [t.code for t in home.turns]
    other = "reset" if style == "persistent" else "persistent"
    world = family_named("knapsack").world(task)
    with Interpreter(pools["pocket-easy"], persistence_named(other), world.tools, 1) as interpreter:
        errors = [interpreter.run(block).error_type for block in blocks]
    if style == "reset":
        assert errors == [None] * len(blocks) and world.result() == home.result
    else:
        assert errors[0] is None and set(errors[1:-1]) == {"NameError"}


def test_episodes_are_long_enough_for_state_to_matter(pairs, pocket):
    turns = [len(persistent.turns) for persistent, _ in pairs("pocket-easy", 60, pocket.teacher)]
    assert statistics.fmean(turns) >= 6 and max(turns) <= pocket.limits.turns


def test_the_expert_is_good_but_works_under_the_rules(pairs):
    scores = [p.result["score"] for p, _ in pairs("pocket-easy", 40, teacher())]
    assert statistics.fmean(scores) > 0.8 and min(scores) > 0.3
    for episode, _ in pairs("pocket-easy", 10, teacher()):
        assert all(len(t.tool_calls) <= 4 for t in episode.turns)


def test_real_refusals_are_met_and_recovered_from(pairs):
    refused = [
        c for p, _ in pairs("pocket-easy", 20, teacher()) for t in calls(p) for c in t if c[3]
    ]
    assert len(refused) >= 10 and all(error.startswith("PermissionError") for *_, error in refused)


# Slips --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", ["pocket-easy", "easy"])
def test_every_slip_is_fixed_and_costs_no_score(pairs, size):
    count = 24 if size == "pocket-easy" else 6
    for (persistent, reset), (clean, _) in zip(
        pairs(size, count, teacher(size, slips=1.0)), pairs(size, count, teacher(size)), strict=True
    ):
        for episode in (persistent, reset):
            slips = [k for k, t in enumerate(episode.turns) if t.slip]
            errors = [k for k, t in enumerate(episode.turns) if t.error_type]
            assert (
                slips == errors
                and len(slips) == 1
                and episode.turns[slips[0]].error_type == "NameError"
            )
            assert saying(episode.turns[slips[0] + 1]) in SAYINGS["mend"]
            assert len(episode.turns) == len(clean.turns) + 1
            assert (episode.finish_reason, episode.result) == ("finish", clean.result)


def test_slips_come_in_the_share_that_was_asked_for():
    def slips(share, seed):
        return ScriptedExpert("reset", teacher(slips=share), seed)._slip is not None

    assert sum(slips(0.25, s) for s in range(2000)) == pytest.approx(500, abs=70)
    assert not any(slips(0.0, s) for s in range(200)) and all(slips(1.0, s) for s in range(200))


# Only what is shown -------------------------------------------------------------------------------


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("size", ["pocket-easy", "easy"])
def test_the_expert_reads_nothing_but_the_conversation(pools, play_script, size, style):
    """Given the recorded messages alone, with no task, no world and no interpreter, it says the
    same again."""
    for number, task in enumerate(tasks(4, size, seed=2)):
        setting = teacher(size, slips=0.5)
        episode = play_script(pools[size], task, style, setting, seed=number)
        messages, expert = episode.messages(), ScriptedExpert(style, setting, number)
        for place, message in enumerate(messages):
            if message["role"] == "assistant":
                assert expert.reply(messages[:place]).text == message["content"]


class Watched:
    """A world of which only the agent's side may be touched."""

    def __init__(self, world):
        object.__setattr__(self, "_inner", world)

    def __getattr__(self, name):
        if name not in ("tools", "facts", "done", "result"):
            raise AssertionError(f"{name} of the world was read")
        return getattr(object.__getattribute__(self, "_inner"), name)


def test_an_episode_touches_only_the_agents_side_of_the_world(pools, play_script):
    task = tasks(1, seed=2)[0]
    plain = play_script(pools["pocket-easy"], task, "reset", teacher())
    assert play_script(pools["pocket-easy"], task, "reset", teacher(), world=Watched) == plain


def test_no_item_is_taken_whose_facts_were_not_printed_before(pairs):
    for persistent, _ in pairs("pocket-easy", 10, teacher()):
        shown = persistent.opening[1]["content"]
        for turn in persistent.turns:
            assert all(c["args"][0] in shown for c in turn.tool_calls if c["name"] == "take_item")
            shown += turn.observation or ""


# Variety ------------------------------------------------------------------------------------------


def test_variety_is_seeded_and_shared_by_the_pair(pairs):
    played = pairs("pocket-easy", 30, teacher(slips=0.2))
    for persistent, reset in played:
        assert [saying(t) for t in persistent.turns] == [saying(t) for t in reset.turns]
        used = [
            [n["rest"] for n in NAMES if re.search(rf"\b{n['rest']}\b", e.turns[0].code)]
            for e in (persistent, reset)
        ]
        assert used[0] == used[1] and len(used[0]) == 1
    firsts = {saying(p.turns[0]) for p, _ in played}
    names = {
        n["rest"]
        for p, _ in played
        for n in NAMES
        if re.search(rf"\b{n['rest']}\b", p.turns[0].code)
    }
    batches = {sum(c["name"] == "inspect" for c in p.turns[0].tool_calls) for p, _ in played}
    assert firsts == set(SAYINGS["setup"]) and len(names) == 2 and batches == {2, 3}
    assert {bool(re.search(r"\[-\w+:\]", p.turns[0].code)) for p, _ in played} == {
        True,
        False,
    }  # order
    assert {len(p.turns[0].code.split("def ")) for p, _ in played} >= {
        2,
        4,
    }  # helpers at once, or when needed


def test_the_same_seed_plays_the_same_episode_and_another_seed_another(pools, play_script):
    task = tasks(1, seed=2)[0]
    lines = [
        play_script(pools["pocket-easy"], task, "reset", teacher(), seed=s).to_line()
        for s in (5, 5, 6, 7, 8)
    ]
    assert lines[0] == lines[1] and len(set(lines)) >= 3


def test_one_vocabulary_can_be_asked_for():
    assert {
        ScriptedExpert("reset", teacher(variants=1), seed).vocabulary["rest"] for seed in range(40)
    } == {NAMES[0]["rest"]}


@pytest.mark.parametrize("characters", [100, 300, 700])
def test_an_observation_that_is_cut_is_one_line_with_the_fix(make_limits, play_script, characters):
    task = tasks(1, "medium", seed=2)[0]
    with (
        Pool(make_limits(output_chars=characters, turns=40, tool_calls=25)) as pool,
        pytest.raises(UserError) as caught,
    ):
        play_script(pool, task, "persistent", teacher())
    assert "raise limits.output_chars" in one_line(caught)


@pytest.mark.parametrize("style", ["stateful", "", "base"])
def test_an_unknown_style_lists_the_styles(style):
    with pytest.raises(UserError, match="persistent, reset"):
        ScriptedExpert(style, teacher(), 1)
