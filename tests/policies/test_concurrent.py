"""Many rollouts at once: only requests run on threads, and each rollout sees its own replies."""

import threading
import time

import pytest

from knapsack_lib.messages import Reply
from knapsack_lib.policies import Rollout
from knapsack_lib.policies.concurrent import run_concurrently

TURNS = 3


def rollouts(count, begun=None):
    """Rollouts of TURNS turns that return their replies; `begun` lists the keys of those begun."""

    def steps(key):
        assert threading.current_thread() is threading.main_thread()
        if begun is not None:
            begun.append(key)
        replies = []
        for turn in range(TURNS):
            replies.append((yield [{"role": "user", "content": f"{key} {turn}"}]).text)
        return replies

    for number in range(count):
        yield Rollout(f"t{number}", number, steps(f"t{number}"))


def answer(ask):
    assert threading.current_thread() is not threading.main_thread()
    return Reply(ask.messages[-1]["content"])


@pytest.mark.parametrize("concurrency", [1, 4, 20])
def test_every_rollout_gets_the_replies_to_its_own_messages(concurrency):
    found = {r.key: replies for r, replies in run_concurrently(rollouts(9), answer, concurrency)}
    assert found == {f"t{n}": [f"t{n} {turn}" for turn in range(TURNS)] for n in range(9)}


def test_seeds_follow_from_rollout_and_turn_alone():
    def seeds(concurrency):
        found = set()
        for _ in run_concurrently(
            rollouts(5),
            lambda ask: found.add((ask.key, ask.turn, ask.seed)) or Reply(""),
            concurrency,
        ):
            pass
        return found

    assert seeds(1) == seeds(4) and len({seed for _, _, seed in seeds(1)}) == 5 * TURNS


def test_no_more_rollouts_are_begun_than_have_room():
    begun = []
    for ended, _ in enumerate(run_concurrently(rollouts(10, begun), answer, 3), start=1):
        assert len(begun) <= ended + 3
    assert len(begun) == 10


def test_what_a_request_raises_ends_the_run_after_the_requests_under_way_are_answered():
    answered = []

    def reply(ask):
        if ask.key == "t1":
            raise RuntimeError("gone")
        time.sleep(0.1)
        answered.append(ask.key)
        return Reply("")

    with pytest.raises(RuntimeError, match="gone"):
        list(run_concurrently(rollouts(9), reply, 3))
    assert sorted(answered) == ["t0", "t2"]
