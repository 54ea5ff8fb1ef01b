"""Blocks run again in either runtime: what is as recorded, and why something is not."""

from dataclasses import replace

import pytest
from made import tasks

from knapsack_lib.audit.replay import LIMITS, replay_report, replayed
from knapsack_lib.interpreter import Pool
from tests.audit.traces import pair, recorded


@pytest.fixture(scope="module")
def pool():
    with Pool(LIMITS, after_kill="lose") as opened:
        yield opened


def why(transcript, pool, runtime="persistent", **more):
    found = replayed(transcript, runtime, pool, **more).why
    return found and (found.kind, found.block)


def test_an_episode_runs_again_in_its_own_runtime_and_misses_a_name_in_the_other(pool, pocket):
    task = tasks(1, seed=2)[0]
    found = pair(pool, pocket, task)
    (_, persistent), (_, reset) = found["persistent"], found["reset"]
    assert why(persistent, pool) is None and why(reset, pool, "reset") is None
    assert why(reset, pool, "persistent") is None
    elsewhere = replayed(persistent, "reset", pool)
    assert elsewhere.why.kind == "name" and elsewhere.why.block == 2
    assert elsewhere.missing in persistent.steps[1].code and len(elsewhere.seen) == 2


def test_the_real_world_and_the_recorded_answers_lead_to_the_same(pool, pocket):
    for number, task in enumerate(tasks(4, seed=2)):
        _, transcript = pair(pool, pocket, task, seed=number)["persistent"]
        by_record, by_world = (
            replayed(transcript, "persistent", pool, one) for one in (None, task)
        )
        assert by_record.why is None and by_world.why is None
        assert [s.tool_calls for s in by_record.seen] == [s.tool_calls for s in by_world.seen]
        assert [s.stdout for s in by_record.seen] == [s.stdout for s in by_world.seen]


def test_what_a_tool_refused_is_refused_again(pool):
    transcript = recorded(
        pool,
        "try:\n    inspect('a', 'b')\nexcept TypeError as error:\n    print(error)",
        "print(inspect('a'))",
    )
    assert "2" in transcript.steps[0].stdout and transcript.steps[0].calls[0]["error"]
    assert why(transcript, pool) is None


def test_a_call_that_is_not_in_the_record_ends_the_replay(pool):
    transcript = recorded(pool, "print(inspect('a'))", "print(inspect('b'))", "print(1)")
    other = replace(transcript.steps[1], code="print(inspect('c'))")
    changed = replace(transcript, steps=(transcript.steps[0], other, transcript.steps[2]))
    found = replayed(changed, "persistent", pool)
    assert len(found.seen) == 2 and found.why.block == 2
    fewer = replace(transcript.steps[1], code="print(['b', 1])")
    changed = replace(transcript, steps=(transcript.steps[0], fewer, transcript.steps[2]))
    assert why(changed, pool) == ("call", 2)
    more = replace(transcript.steps[0], code="print(inspect('a'))\ntry: inspect('z')\nexcept: pass")
    assert why(replace(transcript, steps=(more,)), pool) == ("call", 1)


@pytest.mark.parametrize(
    ("block", "kind"),
    [
        ("import numpy\nprint(1)", "package"),
        ("import time\nprint(time.perf_counter())", "chance"),
        ("print('another')", "print"),
        ("x = 1 / 0", "error"),
        ("print(nobody)", "name"),
        ("print(search('x'))", "tool"),
        ("while True: pass", "stopped"),
    ],
)
def test_a_reason_is_given_for_what_cannot_be_run_again(block, kind, make_limits):
    with Pool(make_limits(cpu_seconds=1), after_kill="lose") as pool:
        transcript = recorded(pool, "print(1)", "print('recorded')", tools={})
        steps = (transcript.steps[0], replace(transcript.steps[1], code=block))
        transcript = replace(transcript, steps=steps, provided=frozenset({"search"}))
        assert why(transcript, pool) == (kind, 2)


def test_an_observation_of_another_harness_is_compared_but_for_what_stands_around_it(pool):
    step = recorded(pool, "print(6)\n7").steps[0]
    said = (
        "Observation:\n6\nOut[1]: 7\nYou have 4 steps left and 2 chances to propose solution left."
    )
    shown = replace(step, stdout=None, calls=None, observation=said)
    transcript = replace(recorded(pool, "1"), steps=(shown,))
    assert why(transcript, pool) is None
    other = replace(shown, observation=said.replace("6", "8"))
    assert why(replace(transcript, steps=(other,)), pool) == ("print", 1)


@pytest.mark.parametrize(
    ("block", "kind", "same"),
    [
        ("class Own(Exception): pass\nraise Own('no')", "Own", True),
        ("import json\njson.loads('x')", "JSONDecodeError", True),
        ("int('x')", "ValueError", True),
        ("int('x')", "TypeError", False),
        ("raise Exception('no')", "TypeError", False),
    ],
)
def test_errors_that_a_text_names_are_compared_by_their_kind(pool, block, kind, same):
    shown = replace(
        recorded(pool, "1").steps[0],
        code=block,
        stdout=None,
        calls=None,
        observation=f"Traceback (most recent call last)\n{kind}: in other words",
        error_type=kind,
        error="in other words",
    )
    transcript = replace(recorded(pool, "1"), steps=(shown,))
    assert why(transcript, pool) == (None if same else ("error", 1))


def test_a_last_block_whose_outcome_nobody_knows_is_no_difference(pool):
    transcript = recorded(pool, "x = 1", "print(x)")
    last = replace(transcript.steps[1], stdout=None, observation="", calls=None)
    transcript = replace(transcript, steps=(transcript.steps[0], last))
    assert why(transcript, pool) is None
    persistent, reset = replay_report([transcript])
    assert persistent.replayable == 1 and reset.reasons == {"name": 1}


def test_the_report_counts_each_runtime_and_shows_the_first_of_each_reason(pool):
    leans = recorded(pool, "x = 1", "print(x)")
    stands = recorded(pool, "print(1)", "y = 2\nprint(y)")
    empty = replace(stands, steps=())
    done = []
    persistent, reset = replay_report(iter([leans, stands, empty, leans]), show=done.append)
    assert (persistent.episodes, persistent.replayable) == (3, 3)
    assert (reset.episodes, reset.replayable, reset.reasons) == (3, 1, {"name": 2})
    assert reset.examples["name"] == ("here", "block 2 misses x") and done == [1, 2, 3, 4]
    assert "1 of 3" in reset.lines()[0] and "block 2 misses x" in reset.lines()[1]
