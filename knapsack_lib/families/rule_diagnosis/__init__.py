"""Rule diagnosis: find the whole numbers of a hidden rule, a*x + b or (a*x + b) % m, by testing inputs on a budget, and
submit the rule. The authors' family of that name (arXiv 2603.01209).

rule.py says what a rule is, tasks.py draws tasks that can be done, world.py is one being played, expert.py plays it,
view.py draws it, published.py reads the authors' configs. What the rest of the library knows of the family is the object
FAMILY.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from knapsack_lib.families.base import Calls, Expert, Family, Metric, Task, World
from knapsack_lib.families.rule_diagnosis import published, view
from knapsack_lib.families.rule_diagnosis.expert import SAYINGS, CallingExpert, ScriptedExpert
from knapsack_lib.families.rule_diagnosis.tasks import SIZES, Size, make_task
from knapsack_lib.families.rule_diagnosis.world import TOOLS, RuleWorld
from knapsack_lib.profiles import REACT, Teacher

__all__ = ["FAMILY"]


class RuleDiagnosis(Family):
    name = "rule_diagnosis"
    tools = TOOLS
    sizes = SIZES
    tools_text = {
        "brief": "test_input(x), submit(json), finish()",
        "full": (
            "- test_input(x) returns what the hidden rule answers to the whole number x. Every test counts "
            "against the budget; past it, and outside the range of inputs, an error is raised.\n"
            "- submit(text) takes the rule as a JSON text. You may submit as often as you like: the last "
            "submission counts, and you are not told whether it is right.\n"
            "- finish() ends the task. Call it when you are sure of your last submission."
        ),
    }
    task_text = {
        "brief": "Find the rule {form}. {ranges}. Inputs x {inputs}. Budget {budget}.",
        "full": (
            "Find the numbers of a hidden rule: {form}. They are whole numbers, in these ranges: {ranges}.\n"
            "Inputs that can be tested: x {inputs}.\nBudget: {budget} tests.\n"
            "Submit a JSON object with the keys {keys}. It is right if it gives the hidden rule's value at "
            "every input of the range; else it is worth nothing."
        ),
    }
    metrics = {
        "tests": Metric("tests", lambda r: r["tests"], "int64"),
        "submissions": Metric("submissions", lambda r: r["submissions"], "int64"),
        "efficiency": Metric("tests left if solved", lambda r: r["efficiency"], form=".0%"),
    }
    sentences = tuple(sentence for group in SAYINGS.values() for sentence in group)

    def make_task(self, size: Size | str, *, seed: int, split: str, index: int) -> Task:
        return make_task(
            self.size(size) if isinstance(size, str) else size, seed=seed, split=split, index=index
        )

    def world(self, task: Task) -> World:
        return RuleWorld(task)

    def expert(self, style: str, setting: Teacher, seed: int) -> Expert:
        return (
            CallingExpert(setting, seed) if style == REACT else ScriptedExpert(style, setting, seed)
        )

    def describe(self, size: str) -> str:
        low, high = self.size(size).budget
        return f"{low} to {high} tests" if high > low else f"{low} tests"

    def attempted(self, result: Mapping[str, Any]) -> bool:
        return result["submissions"] > 0

    def explored(self, result: Mapping[str, Any]) -> bool:
        return bool(result["tests"] or result["submissions"])

    def from_published(self, metrics: Mapping[str, float]) -> dict[str, Any]:
        return published.from_published(metrics)

    def tasks_from_config(self, section: Any, *, seed: int, run_name: str) -> Iterable[Task]:
        return published.tasks_from_config(section, seed=seed, run_name=run_name)

    def progress(
        self, turns: Sequence[Calls], result: Mapping[str, Any], task: Task | None
    ) -> list[dict[str, float]]:
        return view.progress(turns, result, task)

    def picture(self, turns: Sequence[Calls], task: Task | None) -> str:
        return view.picture(turns, task)


FAMILY = RuleDiagnosis()
