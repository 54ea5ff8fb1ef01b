"""Scripted experts: one plan of a family, told in three styles.

`persistent` defines state and helpers once and reuses them. `reset` restates as literals what a block needs. `react` makes
one tool call a turn, as JSON. An expert reads only what an agent is shown, and draws all variety (wording, names, order,
slips) from the seed of its episode.

A family's expert in code is a subclass of `CodeExpert`, the one in calls a subclass of `CallExpert`; the knapsack's
(families/knapsack/expert.py) is the example.
"""

from __future__ import annotations

import ast
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from knapsack_lib.errors import UserError, check_choice
from knapsack_lib.messages import Message, Reply
from knapsack_lib.profiles import Teacher
from knapsack_lib.seeds import named_seed

__all__ = ["CallExpert", "CodeExpert", "MEND", "number_in"]

# What is said when a name was missing
MEND = ("A name was missing, so I define it.", "That was not defined. I mend it.")
CUT = "\n[output cut at "


def number_in(pattern: str, text: str) -> int:
    """The number that the pattern's first group finds. Raises ValueError where a prompt cannot be read."""
    found = re.search(pattern, text)
    if found is None:
        raise ValueError(f"the expert cannot read this prompt: nothing matches {pattern!r}")
    return int(found[1])


def _generator(seed: int, what: str) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(named_seed(seed, what)))


class CodeExpert(ABC):
    """Answers one episode in code. Stateful: what it knows comes from the messages it was given.

    A plan is a sequence of stages, the first of which is "setup". For the stage `x` the method
    `write_x(slips)` gives the block, in which `$word` stands for a name of the drawn vocabulary; with `slips` true it
    leaves out something that the block needs, a helper (persistent) or a literal (reset). What a block prints as
    `$fact value`, one a line, is read into `self.facts`.
    """

    # Vocabularies: word -> name. One is drawn for an episode. Both vocabularies of a family have the same words.
    names: ClassVar[Sequence[Mapping[str, str]]]
    sayings: ClassVar[Mapping[str, Sequence[str]]]  # stage, or what `occasion` gives -> sentences
    printed: ClassVar[Sequence[str]]  # the words of the facts that blocks print
    slipping: ClassVar[Sequence[str]]  # stages in which a slip can happen

    def __init__(self, style: str, setting: Teacher, seed: int):
        self.persistent = check_choice("style", style, ("persistent", "reset")) == "persistent"
        self.setting = setting
        rng = _generator(seed, "expert")
        self.vocabulary = self.names[int(rng.integers(setting.style_variants))]
        self.draw(rng)
        slips = rng.random() < setting.slip_share
        self._slip = self.slipping[int(rng.integers(len(self.slipping)))] if slips else None
        self._words = _generator(seed, "wording")
        self.stage, self._mending = "", False
        self.calls = 0  # tool calls that a turn may make, as the prompt says
        self.facts: dict[str, Any] = {}
        self.defined: set[str] = set()  # helpers that a block has defined

    @abstractmethod
    def draw(self, rng: np.random.Generator) -> None:
        """Draw what else varies from episode to episode."""

    @abstractmethod
    def begin(self, task: str) -> None:
        """Read the task message into `self.facts`."""

    @abstractmethod
    def next_stage(self, text: str) -> str:
        """The stage after `self.stage`, whose observation is `text` (its facts have been read)."""

    def occasion(self) -> str:
        """Which sentences go with the stage."""
        return self.stage

    def reply(self, messages: list[Message]) -> Reply:
        """The next turn, from the conversation so far."""
        if not self.stage:
            self.calls = number_in(r"at most (\d+) tool calls", messages[0]["content"])
            self.begin(messages[1]["content"])
            self.stage = "setup"
        else:
            self._read(messages[-1]["content"])
        slips = self._slip == self.stage and not self._mending
        choices = self.sayings["mend" if self._mending else self.occasion()]
        saying = choices[int(self._words.integers(len(choices)))]
        block = getattr(self, f"write_{self.stage}")(slips)
        return Reply(f"{saying}\n```python\n{self._named(block)}\n```", slip=slips)

    def _read(self, text: str) -> None:
        if CUT in text:
            raise UserError(
                "the expert's output was cut, and with it what it has to know; raise limits.output_chars"
            )
        self._mending = "NameError" in text
        if self._mending:
            self._slip = None
            return
        for fact in self.printed:
            found = re.search(rf"^{self.vocabulary[fact]} (.+)$", text, re.M)
            if found:
                self.facts[fact] = ast.literal_eval(found[1])
        self.stage = self.next_stage(text)

    def _named(self, block: str) -> str:
        return re.sub(r"\$(\w+)", lambda m: self.vocabulary.get(m[1], m[0]), block)

    def literals(self, *facts: str) -> str:
        """A line for each fact that gives it its value."""
        return "\n".join(f"${fact} = {self.facts[fact]!r}" for fact in facts)

    def helper(self, name: str, definition: str, slips: bool) -> list[str]:
        """The definition of a helper, once: nothing where it is there already, or where it is forgotten."""
        if slips or name in self.defined:
            return []
        self.defined.add(name)
        return [definition]


class CallExpert(ABC):
    """Answers one episode with one tool call a turn."""

    sayings: ClassVar[Mapping[str, Sequence[str]]]  # tool -> sentences

    def __init__(self, setting: Teacher, seed: int):
        self.setting = setting
        rng = _generator(seed, "expert")
        rng.integers(setting.style_variants)  # the vocabulary of the same episode in code
        self.draw(rng)
        self._words = _generator(seed, "wording")
        self._called: tuple[str, list[Any]] | None = None

    @abstractmethod
    def draw(self, rng: np.random.Generator) -> None:
        """Draw what varies from episode to episode, as the family's CodeExpert draws it."""

    @abstractmethod
    def begin(self, task: str) -> None:
        """Read the task message."""

    @abstractmethod
    def learn(self, tool: str, args: list[Any], answer: str, refusal: str) -> None:
        """What a call brought: its answer as text, or the kind of the refusal ("PermissionError")."""

    @abstractmethod
    def next_call(self) -> tuple[str, list[Any]]:
        """(tool, arguments) of the next turn."""

    def reply(self, messages: list[Message]) -> Reply:
        """The next turn, from the conversation so far."""
        if self._called is None:
            self.begin(messages[1]["content"])
        else:
            text = messages[-1]["content"]
            if CUT in text:
                raise UserError(
                    "the expert's answer was cut, and with it what it has to know; raise limits.output_chars"
                )
            answer = text.partition("]\n")[2]  # under the tool's name in brackets
            refusal = re.match(r"(\w+Error): ", answer)
            self.learn(*self._called, answer, refusal[1] if refusal else "")
        tool, args = self._called = self.next_call()
        choices = self.sayings[tool]
        saying = choices[int(self._words.integers(len(choices)))]
        return Reply(f"{saying}\n```json\n{json.dumps({'tool': tool, 'args': args})}\n```")
