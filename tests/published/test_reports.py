"""The reports on the sample, against the values worked by hand in its README; and what they note
instead of guessing."""

import numpy as np
import pytest

from knapsack_lib.analysis.statistics import wilcoxon
from knapsack_lib.errors import UserError
from knapsack_lib.profiles import Cell
from knapsack_lib.published.records import Found, Record, read_records
from knapsack_lib.published.reports import compare, measures, stats

BY_HAND = {
    "persistent": (8, 25.0, 0.537325, 50.566, 7.375, 3.75, None, 7878.375),
    "stateless": (8, 12.5, 0.429497, 44.038, 10.625, 4.0, None, 6274.25),
}


AS_PRINTED = {
    "persistent": (7, 28.6, 0.6141, 57.8, 8.4, 4.29, 5.86, 9004),
    "stateless": (7, 14.3, 0.4909, 50.3, 12.1, 4.57, 6.86, 7171),
}


FIELDS = (
    "success_rate",
    "optimality",
    "capacity_utilization",
    "items_inspected",
    "steps",
    "tool_calls",
    "total_tokens",
)


def row(found):
    return (found.episodes, *(found.means[name] for name in FIELDS))


@pytest.mark.parametrize("condition", BY_HAND)
def test_the_sample_gives_the_values_worked_by_hand(sample, condition):
    found = row(stats(read_records(sample / condition)))
    wanted = BY_HAND[condition]
    assert found[6] is wanted[6] is None
    assert found[:6] + found[7:] == pytest.approx(wanted[:6] + wanted[7:], rel=1e-5)


@pytest.mark.parametrize("condition", AS_PRINTED)
def test_as_published_gives_what_the_authors_script_prints_and_names_its_faults(sample, condition):
    found = stats(read_records(sample / condition), as_published=True)
    digits = (0, 1, 4, 1, 1, 2, 2, 0)
    assert (
        tuple(round(value, n) for value, n in zip(row(found), digits, strict=True))
        == AS_PRINTED[condition]
    )
    assert "1 of 8 episodes dropped" in found.notes[0] and "loop counts once" in found.notes[1]


def test_the_pairs_of_the_sample_are_those_worked_by_hand(sample, packed):
    a, b = (
        read_records(packed(sample / name, f"{name}.tar.gz"))
        for name in ("persistent", "stateless")
    )
    found = compare(a, b)
    assert (found.n_pairs, found.only_a, found.only_b) == (8, 0, 0)
    assert found.mean_difference == pytest.approx(10.783, abs=1e-3)
    assert (found.wilcoxon_w, found.wilcoxon_p, found.rank_biserial) == (
        3.0,
        0.625,
        pytest.approx(0.4),
    )
    back = compare(b, a)
    assert (back.mean_difference, back.rank_biserial) == (
        -found.mean_difference,
        -found.rank_biserial,
    )
    assert (back.wilcoxon_w, back.wilcoxon_p) == (found.wilcoxon_w, found.wilcoxon_p)


def test_a_condition_compared_with_itself_has_no_test_and_a_note(sample):
    a = read_records(sample / "persistent")
    found = compare(a, a)
    assert (found.mean_difference, found.wilcoxon_w, found.wilcoxon_p, found.rank_biserial) == (
        0,
        None,
        None,
        None,
    )
    assert "no pair differs" in found.notes


def test_tasks_of_one_side_alone_are_counted_and_null_scores_count_as_0_and_are_noted(sample, copy):
    folder = copy("stateless")
    for kind in (".json", ".trace.json"):
        (folder / f"knapsack-knapsack-0000000001{kind}").unlink()
    path = folder / "knapsack-knapsack-0000000002.json"
    path.write_text(
        path.read_text(encoding="utf-8").replace('"score": ', '"score": null, "was": '),
        encoding="utf-8",
    )
    found = compare(read_records(sample / "persistent"), read_records(folder))
    assert (found.n_pairs, found.only_a, found.only_b) == (7, 1, 0)
    assert "1 episodes of the pairs have no score and count as 0" in found.notes
    assert any("1 tasks only in A" in note for note in found.notes)
    assert any(
        "1 episodes have no score and count as 0" in note
        for note in stats(read_records(folder)).notes
    )
    path.write_text(
        path.read_text(encoding="utf-8").replace('"score": null', '"score": 0'), encoding="utf-8"
    )
    zero = compare(read_records(sample / "persistent"), read_records(folder))
    assert (zero.mean_difference, zero.wilcoxon_p) == (found.mean_difference, found.wilcoxon_p)


def scored(values):
    """A source of tasks 0, 1, ... with these scores."""
    return Found(
        "made",
        tuple(Record("knapsack", f"{i}", score=score) for i, score in enumerate(values)),
    )


def test_the_test_of_a_comparison_is_that_of_the_study():
    x = [0.9, 0.1, 0.8, 0.7, 0.3, 0.6, 0.2]
    found, test = compare(scored(x), scored([0.5] * 7)), wilcoxon(np.round(np.array(x) - 0.5, 12))
    assert (found.wilcoxon_p, found.rank_biserial) == (test.p, test.effect)
    assert found.wilcoxon_w == min(test.statistic, 28 - test.statistic)
    assert found.notes == (
        "7 of 7 pairs differ; zeros are left out; normal approximation",
    )  # there are ties


@pytest.mark.parametrize("pairs", [1, 4])
def test_there_is_no_test_of_fewer_than_five_pairs(pairs):
    found = compare(scored([1.0] * pairs), scored([0.0] * pairs))
    assert (found.n_pairs, found.mean_difference) == (pairs, 100)
    assert (found.wilcoxon_w, found.wilcoxon_p, found.rank_biserial) == (None, None, None)
    assert found.notes == (f"only {pairs} pairs differ; no test below 5",)


def test_where_few_of_the_pairs_differ_every_pattern_of_signs_is_counted():
    # |differences| 1, 1, 3: ranks 1.5, 1.5, 3; W+ = 4.5 of 6: 6 of the 8 patterns lie as far from 3
    found = compare(scored([0.6, 0.4, 0.8, 0.5, 0.5]), scored([0.5] * 5))
    assert (found.wilcoxon_w, found.wilcoxon_p, found.rank_biserial) == (1.5, 0.75, 0.5)
    assert "3 of 5 pairs differ" in found.notes[0] and "p cannot be below 0.25" in found.notes[0]
    assert "p cannot be below 1 " in compare(scored([1.0, 0, 0, 0, 0]), scored([0.0] * 5)).notes[0]


def test_two_conditions_in_one_archive_are_refused_by_name(sample, copy, tmp_path, packed):
    both = tmp_path / "both"
    for train in ("persistent", "stateless"):
        (both / f"{train}_persistent_easy").mkdir(parents=True)
        copy(train).rename(both / f"{train}_persistent_easy" / "knapsack")
    found = read_records(packed(both))
    assert {record.cell for record in found.records} == {
        Cell("knapsack", train, "persistent", "easy") for train in ("persistent", "reset")
    }
    with pytest.raises(
        UserError, match=r"several conditions \(persistent-persistent-easy, reset-persistent-easy\)"
    ):
        compare(found, read_records(sample / "persistent"))


def test_a_measure_that_some_episodes_lack_is_noted():
    used, unknown = (
        {"weight_used": 3.0, "capacity": 6.0, "inspected_count": 1.0},
        {"inspected_count": 3.0},
    )
    records = [
        Record("knapsack", f"{i}", score=1.0, metrics=m, trace={})
        for i, m in enumerate([used, unknown])
    ]
    found = stats(Found("made", tuple(records)))
    assert found.means["capacity_utilization"] == 50 and found.means["items_inspected"] == 2
    assert found.notes == ("1 episodes do not record 'capacity used, %': not in its mean",)


def test_a_family_without_measures_of_its_own_has_those_that_all_have():
    names = ["success_rate", "optimality", "steps", "tool_calls", "total_tokens"]
    assert list(measures([Found("made", (Record("lamps", "0"),))])) == names


def traced(task, usage, steps=0, family="knapsack", **more):
    summary = {"num_steps": steps, "token_usage": usage}
    return Record(family, task, score=0.0, trace={"summary": summary, **more})


def test_the_authors_script_drops_only_episodes_without_token_usage():
    usage = {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10}
    records = [traced(f"{number:02}", usage, steps=2) for number in range(27)]
    records += [traced("ended", usage), traced("erred", usage), traced("timed out", None)]
    found = stats(Found("made", tuple(records)), as_published=True)
    assert found.episodes == 29 and "1 of 30 episodes dropped" in found.notes[0]
    assert found.means["steps"] == pytest.approx(54 / 29) and found.means["total_tokens"] == 10
    assert stats(Found("made", tuple(records))).episodes == 30


def step(code=None, **result):
    return {"type": "StepEvent", "data": {"code": code, "interpreter_result": result}}


def test_tool_calls_are_counted_where_the_trace_lists_them():
    calls = [{"tool": "inspect", "output": "{}"}, {"tool": "take_item", "output": None}]
    react = traced("0", {}, events=[step(results=calls), step(tool_calls=calls[:1]), step()])
    coded = traced("1", {}, events=[step("inspect(1)", output="")])
    assert stats(Found("made", (react,))).means["tool_calls"] == 3
    assert stats(Found("made", (coded,))).means["tool_calls"] is None
    both = stats(Found("made", (react, coded)))
    assert both.means["tool_calls"] == 3 and "do not record 'tool calls'" in both.notes[0]


def test_several_families_are_named_and_paired_each_for_itself():
    a = Found("a", tuple(Record(family, "0", score=1.0) for family in ("lamps", "knapsack")))
    assert "the means are over 2 families: knapsack, lamps" in stats(a).notes
    assert "the means are over 2 families: knapsack, lamps" in compare(a, a).notes
    assert compare(a, Found("b", (Record("lamps", "0", score=0.5),))).n_pairs == 1
    assert compare(a, Found("b", (Record("other", "0", score=0.5),))).n_pairs == 0


def test_calls_of_a_family_that_nobody_here_knows_are_not_guessed():
    records = (traced("0", {}, steps=1, family="lamps", events=[step("switch(1)")]),)
    assert stats(Found("made", records), as_published=True).means["tool_calls"] is None
