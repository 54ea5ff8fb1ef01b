"""What a rule is: its two kinds, its value at an input, the JSON text that states it, and when two rules are the same.

A rule is an object of whole numbers: {"a": 3, "b": 2} for `linear_int`, a*x + b; with "m" for `affine_mod`,
(a*x + b) % m, where the remainder lies between 0 and m - 1, as Python's does.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from knapsack_lib.families.base import ToolError

__all__ = ["FORMS", "KEYS", "read_rule", "same_rule", "value"]

KEYS = {"linear_int": ("a", "b"), "affine_mod": ("a", "b", "m")}
FORMS = {"linear_int": "a*x + b", "affine_mod": "(a*x + b) % m"}
LONGEST = 1000  # letters of a submission


def value(kind: str, rule: Mapping[str, int], x: int) -> int:
    """What the rule answers to an input."""
    found = rule["a"] * x + rule["b"]
    return found % rule["m"] if kind == "affine_mod" else found


def same_rule(
    kind: str, one: Mapping[str, int], other: Mapping[str, int], inputs: Iterable[int]
) -> bool:
    """Whether two rules answer alike to every one of the inputs. Under `affine_mod` rules of other numbers can be the same:
    a and a + m, for one."""
    return all(value(kind, one, x) == value(kind, other, x) for x in inputs)


def read_rule(kind: str, text: Any) -> dict[str, int]:
    """The rule that a JSON text states; keys that the kind does not have are ignored. Raises ToolError (ValueError) for
    anything else."""

    def refuse(what: str) -> ToolError:
        keys = ", ".join(f'"{key}"' for key in KEYS[kind])
        return ToolError("ValueError", f"{what}; give a JSON object with {keys}")

    if not isinstance(text, str):
        raise refuse("no text")
    if len(text) > LONGEST:
        raise refuse(f"more than {LONGEST} letters")
    try:
        stated = json.loads(text)
    except (ValueError, RecursionError):
        raise refuse("no JSON") from None
    if not isinstance(stated, dict):
        raise refuse("no JSON object")
    for key in KEYS[kind]:
        if type(stated.get(key)) is not int:
            raise refuse(f'"{key}" is no whole number' if key in stated else f'"{key}" is missing')
    if kind == "affine_mod" and stated["m"] < 1:
        raise refuse('"m" is below 1')
    return {key: stated[key] for key in KEYS[kind]}
