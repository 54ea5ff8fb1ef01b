"""Cells: one name, one label and one place for each."""

import pytest

from knapsack_lib.profiles import Cell, load_profile


def cell(train="reset", runtime="persistent", difficulty="easy", train_seed=1):
    return Cell("knapsack", train, runtime, difficulty, train_seed)


def test_a_cell_is_called_the_same_everywhere():
    assert cell().name == "reset-persistent-easy"
    assert cell(train_seed=2).name == "reset-persistent-easy-train2"
    assert cell(train_seed=2).path == "cells/reset-persistent-easy-train2"
    assert cell(train_seed=2).adapter == "adapters/reset-train2"
    assert cell().adapter == "adapters/reset"
    assert (
        cell(train_seed=2).label == "reset \N{RIGHTWARDS ARROW} persistent, easy, training seed 2"
    )


def test_a_mode_with_a_number_makes_a_name_that_every_file_system_takes():
    assert cell(runtime="ttl:3").path == "cells/reset-ttl3-easy"
    assert cell("teacher", "ttl:3", train_seed=0).path == "teacher/ttl3"


def test_who_plays_by_a_script_has_a_place_of_its_own():
    assert cell("teacher", "reset", train_seed=0).path == "teacher/reset"
    assert cell("expert", "persistent", "medium", 0).path == "expert/medium"


def test_its_arguments_are_those_of_notebook_04():
    assert cell().arguments == {"train": "reset", "runtime": "persistent", "difficulty": "easy"}
    assert cell(train_seed=3).arguments["train_seed"] == 3


def test_its_labels_are_its_fields():
    assert Cell(**cell(train_seed=2).labels) == cell(train_seed=2)


def test_cells_are_ordered_hashable_and_frozen():
    cells = load_profile("pocket-seeds").cells()
    assert len({*cells, *cells}) == len(cells) and sorted(cells, reverse=True) != cells
    with pytest.raises(AttributeError):
        cells[0].train = "reset"
