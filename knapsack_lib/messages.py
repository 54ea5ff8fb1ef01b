"""What passes between the agent loop and a policy: messages in, a reply out."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Message", "Reply"]

Message = dict[str, str]  # {"role": "system" | "user" | "assistant", "content": text}


@dataclass(frozen=True)
class Reply:
    """One answer. `stop`: "end", "cut_off" (token limit of the turn) or "context" (the episode's
    context is full).

    `ids` are the sampled token ids where the engine knows them. `slip` marks a deliberate mistake
    of the expert. `lost`: the interpreter is lost, unannounced, before the block is run.
    """

    text: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    stop: str = "end"
    ids: tuple[int, ...] | None = None
    slip: bool = False
    lost: bool = False
