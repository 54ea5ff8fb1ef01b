"""The scripted expert: finds the goal as a careful agent would, reading only what an agent is shown.

It scans each node it comes to and keeps what it saw as a map. The goal is taken when it is next door; else it walks, over
the map, to the nearest node that it knows of and has not been to, which from a dead end is a way back. For one task both
styles in code make the same tool calls and print the same lines outside the slips, so paired traces differ in the code
alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from textwrap import indent
from typing import Any, ClassVar

import numpy as np

from knapsack_lib.errors import UserError
from knapsack_lib.families.scripted import MEND, CallExpert, CodeExpert

__all__ = ["NAMES", "SAYINGS", "CallingExpert", "ScriptedExpert"]

NAMES = (
    {"here": "at", "goal": "end", "seen": "seen", "look": "look", "go": "go", "way": "next"},
    {"here": "room", "goal": "to", "seen": "known", "look": "seek", "go": "step", "way": "then"},
)

SAYINGS = {
    "setup": ("I look around.", "I start with a look.", "First I look."),
    "go": ("I go on.", "There is more.", "I keep looking."),
    "back": ("No more here. I go back.", "I have to go back.", "A dead end. I turn back."),
    "mend": MEND,
}

# The way to the nearest node that was not scanned, breadth first; `rest` is what was not yet gone on from.
LOOK = """\
def $look():
    if $goal in $seen[$here]: return [$goal]
    queue, rest = [[$here]], dict($seen)
    for i in queue:
        if i[-1] not in $seen: return i[1:]
        queue += [i + [n] for n in rest.pop(i[-1], [])]"""

# So many moves at most, and a scan. A longer way is gone on with in the next turn.
GO = """\
for $here in $look()[:$moves]: move($here)
$seen[$here] = scan().split(',')"""

SHOW = """\
print('$here', repr($here))
print('$seen', $seen)"""


class ScriptedExpert(CodeExpert):
    """The plan in code."""

    names = NAMES
    sayings = SAYINGS
    printed = ("here", "seen", "way")
    slipping = ("go",)

    def draw(self, rng: np.random.Generator) -> None:
        sizes = self.setting.batch_sizes
        self._batch = int(sizes[int(rng.integers(len(sizes)))])

    def begin(self, task: str) -> None:
        self.facts.update(read_task(task))
        if self.calls < 2:
            raise UserError("the expert moves and scans in one turn; raise limits.tool_calls to 2")
        self._batch = min(self._batch, self.calls // 2)

    def next_stage(self, text: str) -> str:
        return "go"

    def occasion(self) -> str:
        return "back" if len(self.facts.get("way", [])) > 1 else self.stage

    # What it writes -------------------------------------------------------------------------------

    @property
    def _go(self) -> str:
        """As many times over as the batch says, until it is there."""
        go = GO.replace("$moves", str(self.calls // self._batch - 1))
        if self._batch > 1:
            go = f"for _ in range({self._batch}):\n{indent(go, '    ')}\n    if $here == $goal: break"
        return f"{go}\n{SHOW}\nprint('$way', $look())"

    def _def_go(self, slips: bool) -> list[str]:
        go = f"{LOOK}\ndef $go():\n    global $here\n{indent(self._go, '    ')}"
        return self.helper("go", go, slips)

    def write_setup(self, _: bool) -> str:
        parts = [self.literals("here", "goal"), "$seen = {$here: scan().split(',')}"]
        if self.persistent:
            parts += self._def_go(self._slip == "go")
        return "\n".join([*parts, SHOW])

    def write_go(self, slips: bool) -> str:
        if self.persistent:
            return "\n".join([*self._def_go(slips), "$go()"])
        kept = ("here", "goal") if slips else ("here", "goal", "seen")
        return "\n".join([self.literals(*kept), LOOK, self._go])


class CallingExpert(CallExpert):
    """The plan in one tool call a turn."""

    sayings: ClassVar[Mapping[str, Sequence[str]]] = {
        "scan": SAYINGS["setup"],
        "move": SAYINGS["go"],
    }

    def draw(self, rng: np.random.Generator) -> None:
        self._seen: dict[str, list[str]] = {}

    def begin(self, task: str) -> None:
        facts = read_task(task)
        self._here, self._goal = facts["here"], facts["goal"]

    def learn(self, tool: str, args: list[Any], answer: str, refusal: str) -> None:
        if tool == "scan":
            self._seen[self._here] = answer.split(",")
        elif not refusal:
            self._here = args[0]

    def next_call(self) -> tuple[str, list[Any]]:
        if self._here not in self._seen:
            return "scan", []
        near = self._goal in self._seen[self._here]
        return "move", [self._goal if near else first_step(self._seen, self._here)]


def first_step(seen: Mapping[str, list[str]], here: str) -> str:
    """Where to go for the nearest node that was not scanned: the step that `route` of the code takes."""
    first, queue = {here: here}, [here]
    for node in queue:
        if node not in seen:
            return first[node]
        for other in seen[node]:
            if other not in first:
                first[other] = other if node == here else first[node]
                queue.append(other)
    raise ValueError("every node that can be reached was scanned, and none is the goal")


def read_task(task: str) -> dict[str, str]:
    """What the task message says."""
    start, goal = re.findall(r"'(\w+)'", task)
    return {"here": start, "goal": goal}
