"""Models in the wild: what is committed follows from the committed counts, and the rules hold."""

import numpy as np
import pandas as pd
import pytest

from knapsack_lib.analysis.output import read_csv
from knapsack_lib.analysis.style import save
from knapsack_lib.audit import wild
from knapsack_lib.audit.transcripts import Step, Transcript
from knapsack_lib.audit.wild_figure import draw_wild, wild_data
from knapsack_lib.errors import UserError
from knapsack_lib.files import path_digest, project_root

ROOT = project_root()
COMMITTED = ROOT / "results" / "in-the-wild"


@pytest.fixture(scope="module")
def committed():
    counts = wild.read_counts(COMMITTED / "episodes.csv.gz")
    return counts, wild.load_plan(COMMITTED / "plan.yaml")


def test_the_committed_figure_follows_from_the_committed_counts(committed, tmp_path):
    counts, plan = committed
    stamp = f"MINT-bench outputs, counts {path_digest(COMMITTED / 'episodes.csv.gz')}"
    data = wild_data(wild.models_table(counts), wild.pairs_table(counts, plan))
    for path in save(draw_wild, data, tmp_path / "in_the_wild", stamp):
        assert path.read_bytes() == (ROOT / "figures" / path.name).read_bytes(), path.name


def test_the_committed_counts_are_of_seen_tasks_alone_and_hold_no_text(committed):
    counts, plan = committed
    assert set(counts["task"]) == set(plan["seen"])
    assert counts.groupby("model").size().nunique() == 1  # the same tasks for every model
    words = counts.select_dtypes(exclude="number").columns
    assert set(words) <= {"model", "task", "item", "solved"}


def test_what_the_report_says_of_the_pairs_is_so(committed):
    counts, plan = committed
    pairs = wild.pairs_table(counts, plan)
    apart = set(pairs.loc[pairs["told_apart"], "trained"])
    assert apart == set(pairs.loc[pairs["kind"] == "trained on persistent traces", "trained"])
    drawn = read_csv(ROOT / "figures" / "in_the_wild.csv")
    assert set(drawn.loc[drawn["told_apart"] == True, "trained"]) == apart  # noqa: E712


def transcripts(model, leaning, n=80):
    """Of every ten episodes, `leaning` rely on state in their second block."""
    for item in range(n):
        second = "print(x)" if item % 10 < leaning else "y = 2"
        labels = {"model": model, "task": "t", "item": str(item), "solved": "true"}
        yield Transcript(f"{model}/{item}", (Step("x = 10"), Step(second)), labels)


def table(base, trained, n=80):
    counts = wild.counts_frame([*transcripts("b", base, n), *transcripts("t", trained, n)])
    return wild.pairs_table(counts, {"pairs": [{"trained": "t", "base": "b", "kind": "k"}]})


def test_a_difference_is_of_shares_and_its_interval_pairs_the_tasks():
    found = table(base=2, trained=7).set_index("check")
    row = found.loc["all later blocks"]
    assert (row.base_share, row.trained_share) == (0.2, 0.7)
    assert row.difference == pytest.approx(0.5)
    # A task on which both rely adds nothing: of 80 pairs 40 differ, all in one direction.
    assert row.low == pytest.approx(0.5 - 1.96 * np.sqrt(0.25 / 80), abs=0.02)
    assert found["told_apart"].all()


def test_a_pair_is_told_apart_by_every_check_that_enough_tasks_are_left_for():
    assert not table(base=3, trained=3)["told_apart"].any()
    assert not table(base=2, trained=7, n=40)["told_apart"].any()  # too few tasks for any check


def test_counts_are_kept_whole_and_their_bytes_do_not_change(tmp_path):
    counts = wild.counts_frame(transcripts("m", 4))
    first, second = (wild.write_counts(counts, tmp_path / name) for name in ("a.gz", "b.gz"))
    assert first.read_bytes() == second.read_bytes()
    pd.testing.assert_frame_equal(wild.read_counts(first), counts)


def test_what_is_missing_is_one_line(tmp_path):
    with pytest.raises(UserError, match="no episode"):
        wild.counts_frame([])
    with pytest.raises(UserError, match="cannot be read"):
        wild.read_counts(tmp_path / "none.csv.gz")
    with pytest.raises(UserError, match="of which there are no episodes"):
        counts = wild.counts_frame(transcripts("m", 4))
        wild.pairs_table(counts, {"pairs": [{"trained": "t", "base": "m", "kind": "k"}]})
