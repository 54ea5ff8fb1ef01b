"""Every quantity that is printed, stated once: what it is, which cells have it, how it is formatted.

    number_named("scoreLowPersistentResetEasy").text(evidence)      # "0.000"

The paper's macros, the tables, the claims, results/expected.yaml and the table of values in
docs/results.md all read it here. A number is addressed by the quantity's name, the end of its
interval where one is meant, and the words of its place: score, Low, Persistent (train), Reset
(runtime), Easy (difficulty). A setting is addressed by its place in the profile:
trainingMuonLearningRate.

The same comparison may have a name as a number here, a claim (claims.py) and a contrast
(contrasts.py): ratioTax is the claim tax and the contrast habit; ratioAligned the claim cost and the
contrast aligned, inverted; ratioMismatch the contrast loss, inverted; ratioEfficiency the claim
efficiency and no contrast; diffAligned the claim quality and the contrast aligned; diffInteraction
the claim learned and the contrast interaction.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import reduce
from itertools import product
from operator import getitem
from types import MappingProxyType
from typing import Any

import pandas as pd
from pydantic import BaseModel

from knapsack_lib.analysis.contrasts import CONTRASTS, PLANNED
from knapsack_lib.analysis.evidence import Evidence
from knapsack_lib.analysis.failures import RULES
from knapsack_lib.analysis.intervals import Interval
from knapsack_lib.errors import UserError
from knapsack_lib.families import family_named
from knapsack_lib.profiles import DIFFICULTIES, RUNTIMES, TRAININGS, Profile

__all__ = ["COLUMNS", "NUMBERS", "QUANTITIES", "Number", "Quantity", "number_named", "printed"]

# Column of a frame -> its heading in tables, its format.
COLUMNS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "train": ("train", ""),
        "runtime": ("runtime", ""),
        "train_seed": ("training seed", "d"),
        "n": ("$n$", ",d"),
        "score": ("score", ".3f"),
        "solved": ("solved", ".0%"),
        "finished": ("finished", ".0%"),
        "steps": ("turns", ".1f"),
        "tool_calls": ("tool calls", ".1f"),
        "tokens": ("tokens", ",.0f"),
        "score_per_1k": ("score/1k", ".2f"),
        "missing_variable": ("missing variable", ".0%"),
        "seconds": ("s", ".0f"),
        "with_slip": ("with a slip", ".0%"),
        "first_missing_turn": ("first error, turn", ".1f"),
        "recovered": ("recovered", ".0%"),
        "difference": ("effect", "+.3f"),
        "ratio": ("effect", ".2f"),
        "p": ("$p$", "p"),
        "p_holm": ("Holm $p$", "p"),
        "rank_biserial": ("$r$", "+.2f"),
        "tost": ("TOST", ""),
        "detectable": ("detectable", ".3f"),
    }
)
# Settings that are printed in percent; whole numbers and others are printed as they are.
PERCENT = {"analysis.level", "analysis.power", "gates.share_of_expert", "gates.finished"}
METHODS = {"full": "all weights", "lora": "LoRA", "qlora": "QLoRA"}
OPTIMIZERS = {"muon": "Muon for the matrices, AdamW for the rest", "adamw": "AdamW"}

CELL = (TRAININGS, RUNTIMES, DIFFICULTIES)
SIZE = (DIFFICULTIES,)
TRAIN = (RUNTIMES,)
CONTRAST = ((*CONTRASTS, "model"), DIFFICULTIES)


def printed(value: Any, form: str = "", unit: str = "") -> str:
    """A value as text: a number, a list (its range), or an Interval (with its ends); a dash where
    there is none. The form "p" is that of p values."""
    if isinstance(value, str):
        return value
    if isinstance(value, Interval):
        one, ends = value.estimate, [value.low, value.high]
        tail = "" if math.isnan(value.low) else f" [{', '.join(printed(x, form) for x in ends)}]"
        return printed(one, form, unit) + tail
    if isinstance(value, list):
        ends = [min(value), max(value)] if value else [math.nan]
        return " to ".join(dict.fromkeys(printed(end, form, unit) for end in ends))
    if pd.isna(value):
        return "–"
    if form == "p":
        return "< 0.001" if value < 0.001 else f"{value:.3f}"
    return f"{value:{form or (',d' if isinstance(value, int) else ',g')}}{unit}"


@dataclass(frozen=True)
class Quantity:
    """`of` takes the evidence and a word of each of `axes`. `ends`: it gives an Interval."""

    of: Callable[..., Any]
    form: str = ""
    axes: tuple[tuple[str, ...], ...] = ()
    ends: bool = False
    unit: str = ""


@dataclass(frozen=True)
class Number:
    """A quantity at one place, or one end of its interval."""

    quantity: Quantity
    words: tuple[str, ...]
    end: str

    def whole(self, evidence: Evidence) -> Any:
        """The value, with its interval where it has one. Raises NotThere where these results lack
        it."""
        return self.quantity.of(evidence, *self.words)

    def value(self, evidence: Evidence) -> Any:
        found = self.whole(evidence)
        return getattr(found, self.end) if isinstance(found, Interval) else found

    def printed(self, value: Any) -> str:
        return printed(value, self.quantity.form, self.quantity.unit)

    def text(self, evidence: Evidence) -> str:
        return self.printed(self.value(evidence))


# What each is -------------------------------------------------------------------------------------


def _cell(column: str) -> Quantity:
    return Quantity(
        lambda e, *cell: Interval.of_row(e.cell(*cell), column), COLUMNS[column][1], CELL, ends=True
    )


def _contrast(column: str, form: str) -> Quantity:
    return Quantity(lambda e, name, d: e.contrast("score", d, name)[column], form, CONTRAST)


def _ratio(of: Callable[[Evidence, str], Interval]) -> Quantity:
    return Quantity(of, COLUMNS["ratio"][1], SIZE, ends=True)


def _trace(column: str) -> Quantity:
    return Quantity(lambda e, runtime: e.traces.loc[runtime, column], COLUMNS[column][1], TRAIN)


def _training(of: Callable[[dict[str, Any]], float], form: str = ",d") -> Quantity:
    return Quantity(lambda e, train: [of(one) for one in e.results.training[train]], form, TRAIN)


def _validation_score(record: dict[str, Any]) -> float:
    played = record.get("validation_play", {})
    return played[str(record["chosen_step"])]["score"] if played else math.nan


def _base_size(evidence: Evidence) -> str:
    count = evidence.results.provenance["parameters"]
    return f"{count / 1e6:.2f} million parameters" if count else "its size is in its name"


def _flop(evidence: Evidence) -> float:
    """In 10^15: six operations for each weight and trained token, two for each token of an
    episode."""
    count = evidence.results.provenance["parameters"] or math.nan
    return (6 * evidence.tokens_trained + 2 * evidence.tokens_played) * count / 1e15


def _kept_gap(evidence: Evidence, difficulty: str) -> float:
    """How much of the teacher's token ratio a model trained on reset traces keeps paying where it
    need not, on the log scale."""
    tax, teacher = evidence.token_ratio(difficulty, "habit"), evidence.teacher_ratio
    return math.log(tax.estimate) / math.log(teacher.estimate)


def _failure_rules(evidence: Evidence) -> str:
    """The rules of the classes that occur, in their order."""
    met = set(evidence.failures.failure)
    return "; ".join(f"{name}: {rule.text}" for name, rule in RULES.items() if name in met) + "."


def _settings(model: type[BaseModel], *above: str) -> Iterator[tuple[str, ...]]:
    """The places of all settings that are a number or a text."""
    for name, field in model.model_fields.items():
        kind: Any = field.annotation
        if kind in (int, float, str):
            yield (*above, name)
        elif isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _settings(kind, *above, name)


def _setting(place: tuple[str, ...]) -> Quantity:
    form = ".0%" if ".".join(place) in PERCENT else ""
    return Quantity(lambda e: reduce(getitem, place, e.results.settings), form)


def _camel(*words: str) -> str:
    first, *rest = "_".join(words).split("_")
    return first + "".join(word.capitalize() for word in rest)


QUANTITIES: Mapping[str, Quantity] = MappingProxyType(
    {
        # settings, and what they come to
        **{
            _camel(*(place if place[1:] else ("profile", *place))): _setting(place)
            for place in _settings(Profile)
        },
        "profileDigest": Quantity(lambda e: e.results.provenance["profile_digest"][:12]),
        "rootSeed": Quantity(lambda e: e.results.seed, "d"),
        "baseSize": Quantity(_base_size),
        "trainMethod": Quantity(lambda e: METHODS[e.results.settings["training"]["method"]]),
        "trainOptimizer": Quantity(
            lambda e: OPTIMIZERS[e.results.settings["training"]["optimizer"]]
        ),
        "taskSize": Quantity(
            lambda e, d: family_named(e.results.settings["family"]).describe(
                e.results.settings["difficulties"][d]
            ),
            axes=SIZE,
        ),
        "tostLevel": Quantity(lambda e: 1 - 2 * e.analysis.alpha, ".0%"),
        "plannedTests": Quantity(lambda e: len(PLANNED) * len(DIFFICULTIES)),
        "failureRules": Quantity(_failure_rules),
        "episodesTotal": Quantity(lambda e: len(e.results.cells)),
        "tokensPlayed": Quantity(lambda e: e.tokens_played / 1e6, ".1f", unit=" million"),
        "tokensTrained": Quantity(lambda e: e.tokens_trained / 1e6, ".1f", unit=" million"),
        "computeFlop": Quantity(_flop, ".2f"),
        # the traces and the training
        "traceCount": _trace("n"),
        "traceTokens": _trace("tokens"),
        "traceSlips": _trace("with_slip"),
        "traceRatio": Quantity(lambda e: e.teacher_ratio, COLUMNS["ratio"][1], ends=True),
        "steps": _training(lambda record: record["steps"]),
        "tokensSeen": _training(lambda record: record["tokens_seen"]),
        "chosenStep": _training(lambda record: record["chosen_step"]),
        "validationScore": _training(_validation_score, COLUMNS["score"][1]),
        # cells
        "score": _cell("score"),
        "tokens": _cell("tokens"),
        "finished": _cell("finished"),
        "missing": _cell("missing_variable"),
        "recovered": Quantity(lambda e, *cell: e.recovery(*cell)[0], ".0%", CELL, ends=True),
        "unrecovered": Quantity(
            lambda e, *cell: e.recovery(*cell)[0].complement, ".0%", CELL, ends=True
        ),
        "firstMissing": Quantity(lambda e, *cell: e.recovery(*cell)[1], ".1f", CELL),
        "reliance": Quantity(lambda e, *cell: e.reliance(*cell), ".0%", CELL),
        "restated": Quantity(lambda e, *cell: e.state.loc[cell, "restated"], ".0%", CELL),
        "again": Quantity(lambda e, *cell: e.state.loc[cell, "again"], ".0%", CELL),
        "bestBase": Quantity(
            lambda e, d: max(e.cell("base", runtime, d).score for runtime in RUNTIMES),
            COLUMNS["score"][1],
            SIZE,
        ),
        "expertScore": Quantity(lambda e, d: e.expert(d), COLUMNS["score"][1], SIZE),
        "ofExpert": Quantity(
            lambda e, aligned, d: e.cell(aligned, aligned, d).score / e.expert(d),
            ".0%",
            (RUNTIMES, DIFFICULTIES),
        ),
        # between cells
        "ratioTax": _ratio(lambda e, d: e.token_ratio(d, "habit")),
        "ratioAligned": _ratio(lambda e, d: e.token_ratio(d, "aligned").inverse),
        "ratioMismatch": _ratio(lambda e, d: e.token_ratio(d, "loss").inverse),
        "ratioEfficiency": _ratio(lambda e, d: e.efficiency(d)),
        "keptGap": Quantity(_kept_gap, ".0%", SIZE),
        "diff": Quantity(
            lambda e, name, d: e.effect("score", d, name),
            COLUMNS["difference"][1],
            CONTRAST,
            ends=True,
        ),
        "p": _contrast("p", "p"),
        "holm": _contrast("p_holm", "p"),
        "tost": _contrast("tost", ""),
        "tostLow": _contrast("tost_low", "+.3f"),
        "tostHigh": _contrast("tost_high", "+.3f"),
        "detectable": _contrast("detectable", COLUMNS["detectable"][1]),
        "seedLow": _contrast("seed_low", "+.3f"),
        "seedHigh": _contrast("seed_high", "+.3f"),
        "pMissing": Quantity(lambda e, d: e.contrast("missing", d, "loss").p, "p", SIZE),
        "tasksNeeded": Quantity(lambda e, d: e.tasks_needed(d), ",.0f", SIZE),
    }
)


def _numbers() -> Iterator[tuple[str, Number]]:
    for name, quantity in QUANTITIES.items():
        ends = {"": "estimate"} | ({"Low": "low", "High": "high"} if quantity.ends else {})
        for words, (end, field) in product(product(*quantity.axes), ends.items()):
            place = "".join(word.capitalize() for word in words)
            yield name + end + place, Number(quantity, words, field)


NUMBERS: Mapping[str, Number] = MappingProxyType(dict(_numbers()))


def number_named(address: str) -> Number:
    """The number of an address. Raises UserError with the nearest addresses."""
    if address not in NUMBERS:
        near = ", ".join(get_close_matches(address, NUMBERS, 3)) or "one of analysis/quantities.py"
        raise UserError(f"there is no number {address}; perhaps: {near}")
    return NUMBERS[address]
