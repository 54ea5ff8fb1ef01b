"""The scripted expert: answers a question about tables as a careful agent would, reading only what an agent is shown.

Look at the schemas, a batch a turn; follow the ids from the table asked about to every table that has the question's
column; ask these which texts occur there, until the question's text does; then put the query together, send it and hand its
answer in. Some episodes begin with a guess, that the column is in the table asked about: its query fails where it is not,
and misleads where another table's column of that name is meant. For one task both styles in code make the same tool calls
and print the same lines outside the slips, so paired traces differ in the code alone.
"""

from __future__ import annotations

import re
from textwrap import indent

import numpy as np

from knapsack_lib.errors import UserError
from knapsack_lib.families.scripted import CodeExpert
from knapsack_lib.families.tables.plan import SAYINGS, drawn, read_task, shape_of

__all__ = ["NAMES", "ScriptedExpert"]

NAMES = (
    {
        "rest": "rest",
        "seen": "seen",
        "left": "left",
        "parts": "parts",
        "spots": "spots",
        "sql": "sql",
        "got": "got",
        "look": "look",
        "ask": "ask",
    },
    {
        "rest": "unseen",
        "seen": "known",
        "left": "tries",
        "parts": "notes",
        "spots": "options",
        "sql": "line",
        "got": "found",
        "look": "inspect",
        "ask": "grab",
    },
)

# What later blocks need of a schema: texts, and columns that hold an id (item.id) of another table
READ = """\
for t in $rest[$slice]:
    columns = json.loads(schema(t)).items()
    $seen[t] = {c: s.partition('> ')[2] for c, s in columns if s != 'integer'}
$rest = [t for t in $rest if t not in $seen]
print('$rest', $rest)
print('$seen', $seen)"""

ASK = """\
def $ask(text):
    global $left
    $left -= 1
    return json.loads(query(text))['rows']"""

# `$less` counts a query where no helper does.
GUESS = """\
try:
    $less
    print($parts[0], $rows)
except ValueError as e:
    print(e)
print('$left', $left)"""

# The list grows while it is walked through: each table to which the one asked about leads, and how it is joined.
PLAN = """\
$spots = [[$parts[0], $parts[0]]]
for t, text in $spots:
    for c, s in $seen[t].items():
        to = s.split('.')[0]
        if to: $spots.append([to, f'{text} join {to} on {t}.{c} = {s}'])
$spots = [x for x in $spots if $parts[2] in $seen[x[0]]]
print('$spots', $spots)"""

CHECK = """\
for t, text in $spots:
    $less
    rows = $rows
    print(t, rows)
    if $parts[3:] in rows: break
$sql = f"$query"
print('$sql', repr($sql))
print('$left', $left)"""

SEND = """\
$got = $rows[0][0]
print('$got', repr($got))"""


class ScriptedExpert(CodeExpert):
    """The plan in code."""

    names = NAMES
    sayings = SAYINGS
    printed = ("rest", "seen", "left", "spots", "sql", "got")
    slipping = ("look", "check")

    def draw(self, rng: np.random.Generator) -> None:
        self._batch, self._from_end, self._guesses = drawn(rng, self.setting.batch_sizes)
        self._refused = False

    def begin(self, task: str) -> None:
        self.facts = read_task(task)
        if self.calls < 2:
            raise UserError(
                "the expert lists the tables and looks at one in its first turn; raise limits.tool_calls to 2"
            )
        self._batch = min(self._batch, self.calls - 1)
        if self._slip == "check" and self._guesses:
            self._slip = "guess"  # the first block that asks

    def next_stage(self, text: str) -> str:
        self._refused = text.startswith("no such column")
        if self.stage == "check" and "sql" not in self.facts:
            raise UserError(
                "the expert asks several tables for a column in one turn; raise limits.tool_calls"
            )
        if self.stage == "setup" and self._guesses:
            return "guess"
        if self.stage in ("setup", "guess", "look"):
            return "look" if self.facts["rest"] else "plan"
        return {"plan": "check", "check": "ask", "ask": "answer"}[self.stage]

    def occasion(self) -> str:
        return "no such" if self.stage == "look" and self._refused else self.stage

    # What it writes -------------------------------------------------------------------------------

    def _read_batch(self, count: str) -> str:
        return READ.replace("$slice", f"-{count}:" if self._from_end else f":{count}")

    def _def_look(self, slips: bool) -> list[str]:
        text = "def $look(k):\n    global $rest\n" + indent(self._read_batch("k"), "    ")
        return self.helper("look", text, slips)

    def _def_ask(self, slips: bool) -> list[str]:
        return self.helper("ask", ASK, slips) if self.persistent else []

    def _asking(self, block: str, text: str) -> str:
        """A block with the rows of a query, by the helper or without it."""
        if self.persistent:
            return re.sub(r" *\$less\n", "", block).replace("$rows", f"$ask({text})")
        rows = f"json.loads(query({text}))['rows']"
        return block.replace("$less", "$left -= 1").replace("$rows", rows)

    def _restated(self, *facts: str) -> list[str]:
        return [] if self.persistent else [self.literals(*facts)]

    def _imported(self, *facts: str) -> list[str]:
        return [] if self.persistent else ["import json", self.literals(*facts)]

    def write_setup(self, _: bool) -> str:
        parts = ["import json", self.literals("parts", "left"), "$seen = {}"]
        if self.persistent:
            parts += [
                *self._def_ask(self._slip in ("guess", "check")),
                *self._def_look(self._slip == "look"),
            ]
        parts.append("$rest = json.loads(tables())")
        helper = "look" in self.defined
        parts.append(f"$look({self._batch})" if helper else self._read_batch(str(self._batch)))
        return "\n".join([*parts, "print('$parts', $parts)", "print('$left', $left)"])

    def write_guess(self, slips: bool) -> str:
        text = "f'select distinct {$parts[2]} from {$parts[0]}'"
        kept = self._imported("left") if slips else self._imported("parts", "left")
        return "\n".join([*kept, *self._def_ask(slips), self._asking(GUESS, text)])

    def write_look(self, slips: bool) -> str:
        if self.persistent:
            return "\n".join([*self._def_look(slips), f"$look({self._batch})"])
        kept = self._imported("rest") if slips else self._imported("rest", "seen")
        return "\n".join([*kept, self._read_batch(str(self._batch))])

    def write_plan(self, _: bool) -> str:
        return "\n".join([*self._restated("parts", "seen"), PLAN])

    def write_check(self, slips: bool) -> str:
        shape = shape_of(self.facts["parts"])
        # As the inside of an f-string, which takes what is asked from the parts of the question
        whole = shape.format(
            want="{$parts[1]}",
            tables="{text}",
            table="{t}",
            field="{$parts[2]}",
            value="{$parts[3]}",
        )
        asked = "f'select distinct {$parts[2]} from {t}'"
        facts = ("parts", "left") if slips else ("parts", "spots", "left")
        return "\n".join(
            [
                *self._imported(*facts),
                *self._def_ask(slips),
                self._asking(CHECK.replace("$query", whole), asked),
            ]
        )

    def write_ask(self, _: bool) -> str:
        return "\n".join([*self._imported("sql"), self._asking(SEND, "$sql")])

    def write_answer(self, _: bool) -> str:
        return "\n".join([*self._restated("got"), "answer($got)\nfinish()"])
