"""Tables: rows, groups and counts, and that they read back as the frames behind them."""

from __future__ import annotations

import re
from dataclasses import replace

import pandas as pd
from pandas.testing import assert_frame_equal

from knapsack_lib.analysis import output, tables
from knapsack_lib.analysis.claims import claims
from knapsack_lib.analysis.contrasts import PLANNED
from knapsack_lib.analysis.evidence import Evidence
from knapsack_lib.analysis.failures import RULES
from knapsack_lib.analysis.latex import escaped
from knapsack_lib.analysis.quantities import number_named
from knapsack_lib.analysis.tables import failure_table, teacher_table


def test_tables_read_back_as_the_frames_behind_them(twice):
    evidence, folder = twice.evidence, twice.run.root / "paper" / "tables"
    frames = {
        "main": evidence.summary,
        "seeds": evidence.seeds,
        "contrasts": evidence.contrasts,
        "claims": claims(evidence),
        "failures": failure_table(evidence),
        "teacher": teacher_table(evidence),
    }
    assert set(frames) == set(tables.TABLES)
    for name, frame in frames.items():
        back = output.read_csv(folder / f"{name}.csv")
        plain = frame.replace("", float("nan")).infer_objects()
        assert_frame_equal(back, plain, check_dtype=False, rtol=1e-5, obj=name)


def test_the_main_table_has_a_line_for_each_cell_under_its_number_of_tasks(twice):
    text = (twice.run.root / "paper" / "tables" / "main.tex").read_text(encoding="utf-8")
    assert text.count(r"\\") == 12 + 1 + 2 and r"\toprule" in text
    assert [int(n) for n in re.findall(r"\$n = (\d+)\$ tasks", text)] == [8, 6]
    row = twice.evidence.cell("reset", "persistent", "easy")
    assert f"{row.score:.3f} [{row.score_low:.3f}, {row.score_high:.3f}]" in text
    assert (
        "100\\% [68\\%, 100\\%]" in text
    )  # missing variables of persistent -> reset, 8 of 8 tasks


def test_the_table_of_adapters_leaves_the_base_out(twice):
    lines = (
        (twice.run.root / "paper" / "tables" / "seeds.tex").read_text(encoding="utf-8").splitlines()
    )
    rows = [line.split(" & ") for line in lines if line.count(" & ") == 5][1:]
    assert [row[:3] for row in rows[:4]] == [
        ["persistent", r, k] for r in ("persistent", "reset") for k in ("1", "2")
    ]
    assert len(rows) == 16 and not any("base" in line for line in lines)


def test_the_short_table_of_contrasts_holds_the_planned_ones_and_the_aligned_pair(twice):
    folder = twice.run.root / "paper" / "tables"
    short, long = (
        (folder / f"{name}.tex").read_text(encoding="utf-8")
        for name in ("contrasts_planned", "contrasts")
    )
    assert short.count(r"\\") == 1 + 2 * (1 + 6) + 2 * (1 + 5) and long.count(r"\\") == 1 + 2 * (
        1 + 10
    ) + 4 * (1 + 9)
    for title in (escaped(one.title) for one in PLANNED.values()):
        assert short.count(title) >= 4 and long.count(title) >= 6
    assert set(short.splitlines()) - set(long.splitlines()) == set() and "error" not in short


def test_the_teacher_table_counts_training_traces_and_leaves_validation_out(smoke):
    table, results = teacher_table(smoke.evidence).set_index("runtime"), smoke.results
    assert table.n.to_dict() == {"persistent": 24, "reset": 24} and (table.with_slip == 0).all()
    for runtime, mine in results.teacher.groupby("runtime"):
        assert table.loc[runtime, ["tokens", "steps", "score"]].tolist() == [
            mine[name].mean() for name in ("tokens", "steps", "score")
        ]
    extra = results.teacher.assign(
        task_id=results.teacher.task_id.str.replace("-train-", "-validation-"), tokens=10**6
    )
    both = Evidence(
        replace(results, teacher=pd.concat([results.teacher, extra], ignore_index=True))
    )
    assert_frame_equal(teacher_table(both).set_index("runtime"), table)
    assert both.teacher_ratio == smoke.evidence.teacher_ratio


def test_the_table_of_failures_counts_every_episode_once_and_its_rules_stand_below(twice):
    table = failure_table(twice.evidence)
    assert table.episodes.sum() == len(twice.results.cells) == 14 * (2 + 2 * 4)
    assert set(table.failure) <= {"ended well", *RULES} and "missing variable, cascade" in set(
        table.failure
    )
    lost = table[(table.train == "persistent") & (table.runtime == "reset")]
    assert (lost.first_missing_turn == 2).all() and (lost.recovered == 0).all()
    text = number_named("failureRules").text(twice.evidence)
    assert [name for name in RULES if f"{name}: " in text] == [
        name for name in RULES if name in set(table.failure)
    ]
