"""The expert's traces: slips that are mended, nothing but what was shown, seeded variety."""

import pytest

from families.navigation.plays import STYLES, play_calls, saying, tasks, teacher
from knapsack_lib.families.navigation.expert import NAMES, SAYINGS, CallingExpert, ScriptedExpert

# Slips --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", ["pocket-easy", "easy"])
def test_every_slip_is_fixed_and_costs_no_score(pairs, size):
    count = 16 if size == "pocket-easy" else 4
    for (persistent, reset), (clean, _) in zip(
        pairs(size, count, teacher(size, slips=1.0)), pairs(size, count, teacher(size)), strict=True
    ):
        for episode in (persistent, reset):
            slips = [k for k, t in enumerate(episode.turns) if t.slip]
            errors = [k for k, t in enumerate(episode.turns) if t.error_type]
            assert slips == errors == [1] and episode.turns[1].error_type == "NameError"
            assert saying(episode.turns[2]) in SAYINGS["mend"]
            assert len(episode.turns) == len(clean.turns) + 1
            assert (episode.finish_reason, episode.result) == ("finish", clean.result)


# Only what is shown -------------------------------------------------------------------------------


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("size", ["pocket-easy", "easy"])
def test_the_expert_reads_nothing_but_the_conversation(pools, play_script, size, style):
    """Given the recorded messages alone, with no task, no world and no interpreter, it says the same again."""
    for number, task in enumerate(tasks(4, size)):
        setting = teacher(size, slips=0.5)
        episode = play_script(pools[size], task, style, setting, seed=number)
        messages, expert = episode.messages(), ScriptedExpert(style, setting, number)
        for place, message in enumerate(messages):
            if message["role"] == "assistant":
                assert expert.reply(messages[:place]).text == message["content"]


def test_the_calling_expert_reads_nothing_but_the_conversation(make_limits, plain_options):
    episode = play_calls(tasks(1)[0], make_limits(turns=32), plain_options, teacher(), 7)
    messages, expert = episode.messages(), CallingExpert(teacher(), 7)
    for place, message in enumerate(messages):
        if message["role"] == "assistant":
            assert expert.reply(messages[:place]).text == message["content"]


def test_no_node_is_walked_to_that_was_not_shown_before(pairs):
    for persistent, _ in pairs("pocket-easy", 10, teacher()):
        shown = persistent.opening[1]["content"]
        for turn in persistent.turns:
            before = shown + " ".join(str(c["result"]) for c in turn.tool_calls)
            assert all(c["args"][0] in before for c in turn.tool_calls if c["name"] == "move")
            shown += turn.observation or ""


# Variety ------------------------------------------------------------------------------------------


def test_variety_is_seeded_and_shared_by_the_pair(pairs):
    played = pairs("pocket-easy", 20, teacher(slips=0.2))
    for persistent, reset in played:
        assert [saying(t) for t in persistent.turns] == [saying(t) for t in reset.turns]
        first = [e.turns[0].code.split(" = ")[0] for e in (persistent, reset)]
        assert first[0] == first[1]
    assert {saying(p.turns[0]) for p, _ in played} == set(SAYINGS["setup"])
    assert {p.turns[0].code.split(" = ")[0] for p, _ in played} == {n["here"] for n in NAMES}


def test_the_same_seed_plays_the_same_episode_and_another_seed_another(pools, play_script):
    lines = [
        play_script(pools["pocket-easy"], tasks(1)[0], "reset", teacher(), seed=s).to_line()
        for s in (5, 5, 6, 7, 8)
    ]
    assert lines[0] == lines[1] and len(set(lines)) >= 3
