"""Tasks of the family, and one made by hand."""

import json

from knapsack_lib.families import family_named
from knapsack_lib.families.base import Task

__all__ = ["FAMILY", "by_hand", "tasks"]

FAMILY = family_named("tables")
TABLES = {
    "item": {
        "columns": [["id", "integer"], ["town", "text"], ["cost", "integer"]],
        "rows": [[1, "Baku", 4], [2, "Rome", 9]],
    },
    "sale": {
        "columns": [
            ["id", "integer"],
            ["item", "integer -> item.id"],
            ["paid", "integer"],
            ["kind", "text"],
        ],
        "rows": [[1, 1, 10, "old"], [2, 2, 5, "new"], [3, 1, 7, "new"]],
    },
    "apart": {"columns": [["id", "integer"], ["town", "text"]], "rows": [[1, "Oslo"]]},
}


def tasks(count, size="pocket-easy", *, seed=1, split="test"):
    return [FAMILY.make_task(size, seed=seed, split=split, index=i) for i in range(count)]


def by_hand(value=17, queries=3, shown=4):
    """What is the sum of paid in sale with town 'Baku'?"""
    task = {
        "task_id": "t",
        "family": "tables",
        "seed": 1,
        "difficulty": {},
        "public": {
            "question": "What is the sum of paid in sale with town 'Baku'?",
            "queries": queries,
            "shown": shown,
        },
        "private": {"tables": TABLES},
        "reference": {"query": "SELECT 17", "value": value},
    }
    return Task.from_json(json.dumps(task))
