"""What the agent reads after its block, word for word."""

import pytest

from knapsack_lib.families.base import ToolError
from knapsack_lib.families.knapsack import FAMILY
from knapsack_lib.interpreter import Interpreter, Observation, Pool, persistence_named
from knapsack_lib.profiles import Limits, PromptOptions
from knapsack_lib.prompts import KILLS, observation_text, opening, refusal_text

BRIEF = PromptOptions(style="brief", cue="none", list_bindings=False)
FULL = PromptOptions(style="full", cue="none", list_bindings=False)
LISTED = PromptOptions(style="brief", cue="none", list_bindings=True)
BOTH = pytest.mark.parametrize("options", [BRIEF, FULL], ids=["brief", "full"])
ERROR = {
    "error_type": "ZeroDivisionError",
    "error": "division by zero",
    "line": 2,
    "traceback": 'Traceback (most recent call last):\n  File "<block 4>", line 2, in <module>\n    1 / 0\n'
    "ZeroDivisionError: division by zero\n",
}


@BOTH
def test_output_is_shown_as_it_is_and_silence_is_named(options):
    assert observation_text(Observation("a\n\nb\n"), options) == "a\n\nb"
    assert (
        observation_text(Observation(""), options)
        == observation_text(Observation("\n"), options)
        == "(no output)"
    )


def test_a_brief_prompt_has_an_error_on_one_line_and_a_full_one_its_traceback():
    seen = Observation("out\n", **ERROR)
    assert observation_text(seen, BRIEF) == "out\nZeroDivisionError: division by zero (line 2)"
    assert observation_text(seen, FULL) == "out\n" + ERROR["traceback"].rstrip("\n")
    nowhere = Observation("", **{**ERROR, "line": None})
    assert observation_text(nowhere, BRIEF) == "ZeroDivisionError: division by zero"


@pytest.mark.parametrize("reason", KILLS)
@BOTH
def test_a_kill_is_shown_with_its_reason_and_whether_the_variables_survived(options, reason):
    stopped = f"out\nThe block was stopped: {KILLS[reason]}."
    shown = {
        "": Observation("out\n", killed_by=reason),
        " All variables are lost.": Observation("out\n", killed_by=reason, state_lost=True),
        " All variables are as they were before it.": Observation(
            "out\n", killed_by=reason, restored=True
        ),
    }
    for words, seen in shown.items():
        assert observation_text(seen, options) == stopped + words


@pytest.mark.parametrize("mode", ["persistent", "reset", "functions", "data", "ttl:2"])
@pytest.mark.parametrize("after_kill", ["restore", "lose"])
def test_after_a_kill_the_tool_calls_that_stand_are_counted_alike_in_every_mode(mode, after_kill):
    """What a block did to the world is not undone with its variables: who is not told pays twice."""

    def pay(amount):
        if amount > 9:
            raise ToolError("ValueError", "more than there is")
        return amount

    limits = Limits(
        turns=9, tool_calls=9, wall_seconds=9, cpu_seconds=9, memory_mb=256, output_chars=999
    )
    stop = "\nimport os\nos._exit(1)"
    blocks = {
        "pay(1)\npay(2)\ntry: pay(10)\nexcept ValueError: pass" + stop: " Its 2 tool calls stand.",
        "pay(1)" + stop: " Its 1 tool call stands.",
        "try: pay(10)\nexcept ValueError: pass" + stop: "",
        "x = 1" + stop: "",
    }
    with (
        Pool(limits, after_kill=after_kill) as pool,
        Interpreter(pool, persistence_named(mode), {"pay": pay}, seed=1) as interpreter,
    ):
        for block, stands in blocks.items():
            interpreter.run("x = 1")
            for options in (BRIEF, FULL):
                seen = interpreter.run(block)
                lost = {"restore": "as they were before it", "lose": "lost"}[after_kill]
                state = "" if mode == "reset" else f" All variables are {lost}."
                words = f"The block was stopped: {KILLS['exit']}.{state}{stands}"
                assert observation_text(seen, options) == words
                interpreter.run("x = 1")


def test_every_reason_has_its_own_words_and_signals_keep_their_number():
    assert set(KILLS) == {"time", "cpu", "output", "tool calls", "protocol", "exit"}
    assert len(set(KILLS.values())) == len(KILLS) and "processor time" in KILLS["cpu"]
    assert (
        observation_text(Observation("", killed_by="signal 11"), BRIEF)
        == "The block was stopped: signal 11."
    )


@BOTH
def test_a_shadowed_tool_is_noted(options):
    note = "note: {0} is something of your own now and hides the tool of that name"
    assert observation_text(
        Observation("1\n", shadowed=("finish",)), options
    ) == "1\n" + note.format("finish")
    both = observation_text(Observation("", shadowed=("inspect", "finish")), options)
    assert both.split("\n") == ["(no output)", note.format("inspect"), note.format("finish")]


def test_live_names_come_last_and_only_where_they_are_listed():
    seen = Observation("1\n", bindings=("x", "finish"), shadowed=("finish",))
    assert observation_text(seen, LISTED).split("\n")[2] == "live names: x, finish"
    assert "live names" not in observation_text(seen, BRIEF) + observation_text(seen, FULL)
    assert observation_text(Observation(""), LISTED) == "(no output)\nlive names: none"
    assert refusal_text("no_code", ("x",), LISTED).endswith("\nlive names: x")
    assert "live names" not in refusal_text("no_code", ("x",), BRIEF)


@pytest.mark.parametrize("runtime", ["persistent", "reset", "functions", "data", "ttl:2"])
def test_packages_are_told_in_one_sentence_and_nothing_else_changes(runtime, make_limits):
    facts = FAMILY.world(FAMILY.make_task("pocket-easy", seed=5, split="easy", index=0)).facts()
    told = {
        BRIEF: ("", " Beside the standard library you can import: numpy, scipy."),
        FULL: (
            "Only the Python standard library is available;",
            "Only the Python standard library and these packages (numpy, scipy) are available;",
        ),
    }
    for options, (without, sentence) in told.items():
        bare = opening(FAMILY, facts, runtime, make_limits(), options)
        shown = opening(FAMILY, facts, runtime, make_limits(), options, ("numpy", "scipy"))
        assert shown[1] == bare[1] and sentence in shown[0]["content"]
        assert shown[0]["content"].replace(sentence, without) == bare[0]["content"]
        assert without in bare[0]["content"] and "numpy" not in bare[0]["content"]
