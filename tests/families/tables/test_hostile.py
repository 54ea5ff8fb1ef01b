"""Hostile queries: none gets what it wants from a world, and each gets it from a plain connection."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from families.tables.attacks import ATTACKS, ROWS
from knapsack_lib.families.base import Task, ToolError
from knapsack_lib.families.tables.sql import ANSWER, MESSAGE
from knapsack_lib.families.tables.world import TablesWorld

UNPROTECTED = Path(__file__).with_name("unprotected.py")
TABLES = {
    "item": {
        "columns": [["id", "integer"], ["town", "text"]],
        "rows": [[k, "xy"[k % 2]] for k in range(ROWS["item"])],
    },
    "sale": {
        "columns": [["id", "integer"], ["item", "integer -> item.id"], ["paid", "integer"]],
        "rows": [[k, k % 4, k] for k in range(ROWS["sale"])],
    },
}
HARMLESS = "select town, sum(paid) from sale join item on sale.item = item.id group by 1 order by 1"
EXPECTED = {"columns": ["town", "sum(paid)"], "rows": [["x", 12], ["y", 16]]}


def a_world(queries=3, shown=50):
    public = {"question": "How many?", "queries": queries, "shown": shown}
    plain = dict(task_id="t", family="tables", seed=1, difficulty={}, tools=[], nl="", run_name="")
    return TablesWorld(
        Task(**plain, public=public, private={"tables": TABLES}, reference={"value": 1})
    )


def answered(world, sql):
    """(answer, kind of the refusal, its message). The answer is JSON that any reader takes."""
    try:
        text = world.query(sql)
    except ToolError as refusal:
        return None, refusal.kind, str(refusal)
    return json.loads(text, parse_constant=lambda what: pytest.fail(what)), "", ""


# With every protection ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ATTACKS)
def test_a_hostile_query_does_not_get_what_it_wants(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    attack, world = ATTACKS[name], a_world()
    before = json.dumps(TABLES)
    descriptors = len(os.listdir("/proc/self/fd"))
    answer, kind, message = answered(world, attack.sql)
    assert kind == attack.refused
    if kind:
        assert 0 < len(message) <= max(MESSAGE, 90) and message.isprintable()
    else:
        assert len(json.dumps(answer)) <= 2 * ANSWER and len(answer["rows"]) <= 50
    assert answered(world, attack.sql) == (answer, kind, message), "another answer the second time"
    assert answered(world, HARMLESS) == (EXPECTED, "", "")
    assert not list(tmp_path.iterdir()) and len(os.listdir("/proc/self/fd")) == descriptors
    assert json.dumps(TABLES) == before
    assert json.dumps(world.result(), allow_nan=False) and world.result()["queries"] == 3


def test_all_of_them_together_take_little_memory_and_time():
    """In a process that has 150 MB more than it began with, and a minute."""
    code = f"""
import json, resource, sys
sys.path[:0] = {sys.path!r}
from families.tables.attacks import ATTACKS
from families.tables.test_hostile import a_world, answered
begun = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (begun + (150 << 20),) * 2)
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
for name, attack in ATTACKS.items():
    assert answered(a_world(), attack.sql)[1] == attack.refused, name
print("done")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8")
    assert done.stdout == "done\n", done.stderr[-500:]


def test_a_world_made_in_one_thread_answers_in_another():
    world, found = a_world(), []
    thread = threading.Thread(target=lambda: found.append(answered(world, HARMLESS)))
    thread.start()
    thread.join()
    assert found == [(EXPECTED, "", "")] == [answered(world, HARMLESS)]


# Without them -------------------------------------------------------------------------------------


def plain(sql, folder):
    """What a plain connection does with it, in a process with half a second of processor time and 400 MB."""
    done = subprocess.run(
        [sys.executable, "-S", "-E", str(UNPROTECTED)],
        input=json.dumps(sql),
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
    )
    seen = dict(rows=[], count=0, columns=None, error="", kind="", tables={}, script={})
    died = done.returncode != 0
    seen |= {} if died else json.loads(done.stdout)
    return SimpleNamespace(
        **seen, died=died or seen["kind"] == "MemoryError", files=os.listdir(folder)
    )


@pytest.mark.parametrize("name", ATTACKS)
def test_the_same_query_gets_it_from_a_plain_connection(name, tmp_path):
    attack = ATTACKS[name]
    seen = plain(attack.sql, tmp_path)
    assert attack.works(seen), seen


def test_a_harmless_query_is_no_attack(tmp_path):
    seen = plain(HARMLESS, tmp_path)
    assert seen.rows == EXPECTED["rows"] and seen.tables == seen.script == ROWS
    assert not (seen.died or seen.files or seen.error)


def test_there_are_many_attacks_of_each_kind():
    refused = [attack.refused for attack in ATTACKS.values()]
    assert len({attack.sql for attack in ATTACKS.values()}) == len(ATTACKS) >= 50
    assert (
        min(refused.count(kind) for kind in ("PermissionError", "RuntimeError", "ValueError")) > 8
    )
