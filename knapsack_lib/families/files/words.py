"""What an agent is told about `files`, what the expert reads of it, and the expert's own words."""

from __future__ import annotations

import re

from knapsack_lib.families.scripted import MEND

__all__ = ["CALLING", "NAMES", "SAYINGS", "TASK_TEXT", "TOOLS_TEXT", "read_task"]

TOOLS_TEXT = {
    "brief": (
        "ls(), read(name, start, n), grep(text, name), sort(name, column, out), uniq(name, out), "
        "cut(name, columns, out), write(name, text), submit(name), finish()"
    ),
    "full": (
        "- ls() returns a JSON text: an object with the number of lines of each file.\n"
        "- read(name, start, n) returns n lines of a file, from line number start; its first line is number 0.\n"
        "- grep(text, name) returns the lines of a file that hold a fixed text.\n"
        "- sort(name, column, out) sorts the rows of a csv file by a column, named as in its first line, and writes "
        "the result to the file out.\n"
        "- uniq(name, out) writes each different line of a file once to the file out.\n"
        "- cut(name, columns, out) writes the columns of a csv file that a list names to the file out.\n"
        "- write(name, text) writes a file.\n"
        "- submit(name) hands in a file as the result table. You may hand in again; the last one counts.\n"
        "- finish() ends the task.\n"
        "The files are reached through these tools alone. Their names are like result.csv. An answer holds few "
        "lines: asking for too many raises an error."
    ),
}

TASK_TEXT = {
    "brief": (
        "Join {main} and {other} by {key}. Hand in {group},{value}: the sum of each {group}, sorted by {order}. Each id "
        "once; no blanks; no unknown {key}; no stray spaces; {group} in capitals.{period}"
    ),
    "full": (
        "Join {main} and {other} by {key}. The rows of {main} are not clean.\n"
        "Hand in {group},{value}: the sum of each {group}, sorted by {order}. The table is a csv text whose first line is "
        "that header; every line after it is a {group} and its sum. Its score is the share of rows that are right and "
        "in their place, and rows too many count against it.\n"
        "A row counts only if no field is missing or blank and its {key} occurs in {other}. Of rows with the same id "
        "one counts. Spaces around a value mean nothing, nor does the letter case of {group}: write it in "
        "capitals.{period}"
    ),
}

NAMES = (
    {
        "files": "files",
        "rows": "rows",
        "at": "at",
        "step": "step",
        "groups": "index",
        "pairs": "pairs",
        "totals": "sums",
        "clean": "scan",
        "learn": "fill",
        "join": "match",
    },
    {
        "files": "folder",
        "rows": "known",
        "at": "first",
        "step": "batch",
        "groups": "names",
        "pairs": "parts",
        "totals": "counts",
        "clean": "work",
        "learn": "load",
        "join": "pack",
    },
)

SAYINGS = {
    "setup": ("I look at the files.", "First I see what there is.", "I start with the folder."),
    "clean": ("I clean a few rows.", "I go through the rows.", "I keep the good rows."),
    "fewer": ("That was too much at once.", "I ask for fewer lines."),
    "save": ("I write the clean rows to a file.", "I save the rows."),
    "learn": ("Now the other file.", "I read the other file.", "I look up the rest."),
    "join": ("I join both files.", "Now I match the rows."),
    "lost": ("The file is gone, I use what I know.", "I join without the file."),
    "total": ("I add up.", "Now the sums."),
    "write": ("I write the table and hand it in.", "Now the result."),
    "finish": ("I am done.", "The table is handed in."),
    "mend": MEND,
}

# Tool -> sentences, where a turn is one call
CALLING = {
    "ls": SAYINGS["setup"],
    "read": ("I read a few lines.", "I go through the rows.", "I read on."),
    "write": ("I write the table.", "Now the result."),
    "submit": ("I hand the table in.", "I submit the file."),
    "finish": SAYINGS["finish"],
}


def read_task(task: str) -> dict[str, str]:
    """What the task message says. Raises ValueError where it cannot be read."""
    patterns = {
        ("main", "other", "key"): r"Join (\S+) and (\S+) by (\w+)\.",
        ("group", "value"): r"Hand in (\w+),(\w+):",
        ("order",): r"sorted by ([^.]+)\.",
    }
    told: dict[str, str] = {}
    for names, pattern in patterns.items():
        found = re.search(pattern, task)
        if found is None:
            raise ValueError(f"the expert cannot read this prompt: nothing matches {pattern!r}")
        told |= dict(zip(names, found.groups(), strict=True))
    period = re.search(r"Only (\d{4}-\d\d) counts", task)
    return {**told, "period": period[1] if period else ""}
