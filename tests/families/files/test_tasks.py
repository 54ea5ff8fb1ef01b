"""Tasks of `files`: the result is what pandas makes of the dirty files, the faults that a size names are there, the same
seed gives the same bytes."""

import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from common import one_line

from knapsack_lib.errors import UserError
from knapsack_lib.families.base import Task
from knapsack_lib.families.files import FAMILY
from knapsack_lib.families.files.tasks import SIZES, THEMES

ROOT = Path(__file__).parents[3]


def tasks(count, size, seed=1, split="test"):
    return [FAMILY.make_task(size, seed=seed, split=split, index=i) for i in range(count)]


def by_pandas(task):
    """Header and rows of the result, from the files as an agent finds them."""
    told, files = task.public, task.private["files"]

    def table(text):
        read = pd.read_csv(io.StringIO(text), dtype=str)
        return read.apply(lambda column: column.str.strip()).replace("", pd.NA)

    main = table(files[told["main"]]).dropna().drop_duplicates("id")
    if told["period"]:
        dates = [
            pd.to_datetime(main["date"], format=f, errors="coerce")
            for f in ("%Y-%m-%d", "%d.%m.%Y")
        ]
        main = main[dates[0].fillna(dates[1]).dt.strftime("%Y-%m") == told["period"]]
    if told["other"].endswith(".json"):
        pairs = json.loads(files[told["other"]])
        other = pd.DataFrame({told["key"]: list(pairs), told["group"]: list(pairs.values())})
    else:
        other = table(files[told["other"]])
    other[told["group"]] = other[told["group"]].str.strip().str.upper()
    both = main.merge(other, on=told["key"])
    both["n"] = both[told["value"]].astype(int)
    sums = both.groupby(told["group"])["n"].sum().reset_index()
    largest = told["order"] == f"{told['value']}, largest first"
    assert largest or told["order"] == told["group"]
    sums = sums.sort_values("n", ascending=False) if largest else sums.sort_values(told["group"])
    return [told["group"], told["value"]], sums.to_numpy().tolist()


@pytest.mark.parametrize(
    ("size", "count"), [("pocket-easy", 150), ("pocket-medium", 80), ("easy", 40), ("medium", 40)]
)
def test_the_result_is_what_pandas_makes_of_the_files(size, count):
    for task in tasks(count, size):
        assert (task.reference["columns"], task.reference["rows"]) == by_pandas(task)


@pytest.mark.parametrize("name", SIZES)
def test_every_task_has_the_faults_of_its_size(name):
    size = SIZES[name]
    for task in tasks(40, name, seed=3):
        told, files = task.public, task.private["files"]
        header, *rows = [
            [c.strip() for c in line.split(",")] for line in files[told["main"]].splitlines()
        ]
        text = files[told["other"]]
        keys = (
            list(json.loads(text))
            if told["other"].endswith("json")
            else [line.split(",")[0].strip() for line in text.splitlines()[1:]]
        )
        whole = [row for row in rows if len(row) == len(header) and all(row)]
        known = [row for row in whole if row[-2] in keys]
        counts = {
            "rows": len(rows),
            "keys": len(keys),
            "repeated": len(whole) - len({row[0] for row in whole}),
            "broken": len(rows) - len(whole),
            "strangers": len({row[0] for row in whole}) - len({row[0] for row in known}),
            "page": task.private["page"],
        }
        for what, count in counts.items():
            low, high = getattr(size, what)
            assert low <= count <= high, what
        assert all(size.value[0] <= int(row[-1]) <= size.value[1] for row in whole)
        assert ("date" in header) == size.dates == bool(told["period"])
        assert 2 <= len(task.reference["rows"]) <= size.groups
        totals = [total for _, total in task.reference["rows"]]
        assert len(set(totals)) == len(totals)


def test_every_kind_of_dirt_and_of_question_occurs():
    drawn = tasks(60, "medium")
    texts = [task.private["files"][task.public["main"]] for task in drawn]
    cells = [line.split(",") for text in texts for line in text.splitlines()[1:]]
    assert any(cell.startswith(" ") for row in cells for cell in row)
    assert any(cell.endswith(" ") for row in cells for cell in row)
    assert {len(row) for row in cells} == {3, 4}
    assert any(not row[2].strip() for row in cells) and any(not row[-1].strip() for row in cells)
    assert {row[1].strip()[4] == "-" for row in cells} == {True, False}
    others = [task.private["files"][task.public["other"]] for task in drawn]
    assert any("north" in text for text in others) and any("North" in text for text in others)
    assert {task.public["other"].rpartition(".")[2] for task in drawn} == {"csv", "json"}
    assert {task.public["main"] for task in drawn} == {f"{theme[0]}.csv" for theme in THEMES}
    assert {"largest" in task.public["order"] for task in drawn} == {True, False}


@pytest.mark.parametrize("name", ["pocket-easy", "pocket-medium"])
def test_pocket_ids_are_two_syllables_that_no_other_id_shares(name):
    for task in tasks(40, name):
        texts = " ".join(task.private["files"].values()).replace(",", " ").replace('"', " ")
        ids = {word.strip(":{}") for word in texts.split() if word[:1].isupper()}
        ids = {word for word in ids if len(word) > 1}
        pieces = [piece for i in ids for piece in (i[:2], i[2:])]
        assert all(len(i) == 4 for i in ids) and len(set(pieces)) == len(pieces)


def test_pocket_medium_is_larger_than_anything_trained_on():
    easy, medium = SIZES["pocket-easy"], SIZES["pocket-medium"]
    assert medium.rows[0] > easy.rows[1] and medium.keys[0] > easy.keys[1]


def test_the_files_are_ascii_and_within_the_quotas_that_an_agent_has():
    for name in SIZES:
        for task in tasks(20, name):
            world = FAMILY.world(task)
            for file, text in task.private["files"].items():
                assert text.isascii() and text.endswith("\n")
                world.folder.put(file, text)


# Determinism --------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bytes_in_another_process():
    code = (
        "from knapsack_lib.families.files import FAMILY\n"
        "for size in ('pocket-easy', 'medium'):\n"
        "    for i in range(3): print(FAMILY.make_task(size, seed=9, split='s', index=i).to_json())"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", code],
            check=True,
            capture_output=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout.decode()
        for seed in ("1", "2")
    ]
    here = [t.to_json() for size in ("pocket-easy", "medium") for t in tasks(3, size, 9, "s")]
    assert said[0] == said[1] == "\n".join(here) + "\n"


def test_another_seed_split_size_or_index_gives_another_task():
    one = FAMILY.make_task("pocket-easy", seed=1, split="a", index=0)
    others = [
        FAMILY.make_task("pocket-easy", seed=2, split="a", index=0),
        FAMILY.make_task("pocket-easy", seed=1, split="b", index=0),
        FAMILY.make_task("pocket-easy", seed=1, split="a", index=1),
        FAMILY.make_task(replace(SIZES["pocket-easy"], name="other"), seed=1, split="a", index=0),
    ]
    assert all(other.private != one.private for other in others)


def test_a_task_comes_back_from_its_file():
    for task in tasks(3, "pocket-easy"):
        assert Task.from_json(task.to_json()) == task


# Sizes that cannot be -----------------------------------------------------------------------------

IMPOSSIBLE = [
    {"rows": (5, 4)},
    {"rows": (0, 4)},
    {"rows": (4, 6)},
    {"rows": (5, 10**7)},
    {"rows": (5, 80), "ids": "hex"},
    {"rows": (5, 25)},
    {"keys": (1, 4)},
    {"keys": (3, 22)},
    {"keys": (3, 90), "ids": "hex"},
    {"groups": 1},
    {"groups": 4},
    {"groups": 13, "keys": (13, 13)},
    {"repeated": (-1, 1)},
    {"broken": (2, 1)},
    {"strangers": (0, 9)},
    {"page": (0, 2)},
    {"page": (3, 2)},
    {"value": (0, 9)},
    {"value": (9, 1)},
    {"value": (float("nan"), 1)},
    {"ids": "words"},
]


@pytest.mark.parametrize("changed", IMPOSSIBLE, ids=str)
def test_a_size_of_which_no_task_can_exist_is_one_line(changed):
    with pytest.raises(UserError, match="size 'pocket-easy'") as caught:
        replace(SIZES["pocket-easy"], **changed)
    one_line(caught)


def test_a_size_whose_draws_all_break_the_rules_is_one_line():
    same = replace(SIZES["pocket-easy"], value=(1, 1), rows=(5, 5), strangers=(1, 1), redraws=30)
    with pytest.raises(UserError, match="30 draws in a row broke its rules; widen") as caught:
        FAMILY.make_task(same, seed=1, split="x", index=0)
    one_line(caught)


def test_an_unknown_size_lists_the_sizes():
    with pytest.raises(UserError, match="choose one of: easy, medium, pocket-easy, pocket-medium"):
        FAMILY.make_task("huge", seed=1, split="x", index=0)


def test_a_size_is_described_in_a_few_words():
    assert FAMILY.describe("pocket-easy") == "5 to 6 rows and 3 to 4 keys"
    assert FAMILY.describe("pocket-medium") == "8 rows and 5 keys"
