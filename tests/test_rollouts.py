"""Many episodes: a run that is killed anywhere and started again ends as if nothing had happened."""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from common import gone
from made import tasks

from knapsack_lib.errors import UserError
from knapsack_lib.families import family_named
from knapsack_lib.messages import Reply
from knapsack_lib.policies import PolicyError, play_each
from knapsack_lib.policies.scripted import ScriptedPolicy
from knapsack_lib.profiles import Cell
from knapsack_lib.rollouts import Rollouts
from knapsack_lib.store import current, read_episodes, read_timings

ROOT = Path(__file__).parent.parent
BOTH = pytest.mark.parametrize("runtime", ["persistent", "reset"])


@pytest.fixture
def rolls(pocket, tmp_path):
    """Play a few tasks into a store of that name; returns the bytes of its episodes.jsonl."""

    def play(name, policy=None, count=6, *, key="k", shard=4, runtime="reset", **more):
        policy = policy or ScriptedPolicy("knapsack", runtime, pocket.teacher)
        cell = Cell("knapsack", "teacher", runtime, "easy")
        rollouts = Rollouts(policy, cell, pocket, seed=1, shard=shard, **more)
        rollouts.run(tasks(count), tmp_path / name, key)
        return (current(tmp_path / name) / "episodes.jsonl").read_bytes()

    return play


@pytest.fixture
def no_waiting(monkeypatch):
    """Retries at once; returns the pauses that were asked for."""
    pauses = []
    monkeypatch.setattr(
        "knapsack_lib.rollouts.time",
        SimpleNamespace(sleep=pauses.append, perf_counter=time.perf_counter),
    )
    return pauses


class Stumbling:
    """The scripted expert behind a server that fails: `fails` is asked before each reply with the
    number of replies."""

    def __init__(self, style, setting, fails):
        self.style, self.setting, self.fails, self.replies = style, setting, fails, 0

    def play(self, rollouts):
        return play_each(rollouts, self._player)

    def _player(self, rollout):
        expert = family_named("knapsack").expert(self.style, self.setting, rollout.seed)

        def reply(messages):
            self.replies += 1
            if self.fails(self.replies):
                raise PolicyError("the server went away")
            return expert.reply(messages)

        return SimpleNamespace(reply=reply)


# Same again ---------------------------------------------------------------------------------------


@BOTH
def test_the_same_command_twice_gives_the_same_bytes(rolls, runtime):
    first = rolls("a", runtime=runtime)
    assert first == rolls("b", runtime=runtime) and first.count(b"\n") == 6
    assert b"seconds" not in first and str(ROOT).encode() not in first


def test_episodes_do_not_depend_on_how_tasks_are_put_in_shards(rolls):
    assert rolls("a", shard=1) == rolls("b", shard=4) == rolls("c", shard=100)


def test_a_store_that_is_complete_is_not_played_again(rolls, tmp_path):
    before = rolls("a")
    stamp = read_timings(tmp_path / "a")
    never = SimpleNamespace(play=lambda rollouts: pytest.fail("played again"))
    assert rolls("a", never) == before and read_timings(tmp_path / "a") == stamp


def test_more_tasks_are_added_to_what_is_there(rolls):
    small = rolls("a", count=4)
    assert rolls("a", count=8) == rolls("b", count=8) and rolls("b", count=8).startswith(small)


def test_another_key_starts_afresh_and_keeps_the_old_store(rolls, tmp_path, pocket):
    old = rolls("a", key="first")
    new = rolls(
        "a",
        ScriptedPolicy("knapsack", "reset", pocket.teacher.model_copy(update={"slip_share": 1.0})),
        key="second",
        count=4,
    )
    assert (tmp_path / "a" / "first" / "episodes.jsonl").read_bytes() == old
    assert new.count(b"\n") == 4 and all(
        any(t.slip for t in e.turns) for e in read_episodes(tmp_path / "a", "make")
    )


def test_progress_counts_up_to_the_total(rolls, tmp_path, pocket):
    shown = []
    counting = ScriptedPolicy("knapsack", "reset", pocket.teacher, len)
    rolls(
        "a",
        counting,
        count=5,
        show=lambda done, total, **counts: shown.append((done, total, counts["tokens"])),
    )
    episodes = read_episodes(tmp_path / "a", "make")
    assert shown[0] == (0, 5, 0)
    assert shown[-1] == (
        5,
        5,
        sum(t.prompt_tokens + t.completion_tokens for e in episodes for t in e.turns),
    )
    assert shown == sorted(shown) and len({done for done, _, _ in shown}) == 6 and shown[-1][2] > 0


def test_progress_counts_the_money_and_the_failures_of_this_run(rolls, pocket, no_waiting):
    shown = []
    paid = Stumbling("reset", pocket.teacher, lambda replies: replies == 7)
    paid.spent_usd, paid.failed_requests = 2.5, 3  # by earlier runs

    def show(done, total, *, tokens, usd, errors):
        shown.append((done, usd, errors))
        paid.spent_usd, paid.failed_requests = 2.75, 4

    rolls("a", paid, count=2, shard=1, show=show)
    assert shown[0] == (0, 0.0, 0) and shown[-1] == (
        2,
        0.25,
        1,
    )  # it counts its failures itself, also the one that ends a shard

    del paid.failed_requests, paid.spent_usd
    paid.replies = 0
    rolls(
        "b",
        paid,
        count=2,
        shard=1,
        show=lambda done, total, **counts: shown.append((done, counts["errors"])),
    )
    assert shown[-1] == (2, 1)


def test_a_stopped_run_reports_what_is_saved_and_continues(rolls, pocket):
    def stop(done, total, **counts):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(
        KeyboardInterrupt,
        match="stopped: 3 of 6 episodes are saved; run the same command to continue",
    ):
        rolls("a", shard=1, show=stop)
    assert rolls("a", shard=1) == rolls("b", shard=1)


def test_the_arms_are_paired_by_task_and_seed(rolls, tmp_path):
    rolls("p", runtime="persistent")
    rolls("r", runtime="reset")
    persistent, reset = (read_episodes(tmp_path / name, "make") for name in "pr")
    for p, r in zip(persistent, reset, strict=True):
        assert (p.task_id, p.seed, p.opening, p.result) == (r.task_id, r.seed, r.opening, r.result)
        assert (p.runtime, r.runtime) == ("persistent", "reset")


# As it happens ------------------------------------------------------------------------------------


def test_every_turn_is_in_the_turn_log_before_the_next_reply_is_asked_for(rolls, tmp_path, pocket):
    looked = []

    def look(replies):
        path = tmp_path / "a" / "k" / "turns.jsonl"
        looked.append(
            [
                (r["episode_id"], r["turn"])
                for r in map(json.loads, path.read_text(encoding="utf-8").splitlines())
            ]
        )
        return False

    rolls("a", Stumbling("reset", pocket.teacher, look), count=3, shard=3)
    episodes = read_episodes(tmp_path / "a", "make")
    every = [(e.episode_id, k) for e in episodes for k in range(len(e.turns))]
    assert looked == [every[:k] for k in range(len(every))]


def test_an_episode_is_on_disk_when_the_next_one_begins(rolls, tmp_path, pocket):
    counts = []

    def look(replies):
        counts.append((tmp_path / "a" / "k" / "episodes.jsonl").read_bytes().count(b"\n"))
        return False

    rolls("a", Stumbling("reset", pocket.teacher, look), count=3, shard=3)
    assert counts == sorted(counts) and set(counts) == {0, 1, 2}


# A server that fails ------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("at", [1, 7, 26])
def test_a_server_that_fails_now_and_then_leaves_no_trace_in_the_episodes(
    rolls, pocket, no_waiting, runtime, at
):
    clean = rolls("clean", runtime=runtime)
    policy = Stumbling(runtime, pocket.teacher, lambda replies: replies in (at, at + 5))
    assert rolls("stumbled", policy, runtime=runtime) == clean
    assert len(no_waiting) == 2 and all(pause > 0 for pause in no_waiting)


def test_a_server_that_stays_away_ends_the_run_in_one_line_and_nothing_is_lost(
    rolls, tmp_path, pocket, no_waiting
):
    policy = Stumbling("reset", pocket.teacher, lambda replies: replies > 20)
    with pytest.raises(UserError, match="resumes") as caught:
        rolls("a", policy)
    assert "\n" not in str(caught.value) and "the server went away" in str(caught.value)
    assert no_waiting == sorted(no_waiting) and 3 <= len(no_waiting) <= 10
    there = read_episodes(tmp_path / "a", "make")
    assert 1 <= len(there) < 6 and all(
        e.finish_reason == "finish" for e in there
    )  # a failure is never an episode
    assert rolls("a") == rolls("clean")


def test_a_fault_of_the_policy_itself_is_not_taken_for_the_servers(rolls, pocket, no_waiting):
    def broken(replies):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        rolls("a", Stumbling("reset", pocket.teacher, broken))
    assert no_waiting == []


def test_retries_leave_no_process_and_no_descriptor(rolls, pocket, no_waiting, children):
    rolls("warm")
    before, opened = children(), len(os.listdir("/proc/self/fd"))
    rolls(
        "a",
        Stumbling("persistent", pocket.teacher, lambda replies: replies in (3, 9, 15, 21)),
        runtime="persistent",
    )
    assert children() == before
    assert len(os.listdir("/proc/self/fd")) == opened


def test_model_code_that_fails_in_every_way_ends_no_run(rolls, tmp_path):
    """Each block is bad in another way; the run goes on, and every episode is written and read
    again."""
    bad = [
        "while True: print('x' * 1000)",
        "import os\nos._exit(1)",
        "raise SystemExit",
        "print('\\u2028 \\x85')",
        "raise ValueError('\\ud800')",
        "inspect('\\udfff')",
        "globals()['\\ud800'] = 1",
        "inspect(float('nan'))",
        "inspect([[]])",
        "import os\nos.close(1)",
        "def f(): f()\nf()",
        "import json\njson.dumps = None",
    ]

    class Bad:
        def play(self, rollouts):
            return play_each(
                rollouts,
                lambda rollout: SimpleNamespace(
                    reply=lambda m: Reply(f"```python\n{bad[(len(m) // 2 - 1) % len(bad)]}\n```")
                ),
            )

    for runtime in ("persistent", "reset"):
        rolls(runtime, Bad(), count=2, runtime=runtime)
        episodes = read_episodes(tmp_path / runtime, "make")
        assert len(episodes) == 2 and all(len(e.turns) >= len(bad) for e in episodes)


# Killed anywhere ----------------------------------------------------------------------------------

SCRIPT = """
import sys
from pathlib import Path
from knapsack_lib.families import family_named
from knapsack_lib.policies.scripted import ScriptedPolicy
from knapsack_lib.profiles import Cell, load_profile
from knapsack_lib.rollouts import Rollouts
folder, params, runtime = sys.argv[1:]
profile = load_profile(params)
make_task = family_named("knapsack").make_task
tasks = [make_task("pocket-easy", seed=1, split="kill", index=i) for i in range(60)]
policy = ScriptedPolicy("knapsack", runtime, profile.teacher)
cell = Cell("knapsack", "teacher", runtime, "easy")
Rollouts(policy, cell, profile, seed=1, shard=7).run(tasks, Path(folder), "k")
"""


@BOTH
def test_a_run_that_is_killed_ten_times_ends_as_one_that_was_not(tmp_path, children, runtime):
    def start(folder):
        command = [
            sys.executable,
            "-c",
            SCRIPT,
            str(folder),
            str(ROOT / "params" / "pocket.yaml"),
            runtime,
        ]
        return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)})

    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert start(whole).wait() == 0
    size = (whole / "k" / "episodes.jsonl").stat().st_size
    rng, log, families, kills = random.Random(7), killed / "k" / "episodes.jsonl", [], 0
    for moment in sorted(rng.uniform(0, 0.9) for _ in range(10)):
        run, pause = start(killed), rng.uniform(0, 0.02)
        while run.poll() is None and (not log.exists() or log.stat().st_size < moment * size):
            time.sleep(0.002)
        time.sleep(pause)  # somewhere within an episode, a write or a fork
        families += children(run.pid)
        run.kill()
        kills += run.wait() == -9  # or it had ended, when this process had to wait for its turn
    assert start(killed).wait() == 0
    assert (
        log.read_bytes() == (whole / "k" / "episodes.jsonl").read_bytes()
        and log.read_bytes().count(b"\n") == 60
    )
    assert set(read_timings(killed)) == {e.episode_id for e in read_episodes(whole, "make")}
    assert sorted(p.name for p in killed.rglob("*")) == sorted(p.name for p in whole.rglob("*"))
    assert kills >= 7
    assert families and gone(families), "interpreters outlived the run that was killed"
