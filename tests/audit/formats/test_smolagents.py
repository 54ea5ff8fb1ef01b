"""Memory of an agent of smolagents."""

import json

import pytest
from odd_transcripts import check_odd_values

from knapsack_lib.audit.formats import Problems, read_transcripts


def step(number, code, observations=None, kind=None, message=None, **more):
    said = f"Thought: on.\n<code>\n{code}\n</code>"
    call = {"name": "python_interpreter", "arguments": code}
    return {
        "step_number": number,
        "timing": {"start_time": 1.0, "end_time": 2.0, "duration": 1.0},
        "tool_calls": [{"id": f"call_{number}", "type": "function", "function": call}],
        "error": {"type": kind, "message": message} if kind else None,
        "model_output": said,
        "code_action": code,
        "observations": observations,
        "action_output": None,
        "is_final_answer": False,
        **more,
    }


def failed(words, why):
    return "AgentExecutionError", f"Code execution failed at line '{words}' due to: {why}"


MEMORY = [
    {"task": "Count.", "task_images": None},
    step(1, "x = 41\nprint(x)", "Execution logs:\n41\nLast output from code snippet:\nNone"),
    step(
        2,
        "z = 1\nprint(y + x)",
        None,
        *failed("print(y + x)", "InterpreterError: The variable `y` is not defined."),
    ),
    {"plan": "Go on.", "timing": {}, "model_input_messages": []},
    step(
        3,
        "look(3)",
        None,
        *failed(
            "look(3)",
            "InterpreterError: Forbidden function evaluation: 'look' is not among the explicitly"
            " allowed tools or defined/imported in the preceding code",
        ),
    ),
    {
        **step(4, "", None, "AgentParsingError", "Error in code parsing: no code"),
        "model_output": "No code here.",
        "code_action": None,
        "tool_calls": [],
    },
    step(5, "1/0", None, *failed("1/0", "ZeroDivisionError: division by zero")),
    step(
        6,
        "while True: pass",
        None,
        "AgentExecutionError",
        "Code execution exceeded the maximum execution time of 30 seconds",
    ),
]
RAN = [
    ("x = 41\nprint(x)", None, None, None, False),
    ("z = 1\nprint(y + x)", "NameError", "name 'y' is not defined", 2, False),
    ("look(3)", "NameError", "name 'look' is not defined", 1, False),
    ("1/0", "ZeroDivisionError", "division by zero", 1, False),
    ("while True: pass", None, None, None, True),
]


def older(memory):
    """Before code_action was there, the code stood in the call alone."""
    return [{key: value for key, value in one.items() if key != "code_action"} for one in memory]


@pytest.mark.parametrize(
    "document", [MEMORY, {"steps": MEMORY, "model": "m"}, [MEMORY], older(MEMORY)]
)
def test_steps_are_blocks_with_what_their_interpreter_said(tmp_path, document):
    path = tmp_path / "memory.json"
    path.write_text(json.dumps(document, indent=1), encoding="utf-8")
    (found,) = read_transcripts(path)
    assert [
        (one.code, one.error_type, one.error, one.line, one.stopped) for one in found.steps
    ] == RAN
    assert found.steps[0].observation.startswith("Execution logs:\n41")
    assert found.steps[0].reply.startswith("Thought: on.")
    assert "final_answer" in found.provided


def test_several_runs_are_several_episodes_and_what_is_none_is_counted(tmp_path):
    path = tmp_path / "memory.jsonl"
    path.write_text(
        "\n".join(map(json.dumps, [MEMORY, MEMORY[:2], {"steps": []}, MEMORY[:3]])),
        encoding="utf-8",
    )
    problems = Problems()
    found = list(read_transcripts(path, "smolagents", problems))
    assert [len(one.steps) for one in found] == [5, 1, 2]
    assert problems.lines == ["memory.jsonl:3: no steps of smolagents"]


@pytest.mark.parametrize("document", [MEMORY, {"steps": MEMORY}])
def test_odd_values_are_told_or_passed_over(tmp_path, document):
    check_odd_values(tmp_path, "smolagents", document)
