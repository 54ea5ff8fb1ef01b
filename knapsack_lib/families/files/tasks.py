"""Tasks of `files`: a table of dirty rows, a second file to join it with, and a result table to be made of both.

    task = make_task(SIZES["easy"], seed=7, split="train", index=0)

Rows are drawn clean and the reference is worked out from them; only then are they written down with faults: repeated and
incomplete rows, keys without a partner, stray spaces, letter case, two spellings of a date. `easy` and `medium` are of a
size that a person would still look through; `pocket-easy` and `pocket-medium` are for a 0.6 M-parameter model.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from knapsack_lib.errors import UserError
from knapsack_lib.families.base import Task
from knapsack_lib.families.files.folder import ANSWER
from knapsack_lib.families.files.world import TOOLS
from knapsack_lib.families.ids import SYLLABLES, draw_ids, id_names
from knapsack_lib.seeds import named_seed

__all__ = ["SIZES", "THEMES", "Size", "make_task"]

# Table, what its key stands for, its number, what the second file groups by
THEMES = (
    ("orders", "buyer", "cost", "city"),
    ("visits", "guest", "fee", "room"),
    ("readings", "sensor", "value", "depot"),
)
LETTERS = "ABCDEFGHIJKL"
WORDS = "NORTH SOUTH EAST WEST HILL LAKE PORT MILL PARK FORD WOOD GATE".split()
LINE = 80  # characters that a row takes at most, with long ids, spaces and a date
STRAY = 0.25  # share of cells with a stray space
PERIOD, MONTHS = "2024-03", (2, 3, 3, 4)


@dataclass(frozen=True)
class Size:
    """Ranges of one difficulty; both ends of a pair are included. Raises UserError where no task can exist."""

    name: str
    rows: tuple[int, int]  # of the table, with its faulty ones
    keys: tuple[int, int]  # rows of the second file
    groups: int
    repeated: tuple[int, int]  # rows that are there twice
    broken: tuple[int, int]  # rows that lack something
    strangers: tuple[int, int]  # rows whose key the second file does not have
    page: tuple[int, int]  # lines that an answer may hold
    value: tuple[int, int] = (1, 99)
    dates: bool = False  # whether rows are dated, and one month alone is asked for
    ids: str = "hex"  # see families/ids.py
    redraws: int = 200

    def __post_init__(self) -> None:
        def fail(what: str) -> None:
            raise UserError(f"size {self.name!r}: {what}")

        for name in ("rows", "keys", "page", "value", "repeated", "broken", "strangers"):
            low, high = getattr(self, name)
            least = 0 if name in ("repeated", "broken", "strangers") else 1
            if not least <= low <= high <= 10**6:
                fail(f"{name} = [{low}, {high}]; give {least} <= low <= high <= 1,000,000")
        faulty = self.repeated[1] + self.broken[1] + self.strangers[1]
        if self.rows[0] < faulty + 2:
            fail(f"{self.rows[0]} rows with up to {faulty} faulty ones; leave 2 good rows or more")
        if not 2 <= self.groups <= min(self.keys[0], len(LETTERS)):
            fail(
                f"groups = {self.groups}; give 2 to {len(LETTERS)}, and no more than there are keys"
            )
        if max(self.rows[1], self.keys[1]) * LINE > ANSWER:
            fail(f"more rows or keys than {ANSWER // LINE}, which a file of one line could hold")
        needed = self.rows[1] + self.keys[1] + self.strangers[1]
        if self.ids == "syllables" and needed > len(SYLLABLES) // 2:
            fail(f"up to {needed} ids need more than {len(SYLLABLES)} syllables; use ids: hex")
        if self.ids not in ("hex", "syllables"):
            fail(f"ids = {self.ids!r}; choose hex or syllables")


SIZES = {
    size.name: size
    for size in (
        Size("easy", (20, 30), (8, 12), 4, (2, 4), (2, 4), (1, 2), (6, 8)),
        Size("medium", (45, 60), (14, 18), 6, (4, 8), (4, 8), (2, 4), (6, 8), dates=True),
        Size("pocket-easy", (5, 6), (3, 4), 2, (1, 1), (1, 1), (0, 1), (2, 3), ids="syllables"),
        Size("pocket-medium", (8, 8), (5, 5), 3, (1, 2), (1, 2), (0, 1), (2, 3), ids="syllables"),
    )
}


def make_task(size: Size, *, seed: int, split: str, index: int) -> Task:
    """The task of one (seed, size, split, index): the same bytes in every process.

    Raises UserError when `size.redraws` tasks in a row have fewer than two groups or two groups with one total.
    """
    task_seed = named_seed(seed, "task", "files", size.name, split, index)
    rng = np.random.Generator(np.random.PCG64(task_seed))
    for _ in range(size.redraws):
        drawn = _draw(size, rng)
        if drawn is not None:
            break
    else:
        raise UserError(
            f"size {size.name!r}: {size.redraws} draws in a row broke its rules; widen its ranges"
        )
    table, key, value, group = drawn["theme"]
    main, other = drawn["files"]
    totals = drawn["totals"]
    by_total = bool(rng.integers(2))
    order = sorted(totals, key=lambda g: -totals[g]) if by_total else sorted(totals)
    return Task(
        task_id=f"files-{split}-{index:05d}",
        family="files",
        seed=task_seed,
        difficulty={
            "n_rows": drawn["rows"],
            "n_counted": drawn["counted"],
            "n_keys": drawn["keys"],
            "n_groups": len(totals),
            "page": drawn["page"],
            "second_file": other.partition(".")[2],
        },
        tools=list(TOOLS),
        public={
            "main": main,
            "other": other,
            "key": key,
            "group": group,
            "value": value,
            "order": f"{value}, largest first" if by_total else group,
            "period": PERIOD if size.dates else "",
        },
        private={"files": drawn["files"], "page": drawn["page"]},
        reference={"columns": [group, value], "rows": [[g, totals[g]] for g in order]},
        nl=f"{table.capitalize()} of {drawn['rows']} rows, joined by {key}.",
        run_name=f"{size.name}-{split}",
    )


def _draw(size: Size, rng: np.random.Generator) -> dict[str, Any] | None:
    """One candidate, or None where its result would be no table with an order."""
    theme = THEMES[int(rng.integers(len(THEMES)))]
    table, key, value, group = theme
    n, n_keys, repeated, broken, strangers, page = (
        _between(rng, getattr(size, name))
        for name in ("rows", "keys", "repeated", "broken", "strangers", "page")
    )
    once = n - repeated
    names = id_names(size.ids, draw_ids(rng, size.ids, once + n_keys + strangers), "id")
    ids, keys, unknown = names[:once], names[once : once + n_keys], names[once + n_keys :]
    kinds = list(LETTERS if size.ids == "syllables" else WORDS)[: size.groups]
    of = dict(zip(keys, kinds + _some(rng, kinds, n_keys - size.groups), strict=True))
    good = once - broken - strangers
    dated = {i: _date(rng) for i in ids} if size.dates else {}
    owners = _some(rng, keys, good) + unknown + _some(rng, keys, broken)
    rows = [(i, k, _between(rng, size.value)) for i, k in zip(ids, owners, strict=True)]
    totals: dict[str, int] = {}
    counted = [row for row in rows[:good] if not dated or dated[row[0]][0] == PERIOD]
    for _, k, number in counted:
        totals[of[k]] = totals.get(of[k], 0) + number
    if len(totals) < 2 or len(set(totals.values())) < len(totals):
        return None
    lines = [_cells(row, dated, rng) for row in rows]
    for cells in lines[good + strangers :]:
        _break(cells, rng)
    twice = rng.permutation(good + strangers)[:repeated]
    lines += [_cells(rows[int(i)], dated, rng) for i in twice]
    head = ["id", *(["date"] if dated else []), key, value]
    main = [head, *([_stray(rng, c) for c in lines[i]] for i in rng.permutation(len(lines)))]
    pairs = [(k, _stray(rng, _spelt(rng, of[k]))) for k in _some(rng, keys, n_keys, again=False)]
    if rng.integers(2):
        second = {f"{key}s.json": json.dumps(dict(pairs)) + "\n"}
    else:
        second = {f"{key}s.csv": _csv([(key, group), *((_stray(rng, k), g) for k, g in pairs)])}
    return {
        "theme": theme,
        "files": {f"{table}.csv": _csv(main), **second},
        "totals": totals,
        "rows": len(lines),
        "counted": len(counted),
        "keys": n_keys,
        "page": page,
    }


def _between(rng: np.random.Generator, ends: tuple[int, int]) -> int:
    return int(rng.integers(ends[0], ends[1] + 1))


def _some(
    rng: np.random.Generator, values: Sequence[str], count: int, again: bool = True
) -> list[str]:
    drawn = rng.integers(len(values), size=count) if again else rng.permutation(len(values))[:count]
    return [values[int(i)] for i in drawn]


def _date(rng: np.random.Generator) -> tuple[str, int]:
    """(month, day)."""
    return f"2024-{MONTHS[int(rng.integers(len(MONTHS)))]:02d}", int(rng.integers(1, 29))


def _cells(
    row: tuple[str, str, int], dated: dict[str, tuple[str, int]], rng: np.random.Generator
) -> list[str]:
    i, key, value = row
    if not dated:
        return [i, key, str(value)]
    month, day = dated[i]
    plain, dotted = f"{month}-{day:02d}", f"{day:02d}.{month[5:]}.{month[:4]}"
    return [i, plain if rng.random() < 0.6 else dotted, key, str(value)]


def _break(cells: list[str], rng: np.random.Generator) -> None:
    """Make a row lack something: its number, its key, or a whole field."""
    what = int(rng.integers(3))
    if what == 2:
        cells.pop()
    else:
        cells[what - 2] = ""


def _stray(rng: np.random.Generator, cell: str) -> str:
    return (
        f" {cell}" if rng.random() < STRAY / 2 else f"{cell} " if rng.random() < STRAY / 2 else cell
    )


def _spelt(rng: np.random.Generator, word: str) -> str:
    return (word, word, word.lower(), word.capitalize())[int(rng.integers(4))]


def _csv(rows: Sequence[Sequence[str]]) -> str:
    return "".join(",".join(row) + "\n" for row in rows)
