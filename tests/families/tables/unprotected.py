"""A plain connection that runs one hostile query from standard input, with little time and memory, and prints what came
of it as JSON. Run in a folder of its own: python unprotected.py < query."""

import json
import resource
import signal
import sqlite3
import sys

FIRST = 100  # rows that are told


def connection():
    database = sqlite3.connect(":memory:", isolation_level=None)
    database.execute("create table item (id integer, town text)")
    database.execute("create table sale (id integer, item integer, paid integer)")
    database.executemany("insert into item values (?, ?)", [(k, "xy"[k % 2]) for k in range(4)])
    database.executemany("insert into sale values (?, ?, ?)", [(k, k % 4, k) for k in range(8)])
    return database


def tables(database):
    named = "select name from {} where type in ('table', 'view')"
    both = f"{named.format('sqlite_master')} union {named.format('sqlite_temp_master')}"
    names = [name for (name,) in database.execute(both).fetchall()]
    return {name: len(database.execute(f"select * from [{name}]").fetchall()) for name in names}


def main():
    signal.setitimer(signal.ITIMER_PROF, 0.5)  # of processor time, and then it dies
    resource.setrlimit(resource.RLIMIT_AS, (400 << 20, 400 << 20))
    sql = json.loads(sys.stdin.read())
    seen = {"rows": [], "count": 0, "columns": None, "error": "", "kind": ""}
    database = connection()
    try:
        cursor = database.execute(sql)
        seen["columns"] = cursor.description and len(cursor.description)
        rows = cursor.fetchall()
        seen["count"] = len(rows)
        json.dumps(rows, allow_nan=False)
        seen["rows"] = rows[:FIRST]
    except Exception as error:  # noqa: BLE001  whatever it is, it is told
        seen.update(error=str(error), kind=type(error).__name__)
    seen["tables"] = tables(database)
    script = connection()
    if "one statement" in seen["error"]:
        script.executescript(sql)
    print(json.dumps({**seen, "script": tables(script)}))


main()
