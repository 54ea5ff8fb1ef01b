"""Figures, tables and numbers as files: which there are, the same bytes everywhere, their origin,
what they say."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from knapsack_lib.analysis import figures, output, tables
from knapsack_lib.analysis.claims import claims
from knapsack_lib.analysis.contrasts import PLANNED
from knapsack_lib.analysis.evidence import Evidence
from knapsack_lib.analysis.failures import RULES
from knapsack_lib.analysis.latex import escaped, number, percent, span, tabular
from knapsack_lib.analysis.numbers import numbers
from knapsack_lib.analysis.tables import failure_table, rules_text, teacher_table

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDERS = ("figures", "paper", "results")

# Files --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["smoke", "twice"])
def test_every_figure_is_three_files_and_every_table_two(
    which: str, request: pytest.FixtureRequest
):
    made = request.getfixturevalue(which)
    wanted = {f"figures/{name}.{kind}" for name in figures.NAMES for kind in ("csv", "pdf", "png")}
    wanted |= {f"paper/tables/{name}.{kind}" for name in tables.NAMES for kind in ("csv", "tex")}
    wanted |= {
        "paper/tables/contrasts_planned.tex",
        "paper/tables/prompts.tex",
        "paper/numbers.tex",
        "paper/main.tex",
    }
    assert {path.relative_to(made.run.root).as_posix() for path in made.written} == wanted
    assert len(made.written) == len(wanted) == 9 * 3 + 6 * 2 + 4 and all(
        path.stat().st_size for path in made.written
    )


@pytest.mark.parametrize(("name", "source"), [("smoke", "results"), ("twice", "run")])
def test_rebuilding_in_another_process_gives_the_same_bytes(
    name: str, source: str, copied: Path, built_once, digests, tmp_path: Path
):
    """Of other hash seeds and in another folder; `--from run` gathers the compact results anew as
    well."""
    root = copied / "runs" / name
    for folder in FOLDERS if source == "run" else FOLDERS[:2]:
        shutil.rmtree(root / folder)
    environment = {**os.environ, "PYTHONHASHSEED": "4242", "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", "knapsack_lib.analysis", "--profile", name, "--from", source]
    done = subprocess.run(
        command, env=environment, cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert done.stdout.startswith(f"wrote 43 files under runs/{name} from: profile {name} ")
    for folder in FOLDERS:
        assert digests(root / folder) == digests(built_once.folder / "runs" / name / folder)


def test_every_generated_file_names_its_origin_and_no_path_or_clock(smoke):
    results = smoke.results
    assert re.fullmatch(r"profile smoke [0-9a-f]{64}, seed 1, episodes [0-9a-f]{64}", results.stamp)
    text = smoke.run.root / "paper" / "main.tex"
    for path in smoke.written:
        data = path.read_bytes()
        assert str(smoke.run.root).encode() not in data and b"CreationDate" not in data, path.name
        if path != text:
            assert results.stamp.encode() in data, path.name
        if path != text and path.suffix in (".tex", ".csv"):
            mark = "%" if path.suffix == ".tex" else "#"
            assert data.decode().split("\n")[0] == f"{mark} {results.stamp}"


@pytest.mark.parametrize("which", ["smoke", "twice"])
def test_no_generated_text_prints_a_number_that_is_not_there(
    which: str, request: pytest.FixtureRequest
):
    made = request.getfixturevalue(which)
    text = made.run.root / "paper" / "main.tex"
    paths = [path for path in made.written if path.suffix == ".tex" and path != text]
    lines = [(path.name, line) for path in paths for line in path.read_text().splitlines()]
    assert (
        len(lines) > 700
        and [one for one in lines if re.search(r"(?<![A-Za-z])(nan|inf|NaT)\b", one[1])] == []
    )


# Tables -------------------------------------------------------------------------------------------


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
    assert set(frames) == set(tables.NAMES)
    for name, frame in frames.items():
        back = output.read_csv(folder / f"{name}.csv")
        plain = frame.replace("", float("nan")).infer_objects()
        assert_frame_equal(back, plain, check_dtype=False, rtol=1e-5, obj=name)


def test_the_main_table_has_a_line_for_each_cell_under_its_number_of_tasks(twice):
    text = (twice.run.root / "paper" / "tables" / "main.tex").read_text()
    assert text.count(r"\\") == 12 + 1 + 2 and r"\toprule" in text
    assert [int(n) for n in re.findall(r"\$n = (\d+)\$ tasks", text)] == [8, 6]
    row = twice.evidence.cell("reset", "persistent", "easy")
    assert f"{row.score:.3f} [{row.score_low:.3f}, {row.score_high:.3f}]" in text
    assert "100\\% [68, 100]" in text  # missing variables of persistent -> reset, 8 of 8 tasks


def test_the_table_of_adapters_leaves_the_base_out(twice):
    lines = (twice.run.root / "paper" / "tables" / "seeds.tex").read_text().splitlines()
    rows = [line.split(" & ") for line in lines if line.count(" & ") == 5][1:]
    assert [row[:3] for row in rows[:4]] == [
        ["persistent", r, k] for r in ("persistent", "reset") for k in ("1", "2")
    ]
    assert len(rows) == 16 and not any("base" in line for line in lines)


def test_the_short_table_of_contrasts_holds_the_planned_ones_and_the_aligned_pair(twice):
    folder = twice.run.root / "paper" / "tables"
    short, long = (
        (folder / f"{name}.tex").read_text() for name in ("contrasts_planned", "contrasts")
    )
    assert short.count(r"\\") == 1 + 2 * (1 + 6) + 2 * (1 + 5) and long.count(r"\\") == 1 + 2 * (
        1 + 10
    ) + 4 * (1 + 9)
    for title in (escaped(one.title) for one in PLANNED.values()):
        assert short.count(title) >= 4 and long.count(title) >= 6
    assert set(short.splitlines()) - set(long.splitlines()) == set() and "error" not in short


def test_the_teacher_table_counts_training_traces_and_leaves_validation_out(smoke):
    table, results = teacher_table(smoke.evidence).set_index("regime"), smoke.results
    assert table.n.to_dict() == {"persistent": 24, "reset": 24} and (table.with_slip == 0).all()
    for regime, mine in results.teacher.groupby("runtime"):
        assert table.loc[regime, ["tokens", "steps", "score"]].tolist() == [
            mine[name].mean() for name in ("tokens", "steps", "score")
        ]
    extra = results.teacher.assign(
        task_id=results.teacher.task_id.str.replace("-train-", "-validation-"), tokens=10**6
    )
    both = Evidence(
        replace(results, teacher=pd.concat([results.teacher, extra], ignore_index=True))
    )
    assert_frame_equal(teacher_table(both).set_index("regime"), table)
    assert both.teacher_ratio == smoke.evidence.teacher_ratio


def test_the_table_of_failures_counts_every_episode_once_and_its_rules_stand_below(twice):
    table = failure_table(twice.evidence)
    assert table.episodes.sum() == len(twice.results.cells) == 14 * (2 + 2 * 4)
    assert set(table.failure) <= {"ended well", *RULES} and "missing variable, cascade" in set(
        table.failure
    )
    lost = table[(table.train == "persistent") & (table.runtime == "reset")]
    assert (lost.first_missing_turn == 2).all() and (lost.recovered == 0).all()
    text = rules_text(twice.evidence)
    assert [name for name in RULES if f"{name}: " in text] == [
        name for name in RULES if name in set(table.failure)
    ]


# LaTeX --------------------------------------------------------------------------------------------


def test_latex_is_escaped():
    assert escaped("5% of a_b & -0.2; +1 → x") == r"5\% of a\_b \& $-$0.2; $+$1 $\to$ x"
    assert (
        escaped("p < 0.05, α ≥ 1 – ±2× #3")
        == r"p $<$ 0.05, $\alpha$ $\geq$ 1 -- $\pm$2$\times$ \#3"
    )


def test_numbers_in_cells_have_a_dash_where_there_is_none():
    nothing = float("nan")
    assert (number(-0.1234, "+.3f"), number(nothing, ".2f"), percent(0.125), percent(nothing)) == (
        "$-$0.123",
        "--",
        r"12\%",
        "--",
    )
    assert (
        span(1234.5, 1000, 2000, ",.0f") == "1,234 [1,000, 2,000]"
        and span(nothing, 1, 2, ".1f") == "--"
    )


def test_a_tabular_has_as_many_columns_as_its_head():
    text = tabular("lr", ["a", "b"], [("first", [("1", "2")]), ("", [("3", "4")])])
    assert text.splitlines()[3:6] == [
        r"\midrule",
        r"\multicolumn{2}{l}{\emph{first}} \\",
        r"1 & 2 \\",
    ]
    assert text.count(r"\midrule") == 2 and text.endswith("\\bottomrule\n\\end{tabular}")


# Numbers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["smoke", "twice"])
def test_every_macro_is_letters_only_and_has_a_text(which: str, request: pytest.FixtureRequest):
    made = request.getfixturevalue(which)
    found = numbers(made.evidence)
    assert all(re.fullmatch(r"[A-Za-z]+", name) for name in found) and len(found) > 400
    assert not [
        name
        for name, text in found.items()
        if not text.strip() or re.search(r"\b(nan|inf|None)\b", text)
    ]
    lines = (made.run.root / "paper" / "numbers.tex").read_text().splitlines()[1:]
    assert lines == [rf"\newcommand{{\{name}}}{{{escaped(text)}}}" for name, text in found.items()]


def test_macros_say_what_the_evidence_says(twice):
    found, evidence = numbers(twice.evidence), twice.evidence
    assert (
        found["baseSize"] == "0.03 million parameters"
        and found["missingPersistentResetEasy"] == "100%"
    )
    assert (found["trainSeeds"], found["tasksEasy"], found["familySize"], found["profileName"]) == (
        "2",
        "8",
        "8",
        "twice",
    )
    assert found["episodesTotal"] == str(len(twice.results.cells)) and found["resamples"] == "1,000"
    assert found["tokensSeenReset"] == "9,001 to 9,002" and found["chosenStepReset"] == "6"
    row = evidence.contrast("score", "medium", "interaction")
    assert (
        found["diffInteractionMedium"] == f"{row.effect:+.3f}"
        and found["diffLowInteractionMedium"] == f"{row.low:+.3f}"
    )
    cost = evidence.token_ratio("easy", "aligned", inverse=True)
    assert [found[f"ratioAligned{end}Easy"] for end in ("", "Low", "High")] == [
        f"{x:.2f}" for x in (cost.estimate, cost.low, cost.high)
    ]
    shares = evidence.cell("reset", "reset", "easy").score / evidence.expert("easy")
    assert found["ofExpertResetEasy"] == f"{shares:.0%}"


def test_tables_and_numbers_tell_the_same_tokens(twice):
    found = numbers(twice.evidence)
    main = output.read_csv(twice.run.root / "paper" / "tables" / "main.csv")
    for row in main.itertuples():
        words = "".join(word.capitalize() for word in (row.train, row.runtime, row.difficulty))
        assert (
            found[f"tokens{words}"] == f"{row.tokens:,.0f}"
            and found[f"score{words}"] == f"{row.score:.3f}"
        )
