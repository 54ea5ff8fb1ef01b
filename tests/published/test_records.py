"""Result and trace files that are damaged: whatever is done to the bytes, the answer is records, or
one line; nothing else is touched."""

import json
import random
import re

import pytest
from common import one_line
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from knapsack_lib.analysis.failures import after_missing, failure_of
from knapsack_lib.errors import UserError
from knapsack_lib.profiles import Cell
from knapsack_lib.published.episodes import to_episode
from knapsack_lib.published.records import read_records
from knapsack_lib.published.reports import compare, stats

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4)
    ),
    max_leaves=12,
)


def known(*names):
    """An object with these keys and anything in them, or anything at all."""
    return st.fixed_dictionaries({}, optional=dict.fromkeys(names, JSON)) | JSON


USAGE = known("prompt_tokens", "completion_tokens", "total_tokens")


STEP = (
    st.fixed_dictionaries(
        {},
        optional={
            "assistant_text": JSON,
            "code": JSON,
            "token_usage": USAGE,
            "interpreter_result": known("success", "result", "output", "error"),
        },
    )
    | JSON
)


SUMMARY = st.fixed_dictionaries(
    {},
    optional={
        "task": JSON,
        "system_prompts": JSON,
        "num_steps": JSON,
        "finish_reason": JSON,
        "token_usage": USAGE,
    },
)


METRICS = known(
    "agent_value",
    "optimal_value",
    "weight_used",
    "capacity",
    "items_taken_count",
    "inspected_count",
)


QUIET = settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def survives(folder):
    """Reports and episodes of a folder, or one line."""
    try:
        found = read_records(folder)
        for as_published in (False, True):
            stats(found, as_published)
        compare(found, found)
        for record in found.records:
            to_episode(record).to_line()
    except UserError as error:
        assert "\n" not in str(error) and len(str(error)) < 700
    else:
        assert all("\n" not in line for line in (*found.problems, *found.notes))


def changed(data, rng):
    """The bytes after one of the things that happen to files."""
    kind, at = rng.randrange(6), rng.randrange(max(1, len(data)))
    if kind == 0:
        return data[:at]
    if kind == 1:
        return data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
    if kind == 2:
        return data[:at] + data[at + rng.randrange(60) :]
    if kind == 3:
        return (
            data[:at]
            + rng.choice([b"null", b'"', b"{", b"]", b"1e999", b"\\ud800", b"\x00", b"NaN"])
            + data[at:]
        )
    if kind == 4:
        return data.replace(
            rng.choice([b"true", b"null", b"0", b'"', b"{", b"data"]),
            rng.choice([b"[]", b"7", b""]),
            1,
        )
    return bytes(reversed(data))


def test_thousands_of_damaged_files_give_records_or_one_line(copy, request):
    folder = copy("persistent")
    for path in sorted(folder.iterdir())[4:]:
        path.unlink()
    files = sorted(folder.iterdir())
    whole, rng = {path: path.read_bytes() for path in files}, random.Random(20260301)
    for number in range(1250):  # four files each
        for path in files:
            path.write_bytes(changed(whole[path], rng))
        survives(folder)
        assert sorted(folder.iterdir()) == files, number


@QUIET
@given(result=JSON, metrics=METRICS, summary=SUMMARY, events=JSON, step=STEP)
def test_any_json_in_any_place_gives_records_or_one_line(
    tmp_path, result, metrics, summary, events, step
):
    folder = tmp_path / "made"
    folder.mkdir(exist_ok=True)
    data = {
        "status": "completed",
        "result": {"is_solved": result, "score": result, "metrics": metrics},
    }
    listed = [{"type": "StepEvent", "data": step}, events]
    (folder / "knapsack-a.json").write_text(json.dumps(data), encoding="utf-8")
    (folder / "knapsack-a.trace.json").write_text(
        json.dumps({"summary": summary, "events": listed}), encoding="utf-8"
    )
    survives(folder)


@pytest.mark.parametrize("size", [0, 1])
def test_a_folder_without_episodes_is_one_line(tmp_path, size):
    if size:
        (tmp_path / "notes.json").write_text("{}", encoding="utf-8")
    with pytest.raises(
        UserError, match="no knapsack-<task>.json .or another family.s. in it"
    ) as error:
        read_records(tmp_path)
    one_line(error)


def test_a_family_of_the_projects_own_has_its_own_files(project, sample):
    source = (
        "from knapsack_lib.families import Family\n\n\n"
        "class Lamps(Family):\n    name = 'lamps'\n    tools, sizes = (), {}\n"
        "    make_task = world = None\n\n\nFAMILY = Lamps()\n"
    )
    (project / "families").mkdir()
    (project / "families" / "lamps.py").write_text(source, encoding="utf-8")
    data = (sample / "persistent" / "knapsack-knapsack-0000000000.json").read_text(encoding="utf-8")
    for name in ("lamps-0", "knapsack-0", "other-0"):
        (project / "files").mkdir(exist_ok=True)
        (project / "files" / f"{name}.json").write_text(data, encoding="utf-8")
    records = read_records(project / "files").records
    assert [record.family for record in records] == ["knapsack", "lamps"]
    mine = to_episode(records[1])
    assert (
        mine.family == "lamps" and mine.result["agent_value"] == records[1].metrics["agent_value"]
    )


def test_a_trace_or_a_result_alone_is_counted_and_stated(copy):
    folder = copy("persistent")
    (folder / "knapsack-knapsack-0000000003.trace.json").unlink()
    (folder / "knapsack-knapsack-0000000005.json").unlink()
    found = read_records(folder)
    notes = stats(found).notes
    assert len(found.records) == 8 and any("without its result file" in note for note in notes)
    assert not found.problems  # nothing was left out
    assert any("1 episodes have no trace" in note for note in notes)


def benchmark(copy, tmp_path, family, cell="base_stateless_hard"):
    """The sample as files of a family in the benchmark layout."""
    folder = tmp_path / "benchmarks" / cell / family
    folder.parent.mkdir(parents=True, exist_ok=True)
    copy("persistent").rename(folder)
    for path in sorted(folder.iterdir()):
        path.rename(folder / path.name.replace("knapsack", family))
    return tmp_path / "benchmarks"


@pytest.mark.parametrize("family", ["navigation", "rule_diagnosis", "lamps"])
def test_any_family_of_the_benchmark_layout_is_read_and_has_figures_without_a_world(
    copy, tmp_path, family, sample
):
    folder = benchmark(copy, tmp_path, family)
    (folder / "base_stateless_hard" / "summary.json").write_text("{}", encoding="utf-8")
    (folder / "base_stateless_hard" / family / "notes.json").write_text("{}", encoding="utf-8")
    found, known = read_records(folder), read_records(sample / "persistent")
    assert {record.family for record in found.records} == {family} and not found.problems
    assert found.records[0].task_id == f"{family}-0000000000"
    assert {record.cell for record in found.records} == {Cell(family, "base", "reset", "medium")}
    mine, theirs = stats(found), stats(known)
    for name in ("success_rate", "optimality", "steps", "total_tokens"):
        assert mine.means[name] == theirs.means[name]
    episode = to_episode(found.records[4])
    assert episode.family == family and after_missing(episode) is not None


@pytest.mark.parametrize("inner", ["base_stateless_hard", "base_stateless_hard/lamps"])
def test_an_inner_folder_of_the_layout_says_as_much_as_the_whole(copy, tmp_path, inner):
    folder = benchmark(copy, tmp_path, "lamps")
    whole, part = read_records(folder), read_records(folder / inner)
    assert [(r.family, r.task_id, r.cell) for r in part.records] == [
        (r.family, r.task_id, r.cell) for r in whole.records
    ]


def test_a_trace_tells_a_family_that_nobody_here_knows(copy):
    folder = copy("persistent")
    for path in sorted(folder.iterdir()):
        path.rename(folder / path.name.replace("knapsack-", "lamps-", 1))
    (folder / "package-lock.json").write_text(
        '{"status": "completed", "result": {}}', encoding="utf-8"
    )
    (folder / "perf-1.trace.json").write_text('{"traceEvents": []}', encoding="utf-8")
    found = read_records(folder)
    assert len(found.records) == 8 and {record.family for record in found.records} == {"lamps"}
    assert not found.problems and not found.notes


def test_task_files_are_no_episodes_and_no_problem(sample):
    found = read_records(sample)
    assert len(found.records) == 16 and not found.problems


def test_react_steps_are_turns_without_code_whose_calls_are_kept(copy):
    folder = copy("persistent")
    path = folder / "knapsack-knapsack-0000000000.trace.json"
    for name in ("results", "tool_calls"):
        trace = json.loads(path.read_text(encoding="utf-8"))
        steps = [event["data"] for event in trace["events"] if event["type"] == "StepEvent"]
        for step in steps:
            listed = [
                {"tool": "inspect", "output": '{"weight": 3}'},
                {"tool": "take_item", "output": None},
            ]
            step["code"], step["interpreter_result"] = None, {name: listed}
        path.write_text(json.dumps(trace), encoding="utf-8")
        episode = to_episode(read_records(folder).records[0])
        assert len(episode.turns) == len(steps) > 0
        for turn in episode.turns:
            assert (turn.parse_status, turn.code) == ("tool_calls", None)
            assert [call["name"] for call in turn.tool_calls] == ["inspect", "take_item"]
            assert turn.observation == '[inspect] {"weight": 3}\n[take_item] null'
        assert failure_of(episode) != "no code"


def test_conversations_are_not_paired_by_their_lines(tmp_path):
    for regime in ("persistent", "stateless"):
        (tmp_path / regime).mkdir()
        line = {"messages": [{"role": "assistant", "content": "x"}]}
        (tmp_path / regime / "traces.jsonl").write_text(json.dumps(line), encoding="utf-8")
    with pytest.raises(UserError, match="the number of a line is no task id") as error:
        read_records(tmp_path / "persistent")
    one_line(error)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (b"", "the file is empty"),
        (b'{"status": "comp', "no whole JSON"),
        ("größe".encode("latin-1"), "not UTF-8"),
        (b"[1, 2]", "holds a list where an object is expected"),
        (b'{"status": "fine"}', "status 'fine' is none of completed, timeout, error"),
        (b'{"status": "completed", "result": 7}', "result is no dict"),
        (b'{"status": "completed", "result": {"metrics": 7}}', "metrics is no dict"),
        (b"[" * 100_000, "nested too deep|no whole JSON"),
    ],
    ids=["empty", "cut", "latin-1", "list", "status", "result", "metrics", "deep"],
)
def test_a_damaged_file_is_one_line_of_the_notes_and_the_rest_is_read(copy, damage, message):
    folder = copy("persistent")
    (folder / "knapsack-knapsack-0000000000.json").write_bytes(damage)
    found = read_records(folder)
    assert len(found.records) == 8 and re.search(message, found.problems[0])
    assert (
        "knapsack-knapsack-0000000000.json" in found.problems[0] and "\n" not in found.problems[0]
    )
    json.dumps(found.problems)
