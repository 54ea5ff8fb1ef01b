"""How a record is read from a tool's answer and how it is printed; and what is printed is read back in the same form.

    statement, form = printed(hand, "$id", reading.fields, shapes)
    form.read(observation)       # [("KuTo", {"class": "A", "value": 5, "weight": 2})]

In the texts `$word` stands for a name of the hand.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from knapsack_lib.families.varied.hand import Hand

__all__ = ["Form", "Reading", "literal_of", "printed", "read_answer"]


@dataclass(frozen=True)
class Reading:
    """Statements that ask a tool about one thing, and expressions of the fields of its answer. `whole`: a name that holds
    all of the answer, as a dict or as text; "" for none."""

    lines: list[str]
    fields: Mapping[str, str]
    whole: str = ""


def read_answer(hand: Hand, call: str, fields: Sequence[str], mistake: str = "") -> Reading:
    """Some way to read the JSON object that `call` answers with. `mistake`: "key" (a key that is not there) or "type" (the
    text is taken for an object)."""
    by_key = {field: f"$record['{field}']" for field in fields}
    variables = {field: f"${field}" for field in fields}
    if mistake:
        wrong, source = fields[-1], f"json.loads({call})" if mistake == "key" else call
        key = hand.draw(wrong[0], wrong[:3], wrong + "s") if mistake == "key" else wrong
        lines = [f"$record = {source}", f"${wrong} = $record['{key}']"]
        return Reading(lines, {**by_key, wrong: f"${wrong}"}, "$record")
    names = ", ".join(variables.values())
    parse = hand.pick("json.loads({})", "ast.literal_eval({})", "eval({})")
    whole = [f"$record = {parse.format(call)}"]
    if hand.chance(0.25):
        whole = [f"$raw = {call}", f"$record = {parse.format('$raw')}"]
    way = hand.pick("record", "values", "fields", "unpacked", "keys", "get")
    if way == "record":
        return Reading(whole, by_key, "$record")
    if way == "values":
        return Reading([f"{names} = {parse.format(call)}.values()"], variables)
    if way == "fields":
        return Reading([*whole, f"{names} = {', '.join(by_key.values())}"], variables, "$record")
    if way == "unpacked":
        return Reading(
            [*whole, *(f"${field} = {by_key[field]}" for field in fields)], variables, "$record"
        )
    if way == "keys":
        keys = ", ".join(f"'{field}'" for field in fields)
        return Reading(
            [*whole, f"{names} = [$record[$one] for $one in ({keys})]"], variables, "$record"
        )
    got = {field: f"$record.get('{field}')" for field in fields}
    return Reading(whole, got, "$record")


@dataclass(frozen=True)
class Form:
    """What a printed line looks like: a pattern with the groups `id` and one for each field, or `whole` for a literal."""

    pattern: str

    def read(self, text: str) -> list[tuple[str, dict[str, Any]]]:
        """(id, record) of every line of the text in this form."""
        found = []
        for line in re.finditer(rf"^{self.pattern}$", text, re.M):
            groups = line.groupdict()
            id = groups.pop("id")
            whole = groups.pop("whole", None)
            record = literal_of(whole) if whole is not None else groups
            if isinstance(record, dict):
                found.append((id, {field: literal_of(value) for field, value in record.items()}))
        return found


def literal_of(value: Any) -> Any:
    """The value that a printed text stands for; the text itself where it is none."""
    try:
        return ast.literal_eval(value) if isinstance(value, str) else value
    except (ValueError, SyntaxError):
        return value


def printed(
    hand: Hand, id: str, fields: Mapping[str, str], shapes: Mapping[str, str], whole: str = ""
) -> tuple[str, Form]:
    """A statement that prints a record, and the form of its line. `shapes`: field -> what its values look like, a regular
    expression."""
    if whole and hand.chance(0.3):
        before = hand.pick("", "->", ":")
        shown = ", ".join([id, *([repr(before)] if before else []), whole])
        middle = f" {re.escape(before)} " if before else " "
        return f"print({shown})", Form(rf"(?P<id>\w+){middle}(?P<whole>\{{.*\}})")
    order = list(fields) if hand.chance(0.6) else hand.shuffled(list(fields))
    label = hand.pick("{0} ", "", "{0}=", "{0}: ", "{1}=", "{1} ")
    labels = {field: label.format(field, field[0]) for field in order}
    groups = {field: rf"{re.escape(labels[field])}(?P<{field}>{shapes[field]})" for field in order}
    if not label and hand.chance(0.6):  # bare values, as print joins them
        values = ", ".join([id, *(fields[field] for field in order)])
        return f"print({values})", Form(" ".join([r"(?P<id>\w+)", *groups.values()]))
    head = hand.pick("{}: ", "{} ", "{} -> ", "{} | ", "[{}] ", "item {}: ", "- {} ")
    join = hand.pick(", ", " ", "; ", " | ", " / ")
    parts = join.join(f"{labels[field]}{{{fields[field]}}}" for field in order)
    pattern = re.escape(head).replace(r"\{\}", r"(?P<id>\w+)")
    pattern += re.escape(join).join(groups[field] for field in order)
    return f'print(f"{head.format("{" + id + "}")}{parts}")', Form(pattern)
