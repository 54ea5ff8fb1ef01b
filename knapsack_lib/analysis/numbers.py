r"""paper/numbers.tex: one \newcommand for every number that the paper's prose uses.

    write(results, folder / "numbers.tex")

Names are letters only. A cell's macros end in its words: \scorePersistentResetEasy is the score of the model trained
on persistent traces that acts in the reset runtime on easy tasks; Low and High are the ends of its 95% interval.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from knapsack_lib.analysis.claims import contrasts, teacher_ratio
from knapsack_lib.analysis.metrics import CELL
from knapsack_lib.analysis.output import write_tex
from knapsack_lib.analysis.results import Results
from knapsack_lib.analysis.statistics import LEVEL, RESAMPLES, Interval
from knapsack_lib.analysis.tables import escaped, main_table, teacher_table
from knapsack_lib.profiles import DIFFICULTIES, RUNTIMES

__all__ = ["numbers", "write"]

CELL_FORMS = {  # macro's first word -> (column of the main table, format)
    "score": ("optimality", ".3f"), "scoreLow": ("optimality_low", ".3f"), "scoreHigh": ("optimality_high", ".3f"),
    "solved": ("solved", ".0%"), "finished": ("finished", ".0%"), "turns": ("steps", ".1f"),
    "tokens": ("tokens", ",.0f"), "tokensLow": ("tokens_low", ",.0f"), "tokensHigh": ("tokens_high", ",.0f"),
    "seconds": ("seconds", ".1f"), "perThousand": ("score_per_1k", ".2f"), "missing": ("missing_variable", ".0%"),
    "missingLow": ("missing_variable_low", ".0%"), "missingHigh": ("missing_variable_high", ".0%"),
}  # fmt: skip
TEACHER_FORMS = {
    "traceScore": ("optimality", ".3f"), "traceSolved": ("solved", ".0%"), "traceTurns": ("steps", ".1f"),
    "traceCalls": ("tool_calls", ".1f"), "traceTokens": ("tokens", ",.0f"), "traceSlips": ("with_slip", ".0%"),
    "traceCount": ("n", ",d"),
}  # fmt: skip


def write(results: Results, path: Path) -> Path:
    r"""Write the macros, one \newcommand a line."""
    lines = [rf"\newcommand{{\{name}}}{{{escaped(value)}}}" for name, value in numbers(results).items()]
    return write_tex("\n".join(lines), path, results.stamp)


def numbers(results: Results) -> dict[str, str]:
    """Macro name -> plain text, in a fixed order. Raises ValueError should two macros share a name."""
    pairs = [*_settings(results), *_cells(results), *_teacher(results), *_contrasts(results), *_training(results)]
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("two macros share a name")
    return found


def _settings(results: Results) -> Iterator[tuple[str, str]]:
    own = results.settings
    yield "profileName", own["name"]
    yield "profileDigest", results.provenance["profile_digest"][:12]
    yield "rootSeed", str(results.seed)
    count = results.provenance["parameters"]
    yield "baseModel", own["training"]["base"]
    yield "baseSize", f"{count / 1e6:.2f} million parameters" if count else "its size is in its name"
    yield "level", f"{LEVEL:.0%}"
    yield "resamples", f"{RESAMPLES:,}"
    yield "temperature", f"{own['evaluation']['temperature']:g}"
    yield "shardSize", str(own["evaluation"]["shard"])
    yield "turnLimit", str(own["limits"]["turns"])
    yield "callLimit", str(own["limits"]["tool_calls"])
    yield "episodesPerStep", str(own["training"]["episodes_per_step"])
    yield "validationTasks", str(own["tasks"]["validation"])
    yield "gateShare", f"{own['gates']['share_of_expert']:.0%}"
    yield "gateFinished", f"{own['gates']['finished']:.0%}"
    yield "episodesTotal", f"{len(results.cells):,}"


def _cells(results: Results) -> Iterator[tuple[str, str]]:
    for row in main_table(results).to_dict("records"):
        words = "".join(row[name].capitalize() for name in CELL)
        for name, (column, form) in CELL_FORMS.items():
            yield name + words, f"{row[column]:{form}}"
    cells = results.cells
    for difficulty in DIFFICULTIES:
        expert = float(results.expert[results.expert.difficulty == difficulty].optimality.mean())
        yield f"tasks{difficulty.capitalize()}", str(cells[cells.difficulty == difficulty].task_id.nunique())
        yield f"expertScore{difficulty.capitalize()}", f"{expert:.3f}"
        for regime in RUNTIMES:
            aligned = cells[(cells.difficulty == difficulty) & (cells.train == regime) & (cells.runtime == regime)]
            share = float(aligned.optimality.mean()) / expert
            yield f"ofExpert{regime.capitalize()}{difficulty.capitalize()}", f"{share:.0%}"


def _teacher(results: Results) -> Iterator[tuple[str, str]]:
    for row in teacher_table(results).to_dict("records"):
        for name, (column, form) in TEACHER_FORMS.items():
            yield name + row["regime"].capitalize(), f"{row[column]:{form}}"
    yield from _interval("traceRatio", "", teacher_ratio(results.teacher, results.seed), ".2f")


def _contrasts(results: Results) -> Iterator[tuple[str, str]]:
    for difficulty in DIFFICULTIES:
        for name, value in contrasts(results.cells, difficulty, results.seed).items():
            yield from _interval(name, difficulty.capitalize(), value, ".2f" if name.startswith("ratio") else "+.3f")


def _interval(name: str, words: str, value: Interval, form: str) -> Iterator[tuple[str, str]]:
    for end, number in (("", value.estimate), ("Low", value.low), ("High", value.high)):
        yield f"{name}{end}{words}", f"{number:{form}}"


def _training(results: Results) -> Iterator[tuple[str, str]]:
    for train, record in results.training.items():
        words = train.capitalize()
        chosen = record["chosen_step"]
        played: dict[str, Any] = record["validation_play"][str(chosen)]
        yield f"steps{words}", f"{record['steps']:,}"
        yield f"tokensSeen{words}", f"{record['tokens_seen']:,}"
        yield f"assistantTokensSeen{words}", f"{record['assistant_tokens_seen']:,}"
        yield f"chosenStep{words}", f"{chosen:,}"
        yield f"validationScore{words}", f"{played['optimality']:.3f}"
