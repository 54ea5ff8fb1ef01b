"""What an agent in the knapsack has been shown, and what follows from it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from typing import Any

from knapsack_lib.families.knapsack.expert import read_task
from knapsack_lib.families.varied.telling import Form

__all__ = ["SHAPES", "Knowledge"]

# Field of a record -> what its values look like
SHAPES = {"class": "[A-Z]", "value": r"\d+", "weight": r"\d+"}

TAKEN = r"^(?:took|taken|\+|ok) (\w+)|'(\w+)' is already taken"
UNFIT = r"'(\w+)' does not fit"
REFUSED = r"\bclass (\w) is not allowed|^no class (\w)$"


class Knowledge:
    """`items`: all ids, in the order listed. `records`: id -> class, value, weight of what was inspected. `bag`: what was
    taken. `banned`: classes that were refused. `unfit`: what did not fit where it should have, since a take was not
    shown."""

    def __init__(self, task: str):
        facts = read_task(task)
        self.capacity, self.budget = int(facts["left"]), int(facts["budget"])
        self.items: list[str] = []
        self.records: dict[str, dict[str, Any]] = {}
        self.bag: list[str] = []
        self.banned: list[str] = []
        self.unfit: list[str] = []
        self._used_up = False

    @property
    def size(self) -> int:
        """How much is known."""
        parts = (self.items, self.records, self.bag, self.banned, self.unfit)
        return sum(map(len, parts))

    @property
    def left(self) -> int:
        """Capacity left."""
        return self.capacity - sum(self.records[item]["weight"] for item in self.bag)

    @property
    def looks(self) -> int:
        """Inspections left."""
        return 0 if self._used_up else self.budget - len(self.records)

    @property
    def worth(self) -> int:
        return sum(self.records[item]["value"] for item in self.bag)

    @property
    def free(self) -> list[str]:
        """What was seen, and may and can be taken."""
        return [
            item
            for item, one in self.records.items()
            if item not in (*self.bag, *self.unfit)
            and one["class"] not in self.banned
            and one["weight"] <= self.left
        ]

    def learn(self, text: str, forms: Iterable[Form]) -> None:
        """Read what a block printed, records in one of these forms."""
        if not self.items and (listed := re.search(r"^.*?(\[.*\])$", text, re.M)):
            self.items = list(ast.literal_eval(listed[1]))
        self._used_up |= "inspect budget of" in text
        for form in forms:
            for item, record in form.read(text):
                if item in self.items and item not in self.records:
                    self.records[item] = {field: record[field] for field in SHAPES}
        for item in map("".join, re.findall(TAKEN, text, re.M)):
            if item in self.records and item not in self.bag:
                self.bag.append(item)
        self.unfit += [item for item in re.findall(UNFIT, text) if item not in self.unfit]
        for letter in map("".join, re.findall(REFUSED, text, re.M)):
            if letter not in self.banned:
                self.banned.append(letter)
