"""The scripted expert: finds the rule as a careful agent would, reading only what an agent is shown.

Test the smallest input, keep the rules of the stated ranges that fit every test, test the smallest input on which they
differ, and so on. Once they are few, submit the first; where a later test refutes it, submit the first of those that are
left; finish when the one submitted is the only one. For one task both styles in code make the same tool calls and print
the same lines outside the slips, so paired traces differ in the code alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from itertools import product
from textwrap import indent
from typing import Any, ClassVar

import numpy as np

from knapsack_lib.families.rule_diagnosis.rule import FORMS, KEYS, value
from knapsack_lib.families.scripted import MEND, CallExpert, CodeExpert, number_in

__all__ = ["NAMES", "SAYINGS", "CallingExpert", "ScriptedExpert"]

FEW = 9  # rules that are shown one by one, and of which the first is submitted

NAMES = (
    {
        "tests": "seen",
        "left": "left",
        "at": "at",
        "rules": "options",
        "guess": "best",
        "look": "look",
        "send": "send",
    },
    {
        "tests": "known",
        "left": "tries",
        "at": "spot",
        "rules": "choices",
        "guess": "pick",
        "look": "scan",
        "send": "put",
    },
)

SAYINGS = {
    "setup": ("I start with one test.", "First I test an input.", "I begin at the first input."),
    "look": ("Many rules fit. I test on.", "I test where they differ.", "One more test."),
    "send": ("Few rules fit. I submit the first.", "I submit one that fits."),
    "check": ("I check what I submitted.", "I test the submitted rule."),
    "send again": ("It was wrong. I submit another.", "That one is refuted. I take the next."),
    "finish": ("Only this rule fits, so I finish.", "I am done.", "No other rule is left."),
    "mend": MEND,
}

LOOK = """\
$tests[$at] = test_input($at)
$left -= 1
$rules = [($abm) $loops if all($form == y for x, y in $tests.items())]
$at = next((x for x in range($inputs) if len({$form for $abm in $rules}) > 1), None)"""

SHOW = f"""
print('$tests', $tests)
print('$left', $left)
print('$at', $at)
print('$rules', $rules if len($rules) <= {FEW} else len($rules))
print('$guess', $guess if $guess in $rules else ())"""

SEND = """\
$guess = $rules[0]
submit(json.dumps(dict(zip('$letters', $guess))))
print('$guess', $guess)
print('$rules', len($rules))"""


def next_stage(facts: Mapping[str, Any]) -> str:
    """ "look", "send" or "finish". `facts`: the rules that are left (or how many they are), the next input (None where they
    differ on none), the budget left, and the rule submitted, () where that is refuted or there is none."""
    stuck = facts["at"] is None or facts["left"] == 0
    if not facts["guess"] and isinstance(facts["rules"], list):
        return "send"
    return "finish" if stuck else "look"


class ScriptedExpert(CodeExpert):
    """The plan in code."""

    names = NAMES
    sayings = SAYINGS
    printed = ("tests", "left", "at", "rules", "guess")
    slipping = ("look", "send")

    def draw(self, rng: np.random.Generator) -> None:
        sizes = self.setting.batch_sizes
        self._batch = int(sizes[int(rng.integers(len(sizes)))])
        self._sent = 0

    def begin(self, task: str) -> None:
        self.facts = read_task(task)
        self._batch = min(self._batch, self.calls)
        kind, ranges = self.facts["kind"], self.facts["ranges"]
        ends = {key: f"{low}, {high + 1}" for key, (low, high) in ranges.items()}
        self._about = {
            "form": FORMS[kind],
            "abm": ", ".join(KEYS[kind]),
            "letters": "".join(KEYS[kind]),
            "loops": " ".join(f"for {key} in range({ends[key]})" for key in KEYS[kind]),
            "inputs": ends["x"],
        }

    def next_stage(self, text: str) -> str:
        return next_stage(self.facts)

    def occasion(self) -> str:
        if self.stage == "look" and self.facts["guess"]:
            return "check"
        return "send again" if self.stage == "send" and self._sent else self.stage

    # What it writes -------------------------------------------------------------------------------

    def _filled(self, text: str) -> str:
        return re.sub(r"\$(\w+)", lambda m: self._about.get(m[1], m[0]), text)

    def _look(self) -> str:
        """A turn's tests, and what they show."""
        tests = LOOK
        if self._batch > 1:
            stop = "    if $at is None or not $left: break"
            tests = f"for _ in range({self._batch}):\n{indent(tests, '    ')}\n{stop}"
        return self._filled(tests + SHOW)

    def _def_look(self, slips: bool) -> list[str]:
        body = indent(self._look(), "    ")
        return self.helper("look", f"def $look():\n    global $left, $at, $rules\n{body}", slips)

    def _def_send(self, slips: bool) -> list[str]:
        body = indent(self._filled(SEND), "    ")
        return self.helper("send", f"def $send():\n    global $guess\n{body}", slips)

    def write_setup(self, _: bool) -> str:
        parts = [self.literals("tests", "left", "at", "guess")]
        if self.persistent:
            parts.insert(0, "import json")
            parts += self._def_look(self._slip == "look") + self._def_send(self._slip == "send")
        return "\n".join([*parts, "$look()" if "look" in self.defined else self._look()])

    def write_look(self, slips: bool) -> str:
        if self.persistent:
            return "\n".join([*self._def_look(slips), "$look()"])
        # The one left out is needed before the test: a slip costs none.
        kept = ("tests", "left", "guess") if slips else ("tests", "left", "at", "guess")
        return "\n".join([self.literals(*kept), self._look()])

    def write_send(self, slips: bool) -> str:
        self._sent += not slips
        if self.persistent:
            return "\n".join([*self._def_send(slips), "$send()"])
        known = [] if slips else [self.literals("rules")]
        return "\n".join(["import json", *known, self._filled(SEND)])

    def write_finish(self, _: bool) -> str:
        return "finish()"


class CallingExpert(CallExpert):
    """The plan in one tool call a turn. It works out by itself what the others write code for."""

    sayings: ClassVar[Mapping[str, Sequence[str]]] = {
        "test_input": SAYINGS["look"],
        "submit": SAYINGS["send"],
        "finish": SAYINGS["finish"],
    }

    def draw(self, rng: np.random.Generator) -> None:
        sizes = self.setting.batch_sizes
        self._batch = int(sizes[int(rng.integers(len(sizes)))])

    def begin(self, task: str) -> None:
        self._facts = read_task(task)
        kind, ranges = self._facts["kind"], self._facts["ranges"]
        spans = [range(ranges[key][0], ranges[key][1] + 1) for key in KEYS[kind]]
        self._fitting = [dict(zip(KEYS[kind], rule, strict=True)) for rule in product(*spans)]

    def learn(self, tool: str, args: list[Any], answer: str, refusal: str) -> None:
        facts, kind = self._facts, self._facts["kind"]
        if tool == "submit":
            facts["guess"] = json.loads(args[0])
        elif tool == "test_input":
            (x,) = args
            facts["tests"][x] = int(answer)
            facts["left"] -= 1
            fitting = [rule for rule in self._fitting if value(kind, rule, x) == int(answer)]
            self._fitting = fitting
            low, high = facts["ranges"]["x"]
            apart = (
                x for x in range(low, high + 1) if len({value(kind, r, x) for r in fitting}) > 1
            )
            facts["at"] = next(apart, None)
            facts["rules"] = fitting if len(fitting) <= FEW else len(fitting)
            facts["guess"] = facts["guess"] if facts["guess"] in fitting else ()

    def next_call(self) -> tuple[str, list[Any]]:
        facts = self._facts
        amid = len(facts["tests"]) % self._batch and facts["at"] is not None and facts["left"]
        stage = "look" if amid or not facts["tests"] else next_stage(facts)
        if stage == "look":
            return "test_input", [facts["at"]]
        if stage == "send":
            return "submit", [json.dumps(facts["rules"][0])]
        return "finish", []


def read_task(task: str) -> dict[str, Any]:
    """What the task message says, and what is known at the start."""
    kind = "affine_mod" if FORMS["affine_mod"] in task else "linear_int"
    number = r"(-?\d+)"
    ranges = {
        key: (
            number_in(rf"\b{key} {number} to ", task),
            number_in(rf"\b{key} -?\d+ to {number}", task),
        )
        for key in (*KEYS[kind], "x")
    }
    return {
        "kind": kind,
        "ranges": ranges,
        "left": number_in(r"[Bb]udget:? (\d+)", task),
        "at": ranges["x"][0],
        "tests": {},
        "guess": (),
    }
