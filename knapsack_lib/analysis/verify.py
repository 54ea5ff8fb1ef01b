"""Does a rebuilt run agree with the committed one? `knapsack verify --profile pocket [--seed N]`

1. Figures, tables and numbers are built again from the committed episodes and compared byte for
byte. 2. Every number of results/expected.yaml, a regression test of our own numbers, is worked out
from the committed episodes, and from the run of the profile where there is one, and must lie within
its tolerance. 3. The verdict on each claim must be that of the committed episodes.

`--table` prints the table of these values in docs/results.md. The exit status is 1 when something
does not agree.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from textwrap import shorten

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from knapsack_lib.analysis.claims import CLAIMS, verdict_text, verdicts
from knapsack_lib.analysis.evidence import Evidence
from knapsack_lib.analysis.quantities import number_named
from knapsack_lib.analysis.report import build
from knapsack_lib.analysis.results import read_results, results_folder
from knapsack_lib.errors import UserError, first_problem
from knapsack_lib.files import project_root, shown
from knapsack_lib.profiles import Run

__all__ = ["Expected", "differing", "expected", "values_table", "verify"]


class Expected(BaseModel):
    """One entry of results/expected.yaml. `numbers`: address in quantities.py -> (what the committed
    run gave, lowest, highest)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    claim: str
    figure: str
    notebook: str
    command: str
    numbers: dict[str, tuple[float, float, float]] = Field(min_length=1)

    @field_validator("numbers")
    @classmethod
    def _known(cls, numbers: dict[str, tuple[float, float, float]]) -> dict:
        for address in numbers:
            try:
                number_named(address)
            except UserError as error:
                raise ValueError(str(error)) from None
        return numbers

    def texts(self) -> list[tuple[str, str]]:
        """Each number as it is printed, and its tolerance."""
        found = []
        for address, values in self.numbers.items():
            value, low, high = map(number_named(address).printed, values)
            found.append((value, f"{low} to {high}"))
        return found


def expected() -> list[Expected]:
    """The entries of results/expected.yaml, in order. Raises UserError for one that is not as it
    must be."""
    path = project_root() / "results" / "expected.yaml"
    try:
        return TypeAdapter(list[Expected]).validate_python(
            yaml.safe_load(path.read_text(encoding="utf-8"))
        )
    except (OSError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"results/expected.yaml cannot be read: {reason}") from None
    except ValidationError as error:
        reason = first_problem(error)
        raise UserError(f"results/expected.yaml: {reason}; correct it and run again") from None


def differing(run: Run) -> tuple[int, list[str]]:
    """Build everything again from the committed episodes, elsewhere: (files compared, names of
    those that differ)."""
    with tempfile.TemporaryDirectory() as folder:
        written = build(read_results(run), run, Path(folder))
        copied = Path(folder) / "paper" / "main.tex"
        names = [path.relative_to(folder) for path in written if path != copied]
        different = [
            name.as_posix()
            for name in names
            if not (there := run.published_root / name).is_file()
            or there.read_bytes() != (Path(folder) / name).read_bytes()
        ]
    return len(names), different


def comparison(lines: list[Expected], runs: list[Evidence]) -> Iterator[tuple[bool, str]]:
    """For each number: whether it agrees in all runs, and its line."""
    for line in lines:
        for (address, (_, low, high)), (_, band) in zip(
            line.numbers.items(), line.texts(), strict=True
        ):
            number = number_named(address)
            found = [number.value(evidence) for evidence in runs]
            agrees = all(low <= value <= high for value in found)
            texts = "".join(f"{number.printed(value):>11}" for value in found)
            claim = shorten(line.claim, 58, placeholder="…")
            word = "agrees" if agrees else "DIFFERS"
            yield agrees, f"{claim:58} {address:32}{texts}   {band:18} {word}"


def judgements(runs: list[Evidence]) -> Iterator[tuple[bool, str]]:
    """For each claim: whether all runs give the committed verdict (that of the first), and its
    line."""
    judged = [verdicts(evidence) for evidence in runs]
    for key, claim in CLAIMS.items():
        words = list(dict.fromkeys(verdict_text(table[key]) for table in judged))
        differs = f" | DIFFERS, this run: {words[-1]}" if words[1:] else ""
        yield not differs, f"  {claim.text}: {words[0]}{differs}"


def values_table() -> str:
    """The table of values in docs/results.md, in Markdown."""
    head = "| claim in the paper | figure | notebook | command | here (easy; medium) | tolerance |\n|---|---|---|---|---|---|"
    rows = []
    for line in expected():
        values, bands = zip(*line.texts(), strict=True)
        rows.append(
            f"| {line.claim} | `{line.figure}` | `{line.notebook}` | `{line.command}` | "
            f"{'; '.join(values)} | {'; '.join(dict.fromkeys(bands))} |"
        )
    return "\n".join([head, *rows])


def verify(committed: Run, own: Run) -> bool:
    """Print the whole comparison; whether everything agrees."""
    results = read_results(committed)
    count, different = differing(committed)
    equal = f"{count - len(different)} of {count} equal the committed ones to the byte"
    print(f"figures, tables and numbers from {shown(results_folder(committed))}: {equal}")
    print("".join(f"  DIFFERS {name}\n" for name in different), end="")
    runs = [Evidence(results)]
    if own.root != committed.root and (results_folder(own) / "cells.jsonl.gz").exists():
        runs.append(Evidence(read_results(own)))
        print(f"columns: committed, then {shown(results_folder(own))}, then the tolerance")
    elif own.root != committed.root:
        name = own.profile.name
        print(f"no run of the profile {name} to compare yet: knapsack run --profile {name}")
    numbers = list(comparison(expected(), runs))
    print("\n".join(text for _, text in numbers))
    print("verdicts (rules: paper/tables/claims.csv):")
    judged = list(judgements(runs))
    print("\n".join(text for _, text in judged))
    agree, same = (sum(agrees for agrees, _ in found) for found in (numbers, judged))
    print(
        f"{agree} of {len(numbers)} numbers lie within their tolerance, {same} of {len(judged)} verdicts are the"
        " committed ones"
    )
    return agree == len(numbers) and same == len(judged) and not different
