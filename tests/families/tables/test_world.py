"""The world of tables: what it answers, refuses and settles, and that it hides what it must."""

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from families.tables.drawn import FAMILY, by_hand, tasks
from knapsack_lib.families.base import ToolError
from knapsack_lib.families.tables.world import TablesWorld
from knapsack_lib.profiles import PromptOptions
from knapsack_lib.prompts import opening

SUM = "select sum(paid) from sale join item on sale.item = item.id where town = 'Baku'"


@pytest.fixture
def world():
    return TablesWorld(by_hand())


def refused(tool, *args):
    """(kind, text) of the refusal, which is one short line."""
    with pytest.raises(ToolError) as caught:
        tool(*args)
    assert caught.value.kind in ("ValueError", "RuntimeError", "PermissionError")
    text = str(caught.value)
    assert 0 < len(text) < 200 and text.isprintable()
    return caught.value.kind, text


def test_the_right_answer_is_found_and_solved(world):
    assert json.loads(world.tables()) == ["item", "sale", "apart"]
    assert json.loads(world.schema("sale")) == {
        "id": "integer",
        "item": "integer -> item.id",
        "paid": "integer",
        "kind": "text",
    }
    assert json.loads(world.query(SUM)) == {"columns": ["sum(paid)"], "rows": [[17]]}
    assert (world.result()["score"], world.result()["answered"]) == (0.0, False)
    assert world.answer(17) is None and not world.done
    world.finish()
    assert world.done and world.result() == {
        "score": 1.0,
        "solved": True,
        "answered": True,
        "queries": 1,
        "query_budget": 3,
        "tables_seen": 1,
        "rows_read": 1,
    }


@pytest.mark.parametrize(
    ("value", "answer", "right"),
    [
        (17, 17.0, True),
        (17, 17.01, True),
        (17, 17.011, False),
        (17, 16.99, True),
        (17, 18, False),
        (14.33, 14.34, True),
        (14.33, 14.345, False),
        (-3, 3, False),
        ("Baku", "Baku", True),
        ("Baku", "baku", False),
        ("Baku", "Baku ", False),
        ("Baku", "", False),
    ],
)
def test_a_number_may_be_a_hundredth_off_and_a_text_must_be_exact(value, answer, right):
    world = TablesWorld(by_hand(value))
    world.answer(answer)
    assert (world.result()["score"], world.result()["solved"]) == (float(right), right)


def test_the_last_answer_counts_and_none_after_the_end(world):
    world.answer(17)
    world.answer(3)
    assert not world.result()["solved"]
    world.answer(17)
    world.finish()
    assert refused(world.answer, 3) == ("RuntimeError", "the task is finished")
    assert world.result()["solved"]


@pytest.mark.parametrize(
    "answer", ["17", "", True, None, [17], {"a": 1}, math.nan, math.inf, -math.inf, 10**400, 1e16]
)
def test_what_is_no_number_is_refused_where_a_number_is_asked_for(world, answer):
    assert refused(world.answer, answer)[0] == "ValueError"
    assert not world.result()["answered"]


@pytest.mark.parametrize("answer", [17, None, ["Baku"], "x" * 201, True])
def test_what_is_no_short_text_is_refused_where_a_text_is_asked_for(answer):
    world = TablesWorld(by_hand("Baku"))
    assert refused(world.answer, answer)[0] == "ValueError"
    assert not world.result()["answered"]


def test_every_query_counts_the_refused_ones_too_and_what_is_no_text_does_not(world):
    refused(world.query, 5)
    world.query(SUM)
    assert refused(world.query, "select town from sale") == ("ValueError", "no such column: town")
    world.query("select id from sale")
    assert refused(world.query, SUM) == ("RuntimeError", "the 3 queries are used up")
    assert (world.result()["queries"], world.result()["rows_read"]) == (3, 4)


def test_tables_looked_at_count_once_and_only_those_that_there_are(world):
    for _ in range(2):
        world.schema("item")
    assert refused(world.schema, "ITEM") == ("ValueError", "no table 'ITEM'")
    assert world.result()["tables_seen"] == 1


def test_rows_beyond_the_limit_are_cut_and_this_is_said():
    world = TablesWorld(by_hand(shown=2))
    assert json.loads(world.query("select id from sale order by id")) == {
        "columns": ["id"],
        "rows": [[1], [2]],
        "cut": "only the first 2 rows are shown",
    }
    assert "cut" not in json.loads(world.query("select id from sale limit 2"))
    assert world.result()["rows_read"] == 4


ORDINARY = {
    "select count(distinct item) from sale": [[2]],
    "with old as (select * from sale where kind = 'old') select count(*) from old": [[1]],
    "select kind, total(paid) as t from sale group by kind having t > 10 order by t": [
        ["new", 12.0]
    ],
    "select town from item where id in (select item from sale where paid > 6) limit 1": [["Baku"]],
    "select round(avg(paid), 2), min(paid), max(paid) from sale": [[7.33, 5, 10]],
    "select town from item where town like 'B%' or lower(town) = 'x'": [["Baku"]],
    "select case when paid > 6 then 'much' else 'little' end from sale where id = 2": [["little"]],
    "select id, rank() over (order by paid desc) from sale where id = 1": [[1, 1]],
    "select i.town, s.paid from sale as s left join item i on i.id = s.item where s.id = 2;": [
        ["Rome", 5]
    ],
    'select "town" from "item" where id = 2 -- a comment': [["Rome"]],
    "select null, 1.5, -3, 'text'": [[None, 1.5, -3, "text"]],
    "select group_concat(kind, '-') from (select distinct kind from sale order by 1)": [
        ["new-old"]
    ],
    "select id from sale union select id from item order by 1": [[1], [2], [3]],
    "with recursive r(x) as (select 1 union all select x + 1 from r where x < 40) select count(*) from r": [
        [40]
    ],
    "select count(*) from sale, sale b, sale c, sale d, sale e, sale f, sale g": [[3**7]],
}


@pytest.mark.parametrize("sql", ORDINARY)
def test_an_ordinary_query_is_answered(world, sql):
    assert json.loads(world.query(sql))["rows"] == ORDINARY[sql]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON, st.sampled_from(["schema", "query", "answer"]))
@settings(max_examples=60, deadline=None)
def test_no_json_value_breaks_a_tool(value, tool):
    world = TablesWorld(by_hand())
    try:
        answer = world.tools[tool](value)
    except ToolError as refusal:
        assert len(str(refusal)) < 200 and "\n" not in str(refusal)
    else:
        assert answer is None or json.loads(answer)
    json.dumps(world.result(), allow_nan=False)


WORDS = (
    "select from where sale item paid town id kind sum ( ) count * , = ' \" ; -- /* */ [ ] ` . 1 0 and or join on with "
    "recursive as values union all group by order limit drop table pragma attach insert into random like glob % null "
    "case when end over in exists not is cast x'00' 9e999 \0 \n \ud800 \u20ac + - || < > explain"
).split(" ")


@given(st.lists(st.sampled_from(WORDS), max_size=25).map(" ".join) | st.text(max_size=60))
@settings(max_examples=300, deadline=None)
def test_no_text_breaks_the_query(sql):
    world = TablesWorld(by_hand())
    try:
        answer = json.loads(world.query(sql), parse_constant=pytest.fail)
    except ToolError as refusal:
        assert 0 < len(str(refusal)) < 200 and str(refusal).isprintable()
    else:
        assert len(answer["rows"]) <= 4
    assert json.loads(world.query(SUM))["rows"] == [[17]]


def test_two_worlds_of_one_task_share_nothing():
    task = by_hand()
    one, two = TablesWorld(task), TablesWorld(task)
    one.schema("item")
    one.query(SUM)
    one.answer(17)
    one.finish()
    assert not two.done and two.result() == TablesWorld(by_hand()).result()
    assert task == by_hand()


# Nothing hidden -----------------------------------------------------------------------------------


@pytest.mark.parametrize("prompt", ["brief", "full"])
@pytest.mark.parametrize("size", ["pocket-easy", "medium"])
def test_the_opening_holds_nothing_that_is_hidden(size, prompt, make_limits):
    """It is the same text when all tables, the query and the answer are others."""
    options = PromptOptions(style=prompt, cue="stated", list_bindings=True)
    for task in tasks(10, size, seed=4):
        other = replace(task, private=by_hand().private, reference=by_hand().reference)
        texts = [
            json.dumps(opening(FAMILY, FAMILY.world(one).facts(), "reset", make_limits(), options))
            for one in (task, other)
        ]
        assert (
            texts[0] == texts[1] and task.public["question"] in json.loads(texts[0])[1]["content"]
        )


def test_facts_are_the_question_and_what_may_be_asked(world):
    before = world.facts()
    world.query(SUM)
    world.answer(17)
    assert set(before) == {"question", "queries", "shown"} and world.facts() == before


def test_what_an_agent_does_with_the_facts_changes_nothing(world):
    world.facts()["queries"] = 99
    assert world.facts()["queries"] == 3
