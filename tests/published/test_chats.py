"""Training traces: a conversation per line, whole or damaged."""

import json

import pytest

from knapsack_lib.published.chats import read_chats
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
        "".join(json.dumps(line) + "\n" for line in lines) + '{"messages": [{"ro'
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
    trace = json.loads(next(sample.glob("persistent/*0.trace.json")).read_text())
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
