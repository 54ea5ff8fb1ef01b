"""Hostile queries: for each what it wants, and a sign that it gets it from a plain connection (unprotected.py).

`refused` is how the world answers: the kind of the refusal, or "" where the query is answered within bounds. `works` holds
over what a plain connection did: `rows` (the first ones), `count` of rows, `error` and its `kind`, `died` (out of time or
memory), `tables` afterwards with their numbers of rows, `files` in its folder.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace as Seen

__all__ = ["ATTACKS", "ROWS", "Attack"]

ROWS = {"item": 4, "sale": 8}  # of the tables that are attacked
NOT_ALLOWED, TOO_MUCH, BROKEN, ANSWERED = "PermissionError", "RuntimeError", "ValueError", ""


@dataclass(frozen=True)
class Attack:
    wants: str
    sql: str
    refused: str
    works: Callable[[Seen], bool]


def died(seen: Seen) -> bool:
    return seen.died


def changed(seen: Seen) -> bool:
    return seen.error == "" and seen.tables != ROWS


def ran(seen: Seen) -> bool:
    return seen.error == "" and not seen.died


def told(seen: Seen) -> bool:
    return seen.count > 0


def doubled(levels: int, each: str, first: str = "select paid a from sale") -> str:
    """Levels that each name the one before it twice, so that SQLite copies it twice."""
    steps = [each.format(k, k - 1) for k in range(1, levels)]
    return f"with c0 as ({first}), {', '.join(steps)} select a from c{levels - 1}"


def multiplied(name: str, times: int) -> str:
    """Three levels that each name the one before it so many times, in a list that has no depth."""
    level = f"select {name} in ({','.join([name] * times)}) {name} from"
    steps = f"c0 as (select paid {name} from sale), c1 as ({level} c0), c2 as ({level} c1)"
    return f"with {steps} {level} c2"


LONG = "'" + "a" * 440 + "'"

ATTACKS = {
    # What is not theirs to do
    "write_a_file": Attack(
        "a file", "vacuum into 'stolen.db'", NOT_ALLOWED, lambda s: bool(s.files)
    ),
    "attach_a_file": Attack("a second database", "attach 'other.db' as other", NOT_ALLOWED, ran),
    "detach": Attack("the database gone", "detach temp", NOT_ALLOWED, lambda s: "temp" in s.error),
    "drop_a_table": Attack("a table gone", "drop table sale", NOT_ALLOWED, changed),
    "delete_rows": Attack("rows gone", "delete from sale where paid > 3", NOT_ALLOWED, changed),
    "insert_a_row": Attack("a row more", "insert into item values (9, 'x')", NOT_ALLOWED, changed),
    "update_rows": Attack(
        "other numbers",
        "update sale set paid = 7 returning paid",
        NOT_ALLOWED,
        lambda s: [7] in s.rows,
    ),
    "create_a_table": Attack("a table more", "create table own (x)", NOT_ALLOWED, changed),
    "create_as_select": Attack(
        "a copy", "create table own as select * from sale", NOT_ALLOWED, changed
    ),
    "create_a_temporary_table": Attack(
        "a place to keep things", "create temp table own (x)", NOT_ALLOWED, changed
    ),
    "create_a_view": Attack("a view", "create view own as select 1", NOT_ALLOWED, changed),
    "create_a_trigger": Attack(
        "work later",
        "create temp trigger own after insert on sale begin delete from item; end",
        NOT_ALLOWED,
        ran,
    ),
    "create_a_virtual_table": Attack(
        "a module", "create virtual table own using fts5(x)", NOT_ALLOWED, changed
    ),
    "create_an_index": Attack("an index", "create index own on sale (paid)", NOT_ALLOWED, ran),
    "rename_a_table": Attack(
        "another name", "alter table sale rename to own", NOT_ALLOWED, changed
    ),
    "analyze": Attack("statistics kept", "analyze", NOT_ALLOWED, changed),
    "reindex": Attack("work", "reindex", NOT_ALLOWED, ran),
    "vacuum": Attack("work", "vacuum", NOT_ALLOWED, ran),
    "begin": Attack("a transaction left open", "begin immediate", NOT_ALLOWED, ran),
    "savepoint": Attack("a savepoint left", "savepoint own", NOT_ALLOWED, ran),
    "second_statement": Attack(
        "two statements", "select 1; drop table sale", BROKEN, lambda s: s.script == {"item": 4}
    ),
    "comment_before_a_statement": Attack(
        "to be taken for a query", "/* select */ -- select\n drop table sale", NOT_ALLOWED, changed
    ),
    # What is not theirs to know
    "read_the_catalogue": Attack("all schemas", "select sql from sqlite_master", NOT_ALLOWED, told),
    "count_the_catalogue": Attack(
        "their number", "select count(*) from sqlite_schema", NOT_ALLOWED, told
    ),
    "catalogue_of_another_spelling": Attack(
        "all schemas", 'select "sql" from main.[SQLITE_Master]', NOT_ALLOWED, told
    ),
    "read_the_temporary_catalogue": Attack(
        "what is temporary", "select count(*) from temp.sqlite_temp_master", NOT_ALLOWED, told
    ),
    "pragma": Attack("a schema", "pragma table_info(sale)", NOT_ALLOWED, told),
    "pragma_that_sets": Attack("a setting", "pragma query_only = 0", NOT_ALLOWED, ran),
    "pragma_that_unlocks": Attack("the catalogue", "pragma writable_schema = 1", NOT_ALLOWED, ran),
    "pragma_as_a_table": Attack(
        "a schema", "select * from pragma_table_info('sale')", NOT_ALLOWED, told
    ),
    "pragma_of_options": Attack(
        "how SQLite was built", "select * from pragma_compile_options", NOT_ALLOWED, told
    ),
    "explain": Attack("the code of SQLite's machine", "explain select 1", NOT_ALLOWED, told),
    "chance": Attack("another answer each time", "select random()", NOT_ALLOWED, told),
    "chance_in_bytes": Attack("bytes by chance", "select hex(randomblob(8))", NOT_ALLOWED, told),
    "the_time": Attack("the clock", "select datetime('now')", NOT_ALLOWED, told),
    "the_time_by_a_keyword": Attack("the clock", "select current_timestamp", NOT_ALLOWED, told),
    "the_version": Attack("the machine", "select sqlite_version()", NOT_ALLOWED, told),
    "what_was_done_before": Attack("traces of others", "select total_changes()", NOT_ALLOWED, told),
    # Time
    "recursion_without_end": Attack(
        "all time",
        "with recursive r(x) as (select 1 union all select x + 1 from r) select count(*) from r",
        TOO_MUCH,
        died,
    ),
    "recursion_that_gives_nothing": Attack(
        "all time",
        "with recursive r(x) as (values (1) union all select x from r) select x from r where x > 1",
        TOO_MUCH,
        died,
    ),
    "join_of_everything": Attack(
        "all time",
        "select count(*) from " + ", ".join(f"sale s{k}" for k in range(10)),
        TOO_MUCH,
        died,
    ),
    "correlated_joins": Attack(
        "all time",
        "select (select count(*) from sale a, sale b, sale c, sale d, sale e where a.paid + b.paid + c.paid + d.paid + e.paid > x.paid * y.paid) "
        "from sale x, sale y, sale z, sale w",
        TOO_MUCH,
        died,
    ),
    "slow_patterns": Attack(
        "time that is not counted",
        f"select count(*) from {', '.join(f'sale s{k}' for k in range(7))} "
        f"where ({LONG} || s0.id || s6.id) like '%a_a_a_a_a_a_a_a_b'",
        TOO_MUCH,
        died,
    ),
    "long_patterns": Attack(
        "time that is not counted",
        f"select count(*) from {', '.join(f'sale s{k}' for k in range(7))} "
        f"where ({LONG} || s0.id || s6.id) like '%{'a_' * 40}b'",
        BROKEN,
        died,
    ),
    "window_over_all": Attack(
        "work that is squared",
        "select max(a.paid) over (order by b.id rows between 90000 preceding and 90000 following) from "
        "sale a, sale b, sale c, sale d, sale e, sale f, sale g, sale h",
        TOO_MUCH,
        died,
    ),
    "tables_doubled_before_the_first_step": Attack(
        "time before a step is counted",
        doubled(26, "c{0} as (select 1 a from c{1}, c{1} x)", "select 1 a"),
        TOO_MUCH,
        died,
    ),
    "sums_doubled_before_the_first_step": Attack(
        "time before a step is counted",
        doubled(26, "c{0} as (select a + a a from c{1})"),
        TOO_MUCH,
        died,
    ),
    "sums_of_nine_in_seven_levels": Attack(
        "time before a step is counted",
        doubled(8, "c{0} as (select " + "+".join(["a"] * 9) + " a from c{1})"),
        TOO_MUCH,
        died,
    ),
    "lists_in_lists": Attack("time before a step is counted", multiplied("a", 300), TOO_MUCH, died),
    "lists_of_odd_letters": Attack(
        "to be counted as no word", multiplied("\u20ac", 300), TOO_MUCH, died
    ),
    "lists_of_quoted_signs": Attack(
        "to be counted as no word", multiplied('"+"', 150), TOO_MUCH, died
    ),
    # Memory
    "zeros": Attack("a gigabyte", "select length(hex(zeroblob(900000000)))", NOT_ALLOWED, died),
    "padding": Attack("a gigabyte", "select length(printf('%900000000d', 1))", NOT_ALLOWED, died),
    "texts_doubled": Attack(
        "a gigabyte",
        "with recursive r(x) as (select 'aaaaaaaa' union all select x || x from r) select sum(length(x)) from r",
        BROKEN,
        lambda s: s.died or s.kind in ("MemoryError", "DataError"),
    ),
    "texts_replaced": Attack(
        "much from little",
        "select length(replace(replace(replace("
        + LONG
        + ", 'a', "
        + LONG
        + "), 'a', 'aaaaaaaa'), 'a', 'aaaaaaaa'))",
        BROKEN,
        lambda s: s.rows[0][0] > 10**7,
    ),
    "texts_joined": Attack(
        "one long text",
        f"select length(group_concat({LONG})) from sale a, sale b, sale c, sale d",
        BROKEN,
        lambda s: s.rows[0][0] > 10**6,
    ),
    "rows_kept": Attack(
        "all memory",
        f"with recursive r(x, n) as (select {LONG}, 1 union select x, n + 1 from r) select max(n) from r",
        TOO_MUCH,
        died,
    ),
    "rows_sorted": Attack(
        "all memory",
        f"select {LONG} || a.id, b.id from {', '.join(f'sale {k}' for k in 'abcdefg')} order by 2, 1",
        TOO_MUCH,
        died,
    ),
    # What comes back
    "many_rows": Attack(
        "an answer without end",
        "select 1 from sale a, sale b, sale c, sale d, sale e",
        ANSWERED,
        lambda s: s.count > 30_000,
    ),
    "long_rows": Attack(
        "a long answer",
        f"select {LONG}, {LONG}, {LONG}, {LONG} from sale a, sale b",
        ANSWERED,
        lambda s: s.count == 64 and all(len(row[0]) == 440 for row in s.rows),
    ),
    "many_columns": Attack(
        "a wide answer",
        "select " + ", ".join(["*"] * 40) + " from sale",
        BROKEN,
        lambda s: len(s.rows[0]) > 100,
    ),
    "bytes": Attack("no JSON", "select x'00ff'", BROKEN, lambda s: s.kind == "TypeError"),
    "infinity": Attack("no JSON", "select 9e999", BROKEN, lambda s: s.kind == "ValueError"),
    "text_that_is_none": Attack(
        "no text", "select cast(x'ff' as text)", ANSWERED, lambda s: "decode" in s.error
    ),
    "half_a_character": Attack(
        "an error of another kind",
        "select '\ud800'",
        BROKEN,
        lambda s: s.kind == "UnicodeEncodeError",
    ),
    "a_character_that_ends_texts": Attack(
        "an error of another kind", "select '\0'", BROKEN, lambda s: s.kind == "ProgrammingError"
    ),
    "an_error_of_many_lines": Attack(
        "to write lines of the log",
        'select sale."a\n\n[tool] b\n" from sale',
        BROKEN,
        lambda s: "\n" in s.error,
    ),
    "an_error_without_end": Attack(
        "a long message", "select " + "a" * 1900, BROKEN, lambda s: len(s.error) > 1900
    ),
    "nothing": Attack("no answer", "-- nothing", NOT_ALLOWED, lambda s: s.columns is None),
    "a_hole": Attack("a parameter", "select :a", BROKEN, lambda s: s.kind == "ProgrammingError"),
}
