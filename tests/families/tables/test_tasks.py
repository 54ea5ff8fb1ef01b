"""The tasks of tables: answers are what plain Python finds in the rows, the rules hold, the same seed gives the same bytes."""

import hashlib
import json
import os
import re
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from common import one_line
from hypothesis import given, settings
from hypothesis import strategies as st

from families.tables.drawn import FAMILY, tasks
from knapsack_lib.errors import UserError
from knapsack_lib.families.tables.questions import KINDS
from knapsack_lib.families.tables.sizes import SIZES
from knapsack_lib.families.tables.words import THEMES

make_task = FAMILY.make_task
ROOT = Path(__file__).parents[3]


# The answer ---------------------------------------------------------------------------------------


def held(tables, table, row):
    """Every (column, text) of a row and of the rows that it refers to; and these by their tables."""
    found = []
    for (column, kind), value in zip(tables[table]["columns"], row, strict=True):
        if kind == "text":
            found.append((table, column, value))
        elif "->" in kind:
            to = kind.split("-> ")[1].removesuffix(".id")
            (there,) = [other for other in tables[to]["rows"] if other[0] == value]
            found += held(tables, to, there)
    return found


def solved(task):
    """The answer by following each row's ids, from the question's words."""
    question, tables = task.public["question"], task.private["tables"]
    about, _, text = question.partition(" with ")
    main = re.search(r"(?:in|of) (\w+)(?: have|$|\?)", about)[1]
    columns = [column for column, _ in tables[main]["columns"]]
    rows = tables[main]["rows"]
    number = re.search(r"(?:sum|mean) of (\w+)", question)
    numbers = [row[columns.index(number[1])] for row in rows] if number else []
    texts = [held(tables, main, row) for row in rows]
    if about.startswith("Which"):
        field = about.split()[1]
        totals = Counter()
        for total, row in zip(numbers, texts, strict=True):
            (value,) = [value for _, column, value in row if column == field]
            totals[value] += total
        (first, most), (_, second) = totals.most_common(2)
        assert most > second
        return first
    field, value = re.search(r"(\w+) '(\w+)'", question).groups()
    fits = [any((c, v) == (field, value) for _, c, v in row) for row in texts]
    if " different values of " in about:
        label = columns.index(about.split(" of ")[1].split()[0])
        return len({row[label] for row, fit in zip(rows, fits, strict=True) if fit})
    if number is None:
        return sum(fits)
    chosen = [n for n, fit in zip(numbers, fits, strict=True) if fit]
    return sum(chosen) / len(chosen) if "mean" in about else sum(chosen)


@pytest.mark.parametrize("size", SIZES)
def test_the_answer_is_what_plain_python_finds_in_the_rows(size):
    kinds = Counter()
    for task in tasks(150, size, seed=11):
        kinds[task.difficulty["kind"]] += 1
        value, found = task.reference["value"], solved(task)
        if task.difficulty["kind"] == "mean":
            assert abs(value - found) <= 0.005 + 1e-9 and round(value, 2) == value
        else:
            assert value == found and type(value) is type(found)
    assert set(kinds) == set(KINDS) and min(kinds.values()) > 15


@pytest.mark.parametrize("size", SIZES)
def test_the_reference_query_gives_the_answer_in_any_database(size):
    for task in tasks(10, size, seed=12):
        with closing(sqlite3.connect(":memory:")) as database:
            for name, table in task.private["tables"].items():
                database.execute(
                    f"create table {name} ({', '.join(column for column, _ in table['columns'])})"
                )
                holes = ", ".join("?" * len(table["columns"]))
                database.executemany(f"insert into {name} values ({holes})", table["rows"])
            assert database.execute(task.reference["query"]).fetchall() == [
                (task.reference["value"],)
            ]


def test_a_question_can_be_two_joins_away_from_its_table():
    joins = Counter(task.difficulty["joins"] for task in tasks(200))
    assert set(joins) == {0, 1, 2} and min(joins.values()) >= 25
    assert max(task.difficulty["joins"] for task in tasks(60, "medium")) >= 3


# Rules --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SIZES)
def test_every_task_keeps_the_rules_of_its_size(name):
    size = SIZES[name]
    for task in tasks(60, name, seed=3):
        tables = task.private["tables"]
        main = re.search(r"FROM (\w+)", task.reference["query"])[1]
        reached, todo = set(), [main]
        while todo:
            reached.add(todo[-1])
            kinds = dict(tables[todo.pop()]["columns"]).values()
            todo += [kind.split("-> ")[1][:-3] for kind in kinds if "->" in kind]
        assert size.linked[0] <= len(reached) <= size.linked[1]
        assert size.apart[0] <= len(tables) - len(reached) <= size.apart[1]
        places = {}
        for table, content in tables.items():
            kinds = [kind for _, kind in content["columns"]]
            low, high = size.rows if table == main else size.thing_rows
            assert low <= len(content["rows"]) <= high
            assert [row[0] for row in content["rows"]] == list(range(1, len(content["rows"]) + 1))
            assert kinds[0] == "integer" and content["columns"][0][0] == "id"
            assert size.numbers[0] <= kinds.count("integer") - 1 <= size.numbers[1]
            least = 0 if task.difficulty["kind"] == "top" else size.labels[0]
            assert least <= kinds.count("text") <= size.labels[1]
            for place, (column, kind) in enumerate(content["columns"]):
                values = [row[place] for row in content["rows"]]
                if kind == "text":
                    assert 1 <= len(set(values)) <= size.texts[1]
                    for value in values:
                        assert places.setdefault(value, (table, column)) == (table, column)
                elif "->" in kind:
                    keys = [row[0] for row in tables[kind.split("-> ")[1][:-3]]["rows"]]
                    assert set(values) <= set(keys)
                elif place:
                    assert all(size.number[0] <= value <= size.number[1] for value in values)


def test_the_column_asked_for_is_often_one_of_several_of_that_name():
    several = 0
    for task in tasks(200):
        field = re.search(r"(\w+) '|Which (\w+)", task.public["question"])
        name = field[1] or field[2]
        several += (
            sum(name in dict(table["columns"]) for table in task.private["tables"].values()) > 1
        )
    assert several >= 60


def test_pocket_texts_are_two_syllables_that_no_other_text_shares():
    for name in ("pocket-easy", "pocket-medium"):
        for task in tasks(40, name):
            tables = task.private["tables"].values()
            texts = {v for table in tables for row in table["rows"] for v in row if type(v) is str}
            pieces = [piece for text in texts for piece in (text[:2], text[2:])]
            assert all(len(text) == 4 for text in texts) and len(set(pieces)) == len(pieces)


def test_pocket_medium_is_larger_than_anything_trained_on():
    assert min(len(t.private["tables"]) for t in tasks(20, "pocket-medium")) > max(
        len(t.private["tables"]) for t in tasks(100)
    )


def test_all_names_can_be_written_without_quotes_and_none_is_used_twice():
    for theme in THEMES.values():
        words = [*theme.events, *theme.things, *theme.labels, *theme.numbers]
        assert len(set(words)) == len(words) and "id" not in words
        with closing(sqlite3.connect(":memory:")) as database:
            for word in words:
                database.execute(f"create table {word} ({', '.join(words)})")
                database.execute(f"select {word}.{word} from {word} group by {word}.{word}")


def test_tasks_are_ascii_and_of_every_theme():
    drawn = tasks(40) + tasks(10, "medium")
    assert all(task.to_json().isascii() for task in drawn)
    assert {task.difficulty["theme"] for task in drawn} == set(THEMES)


# Same seed, same bytes ----------------------------------------------------------------------------

DIGEST = """
import hashlib
from knapsack_lib.families import family_named
family = family_named("tables")
tasks = [family.make_task(s, seed=5, split=p, index=i) for s in family.sizes for p in ("train", "easy") for i in range(3)]
print(hashlib.sha256("".join(task.to_json() for task in tasks).encode()).hexdigest())
"""


def test_the_same_seed_gives_the_same_bytes_in_every_process():
    texts = [
        make_task(s, seed=5, split=p, index=i).to_json()
        for s in SIZES
        for p in ("train", "easy")
        for i in range(3)
    ]
    digests = {hashlib.sha256("".join(texts).encode()).hexdigest()}
    for hash_seed in ("0", "4321"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-c", DIGEST],
            env=environment,
            capture_output=True,
            encoding="utf-8",
            check=True,
        )
        digests.add(done.stdout.strip())
    assert len(digests) == 1


def test_a_task_does_not_depend_on_what_was_drawn_before_it_nor_on_global_randomness():
    first = make_task("easy", seed=5, split="train", index=7).to_json()
    np.random.seed(0)  # noqa: NPY002 - the very thing that must not matter
    assert tasks(8, "easy", seed=5, split="train")[7].to_json() == first


def test_another_seed_split_index_or_size_gives_another_task():
    def hidden(size="pocket-easy", seed=1, split="train", index=0):
        return json.dumps(make_task(size, seed=seed, split=split, index=index).private)

    others = [hidden(seed=2), hidden(split="easy"), hidden(index=1), hidden(size="pocket-medium")]
    assert len({hidden(), *others}) == 5


def test_no_test_task_is_a_training_task():
    train = {json.dumps(t.private, sort_keys=True) for t in tasks(300, split="train")}
    test = {json.dumps(t.private, sort_keys=True) for t in tasks(60, split="easy")}
    assert len(train) == 300 and len(test) == 60 and not train & test


# Impossible settings ------------------------------------------------------------------------------

GOOD = SIZES["pocket-easy"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"linked": (0, 3)}, r"linked = \[0, 3\] is an empty range; give 1 <= low <= high"),
        ({"linked": (3, 2)}, "linked = .* is an empty range"),
        ({"apart": (-1, 1)}, "give 0 <= low <= high"),
        ({"rows": (0, 4)}, "rows"),
        ({"rows": (6, 10**6)}, "rows = .* goes too high; give at most 1,000"),
        ({"thing_rows": (9, 101)}, "thing_rows = .* at most 100"),
        ({"labels": (0, 1)}, "labels"),
        ({"labels": (1, 5)}, "labels = .* at most 4"),
        ({"numbers": (1, 6)}, "numbers = .* at most 5"),
        ({"texts": (3, 2)}, "texts"),
        ({"number": (0, 9)}, "number"),
        ({"number": (float("nan"), 9)}, r"number = \[nan, 9\] is an empty range"),
        ({"number": (1, float("inf"))}, "goes too high"),
        ({"linked": (3, 9), "apart": (0, 5), "queries": 20}, "14 tables; there are names for 13"),
        (
            {"labels": (1, 4), "texts": (2, 100), "shown": 100, "linked": (3, 8), "queries": 10},
            "3600 different",
        ),
        ({"queries": 4}, "queries = 4; to look into each linked table give 5"),
        ({"shown": 2}, "shown = 2 rows; to see the texts of a column give 3"),
        ({"suffixes": ()}, "suffixes is empty"),
        ({"suffixes": ("_id", " x")}, "suffixes: ' x' is none; give an underscore and a word"),
    ],
)
def test_an_impossible_size_is_one_line_that_names_the_setting(change, says):
    with pytest.raises(UserError, match=says) as caught:
        replace(GOOD, **change)
    assert "pocket-easy" in one_line(caught)


@pytest.mark.parametrize(
    "change", [{"rows": (1, 1)}, {"texts": (1, 1)}, {"thing_rows": (1, 1), "texts": (1, 1)}]
)
def test_rules_that_no_draw_meets_end_in_one_line(change):
    with pytest.raises(UserError, match="draws in a row") as caught:
        tasks_of(replace(GOOD, **change), 6)
    one_line(caught)


def tasks_of(size, count):
    return [make_task(size, seed=1, split="x", index=i) for i in range(count)]


RANGES = ("linked", "apart", "rows", "thing_rows", "labels", "numbers", "texts", "number")


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_any_setting_gives_a_task_or_one_line(data):
    small = st.tuples(st.integers(-1, 9), st.integers(-1, 9))
    chosen = {name: data.draw(small) for name in RANGES if data.draw(st.booleans())}
    whole = {name: data.draw(st.integers(-1, 20)) for name in ("queries", "shown")}
    try:
        size = replace(GOOD, redraws=5, **chosen, **whole)
        task = make_task(size, seed=data.draw(st.integers(0, 99)), split="x", index=0)
    except UserError as error:
        assert "\n" not in str(error)
    else:
        assert task.reference["value"] is not None and {f.name for f in fields(size)} >= set(RANGES)


def test_an_unknown_size_lists_the_sizes():
    with pytest.raises(UserError, match="easy, medium, pocket-easy, pocket-medium") as caught:
        FAMILY.size("hardest")
    one_line(caught)
