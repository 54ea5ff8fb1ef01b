"""What the audit looks at: the blocks of an episode, in order, and what came of each.

A reader of a format (formats/) yields a Transcript for each episode.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from knapsack_lib.episodes import Episode

__all__ = ["Step", "Transcript"]


@dataclass(frozen=True)
class Step:
    """A turn with code. `reply`: all that the agent wrote in it. `observation`: what it was shown
    then. `error_type`, `error`, `line`: what the block raised, and in which of its lines, where that
    is known; `stopped`: whether it was stopped by a limit, which leaves nothing bound; `lost`: whether the state of earlier
    blocks was lost before it.

    Where a source records them: `stdout`, exactly what the block printed, and `calls`, the tool calls
    that it made (name, args, result, error)."""

    code: str
    reply: str = ""
    observation: str = ""
    error_type: str | None = None
    error: str | None = None
    line: int | None = None
    stopped: bool = False
    lost: bool = False
    stdout: str | None = None
    calls: tuple[Mapping[str, Any], ...] | None = None


@dataclass(frozen=True)
class Transcript:
    """An episode. `transcript_id` says where it stands in its source. `labels` are what it can be
    grouped by (model, task, ...); `provided` names that its runtime offers, tools for example.

    `messages`: the whole conversation (role, content), where the source has one, or `episode`, where
    it is one of ours; a converted set is made of them."""

    transcript_id: str
    steps: tuple[Step, ...]
    labels: Mapping[str, str] = field(default_factory=dict)
    provided: frozenset[str] = frozenset()
    messages: tuple[Mapping[str, Any], ...] = ()
    episode: Episode | None = None
