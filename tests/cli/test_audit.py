"""`knapsack audit`, as it is typed."""

import json

import pytest
from click.testing import CliRunner

from knapsack_lib.cli import knapsack
from knapsack_lib.cli.audit import audit


@pytest.fixture
def traces(tmp_path):
    """Forty conversations whose second block takes a variable from the first."""
    replies = ["I set it.\n```python\nx = 41\n```", "I use it.\n```python\nprint(x + 1)\n```"]
    messages = [{"role": "user", "content": "Add one."}]
    for reply, seen in zip(replies, ["", "42"], strict=True):
        messages += [{"role": "assistant", "content": reply}, {"role": "user", "content": seen}]
    path = tmp_path / "traces.jsonl"
    path.write_text((json.dumps({"messages": messages}) + "\n") * 40, encoding="utf-8")
    return path


def run(*words):
    return CliRunner().invoke(audit, [str(word) for word in words])


def test_a_data_set_is_judged_in_one_line_and_shown_on_a_page(traces, tmp_path):
    page = tmp_path / "page.html"
    done = run(traces, "--html", page)
    assert done.exit_code == 0, done.output
    assert "teaches   persistent" in done.output and str(page) in done.output
    assert "print(<" in page.read_text(encoding="utf-8")  # the name that it relies on is marked


def test_as_json_it_is_plain_values(traces):
    (found,) = json.loads(run(traces, "--json").output)
    assert found["teaches"] == "persistent" and found["measures"]["relies"]["value"] == 1
    assert found["measures"]["relies_class"]["value"] == 0 and found["unread"] == 0


def test_two_sources_stand_side_by_side(traces):
    done = run(traces, "--against", traces)
    assert done.output.count("teaches   persistent") == 2


def test_replayed_the_blocks_run_again_where_their_state_is_there(traces):
    done = run(traces, "--replay")
    assert "persistent: 40 of 40 episodes run again as recorded" in done.output
    assert "reset: 0 of 40 episodes" in done.output
    (found,) = json.loads(run(traces, "--replay", "--json").output)
    assert [one["replayable"] for one in found["replay"]] == [40, 0]


def test_a_condition_that_is_true_ends_a_pipeline(traces):
    assert run(traces, "--fail-if", "teaches != persistent").exit_code == 0
    failed = run(traces, "--fail-if", "relies > 5%")
    assert failed.exit_code == 1 and "failed: relies is 1.000" in failed.output


def test_what_cannot_be_read_is_named(traces):
    with open(traces, "a", encoding="utf-8") as file:
        file.write('{"messages": [')
    done = run(traces)
    assert done.exit_code == 1 and "not read: " in done.output and ":41" in done.output


def test_nothing_to_read_is_one_line(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"colour": "red"}\n', encoding="utf-8")
    for source in (tmp_path / "a.jsonl", tmp_path / "none.jsonl"):
        done = run(source)
        assert done.exit_code and len(str(done.exception).splitlines()) == 1


def test_the_command_is_among_the_others():
    assert "audit" in CliRunner().invoke(knapsack, ["--help"]).output
