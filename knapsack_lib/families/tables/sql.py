"""One query over a task's tables. The SQL is a model's and hostile, and it runs in this process.

Each query gets a database of its own in memory, which is dropped with it: there is nothing to change, and no file. What a
statement may do is decided by SQLite's authorizer and denied by default: reading the task's tables, and functions whose
answer depends on their arguments alone and whose cost is small. What it may cost is counted and never timed, so that a
query that is refused on one machine is refused on all:

- steps of SQLite's virtual machine, of which each is cheap, since a value or a row has at most VALUE bytes;
- memory, by the same two: a step keeps at most one row (SQLite's heap limit holds for the whole process, and is not ours);
- the words of a statement, for what happens before its first step.

SQLite copies what a statement names as often as it is named, at every level anew: twenty nested selects that name a column
twice are a million copies.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from itertools import count
from typing import Any

from knapsack_lib.families.base import ToolError

__all__ = ["run"]

ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE}
FUNCTIONS = frozenset(
    "abs avg coalesce count cume_dist dense_rank first_value glob group_concat ifnull iif instr lag last_value lead length "
    "like lower max min nth_value ntile nullif percent_rank rank replace round row_number sign substr substring sum total "
    "typeof upper".split()
)
STEPS, TICK = 100_000, 1000  # of the virtual machine; how often they are counted
VALUE = 500  # bytes of a text or a row
TEXT, WORDS, SELECTS = 2000, 120, 4  # of a statement: characters, words and quotes, SELECTs
ANSWER = 10_000  # characters of the rows that are shown
MESSAGE = 160  # characters of a refusal
LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: VALUE,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 4 * TEXT,  # it counts bytes
    sqlite3.SQLITE_LIMIT_COLUMN: 50,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 60,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: SELECTS,
    sqlite3.SQLITE_LIMIT_VDBE_OP: 10_000,
    sqlite3.SQLITE_LIMIT_FUNCTION_ARG: 10,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 20,
    sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER: 0,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 0,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}
INFINITE = (float("inf"), float("-inf"))
# A name has at least one of these; whatever is not ASCII can be part of one.
NAMES = re.compile(r"[\w\x80-\U0010FFFF]+|[\"'`\[]")


def run(tables: Mapping[str, Mapping[str, Any]], sql: str, most: int) -> dict[str, Any]:
    """{"columns": [...], "rows": [[...]]}; of more than `most` rows or ANSWER characters the first, and "cut" says how many.

    Raises ToolError: PermissionError for what is not allowed, RuntimeError for what is too much, ValueError for what
    SQLite cannot run, in its words.
    """
    words = [word.lower() for word in NAMES.findall(sql[: TEXT + 1])]
    if len(sql) > TEXT or len(words) > WORDS or words.count("select") > SELECTS:
        limits = f"{TEXT} characters, {WORDS} words and quotes and {SELECTS} selects"
        raise ToolError("RuntimeError", f"a query may have {limits}")
    denied = ["explain"] if "explain" in words else []  # its answer is another with each SQLite

    def authorize(
        action: int, one: str | None, other: str | None, place: str | None, _: Any
    ) -> int:
        name = (one or other or "").lower()
        # Counting the rows of what WITH defines, SQLite asks for no column of it and for no database.
        rows = other == "" and place is None and not name.startswith("sqlite_")
        if (
            action in ALLOWED
            or (action == sqlite3.SQLITE_READ and (one in tables or rows))
            or (action == sqlite3.SQLITE_FUNCTION and name in FUNCTIONS)
        ):
            return sqlite3.SQLITE_OK
        denied.append(name)
        return sqlite3.SQLITE_DENY

    ticks = count(1)
    with closing(_filled(tables)) as database:
        database.set_authorizer(authorize)
        database.set_progress_handler(lambda: next(ticks) * TICK >= STEPS, TICK)
        try:
            cursor = database.execute(sql)
            if denied or cursor.description is None:
                raise _refusal(None, denied=True)
            columns = [column[0] for column in cursor.description]
            found = [list(row) for row in cursor.fetchmany(most + 1)]
        except (sqlite3.Error, sqlite3.Warning, MemoryError, ValueError) as error:
            raise _refusal(error, bool(denied)) from None
    return _bounded(columns, found, most)


def _filled(tables: Mapping[str, Mapping[str, Any]]) -> sqlite3.Connection:
    """A database that holds the tables and is limited from now on."""
    database = sqlite3.connect(":memory:", isolation_level=None, cached_statements=0)
    database.text_factory = lambda text: text.decode("utf-8", "replace")
    for name, table in tables.items():
        columns = ", ".join(
            f"{_quoted(column)} {kind.split()[0]}" for column, kind in table["columns"]
        )
        database.execute(f"CREATE TABLE {_quoted(name)} ({columns})")
        holes = ", ".join("?" * len(table["columns"]))
        database.executemany(f"INSERT INTO {_quoted(name)} VALUES ({holes})", table["rows"])
    database.execute("PRAGMA temp_store = MEMORY")  # what is sorted goes to no file
    database.execute("PRAGMA query_only = ON")
    for limit, value in LIMITS.items():
        database.setlimit(limit, value)
    return database


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _refusal(error: BaseException | None, denied: bool) -> ToolError:
    """What SQLite says, on one line of bounded length."""
    if denied:
        what = "only SELECT from the task's tables, with plain functions, is allowed"
        return ToolError("PermissionError", what)
    stopped = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT
    if stopped or isinstance(error, MemoryError):
        return ToolError("RuntimeError", "the query is too much work; ask for less at once")
    text = " ".join(str(error).split())
    return ToolError("ValueError", (text if text.isprintable() else ascii(text))[:MESSAGE])


def _bounded(columns: Sequence[str], found: list[list[Any]], most: int) -> dict[str, Any]:
    """The answer with as many rows as may be shown. Raises ToolError for a value that JSON has no word for."""
    rows: list[list[Any]] = []
    room = ANSWER
    for row in found[:most]:
        if any(isinstance(value, bytes) or value in INFINITE for value in row):
            raise ToolError(
                "ValueError", "the query gives bytes or infinity; ask for numbers and texts"
            )
        room -= len(json.dumps(row))
        if room < 0:
            break
        rows.append(row)
    answer: dict[str, Any] = {"columns": columns, "rows": rows}
    if len(rows) < len(found):
        answer["cut"] = f"only the first {len(rows)} rows are shown"
    return answer
