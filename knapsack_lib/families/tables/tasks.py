"""Tasks: a question about a small database whose schema must be discovered.

    task = make_task(SIZES["easy"], seed=7, split="train", index=0)

One table is asked about. It refers to others, which may refer to others still; further tables refer to them or stand
apart. The same label may be a column of several tables, but a text occurs in one column alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from knapsack_lib.errors import UserError
from knapsack_lib.families.base import Task
from knapsack_lib.families.ids import SYLLABLES, draw_ids, id_names
from knapsack_lib.families.tables.questions import KINDS, Question
from knapsack_lib.families.tables.sizes import PAIRS, Size
from knapsack_lib.families.tables.sql import run
from knapsack_lib.families.tables.words import THEMES, Theme
from knapsack_lib.families.tables.world import TOOLS
from knapsack_lib.seeds import named_seed

__all__ = ["make_task"]


def make_task(size: Size, *, seed: int, split: str, index: int) -> Task:
    """The task of one (seed, size, split, index): the same bytes in every process.

    Raises UserError when `size.redraws` candidates in a row break the rules of a question.
    """
    task_seed = named_seed(seed, "task", "tables", size.name, split, index)
    rng = np.random.Generator(np.random.PCG64(task_seed))
    theme, kind = _one_of(rng, THEMES), _one_of(rng, KINDS)
    for _ in range(size.redraws):
        tables, asked = _draw(size, rng, THEMES[theme], kind)
        value = _answer(tables, asked) if asked else None
        if asked and value is not None:
            break
    else:
        raise UserError(
            f"size {size.name!r}: {size.redraws} draws in a row gave no question; widen its ranges"
        )
    return Task(
        task_id=f"tables-{split}-{index:05d}",
        family="tables",
        seed=task_seed,
        difficulty={
            "joins": len(asked.path),
            "kind": kind,
            "n_rows": sum(len(table["rows"]) for table in tables.values()),
            "n_tables": len(tables),
            "theme": theme,
        },
        tools=list(TOOLS),
        public={"queries": size.queries, "question": asked.sentence, "shown": size.shown},
        private={"tables": tables},
        reference={"query": asked.query(), "value": value},
        nl=f"A question about {len(tables)} tables.",
        run_name=f"{size.name}-{split}",
    )


def _answer(tables: dict[str, Any], asked: Question) -> Any:
    """What the query gives, or None where it is empty, shared by two, or the same without the condition."""
    if asked.kind == "top":
        best = run(tables, asked.query(most=2), 2)["rows"]
        return best[0][0] if len(best) == 2 and best[0][1] > best[1][1] else None
    (value,) = run(tables, asked.query(), 1)["rows"][0]
    everything = run(tables, asked.query(condition=False), 1)["rows"][0]
    return None if value in (None, 0, *everything) else value


def _draw(
    size: Size, rng: np.random.Generator, theme: Theme, kind: str
) -> tuple[dict[str, Any], Question | None]:
    """Tables and a question about them; no question where a column for it is missing."""
    linked, apart = _between(rng, size.linked), _between(rng, size.apart)
    events, things = _shuffled(rng, theme.events), _shuffled(rng, theme.things)
    rest = things + events[1:]
    main, *others = names = [events[0], *rest[: linked - 1]]
    # A linked table is referred to by one before it; a table apart refers to any linked one.
    parents = {name: names[int(rng.integers(k))] for k, name in enumerate(others, start=1)}
    refers = {one: [child for child in others if parents[child] == one] for one in names}
    refers |= {one: [_one_of(rng, names)] for one in rest[linked - 1 :][:apart]}

    paths: dict[str, tuple[str, ...]] = {main: (main,)}
    for child in others:
        paths[child] = (*paths[parents[child]], child)
    far = [name for name in names for _ in paths[name]]  # the further away the likelier
    target, field = _one_of(rng, far), _one_of(rng, theme.labels)
    labels = {one: _some(rng, theme.labels, size.labels) for one in refers}
    if field not in labels[target]:
        labels[target][0] = field
    if kind == "top":
        # All texts of the column are meant, so it must be clear which column that is.
        for one in names:
            if one != target:
                labels[one] = [label for label in labels[one] if label != field]

    suffix = _one_of(rng, size.suffixes)
    tables = _tables(size, rng, theme, refers, labels, suffix)
    values = _column(tables[target], field)
    counted = [one for one in labels[main] if one != field] + [
        f"{to}{suffix}" for to in refers[main]
    ]
    if kind == "distinct" and not counted:
        return tables, None
    path = paths[target]
    return tables, Question(
        kind,
        main,
        tuple((one, f"{to}{suffix}", to) for one, to in zip(path, path[1:], strict=False)),
        field,
        number=next(c for c, _ in tables[main]["columns"] if c in theme.numbers),
        label=_one_of(rng, counted) if counted else "",
        value="" if kind == "top" else _one_of(rng, values),
    )


def _tables(
    size: Size,
    rng: np.random.Generator,
    theme: Theme,
    refers: dict[str, list[str]],
    labels: dict[str, list[str]],
    suffix: str,
) -> dict[str, Any]:
    """The tables in the order of their names, which a task file keeps: name -> {"columns": [[name, kind]], "rows"}. The
    first of `refers` is the one asked about."""
    main = next(iter(refers))
    counts = {one: _between(rng, size.rows if one == main else size.thing_rows) for one in refers}
    texts = {(one, label): _between(rng, size.texts) for one in refers for label in labels[one]}
    pool = _texts(rng, sum(texts.values()))
    made = {}
    for one in _shuffled(rng, refers):
        count = counts[one]
        columns = [["id", "integer"]]
        values: list[list[Any]] = [list(range(1, count + 1))]
        for to in refers[one]:
            columns.append([f"{to}{suffix}", f"integer -> {to}.id"])
            values.append(rng.integers(1, counts[to] + 1, count).tolist())
        for number in _some(rng, theme.numbers, size.numbers):
            columns.append([number, "integer"])
            values.append(rng.integers(size.number[0], size.number[1] + 1, count).tolist())
        for label in labels[one]:
            columns.append([label, "text"])
            own = [pool.pop() for _ in range(texts[one, label])]
            values.append([_one_of(rng, own) for _ in range(count)])
        made[one] = {"columns": columns, "rows": [list(row) for row in zip(*values, strict=True)]}
    return dict(sorted(made.items()))


def _column(table: dict[str, Any], name: str) -> list[Any]:
    place = [column for column, _ in table["columns"]].index(name)
    return [row[place] for row in table["rows"]]


def _between(rng: np.random.Generator, ends: tuple[int, int]) -> int:
    return int(rng.integers(ends[0], ends[1] + 1))


def _one_of(rng: np.random.Generator, words: Iterable[str]) -> str:
    listed = list(words)
    return listed[int(rng.integers(len(listed)))]


def _shuffled(rng: np.random.Generator, words: Iterable[str]) -> list[str]:
    listed = list(words)
    return [listed[k] for k in rng.permutation(len(listed))]


def _some(rng: np.random.Generator, words: Iterable[str], ends: tuple[int, int]) -> list[str]:
    return _shuffled(rng, words)[: _between(rng, ends)]


def _texts(rng: np.random.Generator, count: int) -> list[str]:
    """Different texts of two syllables; no syllable is used twice where there are few texts."""
    if 2 * count <= len(SYLLABLES):
        return id_names("syllables", draw_ids(rng, "syllables", count))
    pairs = [divmod(k, len(SYLLABLES)) for k in rng.permutation(PAIRS)[:count].tolist()]
    return id_names("syllables", [k for pair in pairs for k in pair])
