"""Seeds by name: the same everywhere, and no two names give one."""

import os
import subprocess
import sys
from pathlib import Path

from knapsack_lib.seeds import named_seed

ROOT = Path(__file__).parents[1]


def test_named_seeds_are_the_same_in_every_process():
    code = "from knapsack_lib.seeds import named_seed as n; print(n(1, 'task', 'easy', 0), n(1), n(2, 'a', 'b'))"
    answers = set()
    for hash_seed in ("0", "1", "random"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            capture_output=True,
            encoding="utf-8",
            check=True,
        )
        answers.add(done.stdout)
    assert answers == {
        f"{named_seed(1, 'task', 'easy', 0)} {named_seed(1)} {named_seed(2, 'a', 'b')}\n"
    }


def test_names_are_not_glued_together_in_a_seed():
    seeds = [
        named_seed(1, "a", "bc"),
        named_seed(1, "ab", "c"),
        named_seed(1, "abc"),
        named_seed(2, "a", "bc"),
    ]
    assert len(set(seeds)) == 4 and all(0 <= s < 2**63 for s in seeds)
