"""Trajectories of OpenHands."""

import json

import pytest
from odd_transcripts import check_odd_values

from knapsack_lib.audit.formats import Problems, read_transcripts

KERNEL = (
    "\n[Jupyter current working directory: /workspace]\n[Jupyter Python interpreter: /bin/python]"
)
RAISED = """---------------------------------------------------------------------------
NameError                                 Traceback (most recent call last)
Cell In[2], line 2
      1 a = 1
----> 2 print(b)

NameError: name 'b' is not defined"""


def acted(number, action, **args):
    return {"id": number, "source": "agent", "action": action, "args": args, "message": "..."}


def seen(number, cause, content, observation="run_ipython"):
    return {
        "id": number,
        "source": "agent",
        "cause": cause,
        "observation": observation,
        "content": content,
        "extras": {},
    }


EDIT = {
    **acted(9, "run_ipython", code="print(file_editor(**{}))"),
    "tool_call_metadata": {"function_name": "str_replace_editor", "tool_call_id": "t"},
}
EVENTS = [
    {"id": 0, "source": "user", "action": "message", "args": {"content": "Go."}},
    acted(1, "run", command="ls", thought="I look."),
    seen(2, 1, "a.py", "run"),
    acted(3, "run_ipython", code="a = 1", thought="I begin."),
    seen(4, 3, "[Code executed successfully with no output]" + KERNEL),
    acted(5, "run_ipython", code="a = 1\nprint(b)", thought=""),
    seen(6, 5, RAISED + KERNEL),
    EDIT,
    seen(10, 9, "edited"),
    acted(11, "finish", outputs={}),
]
PAIRS = [
    [EVENTS[0], {"observation": "null", "content": ""}],
    *[[EVENTS[place], EVENTS[place + 1]] for place in (1, 3, 5, 7)],
]


@pytest.mark.parametrize("name", ["trajectory.json", "output.jsonl", "older.jsonl", "events.jsonl"])
def test_what_ran_in_its_ipython_is_read(tmp_path, name):
    path = tmp_path / name
    row = {"instance_id": "x-1", "history": EVENTS, "metadata": {"llm_config": {"model": "m"}}}
    written = {
        "trajectory.json": [EVENTS],
        "output.jsonl": [row],
        "older.jsonl": [{**row, "history": PAIRS}],
        "events.jsonl": EVENTS,
    }[name]
    path.write_text("\n".join(map(json.dumps, written)), encoding="utf-8")
    (found,) = read_transcripts(path)
    first, second = found.steps
    assert first.code == "a = 1" and first.reply == "I begin.\na = 1" and first.error_type is None
    assert first.observation == "[Code executed successfully with no output]"
    assert (second.error_type, second.error, second.line) == (
        "NameError",
        "name 'b' is not defined",
        2,
    )
    assert found.labels == ({"model": "m"} if "metadata" in written[0] else {})
    assert "open_file" in found.provided


def test_a_line_without_events_is_counted(tmp_path):
    path = tmp_path / "output.jsonl"
    lines = [{"instance_id": "1", "history": EVENTS}, {"instance_id": "2", "history": None}]
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    problems = Problems()
    assert len(list(read_transcripts(path, problems=problems))) == 1
    assert problems.lines == ["output.jsonl:2: no list of events"]


@pytest.mark.parametrize("events", [EVENTS, PAIRS])
def test_odd_values_are_told_or_passed_over(tmp_path, events):
    check_odd_values(tmp_path, "openhands", {"history": events})
