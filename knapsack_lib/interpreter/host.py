"""Host side of the interpreter: the world and its tools live here, model-written code runs in a
child process.

    with Pool(limits) as pool:
        with Interpreter(pool, persistence_named("reset"), world.tools, seed=1) as interpreter:
            observation = interpreter.run("print(1 + 1)")

Every step, in every mode, goes through the same worker, limits and observation; modes differ only
in what the next step finds (persistence.py).
"""

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from knapsack_lib.interpreter.persistence import Persistence
from knapsack_lib.interpreter.pool import COPY_SECONDS, Child, Pool
from knapsack_lib.interpreter.step import Killed, Step, masked
from knapsack_lib.interpreter.tool_calls import ToolCall
from knapsack_lib.interpreter.wire import Block, Done

__all__ = ["Interpreter", "Observation"]


@dataclass(frozen=True)
class Observation:
    """What one step did.

    `error_type`, `error`, `line`: what was raised and the agent's line; `traceback`: the same as
    Python prints it. `bindings`: the agent's names that the next step will find (always empty after
    a reset); `written`: those that this step wrote; `shadowed`: tools whose names the next step
    finds bound to something else. `killed_by`: "time", "cpu", "output", "tool calls", "protocol",
    "exit" or "signal N". A kill ends in one of three ways: there was no state, `state_lost`, or
    `restored` to what it was before the step.
    """

    stdout: str
    error_type: str | None = None
    error: str | None = None
    line: int | None = None
    traceback: str | None = None
    bindings: tuple[str, ...] = ()
    written: tuple[str, ...] = ()
    shadowed: tuple[str, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    killed_by: str | None = None
    state_lost: bool = False
    restored: bool = False
    seconds: float = 0.0


class Interpreter(contextlib.AbstractContextManager["Interpreter"]):
    """Runs the blocks of one episode under one persistence mode."""

    def __init__(
        self,
        pool: Pool,
        persistence: Persistence,
        tools: Mapping[str, Callable[..., Any]],
        seed: int,
    ):
        self.persistence = persistence
        self._pool, self._tools, self._seed = pool, dict(tools), seed
        self._child: Child | None = None
        self._copy: Child | None = None  # of the state before the next step
        self._bindings: tuple[str, ...] = ()
        self._shadowed: tuple[str, ...] = ()
        self._steps = 0

    @property
    def packages(self) -> tuple[str, ...]:
        """Modules beside the standard library that a block can import."""
        return tuple(m for package in self._pool.packages for m in package.modules if m[0] != "_")

    def run(self, code: str) -> Observation:
        """Run one block and report on it. Never raises for anything that the code does."""
        seen = self._run(code)
        harmed = seen.tool_calls or seen.state_lost or seen.restored
        if self._pool.lost_parent and seen.killed_by and not harmed:
            self._steps -= 1  # the child went with its parent, which is no doing of this block
            seen = self._run(code)
        return seen

    def _run(self, code: str) -> Observation:
        start = time.perf_counter()
        self._pool.check_open()
        had_state, self._steps = self._child is not None, self._steps + 1
        child = self._child = self._child or self._pool.take()
        step = Step(child, self._tools, self._pool.limits, self._steps)
        block: Block = {
            "step": self._steps,
            "code": code,
            "mode": self.persistence.name,
            "tools": list(self._tools),
            "seed": self._seed + self._steps,
        }
        done: Done = {"done": 0, "error": None, "bindings": [], "written": [], "shadowed": []}
        killed = None
        try:
            done = step.run(block)
        except Killed as reason:
            killed = str(reason)
        except BaseException:
            # Ctrl-C, or a fault of a tool: the block must not run on while nobody listens.
            self._finish(child, "interrupted")
            raise
        signal, restored = self._finish(child, killed)
        # 9 is how the parent ends what had only closed its end.
        if killed == "exit" and signal not in (None, 0, 9):
            killed = f"signal {signal}"
        if not restored:
            self._bindings = tuple(done["bindings"]) if self._child else ()
            hidden = done["shadowed"] if self._child else ()
            self._shadowed = tuple(name for name in self._tools if name in hidden)
        error = done["error"]
        if error and (error["type"], error["message"]) == ("MemoryError", ""):
            error["message"] = f"the limit of {self._pool.limits.memory_mb} MB was reached"
        return Observation(
            stdout=step.text(),
            error_type=masked(error["type"]) if error else None,
            error=masked(error["message"]) if error else None,
            line=error["line"] if error else None,
            traceback=masked(error["trace"]) if error else None,
            bindings=self._bindings,
            written=tuple(done["written"]),
            shadowed=self._shadowed,
            tool_calls=tuple(step.calls),
            killed_by=killed,
            state_lost=bool(killed and had_state and not restored),
            restored=restored,
            seconds=time.perf_counter() - start,
        )

    def _finish(self, child: Child, killed: str | None) -> tuple[int | None, bool]:
        """Bring about what the next step finds. Returns (signal that ended the child, whether a
        copy took over)."""
        copy, self._copy = self._copy, None
        restored = bool(killed) and copy is not None and copy.ready(COPY_SECONDS)
        signal = None
        if killed or not self.persistence.keeps:
            successor = copy if restored else None
            signal = self._pool.end(child, successor, report=bool(killed))
            self._child = successor
        if copy is not None and not restored:
            self._pool.dismiss(copy, self._child)
        if self._child is not None and self._pool.after_kill == "restore":
            # Taken now rather than before the next step: the model thinks in between.
            self._copy = self._pool.copy(self._child)
        return signal, restored

    def lose(self) -> None:
        """Lose all state, as a runtime does that is moved or restarted: the next step finds nothing."""
        self.close()
        self._bindings = self._shadowed = ()

    def close(self) -> None:
        child, copy, self._child, self._copy = self._child, self._copy, None, None
        if child is not None:
            self._pool.end(child)
        if copy is not None:
            self._pool.dismiss(copy, None)

    def __exit__(self, *_: object) -> None:
        self.close()
