"""A scripted teacher: the family's expert, or its varied teacher, answers every episode in the style of one runtime."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from knapsack_lib.families import family_named
from knapsack_lib.families.base import Expert
from knapsack_lib.messages import Message, Reply
from knapsack_lib.policies import Rollout, play_each
from knapsack_lib.profiles import Teacher

__all__ = ["ScriptedPolicy"]


class ScriptedPolicy:
    """`count` gives the number of tokens of a list of messages, in the chat format of the model that
    will be trained on these episodes; without it no usage is recorded. `varied`: the varied teacher answers."""

    def __init__(
        self,
        family: str,
        style: str,
        setting: Teacher,
        count: Callable[[list[Message]], int] | None = None,
        varied: bool = False,
    ):
        self.family, self.style, self.setting, self._count = family, style, setting, count
        self._varied = varied

    def play(self, rollouts: Iterable[Rollout]) -> Iterator[tuple[Rollout, Any]]:
        family = family_named(self.family)
        expert = family.varied_expert if self._varied else family.expert
        return play_each(
            rollouts,
            lambda rollout: _Counted(expert(self.style, self.setting, rollout.seed), self._count),
        )


class _Counted:
    """Adds token usage to an expert's replies."""

    def __init__(self, expert: Expert, count: Callable[[list[Message]], int] | None):
        self._expert, self._count = expert, count
        self._read, self._tokens = 0, 0

    def reply(self, messages: list[Message]) -> Reply:
        answer = self._expert.reply(messages)
        if self._count is None:
            return answer
        self._tokens += self._count(messages[self._read :])
        self._read = len(messages) + 1
        completion = self._count([{"role": "assistant", "content": answer.text}])
        prompt, self._tokens = self._tokens, self._tokens + completion
        return replace(answer, prompt_tokens=prompt, completion_tokens=completion)
