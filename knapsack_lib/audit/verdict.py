"""What the blocks of a source teach, by rules that were written before any source was judged.

    verdict_of(tally)      # Verdict("persistent", "of 812 blocks that need something again, 97% ...")

A block that needs what an earlier one made can take it from state (it relies) or make it again (it
restates). Blocks that do neither say nothing about the runtime. So the verdict is about the share of
the relying among those that do either, by its 95% interval over episodes: RULES.
"""

from __future__ import annotations

from typing import NamedTuple

from knapsack_lib.audit.tally import Tally

__all__ = ["PERSISTENT_ABOVE", "RESET_BELOW", "RULES", "VERDICTS", "Verdict", "verdict_of"]

LEAST_BLOCKS, LEAST_EPISODES = 30, 10
PERSISTENT_ABOVE, RESET_BELOW = 0.5, 0.1
RULES = {
    "too little to say": f"fewer than {LEAST_BLOCKS} blocks that rely or restate, or fewer than "
    f"{LEAST_EPISODES} episodes with one",
    "persistent": f"the whole interval lies above {PERSISTENT_ABOVE:.0%}",
    "reset": f"the whole interval lies below {RESET_BELOW:.0%}",
    "mixed": "anything else",
}
VERDICTS = ("persistent", "reset", "mixed", "too little to say")


class Verdict(NamedTuple):
    """In words, each without the end of a sentence but for `advice`."""

    teaches: str  # one of VERDICTS
    because: str
    advice: str


ADVICE = {
    "persistent": "Run an agent that learned from this in a runtime that keeps its state. In one that "
    "resets, {blocks} of the later blocks, in {episodes} of the episodes, would meet a missing name.",
    "reset": "An agent that learned from this restates what it needs and runs in both. In a runtime "
    "that keeps state it goes on paying for that: {tax} of what it writes is said again word for word.",
    "mixed": "An agent that learned from this leans on state now and then: in a runtime that resets, "
    "{blocks} of the later blocks, in {episodes} of the episodes, would meet a missing name. Make the set "
    "of one kind (knapsack convert), or keep to a runtime that keeps its state.",
    "too little to say": "Blocks that need something from before are too few here to judge by.",
}


def verdict_of(tally: Tally) -> Verdict:
    """The verdict on everything that a tally has counted."""
    choice = tally.share("choice")
    count = tally.sums["evidence"]
    if count < LEAST_BLOCKS or choice.episodes < LEAST_EPISODES:
        teaches = "too little to say"
    elif choice.low > PERSISTENT_ABOVE:
        teaches = "persistent"
    elif choice.high < RESET_BELOW:
        teaches = "reset"
    else:
        teaches = "mixed"
    because = (
        f"of {count:,} blocks that need something from before, {choice.value:.0%} "
        f"[{choice.low:.0%}, {choice.high:.0%}] take it from state and the others make it again "
        f"({choice.episodes:,} episodes)"
        if count
        else "no block needs anything from before"
    )
    said = {
        "blocks": f"{tally.share('relies').value:.0%}",
        "episodes": f"{tally.share('episodes').value:.0%}",
        "tax": f"{tally.share('tax').value:.0%}",
    }
    return Verdict(teaches, because, ADVICE[teaches].format(**said))
