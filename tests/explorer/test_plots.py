"""Plots of turns: well-formed, with a point for each turn and a cross where one went wrong."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from knapsack_lib.explorer.plots import svg, thumbnail
from knapsack_lib.explorer.reading import read


def test_plots_of_every_cell_are_well_formed_with_a_point_per_turn(committed):
    for place in committed.frame.drop_duplicates(
        ["train", "runtime", "difficulty", "train_seed"]
    ).index:
        readings = read(committed.open(place), committed.task(place))
        tree = ElementTree.fromstring(svg({"a → <b>": readings, "other": readings[:3]}, cursor=2))
        lines = [
            node.attrib["points"].split() for node in tree.iter() if node.tag.endswith("polyline")
        ]
        assert [len(line) for line in lines] == [len(readings), min(3, len(readings))] * 3
        wrong = sum(bool(one.trouble) for one in readings) + sum(
            bool(one.trouble) for one in readings[:3]
        )
        assert sum(node.tag.endswith("path") for node in tree.iter()) == 3 * wrong
        ElementTree.fromstring(thumbnail(readings))


@pytest.mark.parametrize("count", [0, 1])
def test_a_plot_of_hardly_a_turn_is_well_formed_too(episode, turn, count):
    readings = read(episode(*[turn()] * count))
    for plot in (svg({"one": readings}, 1), svg({}), thumbnail(readings)):
        assert "nan" not in ElementTree.tostring(ElementTree.fromstring(plot), "unicode")
