"""The original paper's claims, the rule by which each is judged, and what our episodes say.

    table = claims(Evidence(results))       # claim, paper, easy, medium, verdict, rule

The rules were written before the second and third adapters of a regime were played; the first is
that of an earlier run, whose results had been seen. No number of ours stands in them. A rule gives,
at each difficulty: supported, not supported, or untestable (at this scale, or with these data). The
paper's figures are those of arXiv 2603.01209 (an 8B model); ratios and percentages marked * are
worked out from them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import pandas as pd

from knapsack_lib.analysis.evidence import Evidence, NotThere, training_traces
from knapsack_lib.analysis.intervals import Interval, rate_interval
from knapsack_lib.profiles import DIFFICULTIES

__all__ = ["CLAIMS", "Claim", "claims", "kept_of_the_teachers_gap", "verdicts"]

YES, NO, OPEN = "supported", "not supported", "untestable"
NOT_TRAINED_ON = "not trained on"
PAPER_KEPT = math.log(3.5) / math.log(
    55_516 / 18_337
)  # log of the tax over log of the teacher's ratio


@dataclass(frozen=True)
class Claim:
    """`ours` and `judge` take the evidence and a difficulty."""

    text: str
    paper: str
    rule: str
    ours: Callable[[Evidence, str], str]
    judge: Callable[[Evidence, str], str]


def kept_of_the_teachers_gap(evidence: Evidence, difficulty: str) -> float:
    """How much of the teacher's token ratio the reset-trained model goes on paying where it need
    not, on the log scale."""
    return math.log(evidence.token_ratio(difficulty, "habit").estimate) / math.log(
        evidence.teacher_ratio.estimate
    )


def _above(value: Interval, bound: float) -> str:
    return OPEN if math.isnan(value.low) else YES if value.low > bound else NO


def _learned(evidence: Evidence, difficulty: str) -> str:
    row = evidence.contrast("score", difficulty, "interaction")
    return (
        OPEN
        if math.isnan(row.p_holm)
        else YES
        if row.p_holm < evidence.analysis.alpha and row.effect > 0
        else NO
    )


def _missing(evidence: Evidence, difficulty: str) -> Interval:
    row = evidence.cell("persistent", "reset", difficulty)
    return rate_interval(row.missing_variable * row.n, int(row.n), level=evidence.analysis.level)


def _leans(evidence: Evidence, difficulty: str) -> str:
    rate, test = _missing(evidence, difficulty), evidence.contrast("missing", difficulty, "loss")
    if math.isnan(rate.low) or (rate.low > 0.5 and math.isnan(test.p)):
        return OPEN
    return YES if rate.low > 0.5 and test.effect < 0 and test.p < evidence.analysis.alpha else NO


def _unrecovered(evidence: Evidence, difficulty: str) -> Interval:
    share, _ = evidence.recovery("persistent", "reset", difficulty)
    return Interval(
        1 - share.estimate, 1 - share.high, 1 - share.low, share.n, share.method, share.note
    )


def _cascade_text(evidence: Evidence, difficulty: str) -> str:
    _, turn = evidence.recovery("persistent", "reset", difficulty)
    share = _unrecovered(evidence, difficulty)
    return (
        "no such error"
        if math.isnan(turn)
        else f"{_span(share, '.0%')}; first error in turn {turn:.1f}"
    )


def _equal(evidence: Evidence, difficulty: str) -> str:
    row = evidence.contrast("score", difficulty, "aligned")
    if row.tost == "none":
        return OPEN
    return YES if row.tost == "equivalent" else NO if row.p < evidence.analysis.alpha else OPEN


def _equal_text(evidence: Evidence, difficulty: str) -> str:
    row = evidence.contrast("score", difficulty, "aligned")
    margin = f"TOST ±{evidence.analysis.margin:g}: {row.tost}"
    effect = Interval(row.effect, row.low, row.high, int(row.n), row.method)
    return (
        f"{_span(effect, '+.3f')}; {margin}; smallest detectable {_number(row.detectable, '.3f')}"
    )


def _traces(evidence: Evidence, difficulty: str) -> str:
    if difficulty != "easy":
        return NOT_TRAINED_ON
    ratio = _times(evidence.teacher_ratio)
    mean = training_traces(evidence.results.teacher).groupby("runtime").tokens.mean()
    return f"{mean['persistent']:,.0f}; {mean['reset']:,.0f}; {ratio}"


def _score_text(evidence: Evidence, difficulty: str) -> str:
    row = evidence.contrast("score", difficulty, "interaction")
    effect = Interval(row.effect, row.low, row.high, int(row.n), row.method)
    return f"{_span(effect, '+.3f')}, Holm p {p_text(row.p_holm)}"


def p_text(p: float) -> str:
    """A p value as it is printed."""
    return "–" if math.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"


def _base_text(evidence: Evidence, difficulty: str) -> str:
    cells = [evidence.cell("base", runtime, difficulty) for runtime in ("persistent", "reset")]
    return "; ".join(f"{cell.score:.1%}, {cell.tokens:,.0f} tokens" for cell in cells)


def _number(value: float, form: str) -> str:
    return "–" if math.isnan(value) else f"{value:{form}}"


def _span(value: Interval, form: str) -> str:
    if math.isnan(value.low):
        return _number(value.estimate, form)
    return f"{value.estimate:{form}} [{value.low:{form}}, {value.high:{form}}]"


def _times(value: Interval) -> str:
    return "–" if math.isnan(value.estimate) else f"{_span(value, '.2f')}×"


def _ratio(
    name: str, inverse: bool = False
) -> tuple[Callable[[Evidence, str], str], Callable[[Evidence, str], str]]:
    return (
        lambda evidence, d: _times(evidence.token_ratio(d, name, inverse)),
        lambda evidence, d: _above(evidence.token_ratio(d, name, inverse), 1),
    )


CLAIMS: Mapping[str, Claim] = MappingProxyType(
    {
        "learned": Claim(
            "what the runtime does to the score depends on the training traces",
            "the cells fail in different ways",
            "training × runtime on score is above 0 with Holm's p below α",
            _score_text,
            _learned,
        ),
        "leans": Claim(
            "persistent→reset: episodes with a missing-variable error",
            "about 80%",
            "the lower end of the rate is above 50%, and McNemar against persistent→persistent gives p below α",
            lambda e, d: _span(_missing(e, d), ".0%"),
            _leans,
        ),
        "cascades": Claim(
            "persistent→reset: of these, the episodes that do not recover",
            "cascading recovery loops",
            "the lower end of the share that does not recover is above 50%",
            _cascade_text,
            lambda e, d: _above(_unrecovered(e, d), 0.5),
        ),
        "tax": Claim(
            "reset→persistent over persistent→persistent: tokens",
            "about 3.5×",
            "the lower end of the ratio is above 1",
            *_ratio("habit"),
        ),
        "kept": Claim(
            "the same, as a share of the teacher's token ratio (log scale)",
            f"{PAPER_KEPT:.0%}*",
            "none: a description that is comparable across scales",
            lambda e, d: _number(kept_of_the_teachers_gap(e, d), ".0%"),
            lambda e, d: "–",
        ),
        "cost": Claim(
            "reset→reset over persistent→persistent: tokens",
            "easy 2.99×*, hard 3.65×*",
            "the lower end of the ratio is above 1",
            *_ratio("aligned", inverse=True),
        ),
        "efficiency": Claim(
            "score per 1k tokens: persistent→persistent over reset→reset",
            "easy 2.97×*, hard 4.05×*",
            "the lower end of the ratio is above 1",
            lambda e, d: _times(e.efficiency(d)),
            lambda e, d: _above(e.efficiency(d), 1),
        ),
        "quality": Claim(
            "persistent→persistent − reset→reset: score",
            "no significant difference (n = 100)",
            "supported if TOST shows equivalence; not supported if not and Wilcoxon's p is below α; else untestable",
            _equal_text,
            _equal,
        ),
        "traces": Claim(
            "teacher's tokens an episode: persistent; reset; ratio",
            "18,337; 55,516; 3.03×*",
            "the lower end of the ratio is above 1",
            _traces,
            lambda e, d: _above(e.teacher_ratio, 1) if d == "easy" else "–",
        ),
        "base": Claim(
            "base model: score and tokens in the persistent; reset runtime",
            "below 8%, hundreds of thousands",
            "untestable here: our base was trained from scratch and knows nothing but bookkeeping sessions",
            _base_text,
            lambda e, d: OPEN,
        ),
    }
)


def verdicts(evidence: Evidence) -> dict[str, dict[str, str]]:
    """Claim -> difficulty -> verdict."""
    return {
        key: {d: _asked(claim.judge, evidence, d, OPEN) for d in DIFFICULTIES}
        for key, claim in CLAIMS.items()
    }


def _asked(
    question: Callable[[Evidence, str], str], evidence: Evidence, difficulty: str, otherwise: str
) -> str:
    try:
        return question(evidence, difficulty)
    except NotThere as lacking:
        return otherwise or str(lacking)


def claims(evidence: Evidence) -> pd.DataFrame:
    """A row per claim: the paper's figure, ours at each difficulty with intervals, the verdict and
    its rule."""
    judged = verdicts(evidence)
    rows = [
        {
            "claim": claim.text,
            "paper": claim.paper,
            **{d: _asked(claim.ours, evidence, d, "") for d in DIFFICULTIES},
            "verdict": verdict_text(judged[key]),
            "rule": claim.rule,
        }
        for key, claim in CLAIMS.items()
    ]
    return pd.DataFrame(rows)


def verdict_text(judged: Mapping[str, str]) -> str:
    """One verdict where the difficulties agree (or one of them has none), else both."""
    said = {difficulty: word for difficulty, word in judged.items() if word != "–"}
    if len(set(said.values())) <= 1:
        return next(iter(said.values()), "–")
    return "; ".join(f"{difficulty}: {word}" for difficulty, word in said.items())
