r"""paper/numbers.tex: one \newcommand for every number that the paper's prose uses.

    write(results, folder / "numbers.tex")

Names are letters only. A cell's macros end in its words: \scorePersistentResetEasy is the score of
the model trained on persistent traces that acts in the reset runtime on easy tasks; Low and High
are the ends of its 95% interval.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from knapsack_lib.analysis.claims import kept_of_the_teachers_gap, p_text, verdicts
from knapsack_lib.analysis.contrasts import PLANNED
from knapsack_lib.analysis.evidence import Evidence
from knapsack_lib.analysis.intervals import Interval
from knapsack_lib.analysis.latex import escaped
from knapsack_lib.analysis.metrics import CELL
from knapsack_lib.analysis.output import write_tex
from knapsack_lib.analysis.tables import rules_text, teacher_table
from knapsack_lib.families import family_named
from knapsack_lib.profiles import DIFFICULTIES, RUNTIMES

__all__ = ["numbers", "write"]

CELL_FORMS = {  # macro's first word -> (column of the main table, format)
    "score": ("score", ".3f"),
    "scoreLow": ("score_low", ".3f"),
    "scoreHigh": ("score_high", ".3f"),
    "solved": ("solved", ".0%"),
    "finished": ("finished", ".0%"),
    "turns": ("steps", ".1f"),
    "tokens": ("tokens", ",.0f"),
    "tokensLow": ("tokens_low", ",.0f"),
    "tokensHigh": ("tokens_high", ",.0f"),
    "seconds": ("seconds", ".1f"),
    "perThousand": ("score_per_1k", ".2f"),
    "missing": ("missing_variable", ".0%"),
    "missingLow": ("missing_variable_low", ".0%"),
    "missingHigh": ("missing_variable_high", ".0%"),
}
TEACHER_FORMS = {
    "traceScore": ("score", ".3f"),
    "traceSolved": ("solved", ".0%"),
    "traceTurns": ("steps", ".1f"),
    "traceCalls": ("tool_calls", ".1f"),
    "traceTokens": ("tokens", ",.0f"),
    "traceSlips": ("with_slip", ".0%"),
    "traceCount": ("n", ",d"),
}


def write(evidence: Evidence, path: Path) -> Path:
    r"""Write the macros, one \newcommand a line."""
    lines = [
        rf"\newcommand{{\{name}}}{{{escaped(value)}}}" for name, value in numbers(evidence).items()
    ]
    return write_tex("\n".join(lines), path, evidence.results.stamp)


def numbers(evidence: Evidence) -> dict[str, str]:
    """Macro name -> plain text, in a fixed order. Raises ValueError should two macros share a name."""
    parts = (
        _settings,
        _training_settings,
        _cells,
        _teacher,
        _ratios,
        _contrasts,
        _state,
        _verdicts,
        _training,
    )
    pairs = [pair for part in parts for pair in part(evidence)]
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("two macros share a name")
    return {name: "–" if re.search(r"\bnan\b", value) else value for name, value in found.items()}


def _settings(evidence: Evidence) -> Iterator[tuple[str, str]]:
    results, own, judged = evidence.results, evidence.results.settings, evidence.analysis
    yield "profileName", own["name"]
    yield "profileDigest", results.provenance["profile_digest"][:12]
    yield "rootSeed", str(results.seed)
    yield "trainSeeds", str(evidence.train_seeds)
    count = results.provenance["parameters"]
    yield "baseModel", own["training"]["base"]
    yield (
        "baseSize",
        f"{count / 1e6:.2f} million parameters" if count else "its size is in its name",
    )
    yield "level", f"{judged.level:.0%}"
    yield "resamples", f"{judged.resamples:,}"
    yield "alphaLevel", f"{judged.alpha:g}"
    yield "margin", f"{judged.margin:g}"
    yield "tostLevel", f"{1 - 2 * judged.alpha:.0%}"
    yield "powerWanted", f"{judged.power:.0%}"
    yield "familySize", str(len(PLANNED) * len(DIFFICULTIES))
    yield "temperature", f"{own['evaluation']['temperature']:g}"
    yield "shardSize", str(own["evaluation"]["shard"])
    yield "newTokens", f"{own['evaluation']['max_new_tokens']:,}"
    yield "contextTokens", f"{own['evaluation']['context']:,}"
    for name, key in (
        ("turnLimit", "turns"),
        ("callLimit", "tool_calls"),
        ("wallLimit", "wall_seconds"),
        ("memoryLimit", "memory_mb"),
        ("outputLimit", "output_chars"),
    ):
        yield name, f"{own['limits'][key]:,g}"
    yield "validationTasks", str(own["tasks"]["validation"])
    family = family_named(own["family"])
    for difficulty, size in own["difficulties"].items():
        yield f"items{difficulty.capitalize()}", family.describe(size).removesuffix(" items")
    yield "gateShare", f"{own['gates']['share_of_expert']:.0%}"
    yield "gateFinished", f"{own['gates']['finished']:.0%}"
    yield "failureRules", rules_text(evidence)
    yield "episodesTotal", f"{len(results.cells):,}"
    spent = int(results.cells.tokens.sum())
    seen = sum(record["tokens_seen"] for records in results.training.values() for record in records)
    yield "evaluationTokens", f"{spent / 1e6:.1f} million"
    yield "trainingTokens", f"{seen / 1e6:.1f} million"
    flop = (6 * seen + 2 * spent) * (count or 0)
    yield "computeFlop", f"{flop / 1e15:.2f}" if count else "–"


def _training_settings(evidence: Evidence) -> Iterator[tuple[str, str]]:
    own, base = evidence.results.settings["training"], evidence.results.settings["base"]
    yield "trainMethod", {"full": "all weights", "lora": "LoRA", "qlora": "QLoRA"}[own["method"]]
    yield (
        "trainOptimizer",
        {"muon": "Muon for the matrices, AdamW for the rest", "adamw": "AdamW"}[own["optimizer"]],
    )
    yield "episodesPerStep", str(own["episodes_per_step"])
    for name, key in (
        ("learningRate", "learning_rate"),
        ("matrixRate", "muon_learning_rate"),
        ("weightDecay", "weight_decay"),
        ("warmupShare", "warmup_ratio"),
        ("decayShare", "decay_ratio"),
        ("averageDecay", "ema_decay"),
    ):
        yield name, f"{own[key]:g}"
    yield "maxTokens", f"{own['max_tokens']:,}"
    for name, key in (
        ("baseHidden", "hidden"),
        ("baseLayers", "layers"),
        ("baseHeads", "heads"),
        ("baseFeedForward", "feed_forward"),
        ("baseVocabulary", "vocabulary"),
    ):
        yield name, str(base[key])
    yield "baseTokens", f"{base['tokens'] / 1e6:g} million"


def _cells(evidence: Evidence) -> Iterator[tuple[str, str]]:
    for row in evidence.summary.to_dict("records"):
        words = "".join(row[name].capitalize() for name in CELL)
        for name, (column, form) in CELL_FORMS.items():
            yield name + words, f"{row[column]:{form}}"
    cells = evidence.results.cells
    for difficulty in DIFFICULTIES:
        expert, here = evidence.expert(difficulty), difficulty.capitalize()
        yield f"tasks{here}", str(cells[cells.difficulty == difficulty].task_id.nunique())
        yield f"expertScore{here}", f"{expert:.3f}"
        for regime in RUNTIMES:
            yield (
                f"ofExpert{regime.capitalize()}{here}",
                f"{evidence.cell(regime, regime, difficulty).score / expert:.0%}",
            )
    for train in RUNTIMES:
        for runtime in RUNTIMES:
            for difficulty in DIFFICULTIES:
                share, turn = evidence.recovery(train, runtime, difficulty)
                words = train.capitalize() + runtime.capitalize() + difficulty.capitalize()
                yield f"firstMissing{words}", f"{turn:.1f}"
                yield from _interval("recovered", words, share, ".0%")


def _teacher(evidence: Evidence) -> Iterator[tuple[str, str]]:
    for row in teacher_table(evidence).to_dict("records"):
        for name, (column, form) in TEACHER_FORMS.items():
            yield name + row["regime"].capitalize(), f"{row[column]:{form}}"
    yield from _interval("traceRatio", "", evidence.teacher_ratio, ".2f")


def _ratios(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Token ratios by the names that the prose uses, and score per token."""
    for difficulty in DIFFICULTIES:
        words = difficulty.capitalize()
        yield from _interval(
            "ratioAligned", words, evidence.token_ratio(difficulty, "aligned", inverse=True), ".2f"
        )
        yield from _interval("ratioTax", words, evidence.token_ratio(difficulty, "habit"), ".2f")
        yield from _interval(
            "ratioBroken", words, evidence.token_ratio(difficulty, "loss", inverse=True), ".2f"
        )
        yield from _interval("ratioEfficiency", words, evidence.efficiency(difficulty), ".2f")
        yield f"keptGap{words}", f"{kept_of_the_teachers_gap(evidence, difficulty):.0%}"


def _contrasts(evidence: Evidence) -> Iterator[tuple[str, str]]:
    for row in evidence.contrasts[evidence.contrasts.outcome == "score"].itertuples():
        words, name = row.difficulty.capitalize(), row.contrast.capitalize()
        for end in ("effect", "low", "high"):
            yield (
                f"diff{'' if end == 'effect' else end.capitalize()}{name}{words}",
                f"{getattr(row, end):+.3f}",
            )
        yield f"p{name}{words}", p_text(row.p)
        if row.planned:
            yield f"holm{name}{words}", p_text(row.p_holm)
        if row.contrast != "model":
            yield f"tost{name}{words}", {"none": "no test"}.get(str(row.tost), str(row.tost))
            yield f"tostLow{name}{words}", f"{row.tost_low:+.3f}"
            yield f"tostHigh{name}{words}", f"{row.tost_high:+.3f}"
            yield f"detectable{name}{words}", f"{row.detectable:.3f}"
            yield f"seedLow{name}{words}", f"{row.seed_low:+.3f}"
            yield f"seedHigh{name}{words}", f"{row.seed_high:+.3f}"
    for difficulty, rows in evidence.power.groupby("difficulty"):
        yield f"tasksNeeded{str(difficulty).capitalize()}", f"{rows.needed.iloc[0]:,.0f}"
    for difficulty in DIFFICULTIES:
        yield (
            f"pMissing{difficulty.capitalize()}",
            p_text(evidence.contrast("missing", difficulty, "loss").p),
        )


def _state(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """What the blocks say about state, over turns after the first that hold Python."""
    turns = evidence.results.turns
    later = turns[(turns.turn > 1) & turns.code]
    for train in RUNTIMES:
        for runtime in RUNTIMES:
            for difficulty in DIFFICULTIES:
                mine = (
                    (turns.train == train)
                    & (turns.runtime == runtime)
                    & (turns.difficulty == difficulty)
                )
                words = train.capitalize() + runtime.capitalize() + difficulty.capitalize()
                here, every = later[mine.reindex(later.index)], turns[mine]
                spent = every.completion_tokens.sum()
                yield f"reliance{words}", f"{(here.reads_earlier > 0).mean():.0%}"
                yield (
                    f"restated{words}",
                    f"{(every.restated * every.completion_tokens).sum() / spent:.0%}",
                )
                yield (
                    f"again{words}",
                    f"{(every.again * every.completion_tokens).sum() / spent:.0%}",
                )


def _verdicts(evidence: Evidence) -> Iterator[tuple[str, str]]:
    for key, judged in verdicts(evidence).items():
        for difficulty, word in judged.items():
            yield f"verdict{key.capitalize()}{difficulty.capitalize()}", word


def _interval(name: str, words: str, value: Interval, form: str) -> Iterator[tuple[str, str]]:
    for end, number in (("", value.estimate), ("Low", value.low), ("High", value.high)):
        yield f"{name}{end}{words}", f"{number:{form}}"


def _training(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Of the first adapter of each regime where they are all alike, else the range."""
    for train, records in evidence.results.training.items():
        words = train.capitalize()
        played = [
            record["validation_play"][str(record["chosen_step"])]["score"]
            for record in records
            if "validation_play" in record
        ]
        yield f"steps{words}", f"{records[0]['steps']:,}"
        yield f"tokensSeen{words}", _range([record["tokens_seen"] for record in records], ",.0f")
        yield (
            f"assistantTokensSeen{words}",
            _range([record["assistant_tokens_seen"] for record in records], ",.0f"),
        )
        yield f"chosenStep{words}", _range([record["chosen_step"] for record in records], ",.0f")
        yield f"validationScore{words}", _range(played, ".3f") if played else "–"


def _range(values: list[float], form: str) -> str:
    low, high = f"{min(values):{form}}", f"{max(values):{form}}"
    return low if low == high else f"{low} to {high}"
