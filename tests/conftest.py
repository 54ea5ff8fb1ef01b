"""Shared settings of the core's tests: small limits, the pocket teacher, and one way to play an
episode for real.

The helpers are handed out as fixtures so that test files need not import one another.
"""

import contextlib
import os
from pathlib import Path

import pytest

from knapsack_lib.agent import act
from knapsack_lib.families import family_named
from knapsack_lib.interpreter import Interpreter, Pool, persistence_named
from knapsack_lib.machine import cores
from knapsack_lib.papermill_default import KERNEL_ENVIRONMENT
from knapsack_lib.profiles import REACT, Cell, Limits, PromptOptions, load_profile
from knapsack_lib.react import ToolCaller

# Before torch is loaded: with a thread per core it comes to a standstill when the cores are shared.
os.environ.update(
    {name: value for name, value in KERNEL_ENVIRONMENT.items() if name != "PYTHONHASHSEED"}
)
POCKET = Path(__file__).parent.parent / "params" / "pocket.yaml"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers():
    """`pytest -n auto` in a container starts no more than its share of the cores can run."""
    return cores()


@pytest.fixture(scope="session")
def pocket():
    return load_profile(str(POCKET))


@pytest.fixture
def project(tmp_path, monkeypatch):
    """An empty project with this repository's profiles."""
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "params").mkdir()
    for name in ("pocket", "pocket-seeds", "smoke"):
        (tmp_path / "params" / f"{name}.yaml").write_bytes(
            (POCKET.parent / f"{name}.yaml").read_bytes()
        )
    monkeypatch.setenv("KNAPSACK_ROOT", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def make_limits():
    """Limits that keep a test short; any of them can be named."""

    def make(**changed):
        usual = dict(
            turns=16, tool_calls=4, wall_seconds=5, cpu_seconds=2, memory_mb=256, output_chars=2000
        )
        return Limits(**{**usual, **changed})

    return make


@pytest.fixture(scope="session")
def plain_options():
    return PromptOptions(style="brief", cue="none", list_bindings=False)


@pytest.fixture
def play_script(make_limits, plain_options):
    """Play one task with the scripted expert through a real interpreter, or as a ReAct agent without
    one; `world` wraps the world if given."""

    def play(pool, task, style, teacher, *, seed=3, options=plain_options, world=lambda w: w):
        family = family_named(task.family)
        acted_on = world(family.world(task))
        expert = family.expert(style, teacher, seed)
        if style == REACT:
            hands = contextlib.nullcontext(ToolCaller(acted_on.tools, pool.limits))
        else:
            hands = Interpreter(pool, persistence_named(style), acted_on.tools, 1)
        with hands as interpreter:
            steps = act(
                task,
                acted_on,
                interpreter,
                Cell(task.family, "teacher", style, "easy"),
                pool.limits,
                options,
                seed,
            )
            messages = next(steps)
            try:
                while True:
                    messages = steps.send(expert.reply(messages))
            except StopIteration as end:
                return end.value

    return play


@pytest.fixture
def children():
    """Processes, zombies too, whose parent is this one: {pid: state}."""

    def scan(parent=None):
        parent, found = parent or os.getpid(), {}
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    fields = (
                        Path(f"/proc/{entry}/stat")
                        .read_text(encoding="utf-8")
                        .rsplit(")", 1)[1]
                        .split()
                    )
                except (FileNotFoundError, ProcessLookupError):
                    continue
                if int(fields[1]) == parent:
                    found[int(entry)] = fields[0]
        return found

    return scan


@pytest.fixture
def small_pool(make_limits):
    with Pool(make_limits()) as pool:
        yield pool
