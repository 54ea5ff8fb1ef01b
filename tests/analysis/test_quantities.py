"""Quantities: their addresses, values and texts."""

from __future__ import annotations

import math
import re

import pytest

from knapsack_lib.analysis import output
from knapsack_lib.analysis.evidence import Evidence, NotThere
from knapsack_lib.analysis.intervals import Interval
from knapsack_lib.analysis.quantities import NUMBERS, QUANTITIES, number_named, printed
from knapsack_lib.errors import UserError

INTERVAL = Interval(1.5, 1.25, 2.0, 9, "BCa")

# Texts --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("p", "text"), [(0.0004, "< 0.001"), (0.001, "0.001"), (0.25, "0.250"), (math.nan, "–")]
)
def test_a_p_value_is_printed_with_three_digits(p: float, text: str):
    assert printed(p, "p") == text


@pytest.mark.parametrize(
    ("value", "form", "text"),
    [
        (-0.1234, "+.3f", "-0.123"),
        (0.125, ".0%", "12%"),
        (math.nan, ".2f", "–"),
        (None, ".2f", "–"),
        ("not shown", ".2f", "not shown"),
        (12_345, "", "12,345"),
        (0.06, "", "0.06"),
        (10.0, "", "10"),
        (INTERVAL, ".2f", "1.50 [1.25, 2.00]"),
        (Interval.none(1, "one value", 1.5), ".2f", "1.50"),
        (Interval.none(0, "no values"), ".2f", "–"),
        ([9_001, 9_002, 9_001], ",d", "9,001 to 9,002"),
        ([6, 6], ",d", "6"),
        ([], ",d", "–"),
    ],
)
def test_a_value_is_printed_in_its_form(value: object, form: str, text: str):
    assert printed(value, form) == text


def test_a_unit_follows_every_number():
    assert printed(2.5, ".1f", " million") == "2.5 million"
    assert printed([1, 2], "d", " s") == "1 s to 2 s"


# Addresses ----------------------------------------------------------------------------------------


def test_addresses_are_letters_and_each_names_one_number():
    assert all(re.fullmatch(r"[A-Za-z]+", address) for address in NUMBERS)
    count = sum(
        math.prod(len(axis) for axis in quantity.axes) * (3 if quantity.ends else 1)
        for quantity in QUANTITIES.values()
    )
    assert len(NUMBERS) == count


def test_an_unknown_address_is_answered_with_the_nearest():
    with pytest.raises(UserError, match="no number missingPersistentResetEsy; perhaps: missing"):
        number_named("missingPersistentResetEsy")
    with pytest.raises(UserError, match="analysis/quantities.py"):
        number_named("?")


def test_every_number_of_a_whole_run_has_a_text(twice):
    texts = {address: number.text(twice.evidence) for address, number in NUMBERS.items()}
    odd = [a for a, t in texts.items() if not isinstance(t, str) or re.search(r"\b(nan|None)\b", t)]
    assert len(texts) > 500 and odd == []


# Values -------------------------------------------------------------------------------------------


def test_a_setting_is_addressed_by_its_place_in_the_profile(twice):
    def text(address: str) -> str:
        return number_named(address).text(twice.evidence)

    assert [text(a) for a in ("profileName", "profileTrainSeeds", "tasksEasy")] == [
        "twice",
        "2",
        "8",
    ]
    assert (text("analysisResamples"), text("analysisLevel")) == ("1,000", "95%")
    assert text("limitsTurns") == str(twice.run.profile.limits.turns)


def test_numbers_are_what_the_evidence_holds(twice):
    evidence = twice.evidence

    def text(address: str) -> str:
        return number_named(address).text(evidence)

    assert text("baseSize") == "0.03 million parameters"
    assert text("missingPersistentResetEasy") == "100%" and text("plannedTests") == "8"
    assert text("episodesTotal") == str(len(twice.results.cells))
    assert text("tokensSeenReset") == "9,001 to 9,002" and text("chosenStepReset") == "6"
    row = evidence.contrast("score", "medium", "interaction")
    assert text("diffInteractionMedium") == f"{row.effect:+.3f}"
    assert text("diffLowInteractionMedium") == f"{row.low:+.3f}"
    cost = evidence.token_ratio("easy", "aligned").inverse
    ends = [text(f"ratioAligned{end}Easy") for end in ("", "Low", "High")]
    assert ends == [f"{x:.2f}" for x in (cost.estimate, cost.low, cost.high)]
    assert number_named("ratioAlignedEasy").whole(evidence) == cost
    share = evidence.cell("reset", "reset", "easy").score / evidence.expert("easy")
    assert number_named("ofExpertResetEasy").value(evidence) == share
    assert text("ofExpertResetEasy") == f"{share:.0%}"


def test_reliance_is_of_blocks_after_the_first_turn(twice):
    turns = twice.results.turns
    mine = (turns.train == "persistent") & (turns.runtime == "reset") & (turns.difficulty == "easy")
    later = turns[mine & turns.code & (turns.turn > 1)]
    share = number_named("reliancePersistentResetEasy").value(twice.evidence)
    assert share == pytest.approx((later.reads_earlier > 0).mean()) and share > 0
    spent = turns[mine].completion_tokens
    restated = number_named("restatedResetResetEasy").value(twice.evidence)
    assert 0 <= restated <= 1 and spent.sum() > 0


def test_a_cell_that_was_not_played_is_named(cells_of, results_of):
    evidence = Evidence(results_of(cells_of({"score": {"pp": [0.5, 0.6]}})))
    with pytest.raises(NotThere, match="no episodes of reset→reset, easy"):
        number_named("scoreResetResetEasy").text(evidence)


def test_tables_and_numbers_agree(twice):
    main = output.read_csv(twice.run.root / "paper" / "tables" / "main.csv")
    for row in main.itertuples():
        words = "".join(word.capitalize() for word in (row.train, row.runtime, row.difficulty))
        assert number_named(f"tokens{words}").text(twice.evidence) == f"{row.tokens:,.0f}"
        assert number_named(f"score{words}").text(twice.evidence) == f"{row.score:.3f}"
