"""The original paper's claims, the rule by which each is judged, and what our episodes say.

    table = claims(Evidence(results))       # claim, paper, easy, medium, verdict, rule

The rules were written before the second and third adapters of a training were played; the first is
that of an earlier run, whose results had been seen. No number of ours stands in them. A rule gives,
at each difficulty: supported, not supported, or untestable (at this scale, or with these data). The
paper's figures are those of arXiv 2603.01209 (an 8B model); ratios and percentages marked * are
worked out from them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import pandas as pd

from knapsack_lib.analysis.evidence import Evidence, NotThere
from knapsack_lib.analysis.quantities import NUMBERS, Number, number_named
from knapsack_lib.profiles import DIFFICULTIES

__all__ = ["CLAIMS", "Claim", "claims", "verdict_text", "verdicts"]

YES, NO, OPEN, NONE = "supported", "not supported", "untestable", "–"
# The log of the tax over the log of the teacher's ratio
PAPER_KEPT = math.log(3.5) / math.log(55_516 / 18_337)


@dataclass(frozen=True)
class Claim:
    """`ours` names numbers of quantities.py without their difficulty: {name} is printed alone, [name] with its
    interval. `judge` takes the evidence and a difficulty. `trained_on`: of the traces, so for easy tasks alone."""

    text: str
    paper: str
    rule: str
    ours: str
    judge: Callable[[Evidence, str], str]
    trained_on: bool = False


def _number(name: str, difficulty: str) -> Number:
    """That of the difficulty, or of all where it has none."""
    here = name + difficulty.capitalize()
    return number_named(here if here in NUMBERS else name)


def _above(name: str, bound: float) -> Callable[[Evidence, str], str]:
    def judge(evidence: Evidence, difficulty: str) -> str:
        low = _number(name, difficulty).whole(evidence).low
        return OPEN if math.isnan(low) else YES if low > bound else NO

    return judge


def _learned(evidence: Evidence, difficulty: str) -> str:
    row = evidence.contrast("score", difficulty, "interaction")
    if math.isnan(row.p_holm):
        return OPEN
    return YES if row.p_holm < evidence.analysis.alpha and row.effect > 0 else NO


def _leans(evidence: Evidence, difficulty: str) -> str:
    rate = _above("missingPersistentReset", 0.5)(evidence, difficulty)
    test = evidence.contrast("missing", difficulty, "loss")
    if rate != YES:
        return rate
    if math.isnan(test.p):
        return OPEN
    return YES if test.effect < 0 and test.p < evidence.analysis.alpha else NO


def _equal(evidence: Evidence, difficulty: str) -> str:
    row = evidence.contrast("score", difficulty, "aligned")
    if row.tost == "equivalent":
        return YES
    return NO if row.tost == "not shown" and row.p < evidence.analysis.alpha else OPEN


def _ours(claim: Claim, evidence: Evidence, difficulty: str) -> str:
    """The claim's numbers; a dash where there is none of them."""
    texts: list[str] = []

    def text(found: re.Match[str]) -> str:
        number = _number(found[1] or found[2], difficulty)
        value = number.value(evidence) if found[1] else number.whole(evidence)
        texts.append(number.printed(value))
        return texts[-1]

    filled = re.sub(r"\{(\w+)\}|\[(\w+)\]", text, claim.ours)
    return NONE if set(texts) == {NONE} else filled


CLAIMS: Mapping[str, Claim] = MappingProxyType(
    {
        "learned": Claim(
            "what the runtime does to the score depends on the training traces",
            "the cells fail in different ways",
            "training × runtime on score is above 0 with Holm's p below α",
            "[diffInteraction], Holm p {holmInteraction}",
            _learned,
        ),
        "leans": Claim(
            "persistent→reset: episodes with a missing-variable error",
            "about 80%",
            "the lower end of the rate is above 50%, and McNemar against persistent→persistent gives p below α",
            "[missingPersistentReset]",
            _leans,
        ),
        "cascades": Claim(
            "persistent→reset: of these, the episodes that do not recover",
            "cascading recovery loops",
            "the lower end of the share that does not recover is above 50%",
            "[unrecoveredPersistentReset]; first error in turn {firstMissingPersistentReset}",
            _above("unrecoveredPersistentReset", 0.5),
        ),
        "tax": Claim(
            "reset→persistent over persistent→persistent: tokens",
            "about 3.5×",
            "the lower end of the ratio is above 1",
            "[ratioTax]×",
            _above("ratioTax", 1),
        ),
        "kept": Claim(
            "the same, as a share of the teacher's token ratio (log scale)",
            f"{PAPER_KEPT:.0%}*",
            "none: a description that is comparable across scales",
            "{keptGap}",
            lambda evidence, difficulty: NONE,
        ),
        "cost": Claim(
            "reset→reset over persistent→persistent: tokens",
            "easy 2.99×*, hard 3.65×*",
            "the lower end of the ratio is above 1",
            "[ratioAligned]×",
            _above("ratioAligned", 1),
        ),
        "efficiency": Claim(
            "score per 1k tokens: persistent→persistent over reset→reset",
            "easy 2.97×*, hard 4.05×*",
            "the lower end of the ratio is above 1",
            "[ratioEfficiency]×",
            _above("ratioEfficiency", 1),
        ),
        "quality": Claim(
            "persistent→persistent − reset→reset: score",
            "no significant difference (n = 100)",
            "supported if TOST shows equivalence; not supported if not and Wilcoxon's p is below α; else untestable",
            "[diffAligned]; TOST ±{analysisMargin}: {tostAligned}; smallest detectable {detectableAligned}",
            _equal,
        ),
        "traces": Claim(
            "teacher's tokens an episode: persistent; reset; ratio",
            "18,337; 55,516; 3.03×*",
            "the lower end of the ratio is above 1",
            "{traceTokensPersistent}; {traceTokensReset}; [traceRatio]×",
            _above("traceRatio", 1),
            trained_on=True,
        ),
        "base": Claim(
            "base model: score and tokens in the persistent; reset runtime",
            "below 8%, hundreds of thousands",
            "untestable here: our base was trained from scratch and knows nothing but bookkeeping sessions",
            "{scoreBasePersistent}, {tokensBasePersistent} tokens; {scoreBaseReset}, {tokensBaseReset} tokens",
            lambda evidence, difficulty: OPEN,
        ),
    }
)


def _asked(claim: Claim, evidence: Evidence, difficulty: str) -> tuple[str, str]:
    """What we found, and the verdict."""
    if claim.trained_on and difficulty != "easy":
        return "not trained on", NONE
    try:
        return _ours(claim, evidence, difficulty), claim.judge(evidence, difficulty)
    except NotThere as lacking:
        return str(lacking), OPEN


def verdicts(evidence: Evidence) -> dict[str, dict[str, str]]:
    """Claim -> difficulty -> verdict."""
    return {
        key: {d: _asked(claim, evidence, d)[1] for d in DIFFICULTIES}
        for key, claim in CLAIMS.items()
    }


def claims(evidence: Evidence) -> pd.DataFrame:
    """A row per claim: the paper's figure, ours at each difficulty with intervals, the verdict and
    its rule."""
    rows = []
    for claim in CLAIMS.values():
        found = {d: _asked(claim, evidence, d) for d in DIFFICULTIES}
        rows.append(
            {
                "claim": claim.text,
                "paper": claim.paper,
                **{d: ours for d, (ours, _) in found.items()},
                "verdict": verdict_text({d: verdict for d, (_, verdict) in found.items()}),
                "rule": claim.rule,
            }
        )
    return pd.DataFrame(rows)


def verdict_text(judged: Mapping[str, str]) -> str:
    """One verdict where the difficulties agree (or one of them has none), else both."""
    given = {difficulty: verdict for difficulty, verdict in judged.items() if verdict != NONE}
    if len(set(given.values())) <= 1:
        return next(iter(given.values()), NONE)
    return "; ".join(f"{difficulty}: {verdict}" for difficulty, verdict in given.items())
