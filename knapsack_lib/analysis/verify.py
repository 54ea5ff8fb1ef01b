"""Does a rebuilt run agree with the committed one? python -m knapsack_lib.analysis.verify --profile
pocket [--seed N]

1. Figures, tables and numbers are built again from the committed episodes and compared byte for
byte. 2. Every quantity of results/expected.yaml is worked out from the committed episodes, and from
the run of the profile
   where there is one, and held against its tolerance; the verdict of each claim is printed beside.

`--readme` prints the same table for the README. The exit status is 1 when something does not agree.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import shorten
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, model_validator

from knapsack_lib.analysis.claims import CLAIMS, verdict_text, verdicts
from knapsack_lib.analysis.evidence import Evidence
from knapsack_lib.analysis.report import build
from knapsack_lib.analysis.results import read_results, results_folder
from knapsack_lib.errors import UserError
from knapsack_lib.files import project_root, shown
from knapsack_lib.profiles import Run

__all__ = ["MEASURES", "Expected", "differing", "expected", "readme_table", "verify"]

MEASURES: dict[str, Callable[[Evidence, str], float]] = {
    "missing": lambda e, d: e.cell("persistent", "reset", d).missing_variable,
    "persistent_of_expert": lambda e, d: e.cell("persistent", "persistent", d).score / e.expert(d),
    "reset_of_expert": lambda e, d: e.cell("reset", "reset", d).score / e.expert(d),
    "broken_score": lambda e, d: e.cell("persistent", "reset", d).score,
    "tax": lambda e, d: e.token_ratio(d, "habit").estimate,
    "cost": lambda e, d: e.token_ratio(d, "aligned", inverse=True).estimate,
    "efficiency": lambda e, d: e.efficiency(d).estimate,
    "difference": lambda e, d: e.contrast("score", d, "aligned").effect,
    "interaction": lambda e, d: e.contrast("score", d, "interaction").effect,
    "base": lambda e, d: max(e.cell("base", r, d).score for r in ("persistent", "reset")),
    "traces": lambda e, d: e.teacher_ratio.estimate,
}


class Expected(BaseModel):
    """One line of results/expected.yaml. `values` and `tolerance` (lowest, highest) are per
    difficulty."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    claim: str
    figure: str
    notebook: str
    command: str
    form: str
    values: dict[Literal["easy", "medium"], float]
    tolerance: dict[Literal["easy", "medium"], tuple[float, float]]

    @model_validator(mode="after")
    def _known(self) -> Expected:
        if self.key not in MEASURES:
            raise ValueError(f"key {self.key!r} is unknown; choose one of: {', '.join(MEASURES)}")
        if self.values.keys() != self.tolerance.keys():
            raise ValueError(
                f"values and tolerance of {self.key!r} are not of the same difficulties"
            )
        return self

    def shown(self, value: float) -> str:
        return f"{value:{self.form}}"

    def band(self, difficulty: Literal["easy", "medium"]) -> str:
        low, high = self.tolerance[difficulty]
        return f"{self.shown(low)} to {self.shown(high)}"


def expected() -> list[Expected]:
    """The lines of results/expected.yaml, in order. Raises UserError for a line that is not as it
    must be."""
    path = project_root() / "results" / "expected.yaml"
    try:
        return TypeAdapter(list[Expected]).validate_python(
            yaml.safe_load(path.read_text(encoding="utf-8"))
        )
    except (OSError, yaml.YAMLError) as error:
        raise UserError(
            f"results/expected.yaml cannot be read: {' '.join(str(error).split())}"
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UserError(
            f"results/expected.yaml: {where}: {first['msg']}; mend it and run again"
        ) from None


def differing(run: Run) -> tuple[int, list[str]]:
    """Build everything again from the committed episodes, elsewhere: (files compared, names of
    those that differ)."""
    with tempfile.TemporaryDirectory() as folder:
        written = build(read_results(run), run, Path(folder))
        names = [
            name for path in written if (name := path.relative_to(folder)) != Path("paper/main.tex")
        ]
        committed = run.published_root
        different = [
            name.as_posix()
            for name in names
            if not (committed / name).is_file()
            or (committed / name).read_bytes() != (Path(folder) / name).read_bytes()
        ]
    return len(names), different


def comparison(
    lines: list[Expected], one: Evidence, other: Evidence | None
) -> Iterator[tuple[bool, str]]:
    """For each quantity: whether it agrees, and its line."""
    for line in lines:
        for difficulty in line.values:
            low, high = line.tolerance[difficulty]
            found = [
                MEASURES[line.key](evidence, difficulty)
                for evidence in (one, other)
                if evidence is not None
            ]
            agrees = all(low <= value <= high for value in found)
            numbers = "".join(f"{line.shown(value):>11}" for value in found)
            word = "agrees" if agrees else "DIFFERS"
            yield (
                agrees,
                f"{shorten(line.claim, 58, placeholder='…'):58} {difficulty:7}{numbers}   {line.band(difficulty):18} {word}",
            )


def readme_table() -> str:
    """The README's table of claims, in Markdown."""
    head = "| claim in the paper | figure | notebook | command | here (easy; medium) | tolerance |\n|---|---|---|---|---|---|"
    rows = [
        f"| {line.claim} | `{line.figure}` | `{line.notebook}` | `{line.command}` | "
        f"{'; '.join(line.shown(value) for value in line.values.values())} | "
        f"{'; '.join(dict.fromkeys(line.band(d) for d in line.values))} |"
        for line in expected()
    ]
    return "\n".join([head, *rows])


def verify(committed: Run, own: Run) -> bool:
    """Print the whole comparison; whether everything agrees."""
    results = read_results(committed)
    count, different = differing(committed)
    equal = f"{count - len(different)} of {count} equal the committed ones to the byte"
    print(f"figures, tables and numbers from {shown(results_folder(committed))}: {equal}")
    print("".join(f"  DIFFERS {name}\n" for name in different), end="")
    one, other = Evidence(results), None
    if own.root != committed.root and (results_folder(own) / "cells.jsonl.gz").exists():
        other = Evidence(read_results(own))
        print(f"columns: committed, then {shown(results_folder(own))}, then the tolerance")
    elif own.root != committed.root:
        print(
            f"no run of the profile {own.profile.name} to compare yet: make paper, then make verify again"
        )
    found = list(comparison(expected(), one, other))
    print("\n".join(text for _, text in found))
    print("verdicts (rules: paper/tables/claims.csv):")
    judged = [verdicts(evidence) for evidence in (one, other) if evidence is not None]
    for key, claim in CLAIMS.items():
        words = list(dict.fromkeys(verdict_text(table[key]) for table in judged))
        print(f"  {claim.text}: {' | yours: '.join(words)}")
    agree = sum(agrees for agrees, _ in found)
    print(f"{agree} of {len(found)} quantities agree within their tolerance")
    return agree == len(found) and not different
