"""Who plays: policies drive episodes that are under way, in whatever order suits them.

A policy knows neither tasks nor runtimes. It gets rollouts, each a generator (agent.act) that yields
the conversation so far, takes a Reply and returns the Episode, so an episode does not depend on which
policy drove it. `play_each` drives one rollout after another for whatever has `reply(messages)`;
concurrent.py asks a server for many replies at once; the pocket engine decodes many in lockstep.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from knapsack_lib.messages import Message, Reply

__all__ = ["Policy", "PolicyError", "Reply", "Rollout", "play_each"]


class PolicyError(Exception):
    """The infrastructure failed (server, network), not the model. The episode is played again and
    the failure is never counted against the model."""


@dataclass
class Rollout:
    """One episode under way. `key` is its task's id."""

    key: str
    seed: int
    steps: Generator[list[Message], Reply, Any]


class Policy(Protocol):
    """Whoever can play many episodes: an engine, a script, a client of a server."""

    def play(self, rollouts: Iterable[Rollout]) -> Iterator[tuple[Rollout, Any]]:
        """Yield each rollout with its Episode as it ends. Raises PolicyError for infrastructure
        failures.

        Optional attributes: `independent = True` where answers do not depend on which other
        rollouts are being played; `spent_usd` and `failed_requests`, which only grow, where a policy
        pays or repeats requests by itself.
        """
        ...


def play_each(
    rollouts: Iterable[Rollout], policy_for: Callable[[Rollout], Any]
) -> Iterator[tuple[Rollout, Any]]:
    """One after another. What `policy_for(rollout)` gives has `reply(messages) -> Reply` and answers
    that rollout alone."""
    for rollout in rollouts:
        policy = policy_for(rollout)
        try:
            messages = next(rollout.steps)
            while True:
                messages = rollout.steps.send(policy.reply(messages))
        except StopIteration as end:
            yield rollout, end.value
