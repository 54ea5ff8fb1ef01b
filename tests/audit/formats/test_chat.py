"""Conversations in the shapes that are about."""

import json

import pytest
from odd_transcripts import check_odd_values

from knapsack_lib.audit.formats import Problems, read_transcripts

BLOCK = "I look.\n```python\nx = 1\n```"
ERROR = "Traceback (most recent call last):\n  File \"<stdin>\", line 1, in <module>\nNameError: name 'y' is not defined"
CHATML = f"<|im_start|>user\nGo.<|im_end|>\n<|im_start|>assistant\n{BLOCK}<|im_end|>\n<|im_start|>tool\n{ERROR}<|im_end|>\n"
USER = {"role": "user", "content": "Go."}
SAID = {"role": "assistant", "content": BLOCK}
SEEN = {"role": "user", "content": ERROR}

SHAPES = {
    "openai": {"messages": [USER, SAID, SEEN]},
    "parts": {
        "messages": [
            {**one, "content": [{"type": "text", "text": one["content"]}]}
            for one in (USER, SAID, SEEN)
        ]
    },
    "sharegpt": {
        "conversations": [
            {"from": "human", "value": "Go."},
            {"from": "gpt", "value": BLOCK},
            {"from": "human", "value": ERROR},
        ]
    },
    "chatml": {"text": CHATML},
    "prompt and completion": {"prompt": [USER], "completion": [SAID, SEEN]},
    "plain completion": {"prompt": "Go.", "completion": CHATML},
    "chosen": {"prompt": "Go.", "chosen": [USER, SAID, SEEN], "rejected": [USER]},
    "as text in a column": {"messages": json.dumps([USER, SAID, SEEN])},
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ["jsonl", "json", "parquet"])
def test_every_shape_gives_the_block_and_what_came_of_it(tmp_path, shape, kind):
    path = tmp_path / f"x.{kind}"
    rows = [{**SHAPES[shape], "model": "m"}] * 2
    if kind == "parquet":
        arrow = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        parquet.write_table(arrow.Table.from_pylist(rows), path)
    else:
        path.write_text(
            json.dumps(rows) if kind == "json" else "\n".join(map(json.dumps, rows)),
            encoding="utf-8",
        )
    found = list(read_transcripts(path))
    assert len(found) == 2 and len({one.transcript_id for one in found}) == 2
    (step,) = found[1].steps
    assert step.code == "x = 1" and step.reply == BLOCK and step.error_type == "NameError"
    assert found[0].labels == {"model": "m"}


def call(arguments, name="python", **more):
    return {
        "id": "c1",
        "type": "function",
        "function": {"name": name, "arguments": arguments},
        **more,
    }


def test_each_tool_call_with_code_is_a_block_with_its_own_answer(tmp_path):
    messages = [
        USER,
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                call(json.dumps({"code": "a = 1"})),
                call(json.dumps({"command": "ls"}), "bash", id="c2"),
                call("print(a)", "python", id="c3"),
            ],
        },
        {"role": "tool", "tool_call_id": "c3", "content": ERROR},
        {"role": "tool", "tool_call_id": "c1", "content": "done"},
        {"role": "tool", "tool_call_id": "c2", "content": "files"},
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "Again."},
                {"type": "tool_use", "id": "t", "name": "run_code", "input": {"source": "a"}},
            ],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "1"}]},
    ]
    path = tmp_path / "x.jsonl"
    path.write_text(json.dumps({"messages": messages}) + "\n", encoding="utf-8")
    (found,) = read_transcripts(path)
    assert [(step.code, step.observation) for step in found.steps] == [
        ("a = 1", "done"),
        ("print(a)", ERROR),
        ("a", "1"),
    ]


def test_a_row_without_messages_is_counted(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text(json.dumps(SHAPES["openai"]) + '\n{"messages": []}\n[1]\n7\n', encoding="utf-8")
    problems = Problems()
    assert len(list(read_transcripts(path, problems=problems))) == 1
    assert problems.count == 3


@pytest.mark.parametrize("shape", SHAPES)
def test_odd_values_are_told_or_passed_over(tmp_path, shape):
    check_odd_values(tmp_path, "chat", SHAPES[shape])
