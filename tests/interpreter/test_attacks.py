"""Hostile blocks: each holds in every mode, and each succeeds once that which protects from it is
switched off.

attacks/NAME.py is the block itself below a few comment lines (`expect` and `works` may come several
times):

    property  what must hold, in words
    expect    an expression over `seen` and `after` (observations of the block and of a harmless one after it), `mode`,
              `world` (the task that was acted on) and `place` (what it may reach, see surroundings.py)
    off       what protects: protections of confine.py, fields of Limits, `process` (of its own, other than the
              world's) or `protocol` (the host checks what it receives)
    works     an expression that holds without that: see unprotected.py for what then runs the block
    after     `own`: the block may break the interpreter that it runs in, and nothing else
    limits    fields of Limits with which it shows in less time

{FILE}, {DIR}, {SHM}, {PID}, {PORT}, {UDP}, {UNIX}, {HOST} and {REPO} in a block stand for what it
may reach.
"""

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
from common import comes_true

from interpreter.surroundings import REPOSITORY, Surroundings, children_of, is_powerful
from knapsack_lib.families.knapsack import FAMILY
from knapsack_lib.interpreter import Interpreter, Observation, Pool, persistence_named
from knapsack_lib.interpreter.confine import PROTECTIONS

FOLDER = Path(__file__).parent / "attacks"
ALL_MODES = ("persistent", "reset", "functions", "data", "ttl:2")
HEADERS = ("property", "expect", "off", "works", "after", "limits")
TASK = FAMILY.make_task("pocket-easy", seed=5, split="easy", index=0)
GENEROUS = {"wall_seconds": 5.0, "cpu_seconds": 5, "output_chars": 10**6, "tool_calls": 1000}


@dataclass(frozen=True)
class Attack:
    name: str
    text: str
    headers: dict[str, list[str]]

    @property
    def off(self):
        return [word.strip() for word in ",".join(self.headers["off"]).split(",")]

    @property
    def limits(self):
        pairs = (text.split("=") for text in ",".join(self.headers["limits"]).split(",") if text)
        return {name.strip(): float(value) if "." in value else int(value) for name, value in pairs}

    def block(self, place, unprotected=False):
        text = self.text
        for word, value in place.placeholders(unprotected).items():
            text = text.replace("{" + word + "}", str(value))
        return text

    def must(self, header, **facts):
        """Every line of this header must hold; the first that does not is shown with the
        observation."""
        for text in self.headers[header]:
            if not eval(text, facts):
                pytest.fail(f"{header}: {text}\n{facts['seen']}", pytrace=False)


def read_attack(path):
    headers, text = {name: [] for name in HEADERS}, path.read_text(encoding="utf-8")
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        name, _, rest = line.removeprefix("# ").partition(": ")
        if name in headers:
            headers[name].append(rest.strip())
    return Attack(path.stem, text, headers)


ATTACKS = {path.stem: read_attack(path) for path in sorted(FOLDER.glob("*.py"))}


@pytest.fixture(scope="module")
def surroundings(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KNAPSACK_MARK", "marked-5f3a9c")
        place = Surroundings(tmp_path_factory.mktemp("surroundings"))
        yield place
        place.close()


@pytest.fixture
def place(surroundings):
    return surroundings.fresh()


@pytest.fixture(scope="module")
def pools(surroundings, make_limits):
    """pools(without, **limits): a pool, an episode in it that must not notice anything, how many
    processes it has."""
    opened = {}

    def give(without=(), **changed):
        limits = make_limits(**{"wall_seconds": 3.0, "cpu_seconds": 1, **changed})
        key = (tuple(without), limits.model_dump_json())
        if key not in opened:
            pool = Pool(limits, without=tuple(without))
            bystander = Interpreter(pool, persistence_named("persistent"), {}, seed=2)
            bystander.run("kept = 41")
            time.sleep(0.1)  # until the children asked for ahead are there
            opened[key] = pool, bystander, len(children_of(pool._parent.pid))
        return opened[key]

    yield give
    for pool, *_ in opened.values():
        pool.close()


def play(pool, mode, block):
    """(observation of the block, of a harmless one after it, the world). There is state when the
    block comes."""
    world = FAMILY.world(TASK)
    with Interpreter(pool, persistence_named(mode), world.tools, seed=1) as interpreter:
        interpreter.run("kept = 1")
        return interpreter.run(block), interpreter.run("print(6 * 7)"), world


# With every protection ----------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ALL_MODES)
@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_does_not_get_what_it_wants(pools, place, name, mode):
    attack = ATTACKS[name]
    pool, bystander, processes = pools(**attack.limits)
    descriptors = len(os.listdir("/proc/self/fd"))
    seen, after, world = play(pool, mode, attack.block(place))
    assert isinstance(seen, Observation) and isinstance(after, Observation)
    attack.must("expect", seen=seen, after=after, world=world, mode=mode, place=place)

    assert place.alive and place.untouched and not place.connected
    assert max(seen.seconds, after.seconds) < pool.limits.wall_seconds + 3
    assert seen.restored == (seen.killed_by is not None and mode != "reset") and not seen.state_lost
    for observed in (seen, after):
        check_is_bounded(observed, pool.limits)
    assert world.result() == result_of(seen.tool_calls + after.tool_calls), (
        "the score is not that of the calls"
    )
    if "own" not in attack.headers["after"] or mode == "reset":
        assert (after.stdout, after.error_type, after.killed_by) == ("42\n", None, None)
    else:
        assert play(pool, mode, "print(6 * 7)")[0].stdout == "42\n"
    assert bystander.run("print(kept + 1)").stdout == "42\n", "another episode noticed"
    assert len(os.listdir("/proc/self/fd")) <= descriptors
    assert comes_true(lambda: len(children_of(pool._parent.pid)) <= processes), (
        "a process was left behind"
    )


def check_is_bounded(seen, limits):
    """It can be written to a file, shown to a model and counted."""
    json.dumps(asdict(seen), ensure_ascii=False, allow_nan=False).encode()
    assert len(seen.stdout) <= limits.output_chars + 50
    assert (
        len(seen.error_type or "") <= 300
        and len(seen.error or "") <= 400
        and len(seen.traceback or "") <= 10_000
    )
    for names in (seen.bindings, seen.written):
        assert len(names) <= 500 and all(len(name) <= 80 for name in names)
    assert len(seen.tool_calls) <= 4 * limits.tool_calls
    assert sum(call.error is None for call in seen.tool_calls) <= limits.tool_calls


def result_of(calls):
    """The result of a new world after the calls that were answered."""
    world = FAMILY.world(TASK)
    for call in calls:
        if call.error is None:
            world.tools[call.name](*call.args)
    return world.result()


# Without what protects ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run_unprotected(surroundings, tmp_path_factory):
    """Runs a block in unprotected.py. `died`: it sent no report at its end; `hung`; `spilled`: bytes
    next to its one line."""
    folder = tmp_path_factory.mktemp("unprotected")
    empty = dict(
        stdout="",
        printed=0,
        after="",
        error_type=None,
        error=None,
        bindings=[],
        taken=[],
        inspected=[],
        taking=[],
        score=0,
        shadowed=(),
        killed_by=None,
    )
    server = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("unprotected.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )

    def run(block, kind, patience=5.0):
        source, answer = folder / "block", folder / "answer"
        source.write_text(block, encoding="utf-8")
        answer.write_bytes(b"")
        print(json.dumps([str(source), str(answer), kind, patience]), file=server.stdin, flush=True)
        hung = not json.loads(server.stdout.readline())
        *other, last = answer.read_bytes().split(b"\n")[:-1] or [b""]
        try:
            report = json.loads(last)
        except ValueError:
            report = None
        died = not isinstance(report, dict)
        return SimpleNamespace(
            **{**empty, **({} if died else report)},
            died=died and not hung,
            hung=hung,
            spilled=sum(map(len, other)),
        )

    yield run
    with server:
        server.stdin.close()


@pytest.mark.parametrize("kind", ["plain", "naive"])
def test_a_harmless_block_is_no_attack_on_an_unprotected_process(run_unprotected, kind):
    seen = run_unprotected("print(list_items()[:1])", kind)
    assert (seen.died, seen.hung, seen.error_type) == (False, False, None)
    assert (seen.stdout, seen.after) in (("[\n", "42\n"), ("[\n42\n", ""))


@pytest.mark.parametrize("name", ATTACKS)
def test_the_same_attack_works_when_its_protection_is_off(pools, place, run_unprotected, name):
    attack = ATTACKS[name]
    if "privileges" in attack.off and not is_powerful():
        pytest.skip("whoever has no privileges cannot do this anyway")
    block = attack.block(place, unprotected=True)
    if attack.off in (["process"], ["protocol"]):
        patience = 0.5 if any("hung" in text for text in attack.headers["works"]) else 5.0
        seen = run_unprotected(block, "plain" if attack.off == ["process"] else "naive", patience)
        after, world = SimpleNamespace(stdout=seen.after), None
    else:
        without = [word for word in attack.off if word in PROTECTIONS]
        more = {word: GENEROUS[word] for word in attack.off if word in GENEROUS}
        seen, after, world = play(
            pools(without, **{**attack.limits, **more})[0], "persistent", block
        )
    attack.must("works", seen=seen, after=after, world=world, mode="persistent", place=place)


# The suite itself ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_described_in_full(name):
    attack = ATTACKS[name]
    assert (
        len(attack.headers["property"]) == 1
        and attack.headers["expect"]
        and attack.headers["works"]
    )
    assert set(attack.off) <= {*PROTECTIONS, *GENEROUS, "process", "protocol"}
    assert set(attack.headers["after"]) <= {"own"}


def test_there_are_many_attacks_and_no_two_on_the_same_property():
    properties = {attack.headers["property"][0] for attack in ATTACKS.values()}
    assert len(properties) == len(ATTACKS) >= 60
