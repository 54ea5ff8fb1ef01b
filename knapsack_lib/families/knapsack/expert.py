"""The scripted expert: solves Opaque Knapsack as a careful CodeAct agent would, reading only what
an agent is shown.

One plan, two styles. `persistent` defines state and helpers once and reuses them; `reset` restates
the state it needs as literals in every block. For one task both styles make the same tool calls and
print the same lines outside the slips, so paired traces differ in the code alone. All variety
(wording, names, batch size, order, slips) is drawn from the task's seed.
"""

from __future__ import annotations

import ast
import re
from typing import Any

import numpy as np

from knapsack_lib.errors import UserError, check_choice
from knapsack_lib.messages import Message, Reply
from knapsack_lib.profiles import Teacher
from knapsack_lib.seeds import named_seed

__all__ = ["NAMES", "SAYINGS", "ScriptedExpert"]

NAMES = (
    {
        "rest": "rest",
        "seen": "seen",
        "budget": "budget",
        "left": "left",
        "taken": "taken",
        "bad": "bad",
        "look": "look",
        "options": "options",
        "grab": "grab",
    },
    {
        "rest": "unseen",
        "seen": "known",
        "budget": "tries",
        "left": "room",
        "taken": "bag",
        "bad": "banned",
        "look": "scan",
        "options": "choices",
        "grab": "pack",
    },
)

SAYINGS = {
    "setup": (
        "I list the items and inspect a few.",
        "First I see what there is.",
        "I start with the list.",
    ),
    "look": ("I inspect more items.", "There are inspections left.", "I keep looking."),
    "first take": (
        "Now I take the best items.",
        "Time to fill the knapsack.",
        "I take by value per weight.",
    ),
    "take": ("I take more.", "Some may still fit.", "I go on with the next best."),
    "finish": ("Nothing more fits, so I finish.", "I am done.", "No candidate is left."),
    "mend": ("A name was missing, so I define it.", "That was not defined. I mend it."),
}

LOOP = """\
for i in $rest[$slice]:
    $seen[i] = tuple(json.loads(inspect(i)).values())
    $budget -= 1
$rest = [i for i in $rest if i not in $seen]
print('$rest', $rest)
print('$seen', $seen)
print('$budget', $budget)"""

OPTIONS = """\
def $options():
    free = [i for i in $seen if i not in $taken and $seen[i][0] not in $bad and $seen[i][2] <= $left]
    return sorted(free, key=lambda i: -$seen[i][1] / $seen[i][2])"""

TAKES = """\
for _ in range($k):
    if not $options(): break
    i = $options()[0]
    try:
        take_item(i)
        $taken.append(i)
        $left -= $seen[i][2]
    except PermissionError:
        $bad.append($seen[i][0])
print('$taken', $taken)
print('$left', $left)
print('$bad', $bad)
print('open', len($options()))"""


def _indent(text: str) -> str:
    return "\n".join("    " + line for line in text.split("\n"))


def _number(pattern: str, text: str) -> int:
    found = re.search(pattern, text)
    if found is None:
        raise ValueError(f"the expert cannot read this prompt: nothing matches {pattern!r}")
    return int(found[1])


class ScriptedExpert:
    """Answers one episode. Stateful: what it knows comes from the messages it was given."""

    def __init__(self, style: str, setting: Teacher, seed: int):
        self.persistent = check_choice("style", style, ("persistent", "reset")) == "persistent"
        rng = np.random.Generator(np.random.PCG64(named_seed(seed, "expert")))
        self._names = NAMES[int(rng.integers(setting.style_variants))]
        self._batch = int(setting.batch_sizes[int(rng.integers(len(setting.batch_sizes)))])
        self._from_end = bool(rng.integers(2))
        slips = rng.random() < setting.slip_share
        self._slip = ("look", "take")[int(rng.integers(2))] if slips else None
        self._words = np.random.Generator(np.random.PCG64(named_seed(seed, "wording")))
        self._stage, self._takes, self._mending = "setup", 0, False
        self._facts: dict[str, Any] = {}
        self._defined: set[str] = set()

    def reply(self, messages: list[Message]) -> Reply:
        """The next turn, from the conversation so far."""
        self._read(messages)
        slips = self._slip == self._stage and not self._mending
        stage = (
            "mend"
            if self._mending
            else "first take"
            if self._stage == "take" and not self._takes
            else self._stage
        )
        choices = SAYINGS[stage]
        saying = choices[int(self._words.integers(len(choices)))]
        block = getattr(self, f"_{self._stage}")(slips)
        self._takes += self._stage == "take" and not slips
        return Reply(f"{saying}\n```python\n{self._named(block)}\n```", slip=slips)

    # What it reads --------------------------------------------------------------------------------

    def _read(self, messages: list[Message]) -> None:
        text = messages[-1]["content"]
        if self._stage == "setup" and not self._facts:
            task = messages[1]["content"]
            self._calls = _number(r"at most (\d+) tool calls", messages[0]["content"])
            self._facts["left"] = _number(r"Capacity:? (\d+)", task)
            self._facts["budget"] = _number(r"Inspection[^\d]*(\d+)", task)
            self._facts.update(taken=[], bad=[])
            if self._calls < 2:
                raise UserError(
                    "the expert lists the items and looks at one in its first turn; raise limits.tool_calls to 2"
                )
            self._batch = min(self._batch, self._calls - 1)
            return
        if "\n[output cut at " in text:
            raise UserError(
                "the expert's output was cut, and with it what it has to know; raise limits.output_chars"
            )
        self._mending = "NameError" in text
        if self._mending:
            self._slip = None
            return
        for fact in ("rest", "seen", "budget", "left", "taken", "bad"):
            found = re.search(rf"^{self._names[fact]} (.+)$", text, re.M)
            if found:
                self._facts[fact] = ast.literal_eval(found[1])
        if self._stage in ("setup", "look"):
            self._stage = "look" if self._facts["budget"] > 0 and self._facts["rest"] else "take"
        elif self._stage == "take" and re.search(r"^open 0$", text, re.M):
            self._stage = "finish"

    # What it writes -------------------------------------------------------------------------------

    def _named(self, block: str) -> str:
        return re.sub(r"\$(\w+)", lambda m: self._names.get(m[1], m[0]), block)

    def _literals(self, *facts: str) -> str:
        return "\n".join(f"${fact} = {self._facts[fact]!r}" for fact in facts)

    def _loop(self, count: str) -> str:
        return LOOP.replace("$slice", f"-{count}:" if self._from_end else f":{count}")

    def _looks_now(self) -> int:
        return min(self._batch, self._facts["budget"])

    def _def_look(self) -> str:
        self._defined.add("look")
        return "def $look(k):\n    global $rest, $budget\n" + _indent(self._loop("k"))

    def _def_grab(self) -> str:
        self._defined.add("grab")
        return f"{OPTIONS}\ndef $grab(k):\n    global $left\n" + _indent(TAKES.replace("$k", "k"))

    def _setup(self, _: bool) -> str:
        parts = [
            "import json",
            self._literals("left", "budget"),
            "$rest = json.loads(list_items())\n$seen = {}",
        ]
        if self.persistent:
            parts.append(self._literals("taken", "bad"))
            if self._slip != "look":
                parts.append(self._def_look())
            if self._slip != "take":
                parts.append(self._def_grab())
        helper = "look" in self._defined
        parts.append(
            f"$look({self._looks_now()})" if helper else self._loop(str(self._looks_now()))
        )
        return "\n".join([*parts, "print('$left', $left)"])

    def _look(self, slips: bool) -> str:
        count = self._looks_now()
        if self.persistent:
            define = [] if slips or "look" in self._defined else [self._def_look()]
            return "\n".join([*define, f"$look({count})"])
        kept = ("rest", "budget") if slips else ("rest", "seen", "budget")
        return "\n".join(["import json", self._literals(*kept), self._loop(str(count))])

    def _take(self, slips: bool) -> str:
        if self.persistent:
            define = [] if slips or "grab" in self._defined else [self._def_grab()]
            return "\n".join([*define, f"$grab({self._calls})"])
        kept = ("taken", "left", "bad") if slips else ("seen", "taken", "left", "bad")
        return "\n".join([self._literals(*kept), OPTIONS, TAKES.replace("$k", str(self._calls))])

    def _finish(self, _: bool) -> str:
        return "finish()"
