"""The scripted expert: solves Opaque Knapsack as a careful agent would, reading only what an agent is
shown.

List the items, inspect a batch a turn while inspections are left, then take by value per weight; a class that is refused
is never tried again. For one task both styles in code make the same tool calls and print the same lines outside the
slips, so paired traces differ in the code alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from textwrap import indent
from typing import Any, ClassVar

import numpy as np

from knapsack_lib.errors import UserError
from knapsack_lib.families.scripted import MEND, CallExpert, CodeExpert, number_in

__all__ = ["NAMES", "SAYINGS", "CallingExpert", "ScriptedExpert"]

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
    "mend": MEND,
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


class ScriptedExpert(CodeExpert):
    """The plan in code."""

    names = NAMES
    sayings = SAYINGS
    printed = ("rest", "seen", "budget", "left", "taken", "bad")
    slipping = ("look", "take")

    def draw(self, rng: np.random.Generator) -> None:
        sizes = self.setting.batch_sizes
        self._batch = int(sizes[int(rng.integers(len(sizes)))])
        self._from_end = bool(rng.integers(2))
        self._takes = 0

    def begin(self, task: str) -> None:
        self.facts = read_task(task)
        if self.calls < 2:
            raise UserError(
                "the expert lists the items and looks at one in its first turn; raise limits.tool_calls to 2"
            )
        self._batch = min(self._batch, self.calls - 1)

    def next_stage(self, text: str) -> str:
        if self.stage in ("setup", "look"):
            return "look" if self.facts["budget"] > 0 and self.facts["rest"] else "take"
        return "finish" if re.search(r"^open 0$", text, re.M) else "take"

    def occasion(self) -> str:
        return "first take" if self.stage == "take" and not self._takes else self.stage

    # What it writes -------------------------------------------------------------------------------

    def _loop(self, count: str) -> str:
        return LOOP.replace("$slice", f"-{count}:" if self._from_end else f":{count}")

    def _looks_now(self) -> int:
        return min(self._batch, self.facts["budget"])

    def _def_look(self, slips: bool) -> list[str]:
        text = "def $look(k):\n    global $rest, $budget\n" + indent(self._loop("k"), "    ")
        return self.helper("look", text, slips)

    def _def_grab(self, slips: bool) -> list[str]:
        takes = indent(TAKES.replace("$k", "k"), "    ")
        return self.helper("grab", f"{OPTIONS}\ndef $grab(k):\n    global $left\n{takes}", slips)

    def write_setup(self, _: bool) -> str:
        parts = [
            "import json",
            self.literals("left", "budget"),
            "$rest = json.loads(list_items())\n$seen = {}",
        ]
        if self.persistent:
            parts.append(self.literals("taken", "bad"))
            parts += self._def_look(self._slip == "look") + self._def_grab(self._slip == "take")
        helper = "look" in self.defined
        parts.append(
            f"$look({self._looks_now()})" if helper else self._loop(str(self._looks_now()))
        )
        return "\n".join([*parts, "print('$left', $left)"])

    def write_look(self, slips: bool) -> str:
        count = self._looks_now()
        if self.persistent:
            return "\n".join([*self._def_look(slips), f"$look({count})"])
        kept = ("rest", "budget") if slips else ("rest", "seen", "budget")
        return "\n".join(["import json", self.literals(*kept), self._loop(str(count))])

    def write_take(self, slips: bool) -> str:
        self._takes += not slips
        if self.persistent:
            return "\n".join([*self._def_grab(slips), f"$grab({self.calls})"])
        kept = ("taken", "left", "bad") if slips else ("seen", "taken", "left", "bad")
        return "\n".join([self.literals(*kept), OPTIONS, TAKES.replace("$k", str(self.calls))])

    def write_finish(self, _: bool) -> str:
        return "finish()"


class CallingExpert(CallExpert):
    """The plan in one tool call a turn."""

    sayings: ClassVar[Mapping[str, Sequence[str]]] = {
        "list_items": SAYINGS["setup"],
        "inspect": SAYINGS["look"],
        "take_item": SAYINGS["first take"],
        "finish": SAYINGS["finish"],
    }

    def draw(self, rng: np.random.Generator) -> None:
        rng.integers(len(self.setting.batch_sizes))  # items a turn in code
        self._from_end = bool(rng.integers(2))
        self._rest: list[str] | None = None
        self._seen: dict[str, dict[str, Any]] = {}

    def begin(self, task: str) -> None:
        self._facts = read_task(task)

    def learn(self, tool: str, args: list[Any], answer: str, refusal: str) -> None:
        if tool == "list_items":
            listed = json.loads(answer)
            self._rest = listed[::-1] if self._from_end else listed
        elif tool == "inspect":
            self._seen[args[0]] = json.loads(answer)
        elif refusal:
            self._facts["bad"].append(self._seen[args[0]]["class"])
        else:
            self._facts["taken"].append(args[0])
            self._facts["left"] -= self._seen[args[0]]["weight"]

    def next_call(self) -> tuple[str, list[Any]]:
        if self._rest is None:
            return "list_items", []
        if self._facts["budget"] > 0 and self._rest:
            self._facts["budget"] -= 1
            return "inspect", [self._rest.pop(0)]
        free = [
            item
            for item, seen in self._seen.items()
            if item not in self._facts["taken"]
            and seen["class"] not in self._facts["bad"]
            and seen["weight"] <= self._facts["left"]
        ]
        if not free:
            return "finish", []
        return "take_item", [
            min(free, key=lambda item: -self._seen[item]["value"] / self._seen[item]["weight"])
        ]


def read_task(task: str) -> dict[str, Any]:
    """What the task message says, and what is known at the start."""
    return {
        "left": number_in(r"Capacity:? (\d+)", task),
        "budget": number_in(r"Inspection[^\d]*(\d+)", task),
        "taken": [],
        "bad": [],
    }
