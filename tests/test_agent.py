"""The CodeAct loop: what each kind of reply leads to, how episodes end, and arms that differ by
persistence only."""

import json
from dataclasses import replace

import pytest

from knapsack_lib.agent import act, code_of
from knapsack_lib.families import family_named
from knapsack_lib.interpreter import Interpreter, Pool, persistence_named
from knapsack_lib.messages import Reply
from knapsack_lib.profiles import Cell, PromptOptions
from knapsack_lib.prompts import REFUSALS, SYSTEM, opening

BOTH = pytest.mark.parametrize("mode", ["persistent", "reset"])
KNAPSACK = family_named("knapsack")
TASK = KNAPSACK.make_task("pocket-easy", seed=1, split="agent", index=0)
FIRST = TASK.public["item_ids"][0]


def block(code):
    return Reply(f"I act.\n```python\n{code}\n```", prompt_tokens=5, completion_tokens=2)


def test_a_runtime_that_is_lost_is_not_announced_and_leaves_nothing(play):
    gone = replace(block("print(x)"), lost=True)
    episode, shown, _ = play(
        [block("x = 1"), gone, block("x = 2"), block("print(x)")], "persistent"
    )
    assert [turn.state_lost for turn in episode.turns] == [False, True, False, False]
    assert episode.turns[1].error_type == "NameError" and episode.turns[1].killed_by is None
    assert shown[2][-1]["content"] == "NameError: name 'x' is not defined (line 1)"
    assert episode.turns[3].stdout == "2\n"


@pytest.fixture
def losing_pool(make_limits):
    with Pool(make_limits(), after_kill="lose") as pool:
        yield pool


@pytest.fixture
def play(small_pool, plain_options):
    """Play replies in order; returns (episode, conversations as they were shown, turns as they were
    logged)."""

    def run(replies, mode="reset", *, turns=None, options=plain_options, pool=small_pool):
        world, shown, logged = KNAPSACK.world(TASK), [], []
        limits = pool.limits.model_copy(update={"turns": turns or len(replies)})
        with Interpreter(pool, persistence_named(mode), world.tools, 1) as interpreter:
            steps = act(
                TASK,
                world,
                interpreter,
                Cell("knapsack", "canned", mode, "easy"),
                limits,
                options,
                7,
                lambda n, t: logged.append((n, t)),
            )
            try:
                shown.append(next(steps))
                for reply in replies:
                    shown.append(steps.send(reply))
            except StopIteration as end:
                return end.value, shown, logged
        raise AssertionError("the episode continued after its last reply")

    return run


# Replies ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "stop", "status", "code"),
    [
        ("I look.\n```python\nx = 1\n```", "end", "code", "x = 1"),
        ("```py\nx = 1\n```", "end", "code", "x = 1"),
        ("```python\nx = 1\n\ny = 2\n```\nDone.", "end", "code", "x = 1\n\ny = 2"),
        ("```python\n```", "end", "code", ""),
        ("```json\n{}\n```\n```python\nx = 1\n```", "end", "code", "x = 1"),
        ("nothing", "end", "no_code", None),
        ("", "end", "no_code", None),
        ("```python\nx = 1", "end", "code", "x = 1"),  # the model ended it, and its block with it
        ("```python\nx = 1\n```\n```python\nx = 2\n```", "end", "several_blocks", None),
        ("```python\nx = 1\n```", "cut_off", "cut_off", None),
        ("```python\nx = 1", "cut_off", "cut_off", None),
        ("```python\nx = 1\n```", "context", "context", None),
    ],
)
def test_exactly_one_finished_python_block_is_run(text, stop, status, code):
    assert code_of(Reply(text, stop=stop)) == (status, code)


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (Reply("no block"), "no_code"),
        (Reply("```python\nfinish()\n```\n```python\nfinish()\n```"), "several_blocks"),
        (replace(block("finish()"), stop="cut_off"), "cut_off"),
    ],
)
@BOTH
def test_a_reply_that_cannot_be_run_is_answered_and_the_episode_continues(
    play, reply, status, mode
):
    episode, shown, _ = play(
        [block("x = 1"), reply, block("print('x' in globals())"), block("finish()")], mode
    )
    assert [t.parse_status for t in episode.turns] == ["code", status, "code", "code"]
    refused = episode.turns[1]
    assert (refused.code, refused.stdout, refused.tool_calls, refused.observation) == (
        None,
        "",
        [],
        REFUSALS[status],
    )
    assert shown[2][-1] == {"role": "user", "content": REFUSALS[status]}
    assert (
        episode.turns[2].stdout == f"{mode == 'persistent'}\n"
    )  # a reply that was not run costs no state
    assert episode.finish_reason == "finish"


def test_a_full_context_ends_the_episode_with_what_was_reached(play):
    take = block(f"inspect({FIRST!r})\ntake_item({FIRST!r})")
    episode, _, _ = play([take, Reply("```python\nfinish()\n```", stop="context")], turns=9)
    assert (episode.finish_reason, len(episode.turns), episode.turns[-1].parse_status) == (
        "context",
        2,
        "context",
    )
    assert (
        episode.result["value"] == TASK.private["items"][FIRST]["value"]
        and episode.turns[-1].observation is None
    )


@BOTH
def test_turns_run_out(play, mode):
    episode, shown, _ = play([block("print(1)")] * 3, mode)
    assert (episode.finish_reason, len(episode.turns), len(shown)) == ("max_turns", 3, 3)
    assert [t.observation for t in episode.turns] == ["1", "1", None]
    assert episode.result["score"] == 0.0


@BOTH
def test_finish_ends_the_episode_at_once(play, mode):
    episode, shown, _ = play([block("print(1)"), block("finish()\nprint(2)\n1 / 0")], mode, turns=9)
    assert (episode.finish_reason, len(episode.turns), len(shown)) == ("finish", 2, 2)
    assert (
        episode.turns[-1].observation is None
        and episode.turns[-1].error_type == "ZeroDivisionError"
    )


def test_finish_in_the_last_turn_counts_as_finish(play):
    assert play([block("x = 1"), block("finish()")])[0].finish_reason == "finish"


def test_a_kill_after_finish_still_finishes(play):
    assert play([block("import os\nfinish()\nos._exit(0)")], turns=3)[0].finish_reason == "finish"


# What is recorded ---------------------------------------------------------------------------------


@BOTH
def test_a_turn_records_what_the_code_did(play, mode):
    code = f"v = inspect({FIRST!r})\nprint(v)\ntry: take_item('nope')\nexcept ValueError: pass\nmissing"
    turn = play([replace(block(code), ids=(4, 5), slip=True)], mode)[0].turns[0]
    assert (turn.error_type, turn.error, turn.code, turn.reply_ids, turn.slip) == (
        "NameError",
        "name 'missing' is not defined",
        code,
        [4, 5],
        True,
    )
    assert [(c["name"], c["args"], c["error"] is None) for c in turn.tool_calls] == [
        ("inspect", [FIRST], True),
        ("take_item", ["nope"], False),
    ]
    assert json.loads(turn.stdout) == TASK.private["items"][FIRST]
    assert (turn.prompt_tokens, turn.completion_tokens, turn.bindings) == (
        5,
        2,
        ["v"] if mode == "persistent" else [],
    )


KILLED = [
    block("x = 1"),
    block("x = 2\nimport os\nos._exit(0)"),
    block("print(x)"),
    block("finish()"),
]


@BOTH
def test_the_agent_reads_of_a_kill_and_whether_its_variables_survived(play, mode):
    episode, shown, _ = play(KILLED, mode)
    turn, after = episode.turns[1:3]
    assert (turn.killed_by, turn.state_lost) == ("exit", False)
    assert turn.bindings == (["x"] if mode == "persistent" else [])
    assert ("All variables are as they were before it." in turn.observation) == (
        mode == "persistent"
    )
    assert "stopped" in shown[2][-1]["content"] and "lost" not in turn.observation
    assert (after.stdout, after.error_type) == (
        ("1\n", None) if mode == "persistent" else ("", "NameError")
    )


@BOTH
def test_the_agent_reads_that_a_kill_cost_it_its_variables(losing_pool, play, mode):
    episode, shown, _ = play(KILLED, mode, pool=losing_pool)
    turn, after = episode.turns[1:3]
    assert (turn.killed_by, turn.state_lost, turn.bindings) == ("exit", mode == "persistent", [])
    assert ("All variables are lost." in turn.observation) == (mode == "persistent")
    assert "stopped" in shown[2][-1]["content"] and "as they were" not in turn.observation
    assert after.error_type == "NameError"


def test_turns_are_handed_over_as_they_happen(play):
    episode, _, logged = play([block("print(1)"), Reply("x"), block("finish()")])
    assert logged == list(enumerate(episode.turns))


def test_the_conversation_shown_is_the_one_recorded(play):
    episode, shown, _ = play([block("print(1)"), Reply("x"), block("finish()")])
    assert shown[-1] == episode.messages()[:-1]
    for earlier, later in zip(shown, shown[1:], strict=False):
        assert later[: len(earlier)] == earlier  # nothing that was said is ever changed


def test_a_silent_block_is_answered_too(play):
    assert play([block("x = 1"), block("finish()")])[0].turns[0].observation == "(no output)"


# The arms -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("prompt", ["brief", "full"])
def test_without_a_cue_every_runtime_has_the_same_prompt(prompt, make_limits):
    facts = KNAPSACK.world(TASK).facts()
    options = PromptOptions(style=prompt, cue="none", list_bindings=False)
    persistent, reset = (
        opening(KNAPSACK, facts, mode, make_limits(), options) for mode in ("persistent", "reset")
    )
    assert persistent == reset and [m["role"] for m in reset] == ["system", "user"]


@pytest.mark.parametrize("prompt", ["brief", "full"])
def test_the_stated_cue_is_one_sentence_and_the_only_difference(prompt, make_limits):
    facts = KNAPSACK.world(TASK).facts()
    shown = {
        m: opening(
            KNAPSACK,
            facts,
            m,
            make_limits(),
            PromptOptions(style=prompt, cue="stated", list_bindings=False),
        )
        for m in ("persistent", "reset")
    }
    bare = opening(
        KNAPSACK,
        facts,
        "reset",
        make_limits(),
        PromptOptions(style=prompt, cue="none", list_bindings=False),
    )
    assert shown["persistent"][1] == shown["reset"][1] == bare[1]
    options = {m: shown[m][0]["content"].removeprefix(bare[0]["content"]) for m in shown}
    assert options["persistent"] != options["reset"]
    assert all(0 < len(c) < 120 and c.count(".") == 1 for c in options.values())


def test_for_the_same_blocks_the_arms_see_the_same_but_for_live_names(play):
    replies = [
        block("x = 1\nprint(x)"),
        Reply("none"),
        block("y = 2"),
        block("1 / 0"),
        block("finish()"),
    ]
    bare = [play(replies, mode)[1][-1] for mode in ("persistent", "reset")]
    assert bare[0] == bare[1]
    options = PromptOptions(style="brief", cue="none", list_bindings=True)
    listed = {
        mode: [
            m["content"] for m in play(replies, mode, options=options)[1][-1] if m["role"] == "user"
        ][1:]
        for mode in ("persistent", "reset")
    }
    assert [t.splitlines()[-1] for t in listed["persistent"]] == [
        "live names: x",
        "live names: x",
        "live names: x, y",
        "live names: x, y",
    ]
    assert [t.splitlines()[-1] for t in listed["reset"]] == ["live names: none"] * 4
    without = [[t.rsplit("\n", 1)[0] for t in texts] for texts in listed.values()]
    assert without[0] == without[1] == [m["content"] for m in bare[0] if m["role"] == "user"][1:]


def test_the_prompt_states_the_limits_that_hold(make_limits):
    facts = KNAPSACK.world(TASK).facts()
    for prompt in SYSTEM:
        text = opening(
            KNAPSACK,
            facts,
            "reset",
            make_limits(tool_calls=19),
            PromptOptions(style=prompt, cue="none", list_bindings=False),
        )
        assert "at most 19 tool calls" in text[0]["content"]
        assert (
            f"{facts['capacity']}" in text[1]["content"]
            and f"{facts['budget']}" in text[1]["content"]
        )
