"""Many conversations at once with a model that answers over a network.

    yield from run_concurrently(rollouts, lambda ask: client.reply(ask.messages, ask.seed), concurrency=4)

Only the requests run on threads. Worlds and interpreters are touched by the caller's thread alone,
one at a time, and a rollout begins when there is room for it, so that a thousand tasks do not hold a
thousand interpreters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from typing import Any

from knapsack_lib.messages import Message, Reply
from knapsack_lib.policies import Rollout
from knapsack_lib.seeds import named_seed

__all__ = ["Ask", "run_concurrently"]


@dataclass(frozen=True)
class Ask:
    """One request. `turn` counts from 0; `seed` is drawn from the episode's seed and the turn,
    below 2**31."""

    key: str
    turn: int
    seed: int
    messages: tuple[Message, ...]


def run_concurrently(
    rollouts: Iterable[Rollout], reply: Callable[[Ask], Reply], concurrency: int
) -> Iterator[tuple[Rollout, Any]]:
    """Yield each rollout with its Episode as it ends. What `reply` raises ends the run, once the
    requests under way have been answered: an answer that was paid for is not thrown away.
    """
    coming = iter(rollouts)
    asked: dict[Future[Reply], tuple[Rollout, int]] = {}
    with ThreadPoolExecutor(concurrency) as threads:

        def ask(rollout: Rollout, turn: int, messages: list[Message]) -> None:
            seed = named_seed(rollout.seed, "turn", turn) % 2**31
            request = Ask(rollout.key, turn, seed, tuple(messages))
            asked[threads.submit(reply, request)] = rollout, turn

        for rollout in islice(coming, concurrency):
            ask(rollout, 0, next(rollout.steps))
        while asked:
            done, _ = wait(asked, return_when=FIRST_COMPLETED)
            for future in [one for one in asked if one in done]:  # in the order of the requests
                rollout, turn = asked.pop(future)
                try:
                    ask(rollout, turn + 1, rollout.steps.send(future.result()))
                except StopIteration as end:
                    for following in islice(coming, 1):
                        ask(following, 0, next(following.steps))
                    yield rollout, end.value
