"""Shares with intervals, and what is made of them."""

import math
import random

import pytest

from knapsack_lib.audit.audit import audit_transcripts
from knapsack_lib.audit.measures import measured
from knapsack_lib.audit.report import as_json, fails, report_lines
from knapsack_lib.audit.tally import MEASURES, Tally
from knapsack_lib.audit.transcripts import Step, Transcript
from knapsack_lib.audit.verdict import verdict_of
from knapsack_lib.errors import UserError

RELIES = [Step("import math\nx = 10"), Step("print(math.pi)"), Step("print(x)")]
RESTATES = [Step("import math\nx = 10"), Step("import math\nx = 10"), Step("import math\nmath")]
ALONE = [Step("a = 1"), Step("b = 2"), Step("c = 3")]


def tally(*kinds):
    found = Tally()
    for number, steps in enumerate(kinds):
        found.add(measured(Transcript(f"t{number}", tuple(steps))))
    return found


def test_shares_are_sums_over_sums():
    found = tally(RELIES, RESTATES, ALONE, RELIES[:1])
    values = {name: found.share(name).value for name in ("relies", "restates", "alone", "choice")}
    assert values == {"relies": 2 / 6, "restates": 2 / 6, "alone": 2 / 6, "choice": 2 / 4}
    assert found.share("episodes")[:1] == (1 / 3,)
    assert found.share("relies_import").value == found.share("relies_data").value == 1 / 6
    assert found.share("relies").episodes == 3
    assert math.isnan(Tally().share("relies").value)


def test_where_all_agree_the_interval_is_wilsons_over_episodes():
    found = tally(*[RESTATES] * 40).share("relies")
    assert found.value == 0 and found.low == pytest.approx(0, abs=1e-12)
    assert found.high == pytest.approx(1.96**2 / (40 + 1.96**2), rel=0.01)


def test_intervals_hold_the_truth_nineteen_times_in_twenty():
    """Episodes differ among themselves, and blocks of one episode are alike: an interval that took
    blocks for independent would hold far less often."""
    chance, held, naive, rounds = random.Random(11), 0, 0, 300
    for _ in range(rounds):
        found = Tally()
        for _ in range(60):
            leaning = chance.betavariate(0.8, 1.2)  # mean 0.4
            later = chance.randrange(1, 6)
            steps = [Step("x = 10")]
            steps += [Step("print(x)" if chance.random() < leaning else "1") for _ in range(later)]
            found.add(measured(Transcript("t", tuple(steps))))
        share = found.share("relies")
        held += share.low <= 0.4 <= share.high
        half = 1.96 * math.sqrt(share.value * (1 - share.value) / found.sums["later"])
        naive += abs(share.value - 0.4) <= half
    assert 0.91 <= held / rounds <= 0.985
    assert naive < held


@pytest.mark.parametrize(
    ("kinds", "teaches"),
    [
        ([RELIES] * 40, "persistent"),
        ([RESTATES] * 40, "reset"),
        ([RELIES] * 20 + [RESTATES] * 20, "mixed"),
        ([ALONE] * 400, "too little to say"),
        ([RELIES] * 9, "too little to say"),
        ([], "too little to say"),
    ],
)
def test_the_verdict_follows_its_rules(kinds, teaches):
    assert verdict_of(tally(*kinds)).teaches == teaches


def sources(**kinds):
    transcripts = [
        Transcript(f"{name}/{n}", tuple(steps), {"model": name})
        for name, steps in kinds.items()
        for n in range(20)
    ]
    return audit_transcripts("a source", transcripts, by="model")


def test_groups_add_up_and_are_told_apart():
    found = sources(leans=RELIES, repeats=RESTATES)
    assert found.groups["leans"].share("relies").value == 1
    assert found.groups["repeats"].share("relies").value == 0
    assert sum(one.episodes for one in found.groups.values()) == found.tally.episodes == 40
    text = "\n".join(report_lines([found]))
    assert text.index("leans ") < text.index("repeats ")  # the most reliant first
    assert set(as_json(found)["groups"]) == {"leans", "repeats"}
    assert set(as_json(found)["measures"]) == set(MEASURES)


def test_examples_are_blocks_of_each_kind_and_the_same_each_time():
    step = Step("print(y)", error_type="NameError", error="name 'y' is not defined")
    found, again = (sources(leans=[*RELIES, step], repeats=RESTATES) for _ in range(2))
    assert {one.kind for one in found.examples} == {"relies", "restates", "missing"}
    assert [one.transcript_id for one in found.examples] == [
        one.transcript_id for one in again.examples
    ]
    assert len(found.examples) <= 12


def test_a_condition_fails_a_pipeline_only_where_it_is_true():
    found = sources(leans=RELIES)
    assert fails(found, "relies > 0.5") == "relies is 1.000"
    assert fails(found, "relies.low>=90%") == ""  # 20 episodes allow for 84%
    assert fails(found, "relies < 0.5") == ""
    assert fails(found, "teaches != persistent") == ""
    assert fails(found, "teaches == persistent") == "teaches is persistent"
    assert "cannot be judged" in fails(audit_transcripts("none", []), "relies > 0.5")


@pytest.mark.parametrize(
    "condition",
    ["", "relies", "relies > much", "lies > 1", "teaches > reset", "teaches == all", "relies ~ 1"],
)
def test_what_is_no_condition_is_one_line(condition):
    with pytest.raises(UserError) as refused:
        fails(sources(leans=RELIES), condition)
    assert "\n" not in str(refused.value)
