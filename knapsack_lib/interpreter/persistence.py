"""Which bindings survive a step. This is the treatment of the study; everything else about a step is the same.

A mode is one decision: does the next step run in the process that ran this one, or in a fresh one?
"""

from __future__ import annotations

from dataclasses import dataclass

from knapsack_lib.profiles import check_choice

__all__ = ["MODES", "Persistence", "persistence_named"]


@dataclass(frozen=True)
class Persistence:
    """`keeps` true: one child process for the whole episode. False: a new child for every step."""

    name: str
    keeps: bool


MODES = {mode.name: mode for mode in (Persistence("persistent", True), Persistence("reset", False))}


def persistence_named(name: str) -> Persistence:
    """Look a mode up (`stateless` is read as `reset`). Raises UserError with the list of modes."""
    return MODES[check_choice("runtime", name, tuple(MODES))]
