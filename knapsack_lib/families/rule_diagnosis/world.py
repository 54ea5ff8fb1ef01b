"""A hidden rule being diagnosed: three tools, a budget of tests, and the last submission counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from knapsack_lib.families.base import Task, ToolError
from knapsack_lib.families.rule_diagnosis.rule import FORMS, KEYS, read_rule, same_rule, value

__all__ = ["TOOLS", "RuleWorld"]

TOOLS = ("test_input", "submit", "finish")


class RuleWorld:
    """The task being acted on. A submission is accepted whatever it is worth: whether it is right is never told."""

    def __init__(self, task: Task):
        self._kind: str = task.public["kind"]
        self._rule: dict[str, int] = task.private["rule"]
        self._ranges = {key: task.public[f"{key}_range"] for key in (*KEYS[self._kind], "input")}
        self.budget = int(task.public["budget"])
        self.tests = 0
        self.submissions = 0
        self.submitted: dict[str, int] | None = None
        self.done = False
        self.tools: dict[str, Callable[..., Any]] = {name: getattr(self, name) for name in TOOLS}

    def facts(self) -> dict[str, Any]:
        """The form of the rule, the ranges of its numbers and of the inputs, and the budget."""
        shown = {key: f"{low} to {high}" for key, (low, high) in self._ranges.items()}
        inputs = shown.pop("input")
        return {
            "form": FORMS[self._kind],
            "ranges": ", ".join(f"{key} {ends}" for key, ends in shown.items()),
            "inputs": inputs,
            "budget": self.budget,
            "keys": ", ".join(shown),
        }

    def test_input(self, x: Any) -> int:
        self._check_open()
        low, high = self._ranges["input"]
        if type(x) is not int or not low <= x <= high:
            raise ToolError("ValueError", f"give a whole number from {low} to {high}")
        if self.tests >= self.budget:
            raise ToolError("RuntimeError", f"the budget of {self.budget} tests is used up")
        self.tests += 1
        return value(self._kind, self._rule, x)

    def submit(self, text: Any) -> None:
        self._check_open()
        self.submitted = read_rule(self._kind, text)
        self.submissions += 1

    def finish(self) -> None:
        self.done = True

    def _check_open(self) -> None:
        if self.done:
            raise ToolError("RuntimeError", "the task is finished")

    def result(self) -> dict[str, Any]:
        """score is 1 where the last submission answers as the hidden rule does to every input of the range, else 0.
        efficiency is the share of the budget that was left where it does, else 0."""
        low, high = self._ranges["input"]
        solved = self.submitted is not None and same_rule(
            self._kind, self.submitted, self._rule, range(low, high + 1)
        )
        return {
            "score": float(solved),
            "solved": solved,
            "tests": self.tests,
            "budget": self.budget,
            "submissions": self.submissions,
            "efficiency": (self.budget - self.tests) / self.budget if solved else 0.0,
        }
