"""The main LaTeX table from published results: `knapsack table SPEC.json`, whose help describes the
spec.

With `metrics_path` (result files) the score and its 95% interval come from the episodes: BCa over
tasks, 5,000 resamples, whatever the order of the files.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from knapsack_lib.analysis.intervals import mean_interval
from knapsack_lib.analysis.latex import escaped, tabular
from knapsack_lib.errors import UserError, first_problem
from knapsack_lib.published.files import shown_name
from knapsack_lib.published.records import as_number, as_object, json_object, read_records
from knapsack_lib.seeds import named_seed

__all__ = ["latex_table"]

NAN = math.nan
AnyCase = BeforeValidator(lambda word: str(word).lower())
HEAD = ("Solved", "Steps", "Tokens")
# Of a cell; NaN: not known. `score` is a fraction or in percent, as its source has it; `solved`
# counts episodes.
Figures = dict[str, float]


class _Cell(BaseModel):
    model_config = ConfigDict(extra="forbid")

    difficulty: Annotated[Literal["easy", "medium", "hard"], AnyCase]
    train: Annotated[Literal["base", "persistent", "stateless", "reset"], AnyCase]
    runtime: Annotated[Literal["persistent", "stateless", "reset"], AnyCase]
    path: str | None = None
    metrics_path: str | None = None
    score_override: float | None = None
    absent: bool = False

    @model_validator(mode="after")
    def _somewhere(self) -> _Cell:
        if not (self.absent or self.path or self.metrics_path):
            raise ValueError(
                "has neither path nor metrics_path; declare it absent if there is none"
            )
        return self


class _Spec(BaseModel):
    model_config = ConfigDict(extra="forbid")

    caption: str = ""
    label: str = ""
    score_scale: Literal["auto", "fraction", "percent"] = "auto"
    solved_format: Literal["count", "percent"] = "percent"
    cells: list[_Cell] = Field(min_length=1)


def latex_table(spec: Path) -> str:
    """The table of a spec; its paths are taken from the spec's folder. Raises UserError naming a
    field that is misspelt, a file that the spec names and that is missing, or a summary without a
    score."""
    try:
        wanted = _Spec.model_validate(json_object(spec.read_bytes(), spec.name))
    except ValidationError as error:
        raise UserError(f"{spec.name}: {first_problem(error)}") from None
    figures = [
        _figures(cell, spec.parent, f"{spec.name}: cells.{place}")
        for place, cell in enumerate(wanted.cells)
    ]
    return _latex(wanted, figures)


def _figures(cell: _Cell, folder: Path, where: str) -> Figures:
    """What is known of a cell."""
    found = dict.fromkeys(("score", "low", "high", "solved", "episodes", "steps", "tokens"), NAN)
    if cell.absent:
        return found
    for name in ("path", "metrics_path"):
        given = getattr(cell, name)
        if not given:
            continue
        path = folder / given
        if not path.exists():
            raise UserError(
                f"{where}.{name}: no file or folder {shown_name(given)}; declare the cell absent if there is none"
            )
        if path.is_file() and path.suffix == ".json":
            found |= _from_summary(path)
        else:
            found |= _from_results(path, interval=name == "metrics_path")
    if cell.score_override is not None:
        found |= {"score": cell.score_override, "low": NAN, "high": NAN}
    if math.isnan(found["score"]):
        raise UserError(
            f"{where}: {shown_name(cell.path)} holds no score; give metrics_path or score_override"
        )
    return found


def _from_summary(path: Path) -> Figures:
    data = json_object(path.read_bytes(), path.name)
    metrics = as_object(data.get("metrics"))
    means = [
        as_object(metrics.get(name)).get("mean")
        for name in ("score", "optimality", "normalized_optimality")
    ]
    return {
        "score": _first(data.get("average_score"), *means),
        "solved": _first(data.get("num_tasks_solved")),
        "episodes": _first(data.get("num_tasks_executed")),
        "steps": _first(data.get("average_steps")),
        "tokens": _first(data.get("average_total_tokens")),
    }


def _first(*values: Any) -> float:
    return next((number for number in map(as_number, values) if number is not None), NAN)


def _from_results(path: Path, interval: bool) -> Figures:
    records = sorted(read_records(path).records, key=lambda record: record.task_id)
    if len(families := sorted({record.family for record in records})) > 1:
        raise UserError(
            f"{shown_name(path)}: holds several families ({', '.join(families)}); name the folder of one"
        )
    scores = [record.score or 0.0 for record in records]
    traced = [record for record in records if record.trace is not None]
    found = {
        "score": sum(scores) / len(scores),
        "solved": float(sum(record.solved is True for record in records)),
        "episodes": float(len(records)),
    }
    if traced:
        found["steps"] = sum(record.steps for record in traced) / len(traced)
        found["tokens"] = sum(record.tokens for record in traced) / len(traced)
    if interval:
        seed = named_seed(0, "table", *(record.task_id for record in records))
        ends = mean_interval(scores, seed=seed)
        found |= {"low": ends.low, "high": ends.high}
    return found


def _latex(spec: _Spec, figures: Sequence[Figures]) -> str:
    percent = spec.score_scale == "percent" or (
        spec.score_scale == "auto" and any(row["score"] > 1 for row in figures)
    )
    form = ".1f" if percent else ".3f"
    head = ("Trained on", "Runtime", r"Score (\%)" if percent else "Score", *HEAD)
    groups: dict[str, list[Sequence[str]]] = {}
    for cell, row in zip(spec.cells, figures, strict=True):
        scale = 100.0 if percent and not row["score"] > 1 else 1.0
        score, *ends = (_number(scale * row[name], form) for name in ("score", "low", "high"))
        if not math.isnan(row["low"]):
            score += f" [{', '.join(ends)}]"
        solved = _solved(row["solved"], row["episodes"], spec.solved_format)
        steps, tokens = _number(row["steps"], ".1f"), _number(row["tokens"], ",.0f")
        names = cell.train.capitalize(), cell.runtime.capitalize()
        line = (*names, score, solved, steps, tokens)
        groups.setdefault(cell.difficulty.capitalize(), []).append(line)
    lines = [r"\begin{table}", r"\centering", tabular("llrrrr", head, list(groups.items()))]
    lines += [rf"\caption{{{escaped(spec.caption)}}}"] if spec.caption else []
    lines += [rf"\label{{{spec.label}}}"] if spec.label else []
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def _solved(solved: float, episodes: float, form: str) -> str:
    if form == "percent":
        return _number(100 * solved / (episodes or NAN), ".0f", unit="%")
    known = not math.isnan(solved + episodes)
    return f"{solved:.0f}/{episodes:.0f}" if known else _number(solved, ".0f")


def _number(value: float, form: str, unit: str = "") -> str:
    return "--" if math.isnan(value) else escaped(f"{value:{form}}{unit}")
