"""Who answers a conversation. A policy gets messages and gives a Reply; it knows neither tasks nor runtimes.

Two shapes, because engines differ in how they batch:
  - `reply(messages, seed)` answers one conversation (scripted expert, API clients); `play_each` drives it;
  - `play(rollouts)` drives many episodes at once (the pocket engine decodes them in lockstep).
Both drive the same generator, agent.act, so an episode does not depend on which shape produced it.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from knapsack_lib.prompts import Message

__all__ = ["Policy", "PolicyError", "Reply", "Rollout", "play_each"]


class PolicyError(Exception):
    """The infrastructure failed (server, network), not the model. The episode is played again, never counted."""


@dataclass(frozen=True)
class Reply:
    """One answer. `stop`: "end", "cut_off" (token limit of the turn) or "context" (the episode's context is full).

    `ids` are the sampled token ids where the engine knows them. `slip` marks a deliberate mistake of the expert.
    """

    text: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    stop: str = "end"
    ids: tuple[int, ...] | None = None
    slip: bool = False


@dataclass
class Rollout:
    """One episode under way: `steps` yields the conversation so far, takes a Reply, and returns the Episode."""

    key: str
    seed: int
    steps: Generator[list[Message], Reply, Any]


class Policy(Protocol):
    """Whoever can play many episodes: an engine, a script, a client of a server."""

    def play(self, rollouts: Iterable[Rollout]) -> Iterator[tuple[Rollout, Any]]:
        """Yield each rollout with its Episode as it ends. Raises PolicyError for infrastructure failures.

        A policy whose answers do not depend on who else is playing may say so: `independent = True`. One that pays, or
        asks again by itself, may say how much and how often: `spent_usd`, `failed_requests` (both only grow).
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
