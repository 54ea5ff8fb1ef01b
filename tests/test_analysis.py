"""Analysis: frames by hand, estimates against scipy and statsmodels, the same bytes twice, gates, degenerate data."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal
from safetensors.numpy import save_file
from scipy.stats import bootstrap
from statsmodels.stats.proportion import proportion_confint

from knapsack_lib.analysis import build, collect, output
from knapsack_lib.analysis.claims import claims, contrasts, teacher_ratio
from knapsack_lib.analysis.figures import loss_data, tokens_by_turn_data
from knapsack_lib.analysis.gates import gates
from knapsack_lib.analysis.metrics import CELL, episode_frame, turn_frame
from knapsack_lib.analysis.numbers import numbers
from knapsack_lib.analysis.paper import missing_latex, typeset
from knapsack_lib.analysis.results import Results, read_results, write_results
from knapsack_lib.analysis.statistics import cell_summary, mean_interval, rate_interval, ratio_interval
from knapsack_lib.analysis.tables import escaped, main_table, teacher_table
from knapsack_lib.episodes import Episode, Turn, read_episodes, read_timings
from knapsack_lib.profiles import DIFFICULTIES, RUNTIMES, TRAININGS, Run, UserError, load_profile

REPOSITORY = Path(__file__).parent.parent

# Made-up episodes -------------------------------------------------------------------------------------------------


def turn(prompt: int = 10, completion: int = 5, error: str | None = None, **other: object) -> Turn:
    plain = Turn(
        reply="ok", reply_ids=[1, 2], outcome="code", code="x", observation="o", stdout="o", error_type=error, error=error,
        killed_by=None, state_lost=False, bindings=[], tool_calls=[], prompt_tokens=prompt, completion_tokens=completion,
        slip=False,
    )  # fmt: skip
    return replace(plain, **other)


def episode(task: str, value: int, turns: list[Turn], cast: tuple[str, str, str], finish: str = "finish") -> Episode:
    outcome = {
        "value": value, "optimal_value": 40, "optimality": value / 40, "solved": value == 40, "weight_used": value // 2,
        "capacity": 24, "items_taken": value // 10, "items_inspected": 7,
    }  # fmt: skip
    train, runtime, difficulty = cast
    return Episode(task, task, "knapsack", difficulty, train, runtime, 5, [], turns, finish, outcome)


def store(folder: Path, episodes: list[Episode]) -> None:
    folder.mkdir(parents=True)
    (folder / "episodes.jsonl").write_text("".join(e.to_line() + "\n" for e in episodes))
    clock = [json.dumps({"episode_id": e.episode_id, "seconds": 1.5 + i / 8}) for i, e in enumerate(episodes)]
    (folder / "timings.jsonl").write_text("".join(line + "\n" for line in clock))


def cell(train: str, runtime: str, difficulty: str, count: int, split: str) -> list[Episode]:
    """Drawn from the cell's name, so that cells differ; a persistent model without its names errs in every turn."""
    rng = np.random.default_rng([TRAININGS.index(train) if train in TRAININGS else 9, len(runtime), len(difficulty)])
    lost = train == "persistent" and runtime == "reset"
    made = []
    for index in range(count):
        value = 0 if lost or train == "base" else int(rng.integers(2, 5)) * 10
        length = 12 if lost else int(rng.integers(4, 7))
        grown = [
            turn(50 + 20 * n, int(rng.integers(10, 60)), "NameError" if lost and n else None) for n in range(length)
        ]
        finish = "max_turns" if lost else "finish"
        made.append(episode(f"knapsack-{split}-{index:05d}", value, grown, (train, runtime, difficulty), finish))
    return made


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A whole made-up run of the smoke profile in a project folder of its own."""
    (tmp_path / "notebooks").mkdir()
    shutil.copytree(REPOSITORY / "params", tmp_path / "params")
    monkeypatch.setenv("KNAPSACK_ROOT", str(tmp_path))
    made = load_profile("smoke").run()
    counts = made.profile.splits()
    for difficulty in DIFFICULTIES:
        store(made.expert(difficulty), cell("teacher", "persistent", difficulty, counts[difficulty], difficulty))
        for train in TRAININGS:
            for runtime in RUNTIMES:
                store(
                    made.cell(train, runtime, difficulty),
                    cell(train, runtime, difficulty, counts[difficulty], difficulty),
                )
    for runtime in RUNTIMES:
        store(made.teacher(runtime), cell("teacher", runtime, "easy", counts["train"], "train"))
        curve = [
            {"step": 3, "train_loss": 1.5},
            {"step": 3, "validation_loss": 1.25},
            {"step": 6, "validation_loss": 1.0},
        ]
        record = {
            "steps": 6, "chosen_step": 6, "tokens_seen": 9000, "assistant_tokens_seen": 4000, "curve": curve,
            "validation_play": {"6": {"optimality": 0.5, "finished": 1.0, "episodes": 3}},
        }  # fmt: skip
        made.adapter(runtime).mkdir(parents=True)
        (made.adapter(runtime) / "training.json").write_text(json.dumps(record))
        save_file({"a": np.zeros((30, 1000), np.float32)}, made.adapter(runtime) / "model.safetensors")
    return made


def digests(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


# Frames -----------------------------------------------------------------------------------------------------------


def test_an_episode_becomes_the_row_that_one_counts_by_hand():
    call = {"name": "inspect", "args": ["a"], "result": "{}", "error": None}
    turns = [
        turn(100, 20, tool_calls=[call, call]),
        turn(130, 10, "UnboundLocalError", slip=True),
        turn(150, 5, "NameError", tool_calls=[call]),
        turn(160, 3, outcome="no_code", code=None),
        turn(170, 2, killed_by="time", state_lost=True),
    ]
    row = episode_frame([episode("t1", 30, turns, ("reset", "persistent", "easy"), "max_turns")]).iloc[0]
    expected = {
        "train": "reset", "runtime": "persistent", "difficulty": "easy", "task_id": "t1", "optimality": 0.75,
        "solved": False, "finish": "max_turns", "finished": False, "steps": 5, "tool_calls": 3, "items_inspected": 7,
        "items_taken": 3, "capacity_utilisation": 15 / 24, "prompt_tokens": 710, "completion_tokens": 40, "tokens": 750,
        "missing_variable": True, "first_missing_turn": 2, "errors": 3, "not_run": 1, "slips": 1, "state_lost": True,
    }  # fmt: skip
    assert row.to_dict() == expected


def test_an_episode_that_failed_stays_in_with_its_score():
    frame = episode_frame([
        episode("a", 40, [turn()], ("base", "reset", "easy")),
        episode("b", 10, [turn()], ("base", "reset", "easy"), "context"),
        episode("c", 0, [], ("base", "reset", "easy"), "max_turns"),
    ])  # fmt: skip
    assert frame.optimality.tolist() == [1.0, 0.25, 0.0]
    assert frame.optimality.mean() == pytest.approx(1.25 / 3)
    assert frame.first_missing_turn.isna().all() and frame.steps.tolist() == [1, 1, 0]


def test_tokens_by_turn_keep_the_total_of_an_episode_that_ended():
    cast = ("base", "reset", "easy")
    turns = turn_frame([episode("a", 0, [turn(10, 2)], cast), episode("b", 0, [turn(20, 4), turn(30, 6)], cast)])
    assert turns.tokens.tolist() == [12, 24, 36] and turns.turn.tolist() == [1, 1, 2]
    data = tokens_by_turn_data(turns)
    assert data.tokens.tolist() == [(12 + 24) / 2, (12 + 60) / 2]
    assert data.playing.tolist() == [2, 1] and data.n.tolist() == [2, 2]


# Estimates --------------------------------------------------------------------------------------------------------


def test_the_mean_interval_is_scipys_bca():
    values = np.random.default_rng(3).beta(5, 1, 80)
    found = mean_interval(values, seed=11)
    theirs = bootstrap((values,), np.mean, n_resamples=5000, method="BCa", batch=1000, rng=np.random.default_rng(11))
    assert (found.low, found.high) == pytest.approx(tuple(theirs.confidence_interval))
    assert found.method == "BCa" and found.n == 80 and found.estimate == pytest.approx(values.mean())
    assert found == mean_interval(values, seed=11) != mean_interval(values, seed=12)


def test_the_rate_interval_is_wilsons():
    found = rate_interval(7, 60)
    assert (found.low, found.high) == pytest.approx(proportion_confint(7, 60, method="wilson"))
    # Newcombe (1998), table I: 81 of 263 gives 0.2553 to 0.3662
    assert (rate_interval(81, 263).low, rate_interval(81, 263).high) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert (rate_interval(0, 9).low, rate_interval(9, 9).high) == (0.0, 1.0)


def test_the_ratio_is_the_geometric_mean_over_pairs():
    found = ratio_interval([200, 800, 300], [100, 100, 300], seed=1)
    assert found.estimate == pytest.approx((2 * 8 * 1) ** (1 / 3))
    assert found.low <= found.estimate <= found.high
    exact = ratio_interval([30.0, 60.0], [10.0, 20.0], seed=1)
    assert exact.estimate == pytest.approx(3) and exact.low == exact.high


@pytest.mark.parametrize(("values", "method"), [([0.4], "single"), ([0.1] * 9, "constant"), ([0.0, 0.0], "constant")])
def test_data_without_spread_give_a_stated_interval_of_no_width(values: list[float], method: str):
    found = mean_interval(values, seed=0)
    assert (found.low, found.estimate, found.high, found.method) == (values[0], values[0], values[0], method)


@pytest.mark.parametrize("values", [[], [1.0, float("nan")], [[1.0, 2.0]]])
def test_no_mean_of_nothing_or_of_what_is_not_finite(values: list):
    with pytest.raises(ValueError, match="finite"):
        mean_interval(values, seed=0)


def test_no_rate_out_of_nothing_and_no_ratio_of_zero():
    with pytest.raises(ValueError, match="no rate"):
        rate_interval(0, 0)
    with pytest.raises(ValueError, match="positive"):
        ratio_interval([1.0, 2.0], [0.0, 1.0], seed=0)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=12))
def test_scores_of_any_sort_give_a_finite_interval_within_their_range(values: list[float]):
    found = mean_interval(values, seed=4)
    assert min(values) <= found.low <= found.high <= max(values)


def test_equal_cells_get_equal_intervals(run: Run):
    cells = collect(run).cells
    copies = [cells[cells.train == "reset"].assign(train=train) for train in ("persistent", "reset")]
    summary = cell_summary(pd.concat(copies), seed=1).set_index(CELL)
    assert summary.loc["persistent"].equals(summary.loc["reset"])


def test_score_per_thousand_tokens_is_of_the_means():
    cells = episode_frame([
        episode("a", 40, [turn(900, 100)], ("base", "reset", "easy")),
        episode("b", 0, [turn(2900, 100)], ("base", "reset", "easy")),
    ]).assign(seconds=2.0)  # fmt: skip
    row = cell_summary(cells, seed=0).iloc[0]
    assert row.score_per_1k == 100 * 0.5 / 2 and row.seconds == 2 and row.n == 2


def test_contrasts_are_paired_by_task_whatever_the_order_of_rows(run: Run):
    cells = collect(run).cells
    shuffled = cells.sample(frac=1, random_state=1)
    assert contrasts(cells, "easy", 1) == contrasts(shuffled, "easy", 1)
    wide = cells[cells.difficulty == "easy"].pivot(index="task_id", columns=["train", "runtime"], values="tokens")
    logs = np.log(wide["reset", "persistent"] / wide["persistent", "persistent"])
    assert contrasts(cells, "easy", 1)["ratioAmnesia"].estimate == pytest.approx(np.exp(logs.mean()))


def test_cells_with_different_tasks_are_refused(run: Run):
    cells = collect(run).cells
    with pytest.raises(UserError, match="different tasks"):
        contrasts(cells.drop(index=cells[cells.difficulty == "easy"].index[0]), "easy", 1)


# The compact form -------------------------------------------------------------------------------------------------


def test_reading_the_compact_form_equals_reading_the_run(run: Run):
    results = collect(run)
    episodes = [
        e for d in DIFFICULTIES for t in TRAININGS for r in RUNTIMES for e in read_episodes(run.cell(t, r, d), "")
    ]
    assert_frame_equal(results.cells.drop(columns="seconds"), episode_frame(episodes), check_exact=True)
    assert_frame_equal(results.turns, turn_frame(episodes))
    traces = [e for r in RUNTIMES for e in read_episodes(run.teacher(r), "")]
    assert_frame_equal(results.teacher, episode_frame(traces), check_exact=True)
    bare = {(e.policy, e.runtime, e.difficulty, e.task_id): replace(e, turns=_without_ids(e)) for e in episodes}
    assert {(e.policy, e.runtime, e.difficulty, e.task_id): e for e in results.episodes} == bare
    broken = results.cells.set_index(CELL).loc[("persistent", "reset", "easy")].set_index("task_id").seconds
    assert broken.to_dict() == read_timings(run.cell("persistent", "reset", "easy"))


def _without_ids(e: Episode) -> list[Turn]:
    return [replace(t, reply_ids=None) for t in e.turns]


def test_writing_twice_gives_the_same_bytes_with_no_path_in_them(run: Run):
    folder = write_results(run)
    first = digests(folder)
    assert sorted(first) == ["cells.jsonl.gz", "expert.csv.gz", "provenance.json", "teacher.csv.gz", "timings.csv",
                             "training.json"]  # fmt: skip
    shutil.rmtree(folder)
    assert digests(write_results(run)) == first
    assert (folder / "cells.jsonl.gz").read_bytes()[4:8] == bytes(4)  # gzip's clock
    assert str(run.root) not in (folder / "provenance.json").read_text()


def test_what_is_missing_is_named_with_the_command_that_makes_it(run: Run):
    with pytest.raises(UserError, match=r"no provenance.json .*05_analysis.ipynb -p profile smoke"):
        read_results(run)
    path = run.cell("reset", "persistent", "medium") / "episodes.jsonl"
    path.write_text(path.read_text().split("\n")[0] + "\n")
    with pytest.raises(UserError, match="holds 1 of 3 .*-p train reset -p runtime persistent -p difficulty medium"):
        write_results(run)
    shutil.rmtree(path.parent)
    with pytest.raises(UserError, match="no episodes .*04_cross_eval"):
        write_results(run)


def test_a_missing_adapter_is_named(run: Run):
    (run.adapter("reset") / "training.json").unlink()
    with pytest.raises(UserError, match="03_finetune.ipynb -p profile smoke -p train reset"):
        write_results(run)


# Figures, tables, numbers -----------------------------------------------------------------------------------------


def test_rebuilding_in_other_processes_gives_the_same_bytes(run: Run):
    build(collect(run), run)
    names = ("figures", "paper", "results")
    first = {name: digests(run.root / name) for name in names}
    assert len(first["figures"]) == 15 and len(first["paper"]) >= 7
    for seed in ("1", "4242"):
        for name in ("figures", "paper"):
            shutil.rmtree(run.root / name)
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(REPOSITORY)}
        command = [sys.executable, "-m", "knapsack_lib.analysis", "--profile", "smoke"]
        subprocess.run(command, env=environment, check=True, capture_output=True)
        assert {name: digests(run.root / name) for name in names} == first


def test_every_generated_file_names_its_origin_and_no_path_or_clock(run: Run):
    results = collect(run)
    written = build(results, run)
    assert re.fullmatch(r"profile smoke [0-9a-f]{64}, seed 1, episodes [0-9a-f]{64}", results.stamp)
    for path in written:
        data = path.read_bytes()
        assert str(run.root).encode() not in data and b"CreationDate" not in data, path.name
        if path.name != "main.tex":
            assert results.stamp.encode() in data, path.name
        if path.suffix in (".tex", ".csv") and path.name != "main.tex":
            mark = "%" if path.suffix == ".tex" else "#"
            assert data.decode().split("\n")[0] == f"{mark} {results.stamp}"


def test_tables_read_back_as_the_frames_behind_them(run: Run):
    results = collect(run)
    build(results, run)
    back = output.read_csv(run.root / "paper" / "tables" / "main.csv")
    assert_frame_equal(back, main_table(results), check_dtype=False, rtol=1e-5)
    assert len(back) == 12 and back.missing_variable.tolist()[3] == 1
    text = (run.root / "paper" / "tables" / "main.tex").read_text()
    assert text.count(r"\\") == 12 + 1 + 2 and r"\toprule" in text and "nan" not in text


def test_the_teacher_table_leaves_validation_traces_out(run: Run):
    results = collect(run)
    extra = results.teacher.assign(task_id=results.teacher.task_id.str.replace("-train-", "-validation-"), tokens=10**6)
    both = Results(**{**vars_of(results), "teacher": pd.concat([results.teacher, extra])})
    assert_frame_equal(teacher_table(both), teacher_table(results))
    assert teacher_ratio(both.teacher, 1) == teacher_ratio(results.teacher, 1)


def vars_of(results: Results) -> dict:
    return {name: getattr(results, name) for name in Results.__dataclass_fields__}


def test_every_macro_is_letters_only_and_every_macro_in_the_paper_exists(run: Run):
    found = numbers(collect(run))
    assert all(re.fullmatch(r"[A-Za-z]+", name) for name in found) and "nan" not in " ".join(found.values())
    assert found["baseSize"] == "0.03 million parameters" and found["missingPersistentResetEasy"] == "100%"
    text = re.sub(r"(?m)^%.*$", "", (REPOSITORY / "paper" / "main.tex").read_text())
    used = set(re.findall(r"\\([a-z]+[A-Z][A-Za-z]*)", text))  # ours have a capital inside, LaTeX's own here have none
    assert len(used) > 60 and used <= set(found), sorted(used - set(found))


def test_the_papers_prose_types_no_number_of_ours():
    text = (REPOSITORY / "paper" / "main.tex").read_text()
    body = text[text.index(r"\section{Question}") : text.index(r"\begin{thebibliography}")]
    body = re.sub(r"\\(includegraphics|setlength)(\[[^]]*\])?\{[^}]*\}(\{[^}]*\})?", "", body)
    sentences = [s for s in re.split(r"(?<=[.:])\s", body) if re.search(r"\d", s)]
    ours = [s for s in sentences if "original" not in s and "score/1k" not in s and "Qwen3" not in s]
    assert len(sentences) > 3 and ours == []


def test_claims_stand_beside_the_papers_without_a_verdict(run: Run):
    table = claims(collect(run)).set_index("claim")
    row = table.loc["persistent → reset: episodes with a missing-variable error"]
    assert row.paper == "about 80%" and row.easy.startswith("100% [") and row.medium.startswith("100% [")
    assert len(table) == 10 and not table.isna().any(axis=None)


def test_latex_is_escaped():
    assert escaped("5% of a_b & -0.2; +1 → x") == r"5\% of a\_b \& $-$0.2; $+$1 $\to$ x"


def test_the_chosen_checkpoint_is_marked_once_per_arm():
    record = {"chosen_step": 6, "curve": [{"step": 6, "train_loss": 2.0}, {"step": 6, "validation_loss": 1.0}]}
    data = loss_data({"persistent": record, "reset": {**record, "chosen_step": 3}})
    assert data.chosen.tolist() == [False, True, False, False]


def test_the_paper_of_an_unpublished_run_is_typeset_in_its_folder_with_the_same_bytes(run: Run):
    shutil.copytree(REPOSITORY / "paper", run.root.parent.parent / "paper", ignore=shutil.ignore_patterns("*.pdf"))
    if missing_latex():  # the library's own answer on a machine without LaTeX: a line that names the packages
        assert "texlive-science" in str(missing_latex())
        return
    with pytest.raises(UserError, match=r"run first: python -m knapsack_lib.analysis --profile smoke"):
        typeset(run)
    build(collect(run), run)
    first = typeset(run).read_bytes()
    shutil.rmtree(run.root / "latex")
    assert typeset(run).read_bytes() == first and b"/CreationDate" not in first
    log = (run.root / "latex" / "main.log").read_text(errors="replace")
    assert "Output written" in log and "undefined references" not in log and "undefined citations" not in log


# Gates ------------------------------------------------------------------------------------------------------------


def test_gates_are_eight_lines_with_their_numbers(run: Run):
    results, bounds = collect(run), load_profile("pocket").gates
    found = gates(results.cells, results.expert, bounds)
    assert len(found) == 8 and {g.cell.split(",")[0] for g in found} == {"persistent -> persistent", "reset -> reset"}
    best = results.expert[results.expert.difficulty == "easy"].optimality.mean()
    first = found[0]
    mine = results.cells.set_index(CELL).loc[("persistent", "persistent", "easy")].optimality.mean()
    assert (first.value, first.bound, first.holds) == (mine, 0.85 * best, mine >= 0.85 * best)
    assert re.match(r"(holds|FAILS)  persistent -> persistent, easy: mean optimality 0\.\d{3} ", str(first))


def test_a_gate_fails_where_the_bound_is_missed_and_holds_where_it_is_met(run: Run):
    results, bounds = collect(run), load_profile("pocket").gates
    aligned = (results.cells.train == "reset") & (results.cells.runtime == "reset")
    poor = results.cells.assign(optimality=results.cells.optimality.mask(aligned, 0.0))
    lines = {str(g)[:5] + g.cell + g.what for g in gates(poor, results.expert, bounds)}
    assert "FAILSreset -> reset, easymean optimality" in lines and "holdsreset -> reset, easyfinished" in lines
    exact = results.cells.assign(finished=False)
    nothing = bounds.model_copy(update={"share_of_expert": 0.0, "finished": 0.0})
    assert all(g.holds for g in gates(exact, results.expert, nothing))
    assert not any(g.holds for g in gates(exact, results.expert, bounds) if g.what == "finished")


def test_a_gate_needs_the_expert_on_the_same_tasks(run: Run):
    results, bounds = collect(run), load_profile("smoke").gates
    with pytest.raises(UserError, match="other tasks"):
        gates(results.cells, results.expert.iloc[1:], bounds)
