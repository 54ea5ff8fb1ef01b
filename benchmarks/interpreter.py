"""What a step costs: this interpreter next to other ways to run model-written code, in one run.

    python benchmarks/interpreter.py [--rounds 30] [--growth 20000]

Runners take turns within every round, so that whatever else the machine does hits all of them;
figures are medians in milliseconds over all rounds. Ratios are what to quote. smolagents comes with
the extra `bench`.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import itertools
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import psutil
from jupyter_client.manager import KernelManager

from knapsack_lib.interpreter import Interpreter, Pool, persistence_named
from knapsack_lib.machine import cores
from knapsack_lib.profiles import Limits

LIMITS = Limits(
    turns=1, tool_calls=25, wall_seconds=10, cpu_seconds=5, memory_mb=512, output_chars=2000
)
BLOCKS = {
    0: "x = 1\nprint(x)",
    1: "x = 1\nprint(tool(x))",
    25: "for x in range(25): tool(x)\nprint(x)",
}
TOOLS = {"tool": lambda value: value}
THINKING = 0.01  # seconds; a model takes far longer between two steps


@dataclass
class Runner:
    """`step(block)` runs one block. `calls`: numbers of tool calls measured. `rests`: measured
    after a pause too."""

    name: str
    step: Callable[[str], object]
    calls: tuple[int, ...] = (0, 1, 25)
    rests: bool = True
    times: dict[str, list[float]] = field(default_factory=dict)

    def measure(self, steps: int) -> None:
        for calls in self.calls:
            for _ in range(steps):
                self._one(str(calls), BLOCKS[calls])
        for _ in range(steps if self.rests else 0):
            time.sleep(THINKING)
            self._one("thinks", BLOCKS[0])

    def _one(self, what: str, block: str) -> None:
        start = time.perf_counter()
        self.step(block)
        self.times.setdefault(what, []).append(time.perf_counter() - start)

    def median(self, what: str) -> float:
        """Milliseconds; NaN where it was not measured."""
        return 1e3 * statistics.median(self.times.get(what, [float("nan")]))


def ours(stack: contextlib.ExitStack) -> Iterator[Runner]:
    pool = stack.enter_context(Pool(LIMITS))
    plain = stack.enter_context(Pool(LIMITS, after_kill="lose"))

    def one(pool: Pool, mode: str) -> Callable[[str], object]:
        return stack.enter_context(Interpreter(pool, persistence_named(mode), TOOLS, seed=1)).run

    yield Runner("ours, persistent, no fork before the step", one(plain, "persistent"))
    for mode in ("persistent", "functions", "data", "ttl:2", "reset"):
        yield Runner(f"ours, {mode}", one(pool, mode))
    for mode in ("persistent", "reset"):
        turns = itertools.cycle([one(pool, mode) for _ in range(16)])
        yield Runner(
            f"ours, {mode}, 16 at once in turn",
            lambda block, turns=turns: next(turns)(block),
            rests=False,
        )


def bare_exec() -> Runner:
    """What the study's authors do: exec on a thread of the same process."""
    names = dict(TOOLS)

    def step(block: str) -> object:
        output = io.StringIO()

        def work() -> None:
            with contextlib.redirect_stdout(output):
                exec(block, names)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        return output.getvalue()

    return Runner("bare exec on a thread", step)


def smolagents() -> Iterator[Runner]:
    try:
        from smolagents.local_python_executor import LocalPythonExecutor
    except ImportError:
        print(
            "smolagents is not installed: pip install -c constraints.txt -e '.[bench]'",
            file=sys.stderr,
        )
        return
    executor = LocalPythonExecutor(additional_authorized_imports=[])
    executor.send_tools(dict(TOOLS))
    yield Runner("smolagents LocalPythonExecutor", executor)


def jupyter(stack: contextlib.ExitStack) -> Iterator[Runner]:
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel()
    stack.callback(manager.shutdown_kernel, now=True)
    client = manager.blocking_client()
    client.start_channels()
    client.wait_for_ready()

    def step(block: str) -> object:
        return client.execute_interactive(block, output_hook=lambda message: None)

    def restart(block: str) -> object:
        manager.restart_kernel(now=True)
        client.wait_for_ready()
        return step(block)

    yield Runner("Jupyter kernel, round trip", step, calls=(0,))
    yield Runner("Jupyter kernel, restart and round trip", restart, calls=(0,), rests=False)


def fresh_process() -> Runner:
    def step(block: str) -> object:
        return subprocess.run([sys.executable, "-I", "-c", block], capture_output=True, check=True)

    return Runner("fresh python -I process", step, calls=(0,))


def first_start() -> float:
    """Milliseconds from nothing to the end of the first step."""
    start = time.perf_counter()
    with (
        Pool(LIMITS) as pool,
        Interpreter(pool, persistence_named("persistent"), TOOLS, seed=1) as interpreter,
    ):
        interpreter.run("x = 1")
        return 1e3 * (time.perf_counter() - start)


def growth(steps: int) -> None:
    """Memory and descriptors of the host and the warm parent, before and after many steps."""
    for mode in ("persistent", "reset"):
        with (
            Pool(LIMITS) as pool,
            Interpreter(pool, persistence_named(mode), TOOLS, seed=1) as interpreter,
        ):
            sizes = []
            for number in range(steps + 1):
                interpreter.run(BLOCKS[1])
                if number in (steps // 10, steps):
                    sizes.append(sizes_of(psutil.Process(), psutil.Process(pool._parent.pid)))
        early, late = sizes
        changes = ", ".join(f"{name} {early[name]:,} -> {late[name]:,}" for name in early)
        print(f"{mode}, step {steps // 10:,} -> {steps:,}: {changes}")


def sizes_of(host: psutil.Process, parent: psutil.Process) -> dict[str, int]:
    children = parent.children(recursive=True)
    return {
        "host KiB": host.memory_info().rss >> 10,
        "host descriptors": host.num_fds(),
        "parent KiB": parent.memory_info().rss >> 10,
        "parent descriptors": parent.num_fds(),
        "children KiB": sum(child.memory_info().rss for child in children) >> 10,
        "children": len(children),
    }


def table(runners: list[Runner]) -> None:
    print(
        "milliseconds a step, medians; by tool calls in it, and without any after 10 ms in which "
        "the model thinks\n"
    )
    print(f"{'':46}{'0 calls':>9}{'1 call':>9}{'25 calls':>9}{'per call':>9}{'thinking':>9}")
    for runner in runners:
        cells = [f"{runner.median(what):9.3f}" for what in ("0", "1", "25")]
        per_call = (runner.median("25") - runner.median("0")) / 25
        print(
            f"{runner.name:46}{''.join(cells)}{per_call:9.3f}{runner.median('thinks'):9.3f}".replace(
                "nan", "  -"
            )
        )
    print()


def ratios(named: dict[str, Runner]) -> None:
    lines = (
        ("a fresh process / a reset step", "fresh python -I process", "ours, reset", "at least 4"),
        (
            "a kernel restart / a reset step",
            "Jupyter kernel, restart and round trip",
            "ours, reset",
            "at least 100",
        ),
        (
            "a persistent step without fork / bare exec",
            "ours, persistent, no fork before the step",
            "bare exec on a thread",
            "at most 2",
        ),
        (
            "a Jupyter round trip / a persistent step",
            "Jupyter kernel, round trip",
            "ours, persistent",
            "at least 4",
        ),
    )
    print(f"{'':46}{'at once':>9}{'thinking':>9}")
    for text, slow, fast, wanted in lines:
        at_once, thinks = (
            named[slow].median(what) / named[fast].median(what) for what in ("0", "thinks")
        )
        print(f"{text:46}{at_once:8.1f}x{thinks:8.1f}x  (wanted: {wanted})".replace("nanx", "  - "))
    print()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--growth", type=int, default=20_000, metavar="STEPS", help="0: leave out")
    given = parser.parse_args()
    starts = [first_start() for _ in range(5)]
    with contextlib.ExitStack() as stack:
        runners = [*ours(stack), bare_exec(), *smolagents(), *jupyter(stack), fresh_process()]
        for number in range(given.rounds):
            for runner in runners:
                if "restart" not in runner.name or number % 6 == 0:
                    runner.measure(1 if "restart" in runner.name else 10)
    table(runners)
    print(
        f"start of a pool and its first step: {statistics.median(starts):.0f} ms ({cores()} cores)\n"
    )
    ratios({runner.name: runner for runner in runners})
    sys.stdout.flush()
    if given.growth:
        growth(given.growth)


if __name__ == "__main__":
    main()
