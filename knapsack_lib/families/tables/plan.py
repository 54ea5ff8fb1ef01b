"""What all styles of the scripted expert have in common: how it reads a question, the query that answers it, what it says
and what varies from episode to episode."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from knapsack_lib.families.scripted import MEND, number_in
from knapsack_lib.families.tables.questions import SENTENCES

__all__ = ["SAYINGS", "drawn", "read_task", "shape_of"]

SAYINGS = {
    "setup": ("I list the tables first.", "First I see what there is.", "I start with the list."),
    "guess": ("I try it at once.", "One table may do.", "A first try."),
    "look": ("I look at the next table.", "There are more tables.", "I keep looking."),
    "no such": ("No such column, so I look.", "The column is not there. I keep looking."),
    "plan": (
        "Now I see the tables with that column.",
        "Now I know the tables.",
        "I join the tables.",
    ),
    "check": ("I look at what they hold.", "I look into the tables.", "Which values are there?"),
    "ask": ("Now I ask.", "It is known what to ask.", "I ask this."),
    "answer": ("That is it, so I finish.", "I know it now.", "I answer and finish."),
    "finish": ("I am done.", "All is done.", "That was all."),
    "mend": MEND,
}

# Kind of question -> what is selected. Of the kind "top" it is what the texts are sorted by.
SELECTED = {
    "count": "count(*)",
    "sum": "sum({main}.{number})",
    "mean": "round(avg({main}.{number}), 2)",
    "distinct": "count(distinct {main}.{label})",
    "top": "sum({main}.{number})",
}
QUESTIONS = {
    kind: re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>\\w+)", re.escape(sentence)))
    for kind, sentence in SENTENCES.items()
}
WHERE = "select {want} from {tables} where {table}.{field} = '{value}'"
TOP = "select {table}.{field} from {tables} group by 1 order by {want} desc limit 1"


def drawn(rng: np.random.Generator, sizes: Sequence[int]) -> tuple[int, bool, bool]:
    """What varies from episode to episode: schemas a turn, whether from the end of the list, whether with a guess."""
    return int(sizes[int(rng.integers(len(sizes)))]), bool(rng.integers(2)), bool(rng.integers(2))


def shape_of(parts: Sequence[str]) -> str:
    """The query, for `format`: `table` has the column `field`, `tables` names all that are joined."""
    return WHERE if parts[3:] else TOP


def read_task(task: str) -> dict[str, Any]:
    """What the task message says. `parts` of the question: table, what is selected, column, and its text if it has one."""
    for kind, pattern in QUESTIONS.items():
        found = pattern.search(task)
        if found:
            words = found.groupdict()
            parts = [words.get("main"), SELECTED[kind].format(**words), words["field"]]
            value = [words["value"]] if "value" in words else []
            return {"parts": [*parts, *value], "left": number_in(r"(\d+) queries", task)}
    raise ValueError("the expert cannot read this prompt: it asks no question that it knows")
