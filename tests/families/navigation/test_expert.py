"""The scripted expert: one plan in three styles, with real dead ends, in traces that a small model can learn."""

import re
import statistics

import numpy as np
import pytest
from common import one_line

from families.navigation.plays import (
    BATCHES,
    FAMILY,
    PROFILE,
    STYLES,
    calls,
    play_calls,
    saying,
    seen,
    tasks,
    teacher,
)
from knapsack_lib.chat import chat_tokenizer
from knapsack_lib.errors import UserError
from knapsack_lib.families.navigation.expert import LOOK, NAMES, SAYINGS, first_step
from knapsack_lib.interpreter import Interpreter, Pool, persistence_named
from knapsack_lib.profiles import REACT, PromptOptions

COUNTS = {"easy": 8, "medium": 4, "pocket-easy": 60, "pocket-medium": 12}


# One plan -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("prompt", ["brief", "full"])
@pytest.mark.parametrize("size", BATCHES)
def test_both_styles_are_the_same_plan(pairs, size, prompt):
    options = PromptOptions(style=prompt, cue="none", list_bindings=False)
    count = COUNTS[size] // (1 if prompt == "brief" else 3)
    for persistent, reset in pairs(size, count, teacher(size, slips=0.3), options=options):
        assert calls(persistent) == calls(reset)
        assert seen(persistent) == seen(reset)
        assert persistent.result == reset.result
        assert [t.slip for t in persistent.turns] == [t.slip for t in reset.turns]
        assert persistent.finish_reason == reset.finish_reason == "finish"
        assert persistent.result["solved"]


def test_the_styles_differ_in_how_state_is_carried(pairs):
    """A reset block stands alone: after the first turn each one restates the map; a persistent one does not."""
    for persistent, reset in pairs("pocket-easy", 10, teacher()):
        later = list(zip(persistent.turns[1:], reset.turns[1:], strict=True))
        assert all(re.search(r"^\w+ = \{'", r.code, re.M) for _, r in later)
        assert not any("=" in p.code for p, _ in later)
        assert sum(len(r.code) for _, r in later) > 5 * sum(len(p.code) for p, _ in later)


@pytest.mark.parametrize("style", STYLES)
def test_a_traces_code_needs_its_own_runtime_only_where_the_style_says(pools, play_script, style):
    task = tasks(1)[0]
    home = play_script(pools["pocket-easy"], task, style, teacher())
    blocks = [t.code for t in home.turns]
    other = "reset" if style == "persistent" else "persistent"
    world = FAMILY.world(task)
    with Interpreter(pools["pocket-easy"], persistence_named(other), world.tools, 1) as interpreter:
        errors = [interpreter.run(block).error_type for block in blocks]
    if style == "reset":
        assert errors == [None] * len(blocks) and world.result() == home.result
    else:
        assert errors[0] is None and set(errors[1:]) == {"NameError"}


def test_episodes_are_long_enough_for_state_to_matter(pairs):
    played = [persistent for persistent, _ in pairs("pocket-easy", 20, PROFILE.teacher)]
    assert statistics.fmean(len(e.turns) for e in played) >= PROFILE.gates.expert_turns
    assert max(len(e.turns) for e in played) <= 16 < PROFILE.limits.turns
    assert all(len(t.tool_calls) <= 4 for e in played for t in e.turns)


def test_dead_ends_are_met_and_come_back_from(pairs):
    """A walk of more than one step is a way back: the nodes in it have been visited."""
    back = 0
    for persistent, _ in pairs("pocket-easy", 20, teacher()):
        visited = {persistent.opening[1]["content"].split("'")[1]}
        for turn in persistent.turns:
            moves = [c["args"][0] for c in turn.tool_calls if c["name"] == "move"]
            back += len(moves) > 1
            assert visited.issuperset(moves[:-1])
            # New, or as far as the tool calls of a turn go
            assert not visited.intersection(moves[-1:]) or len(moves) == 3
            visited.update(moves)
            assert (saying(turn) in SAYINGS["back"]) == (len(moves) > 1)
        assert persistent.result["solved"]
    assert back >= 5


def test_a_way_that_is_too_long_for_a_turn_is_walked_in_parts(play_script, make_limits):
    """With two tool calls a turn it is one step and a scan, whatever the batch."""
    with Pool(make_limits(turns=40, tool_calls=2)) as pool:
        for number, task in enumerate(tasks(8)):
            played = [
                play_script(pool, task, s, teacher("easy"), seed=100 + number) for s in STYLES
            ]
            assert calls(played[0]) == calls(played[1]) and played[0].result["solved"]
            assert max(len(t.tool_calls) for t in played[0].turns) == 2


def test_one_tool_call_a_turn_is_too_few_for_code(play_script, make_limits):
    with Pool(make_limits(tool_calls=1)) as pool, pytest.raises(UserError) as caught:
        play_script(pool, tasks(1)[0], "reset", teacher())
    assert "raise limits.tool_calls to 2" in one_line(caught)


def test_the_way_in_code_and_the_way_in_calls_begin_with_the_same_step():
    rng = np.random.Generator(np.random.PCG64(3))
    compared = 0
    for _ in range(400):
        nodes = [f"n{k}" for k in range(9)]
        known = {
            node: [other for other in nodes if rng.random() < 0.25 and other != node]
            for node in nodes[:6]
        }
        scope = {"at": "n0", "end": "none", "seen": known}
        code = re.sub(r"\$(\w+)", lambda m: NAMES[0].get(m[1], m[0]), LOOK)
        exec(code, scope)
        way = scope["look"]()
        if way is None:  # everything within reach was scanned
            with pytest.raises(ValueError, match="every node"):
                first_step(known, "n0")
        else:
            compared += 1
            assert way[0] == first_step(known, "n0") and way[-1] not in known
            assert all(b in known[a] for a, b in zip(["n0", *way], way, strict=False))
    assert compared > 300


# One tool call a turn -----------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "prompt"), [("pocket-easy", "brief"), ("easy", "full")])
def test_the_plan_in_calls_finds_the_goal(make_limits, size, prompt):
    options = PromptOptions(style=prompt, cue="none", list_bindings=False)
    limits = make_limits(turns=PROFILE.limits.turns if size == "pocket-easy" else 90)
    played = [play_calls(t, limits, options, teacher(), i) for i, t in enumerate(tasks(60, size))]
    assert all(e.finish_reason == "finish" and e.result["solved"] for e in played)
    for episode in played:
        assert all(len(t.tool_calls) == 1 and not t.tool_calls[0]["error"] for t in episode.turns)
        # It never looks twice at the same place
        assert episode.result["scans"] == episode.result["nodes_visited"] - 1


def test_all_three_styles_walk_the_same_way(pairs, make_limits, plain_options):
    def walked(episode):
        made = [call for turn in episode.turns for call in turn.tool_calls]
        return [call["args"] for call in made if call["name"] == "move"]

    played = pairs("pocket-easy", 12, teacher())
    for number, (task, (persistent, reset)) in enumerate(zip(tasks(12), played, strict=True)):
        in_calls = play_calls(task, make_limits(turns=40), plain_options, teacher(), number)
        assert walked(persistent) == walked(reset) == walked(in_calls) != []


def test_the_plan_is_good(make_limits, plain_options):
    limits = make_limits(turns=PROFILE.limits.turns)
    played = [play_calls(t, limits, plain_options, teacher(), i) for i, t in enumerate(tasks(400))]
    scores = [e.result["score"] for e in played]
    assert statistics.fmean(scores) >= 0.8
    assert statistics.fmean(e.result["solved"] for e in played) >= 0.99
    assert statistics.fmean(score == 1 for score in scores) < 0.6  # and has to look for the way


# The pocket profile -------------------------------------------------------------------------------


def test_the_pocket_profiles_traces_fit_a_small_model(play_script):
    """Means of a few tasks; docs/families/navigation.md has those of many."""
    chat = chat_tokenizer(PROFILE)
    counted = {style: [] for style in (*STYLES, REACT)}
    replies = []
    size = PROFILE.difficulties["easy"]
    with Pool(PROFILE.limits) as pool:
        for number, task in enumerate(tasks(12, size, seed=PROFILE.seed)):
            for style in counted:
                if style == REACT:
                    options = PROFILE.prompt
                    episode = play_calls(task, PROFILE.limits, options, PROFILE.teacher, number)
                else:
                    episode = play_script(pool, task, style, PROFILE.teacher, seed=number)
                assert episode.finish_reason == "finish"
                last = episode.turns[-1].reply
                whole = len(chat.prompt(episode.messages()[:-1])) + len(chat.content(last))
                counted[style].append(whole)
                replies += [len(chat.content(turn.reply)) for turn in episode.turns]
    means = {style: statistics.fmean(found) for style, found in counted.items()}
    assert means["persistent"] <= 1200 and means["reset"] <= 2500 and means[REACT] <= 1200
    assert max(map(max, counted.values())) <= 3000 and max(replies) <= 350
