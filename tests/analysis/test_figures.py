"""Rows of figures, counted by hand; figures as a notebook shows them."""

from __future__ import annotations

from types import SimpleNamespace

import matplotlib as mpl
import pytest

from knapsack_lib.analysis import figures
from knapsack_lib.analysis.behaviour import behaviour_frame
from knapsack_lib.analysis.evidence import Evidence
from knapsack_lib.analysis.figures import (
    contrast_data,
    cost_quality_data,
    loss_data,
    main_result_data,
    state_data,
    survival_data,
    tokens_data,
)
from knapsack_lib.analysis.metrics import CELL, episode_frame

BASE = ("base", "persistent", "easy")


def turns_alone(episodes: list) -> Evidence:
    return Evidence(SimpleNamespace(turns=behaviour_frame(episodes), cells=episode_frame(episodes)))


def test_tokens_by_turn_keep_the_total_of_an_episode_that_ended(turn, episode):
    turns = [[turn(10, 2)], [turn(20, 4), turn(30, 6)]]
    data = tokens_data(
        turns_alone([episode(name, 0, turns[i], BASE) for i, name in enumerate("ab")])
    )
    assert data.tokens.tolist() == [(12 + 24) / 2, (12 + 60) / 2]
    assert (
        data.playing.tolist() == [2, 1]
        and data.n.tolist() == [2, 2]
        and data.seeds.tolist() == [1, 1]
    )


def test_tokens_by_turn_end_at_the_mean_of_the_cell(twice):
    last = tokens_data(twice.evidence).groupby(CELL).last()
    assert last.tokens.to_dict() == pytest.approx(
        twice.evidence.summary.set_index(CELL).tokens.to_dict()
    )
    assert set(last.loc["base"].seeds) == {1} and set(last.loc["reset"].seeds) == {2}


def test_the_curve_without_errors_is_kaplan_and_meiers_by_hand(turn, episode):
    """Five episodes: errors in turns 1 and 3, one that ends without in turn 2, two that play three
    turns without."""
    fine, wrong = turn(), turn(error="NameError")
    played = [[wrong, fine], [fine, fine, wrong], [fine, fine], [fine] * 3, [fine] * 3]
    data = survival_data(
        turns_alone([episode(f"t{i}", 10, turns, BASE) for i, turns in enumerate(played)])
    )
    assert data.at_risk.tolist() == [5, 5, 4, 3] and data.met.tolist() == [0, 1, 0, 1]
    assert data.without_error.tolist() == pytest.approx([1, 4 / 5, 4 / 5, 4 / 5 * 2 / 3])


def test_a_share_of_blocks_that_rely_on_state_leaves_out_replies_without_a_block(turn, episode):
    lines = ["x = 12", "print(x)", "y = 1"]
    blocks = [turn(code=code, reply=code) for code in lines] + [
        turn(parse_status="no_code", code=None)
    ]
    data = state_data(
        turns_alone(
            [episode("a", 0, blocks[:2], BASE), episode("b", 0, [blocks[0], *blocks[2:]], BASE)]
        )
    )
    assert data.blocks.tolist() == [2, 2, 0] and data.relies.tolist()[:2] == [0, 0.5]
    assert data.restated.tolist() == [0, 0, 0]


def test_a_cell_is_on_the_pareto_line_if_no_other_is_cheaper_and_at_least_as_good(
    cells_of, results_of
):
    tokens = {"bp": [50] * 2, "pp": [100] * 2, "pr": [100] * 2, "rp": [200] * 2, "rr": [300] * 2}
    score = {"bp": [0.0] * 2, "pp": [0.8] * 2, "pr": [0.7] * 2, "rp": [0.9] * 2, "rr": [0.9] * 2}
    data = cost_quality_data(Evidence(results_of(cells_of({"tokens": tokens, "score": score}))))
    easy = (
        data[(data.difficulty == "easy") & (data.point == "cell mean")]
        .set_index(["train", "runtime"])
        .pareto
    )
    assert {cell for cell, best in easy.items() if best} == {
        ("base", "persistent"),
        ("persistent", "persistent"),
        ("reset", "persistent"),
    }
    assert (
        len(data[data.point == "episode"]) == 20 and not data[data.point == "episode"].pareto.any()
    )


def test_the_opening_picture_has_a_row_for_each_cell_and_one_for_each_adapter(twice):
    data = main_result_data(twice.evidence)
    cells, adapters = data[data.seeds.notna()], data[data.seeds.isna()]
    assert len(cells) == 12 and len(adapters) == 2 * 8 and "base" not in set(adapters.train)
    means = adapters.groupby(CELL).score.mean()
    assert means.to_dict() == pytest.approx(
        cells[cells.train != "base"].set_index(CELL).score.to_dict()
    )
    assert data.groupby("difficulty").expert_score.unique().map(list).to_dict() == {
        d: [twice.evidence.expert(d)] for d in ("easy", "medium")
    }


def test_the_picture_of_contrasts_shows_the_margin_and_no_other_outcome(twice):
    data = contrast_data(twice.evidence)
    assert len(data) == 2 * 6 and set(data.margin) == {0.05} and data.planned.sum() == 8
    shown = twice.evidence.contrast("score", "medium", "gain")
    row = data[(data.difficulty == "medium") & (data.contrast == "gain")].iloc[0]
    assert (row.effect, row.low, row.high, row.tost_low) == (
        shown.effect,
        shown.low,
        shown.high,
        shown.tost_low,
    )


def test_the_chosen_checkpoint_is_marked_once_per_adapter():
    curve = [
        {"step": 6, "train_loss": 2.0},
        {"step": 6, "validation_loss": 1.0},
        {"step": 9, "validation_loss": 1.5},
    ]
    records = [
        {"train_seed": k, "chosen_step": step, "curve": curve} for k, step in ((1, 6), (2, 9))
    ]
    training = {"persistent": records, "reset": [{**records[0], "chosen_step": 3}]}
    data = loss_data(Evidence(SimpleNamespace(training=training)))
    assert data.chosen.tolist() == [False, True, False] + [False, False, True] + [False] * 3
    assert data.train_seed.tolist() == [1, 1, 1, 2, 2, 2, 1, 1, 1]


# As a notebook shows them -------------------------------------------------------------------------


@pytest.mark.parametrize("name", figures.FIGURES)
def test_every_figure_is_a_picture_in_a_notebook_whatever_style_is_set(name: str, smoke):
    data, draw = figures.FIGURES[name]
    figure = draw(data(smoke.evidence))
    picture, size = figure._repr_png_()
    with mpl.rc_context({"font.size": 30, "savefig.dpi": 10, "axes.grid": True}):
        assert draw(data(smoke.evidence))._repr_png_()[0] == picture
    assert picture.startswith(b"\x89PNG") and size["width"] == round(110 * figure.get_figwidth())


def test_a_figure_that_a_reader_changes_shows_the_change(smoke):
    figure = figures.draw_power(smoke.evidence.power)
    before, _ = figure._repr_png_()
    figure.axes[0].set_xlim(0, 0.05)
    assert figure._repr_png_()[0] != before


def test_a_figure_without_rows_is_shown_as_a_line(capsys):
    figures.show(figures.draw_loss_curves, loss_data(Evidence(SimpleNamespace(training={}))))
    assert "Markdown" in capsys.readouterr().out  # outside a notebook: the object's name
