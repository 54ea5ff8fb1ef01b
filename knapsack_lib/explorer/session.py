"""Do it yourself: play an episode's blocks again up to a turn, in any runtime, and continue by hand;
or play a task as the agent.

    session = rerun(episode, task, profile, runtime="reset", turns=3)   # what each block prints now
    session.run("print(known)")                                         # by hand: one block a turn (react: a JSON call)
    session = play(task, profile)                                       # the prompt, tools and limits of an agent

In a notebook, a cell that begins with %%turn is the next block of the last session. One session is
open at a time: a new one closes the one before, so that a cell that is run again leaves no
processes and no open files behind.
"""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, ClassVar

from knapsack_lib.episodes import Episode, Turn
from knapsack_lib.errors import UserError
from knapsack_lib.explorer.markup import chip, code, fragment, text
from knapsack_lib.explorer.pages import messages, numbers
from knapsack_lib.families import Task, family_named
from knapsack_lib.interpreter import Interpreter, Pool, persistence_named
from knapsack_lib.profiles import REACT, Profile
from knapsack_lib.prompts import REFUSALS, observation_text, opening
from knapsack_lib.react import ToolCaller, the_call

__all__ = ["Played", "Session", "play", "rerun"]


@dataclass(frozen=True)
class Played:
    """A block and what came of it; `before` is what it had printed in the episode (None: not from
    one)."""

    number: int
    code: str
    observation: str
    before: str | None = None

    @property
    def same(self) -> bool:
        """Whether the block did what it did in the episode. A last turn's observation was never
        recorded."""
        return self.before in (None, self.observation)

    def _repr_html_(self) -> str:
        changed = "" if self.same else chip("not as in the episode", "changed")
        return fragment(
            f'<div class="turn"><b>turn {self.number}</b> {changed}<pre>{code(self.code)}</pre>'
            f'<pre class="out">{text(self.observation)}</pre></div>'
        )


class Session:
    """A world, an interpreter and the limits of an episode. `turns` holds what was played; end it
    with `close()`."""

    last: ClassVar[Session | None] = None  # that is open

    def __init__(self, task: Task, profile: Profile, runtime: str = "persistent", seed: int = 0):
        self.task, self.profile = task, profile
        self.runtime = REACT if runtime == REACT else persistence_named(runtime).name
        self.family = family_named(task.family)
        self.world = self.family.world(task)
        self.turns: list[Played] = []
        self.closed = False
        self._opened = ExitStack()
        self._interpreter: Interpreter | ToolCaller
        if self.runtime == REACT:
            self._interpreter = ToolCaller(self.world.tools, profile.limits)
        else:
            pool = self._opened.enter_context(Pool.of(profile.limits, profile.interpreter))
            mode = persistence_named(self.runtime)
            self._interpreter = self._opened.enter_context(
                Interpreter(pool, mode, self.world.tools, seed)
            )
        if Session.last is not None:
            Session.last.close()
        Session.last = self

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the session's processes. What was played stays readable."""
        self.closed = True
        self._opened.close()
        Session.last = None if Session.last is self else Session.last

    @property
    def turns_left(self) -> int:
        return max(0, self.profile.limits.turns - len(self.turns))

    @property
    def result(self) -> dict[str, Any]:
        """The score so far, and the family's numbers, as in an episode."""
        return self.world.result()

    @property
    def score(self) -> str:
        """One line: the score so far, the family's numbers and the turns left."""
        return (
            f"score {self.result['score']:.3f} ({', '.join(numbers(self.result))}), "
            f"{self.turns_left} turns left"
        )

    def run(self, source: str | None, before: str | None = None, lost: bool = False) -> Played:
        """One block (in runtime react a JSON call), or a turn in which nothing is run (None). `lost`: the interpreter is
        lost before it. Raises UserError when the task is finished, no turn is left or the session is closed."""
        for problem, holds in {
            "the session is closed": self.closed,
            "the task is finished": self.world.done,
            "no turn is left": not self.turns_left,
        }.items():
            if holds:
                raise UserError(
                    f"{problem}: {self.score}; start again with play(...) or rerun(...)"
                )
        shown = before or "(nothing was run)"
        if lost and isinstance(self._interpreter, Interpreter):
            self._interpreter.lose()
        if source is not None:
            shown = self._shown(source)
        self.turns.append(Played(len(self.turns) + 1, source or "", shown, before))
        return self.turns[-1]

    def _shown(self, source: str) -> str:
        if self.profile.interpreter.disk == "reset":
            self.family.reset_disk(self.world)
        if isinstance(self._interpreter, ToolCaller):
            status, call = the_call(f"```json\n{source}\n```")
            if call is None:
                return REFUSALS[status]
            silent = self.profile.prompt.model_copy(update={"list_bindings": False})  # as in act
            return observation_text(self._interpreter.run(call), silent)
        return observation_text(self._interpreter.run(source), self.profile.prompt)

    def _repr_html_(self) -> str:
        prompt = opening(
            self.family,
            self.world.facts(),
            self.runtime,
            self.profile.limits,
            self.profile.prompt,
            self._interpreter.packages,
        )
        turns = "".join(one._repr_html_() for one in self.turns)
        name = f"{text(self.task.task_id)} <span class=soft>{text(self.runtime)}</span>"
        return fragment(f"<h1>{name}</h1>{messages(prompt)}{turns}<p>{chip(self.score)}</p>")


def rerun(
    episode: Episode,
    task: Task | None,
    profile: Profile,
    *,
    runtime: str | None = None,
    turns: int | None = None,
) -> Session:
    """Play the first `turns` blocks of an episode (all by default) in a runtime (its own by
    default), and stand there.

    Raises UserError for an unknown runtime, a task that is not known (None) or not the episode's, or
    a turn that the episode does not have.
    """
    if task is None:
        raise UserError(
            f"the task of episode {episode.task_id} cannot be drawn again: its source has no provenance.json, or that of "
            "other tasks; choose another source"
        )
    if task.task_id != episode.task_id:
        raise UserError(f"task {task.task_id} is not that of the episode, {episode.task_id}")
    count = len(episode.turns) if turns is None else turns
    if not 0 <= count <= len(episode.turns):
        raise UserError(f"turns = {turns!r}: the episode has {len(episode.turns)}")
    session = Session(task, profile, runtime or episode.runtime, episode.seed % 2**31)
    with ExitStack() as opened:
        opened.enter_context(session)  # closed if a block cannot be played
        for turn in episode.turns[:count]:
            if not session.world.done:
                session.run(_source(turn), before=turn.observation, lost=turn.lost_before)
        opened.pop_all()
    return session


def _source(turn: Turn) -> str | None:
    """What a turn ran: its block, or its one tool call as JSON."""
    if turn.code is None and len(turn.tool_calls) == 1:
        return json.dumps({"tool": turn.tool_calls[0]["name"], "args": turn.tool_calls[0]["args"]})
    return turn.code


def play(task: Task, profile: Profile, *, runtime: str = "persistent") -> Session:
    """The task as an agent meets it: its prompt, its tools, its limits."""
    return Session(task, profile, runtime)


def turn_magic(line: str, cell: str) -> Played:
    """%%turn: the cell is the next block of the last session."""
    if Session.last is None:
        raise UserError("no session is open; start one with play(...) or rerun(...)")
    return Session.last.run(cell)


def register_magic() -> None:
    """Make %%turn known, where there is an IPython to know it."""
    from IPython.core.getipython import get_ipython

    if (shell := get_ipython()) is not None:
        shell.register_magic_function(turn_magic, "cell", "turn")  # type: ignore[arg-type]
