"""Hostile blocks: none gets what it wants from the folder in memory, called directly or through the interpreter, and each
gets it from tools that were written over a real folder without a thought (naive.py)."""

import json
import os
import signal
import time
from dataclasses import dataclass, field

import pytest

from families.files.naive import NaiveWorld
from knapsack_lib.families.base import ToolError
from knapsack_lib.families.files import FAMILY
from knapsack_lib.families.files.folder import ANSWER
from knapsack_lib.interpreter import Interpreter, Pool, persistence_named

TASK = FAMILY.make_task("pocket-easy", seed=5, split="easy", index=0)
MAIN, PAGE = TASK.public["main"], TASK.private["page"]
WANTED = [TASK.reference["columns"], *TASK.reference["rows"]]
TABLE = "".join(",".join(map(str, row)) + "\n" for row in WANTED)
PATIENCE = 1.5  # seconds; a tool of ours answers in milliseconds


@dataclass
class Seen:
    """What came of a block: the tools' answers and refusals, the exception that no tool may raise, whether it hung."""

    world: object
    outside: object
    answers: list = field(default_factory=list)
    refusals: list = field(default_factory=list)
    broke: str = ""
    hung: bool = False

    @property
    def files(self):
        return self.world.files() if hasattr(self.world, "files") else self.world.folder.texts

    @property
    def size(self):
        return sum(map(len, self.files.values()))

    @property
    def told(self):
        return "\n".join(self.answers)

    @property
    def score(self):
        return self.world.result()["score"]

    def second_world(self):
        if isinstance(self.world, NaiveWorld):
            return NaiveWorld(TASK, self.world.root)
        return FAMILY.world(TASK)


CLIMBS = "'../outside/secret.txt'"
# Property -> (block, whether it got what it wants). MAIN, TABLE and OUTSIDE stand for what they say.
ATTACKS = {
    "no path that climbs is read": (f"read({CLIMBS}, 0, 9)", lambda s: "SECRET" in s.told),
    "no absolute path is read": (
        "read('OUTSIDE/secret.txt', 0, 9)",
        lambda s: "SECRET" in s.told,
    ),
    "nothing outside is searched": (f"grep('S', {CLIMBS})", lambda s: "SECRET" in s.told),
    "nothing outside is copied in": (
        f"uniq({CLIMBS}, 'copy.txt')",
        lambda s: "SECRET" in s.files.get("copy.txt", ""),
    ),
    "nothing outside is handed in": (
        f"submit({CLIMBS})",
        lambda s: s.world.result()["rows_given"] > 0,
    ),
    "no path that climbs is written": (f"write({CLIMBS}, 'x')", lambda s: s.outside.changed),
    "no absolute path is written": ("write('OUTSIDE/new.txt', 'x')", lambda s: s.outside.changed),
    "no sorted file leaves the folder": (
        f"sort('MAIN', 'id', {CLIMBS})",
        lambda s: s.outside.changed,
    ),
    "no cut file leaves the folder": (
        "cut('MAIN', ['id'], 'OUTSIDE/new.txt')",
        lambda s: s.outside.changed,
    ),
    "a pipe is not waited for": ("read('OUTSIDE/pipe', 0, 1)", lambda s: s.hung),
    "a NUL in a name breaks no tool": ("write('a\\0.txt', 'x')", lambda s: s.broke),
    "half a character in a name breaks no tool": ("write('\\ud800.txt', 'x')", lambda s: s.broke),
    "half a character in a text breaks no tool": (
        "write('half.txt', 'a\\ud800b')",
        lambda s: s.broke,
    ),
    "a name is one line": (
        "write('a.csv\\nresult.csv', 'x')",
        lambda s: any("\n" in name for name in s.files),
    ),
    "a name has no line end after it": (
        "write('result.csv\\n', 'x')",
        lambda s: "result.csv\n" in s.files,
    ),
    "no file is hidden from ls": (
        "write('.hidden', 'x')",
        lambda s: set(json.loads(s.world.tools["ls"]())) != set(s.files),
    ),
    "no two names look alike": (
        "write('r\\u0435sult.csv', 'x')",
        lambda s: not all(name.isascii() for name in s.files),
    ),
    "no two names differ in case alone": (
        "write('MAIN'.capitalize(), 'x')",
        lambda s: len({name.lower() for name in s.files}) < len(s.files),
    ),
    "a name is short": ("write('a' * 200 + '.txt', 'x')", lambda s: max(map(len, s.files)) > 100),
    "a name is a text": ("read({'a': 1}, 0, 1)", lambda s: s.broke),
    "a huge number of lines breaks no tool": ("read('MAIN', 0, 10 ** 30)", lambda s: s.broke),
    "a negative line breaks no tool": ("read('MAIN', -5, 2)", lambda s: s.broke),
    "half a line breaks no tool": ("read('MAIN', 0.5, 1)", lambda s: s.broke),
    "lists in lists break no tool": (
        "x = 'id'\nfor _ in range(100000): x = [x]\ncut('MAIN', x, 'o.csv')",
        lambda s: s.broke,
    ),
    "a column that is not there breaks no tool": (
        "sort('MAIN', 'nothing', 'o.csv')",
        lambda s: s.broke,
    ),
    "rows of different lengths break no tool": (
        "write('r.csv', 'a,b\\n1\\n1,2,3\\n')\nsort('r.csv', 'b', 'o.csv')",
        lambda s: s.broke,
    ),
    "an empty file breaks no tool": (
        "write('e.csv', '')\nsort('e.csv', 'a', 'o.csv')",
        lambda s: s.broke,
    ),
    "a number of thousands of digits breaks no tool": (
        "write('n.csv', 'a\\n' + '9' * 5000 + '\\n')\nsort('n.csv', 'a', 'o.csv')",
        lambda s: s.broke,
    ),
    "a pattern takes no exponential time": (
        "write('p.txt', 'a' * 40 + '!')\ngrep('(a+)+$', 'p.txt')",
        lambda s: s.hung,
    ),
    "a pattern that is none breaks no tool": ("grep('(', 'MAIN')", lambda s: s.broke),
    "there are few files": (
        "for k in range(300): write(f'f{k}.txt', 'x')",
        lambda s: len(s.files) > 100,
    ),
    "a file is small": ("write('big.txt', 'x' * 60000)", lambda s: s.size > 50_000),
    "the folder is small": (
        "for k in range(9): write(f'b{k}.txt', 'x' * 11000)",
        lambda s: s.size > 60_000,
    ),
    "no cut multiplies a file without end": (
        "write('w.csv', 'a\\n' + 'x' * 11000)\ncut('w.csv', ['a'] * 16, 'w.csv')",
        lambda s: s.size > 60_000,
    ),
    "a cut takes few columns": (
        "cut('MAIN', ['id'] * 5000, 'w.csv')",
        lambda s: s.size > 50_000,
    ),
    "an answer holds few lines": (
        "read('MAIN', 0, 99)",
        lambda s: len(s.told.splitlines()) > PAGE,
    ),
    "a search answers few lines": (
        "grep(',', 'MAIN')",
        lambda s: len(s.told.splitlines()) > PAGE,
    ),
    "an answer holds few letters": (
        "write('l.txt', 'x' * 11000)\nread('l.txt', 0, 1)",
        lambda s: len(s.told) > ANSWER,
    ),
    "an answer controls no terminal": (
        "write('e.txt', '\\x1b[2J')\nread('e.txt', 0, 1)",
        lambda s: "\x1b" in s.told,
    ),
    "a refusal names no path of the machine": (
        "read('nothing.csv', 0, 1)",
        lambda s: any(os.sep in text for text in s.refusals),
    ),
    "a refusal is short": (
        "read('a' * 3000 + '.csv', 0, 1)",
        lambda s: any(len(text) > 300 for text in s.refusals),
    ),
    "another episode finds the inputs as they were": (
        "write('MAIN', 'GONE\\n')",
        lambda s: s.second_world().tools["read"](MAIN, 0, 1).startswith("GONE"),
    ),
    "nothing counts after the end": (
        "finish()\nwrite('result.csv', TABLE)\nsubmit('result.csv')",
        lambda s: s.score > 0,
    ),
    "what is handed in does not change with its file": (
        "write('result.csv', 'x')\nsubmit('result.csv')\nwrite('result.csv', TABLE)",
        lambda s: s.score > 0,
    ),
}


class Outside:
    """A folder next to the naive one's, which nobody may read or write."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        (folder / "secret.txt").write_text("SECRET\nSECRET\n", encoding="utf-8")
        os.mkfifo(folder / "pipe")

    @property
    def changed(self):
        names = sorted(os.listdir(self.folder))
        return (
            names != ["pipe", "secret.txt"]
            or (self.folder / "secret.txt").read_text(encoding="utf-8") != "SECRET\nSECRET\n"
        )


class Hung(BaseException):
    pass


@pytest.fixture
def outside(tmp_path):
    return Outside(tmp_path / "outside")


def watched(seen):
    """The world's tools, which note what they answer, refuse and break with."""

    def of(tool):
        def called(*args):
            try:
                answer = tool(*args)
            except ToolError as refusal:
                seen.refusals.append(str(refusal))
                raise
            except Exception as error:  # noqa: BLE001 - that there is any is what is noted
                seen.broke = type(error).__name__
                raise ToolError("RuntimeError", "broke") from None
            seen.answers += [answer] if isinstance(answer, str) else []
            return answer

        return called

    return {name: of(tool) for name, tool in seen.world.tools.items()}


def block_of(name, outside):
    text = ATTACKS[name][0].replace("OUTSIDE", str(outside.folder))
    return text.replace("MAIN", MAIN).replace("TABLE", repr(TABLE))


def play(world, outside, block):
    """Run a block on tools that are called directly."""
    seen = Seen(world, outside)

    def stop(*_):
        raise Hung

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    try:
        exec(block, watched(seen))
    except ToolError:
        pass
    except Hung:
        seen.hung = True
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    return seen


def check_is_well(seen, took):
    assert not seen.broke and not seen.hung and took < PATIENCE
    assert not seen.outside.changed
    assert seen.size < 50_000 and len(seen.files) <= 16
    assert (
        set(json.loads(seen.world.tools["ls"]())) == set(seen.files) >= set(TASK.private["files"])
    )
    for text in seen.refusals:
        assert len(text) < 120 and text.isascii() and text.isprintable()
    assert 0 <= seen.world.result()["score"] <= 1


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_does_not_get_what_it_wants(outside, name):
    start = time.perf_counter()
    seen = play(FAMILY.world(TASK), outside, block_of(name, outside))
    check_is_well(seen, time.perf_counter() - start)
    assert not ATTACKS[name][1](seen)


@pytest.fixture(scope="module")
def pool(make_limits):
    with Pool(make_limits(tool_calls=1000, wall_seconds=20, cpu_seconds=10)) as opened:
        yield opened


@pytest.mark.parametrize("name", ATTACKS)
def test_it_does_not_get_it_through_the_interpreter_either(outside, pool, name):
    seen = Seen(FAMILY.world(TASK), outside)
    with Interpreter(pool, persistence_named("reset"), watched(seen), seed=1) as interpreter:
        interpreter.run(block_of(name, outside))
        assert interpreter.run("print(6 * 7)").stdout == "42\n"
    check_is_well(seen, 0.0)
    assert not ATTACKS[name][1](seen)


@pytest.mark.parametrize("name", ATTACKS)
def test_the_same_attack_works_on_tools_without_a_guard(outside, tmp_path, name):
    (tmp_path / "folder").mkdir()
    world = NaiveWorld(TASK, str(tmp_path / "folder"))
    assert ATTACKS[name][1](play(world, outside, block_of(name, outside)))


def test_what_is_no_attack_works_on_both(outside, tmp_path):
    (tmp_path / "folder").mkdir()
    block = (
        f"read('{MAIN}', 0, 1)\nsort('{MAIN}', 'id', 'by_id.csv')\nuniq('{MAIN}', 'once.csv')\n"
        f"write('result.csv', {TABLE!r})\nsubmit('result.csv')\nfinish()"
    )
    for world in (FAMILY.world(TASK), NaiveWorld(TASK, str(tmp_path / "folder"))):
        seen = play(world, outside, block)
        assert (seen.broke, seen.refusals, seen.score) == ("", [], 1.0)


def test_there_are_many_attacks_and_no_two_are_the_same():
    assert len({block for block, _ in ATTACKS.values()}) == len(ATTACKS) >= 20
