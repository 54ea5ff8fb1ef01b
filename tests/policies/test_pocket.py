"""The pocket engine: same logits as transformers, seeded, the same bytes after any kill."""

import random
import signal
import subprocess
import sys
import time

import torch
from transformers import AutoModelForCausalLM

from knapsack_lib.hub import base_folder
from knapsack_lib.policies.pocket import Weights
from knapsack_lib.profiles import load_profile
from knapsack_lib.store import current, read_episodes, read_timings

BASE = base_folder(load_profile("pocket"))

CELL = """
import sys
from pathlib import Path
from knapsack_lib.families import family_named
from knapsack_lib.policies.pocket import PocketEngine
from knapsack_lib.profiles import Cell, load_profile
from knapsack_lib.rollouts import Rollouts
from knapsack_lib.hub import base_folder

profile = load_profile("pocket")
setting = profile.evaluation.model_copy(update={"context": 420, "max_new_tokens": 60})
draw = family_named("knapsack").make_task
tasks = [draw("pocket-easy", seed=2, split="kill", index=i) for i in range(12)]
engine = PocketEngine(base_folder(profile), setting)
cell = Cell("knapsack", "base", "reset", "easy")
Rollouts(engine, cell, profile, int(sys.argv[2]), shard=3).run(tasks, Path(sys.argv[1]), "key")
"""


def test_decoding_step_by_step_gives_the_logits_of_transformers():
    weights = Weights(BASE)
    model = AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float32)
    ids = torch.randint(3, 900, (3, 70), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        cache = weights.cache(3, 70)
        ours = torch.stack([weights.step(ids[:, at], cache, at) for at in range(70)], 1)
        theirs = model(ids).logits
    assert (ours - theirs).abs().max() < 1e-3 * theirs.abs().max()


def _run(folder, seed=1, **options):
    return subprocess.Popen([sys.executable, "-c", CELL, str(folder), str(seed)], **options)


def test_a_cell_killed_at_ten_random_moments_equals_an_uninterrupted_one(tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    started = time.monotonic()
    assert _run(whole).wait() == 0
    length = time.monotonic() - started
    moments, kills = random.Random(7), 0
    while kills < 10:
        process = _run(broken)
        try:
            process.wait(timeout=moments.uniform(0.3, 1.0) * length)
            break  # it got through: later kills would find nothing under way
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
    assert kills >= 1
    assert _run(broken).wait() == 0
    files = [(current(store) / "episodes.jsonl").read_bytes() for store in (broken, whole)]
    assert files[0] == files[1] and files[0].count(b"\n") == 12
    assert set(read_timings(broken)) == {e.task_id for e in read_episodes(whole, "")}


def test_another_seed_samples_other_replies(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    both = [_run(one, 1), _run(two, 2)]
    assert [p.wait() for p in both] == [0, 0]
    replies = [[t.reply for e in read_episodes(f, "") for t in e.turns] for f in (one, two)]
    assert replies[0] != replies[1]
