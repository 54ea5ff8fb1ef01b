"""The varied teacher in the knapsack: plan.py decides what to do from what was shown (knowledge.py), code.py writes it, and
words.py holds names and sentences."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar

from knapsack_lib.families.knapsack.varied.code import Code
from knapsack_lib.families.knapsack.varied.knowledge import SHAPES, Knowledge
from knapsack_lib.families.knapsack.varied.plan import Finish, Intent, Look, Plan, Review, Take
from knapsack_lib.families.knapsack.varied.words import SAYINGS, VOCABULARY
from knapsack_lib.families.knapsack.world import TOOLS
from knapsack_lib.families.varied.expert import Literal, VariedExpert

__all__ = ["VariedKnapsack"]


class VariedKnapsack(VariedExpert[Intent]):
    """Answers one episode in the knapsack, as VariedExpert says."""

    tools = TOOLS
    shapes = SHAPES
    vocabulary = VOCABULARY
    SAID: ClassVar = {Review: "review", Finish: "finish"}

    def prepare(self) -> None:
        self._plan = Plan(self.hand)
        self._code = Code(
            self.hand,
            self.records,
            self._plan.order,
            not self.makes("refused"),
            self.makes("helper"),
        )
        self.helpers = self._code.helpers

    def begin(self, task: str) -> None:
        self._known = Knowledge(task)

    @property
    def variables(self) -> Sequence[str]:
        return ("all", *self.records.words, "left", "bag", "budget", "banned")

    def data(self, word: str) -> Literal:
        known = self._known
        if word in self.records.words:
            return self.records.literal(known.records, word)
        if word in ("left", "budget"):
            return Literal(str(known.left if word == "left" else known.looks))
        names = {"all": known.items, "bag": known.bag, "banned": known.banned}[word]
        return Literal("[", [repr(name) for name in names], "]")

    def learn(self, text: str) -> None:
        self._known.learn(text, self._code.forms)

    @property
    def known(self) -> int:
        return self._known.size

    def refused(self, text: str) -> str:
        found = re.search(r"^PermissionError: class (\w) is not allowed", text, re.M)
        return f"class {found[1]}" if found else ""

    def plan(self) -> Intent:
        intent = self._plan.next(self._known, self.calls, self.due("limit"))
        if self.exceeds(intent):
            self.made("limit")
        return intent

    def counts(self, intent: Intent) -> Sequence[str]:
        # What the first block looked at the next one does not look at again
        again = isinstance(intent, Look) and intent.ids
        return ("take_item",) if again else ("take_item", "inspect")

    def exceeds(self, intent: Intent) -> bool:
        return isinstance(intent, Look) and intent.number > self.calls

    def write(self, intent: Intent, mistake: str) -> list[str]:
        code, known = self._code, self._known
        code.forms = list(code.helper_forms)
        if isinstance(intent, Look):
            spoilt = mistake if known.items else ""
            return code.look(intent, known, self.exceeds(intent), spoilt)
        if isinstance(intent, Take):
            return code.take(intent, known, self.calls)
        return code.review(known) if isinstance(intent, Review) else code.finish()

    def say(self, intent: Intent) -> str:
        known = self._known
        facts: dict[str, Any] = {
            "capacity": known.capacity,
            "budget": known.budget,
            "left": known.left,
            "looks": known.looks,
            "seen": len(known.records),
            "all": len(known.items),
            "count": len(known.bag),
            "worth": known.worth,
        }
        if isinstance(intent, Look):
            facts["ids"] = _listed(intent.ids)
            sayings = SAYINGS["look" if known.items else "list"]
        elif isinstance(intent, Take):
            facts |= {"first": intent.ids[0], **known.records[intent.ids[0]]}
            sayings = (*SAYINGS["again" if known.bag else "take"], *SAYINGS[intent.rule])
        else:
            sayings = SAYINGS[self.SAID[type(intent)]]
        return self.hand.pick(*sayings).format_map(facts)


def _listed(names: Sequence[str]) -> str:
    """A, B and C; of more the first three."""
    if len(names) > 3:
        return f"{', '.join(names[:3])} and more"
    return " and ".join([", ".join(names[:-1]), *names[-1:]] if len(names) > 1 else names)
