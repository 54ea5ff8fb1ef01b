"""verify: what a run is expected to give, the verdict on each quantity, files that differ, the
table of the README."""

from __future__ import annotations

import math
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from knapsack_lib.analysis import verify
from knapsack_lib.analysis.claims import CLAIMS
from knapsack_lib.analysis.quantities import number_named
from knapsack_lib.analysis.verify import (
    Expected,
    comparison,
    differing,
    expected,
    judgements,
    values_table,
)
from knapsack_lib.cli import knapsack
from knapsack_lib.errors import UserError
from knapsack_lib.profiles import load_profile

MISSING = {
    "missingPersistentResetEasy": [1.0, 0.8, 1],
    "missingPersistentResetMedium": [1.0, 0.8, 1],
}
LINE = {
    "claim": "misses variables",
    "figure": "survival",
    "notebook": "05_analysis",
    "command": "make",
    "numbers": MISSING,
}


@pytest.fixture
def expect(copied: Path) -> Callable[..., None]:
    """Write results/expected.yaml of a copied project: each argument changes one line."""

    def write(*changes: dict | str) -> None:
        lines = [change if isinstance(change, str) else {**LINE, **change} for change in changes]
        (copied / "results" / "expected.yaml").write_text(
            yaml.safe_dump(lines, sort_keys=False), encoding="utf-8"
        )

    return write


@pytest.fixture
def quick(built_once, monkeypatch) -> None:
    """Nothing is built or worked out again: five files are alike, and the evidence is there."""
    there = {made.results.stamp: made.evidence for made in (built_once.smoke, built_once.twice)}
    monkeypatch.setattr(verify, "differing", lambda run: (5, []))
    monkeypatch.setattr(verify, "Evidence", lambda results: there[results.stamp])


@pytest.fixture(scope="module")
def spoilt(built_once, tmp_path_factory) -> tuple[int, list[str]]:
    """What `differing` says of a run after one byte of a picture, a word of a table and a whole
    table were changed."""
    folder = shutil.copytree(built_once.folder, tmp_path_factory.mktemp("spoilt") / "copy")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KNAPSACK_ROOT", str(folder))
        run = load_profile("smoke").run()
        picture, paper = run.root / "figures" / "power.png", run.root / "paper"
        data = bytearray(picture.read_bytes())
        data[-20] ^= 1
        picture.write_bytes(bytes(data))
        (paper / "tables" / "main.tex").write_text(
            (paper / "tables" / "main.tex").read_text(encoding="utf-8").replace("reset", "rest"),
            encoding="utf-8",
        )
        (paper / "tables" / "seeds.csv").unlink()
        (paper / "main.tex").write_text(
            "not compared: the text is nobody's result", encoding="utf-8"
        )
        found = differing(run)
        assert picture.read_bytes() == bytes(data) and not (paper / "tables" / "seeds.csv").exists()
    return found


# What is expected ---------------------------------------------------------------------------------


def test_the_lines_are_read_in_order(expect):
    expect({}, {"claim": "tax", "numbers": {"ratioTaxEasy": [2.5, 2, 3]}})
    first, second = expected()
    assert (first.claim, second.claim) == ("misses variables", "tax")
    assert second.texts() == [("2.50", "2.00 to 3.00")]
    assert first.texts() == [("100%", "80% to 100%")] * 2


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"numbers": {"luck": [1, 0, 1]}}, "there is no number luck"),
        ({"numbers": {"missingPersistentResetEsy": [1, 0, 1]}}, "perhaps: missingPersistentReset"),
        ({"numbers": {}}, "results/expected.yaml: .*numbers"),
        ({"colour": "red"}, "results/expected.yaml: .*colour"),
        ("nothing of the sort", "results/expected.yaml: "),
        ({"numbers": 1.0}, "results/expected.yaml"),
        ({"numbers": {"ratioTaxEasy": [0.8, 1]}}, "results/expected.yaml"),
        ({"numbers": {"ratioTaxEasy": ["many", 1, 2]}}, "results/expected.yaml"),
    ],
    ids=[
        "another number",
        "a misspelt number",
        "no number",
        "another field",
        "no table",
        "one value",
        "one end",
        "a word",
    ],
)
def test_a_line_that_is_not_as_it_must_be_is_reported_in_one_line(
    change: dict | str, reason: str, expect
):
    expect({}, change)
    with pytest.raises(UserError, match=reason) as caught:
        expected()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text", [None, "", "- [", "missing: 1\n"], ids=["no file", "empty", "no YAML", "no list"]
)
def test_a_file_that_cannot_be_read_is_reported_in_one_line(text: str | None, copied: Path):
    if text is not None:
        (copied / "results" / "expected.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=r"results/expected\.yaml") as caught:
        expected()
    assert "\n" not in str(caught.value)


# Quantities ---------------------------------------------------------------------------------------


def test_a_value_within_its_tolerance_agrees_and_one_outside_differs(smoke, twice):
    other = {"missingPersistentResetEasy": (1, 0.8, 0.9), "missingPersistentResetMedium": (1, 1, 1)}
    lines = [Expected(**LINE), Expected(**{**LINE, "claim": "another", "numbers": other})]
    found = list(comparison(lines, [smoke.evidence]))
    assert [agrees for agrees, _ in found] == [True, True, False, True]
    assert [text.split()[-1] for _, text in found] == ["agrees", "agrees", "DIFFERS", "agrees"]
    assert re.fullmatch(
        r"misses variables +missingPersistentResetEasy +100%   80% to 100% +agrees", found[0][1]
    )
    both = list(comparison(lines, [smoke.evidence, twice.evidence]))
    assert all(text.count(" 100%") >= 2 for _, text in both)


def test_both_runs_must_lie_within_the_tolerance(smoke, twice):
    number = number_named("ratioAlignedEasy")
    one, two = (number.value(made.evidence) for made in (smoke, twice))
    middle = (one + two) / 2
    for low, high in ((min(one, two), middle), (middle, max(one, two))):
        line = Expected(**{**LINE, "numbers": {"ratioAlignedEasy": (one, low, high)}})
        found = [next(comparison([line], [made.evidence]))[0] for made in (smoke, twice)]
        assert sorted(found) == [False, True]
        assert not next(comparison([line], [smoke.evidence, twice.evidence]))[0]


def test_a_value_that_is_not_there_differs(smoke):
    """The smoke run has too few tasks for the ratio of efficiencies: no tolerance holds NaN."""
    numbers = {f"ratioEfficiency{d}": (1, -1e9, 1e9) for d in ("Easy", "Medium")}
    line = Expected(**{**LINE, "numbers": numbers})
    assert [agrees for agrees, _ in comparison([line], [smoke.evidence])] == [False, False]


def test_every_expected_number_of_the_repository_is_one_of_a_whole_run(twice):
    path = Path(__file__).resolve().parents[2] / "results" / "expected.yaml"
    lines = [Expected(**line) for line in yaml.safe_load(path.read_text(encoding="utf-8"))]
    for line in lines:
        for address, (value, low, high) in line.numbers.items():
            assert low <= value <= high, address
            assert math.isfinite(number_named(address).value(twice.evidence)), address


def test_a_verdict_that_is_not_the_committed_one_differs(smoke, twice):
    alone = list(judgements([twice.evidence]))
    assert [same for same, _ in alone] == [True] * len(CLAIMS)
    assert all(
        f"  {claim.text}: " in text for claim, (_, text) in zip(CLAIMS.values(), alone, strict=True)
    )
    found = dict(zip(CLAIMS, judgements([twice.evidence, smoke.evidence]), strict=True))
    assert found["base"][0] and "DIFFERS" not in found["base"][1]
    same, text = found["learned"]
    assert not same and re.search(r"score depends .*: .* \| DIFFERS, this run: untestable$", text)


# The whole comparison -----------------------------------------------------------------------------


def status(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        knapsack(["verify", *arguments])
    return ended.value.code or 0


def test_the_exit_status_says_whether_everything_agrees(expect, quick, capsys, monkeypatch):
    nothing = {"claim": "left", "numbers": {"scorePersistentResetEasy": [0.0, 0, 0]}}
    expect({}, nothing)
    choice = ["--profile", "smoke", "--committed", "smoke"]
    assert status(*choice) == 0
    text = capsys.readouterr().out
    assert "5 of 5 equal the committed ones to the byte" in text and "DIFFERS" not in text
    assert "3 of 3 numbers lie within their tolerance, 10 of 10 verdicts are the" in text
    assert all(f"  {claim.text}: " in text for claim in CLAIMS.values())
    expect({}, {"numbers": {"scorePersistentResetEasy": [0.5, 0.4, 0.6]}})
    assert status(*choice) == 1
    text = capsys.readouterr().out
    assert text.count("DIFFERS") == 1 and "2 of 3 numbers lie within their tolerance" in text
    monkeypatch.setattr(verify, "differing", lambda run: (5, ["figures/power.png"]))
    expect({})
    assert status(*choice) == 1
    text = capsys.readouterr().out
    assert "4 of 5 equal the committed ones to the byte" in text
    assert "  DIFFERS figures/power.png\n" in text


def test_another_verdict_fails_where_every_number_agrees(expect, quick, capsys):
    """The small run cannot show what the other can."""
    expect({"numbers": {"missingPersistentResetEasy": [1.0, 1, 1]}})
    assert status("--profile", "smoke", "--committed", "twice") == 1
    text = capsys.readouterr().out
    assert "columns: committed, then runs/smoke/results/smoke, then the tolerance" in text
    assert re.search(r"misses variables +\w+ +100% +100%   100% to 100% +agrees", text)
    assert "1 of 1 numbers" in text and " | DIFFERS, this run: " in text


def test_without_a_run_of_one_s_own_the_committed_one_is_checked_alone(
    expect, quick, capsys, copied: Path
):
    expect({"numbers": {"missingPersistentResetEasy": [1.0, 1, 1]}})
    shutil.rmtree(copied / "runs" / "smoke" / "results")
    assert status("--profile", "smoke", "--committed", "twice") == 0
    text = capsys.readouterr().out
    assert "no run of the profile smoke to compare yet: knapsack run --profile smoke" in text


def test_a_file_that_was_changed_by_one_byte_or_is_not_there_is_named(spoilt):
    assert {"figures/power.png", "paper/tables/seeds.csv"} <= set(spoilt[1])
    assert set(spoilt[1]) <= {
        "figures/power.png",
        "paper/tables/seeds.csv",
        "paper/tables/main.tex",
    }


def test_every_generated_file_is_compared_the_main_table_too(spoilt):
    """Of 43 files one is the paper's text, paper/main.tex."""
    assert spoilt[0] == 42 and "paper/tables/main.tex" in spoilt[1]


# The table of values -------------------------------------------------------------------------------


def test_the_table_of_values_has_a_row_for_each_line(expect, capsys):
    numbers = {"ratioTaxEasy": [2.5, 2, 3], "ratioTaxMedium": [3.456, 2.5, 4]}
    expect({}, {"claim": "pays", "numbers": numbers}, {"numbers": {"traceRatio": [1.0, 0.9, 1.1]}})
    rows = values_table().splitlines()
    assert len(rows) == 2 + 3 and len({row.count("|") for row in rows}) == 1
    start = "`survival` | `05_analysis` | `make` |"
    assert rows[2] == f"| misses variables | {start} 100%; 100% | 80% to 100% |"
    assert rows[3] == f"| pays | {start} 2.50; 3.46 | 2.00 to 3.00; 2.50 to 4.00 |"
    with pytest.raises(SystemExit) as ended:
        knapsack(["verify", "--table"])
    assert not ended.value.code
    assert capsys.readouterr().out == values_table() + "\n"
