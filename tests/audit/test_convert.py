"""Traces made to fit the other runtime: proven by running them, the twin being the answer key."""

import ast
import json
import re
from dataclasses import replace

import pytest
from click.testing import CliRunner
from common import one_line
from made import tasks

from knapsack_lib.audit.conversion import convert_set
from knapsack_lib.audit.convert import Unproven, converted, with_code
from knapsack_lib.audit.formats import read_transcripts
from knapsack_lib.audit.measures import measured
from knapsack_lib.audit.replay import LIMITS, replayed
from knapsack_lib.audit.rewriting import episode_of, row_of
from knapsack_lib.cli import knapsack
from knapsack_lib.episodes import Episode
from knapsack_lib.errors import UserError
from knapsack_lib.families import family_named
from knapsack_lib.interpreter import Interpreter, Pool, persistence_named
from knapsack_lib.profiles import PromptOptions
from knapsack_lib.store import read_episodes
from tests.audit.traces import STYLES, pair, recorded

BOTH = pytest.mark.parametrize(("source", "target"), [STYLES, STYLES[::-1]])


@pytest.fixture(scope="module")
def pool():
    with Pool(LIMITS, after_kill="lose") as opened:
        yield opened


@pytest.fixture(scope="module")
def pairs(pool, pocket):
    """Tasks of both sizes, played in both styles without slips."""
    drawn = [*tasks(4, seed=2), *tasks(2, "pocket-medium", seed=2)]
    return [
        (task, pair(pool, pocket, task, seed=number, slip_share=0.0))
        for number, task in enumerate(drawn)
    ]


@pytest.fixture
def to(pool):
    """The code of each block once it is converted."""

    def convert(target, *blocks, runtime="persistent", **more):
        transcript = recorded(pool, *blocks, runtime=runtime, **more)
        return [step.code for step in converted(transcript, target, pool)[0].steps]

    return convert


def calls(seen):
    return [[(c["name"], c["args"], c["result"]) for c in turn.tool_calls] for turn in seen.turns]


def values(block):
    """The literals that a block assigns at its top."""
    return {
        target.id: ast.literal_eval(node.value)
        for node in ast.parse(block).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and not any(map(is_read, ast.walk(node.value)))
    }


def is_read(node):
    return isinstance(node, (ast.Name, ast.Call, ast.ListComp))


# The paired traces --------------------------------------------------------------------------------


@BOTH
def test_our_traces_convert_to_what_their_twins_do(pool, pairs, source, target):
    for task, found in pairs:
        (mine, transcript), (twin, _) = found[source], found[target]
        new, proof = converted(transcript, target, pool)
        episode = episode_of(new, proof, target)
        assert calls(episode) == calls(mine) == calls(twin)
        assert [t.observation for t in episode.turns] == [t.observation for t in twin.turns]
        assert [t.stdout for t in episode.turns] == [t.stdout for t in twin.turns]
        assert [t.bindings == [] for t in episode.turns] == [t.bindings == [] for t in twin.turns]
        assert episode.result == twin.result and episode.opening == twin.opening
        assert episode.runtime == target and not any(t.error_type for t in episode.turns)
        assert replayed(new, target, pool, task).why is None  # in the real world


@BOTH
def test_the_score_in_the_real_world_is_that_of_the_twin(pool, pairs, source, target):
    for task, found in pairs[:2]:
        new, _ = converted(found[source][1], target, pool)
        world = family_named(task.family).world(task)
        with Interpreter(pool, persistence_named(target), world.tools, 1) as interpreter:
            seen = [interpreter.run(step.code) for step in new.steps]
        assert not any(one.error_type for one in seen)
        assert world.result() == found[target][0].result


def test_to_reset_restates_the_values_that_the_twin_restates(pool, pairs):
    compared = 0
    for _, found in pairs:
        new, _ = converted(found["persistent"][1], "reset", pool)
        for step, twin in zip(new.steps[1:-1], found["reset"][0].turns[1:-1], strict=True):
            mine, theirs = values(step.code), values(twin.code)
            assert {name: mine[name] for name in theirs if name in mine} == {
                name: value for name, value in theirs.items() if name in mine
            }
            assert theirs.keys() <= mine.keys()
            compared += len(theirs)
        assert not any(use.relies for use in measured(new))
    assert compared > 50


def test_to_persistent_takes_out_every_value_that_is_there(pool, pairs):
    for _, found in pairs:
        transcript = found["reset"][1]
        new, _ = converted(transcript, "persistent", pool)
        later = new.steps[1:-1]
        assert not any(re.search(r"^(import|\w+ = [\[{(]['\"])", s.code, re.M) for s in later)
        assert sum(len(s.code) for s in later) < 0.8 * sum(
            len(s.code) for s in transcript.steps[1:-1]
        )
        assert sum(bool(use.relies) for use in measured(new)) >= len(later)


@BOTH
def test_there_and_back_again_is_proven_too(pool, pairs, source, target):
    _, found = pairs[0]
    there, _ = converted(found[source][1], target, pool)
    labels = {**there.labels, "runtime": target}
    back, _ = converted(replace(there, labels=labels), source, pool)
    assert [s.stdout for s in back.steps] == [s.stdout for s in found[source][1].steps]


def test_slips_of_the_persistent_style_stay_slips(pool, pocket):
    slips = 0
    for number, task in enumerate(tasks(6, seed=4)):
        mine, transcript = pair(pool, pocket, task, seed=number, slip_share=1.0)["persistent"]
        new, proof = converted(transcript, "reset", pool)
        episode = episode_of(new, proof, "reset")
        for old, now in zip(mine.turns, episode.turns, strict=True):
            assert (old.slip, old.error_type, old.error) == (now.slip, now.error_type, now.error)
            slips += now.error_type == "NameError"
    assert slips >= 6


def test_slips_of_the_reset_style_cannot_happen_with_state_and_are_refused(pool, pocket):
    _, transcript = pair(pool, pocket, tasks(1, seed=4)[0], slip_share=1.0)["reset"]
    with pytest.raises(Unproven, match="recorded is NameError") as caught:
        converted(transcript, "persistent", pool)
    assert one_line(caught) and caught.value.kind == "record: error"


def test_what_is_of_the_runtime_already_stays_as_it_is(pool, pairs):
    for _, found in pairs[:2]:
        transcript = found["reset"][1]
        assert converted(transcript, "reset", pool)[0].steps == transcript.steps


# Hand-written traces ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "blocks",
    [
        ("import json\nfrom math import sqrt as root", "print(json.dumps(root(4)))"),
        ("def outer(n):\n    def inner(): return n\n    return inner\nf = outer(3)", "print(f())"),
        (
            "class A:\n    n = 0\n    def up(self):\n        A.n += 1\n        return A.n",
            "A().up()",
        ),
        ("class A:\n    pass\na = A()\na.x = 1", "a.x += 1", "print(a.x)"),
        ("class A: pass\nclass B(A): pass", "print(isinstance(B(), A))"),
        ("d = {}", "d['k'] = [1]", "d['k'].append(2)\nprint(d)", "print(d)"),
        ("x = []\nfor i in range(3):\n    x.append(i)", "print(x, i)"),
        ("rest = list_items()\nprint(rest)", "print(rest[0])", "rest.remove('a')", "print(rest)"),
        ("a = list_items()\nb = a", "a.append('z')\nprint(b)", "print(a, b)"),
        ("from math import *", "print(floor(2.5), pi)"),
        ("x = 1", "x = 2\nprint(x)\nx = 1 / 0\nx = 3", "print(x)"),
        ("x = 1", "x = (", "print(x)"),
        ("def f(): return y", "y = 4", "print(f())", "y = 5", "print(f())"),
        ("n = 0\ndef up():\n    global n\n    n += 1\n    print(n)", "up()", "up()", "up()"),
        ("x = 1", "del x", "print(x)"),
        ("s = {3, 1}\nt = (1, 's', None)\nb = b'x'", "s.add(2)", "print(sorted(s), t, b)"),
        ("import collections\nc = collections.Counter('aab')", "c['a'] += 1", "print(c)"),
        ("rows = [inspect(i) for i in list_items()]\nc = dict(rows)", "print(c)"),
        ("try:\n    seen\nexcept NameError:\n    seen = [1]", "print(seen)"),
        ("x = 1", "if 'x' not in globals():\n    x = 0\nprint(x)"),
        ("@staticmethod\ndef f(): return 1\ng = f", "print(g())"),
        ("text = '''a\nb'''\nx = 1; y = 2", "print(text, y)"),
    ],
)
def test_hand_written_blocks_go_to_reset(pool, to, blocks):
    codes = to("reset", *blocks)
    assert all(code.endswith(block) for code, block in zip(codes, blocks, strict=True))
    assert codes[0] == blocks[0] and codes != list(blocks)


@pytest.mark.parametrize(
    ("blocks", "last"),
    [
        (("import json\nx = [1]", "import json\nx = [1]\nprint(x)"), "print(x)"),
        (("x = [1]\nx.append(2)", "x = [1, 2]\nprint(x)"), "print(x)"),
        (("x = [1]", "x.append(2)", "x = [1]\nprint(x)"), "x = [1]\nprint(x)"),
        (("def f(x): return x", "def f(x): return x\nprint(f(1))"), "print(f(1))"),
        (("def f(x): return x", "def f(x): return 2\nf(1)"), "def f(x): return 2\nf(1)"),
        (
            (
                "d = {}\nfor i in 'ab':\n    d[i] = 1",
                "d = {}\nfor i in 'ab':\n    d[i] = 1\nprint(d)",
            ),
            "print(d)",
        ),
        (
            ("class A:\n    v = 1\na = A()", "class A:\n    v = 1\na = A()\nprint(a.v)"),
            "print(a.v)",
        ),
        (("x = 1", "# again\nx = 1\n\n# shown\nprint(x)"), "# shown\nprint(x)"),
        (("x = list_items()", "x = list_items()\nprint(x)"), "x = list_items()\nprint(x)"),
        (("x = 1", "print(x)\nx = 1"), "print(x)"),
        (("x = 1", "assert x\nx = 1"), "assert x"),
        (("x = 1", "x = 1"), "x = 1"),
    ],
)
def test_what_restates_the_state_goes_and_nothing_else(to, blocks, last):
    assert to("persistent", *blocks)[-1] == last


def test_one_object_with_two_names_is_not_taken_for_an_equal_one(pool, to):
    """`b = [1]` makes a list of its own: without it, b would be a."""
    blocks = ("a = [1]\nb = a", "b = [1]\na.append(2)\nprint(a, b)")
    with pytest.raises(Unproven, match="once converted, block 2 printed"):
        to("persistent", *blocks)


@pytest.mark.parametrize(
    ("blocks", "said"),
    [
        (("import random\nx = random.random()\nprint(x)", "print(random.random())"), "printed"),
        (("g = iter(list_items())\nnext(g)", "print(next(g))"), "g holds an object"),
        (("exec('x = 1')", "print(x)"), "misses x"),
    ],
)
def test_what_cannot_be_proven_says_why(to, blocks, said):
    with pytest.raises(Unproven, match=said) as caught:
        to("reset", *blocks)
    one_line(caught)


def test_only_the_code_in_the_fence_changes(pool):
    transcript = recorded(pool, "x = 1", "print(x)")
    new, _ = converted(transcript, "reset", pool)
    assert new.steps[1].reply == "I go on.\n```python\nx = 1\nprint(x)\n```\nSo it is."
    assert with_code("<execute>\nprint(x)\n</execute>", "print(x)", "x = 1\nprint(x)") == (
        "<execute>\nx = 1\nprint(x)\n</execute>"
    )
    with pytest.raises(Unproven, match="does not stand in a reply"):
        with_code("  ```python\n  print(x)\n  y\n  ```", "print(x)\ny", "z")
    with pytest.raises(Unproven, match="as one block"):
        with_code("```python\nprint(x)\n```", "print(x)", "'''\n```\n'''\nprint(x)")


def test_observations_that_name_bindings_are_those_of_the_other_runtime(pool, pocket):
    options = PromptOptions(style="brief", cue="stated", list_bindings=True)
    profile = pocket.model_copy(update={"prompt": options})
    found = pair(pool, profile, tasks(1, seed=2)[0], slip_share=0.0)
    for source, target in (STYLES, STYLES[::-1]):
        new, proof = converted(found[source][1], target, pool)
        episode, twin = episode_of(new, proof, target), found[target][0]
        assert episode.opening == twin.opening != found[source][0].opening
        shown = [turn.observation for turn in episode.turns[:-1]]
        assert all(("live names: none" in text) == (target == "reset") for text in shown)


# Conversations and sets ---------------------------------------------------------------------------


def chat(*turns):
    roles = ("assistant", "user")
    first = [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
    return first + [{"role": roles[n % 2], "content": text} for n, text in enumerate(turns)]


LEANS = chat(
    "A.\n```python\nx = [1]\n```", "(no output)", "B.\n```python\nprint(x)\n```", "[1]", "C"
)
ODD = chat("A.\n```python\nx = 1\n```", "(no output)", "B.\n```python\nprint(x)\n```", "2")


def write(path, *conversations):
    lines = [json.dumps({"messages": one, "model": "m"}) + "\n" for one in conversations]
    path.write_text("".join(lines), encoding="utf-8")
    return path


def test_a_conversation_keeps_every_message_but_the_code(tmp_path, pool):
    (transcript,) = read_transcripts(write(tmp_path / "a.jsonl", LEANS))
    new, _ = converted(transcript, "reset", pool)
    row = row_of(transcript, new)
    expected = [dict(one) for one in LEANS]
    expected[4]["content"] = "B.\n```python\nx = [1]\nprint(x)\n```"
    assert row["messages"] == expected and row["model"] == "m"


def test_code_in_the_arguments_of_a_tool_call_is_changed_there(tmp_path, pool):
    def call(code):
        function = {"name": "python", "arguments": json.dumps({"code": code})}
        return {"role": "assistant", "content": "", "tool_calls": [{"function": function}]}

    said = [{"role": "tool", "content": "(no output)"}, {"role": "tool", "content": "1"}]
    messages = [*LEANS[:2], call("x = 1"), said[0], call("print(x)"), said[1]]
    (transcript,) = read_transcripts(write(tmp_path / "a.jsonl", messages))
    row = row_of(transcript, converted(transcript, "reset", pool)[0])
    assert row["messages"][4] == call("x = 1\nprint(x)")
    assert row["messages"][:4] == messages[:4]


def test_the_command_writes_what_is_proven_and_lists_the_rest(tmp_path):
    source, out = write(tmp_path / "a.jsonl", LEANS, ODD), tmp_path / "out"
    done = CliRunner().invoke(
        knapsack, ["convert", str(source), "--to", "reset", "--out", str(out)]
    )
    assert done.exit_code == 1 and "1 of 2 episodes converted" in done.output
    assert sorted(path.name for path in out.iterdir()) == ["left_out.jsonl", "train.jsonl"]
    left = json.loads((out / "left_out.jsonl").read_text(encoding="utf-8"))
    assert left["kind"] == "record: print" and left["text"] in done.output
    (again,) = read_transcripts(out / "train.jsonl")
    assert [step.code for step in again.steps] == ["x = [1]", "x = [1]\nprint(x)"]


def test_the_command_writes_stores_of_our_episodes(tmp_path, pairs, pool):
    source = tmp_path / "mine" / "episodes.jsonl"
    source.parent.mkdir()
    episodes = [found["persistent"][0] for _, found in pairs[:2]]
    source.write_text("".join(one.to_line() + "\n" for one in episodes), encoding="utf-8")
    out = tmp_path / "out"
    arguments = ["convert", str(source.parent), "--to", "reset", "--out", str(out), "--json"]
    done = CliRunner().invoke(knapsack, arguments)
    assert done.exit_code == 0 and json.loads(done.output)["converted"] == 2
    found = list(read_episodes(out / "teacher-reset-easy", "make"))
    assert [one.episode_id for one in found] == [one.episode_id for one in episodes]
    assert all(isinstance(one, Episode) and one.runtime == "reset" for one in found)
    assert [one.to_line() for one in found] == [
        episode_of(*converted(pair["persistent"][1], "reset", pool), "reset").to_line()
        for _, pair in pairs[:2]
    ]


def test_nothing_is_left_behind_where_nothing_could_be_converted(tmp_path):
    source, out = write(tmp_path / "a.jsonl", ODD), tmp_path / "out"
    with pytest.raises(UserError, match="none of 1 episodes .* printed '1'") as caught:
        convert_set(read_transcripts(source), "reset", out)
    assert one_line(caught) and sorted(tmp_path.iterdir()) == [source]
    out.mkdir()
    with pytest.raises(UserError, match="there already"):
        convert_set(read_transcripts(source), "reset", out)
    with pytest.raises(UserError, match="persistent, reset"):
        convert_set(read_transcripts(source), "fresh", tmp_path / "other")


def test_a_stopped_conversion_leaves_nothing(tmp_path):
    source, out = write(tmp_path / "a.jsonl", LEANS, LEANS), tmp_path / "out"

    def stopped():
        yield from read_transcripts(source)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert_set(stopped(), "reset", out)
    assert sorted(tmp_path.iterdir()) == [source]


def test_a_traceback_in_a_conversation_counts_the_lines_that_are_there_now(tmp_path, pool):
    said = (
        'Traceback (most recent call last):\n  File "<string>", line 1, in <module>\nTypeError: no'
    )
    messages = chat(
        *("A.\n```python\nx = 1\n```", "(no output)", "B.\n```python\nx + 's'\n```", said)
    )
    (transcript,) = read_transcripts(write(tmp_path / "a.jsonl", messages))
    row = row_of(transcript, converted(transcript, "reset", pool)[0])
    assert row["messages"][-1]["content"] == said.replace("line 1", "line 2")
    assert row["messages"][-2]["content"] == "B.\n```python\nx = 1\nx + 's'\n```"
