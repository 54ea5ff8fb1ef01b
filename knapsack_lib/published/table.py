r"""The main LaTeX table from published results: knapsack table SPEC.json.

    {"caption": "...", "label": "tab:main", "score_scale": "auto", "solved_format": "percent",
     "cells": [{"difficulty": "easy", "train": "persistent", "runtime": "stateless", "path": "summary.json",
                "metrics_path": "persistent_stateless_easy/", "score_override": null}]}

`path` is a summary file, or a folder or archive of result files. With `metrics_path` (result files)
the score and its 95% interval come from the episodes: BCa over tasks, 5,000 resamples, whatever the
order of the files. `score_override` replaces the score and takes its interval away. A cell that
does not exist is declared: {"...": "...", "absent": true}. `score_scale` is auto, fraction or
percent, `solved_format` percent or count. The caption is plain text, not LaTeX.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from knapsack_lib.analysis.intervals import mean_interval
from knapsack_lib.analysis.latex import escaped, tabular
from knapsack_lib.errors import SPELLINGS, UserError
from knapsack_lib.published.files import shown_name
from knapsack_lib.published.records import read_json, read_records
from knapsack_lib.seeds import named_seed

__all__ = ["latex_table"]

WORDS = {"easy": "Easy", "medium": "Medium", "hard": "Hard"}
NAN = math.nan


class _Cell(BaseModel):
    model_config = ConfigDict(extra="forbid")

    difficulty: str
    train: str
    runtime: str
    path: str | None = None
    metrics_path: str | None = None
    score_override: float | None = None
    absent: bool = False


class _Spec(BaseModel):
    model_config = ConfigDict(extra="forbid")

    caption: str = ""
    label: str = ""
    score_scale: Literal["auto", "fraction", "percent"] = "auto"
    solved_format: Literal["count", "percent"] = "percent"
    cells: list[_Cell] = Field(min_length=1)


@dataclass(frozen=True)
class _Row:
    """What is known of a cell; NaN where it is not. The score is a fraction or in percent, as its
    source has it."""

    cell: _Cell
    score: float = NAN
    low: float = NAN
    high: float = NAN
    solved: float = NAN  # episodes
    episodes: float = NAN
    steps: float = NAN
    tokens: float = NAN


def latex_table(spec: Path) -> str:
    """The table of a spec; its paths are taken from the spec's folder. Raises UserError naming a
    field that is misspelt, a file that is missing, or a summary without a score."""
    if not spec.is_file():
        raise UserError(f"{shown_name(spec)}: no such spec")
    try:
        wanted = _Spec.model_validate(read_json(spec.read_bytes(), spec.name))
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(
            f"{spec.name}: {'.'.join(map(str, first['loc']))}: {first['msg']}"
        ) from None
    rows = [
        _row(cell, spec.parent, f"{spec.name}: cells.{place}")
        for place, cell in enumerate(wanted.cells)
    ]
    return _latex(wanted, rows)


def _row(cell: _Cell, folder: Path, where: str) -> _Row:
    for name, allowed in (
        ("difficulty", ("easy", "medium")),
        ("train", ("base", "persistent", "reset")),
        ("runtime", ("persistent", "reset")),
    ):
        word = str(getattr(cell, name)).lower()
        if SPELLINGS.get(word, word) not in allowed:
            raise UserError(
                f"{where}.{name}: {getattr(cell, name)!r:.60} is unknown; choose one of: {', '.join(allowed)}"
            )
    if cell.absent:
        return _Row(cell)
    if not (cell.path or cell.metrics_path):
        raise UserError(
            f"{where}: has neither path nor metrics_path; declare it absent if there is none"
        )
    found: dict[str, float] = {}
    for name in ("path", "metrics_path"):
        given = getattr(cell, name)
        if given:
            path = folder / given
            if not path.exists():
                raise UserError(
                    f"{where}.{name}: no file or folder {shown_name(given)}; declare the cell absent if there is none"
                )
            summary = path.is_file() and path.suffix == ".json"
            found |= (
                _from_summary(path)
                if summary
                else _from_results(path, interval=name == "metrics_path")
            )
    if cell.score_override is not None:
        found |= {"score": cell.score_override, "low": NAN, "high": NAN}
    if math.isnan(found.get("score", NAN)):
        raise UserError(
            f"{where}: {shown_name(cell.path)} holds no score; give metrics_path or score_override"
        )
    return _Row(cell, **found)


def _from_summary(path: Path) -> dict[str, float]:
    data = read_json(path.read_bytes(), path.name)
    if not isinstance(data, dict):
        raise UserError(
            f"{shown_name(path.name)}: holds a {type(data).__name__} where a summary is expected"
        )
    metrics = data.get("metrics")
    named = (
        [metrics.get(name) for name in ("score", "optimality", "normalized_optimality")]
        if isinstance(metrics, dict)
        else []
    )
    means = [one.get("mean") for one in named if isinstance(one, dict)]
    return {
        "score": _first([data.get("average_score"), *means]),
        "solved": _first([data.get("num_tasks_solved")]),
        "episodes": _first([data.get("num_tasks_executed")]),
        "steps": _first([data.get("average_steps")]),
        "tokens": _first([data.get("average_total_tokens")]),
    }


def _first(values: Sequence[Any]) -> float:
    return next(
        (float(v) for v in values if isinstance(v, (int, float)) and not isinstance(v, bool)), NAN
    )


def _from_results(path: Path, interval: bool) -> dict[str, float]:
    records = sorted(read_records(path).records, key=lambda record: record.task_id)
    scores = [record.score or 0.0 for record in records]
    traced = [record for record in records if record.trace is not None]
    found = {
        "score": sum(scores) / len(scores),
        "solved": float(sum(r.solved is True for r in records)),
        "episodes": float(len(records)),
    }
    if traced:
        found["steps"] = sum(r.steps for r in traced) / len(traced)
        found["tokens"] = sum(r.tokens for r in traced) / len(traced)
    if interval:
        ends = mean_interval(
            scores, seed=named_seed(0, "table", *(record.task_id for record in records))
        )
        found |= {"low": ends.low, "high": ends.high}
    return found


def _latex(spec: _Spec, rows: Sequence[_Row]) -> str:
    percent = spec.score_scale == "percent" or (
        spec.score_scale == "auto" and any(row.score > 1 for row in rows)
    )
    groups: dict[str, list[Sequence[str]]] = {}
    for row in rows:
        cell, form = row.cell, ".1f" if percent else ".3f"
        scale = 100.0 if percent and not row.score > 1 else 1.0
        score = _number(scale * row.score, form)
        if not math.isnan(row.low):
            score += f" [{_number(scale * row.low, form)}, {_number(scale * row.high, form)}]"
        title = WORDS.get(cell.difficulty.lower(), cell.difficulty)
        groups.setdefault(title, []).append(
            (
                cell.train.capitalize(),
                cell.runtime.capitalize(),
                score,
                _solved(row, spec.solved_format),
                _number(row.steps, ".1f"),
                _number(row.tokens, ",.0f"),
            )
        )
    head = (
        "Trained on",
        "Runtime",
        r"Score (\%)" if percent else "Score",
        "Solved",
        "Steps",
        "Tokens",
    )
    lines = [r"\begin{table}", r"\centering", tabular("llrrrr", head, list(groups.items()))]
    lines += [rf"\caption{{{escaped(spec.caption)}}}"] if spec.caption else []
    lines += [rf"\label{{{spec.label}}}"] if spec.label else []
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def _solved(row: _Row, form: str) -> str:
    if math.isnan(row.solved):
        return "--"
    if form == "count":
        return f"{row.solved:.0f}" + ("" if math.isnan(row.episodes) else f"/{row.episodes:.0f}")
    return "--" if not row.episodes > 0 else rf"{100 * row.solved / row.episodes:.0f}\%"


def _number(value: float, form: str) -> str:
    return "--" if math.isnan(value) else escaped(f"{value:{form}}")
