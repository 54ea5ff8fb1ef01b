"""Claims: every rule on evidence that carries it, that does not and that cannot say; verdicts in
words; the table."""

from __future__ import annotations

import math
import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from knapsack_lib.analysis.claims import (
    CLAIMS,
    claims,
    verdict_text,
    verdicts,
)
from knapsack_lib.analysis.evidence import Evidence
from knapsack_lib.analysis.latex import escaped
from knapsack_lib.analysis.quantities import number_named

YES, NO, OPEN = "supported", "not supported", "untestable"
CELLS = ("bp", "br", "pp", "pr", "rp", "rr")


@pytest.fixture(scope="module")
def noisy(cells_of):
    """n tasks: per cell a mean score, mean tokens, a share of tasks with a missing variable;
    `spread` is of scores."""

    def make(
        n: int,
        scores: list,
        tokens: list,
        missing: float,
        recovered: bool,
        spread: float,
        difficulty: str,
    ):
        rng, met = np.random.default_rng(n), [i < missing * n for i in range(n)]
        columns = {
            "score": {
                c: list(rng.normal(mean, spread, n)) for c, mean in zip(CELLS, scores, strict=True)
            },
            "tokens": {
                c: list(mean * rng.uniform(0.9, 1.1, n))
                for c, mean in zip(CELLS, tokens, strict=True)
            },
            "missing_variable": {"pr": met},
            "recovered": {"pr": [recovered if one else None for one in met]},
            "first_missing_turn": {"pr": [3 if one else None for one in met]},
        }
        return cells_of(columns, difficulty)

    return make


def traces(persistent: list, reset: list) -> pd.DataFrame:
    rows = [
        {"task_id": f"knapsack-train-{i}", "runtime": runtime, "tokens": tokens, "slips": 0}
        for runtime, spent in (("persistent", persistent), ("reset", reset))
        for i, tokens in enumerate(spent)
    ]
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def shown(noisy, results_of):
    """Easy tasks say what the original says, medium ones say the contrary."""
    easy = noisy(
        12, [0, 0, 0.9, 0.05, 0.9, 0.9], [500, 500, 100, 400, 300, 310], 1.0, False, 0.01, "easy"
    )
    medium = noisy(
        12, [0, 0, 0.3, 0.9, 0.9, 0.7], [500, 500, 300, 90, 100, 100], 0.5, True, 0.02, "medium"
    )
    return Evidence(
        results_of(pd.concat([easy, medium]), traces([100, 110, 120, 90], [300, 340, 350, 280]))
    )


@pytest.fixture(scope="module")
def silent(noisy, results_of):
    """One easy task, and six medium ones with scores far apart; no missing variable anywhere."""
    easy = noisy(
        1, [0, 0, 0.9, 0.1, 0.9, 0.9], [500, 500, 100, 400, 300, 310], 0, False, 0.3, "easy"
    )
    medium = noisy(6, [0.5] * 6, [100] * 6, 0, False, 0.3, "medium")
    return Evidence(results_of(pd.concat([easy, medium]), traces([100], [300])))


# Rules --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key", ["learned", "leans", "cascades", "tax", "cost", "efficiency", "quality"]
)
def test_a_rule_says_yes_where_it_must_and_no_where_it_must(key: str, shown):
    assert verdicts(shown)[key] == {"easy": YES, "medium": NO}


def test_leaning_on_state_needs_both_a_rate_above_one_half_and_a_difference(shown, smoke):
    rate, test = (
        shown.cell("persistent", "reset", "medium"),
        shown.contrast("missing", "medium", "loss"),
    )
    assert (
        test.p < 0.05
        and rate.missing_variable_low < 0.5
        and verdicts(shown)["leans"]["medium"] == NO
    )
    rate, test = (
        smoke.evidence.cell("persistent", "reset", "easy"),
        smoke.evidence.contrast("missing", "easy", "loss"),
    )
    assert (
        test.p > 0.05
        and rate.missing_variable_low > 0.5
        and verdicts(smoke.evidence)["leans"]["easy"] == NO
    )


@pytest.mark.parametrize("key", ["learned", "tax", "cost", "efficiency", "quality"])
def test_a_rule_says_untestable_where_the_data_cannot_answer(key: str, silent):
    assert CLAIMS[key].judge(silent, "easy") == OPEN


def test_quality_is_untestable_when_neither_equality_nor_a_difference_is_shown(silent):
    row = silent.contrast("score", "medium", "aligned")
    assert row.tost == "not shown" and row.p > 0.05 and row.n == 6
    assert verdicts(silent)["quality"] == {"easy": OPEN, "medium": OPEN}


def test_a_model_that_never_misses_a_variable_does_not_lean_on_state(silent):
    """The rule wants a rate above one half; where no pair differs McNemar has no answer, and none
    is needed."""
    assert silent.cell("persistent", "reset", "medium").missing_variable == 0
    assert CLAIMS["leans"].judge(silent, "medium") == NO


def test_of_no_episodes_with_a_missing_variable_nothing_can_be_said(silent):
    assert verdicts(silent)["cascades"] == {"easy": OPEN, "medium": OPEN}


def test_the_traces_are_judged_at_the_size_that_was_trained_on(shown, silent):
    assert verdicts(shown)["traces"] == {"easy": YES, "medium": "–"}
    assert claims(shown).set_index("claim").loc[CLAIMS["traces"].text].medium == "not trained on"
    turned = SimpleNamespace(
        **{**vars(shown.results), "teacher": traces([300, 340, 350, 280], [100, 110, 120, 90])}
    )
    assert CLAIMS["traces"].judge(Evidence(turned), "easy") == NO
    assert CLAIMS["traces"].judge(silent, "easy") == OPEN


def test_the_base_is_untestable_and_a_description_has_no_verdict(shown, silent):
    for evidence in (shown, silent):
        assert set(verdicts(evidence)["base"].values()) == {OPEN}
        assert set(verdicts(evidence)["kept"].values()) == {"–"}


def test_what_is_kept_of_the_teacher_s_gap_is_a_share_on_the_log_scale(shown):
    tax, teacher = shown.token_ratio("easy", "habit").estimate, shown.teacher_ratio.estimate
    assert teacher ** number_named("keptGapEasy").value(shown) == pytest.approx(tax)
    assert CLAIMS["kept"].paper == "113%*" and math.log(3.5) / math.log(
        55516 / 18337
    ) == pytest.approx(1.13, abs=5e-3)


# Words --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("easy", "medium", "text"),
    [
        (YES, YES, YES),
        (YES, "–", YES),
        ("–", OPEN, OPEN),
        ("–", "–", "–"),
        (YES, OPEN, "easy: supported; medium: untestable"),
        (NO, YES, "easy: not supported; medium: supported"),
    ],
)
def test_a_verdict_is_one_where_the_difficulties_agree_and_both_where_they_do_not(
    easy: str, medium: str, text: str
):
    assert verdict_text({"easy": easy, "medium": medium}) == text


def test_claims_stand_next_to_the_paper_s_with_a_rule_and_a_verdict(twice):
    table = claims(twice.evidence)
    assert table.columns.tolist() == ["claim", "paper", "easy", "medium", "verdict", "rule"]
    assert len(table) == len(CLAIMS) == 10 and not table.isna().any(axis=None)
    assert (table.map(str.strip) != "").all(axis=None) and table.claim.is_unique
    row = table.set_index("claim").loc["persistent→reset: episodes with a missing-variable error"]
    assert (
        row.paper == "about 80%"
        and row.easy.startswith("100% [")
        and row.medium.startswith("100% [")
    )
    parts = {part.split(": ")[-1] for verdict in table.verdict for part in verdict.split("; ")}
    assert parts <= {YES, NO, OPEN, "–"} and {YES, NO, OPEN} <= parts


def test_every_rule_stands_in_the_paper_s_table(smoke):
    text = (smoke.run.root / "paper" / "tables" / "claims.tex").read_text(encoding="utf-8")
    for claim in CLAIMS.values():
        assert (
            f"{escaped(claim.text)}\\newline{{\\scriptsize\\color{{gray}} {escaped(claim.rule)}}}"
            in text
        )


@pytest.mark.parametrize("which", ["smoke", "twice", "shown", "silent"])
def test_no_claim_prints_a_number_that_is_not_there(which: str, request: pytest.FixtureRequest):
    found = request.getfixturevalue(which)
    table = claims(found if which in ("shown", "silent") else found.evidence).set_index("claim")
    texts = {
        f"{claim}, {column}": text for column in table for claim, text in table[column].items()
    }
    assert {
        place: text for place, text in texts.items() if re.search(r"\b(nan|inf|None)\b", text)
    } == {}
