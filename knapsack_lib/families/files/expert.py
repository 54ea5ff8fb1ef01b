"""The scripted expert: cleans one file a few lines at a time, reads the other, joins, adds up, hands in the table.

How many lines an answer may hold is not told: where too many were asked for, the expert asks for one less from then on.
What it knows is carried in variables (persistent) or restated (reset), and only the result is written to the folder. In
a share of episodes, drawn the same way for both styles, the cleaned rows are written to the folder and read again when
they are joined. If they are gone by then, it continues from what it knows.
"""

from __future__ import annotations

import re
from textwrap import indent

import numpy as np

from knapsack_lib.errors import UserError
from knapsack_lib.families.files.words import NAMES, SAYINGS, read_task
from knapsack_lib.families.scripted import CodeExpert

__all__ = ["CLEAN_FILE", "RESULT_FILE", "ScriptedExpert"]

CLEAN_FILE, RESULT_FILE = "clean.json", "result.csv"
DISK_SHARE = 0.25  # of episodes in which the cleaned rows are written to the folder

CLEAN = """\
try:
    for line in read('FILE', $at, $step).splitlines():
        i, *c = [x.strip() for x in line.split(',')]
        if i not in $rows and GOOD:
            $rows[i] = c[-2], int(c[-1])
    $at += $step
except RuntimeError:
    $step -= 1
print('$rows', $rows)
print('$at', $at)
print('$step', $step)
print('left', max(0, END - $at))"""

LEARN_CSV = """\
for line in read('FILE', $at, $step).splitlines():
    k, g = [x.strip() for x in line.split(',')]
    $groups[k] = g.upper()
$at += $step
print('$groups', $groups)
print('$at', $at)
print('left', max(0, END - $at))"""

LEARN_JSON = """\
$groups = {k: g.strip().upper() for k, g in json.loads(read('FILE', 0, 1)).items()}
print('$groups', $groups)"""

JOIN = "[($groups[k], v) for k, v in $rows.values() if k in $groups]"

TOTAL = """\
$totals = {}
for g, v in $pairs:
    $totals[g] = $totals.get(g, 0) + v
print('$totals', $totals)"""

WRITE = f"""\
text = 'HEADER\\n'
for g in ORDER:
    text += f'{{g}},{{$totals[g]}}\\n'
write('{RESULT_FILE}', text)
submit('{RESULT_FILE}')"""


class ScriptedExpert(CodeExpert):
    """The plan in code."""

    names = NAMES
    sayings = SAYINGS
    printed = ("files", "rows", "at", "step", "groups", "pairs", "totals")
    slipping = ("clean", "join")

    def draw(self, rng: np.random.Generator) -> None:
        sizes = self.setting.batch_sizes
        self._step = int(sizes[int(rng.integers(len(sizes)))])
        self._on_disk = bool(rng.random() < DISK_SHARE)
        self._refused = self._lost = False

    def begin(self, task: str) -> None:
        self._task = read_task(task)
        self.facts = {"rows": {}, "groups": {}, "at": 1, "step": self._step}
        if self.calls < 2:
            raise UserError(
                "the expert lists the files and looks at one in its first turn; raise limits.tool_calls to 2"
            )

    def next_stage(self, text: str) -> str:
        tried, self._step = self._step, self.facts["step"]
        self._refused = self.stage == "clean" and self._step < tried
        done = re.search(r"^left [1-9]", text, re.M) is None
        if self.stage == "setup" or (self.stage == "clean" and not done):
            return "clean"
        if self.stage == "clean" and self._on_disk:
            return "save"
        if self.stage in ("clean", "save"):
            self.facts["at"] = 1
            return "learn"
        if self.stage == "learn":
            return "join" if done else "learn"
        if self.stage == "join" and "FileNotFoundError" in text:
            self._on_disk, self._lost = False, True
            return "join"
        return {"join": "total", "total": "write"}.get(self.stage, "finish")

    def occasion(self) -> str:
        if self.stage == "clean" and self._refused:
            return "fewer"
        return "lost" if self.stage == "join" and self._lost else self.stage

    # What it writes -------------------------------------------------------------------------------

    def _filled(self, text: str, which: str = "main") -> str:
        name, period = self._task[which], self._task["period"]
        end = f"$files['{name}']" if self.persistent else str(self.facts.get("files", {}).get(name))
        good = f"len(c) == {3 if period else 2} and all(c)"
        if period:
            good += f" and '{period}' in (c[0][:7], c[0][6:] + '-' + c[0][3:5])"
        largest = "largest first" in self._task["order"]
        order = "sorted($totals, key=$totals.get, reverse=True)" if largest else "sorted($totals)"
        for word, value in {
            "FILE": name,
            "END": end,
            "GOOD": good,
            "HEADER": f"{self._task['group']},{self._task['value']}",
            "ORDER": order,
        }.items():
            text = text.replace(word, value)
        return text

    def _def_clean(self, slips: bool) -> list[str]:
        body = indent(self._filled(CLEAN), "    ")
        return self.helper("clean", f"def $clean():\n    global $at, $step\n{body}", slips)

    def _def_join(self, slips: bool) -> list[str]:
        return self.helper("join", f"def $join():\n    return {JOIN}", slips)

    def _def_learn(self) -> list[str]:
        body = indent(self._filled(LEARN_CSV, "other"), "    ")
        return self.helper("learn", f"def $learn():\n    global $at\n{body}", False)

    def write_setup(self, _: bool) -> str:
        parts = ["import json", "$files = json.loads(ls())"]
        if self.persistent:
            parts.append(f"$rows, $groups, $at, $step = {{}}, {{}}, 1, {self._step}")
            parts += self._def_clean(self._slip == "clean") + self._def_join(self._slip == "join")
        look = f"print(read('{self._task['main']}', 0, 1))"
        return "\n".join([*parts, "print('$files', $files)", look])

    def write_clean(self, slips: bool) -> str:
        if self.persistent:
            return "\n".join([*self._def_clean(slips), "$clean()"])
        kept = ("at", "step") if slips else ("rows", "at", "step")
        return "\n".join([self.literals(*kept), self._filled(CLEAN)])

    def write_save(self, _: bool) -> str:
        restated = [] if self.persistent else ["import json", self.literals("rows")]
        return "\n".join([*restated, f"write('{CLEAN_FILE}', json.dumps($rows))"])

    def write_learn(self, _: bool) -> str:
        if self._task["other"].endswith(".json"):
            restated = [] if self.persistent else ["import json"]
            return "\n".join([*restated, self._filled(LEARN_JSON, "other")])
        if self.persistent:
            start = [] if self.facts["groups"] else ["$at = 1"]
            return "\n".join([*start, *self._def_learn(), "$learn()"])
        known = self.literals("groups", "at", "step")
        return "\n".join([known, self._filled(LEARN_CSV, "other")])

    def write_join(self, slips: bool) -> str:
        from_disk = [f"$rows = json.loads(read('{CLEAN_FILE}', 0, 1))"] if self._on_disk else []
        shown = "print('$pairs', $pairs)"
        if self.persistent:
            return "\n".join([*from_disk, *self._def_join(slips), "$pairs = $join()", shown])
        known = [
            *(["import json"] if self._on_disk else [self.literals("rows")]),
            *([] if slips else [self.literals("groups")]),
        ]
        return "\n".join([*known, *from_disk, f"$pairs = {JOIN}", shown])

    def write_total(self, _: bool) -> str:
        return "\n".join([*([] if self.persistent else [self.literals("pairs")]), TOTAL])

    def write_write(self, _: bool) -> str:
        known = [] if self.persistent else [self.literals("totals")]
        return "\n".join([*known, self._filled(WRITE)])

    def write_finish(self, _: bool) -> str:
        return "finish()"
