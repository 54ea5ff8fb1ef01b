"""Files in the layout of the paper's authors."""

import json

from odd_transcripts import check_odd_values

from knapsack_lib.audit.formats import Problems, read_transcripts

RAISED = "Traceback (most recent call last):\n  File \"<string>\", line 2, in <module>\nNameError: name 'w' is not defined"


def step(code, output="", error=None):
    result = {"success": error is None, "result": None, "output": output, "error": error}
    text = f"I go on.\n```python\n{code}\n```"
    data = {"turn": 0, "assistant_text": text, "code": code, "interpreter_result": result}
    return {"type": "StepEvent", "data": data, "timestamp": "2026-01-01T00:00:00"}


TRACE = {
    "summary": {"task": "Fill it.", "system_prompts": [], "num_steps": 2, "finish_reason": None},
    "events": [
        {"type": "StartEvent", "data": {"task": "Fill it."}, "timestamp": ""},
        step("ids = json.loads(list_items())", "3\n"),
        step("v = 1\nprint(w)", error=RAISED),
    ],
}


def test_a_trace_is_read_and_what_lies_beside_it_is_passed_over(tmp_path):
    folder = tmp_path / "persistent_stateless_hard" / "knapsack"
    folder.mkdir(parents=True)
    (folder / "knapsack-7.trace.json").write_text(json.dumps(TRACE), encoding="utf-8")
    (folder / "knapsack-7.json").write_text(
        '{"status": "completed", "result": {"score": 1}}', encoding="utf-8"
    )
    (folder / "knapsack-8.json").write_text('{"public": {}, "private": {}}', encoding="utf-8")
    (folder.parent / "summary.json").write_text("{}", encoding="utf-8")
    problems = Problems()
    (found,) = read_transcripts(tmp_path, problems=problems)
    assert problems.count == 0
    assert [(one.code, one.error_type, one.line) for one in found.steps] == [
        ("ids = json.loads(list_items())", None, None),
        ("v = 1\nprint(w)", "NameError", 2),
    ]
    assert found.labels == {
        "family": "knapsack",
        "train": "persistent",
        "runtime": "reset",
        "difficulty": "medium",
    }
    assert {"json", "list_items"} <= found.provided


def test_training_traces_are_read_line_by_line(tmp_path):
    folder = tmp_path / "data" / "navigation" / "stateless"
    folder.mkdir(parents=True)
    messages = [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "u"},
        {"role": "assistant", "content": "a\n```python\nx = 1\n```"},
        {"role": "assistant", "content": "two\n```python\ny\n```\n```python\nz\n```"},
        {"role": "user", "content": "error"},
        {"role": "assistant", "content": "b\n```python\nv = 1\nprint(w)\n```"},
        {"role": "user", "content": json.dumps({"error": RAISED})},
    ]
    lines = [json.dumps({"messages": messages})] * 2 + ["{", '{"messages": 7}']
    (folder / "traces.jsonl").write_text("\n".join(lines), encoding="utf-8")
    problems = Problems()
    first, second = read_transcripts(tmp_path, problems=problems)
    assert [(one.code, one.error_type, one.line) for one in second.steps] == [
        ("x = 1", None, None),
        ("v = 1\nprint(w)", "NameError", 2),
    ]
    assert first.labels["family"] == "navigation" and first.labels["runtime"] == "reset"
    assert first.transcript_id != second.transcript_id
    assert problems.count == 2 and problems.lines[1].startswith("data/navigation/stateless/traces")


def test_odd_values_are_told_or_passed_over(tmp_path):
    check_odd_values(tmp_path, "authors", TRACE)
