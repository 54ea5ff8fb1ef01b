"""Many episodes: shards, resume, infrastructure retries, progress.

    Rollouts(policy, cell, profile, seed=1).run(tasks, folder, key)

`run` plays what a store lacks, shard by shard; `play_shard` plays tasks that belong together; `play_episode` is one of
them. An engine that decodes rows together gives the same tokens only for the same rows, so a shard that a kill
interrupted is played again whole and what is already on disk is left as it is; a policy that says it is `independent`
plays what is left. Hence an interrupted and resumed store equals an uninterrupted one, byte for byte, on one machine or
on many (`executor`): a worker plays a whole shard into a store of its own, which is merged here.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path

from knapsack_lib.agent import act
from knapsack_lib.episodes import Episode, Turn
from knapsack_lib.errors import UserError
from knapsack_lib.executors import WorkerLost, as_done
from knapsack_lib.families import Task, World, family_named
from knapsack_lib.interpreter import Interpreter, Pool, persistence_named
from knapsack_lib.messages import Message, Reply
from knapsack_lib.policies import Policy, PolicyError, Rollout
from knapsack_lib.profiles import REACT, Cell, Profile
from knapsack_lib.progress import Show
from knapsack_lib.react import ToolCaller
from knapsack_lib.seeds import named_seed
from knapsack_lib.store import EpisodeStore, read_episodes, read_timings

__all__ = ["Rollouts"]

RETRIES = 5
SHARDS = "shards"  # of a store: what workers elsewhere have played, until it is merged


def silent(done: int, total: int, *, tokens: int = 0, usd: float = 0.0, errors: int = 0) -> None:
    """A progress display that shows nothing."""


@dataclass
class Rollouts:
    """A policy playing one cell. `executor`: local, processes, ray or dask (executors.py); with the last three the policy
    is pickled and shards go to the cluster. `show` is called at every turn."""

    policy: Policy
    cell: Cell
    profile: Profile
    seed: int
    shard: int = 0  # tasks played together; 0: as the profile says
    executor: str = "local"
    show: Show = silent
    _spent: _Spent = field(init=False)
    _store: EpisodeStore = field(init=False)
    _tasks: Sequence[Task] = field(init=False, default=())

    def run(self, tasks: Sequence[Task], folder: Path, key: str) -> None:
        """Play every task that is not yet in the store at `folder`. Infrastructure failures are retried, then end the
        run with a UserError; nothing that was written is lost, and the same call continues from there."""
        with EpisodeStore(folder, key) as self._store:
            self._tasks, self._spent = tasks, _Spent(self.policy)
            self._merge()  # what a cluster brought before its driver was lost
            shutil.rmtree(self._store.place / SHARDS, ignore_errors=True)
            self._report()
            try:
                if self.executor != "local":
                    self._run_remote()
                for shard in self._missing():
                    self._with_retries(shard)
            except KeyboardInterrupt:
                saved = f"{len(self._store.done)} of {len(tasks)} episodes are saved"
                raise KeyboardInterrupt(
                    f"stopped: {saved}; run the same command to continue"
                ) from None
            self._store.close_sorted()

    def play_shard(self, tasks: Sequence[Task]) -> None:
        """Play tasks together and write each episode as it ends. Raises PolicyError for a failure of the policy's
        infrastructure."""
        began = dict[str, float]()
        with Pool.of(self.profile.limits, self.profile.interpreter) as pool:
            for rollout, episode in self.policy.play(
                self.play_episode(task, pool, began) for task in tasks
            ):
                self._store.write(episode, time.perf_counter() - began[rollout.key])
                self._report()

    def play_episode(self, task: Task, pool: Pool, began: dict[str, float]) -> Rollout:
        """One task, ready to be played. `began[task_id]` will be when the policy was first asked: rows that are decoded
        together begin together."""
        seed = named_seed(self.seed, "episode", task.task_id)
        world = family_named(task.family).world(task)

        def steps() -> Generator[list[Message], Reply, Episode]:
            began[task.task_id] = time.perf_counter()
            with self._interpreter(pool, world, seed) as interpreter:
                return (
                    yield from act(
                        task,
                        world,
                        interpreter,
                        self.cell,
                        self.profile.limits,
                        self.profile.prompt,
                        seed,
                        self._logger(task.task_id),
                        self.profile.interpreter.disk,
                    )
                )

        return Rollout(task.task_id, seed, steps())

    def _interpreter(
        self, pool: Pool, world: World, seed: int
    ) -> AbstractContextManager[Interpreter | ToolCaller]:
        if self.cell.runtime == REACT:
            return contextlib.nullcontext(ToolCaller(world.tools, self.profile.limits))
        mode = persistence_named(self.cell.runtime)
        return Interpreter(pool, mode, world.tools, seed % 2**31)

    def _missing(self) -> Iterator[Sequence[Task]]:
        """The shards that are not yet whole in the store."""
        size = self.shard or self.profile.evaluation.shard
        for first in range(0, len(self._tasks), size):
            shard = self._tasks[first : first + size]
            left = [task for task in shard if task.task_id not in self._store.done]
            if left:
                alone = getattr(self.policy, "independent", False) and len(left) < len(shard)
                yield left if alone else shard

    def _with_retries(self, shard: Sequence[Task]) -> None:
        for attempt in range(RETRIES):
            try:
                return self.play_shard(shard)
            except PolicyError as error:
                reason = str(error)
                # Else it counts itself
                self._spent.failures += not hasattr(self.policy, "failed_requests")
                self._report()
                if attempt + 1 < RETRIES:
                    time.sleep(min(30.0, 2.0**attempt))
        raise UserError(
            f"the model's server failed {RETRIES} times ({reason}); repair it and run the same command: it resumes"
        )

    def _run_remote(self) -> None:
        """Every shard on some worker, which leaves it in the store's folder. A worker that is lost costs the shard that
        it was playing, and a driver that is lost nothing."""
        place = self._store.place / SHARDS
        place.mkdir(exist_ok=True)
        alone = replace(self, executor="local", show=silent)
        for _ in range(RETRIES):
            self._merge()
            jobs = [(alone, shard, place) for shard in self._missing()]
            try:
                for _ in as_done(_run_remote_shard, jobs, self.executor) if jobs else ():
                    self._merge()
                shutil.rmtree(place)
                return
            except WorkerLost as error:
                reason = str(error)
                self._spent.failures += 1
        raise UserError(
            f"the {self.executor} cluster lost workers {RETRIES} times ({reason}); run the same command: it resumes"
        )

    def _merge(self) -> None:
        """Whole shards into the store, each episode once."""
        place = self._store.place / SHARDS
        for folder in sorted(p for p in place.glob("*") if not p.name.startswith(".")):
            seconds = read_timings(folder)
            for episode in read_episodes(folder, ""):
                self._store.write(episode, seconds[episode.episode_id])
                self._spent.add(*episode.turns)
            shutil.rmtree(folder)
            self._report()

    def _logger(self, episode_id: str) -> Callable[[int, Turn], None]:
        def log(number: int, turn: Turn) -> None:
            self._store.log_turn(episode_id, number, turn)
            self._spent.add(turn)
            self._report()

        return log

    def _report(self) -> None:
        spent = self._spent
        self.show(
            len(self._store.done),
            len(self._tasks),
            tokens=spent.tokens,
            usd=spent.usd,
            errors=spent.errors,
        )


def _run_remote_shard(job: tuple[Rollouts, Sequence[Task], Path]) -> None:
    """One shard on a worker, in a store of its own that gets its name once it is whole."""
    rollouts, tasks, place = job
    with tempfile.TemporaryDirectory(dir=place, prefix=".") as scratch:
        folder = Path(scratch) / "shard"
        replace(rollouts, shard=len(tasks)).run(tasks, folder, "shard")
        # A worker that was thought lost was there first: it holds the same
        with contextlib.suppress(OSError):
            folder.rename(place / tasks[0].task_id)


class _Spent:
    """What this run has cost so far. A policy that pays, or that retries, reports how much and how often."""

    def __init__(self, policy: Policy):
        self.tokens, self.failures, self._policy = 0, 0, policy
        self._before = self._of_policy()

    def add(self, *turns: Turn) -> None:
        self.tokens += sum(turn.prompt_tokens + turn.completion_tokens for turn in turns)

    def _of_policy(self) -> tuple[float, int]:
        return getattr(self._policy, "spent_usd", 0.0), getattr(self._policy, "failed_requests", 0)

    @property
    def usd(self) -> float:
        return self._of_policy()[0] - self._before[0]

    @property
    def errors(self) -> int:
        return self.failures + self._of_policy()[1] - self._before[1]
