"""Why an episode did not end well: exactly one class each, by ordered rules. Nothing is read but
the episode itself.

    failure_of(episode)                  # "" when it ended well, else one of the names in RULES
    after_missing(episode)               # what came of its first missing-variable error
    failure_counts(results.cells)        # classes x cells

An episode ends well when it calls finish() with at least one item taken; how good the items were is
the score's business. The first rule of RULES that fits gives the class, and RULES' sentences are
the note under the table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import pandas as pd

from knapsack_lib.episodes import ACTED, Episode, Turn
from knapsack_lib.families import family_or_unknown

__all__ = [
    "MISSING",
    "RULES",
    "AfterMissing",
    "after_missing",
    "ended_well",
    "failure_counts",
    "failure_of",
    "trouble",
]

# The code used a name that its interpreter does not hold
MISSING = (
    "NameError",
    "UnboundLocalError",
)
SYNTAX = ("SyntaxError", "IndentationError", "TabError")
# Of a tool; what the task forbids is another error
WRONG_ARGUMENTS = (
    "TypeError",
    "ValueError",
    "KeyError",
)
# The finish of an episode that the harness, the server or the network ended
INFRASTRUCTURE = "infrastructure"


def _attempted(episode: Episode) -> bool:
    return family_or_unknown(episode.family).attempted(episode.result)


def ended_well(episode: Episode) -> bool:
    """Whether it was ended by finish() with something handed in."""
    return episode.finish_reason == "finish" and _attempted(episode)


def trouble(turn: Turn) -> str:
    """What went wrong in a turn, "" if nothing: missing, syntax, tool, refused, no_code, cut_off,
    other.

    A tool that refuses is trouble even when the block catches the error, unless another call of the
    block was granted something: probing for a forbidden class is how the task is played.
    """
    if turn.parse_status in ("cut_off", "context"):
        return "cut_off"
    if turn.parse_status not in ACTED:
        return "no_code"
    if turn.error_type in MISSING:
        return "missing"
    if turn.error_type in SYNTAX:
        return "syntax"
    refusals = [call["error"].partition(":")[0] for call in turn.tool_calls if call["error"]]
    if refusals and (turn.error_type == refusals[-1] or len(refusals) == len(turn.tool_calls)):
        return "tool" if refusals[-1] in WRONG_ARGUMENTS else "refused"
    return "other" if turn.error_type is not None or turn.killed_by is not None else ""


@dataclass(frozen=True)
class AfterMissing:
    """The turn (from 1) of the first missing-variable error, and the share of the turns after it
    without trouble."""

    turn: int
    clean: float

    @property
    def recovered(self) -> bool:
        return self.clean > 0.5


def after_missing(episode: Episode) -> AfterMissing | None:
    """None for an episode without such an error. After an error in the last turn nothing was
    recovered: clean = 0."""
    kinds = [trouble(turn) for turn in episode.turns]
    if "missing" not in kinds:
        return None
    first = kinds.index("missing")
    later = kinds[first + 1 :]
    return AfterMissing(first + 1, sum(not kind for kind in later) / len(later) if later else 0.0)


def _third(kind: str) -> Callable[[Episode], bool]:
    return lambda episode: (
        3 * sum(trouble(turn) == kind for turn in episode.turns) >= max(1, len(episode.turns))
    )


def _met_missing(episode: Episode, recovered: bool) -> bool:
    met = after_missing(episode)
    return met is not None and met.recovered == recovered


def _called(episode: Episode) -> bool:
    """Whether a tool was called; the authors' files do not record calls, but what was inspected or
    taken."""
    return family_or_unknown(episode.family).explored(episode.result) or any(
        turn.tool_calls for turn in episode.turns
    )


@dataclass(frozen=True)
class Rule:
    text: str
    fits: Callable[[Episode], bool]


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "infrastructure": Rule(
            "the harness, the server or the network ended it: no failure of the model",
            lambda e: e.finish_reason == INFRASTRUCTURE,
        ),
        "cut off": Rule(
            "the context was full, or the last reply was cut at its token limit",
            lambda e: (
                e.finish_reason == "context" or bool(e.turns and trouble(e.turns[-1]) == "cut_off")
            ),
        ),
        "missing variable, cascade": Rule(
            "a missing-variable error, and at most half of the turns after the first one went without trouble",
            lambda e: _met_missing(e, recovered=False),
        ),
        "syntax": Rule(
            "in at least a third of its turns the block was no Python", _third("syntax")
        ),
        "wrong tool use": Rule(
            "in at least a third of its turns a tool was called with wrong arguments",
            _third("tool"),
        ),
        "refusal loop": Rule(
            "in at least a third of its turns a tool refused what the task forbids",
            _third("refused"),
        ),
        "no code": Rule(
            "at least a third of its replies held no single block that could be run",
            _third("no_code"),
        ),
        "other error": Rule(
            "at least a third of its turns ended in another error or were stopped", _third("other")
        ),
        "time limit": Rule(
            "none of these, and its time was up", lambda e: e.finish_reason == "timeout"
        ),
        "no tool called": Rule(
            "none of these, and no tool was called in any turn", lambda e: not _called(e)
        ),
        "missing variable, recovered": Rule(
            "none of these; a missing-variable error, after which more than half of the turns went without trouble",
            lambda e: _met_missing(e, recovered=True),
        ),
        "turn limit": Rule(
            "none of these, and its turns were used up", lambda e: e.finish_reason == "max_turns"
        ),
        "nothing taken": Rule(
            "none of these, and finish() was called with nothing taken",
            lambda e: e.finish_reason == "finish" and not _attempted(e),
        ),
        "unclassified": Rule("none of these", lambda e: True),
    }
)


def failure_of(episode: Episode) -> str:
    """The name of the first rule that fits; "" for an episode that ended well."""
    if ended_well(episode):
        return ""
    return next(name for name, rule in RULES.items() if rule.fits(episode))


def failure_counts(cells: pd.DataFrame) -> pd.DataFrame:
    """A row per cell and class that occurs, in the order of RULES ("" first: ended well): episodes
    and their share.

    `cells` has the columns of metrics.episode_frame.
    """
    labels = ["train", "runtime", "difficulty"]
    counts = (
        cells.groupby([*labels, "failure"], as_index=False)
        .size()
        .rename(columns={"size": "episodes"})
    )
    counts["share"] = counts.episodes / counts.groupby(labels).episodes.transform("sum")
    order = {name: place for place, name in enumerate(["", *RULES])}
    counts = counts.assign(place=counts.failure.map(order)).sort_values(
        [*labels, "place"], ignore_index=True
    )
    return counts.drop(columns="place")
