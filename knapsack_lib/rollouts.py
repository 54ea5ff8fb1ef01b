"""Many episodes: shards, resume, infrastructure retries, progress.

    play_tasks(tasks, policy, cast, run, folder, key)

The unit of work is a shard: tasks that are played together. An engine that decodes rows together gives the same
tokens only for the same company, so a shard that a kill interrupted is played again whole and what is already on disk
is left as it is; a policy that says it is `independent` plays what is left. Hence an interrupted and resumed store
equals an uninterrupted one, byte for byte, on one machine or on many (`executor`): a shard is played whole by one worker
in a store of its own, and what comes back is merged here.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from knapsack_lib.agent import Cast, act
from knapsack_lib.episodes import Episode, EpisodeStore, Turn, read_episodes, read_timings
from knapsack_lib.executors import WorkerLost, as_done
from knapsack_lib.families import FAMILIES, Task, World
from knapsack_lib.interpreter import Interpreter, Pool, persistence_named
from knapsack_lib.policies import Policy, PolicyError, Reply, Rollout
from knapsack_lib.profiles import Profile, UserError, named_seed
from knapsack_lib.prompts import Message

__all__ = ["play_tasks"]

RETRIES = 5


def play_tasks(
    tasks: Sequence[Task],
    policy: Policy,
    cast: Cast,
    profile: Profile,
    folder: Path,
    key: str,
    *,
    seed: int,
    shard: int,
    progress: Callable[..., None] = lambda done, total, **counts: None,
    executor: str = "local",
) -> None:
    """Play every task that is not yet in the store at `folder`. Infrastructure failures are retried, then end the run
    with a UserError; nothing that was written is lost and the same call goes on from there. `progress` is told of every
    turn (progress.Show).

    `executor` is local, processes, ray or dask (executors.py): with the last three the policy is pickled and the shards go to the cluster.
    """
    with EpisodeStore(folder, key) as store:
        tally = _Tally(lambda **counts: progress(len(store.done), len(tasks), **counts), policy)
        beside = folder / "shards"
        if beside.exists():  # what a cluster brought before its driver was lost is of an earlier run
            _merge(beside, store)
            shutil.rmtree(beside)
        tally.tell()
        try:
            if executor != "local":
                _play_far(tasks, policy, cast, profile, store, seed, shard, executor, tally)
            for company in _companies(tasks, policy, store, shard):
                _play_shard(company, policy, cast, profile, store, seed, tally)
        except KeyboardInterrupt:
            kept = f"stopped: {len(store.done)} of {len(tasks)} episodes are saved; run the same again and it goes on"
            raise KeyboardInterrupt(kept) from None
        store.close_sorted()


@dataclass
class _Tally:
    """What this run has cost so far, and who is told of it."""

    show: Callable[..., None]
    policy: Policy
    tokens: int = 0
    failures: int = 0

    def __post_init__(self) -> None:
        self._spent, self._failed = (getattr(self.policy, name, 0) for name in ("spent_usd", "failed_requests"))

    def add(self, *turns: Turn) -> None:
        self.tokens += sum(turn.prompt_tokens + turn.completion_tokens for turn in turns)

    def tell(self) -> None:
        """A policy that pays, or asks again by itself, says what it spent and how often it failed."""
        spent, failed = (getattr(self.policy, name, 0) for name in ("spent_usd", "failed_requests"))
        self.show(tokens=self.tokens, usd=spent - self._spent, errors=self.failures + failed - self._failed)


def _companies(tasks: Sequence[Task], policy: Policy, store: EpisodeStore, shard: int) -> Iterator[Sequence[Task]]:
    """The shards that are not yet whole in the store."""
    for first in range(0, len(tasks), shard):
        company = tasks[first : first + shard]
        left = [task for task in company if task.task_id not in store.done]
        if left:
            yield left if getattr(policy, "independent", False) and len(left) < len(company) else company


def _play_far(
    tasks: Sequence[Task], policy: Policy, cast: Cast, profile: Profile, store: EpisodeStore, seed: int, shard: int,
    executor: str, tally: _Tally,
) -> None:  # fmt: skip
    """Every shard on some worker, which leaves it beside the store. A worker that is lost costs the shard that it was
    playing, and a driver that is lost nothing: what lies there is merged, and only the rest is played again."""
    beside = store.folder / "shards"
    beside.mkdir(exist_ok=True)
    for _ in range(RETRIES):
        _merge(beside, store, tally)
        jobs = [(company, policy, cast, profile, seed, beside) for company in _companies(tasks, policy, store, shard)]
        try:
            for _ in as_done(_play_apart, jobs, executor) if jobs else ():
                _merge(beside, store, tally)
            shutil.rmtree(beside)
            return
        except WorkerLost as error:
            reason = str(error)
            tally.failures += 1
    raise UserError(f"the {executor} cluster lost workers {RETRIES} times ({reason}); run the same command: it resumes")


def _play_apart(job: tuple[Sequence[Task], Policy, Cast, Profile, int, Path]) -> None:
    """One shard on a worker, in a store of its own that gets its name once it is whole."""
    tasks, policy, cast, profile, seed, beside = job
    with tempfile.TemporaryDirectory(dir=beside, prefix=".") as place:
        folder = Path(place) / "shard"
        play_tasks(tasks, policy, cast, profile, folder, "apart", seed=seed, shard=len(tasks))
        with contextlib.suppress(OSError):  # another worker, thought lost, was there first: it holds the same
            folder.rename(beside / tasks[0].task_id)


def _merge(beside: Path, store: EpisodeStore, tally: _Tally | None = None) -> None:
    """Whole shards into the store, each episode once."""
    for folder in sorted(p for p in beside.iterdir() if not p.name.startswith(".")):
        seconds = read_timings(folder)
        for episode in read_episodes(folder, ""):
            store.write(episode, seconds[episode.episode_id])
            if tally:
                tally.add(*episode.turns)
        shutil.rmtree(folder)
        if tally:
            tally.tell()


def _play_shard(
    tasks: Sequence[Task], policy: Policy, cast: Cast, profile: Profile, store: EpisodeStore, seed: int, tally: _Tally,
) -> None:  # fmt: skip
    for attempt in range(RETRIES):
        try:
            with _pool(profile) as pool:
                _play_once(tasks, policy, cast, profile, store, seed, pool, tally)
            return
        except PolicyError as error:
            reason = str(error)
            tally.failures += not hasattr(policy, "failed_requests")  # else it has counted this one itself
            tally.tell()
            if attempt + 1 < RETRIES:
                time.sleep(min(30.0, 2.0**attempt))
    raise UserError(
        f"the model's server failed {RETRIES} times ({reason}); mend it and run the same command: it resumes"
    )


def _pool(profile: Profile) -> Pool:
    setting = profile.interpreter
    return Pool(profile.limits, after_kill=setting.after_kill, without=setting.without)


def _play_once(
    tasks: Sequence[Task], policy: Policy, cast: Cast, profile: Profile, store: EpisodeStore, seed: int, pool: Pool,
    tally: _Tally,
) -> None:  # fmt: skip
    mode = persistence_named(cast.runtime)
    interpreters: dict[str, Interpreter] = {}
    began: dict[str, float] = {}

    def rollouts() -> Iterator[Rollout]:
        for task in tasks:
            world: World = FAMILIES[task.family].World(task)
            own = named_seed(seed, "episode", task.task_id)
            interpreter = interpreters[task.task_id] = Interpreter(pool, mode, world.tools, own % 2**31)
            log = _logger(store, task.task_id, tally)
            steps = act(task, world, interpreter, cast, profile.limits, profile.cues, own, log)
            yield Rollout(task.task_id, own, _noting_start(steps, began, task.task_id))

    for rollout, episode in policy.play(rollouts()):
        interpreters.pop(rollout.key).close()
        store.write(episode, time.perf_counter() - began[rollout.key])
        tally.tell()


def _noting_start(
    steps: Generator[list[Message], Reply, Episode], began: dict[str, float], key: str
) -> Generator[list[Message], Reply, Episode]:
    """The same steps; `began[key]` is when the policy first asked. Rows that are decoded together begin together."""
    began[key] = time.perf_counter()
    return (yield from steps)


def _logger(store: EpisodeStore, episode_id: str, tally: _Tally) -> Callable[[int, Turn], None]:
    def log(number: int, turn: Turn) -> None:
        store.log_turn(episode_id, number, turn)
        tally.add(turn)
        tally.tell()

    return log
