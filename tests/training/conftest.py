"""A run small enough to train in seconds, and conversations of the scripted expert."""

import pytest
from tokenizers import Tokenizer

from knapsack_lib.chat import ChatTokenizer
from knapsack_lib.families import family_named
from knapsack_lib.families.task_files import write_tasks
from knapsack_lib.hub import base_folder
from knapsack_lib.policies.scripted import ScriptedPolicy
from knapsack_lib.profiles import Cell, load_profile
from knapsack_lib.rollouts import Rollouts


@pytest.fixture(scope="session")
def smoke():
    return load_profile("smoke")


@pytest.fixture(scope="session")
def base(pocket):
    """The folder of the shipped base."""
    return base_folder(pocket)


@pytest.fixture(scope="session")
def chat(base):
    return ChatTokenizer(Tokenizer.from_file(str(base / "tokenizer.json")))


@pytest.fixture
def scratch(smoke, project):
    """scratch(name, **training): a run in a project of its own, with 9 training and 2 validation
    tasks and their traces in both regimes."""
    family = family_named("knapsack")
    limits = smoke.evaluation.model_copy(update={"context": 400, "max_new_tokens": 40})

    def make(name, **training):
        changed = {
            "name": name,
            "training": smoke.training.model_copy(update=training),
            "evaluation": limits,
        }
        run, tasks = smoke.model_copy(update=changed).run(), []
        for split, count in (("train", 9), ("validation", 2)):
            group = [
                family.make_task("pocket-easy", seed=1, split=split, index=i) for i in range(count)
            ]
            write_tasks(run.tasks(split), group)
            tasks += group
        for runtime in ("persistent", "reset"):
            policy = ScriptedPolicy("knapsack", runtime, smoke.teacher)
            cell = Cell("knapsack", "teacher", runtime, "easy")
            Rollouts(policy, cell, smoke, seed=1, shard=11).run(tasks, run.store(cell), "key")
        return run

    return make
