"""Who answers a conversation. A policy gets messages and gives a Reply; it knows neither tasks nor
runtimes.

Every policy has `play(rollouts)`, which drives episodes that are under way. `play_each` does that one episode after
another for whatever has `reply(messages)`; concurrent.py asks a server for many at once; the pocket engine decodes
many in lockstep. All drive the same generator, agent.act, so an episode does not depend on which of them it was.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from knapsack_lib.messages import Message, Reply

__all__ = ["Policy", "PolicyError", "Reply", "Rollout", "play_each"]


class PolicyError(Exception):
    """The infrastructure failed (server, network), not the model. The episode is played again,
    never counted."""


@dataclass
class Rollout:
    """One episode under way: `steps` yields the conversation so far, takes a Reply, and returns the
    Episode."""

    key: str
    seed: int
    steps: Generator[list[Message], Reply, Any]


class Policy(Protocol):
    """Whoever can play many episodes: an engine, a script, a client of a server."""

    def play(self, rollouts: Iterable[Rollout]) -> Iterator[tuple[Rollout, Any]]:
        """Yield each rollout with its Episode as it ends. Raises PolicyError for infrastructure
        failures.

        A policy whose answers do not depend on who else is playing may say so: `independent =
        True`. One that pays, or asks again by itself, may say how much and how often: `spent_usd`,
        `failed_requests` (both only grow).
        """
        ...


def play_each(rollouts: Iterable[Rollout], policy_for: Any) -> Iterator[tuple[Rollout, Any]]:
    """One after another; `policy_for(rollout)` gives the policy that answers it."""
    for rollout in rollouts:
        policy = policy_for(rollout)
        try:
            messages = next(rollout.steps)
            while True:
                messages = rollout.steps.send(policy.reply(messages))
        except StopIteration as end:
            yield rollout, end.value
