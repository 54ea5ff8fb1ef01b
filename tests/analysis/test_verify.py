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
from knapsack_lib.analysis.verify import (
    MEASURES,
    Expected,
    comparison,
    differing,
    expected,
    readme_table,
)
from knapsack_lib.errors import UserError
from knapsack_lib.profiles import load_profile

LINE = {
    "key": "missing",
    "claim": "misses variables",
    "figure": "survival",
    "notebook": "05_analysis",
    "command": "make",
    "form": ".0%",
    "values": {"easy": 1.0, "medium": 1.0},
    "tolerance": {"easy": [0.8, 1], "medium": [0.8, 1]},
}


@pytest.fixture
def expect(copied: Path) -> Callable[..., None]:
    """Write results/expected.yaml of a copied project: each argument changes one line."""

    def write(*changes: dict | str) -> None:
        lines = [change if isinstance(change, str) else {**LINE, **change} for change in changes]
        (copied / "results" / "expected.yaml").write_text(yaml.safe_dump(lines, sort_keys=False))

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
            (paper / "tables" / "main.tex").read_text().replace("reset", "rest")
        )
        (paper / "tables" / "seeds.csv").unlink()
        (paper / "main.tex").write_text("not compared: the text is nobody's result")
        found = differing(run)
        assert picture.read_bytes() == bytes(data) and not (paper / "tables" / "seeds.csv").exists()
    return found


# What is expected ---------------------------------------------------------------------------------


def test_the_lines_are_read_in_order(expect):
    expect(
        {}, {"key": "tax", "form": ".2f", "values": {"easy": 2.5}, "tolerance": {"easy": [2, 3]}}
    )
    first, second = expected()
    assert (first.key, second.key) == ("missing", "tax") and second.band("easy") == "2.00 to 3.00"
    assert first.shown(0.456) == "46%" and first.band("medium") == "80% to 100%"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"key": "luck"}, "'luck' is unknown; choose one of: missing"),
        ({"values": {"easy": 1.0}}, "'missing' are not of the same difficulties"),
        ({"values": {"hard": 1.0}, "tolerance": {"hard": [0, 1]}}, "values.hard"),
        ({"colour": "red"}, "results/expected.yaml: .*colour"),
        ("nothing of the sort", "results/expected.yaml: "),
        ({"values": 1.0}, "results/expected.yaml"),
        ({"tolerance": {"easy": 0.1, "medium": 0.1}}, "results/expected.yaml"),
        ({"tolerance": {"easy": [0.8], "medium": [0.8, 1]}}, "results/expected.yaml"),
        ({"values": {"easy": "many", "medium": 1}}, "results/expected.yaml"),
    ],
    ids=[
        "another key",
        "unlike difficulties",
        "another difficulty",
        "another field",
        "no table",
        "one value",
        "a width",
        "one end",
        "a word",
    ],
)
def test_a_line_that_is_not_as_it_must_be_is_told_in_one_line(
    change: dict | str, told: str, expect
):
    expect({}, change)
    with pytest.raises(UserError, match=told) as caught:
        expected()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text", [None, "", "- [", "missing: 1\n"], ids=["no file", "empty", "no YAML", "no list"]
)
def test_a_file_that_cannot_be_read_is_told_in_one_line(text: str | None, copied: Path):
    if text is not None:
        (copied / "results" / "expected.yaml").write_text(text)
    with pytest.raises(UserError, match=r"results/expected\.yaml") as caught:
        expected()
    assert "\n" not in str(caught.value)


# Quantities ---------------------------------------------------------------------------------------


def test_a_value_within_its_tolerance_agrees_and_one_outside_differs(smoke, twice):
    lines = [
        Expected(**LINE),
        Expected(
            **{**LINE, "claim": "another", "tolerance": {"easy": (0.8, 0.9), "medium": (1.0, 1.0)}}
        ),
    ]
    found = list(comparison(lines, smoke.evidence, None))
    assert [agrees for agrees, _ in found] == [True, True, False, True]
    assert [text.split()[-1] for _, text in found] == ["agrees", "agrees", "DIFFERS", "agrees"]
    assert re.fullmatch(r"misses variables +easy +100%   80% to 100% +agrees", found[0][1])
    both = list(comparison(lines, smoke.evidence, twice.evidence))
    assert all(text.count(" 100%") >= 2 for _, text in both)


def test_both_runs_must_lie_within_the_tolerance(smoke, twice):
    one, two = (MEASURES["cost"](made.evidence, "easy") for made in (smoke, twice))
    middle = (one + two) / 2
    for low, high in ((min(one, two), middle), (middle, max(one, two))):
        line = Expected(
            **{
                **LINE,
                "key": "cost",
                "form": ".3f",
                "values": {"easy": one},
                "tolerance": {"easy": (low, high)},
            }
        )
        found = {
            made.run.profile.name: list(comparison([line], made.evidence, None))[0][0]
            for made in (smoke, twice)
        }
        assert sorted(found.values()) == [False, True]
        assert not list(comparison([line], smoke.evidence, twice.evidence))[0][0]


def test_a_value_that_is_not_there_differs(smoke):
    """The smoke run has too few tasks for the ratio of efficiencies: no tolerance holds NaN."""
    line = Expected(
        **{
            **LINE,
            "key": "efficiency",
            "form": ".2f",
            "tolerance": {"easy": (-1e9, 1e9), "medium": (-1e9, 1e9)},
        }
    )
    assert [agrees for agrees, _ in comparison([line], smoke.evidence, None)] == [False, False]


@pytest.mark.parametrize("key", MEASURES)
def test_every_quantity_is_a_number_at_both_difficulties(key: str, twice):
    for difficulty in ("easy", "medium"):
        assert math.isfinite(MEASURES[key](twice.evidence, difficulty))


def test_quantities_are_those_of_the_evidence(twice):
    evidence = twice.evidence
    assert (
        MEASURES["missing"](evidence, "easy") == 1
        and MEASURES["broken_score"](evidence, "medium") == 0
    )
    share = evidence.cell("reset", "reset", "easy").score / evidence.expert("easy")
    assert MEASURES["reset_of_expert"](evidence, "easy") == share
    pp, rr = (evidence.cell(regime, regime, "medium") for regime in ("persistent", "reset"))
    assert MEASURES["difference"](evidence, "medium") == pytest.approx(pp.score - rr.score)
    assert MEASURES["efficiency"](evidence, "medium") == pytest.approx(
        pp.score_per_1k / rr.score_per_1k
    )


# The whole comparison -----------------------------------------------------------------------------


def test_the_exit_status_says_whether_everything_agrees(expect, quick, capsys, monkeypatch):
    expect({}, {"key": "broken_score", "values": {"easy": 0.0}, "tolerance": {"easy": [0, 0]}})
    choice = ["--profile", "smoke", "--committed", "smoke"]
    assert verify.main(choice) == 0
    told = capsys.readouterr().out
    assert "5 of 5 equal the committed ones to the byte" in told and "DIFFERS" not in told
    assert "3 of 3 quantities agree within their tolerance" in told
    assert all(f"  {claim.text}: " in told for claim in CLAIMS.values())
    expect({}, {"key": "broken_score", "values": {"easy": 0.5}, "tolerance": {"easy": [0.4, 0.6]}})
    assert verify.main(choice) == 1
    told = capsys.readouterr().out
    assert told.count("DIFFERS") == 1 and "2 of 3 quantities agree within their tolerance" in told
    monkeypatch.setattr(verify, "differing", lambda run: (5, ["figures/power.png"]))
    expect({})
    assert verify.main(choice) == 1
    told = capsys.readouterr().out
    assert (
        "4 of 5 equal the committed ones to the byte" in told
        and "  DIFFERS figures/power.png\n" in told
    )


def test_a_run_of_one_s_own_stands_beside_the_committed_one(expect, quick, capsys, copied: Path):
    expect({"values": {"easy": 1.0}, "tolerance": {"easy": [1, 1]}})
    assert verify.main(["--profile", "smoke", "--committed", "twice"]) == 0
    told = capsys.readouterr().out
    assert "columns: committed, then runs/smoke/results/smoke, then the tolerance" in told
    assert re.search(r"misses variables +easy +100% +100%   100% to 100% +agrees", told)
    assert "| yours: " in told  # the small run cannot say what the other can
    shutil.rmtree(copied / "runs" / "smoke" / "results")
    assert verify.main(["--profile", "smoke", "--committed", "twice"]) == 0
    told = capsys.readouterr().out
    assert "no run of the profile smoke to compare yet: make paper, then make verify again" in told


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


# The README ---------------------------------------------------------------------------------------


def test_the_readme_s_table_has_a_row_for_each_line(expect, capsys):
    expect(
        {"values": {"easy": 0.9, "medium": 0.85}},
        {
            "key": "tax",
            "claim": "pays",
            "form": ".2f",
            "values": {"easy": 2.5, "medium": 3.456},
            "tolerance": {"easy": [2, 3], "medium": [2.5, 4]},
        },
        {"key": "traces", "values": {"easy": 1.0}, "tolerance": {"easy": [0.9, 1.1]}},
    )
    rows = readme_table().splitlines()
    assert len(rows) == 2 + 3 and len({row.count("|") for row in rows}) == 1
    assert (
        rows[2]
        == "| misses variables | `survival` | `05_analysis` | `make` | 90%; 85% | 80% to 100% |"
    )
    assert (
        rows[3]
        == "| pays | `survival` | `05_analysis` | `make` | 2.50; 3.46 | 2.00 to 3.00; 2.50 to 4.00 |"
    )
    assert verify.main(["--readme"]) == 0
    assert capsys.readouterr().out == readme_table() + "\n"
