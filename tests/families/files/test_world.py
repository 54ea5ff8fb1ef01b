"""The folder and its tools: what they do, refuse and bound, how a table is scored, and that nothing hidden is told."""

import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knapsack_lib.families.base import Task, ToolError
from knapsack_lib.families.files import FAMILY
from knapsack_lib.families.files.folder import ANSWER, FILE_BYTES, FILES, TOTAL_BYTES
from knapsack_lib.families.files.tasks import SIZES
from knapsack_lib.families.files.world import TOOLS, FilesWorld, rows_right
from knapsack_lib.interpreter.tool_calls import answered
from knapsack_lib.profiles import PromptOptions
from knapsack_lib.prompts import opening

KINDS = {"FileNotFoundError", "OSError", "RuntimeError", "ValueError"}
ORDERS = "id,buyer,cost\nBaBe,LoNa, 9\nBaBe,LoNa, 9\nGoGu,KiDa,10\n\nTeRe,KiDa\n"
HAND_MADE = {
    "task_id": "t",
    "family": "files",
    "seed": 1,
    "difficulty": {},
    "tools": [],
    "public": {
        "main": "orders.csv",
        "other": "buyers.json",
        "key": "buyer",
        "group": "city",
        "value": "cost",
        "order": "city",
        "period": "",
    },
    "private": {"files": {"orders.csv": ORDERS, "buyers.json": '{"LoNa": "a"}\n'}, "page": 3},
    "reference": {"columns": ["city", "cost"], "rows": [["A", 9], ["B", 10]]},
}


@pytest.fixture
def world():
    return FilesWorld(Task.from_json(json.dumps(HAND_MADE)))


def refused(tool, *args):
    with pytest.raises(ToolError) as caught:
        tool(*args)
    text = str(caught.value)
    assert caught.value.kind in KINDS and len(text) < 120 and text.isprintable()
    return f"{caught.value.kind}: {text}"


# Tools --------------------------------------------------------------------------------------------


def test_ls_names_every_file_with_its_lines(world):
    assert json.loads(world.ls()) == {"buyers.json": 1, "orders.csv": 6}
    world.write("a.txt", "")
    assert list(json.loads(world.ls()).items())[0] == ("a.txt", 0)


def test_read_gives_lines_from_a_number_on_and_none_behind_the_end(world):
    assert world.read("orders.csv", 0, 1) == "id,buyer,cost"
    assert world.read("orders.csv", 2, 2) == "BaBe,LoNa, 9\nGoGu,KiDa,10"
    assert world.read("orders.csv", 5, 3) == "TeRe,KiDa"
    assert world.read("orders.csv", 6, 3) == world.read("orders.csv", 99, 1) == ""


def test_more_lines_than_a_page_are_refused_whether_or_not_they_are_there(world):
    assert len(world.read("orders.csv", 0, 3).splitlines()) == 3
    for start in (0, 5, 99):
        assert refused(world.read, "orders.csv", start, 4).startswith("RuntimeError: too long")


@pytest.mark.parametrize(
    ("start", "n"),
    [(-1, 1), (0, 0), (0, -1), (0.0, 1), (0, 1.5), (True, 1), (0, None), ("0", 1), ([0], 1)],
)
def test_read_takes_whole_numbers_from_where_lines_begin(world, start, n):
    assert refused(world.read, "orders.csv", start, n).startswith("ValueError: give the first line")


def test_grep_finds_a_fixed_text_and_no_pattern(world):
    assert world.grep("KiDa", "orders.csv") == "GoGu,KiDa,10\nTeRe,KiDa"
    assert world.grep("Ki.a", "orders.csv") == world.grep("^id", "orders.csv") == ""
    refused(world.grep, "a", "orders.csv")  # four lines


def test_sort_keeps_the_first_line_and_takes_numbers_by_size(world):
    world.write("n.csv", "a,b\nx,10\ny,9\nz,\nw,7a\nv\n")
    assert world.sort("n.csv", "b", "s.csv") is None
    assert world.folder.texts["s.csv"] == "a,b\ny,9\nx,10\nz,\nv\nw,7a\n"
    world.sort("n.csv", "a", "n.csv")
    assert world.folder.texts["n.csv"].split()[1:] == ["v", "w,7a", "x,10", "y,9", "z,"]


def test_uniq_writes_each_line_once(world):
    world.uniq("orders.csv", "once.csv")
    assert (
        world.folder.texts["once.csv"] == "id,buyer,cost\nBaBe,LoNa, 9\nGoGu,KiDa,10\n\nTeRe,KiDa\n"
    )


def test_cut_writes_the_named_columns_in_their_order(world):
    world.cut("orders.csv", ["cost", "id"], "two.csv")
    assert world.folder.texts["two.csv"] == "cost,id\n 9,BaBe\n 9,BaBe\n10,GoGu\n,\n,TeRe\n"
    for odd in ([], ["id"] * 17, ["price"], "id", None, [0], [["id"]]):
        assert refused(world.cut, "orders.csv", odd, "two.csv").startswith("ValueError")


def test_a_file_that_is_written_can_be_read_and_written_over(world):
    world.write("a.txt", "one\r\ntwo\n")
    assert world.read("a.txt", 0, 2) == "one\ntwo"
    world.write("a.txt", "three")
    assert world.read("a.txt", 0, 1) == "three"


@pytest.mark.parametrize("tool", ["read", "grep", "sort", "uniq", "cut", "submit"])
def test_a_file_that_is_not_there_is_a_refusal_that_names_it(world, tool):
    args = {
        "read": ["no.csv", 0, 1],
        "grep": ["a", "no.csv"],
        "sort": ["no.csv", "id", "o.csv"],
        "uniq": ["no.csv", "o.csv"],
        "cut": ["no.csv", ["id"], "o.csv"],
        "submit": ["no.csv"],
    }[tool]
    assert refused(world.tools[tool], *args) == "FileNotFoundError: there is no file no.csv"


def test_every_tool_takes_a_fixed_number_of_values(world):
    for name in TOOLS:
        with pytest.raises(ToolError, match="takes . arguments, got 5"):
            answered(name, world.tools[name], [1] * 5)
    assert len(TOOLS) <= 9


# Quotas -------------------------------------------------------------------------------------------


def test_the_quotas_hold_and_what_is_refused_leaves_the_folder_as_it_was(world):
    world.write("big.txt", "x" * FILE_BYTES)
    before = dict(world.folder.texts)
    refused(world.write, "big.txt", "x" * (FILE_BYTES + 1))
    assert world.folder.texts == before
    for k in range(2, 4):
        world.write(f"big{k}.txt", "x" * FILE_BYTES)
    left = TOTAL_BYTES - sum(map(len, world.folder.texts.values()))
    assert "OSError: the folder holds at most" in refused(world.write, "l.txt", "x" * (left + 1))
    world.write("l.txt", "x" * left)
    world.write("l.txt", "y" * left)  # in its own place
    assert "bytes" in refused(world.write, "m.txt", "x")


def test_so_many_files_and_no_more(world):
    for k in range(FILES - 2):
        world.write(f"f{k}.txt", "x")
    assert f"at most {FILES} files" in refused(world.write, "more.txt", "")
    world.write("f0.txt", "y")
    assert len(json.loads(world.ls())) == FILES


def test_an_answer_holds_so_many_letters(world):
    world.write("l.txt", "x" * ANSWER)
    assert len(world.read("l.txt", 0, 1)) == ANSWER
    world.write("l.txt", "x" * (ANSWER + 1))
    refused(world.read, "l.txt", 0, 1)
    refused(world.grep, "x", "l.txt")


ODD_NAMES = [
    "",
    ".",
    "..",
    "a",
    "a.",
    ".a",
    "a.b.c",
    "A.csv",
    "1.csv",
    "a/b.csv",
    "a\\b.csv",
    "a b.csv",
]
ODD_NAMES += [
    "a.csv\n",
    "\na.csv",
    "a\0.csv",
    "é.csv",
    "a.csv ",
    "a" * 25 + ".csv",
    "a.jsonl",
    "a.c5",
    "~.csv",
]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_name_is_a_plain_word_with_an_ending(world, name):
    assert "like result.csv" in refused(world.write, name, "x")
    assert "like result.csv" in refused(world.read, name, 0, 1)


# Any value ----------------------------------------------------------------------------------------

ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["orders.csv", "id", "a.csv", ["id"], 0, 1]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.sampled_from(TOOLS), st.lists(ANYTHING, min_size=3, max_size=3))
@settings(max_examples=60, deadline=None)
def test_no_value_of_any_type_breaks_a_tool(tool, values):
    world = FilesWorld(Task.from_json(json.dumps(HAND_MADE)))
    called = world.tools[tool]
    try:
        json.dumps(called(*values[: called.__code__.co_argcount - 1]))
    except ToolError as refusal:
        assert refusal.kind in KINDS and str(refusal).isprintable()
    assert set(json.loads(world.ls())) >= {"orders.csv", "buyers.json"}
    assert all(text.isascii() for text in world.folder.texts.values())
    assert 0 <= world.result()["score"] <= 1


# Disk ---------------------------------------------------------------------------------------------


def test_a_reset_disk_is_as_it_began_and_what_was_submitted_stays(world):
    world.write("result.csv", "city,cost\nA,9\nB,10\n")
    world.write("orders.csv", "gone")
    world.submit("result.csv")
    FAMILY.reset_disk(world)
    assert json.loads(world.ls()) == {"buyers.json": 1, "orders.csv": 6}
    assert world.result()["solved"] and world.result()["files_written"] == 2
    FAMILY.reset_disk(world)
    world.write("orders.csv", "gone")
    FAMILY.reset_disk(world)
    assert world.folder.texts["orders.csv"] == ORDERS


def test_two_worlds_of_one_task_share_nothing():
    task = Task.from_json(json.dumps(HAND_MADE))
    one, two = FilesWorld(task), FilesWorld(task)
    one.write("orders.csv", "gone")
    one.write("a.txt", "x")
    one.submit("orders.csv")
    one.finish()
    assert two.folder.texts == HAND_MADE["private"]["files"]
    assert not two.done and two.submissions == 0
    assert task == Task.from_json(json.dumps(HAND_MADE))


# The score ----------------------------------------------------------------------------------------

HEADER = ["g", "n"]
WANTED = [["A", "5"], ["B", "7"], ["C", "1"], ["D", "2"]]


@pytest.mark.parametrize(
    ("text", "right", "given"),
    [
        ("g,n\nA,5\nB,7\nC,1\nD,2\n", 4, 4),
        (" g , n\r\nA, 5\r\n\r\nB,7\nC,1 \nD,2", 4, 4),
        ("g,n\nA,5\nB,8\nC,1\nD,2\n", 3, 4),
        ("g,n\nB,7\nA,5\nC,1\nD,2\n", 3, 4),
        ("g,n\nD,2\nC,1\nB,7\nA,5\n", 1, 4),
        ("g,n\nA,5\nA,5\nB,7\nC,1\nD,2\n", 4, 5),
        ("g,n\nA,5\n", 1, 1),
        ("g,n\na,5\nA,5.0\nA\nA,5,\n", 0, 4),
        ("A,5\nB,7\nC,1\nD,2\n", 0, 3),
        ("n,g\n5,A\n", 0, 1),
        ("g,n\n", 0, 0),
        ("", 0, 0),
    ],
)
def test_rows_are_right_where_they_are_equal_and_in_order(text, right, given):
    assert rows_right(HEADER, WANTED, text) == (right, given)


@given(st.lists(st.sampled_from(["A,5", "B,7", "C,1", "D,2", "E,1"]), max_size=7))
@settings(max_examples=150, deadline=None)
def test_as_many_are_right_as_the_longest_sequence_in_order_has(rows):
    wanted = [",".join(row) for row in WANTED]
    sequences = (
        list(some)
        for length in range(len(wanted), -1, -1)
        for some in itertools.combinations(wanted, length)
    )

    def within(some):
        places = iter(rows)
        return all(row in places for row in some)

    longest = next(len(some) for some in sequences if within(some))
    assert rows_right(HEADER, WANTED, "g,n\n" + "\n".join(rows))[0] == longest


def test_rows_too_many_cost_and_only_the_exact_table_is_solved(world):
    def handed_in(text):
        world.write("result.csv", text)
        world.submit("result.csv")
        result = world.result()
        return result["score"], result["solved"]

    assert (world.result()["score"], FAMILY.attempted(world.result())) == (0, False)
    assert handed_in("city,cost\nA,9\n") == (0.5, False)
    assert handed_in("city,cost\nA,9\nB,10\nC,1\n") == (2 / 3, False)
    assert handed_in("city,cost\nB,10\nA,9\n") == (0.5, False)
    assert handed_in("city,cost\nA,9\nB,10\n") == (1, True)
    assert handed_in("city\n") == (0, False)  # the last one counts
    assert FAMILY.attempted(world.result()) and world.result()["submissions"] == 5


def test_the_end_settles_the_score_and_closes_the_folder(world):
    world.finish()
    assert world.done
    for call in (
        lambda: world.write("a.txt", "x"),
        lambda: world.submit("orders.csv"),
        lambda: world.uniq("orders.csv", "a.txt"),
        lambda: world.sort("orders.csv", "id", "a.txt"),
        lambda: world.cut("orders.csv", ["id"], "a.txt"),
    ):
        assert refused(call) == "RuntimeError: the task is finished"
    assert world.result()["submissions"] == 0 and len(json.loads(world.ls())) == 2


def test_files_are_counted_once_and_handing_in_reads_none(world):
    for _ in range(2):
        world.read("orders.csv", 0, 1)
        world.write("a.txt", "x")
        world.submit("a.txt")
    refused(world.read, "no.csv", 0, 1)
    result = world.result()
    assert (result["files_read"], result["files_written"]) == (1, 1)
    assert FAMILY.explored(result)


# Nothing hidden -----------------------------------------------------------------------------------


@pytest.mark.parametrize("prompt", ["brief", "full"])
@pytest.mark.parametrize("name", SIZES)
def test_the_opening_is_the_same_whatever_the_files_hold(name, prompt, make_limits):
    options = PromptOptions(style=prompt, cue="stated", list_bindings=True)
    for index in range(6):
        data = json.loads(FAMILY.make_task(name, seed=4, split="x", index=index).to_json())

        def text(data):
            facts = FilesWorld(Task.from_json(json.dumps(data))).facts()
            return json.dumps(opening(FAMILY, facts, "reset", make_limits(), options))

        before = text(data)
        assert data["public"]["main"] in before and data["public"]["period"] in before
        data["private"] = {"files": dict.fromkeys(data["private"]["files"], "other"), "page": 77}
        data["reference"]["rows"] = [["OTHER", 7777]]
        assert text(data) == before
