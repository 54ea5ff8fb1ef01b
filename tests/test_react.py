"""The ReAct arm: which part of a reply is its tool call, what comes of the call, and that everything
else of an episode is as in the other arms."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made import tasks

from knapsack_lib.agent import act
from knapsack_lib.episodes import Episode
from knapsack_lib.families import family_named
from knapsack_lib.interpreter import Pool
from knapsack_lib.messages import Reply
from knapsack_lib.profiles import REACT, Cell, PromptOptions, Teacher, load_profile
from knapsack_lib.prompts import opening
from knapsack_lib.react import ToolCaller, the_call

KNAPSACK = family_named("knapsack")
CELL = Cell("knapsack", REACT, REACT, "easy")
TEACHER = Teacher(policy="scripted", slip_share=0, batch_sizes=(2,), style_variants=1)
CALL = '{"tool": "inspect", "args": ["BaDe"]}'
ROOMY = {"turns": 40}


def block(text, tag="json"):
    return f"I look.\n```{tag}\n{text}\n```"


def play(replies, limits, options):
    """The episode of a first task in which these texts are said, and its world."""
    (task,) = tasks(1)
    world = KNAPSACK.world(task)
    steps = act(task, world, ToolCaller(world.tools, limits), CELL, limits, options, 1)
    next(steps)
    try:
        for text in replies:
            steps.send(Reply(text))
    except StopIteration as end:
        return end.value, world
    raise AssertionError("the episode goes on")


# Which part of a reply is the call ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (block(CALL), "tool_calls"),
        (block(CALL, ""), "tool_calls"),
        (block(CALL, "JSON"), "tool_calls"),
        (f"<think>\n{block('[]')}\n</think>\n{block(CALL)}", "tool_calls"),
        (block("print(1)", "python") + "\n" + block(CALL), "tool_calls"),
        (f"I look.\n```json\n{CALL}", "tool_calls"),
        (CALL, "no_call"),
        (block("print(1)", "python"), "no_call"),
        (block(CALL) + "\n" + block(CALL), "several_calls"),
        (block(CALL[:-1]), "bad_call"),
        (block("[1]"), "bad_call"),
        (block('{"tool": "inspect"}'), "bad_call"),
        (block('{"tool": "inspect", "args": {"item": "BaDe"}}'), "bad_call"),
        (block('{"tool": 3, "args": []}'), "bad_call"),
        (block('{"tool": "inspect", "args": [], "why": ""}'), "bad_call"),
        (block('{"tool": "inspect", "args": [NaN]}'), "bad_call"),
        (block('{"tool": "inspect", "args": [' + "9" * 5000 + "]}"), "bad_call"),
    ],
)
def test_the_one_json_block_of_a_reply_is_its_call(reply, status):
    found, call = the_call(reply)
    assert found == status and (call is not None) == (status == "tool_calls")
    if call:
        assert call == json.loads(CALL)


def test_halves_of_characters_do_not_get_further(make_limits):
    _, call = the_call(block(r'{"tool": "inspect", "args": ["\ud800"]}'))
    assert call["args"] == ["?"]


# What comes of it -----------------------------------------------------------------------------------


def test_a_text_is_shown_as_it_is_and_any_other_answer_as_json(make_limits):
    tools = {"text": lambda: "a b", "none": lambda: None, "numbers": lambda: [1, 2.5]}
    caller = ToolCaller(tools, make_limits())
    shown = [caller.run({"tool": name, "args": []}).stdout for name in tools]
    assert shown == ["[text]\na b", "[none]\nnull", "[numbers]\n[1, 2.5]"]


def test_a_refusal_is_shown_and_recorded_and_is_no_error_of_code(make_limits):
    (task,) = tasks(1)
    caller = ToolCaller(KNAPSACK.world(task).tools, make_limits())
    for call, shown in {
        ("inspect", "zz"): "[inspect]\nValueError: no item 'zz'",
        ("inspect",): "[inspect]\nTypeError: inspect() takes 1 arguments, got 0",
        (
            "look",
            1,
        ): "[look]\nValueError: there is no such tool; the tools are: list_items, inspect, take_item, finish",
    }.items():
        seen = caller.run({"tool": call[0], "args": list(call[1:])})
        assert seen.stdout == shown and seen.error_type is None
        (made,) = seen.tool_calls
        assert (made.name, made.args, made.error) == (
            call[0],
            list(call[1:]),
            shown.split("]\n")[1],
        )


@settings(max_examples=300, deadline=None)
@given(
    name=st.text(max_size=90),
    args=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=30),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
        max_leaves=20,
    ),
)
def test_whatever_is_called_is_answered_within_the_limits(name, args):
    limits = load_profile("pocket").limits
    (task,) = tasks(1)
    world = KNAPSACK.world(task)
    caller = ToolCaller(world.tools, limits)
    for tool in (name, "inspect", "take_item"):
        seen = caller.run({"tool": tool, "args": args if isinstance(args, list) else [args]})
        assert len(seen.stdout) < limits.output_chars + 60
        json.dumps([vars(call) for call in seen.tool_calls])
    assert world.result()["items_taken"] <= 1


def test_arguments_without_end_are_refused_and_not_recorded(make_limits):
    """Some Pythons read them as JSON, others do not."""
    caller = ToolCaller(KNAPSACK.world(tasks(1)[0]).tools, make_limits())
    status, call = the_call(block('{"tool": "inspect", "args": ' + "[" * 9000 + "]" * 9000 + "}"))
    assert status == ("bad_call" if call is None else "tool_calls")
    if call is not None:
        assert "may nest 20 deep" in caller.run(call).stdout
    seen = caller.run({"tool": "inspect", "args": [[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]})
    assert "may nest 20 deep" in seen.stdout and seen.tool_calls[0].args == []


def test_a_long_answer_is_cut_as_output_is(make_limits):
    seen = ToolCaller({"long": lambda: "x" * 9000}, make_limits(output_chars=200)).run(
        {"tool": "long", "args": []}
    )
    assert seen.stdout == "[long]\n" + "x" * 193 + "\n[output cut at 200 characters]"


# An episode -----------------------------------------------------------------------------------------


def test_the_expert_plays_whole_episodes_one_call_a_turn(make_limits, plain_options, play_script):
    with Pool(make_limits(**ROOMY)) as pool:
        for number, task in enumerate(tasks(12, seed=4)):
            episode = play_script(pool, task, REACT, TEACHER, seed=number)
            assert episode.finish_reason == "finish" and episode.result["score"] > 0.3
            assert all(
                t.parse_status == "tool_calls" and t.code is None and len(t.tool_calls) == 1
                for t in episode.turns
            )
            assert not any(t.bindings or t.error_type for t in episode.turns)
            assert Episode.from_line(episode.to_line()) == episode


def test_the_expert_takes_what_its_plan_in_code_takes(make_limits, play_script):
    """The same rule in both agents: what differs is how it is carried out."""
    with Pool(make_limits(**ROOMY)) as pool:
        for number, task in enumerate(tasks(15, seed=6)):
            code, calls = (
                play_script(pool, task, style, TEACHER, seed=number) for style in ("reset", REACT)
            )
            assert code.result == calls.result

            def made(episode):
                return [(c["name"], c["args"]) for t in episode.turns for c in t.tool_calls]

            kinds = ("take_item", "finish")
            assert [c for c in made(code) if c[0] in kinds] == [
                c for c in made(calls) if c[0] in kinds
            ]


def test_a_reply_without_a_call_is_refused_in_its_own_words(make_limits, plain_options):
    said = [
        "I wait.",
        block("print(1)", "python"),
        block("[]"),
        block('{"tool": "finish", "args": []}'),
    ]
    episode, world = play(said, make_limits(), plain_options)
    assert [t.parse_status for t in episode.turns] == [
        "no_call",
        "no_call",
        "bad_call",
        "tool_calls",
    ]
    assert all("json block" in t.observation for t in episode.turns[:3])
    assert world.done and episode.finish_reason == "finish"


def test_a_cut_off_reply_calls_nothing(make_limits, plain_options):
    (task,) = tasks(1)
    world, limits = KNAPSACK.world(task), make_limits(turns=1)
    steps = act(task, world, ToolCaller(world.tools, limits), CELL, limits, plain_options, 1)
    next(steps)
    with pytest.raises(StopIteration) as end:
        steps.send(Reply(block('{"tool": "finish", "args": []}'), stop="cut_off"))
    assert end.value.value.turns[0].parse_status == "cut_off" and not world.done


def test_no_names_are_listed_where_there_are_none(make_limits):
    listing = PromptOptions(style="brief", cue="stated", list_bindings=True)
    episode, _ = play(
        [block(CALL), block('{"tool": "finish", "args": []}')], make_limits(), listing
    )
    assert "live names" not in str(episode.messages())


@pytest.mark.parametrize("style", ["brief", "full"])
@pytest.mark.parametrize("cue", ["none", "stated"])
def test_the_prompt_tells_of_calls_and_of_nothing_that_only_an_interpreter_has(
    make_limits, style, cue
):
    (task,) = tasks(1)
    options = PromptOptions(style=style, cue=cue, list_bindings=False)
    facts = KNAPSACK.world(task).facts()
    react, code = (
        opening(KNAPSACK, facts, runtime, make_limits(), options) for runtime in (REACT, "reset")
    )
    assert react[1] == code[1], "the task is told in the same words"
    assert "json" in react[0]["content"] and '{"tool"' in react[0]["content"]
    assert "python" not in react[0]["content"].lower() and "block starts afresh" not in str(react)
    assert KNAPSACK.tools_text[style] in react[0]["content"]


# The study ------------------------------------------------------------------------------------------


def test_the_arm_is_in_the_graph_where_the_profile_asks_for_it():
    without, with_it = load_profile("pocket"), load_profile("pocket-react")
    assert not any(REACT in (c.train, c.runtime) for c in without.cells())
    more = [c for c in with_it.cells() if REACT in (c.train, c.runtime)]
    assert {(c.train, c.runtime, c.difficulty) for c in more} == {
        (REACT, REACT, size) for size in ("easy", "medium")
    }
    assert [c.train for c in with_it.adapters()] == ["persistent", "reset", REACT]
    assert [c.runtime for c in with_it.teachers()] == ["persistent", "reset", REACT]


def test_the_base_plays_where_the_profile_asks_for_it():
    profile = load_profile("pocket-react")
    with_base = profile.model_copy(update={"untrained": True})
    more = set(with_base.cells()) - set(profile.cells())
    assert len(profile.cells()) == 10 and len(more) == 6
    assert {(c.train, c.runtime) for c in more} == {
        ("base", runtime) for runtime in ("persistent", "reset", REACT)
    }
