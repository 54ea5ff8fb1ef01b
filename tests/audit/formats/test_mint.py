"""Outputs of MINT-bench."""

import json

from odd_transcripts import check_odd_values

from knapsack_lib.audit.formats import Problems, read_transcripts

ERROR = """Observation:
---------------------------------------------------------------------------
NameError                                 Traceback (most recent call last)
Cell In[2], line 3
      1 import math

----> 3 print(total)

NameError: name 'total' is not defined
You have 3 steps left and 2 chances to propose solution left.
"""


def episode(*history, **more):
    roles = ("user", "assistant")
    messages = [{"role": roles[n % 2], "content": text} for n, text in enumerate(history)]
    task = {"task_name": "reasoning", "task_id": 7}
    return json.dumps({"state": {"history": messages, **more}, "task": task})


def read(tmp_path, *lines, name="gpt-4/F=None/max5/reasoning/math/results.jsonl"):
    path = tmp_path / "outputs" / name
    path.parent.mkdir(parents=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    problems = Problems()
    return list(read_transcripts(tmp_path, problems=problems)), problems, path


def test_blocks_are_what_ran_and_their_errors_are_read(tmp_path):
    (found,), _, path = read(
        tmp_path,
        episode(
            "Task: <execute> not this </execute>",
            "I count.\n<execute>\nn = 1\n</execute> and <execute> n += 1 </execute>",
            "Observation:\n2\nYou have 4 steps left and 2 chances to propose solution left.\n",
            "<execute>\nimport math\n\nprint(total)\n</execute>",
            ERROR,
            "<execute>n</execute>\n<solution> 2 </solution>",
            "Observation:\nYour answer is wrong.\n",
            "<execute>never closed",
            "Observation:\nI don't understand your input. \n",
            "<execute>n</execute>",
            latest_output={"observation": "I don't understand your input. \n"},
        ),
    )
    assert [step.code for step in found.steps] == [
        "n = 1\nn += 1",
        "import math\n\nprint(total)",
        "n",
    ]
    first, second, last = found.steps
    assert first.observation == "2" and first.error_type is None
    assert (second.error_type, second.error, second.line) == (
        "NameError",
        "name 'total' is not defined",
        3,
    )
    assert last.observation == "" and last.error_type is None
    assert found.labels == {"model": "gpt-4", "task": "math", "item": "7", "solved": "false"}
    assert found.provided == {"wikipedia_search"}
    alone = list(read_transcripts(path))  # the folders above the file still say whose it is
    assert alone[0].labels == found.labels


def test_a_line_without_a_history_is_counted(tmp_path):
    found, problems, _ = read(
        tmp_path, episode("t", "<execute>1</execute>"), '{"state": {}, "task": {}}', "{"
    )
    assert len(found) == 1 and problems.count == 2


def test_odd_values_are_told_or_passed_over(tmp_path):
    check_odd_values(
        tmp_path,
        "mint",
        json.loads(episode("t", "<execute>x</execute>", ERROR, "<execute>y</execute>")),
    )
