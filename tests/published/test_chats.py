"""Training traces: a conversation per line, whole or damaged."""

import codecs
import gzip
import json

import pytest

from knapsack_lib.analysis.failures import after_missing, failure_of, trouble
from knapsack_lib.published.chats import read_chats
from knapsack_lib.published.episodes import write_chat
from knapsack_lib.published.reading import read_source

CHAT = [
    {"role": "system", "content": "Act."},
    {"role": "user", "content": "Fill it."},
    {"role": "assistant", "content": "I look.\n```python\nx = inspect('a')\nprint(y)\n```"},
    {"role": "user", "content": "{...}\nNameError: name 'y' is not defined"},
    {"role": "assistant", "content": "Done.\n```python\nfinish()\n```"},
]


def test_training_traces_become_episodes_of_their_regime(tmp_path):
    folder = tmp_path / "data" / "knapsack" / "stateless"
    folder.mkdir(parents=True)
    lines = [{"messages": CHAT, "task_id": "t-1", "score": 0.5}, {"messages": CHAT[:4]}]
    (folder / "traces.jsonl").write_text(
        "".join(json.dumps(line) + "\n" for line in lines) + '{"messages": [{"ro', encoding="utf-8"
    )
    found = read_source(tmp_path / "data")
    first, second = found.episodes
    assert (first.train, first.runtime, first.task_id, first.finish_reason) == (
        "teacher",
        "reset",
        "t-1",
        "finish",
    )
    assert first.opening == CHAT[:2] and first.messages() == CHAT and first.result["score"] == 0.5
    assert "1 have no task id" in found.notes[0]
    assert (
        first.turns[0].code == "x = inspect('a')\nprint(y)"
        and first.turns[0].error_type == "NameError"
    )
    assert second.finish_reason == "unknown" and second.result["score"] != second.result["score"]
    assert found.left_out == 1 and (
        len(found.notes) == 2
        and "no tokens" in found.notes[0]
        and ":3: no whole JSON" in found.notes[1]
    )


def test_whole_traces_in_lines_are_read_too(sample):
    trace = json.loads(next(sample.glob("persistent/*0.trace.json")).read_text(encoding="utf-8"))
    (episode,), problems = read_chats(
        "persistent/traces.jsonl", json.dumps({"trace": trace, "id": 7}).encode()
    )
    assert (
        episode.task_id == "7"
        and len(episode.turns) == trace["summary"]["num_steps"]
        and not problems
    )


@pytest.mark.parametrize(
    "line",
    ["[]", "3", '{"messages": []}', '{"messages": "x"}', '{"messages": [3]}', "{}", "\x00", '{"a'],
)
def test_a_line_that_holds_no_conversation_is_one_line(line):
    episodes, problems = read_chats("a/traces.jsonl", line.encode())
    assert (
        not episodes
        and len(problems) == 1
        and "\n" not in problems[0]
        and "traces.jsonl:1" in problems[0]
    )


def test_a_task_that_comes_twice_in_a_file_is_one_of_its_problems():
    data = (json.dumps({"messages": CHAT, "task_id": "t"}) + "\n") * 2
    episodes, problems = read_chats("reset/traces.jsonl", data.encode())
    assert len(episodes) == 1 and "is in an earlier line too" in problems[0]


def block(code):
    return {"role": "assistant", "content": f"I act.\n```python\n{code}\n```"}


def answer(**observation):
    return {"role": "user", "content": json.dumps(observation)}


def line_of(*messages, **more):
    return json.dumps({"messages": [*CHAT[:2], *messages], **more}) + "\n"


def episode_of(*messages, name="knapsack/persistent/traces.jsonl", **more):
    (episode,), problems = read_chats(name, line_of(*messages, **more).encode())
    assert not problems
    return episode


def test_a_block_that_printed_nothing_has_an_empty_observation_and_the_next_reply_is_a_turn(
    tmp_path,
):
    messages = [block("x = 1"), block("print(x)"), answer(output="1\n"), block("finish()")]
    episode = episode_of(*messages)
    assert [turn.observation for turn in episode.turns] == ["", '{"output": "1\\n"}', None]
    assert [turn.code for turn in episode.turns] == ["x = 1", "print(x)", "finish()"]
    assert [turn.stdout for turn in episode.turns] == ["", "1\n", ""]
    assert episode.finish_reason == "finish" and not any(map(trouble, episode.turns))
    write_chat([episode], tmp_path / "again.jsonl")
    (again,) = (tmp_path / "again.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(again)["messages"] == [*CHAT[:2], *messages]


def test_all_that_stands_between_two_replies_is_the_observation():
    globals_shown = {"role": "user", "content": "Globals: x"}
    episode = episode_of(block("x = 1"), answer(output="a"), globals_shown, block("finish()"))
    assert episode.turns[0].observation == '{"output": "a"}\nGlobals: x'


TRACEBACK = (
    'Traceback (most recent call last):\n  File "<string>", line 2, in <module>\n'
    '  File "<string>", line 1, in f\n    y\n'
)


@pytest.mark.parametrize(
    ("problem", "kind", "error"),
    [
        (TRACEBACK + "NameError: name 'y' is not defined", "NameError", "name 'y' is not defined"),
        ("NameError: name 'y' is not defined", "NameError", "name 'y' is not defined"),
        (
            TRACEBACK + "UnboundLocalError: cannot access local variable 'y'\n",
            "UnboundLocalError",
            "cannot access local variable 'y'",
        ),
        (TRACEBACK + "ValueError: one\nand: another", "ValueError", "one\nand: another"),
        (
            TRACEBACK + "KeyError: 'a'\n\nDuring handling of the above exception, another exception"
            " occurred:\n\n" + TRACEBACK + "NameError: name 'y' is not defined",
            "NameError",
            "name 'y' is not defined",
        ),
        (
            '  File "<string>", line 1\n    x = = 1\n        ^\nSyntaxError: invalid syntax',
            "SyntaxError",
            "invalid syntax",
        ),
        ({"type": "NameError", "message": "no y"}, "NameError", "no y"),
    ],
)
def test_an_observation_that_is_json_tells_output_and_error(problem, kind, error):
    episode = episode_of(
        block("print(1)\ny"), answer(output="1\n", error=problem), block("y"), answer(error=problem)
    )
    turn = episode.turns[0]
    assert (turn.stdout, turn.error_type, turn.error) == ("1\n", kind, error)
    missing = kind in ("NameError", "UnboundLocalError")
    assert (trouble(turn) == "missing") == missing == (after_missing(episode) is not None)
    if missing:
        assert failure_of(episode) == "missing variable, cascade"


@pytest.mark.parametrize(
    "text",
    [
        '{"output": "NameError: name \'y\' is not defined"}',  # printed, not raised
        '{"output": "1", "error": null}',
        '{"weight": 3, "error": "NameError: x"}',  # an object that a block printed
        '{"item": 3}',
        "{not json",
    ],
)
def test_what_a_block_printed_is_no_error(text):
    turn = episode_of(block("print(1)"), {"role": "user", "content": text}).turns[0]
    assert turn.error_type is turn.error is None


def test_an_observation_that_is_plain_text_may_end_in_a_traceback():
    text = "3\n" + TRACEBACK + "json.decoder.JSONDecodeError: Extra data"
    turn = episode_of(block("f()"), {"role": "user", "content": text}).turns[0]
    assert (turn.error_type, turn.error) == ("json.decoder.JSONDecodeError", "Extra data")


def test_react_steps_keep_their_tool_calls_and_are_no_failure():
    listed = {"role": "user", "content": '[list_items] ["a", "b"]'}
    two = {"role": "user", "content": '[inspect] {"weight": 3,\n"value": 1}\n[take_item] null'}
    refused = {"role": "user", "content": "[take_item] ValueError: class X is not allowed"}
    said = {"role": "assistant", "content": "list_items()"}
    turns = episode_of(said, listed, said, two, said, refused, said).turns
    assert [turn.parse_status for turn in turns] == ["tool_calls"] * 4
    assert [[call["name"] for call in turn.tool_calls] for turn in turns] == [
        ["list_items"],
        ["inspect", "take_item"],
        ["take_item"],
        [],
    ]
    assert turns[1].tool_calls[0]["result"] == '{"weight": 3,\n"value": 1}'
    assert turns[2].tool_calls[0]["error"] == "ValueError: class X is not allowed"
    assert [trouble(turn) for turn in turns] == ["", "", "tool", ""]
    assert all(turn.code is None and turn.error_type is None for turn in turns)


def test_prose_alone_is_no_tool_call():
    turn = episode_of(
        {"role": "assistant", "content": "Hm."}, {"role": "user", "content": "No [a] block"}
    ).turns[0]
    assert turn.parse_status == "no_code" and not turn.tool_calls


@pytest.mark.parametrize(
    ("name", "family", "runtime"),
    [
        ("data/knapsack/persistent/traces.jsonl", "knapsack", "persistent"),
        ("data/navigation/stateless/traces.jsonl", "navigation", "reset"),
        ("data/rule_diagnosis/reset/traces.jsonl", "rule_diagnosis", "reset"),
        ("data/lamps/stateless/part-0.jsonl", "lamps", "reset"),
        ("stateless/traces.jsonl", "knapsack", "reset"),
        ("persistent/rule_diagnosis-stateless.jsonl", "rule_diagnosis", "reset"),
        ("data/lamps_and_more/persistent/traces.jsonl", "lamps_and_more", "persistent"),
    ],
)
def test_a_path_names_family_and_regime_and_so_do_the_ids_of_lines_without_one(
    name, family, runtime
):
    (episode,), _ = read_chats(name, line_of(block("finish()")).encode())
    assert (episode.family, episode.train, episode.runtime) == (family, "teacher", runtime)
    assert episode.episode_id == episode.task_id
    assert episode.task_id.startswith(f"{family}-{runtime}-") and episode.task_id.endswith("000001")


@pytest.mark.parametrize("missing", [{}, {"task_id": None}, {"id": ""}, {"id": [1]}, {"id": True}])
def test_lines_of_two_files_are_never_one_task_for_having_one_number(missing):
    files = (
        "knapsack/persistent/traces.jsonl",
        "knapsack/stateless/traces.jsonl",
        "knapsack/persistent/more.jsonl",
    )
    ids = {
        episode_of(block(f"print({number})"), name=name, **missing).task_id
        for number, name in enumerate(files)
    }
    assert len(ids) == 3


def test_a_second_key_gives_the_id_where_the_first_is_empty():
    assert episode_of(block("finish()"), task_id="", id="t-9").task_id == "t-9"


@pytest.mark.parametrize(
    "spelt",
    [
        lambda text: codecs.BOM_UTF8 + text.encode(),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.encode("utf-16"),
        lambda text: text.encode("utf-16-be"),
        lambda text: codecs.BOM_UTF8 + b"\r\n" + text.encode(),
    ],
    ids=["mark", "CRLF", "UTF-16", "UTF-16 without a mark", "mark on a line of its own"],
)
def test_the_spelling_of_a_file_does_not_matter(spelt):
    text = line_of(block("print('größer\u2028')"), task_id="a") + line_of(block("f()"), task_id="b")
    first, second = (read_chats("traces.jsonl", data) for data in (text.encode(), spelt(text)))
    assert first == second and [episode.task_id for episode in first[0]] == ["a", "b"]


def test_a_packed_file_is_read_and_a_damaged_one_is_one_line():
    data = gzip.compress(line_of(block("f()"), task_id="a").encode())
    assert len(read_chats("stateless/traces.jsonl.gz", data)[0]) == 1
    episodes, problems = read_chats("stateless/traces.jsonl.gz", data[:-12])
    assert not episodes and len(problems) == 1 and "the file is damaged" in problems[0]


def test_half_a_character_does_not_stop_an_export(tmp_path):
    data = line_of(block("f()")).replace("I act", "I \\ud800 act").encode()
    episodes, _ = read_chats("traces.jsonl", data)
    write_chat(episodes, tmp_path / "again.jsonl")
    assert "I ? act" in (tmp_path / "again.jsonl").read_text(encoding="utf-8")


def test_a_message_in_parts_is_its_texts():
    parts = [{"type": "text", "text": "I act."}, {"type": "text", "text": "```python\nf()\n```"}]
    assert episode_of({"role": "assistant", "content": parts}).turns[0].code == "f()"
