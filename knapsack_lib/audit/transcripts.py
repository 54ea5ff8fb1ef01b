"""What the audit looks at: the blocks of an episode, in order, and what came of each.

A reader of a format (formats/) yields a Transcript for each episode.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Step", "Transcript"]


@dataclass(frozen=True)
class Step:
    """A turn with code. `reply`: all that the agent wrote in it. `observation`: what it was shown
    then. `error_type`, `error`, `line`: what the block raised, and in which of its lines, where that
    is known; `stopped`: whether it was stopped by a limit, which leaves nothing bound."""

    code: str
    reply: str = ""
    observation: str = ""
    error_type: str | None = None
    error: str | None = None
    line: int | None = None
    stopped: bool = False


@dataclass(frozen=True)
class Transcript:
    """An episode. `transcript_id` says where it stands in its source. `labels` are what it can be
    grouped by (model, task, ...); `provided` names that its runtime offers, tools for example."""

    transcript_id: str
    steps: tuple[Step, ...]
    labels: Mapping[str, str] = field(default_factory=dict)
    provided: frozenset[str] = frozenset()
