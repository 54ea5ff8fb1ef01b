"""Do it yourself: play an episode's blocks again up to a turn, in any mode, and go on by hand; or
play a task as the agent.

    session = rerun(episode, task, study, mode="reset", turns=3)     # what each block prints now, beside what it printed
    session.run("print(known)")                                     # go on by hand: one block a turn
    session = play(task, study)                                     # the task, the tools and the limits of an agent

In a notebook, a cell that begins with %%turn is the next block of the last session. One session is
open at a time: a new one closes the one before, so that a cell that is run again leaves no
processes and no open files behind.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Any

from knapsack_lib.episodes import Episode
from knapsack_lib.errors import UserError
from knapsack_lib.explorer.markup import CSS, chip, code, text
from knapsack_lib.families import Task, family_named
from knapsack_lib.interpreter import Interpreter, Pool, persistence_named
from knapsack_lib.profiles import Profile
from knapsack_lib.prompts import observation_text, opening

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
        return self.before is None or self.before == self.observation

    def _repr_html_(self) -> str:
        changed = "" if self.same else chip("not as in the episode", "changed")
        return (
            f'<style>{CSS}</style><div class="ks turn"><b>turn {self.number}</b> {changed}<pre>{code(self.code)}</pre>'
            f'<pre class="out">{text(self.observation)}</pre></div>'
        )


class Session:
    """A world, an interpreter and the limits of an episode. `turns` holds what was played; end it
    with `close()`."""

    def __init__(self, task: Task, study: Profile, mode: str = "persistent", seed: int = 0):
        self.task, self.study, self.mode = task, study, persistence_named(mode)
        self.family = family_named(task.family)
        self.world = self.family.world(task)
        setting = study.interpreter
        self._pool = Pool(study.limits, after_kill=setting.after_kill, without=setting.without)
        self._interpreter = Interpreter(self._pool, self.mode, self.world.tools, seed)
        self.turns: list[Played] = []
        self.closed = False
        global last
        if last is not None:
            last.close()
        last = self

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the session's processes. What was played stays readable."""
        global last
        self.closed = True
        self._interpreter.close()
        self._pool.close()
        last = None if last is self else last

    @property
    def turns_left(self) -> int:
        return max(0, self.study.limits.turns - len(self.turns))

    @property
    def result(self) -> dict[str, Any]:
        """The score so far beside the optimum, as in an episode."""
        return self.world.result()

    def run(self, source: str, before: str | None = None) -> Played:
        """One block, one turn. Raises UserError when the task is finished or no turn is left."""
        if self.closed or self.world.done or not self.turns_left:
            why = "the task is finished" if self.world.done else "no turn is left"
            why = "the session is closed" if self.closed else why
            raise UserError(f"{why}: {self.score}; start again with play(...) or rerun(...)")
        seen = self._interpreter.run(source)
        played = Played(
            len(self.turns) + 1, source, observation_text(seen, self.study.prompt), before
        )
        self.turns.append(played)
        return played

    def skip(self, before: str | None) -> None:
        """A turn in which nothing was run. Raises UserError when no turn is left."""
        if not self.turns_left:
            raise UserError(f"no turn is left: {self.score}")
        self.turns.append(Played(len(self.turns) + 1, "", before or "(nothing was run)", before))

    @property
    def score(self) -> str:
        """One line: the score so far and the turns left."""
        return f"score {self.result['score']:.3f}, {self.turns_left} turns left"

    def _repr_html_(self) -> str:
        told = opening(
            self.family,
            self.world.facts(),
            self.mode.name,
            self.study.limits,
            self.study.prompt,
        )
        shown = "".join(f'<pre class="out">{text(message["content"])}</pre>' for message in told)
        played = "".join(one._repr_html_() for one in self.turns)
        name = f"{text(self.task.task_id)} <span class=soft>{text(self.mode.name)}</span>"
        return f'<style>{CSS}</style><div class="ks"><h1>{name}</h1>{shown}{played}<p>{chip(self.score)}</p></div>'


last: Session | None = None


def rerun(
    episode: Episode,
    task: Task | None,
    study: Profile,
    *,
    mode: str | None = None,
    turns: int | None = None,
) -> Session:
    """Play the first `turns` blocks of an episode (all by default) in a mode (its own by default),
    and stand there.

    Raises UserError for an unknown mode, a task that is not known (None) or not the episode's, or a
    turn that the episode does not have.
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
    session = Session(task, study, mode or episode.runtime, episode.seed % 2**31)
    try:
        for turn in episode.turns[:count]:
            if session.world.done:
                break
            if turn.code is None:
                session.skip(turn.observation)
            else:
                session.run(turn.code, before=turn.observation)
    except BaseException:
        session.close()
        raise
    return session


def play(task: Task, study: Profile, *, mode: str = "persistent") -> Session:
    """The task as an agent meets it: its prompt, its tools, its limits."""
    return Session(task, study, mode)


def turn_magic(line: str, cell: str) -> Played:
    """%%turn: the cell is the next block of the last session."""
    if last is None:
        raise UserError("no session is open; start one with play(...) or rerun(...)")
    return last.run(cell)


def register_magic() -> None:
    """Make %%turn known, where there is an IPython to know it."""
    from IPython.core.getipython import get_ipython

    shell: Any = get_ipython()
    if shell is not None:
        shell.register_magic_function(turn_magic, "cell", "turn")
