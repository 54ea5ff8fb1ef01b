"""The same tools over a real folder, written without a thought of what a model may pass to them: the attacks of
test_hostile.py succeed here."""

import functools
import glob
import itertools
import json
import os
import re

from knapsack_lib.families.base import ToolError
from knapsack_lib.families.files.world import TOOLS, rows_right


def refusing(tool):
    """What the system refuses, the tool refuses; nothing else is thought of."""

    @functools.wraps(tool)
    def called(*args):
        try:
            return tool(*args)
        except OSError as error:
            raise ToolError(type(error).__name__, str(error)) from None

    return called


class NaiveWorld:
    def __init__(self, task, folder):
        self.task, self.root, self.done, self.name = task, folder, False, None
        for name, text in task.private["files"].items():
            if not os.path.exists(self.path(name)):
                self.write(name, text)
        self.tools = {name: refusing(getattr(self, name)) for name in TOOLS}

    def path(self, name):
        return os.path.join(self.root, name)

    def files(self):
        found = {}
        for name in os.listdir(self.root):
            with open(self.path(name), encoding="utf-8", newline="") as file:
                found[name] = file.read()
        return found

    def lines(self, name):
        with open(self.path(name), encoding="utf-8") as file:
            return file.read().splitlines()

    def ls(self):
        names = [os.path.basename(path) for path in glob.glob(self.path("*"))]
        return json.dumps({name: len(self.lines(name)) for name in names})

    def read(self, name, start, n):
        with open(self.path(name), encoding="utf-8") as file:
            return "".join(itertools.islice(file, start, start + n))

    def grep(self, pattern, name):
        return "\n".join(line for line in self.lines(name) if re.search(pattern, line))

    def sort(self, name, column, out):
        header, *rows = [line.split(",") for line in self.lines(name)]
        place = header.index(column)
        rows.sort(key=lambda row: int(row[place]) if row[place].isdigit() else 0)
        self.write(out, "\n".join(",".join(row) for row in [header, *rows]))

    def uniq(self, name, out):
        self.write(out, "\n".join(dict.fromkeys(self.lines(name))))

    def cut(self, name, columns, out):
        rows = [line.split(",") for line in self.lines(name)]
        places = [rows[0].index(column) for column in columns]
        self.write(out, "\n".join(",".join(row[p] for p in places) for row in rows))

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)

    def submit(self, name):
        self.name = name

    def finish(self):
        self.done = True

    def result(self):
        wanted = [list(map(str, row)) for row in self.task.reference["rows"]]
        text = "\n".join(self.lines(self.name)) if self.name else ""
        right, given = rows_right(self.task.reference["columns"], wanted, text)
        return {"score": right / max(len(wanted), given), "rows_given": given}
