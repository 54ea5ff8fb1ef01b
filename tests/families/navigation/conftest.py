"""Pools of interpreters for navigation, and both styles in code side by side."""

import pytest

from families.navigation.plays import BATCHES, STYLES, tasks
from knapsack_lib.interpreter import Pool


@pytest.fixture(scope="module")
def pools(make_limits):
    paper = make_limits(turns=40, tool_calls=25, output_chars=30_000)
    with Pool(make_limits(turns=32)) as small, Pool(paper) as large:
        yield {size: small if size.startswith("pocket") else large for size in BATCHES}


@pytest.fixture
def pairs(pools, play_script):
    """Both styles' episodes of the same tasks with the same seed."""

    def play(size, count, setting, **more):
        return [
            tuple(play_script(pools[size], task, s, setting, seed=100 + i, **more) for s in STYLES)
            for i, task in enumerate(tasks(count, size))
        ]

    return play
