"""The places of a run: each its own, all inside the project."""

import pytest
from common import one_line

from knapsack_lib.errors import UserError
from knapsack_lib.files import shown
from knapsack_lib.profiles import Cell, load_profile
from knapsack_lib.seeds import named_seed


@pytest.mark.parametrize("seed", [-1, True, 1.0, "1"])
def test_a_seed_that_is_no_whole_number_is_refused(project, seed):
    with pytest.raises(UserError, match="seed") as caught:
        load_profile("pocket").run(seed)
    one_line(caught)


def test_every_place_of_a_run_is_its_own_and_inside_the_project(project):
    profile = load_profile("pocket-seeds")
    run = profile.run()
    places = [run.tasks(split) for split in profile.splits()]
    places += map(run.store, [*profile.cells(), *profile.teachers(), *profile.experts()])
    places += map(run.adapter, profile.adapters())
    assert len(set(places)) == len(places) == 4 + 28 + 2 + 2 + 6
    assert all(project / "runs" / "pocket-seeds" in place.parents for place in places)
    assert shown(run.tasks("train")) == "runs/pocket-seeds/tasks/train"


def test_a_mode_between_the_two_has_a_place_for_each_adapter(project):
    run = load_profile("pocket-seeds").run()
    cells = [Cell("knapsack", "reset", "ttl:2", "easy", seed) for seed in (1, 2, 3)]
    assert len({run.store(cell) for cell in cells}) == 3
    assert len({run.adapter(cell) for cell in cells}) == 3


def test_another_seed_never_writes_over_the_published_results(project):
    profile = load_profile("pocket-seeds")
    own, other = profile.run(), profile.run(profile.seed + 1)
    assert own.published_root == project
    assert own.root != other.root and other.published_root == other.root


def test_training_seeds_have_draws_of_their_own(project):
    run = load_profile("pocket-seeds").run()
    draws = [
        run.training_seed(what, k) for what in ("training order", "fine-tune") for k in (1, 2, 3)
    ]
    assert len(set(draws)) == 6 and draws[0] == named_seed(run.seed, "training order")


def test_a_profile_may_name_its_training_seeds():
    named = load_profile("paper")
    assert named.training.seeds
    run = named.run()
    assert run.training_seed("fine-tune", 1) == named.training.seeds[0]
    assert run.training_seed("training order", 1) == named_seed(
        named.training.seeds[0], "training order"
    )
