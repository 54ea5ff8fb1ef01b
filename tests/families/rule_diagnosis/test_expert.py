"""The scripted expert: one plan in three styles, from shown information only, with submissions that are refuted, slips
that are mended, and seeded variety."""

import builtins
import json
import keyword
import re
import statistics
from pathlib import Path

import pytest
from common import one_line

from knapsack_lib.chat import chat_tokenizer
from knapsack_lib.errors import UserError
from knapsack_lib.families.rule_diagnosis import FAMILY
from knapsack_lib.families.rule_diagnosis.expert import FEW, NAMES, SAYINGS, ScriptedExpert
from knapsack_lib.interpreter import Interpreter, Pool, persistence_named
from knapsack_lib.profiles import REACT, PromptOptions, Teacher, load_profile

STYLES = ("persistent", "reset")
PROFILE = load_profile(str(Path(__file__).parents[3] / "params" / "pocket-rule_diagnosis.yaml"))
COUNTS = {"pocket-easy": 40, "pocket-medium": 12, "easy": 10, "medium": 2, "hard": 2}  # of a pair


def teacher(slips=0.0, variants=2, batch=(1,)):
    return Teacher(policy="scripted", slip_share=slips, batch_sizes=batch, style_variants=variants)


def tasks(count, size="pocket-easy", split="x"):
    return [FAMILY.make_task(size, seed=2, split=split, index=i) for i in range(count)]


@pytest.fixture(scope="module")
def pool(make_limits):
    with Pool(make_limits(turns=PROFILE.limits.turns)) as pool:
        yield pool


@pytest.fixture(scope="module")
def kept():
    return {}


@pytest.fixture
def pairs(pool, play_script, kept):
    """Both styles' episodes of the same tasks with the same seed, played once."""

    def play(size, count, setting, prompt="brief"):
        key = (size, count, prompt, setting)
        if key not in kept:
            options = PromptOptions(style=prompt, cue="none", list_bindings=False)
            kept[key] = [
                tuple(
                    play_script(pool, task, s, setting, seed=100 + i, options=options)
                    for s in STYLES
                )
                for i, task in enumerate(tasks(count, size))
            ]
        return kept[key]

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


def inputs_of(episode):
    return [c[1][0] for turn in calls(episode) for c in turn if c[0] == "test_input"]


# One plan -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("prompt", ["brief", "full"])
@pytest.mark.parametrize("size", COUNTS)
def test_both_styles_are_the_same_plan_and_find_the_rule(pairs, size, prompt):
    count = COUNTS[size] if prompt == "brief" else max(1, COUNTS[size] // 3)
    for (persistent, reset), task in zip(
        pairs(size, count, teacher(slips=0.3), prompt), tasks(count, size), strict=True
    ):
        assert calls(persistent) == calls(reset)
        assert seen(persistent) == seen(reset)
        assert persistent.result == reset.result and persistent.result["solved"]
        assert [t.slip for t in persistent.turns] == [t.slip for t in reset.turns]
        assert persistent.finish_reason == reset.finish_reason == "finish"
        assert inputs_of(reset) == task.reference["inputs"]


@pytest.mark.parametrize("batch", [(2,), (3,)])
def test_several_tests_a_turn_are_the_same_tests(pairs, batch):
    for (persistent, reset), task in zip(
        pairs("pocket-easy", 8, teacher(batch=batch)), tasks(8), strict=True
    ):
        assert calls(persistent) == calls(reset) and seen(persistent) == seen(reset)
        assert inputs_of(persistent) == task.reference["inputs"] and persistent.result["solved"]
        sizes = [sum(c[0] == "test_input" for c in turn) for turn in calls(persistent)]
        assert max(sizes) == batch[0]


@pytest.mark.parametrize(("size", "count"), [("pocket-easy", 30), ("easy", 6), ("hard", 1)])
@pytest.mark.parametrize("batch", [(1,), (2,)])
def test_one_call_a_turn_makes_the_same_calls(pool, play_script, size, count, batch):
    for seed, task in enumerate(tasks(count, size)):
        reset, react = (
            play_script(pool, task, style, teacher(batch=batch), seed=seed)
            for style in ("reset", REACT)
        )
        made = [call for turn in calls(reset) for call in turn]
        assert [turn for (turn,) in calls(react)] == made
        assert react.result == reset.result and react.finish_reason == "finish"


def test_the_styles_differ_in_how_state_is_carried(pairs):
    """A reset block stands alone: each one restates what it needs; a persistent one does not."""
    for persistent, reset in pairs("pocket-easy", 20, teacher()):
        later = list(zip(persistent.turns[1:-1], reset.turns[1:-1], strict=True))
        assert all(re.search(r"^\w+ = [\[{]", r.code, re.M) for _, r in later)
        assert not any(re.search(r"^\w+ = [\[{(\d]", p.code, re.M) for p, _ in later)
        assert sum(len(r.code) for _, r in later) > 5 * sum(len(p.code) for p, _ in later)


def test_what_a_reset_block_restates_was_printed_before_it_letter_by_letter(pairs):
    for _, reset in pairs("pocket-easy", 20, teacher()):
        shown = ""
        for turn in reset.turns:
            for name, literal in re.findall(r"^(\w+) = ([\[{(\d].*)$", turn.code, re.M):
                if turn is not reset.turns[0] and "for a in" not in literal:
                    assert f"\n{name} {literal}\n" in shown
            shown += f"\n{turn.observation}\n"


@pytest.mark.parametrize("style", STYLES)
def test_a_traces_code_needs_its_own_runtime_only_where_the_style_says(pool, play_script, style):
    task = tasks(1)[0]
    home = play_script(pool, task, style, teacher())
    other = "reset" if style == "persistent" else "persistent"
    world = FAMILY.world(task)
    with Interpreter(pool, persistence_named(other), world.tools, 1) as interpreter:
        errors = [interpreter.run(turn.code).error_type for turn in home.turns]
    if style == "reset":
        assert errors == [None] * len(errors) and world.result() == home.result
    else:
        assert errors[0] is None and set(errors[1:-1]) == {"NameError"}


# How good, how long, what goes wrong --------------------------------------------------------------


def test_episodes_are_long_enough_for_state_to_matter(pairs):
    turns = [len(p.turns) for p, _ in pairs("pocket-easy", 40, teacher(slips=0.3))]
    assert statistics.fmean(turns) >= PROFILE.gates.expert_turns == 6
    assert 2 * max(turns) <= PROFILE.limits.turns and len(set(turns)) >= 4


def test_submissions_are_refuted_by_a_later_test_and_another_is_made(pairs):
    refuted = 0
    for size in ("pocket-easy", "pocket-medium"):
        for _, episode in pairs(size, COUNTS[size], teacher(slips=0.3)):
            told = [saying(turn) for turn in episode.turns]
            submitted = [
                turn.tool_calls[0]["args"][0]
                for turn in episode.turns
                if not turn.slip and turn.tool_calls and turn.tool_calls[0]["name"] == "submit"
            ]
            assert len(set(submitted)) == len(submitted) == episode.result["submissions"]
            again = [line for line in told if line in SAYINGS["send again"]]
            assert len(again) >= len(submitted) - 1
            refuted += len(submitted) > 1
    assert refuted >= 6


def test_candidates_are_counted_while_they_are_many_and_listed_once_they_are_few(pairs):
    for persistent, _ in pairs("pocket-easy", 20, teacher()):
        names = NAMES[0] if "options" in persistent.turns[0].code else NAMES[1]
        text = "\n".join(t.observation or "" for t in persistent.turns)
        shown = re.findall(rf"^{names['tests']} .*\n.*\n.*\n{names['rules']} (.*)$", text, re.M)
        counts = [json.loads(re.sub(r"[()]", "", one)) for one in shown]
        assert all(isinstance(one, list) or one > FEW for one in counts)
        assert isinstance(counts[0], int) and len(counts[-1]) == 3  # one rule's three numbers


# Slips --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "count"), [("pocket-easy", 20), ("easy", 4)])
def test_every_slip_is_fixed_and_costs_neither_score_nor_test(pairs, size, count):
    for (persistent, reset), (clean, _) in zip(
        pairs(size, count, teacher(slips=1.0)), pairs(size, count, teacher()), strict=True
    ):
        for episode in (persistent, reset):
            slips = [k for k, t in enumerate(episode.turns) if t.slip]
            errors = [k for k, t in enumerate(episode.turns) if t.error_type]
            assert slips == errors and len(slips) == 1
            assert episode.turns[slips[0]].error_type == "NameError"
            assert episode.turns[slips[0]].tool_calls == []
            assert saying(episode.turns[slips[0] + 1]) in SAYINGS["mend"]
            assert len(episode.turns) == len(clean.turns) + 1
            assert (episode.finish_reason, episode.result) == ("finish", clean.result)


# Only what is shown -------------------------------------------------------------------------------


@pytest.mark.parametrize("style", [*STYLES, REACT])
@pytest.mark.parametrize("size", ["pocket-easy", "easy"])
def test_the_expert_reads_nothing_but_the_conversation(pool, play_script, size, style):
    """Given the recorded messages alone it says the same again."""
    for number, task in enumerate(tasks(3, size)):
        setting = teacher(slips=0.5)
        episode = play_script(pool, task, style, setting, seed=number)
        messages, expert = episode.messages(), FAMILY.expert(style, setting, number)
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


def test_an_episode_touches_only_the_agents_side_of_the_world(pool, play_script):
    task = tasks(1)[0]
    plain = play_script(pool, task, "reset", teacher())
    assert play_script(pool, task, "reset", teacher(), world=Watched) == plain


def test_output_that_was_cut_is_one_line(make_limits, play_script):
    with Pool(make_limits(output_chars=100)) as small, pytest.raises(UserError) as caught:
        for seed, task in enumerate(tasks(12)):
            play_script(small, task, "persistent", teacher(), seed=seed)
    assert "raise limits.output_chars" in one_line(caught)


# Variety ------------------------------------------------------------------------------------------


def test_variety_is_seeded_and_shared_by_the_pair(pairs):
    played = pairs("pocket-easy", 40, teacher(slips=0.3))
    used = set()
    for persistent, reset in played:
        assert [saying(t) for t in persistent.turns] == [saying(t) for t in reset.turns]
        names = [
            [n["rules"] for n in NAMES if re.search(rf"\b{n['rules']}\b", e.turns[0].code)]
            for e in (persistent, reset)
        ]
        assert names[0] == names[1] and len(names[0]) == 1
        used |= set(names[0])
    assert used == {n["rules"] for n in NAMES}
    assert {saying(t) for p, _ in played for t in p.turns} >= {*SAYINGS["setup"], *SAYINGS["look"]}


def test_no_name_of_a_vocabulary_hides_a_builtin_or_a_tool():
    taken = {*dir(builtins), *keyword.kwlist, *FAMILY.tools, "json", "a", "b", "m", "x", "y"}
    for names in NAMES:
        assert not taken & set(names.values()) and len(set(names.values())) == len(names)
    assert NAMES[0].keys() == NAMES[1].keys()


def test_the_same_seed_plays_the_same_episode_and_another_seed_another(pool, play_script):
    task = tasks(1)[0]
    lines = [play_script(pool, task, "reset", teacher(), seed=s).to_line() for s in (5, 5, 6, 7, 8)]
    assert lines[0] == lines[1] and len(set(lines)) >= 3


# The profile --------------------------------------------------------------------------------------


def test_the_pocket_profile_is_of_this_family_and_fits_a_tiny_model(play_script):
    assert PROFILE.family == "rule_diagnosis" and PROFILE.limits.turns >= 16
    chat, total = chat_tokenizer(PROFILE), {}
    with Pool(PROFILE.limits) as own:
        for style in (*STYLES, REACT):
            episodes = [
                play_script(own, task, style, PROFILE.teacher, seed=seed)
                for size in PROFILE.difficulties.values()
                for seed, task in enumerate(tasks(12, size))
            ]
            assert all(e.result["solved"] for e in episodes)
            total[style] = [chat.count(e.messages()) for e in episodes]
            assert max(total[style]) <= 3000
            assert max(len(chat.content(t.reply)) for e in episodes for t in e.turns) <= 350
    assert statistics.fmean(total["persistent"][:12]) <= 1200
    assert statistics.fmean(total["reset"][:12]) <= 2500


@pytest.mark.parametrize("style", ["stateful", "", "base"])
def test_an_unknown_style_lists_the_styles(style):
    with pytest.raises(UserError, match="persistent, reset"):
        ScriptedExpert(style, teacher(), 1)
