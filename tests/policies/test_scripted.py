"""The scripted policy: it counts what every turn's conversation holds."""

import pytest
from made import tasks

from knapsack_lib.agent import act
from knapsack_lib.families import family_named
from knapsack_lib.interpreter import Interpreter, persistence_named
from knapsack_lib.policies import Rollout
from knapsack_lib.policies.scripted import ScriptedPolicy
from knapsack_lib.profiles import Cell


def words(messages):
    return sum(len(m["content"].split()) for m in messages)


@pytest.fixture
def played(small_pool, plain_options, pocket):
    """An episode of the scripted teacher with its tokens counted by `count`."""

    def play(count):
        (task,) = tasks(1)
        world, cell = (
            family_named("knapsack").world(task),
            Cell("knapsack", "teacher", "reset", "easy"),
        )
        with Interpreter(small_pool, persistence_named("reset"), world.tools, 1) as interpreter:
            steps = act(task, world, interpreter, cell, small_pool.limits, plain_options, 4)
            policy = ScriptedPolicy("knapsack", "reset", pocket.teacher, count)
            [(_, episode)] = policy.play([Rollout(task.task_id, 4, steps)])
        return episode

    return play


def test_prompt_tokens_are_those_of_everything_that_was_shown(played):
    """Each turn's prompt is the whole conversation before it, its completion the reply."""
    episode = played(words)
    messages, turns = episode.messages(), iter(episode.turns)
    for place, message in enumerate(messages):
        if message["role"] == "assistant":
            turn = next(turns)
            assert turn.prompt_tokens == words(messages[:place])
            assert turn.completion_tokens == words([message])


def test_without_a_counter_no_usage_is_recorded(played):
    assert {(turn.prompt_tokens, turn.completion_tokens) for turn in played(None).turns} == {(0, 0)}
