"""A converted transcript in the form of its source: an episode of ours, or a conversation.

    episode_of(new, proof, "reset")       # what the agent was shown is what the replay printed
    row_of(old, new)                      # {"messages": [...], "id": ...}: only the code is another

In a conversation of another project, what answered a block stays as it is recorded, but for the
numbers of lines in a traceback.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from knapsack_lib.audit.convert import Unproven, with_code
from knapsack_lib.audit.replay import Replay
from knapsack_lib.audit.tracebacks import with_new_lines
from knapsack_lib.audit.transcripts import Step, Transcript
from knapsack_lib.episodes import Episode, Turn
from knapsack_lib.interpreter import Observation
from knapsack_lib.messages import Message
from knapsack_lib.profiles import PromptOptions
from knapsack_lib.prompts import CUES, observation_text, refusal_text

__all__ = ["episode_of", "row_of"]

NAMES = "\nlive names: "
ROLES = {"human": "user", "gpt": "assistant", "function": "tool", "observation": "tool"}


# Our episodes -------------------------------------------------------------------------------------


def episode_of(new: Transcript, proof: Replay, target: str) -> Episode:
    """The episode as it goes in the target runtime. What a model sampled and counted is no longer
    known."""
    old = new.episode
    if old is None:
        raise ValueError("not one of our episodes")
    options = _options(old)
    pairs = iter(zip(new.steps, proof.seen, strict=True))
    turns, bindings = list[Turn](), tuple[str, ...]()
    for turn in old.turns:
        if turn.parse_status == "code" and turn.code:
            step, seen = next(pairs)
            turn, bindings = _turn(turn, step, seen, options), seen.bindings
        else:
            shown = turn.observation and refusal_text(turn.parse_status, bindings, options)
            turn = replace(turn, observation=shown, bindings=list(bindings))
        turns.append(replace(turn, prompt_tokens=0, completion_tokens=0))
    opening = [_told(message, old.runtime, target) for message in old.opening]
    return replace(old, opening=opening, turns=turns, runtime=target)


def _turn(turn: Turn, step: Step, seen: Observation, options: PromptOptions) -> Turn:
    shown = replace(seen, stdout=turn.stdout)  # equal, but for where the recorded one was cut
    return replace(
        turn,
        reply=step.reply,
        reply_ids=turn.reply_ids if step.code == turn.code else None,
        code=step.code,
        observation=None if turn.observation is None else observation_text(shown, options),
        bindings=list(seen.bindings),
        state_lost=seen.state_lost,
    )


def _options(episode: Episode) -> PromptOptions:
    """How its agent was shown what came of a block."""
    shown = [turn.observation or "" for turn in episode.turns]
    full = any("Traceback (most recent call last)" in text for text in shown)
    return PromptOptions(
        style="full" if full else "brief",
        cue="none",
        list_bindings=any(NAMES in f"\n{text}" for text in shown),
    )


def _told(message: Message, source: str, target: str) -> Message:
    """A message of the opening, which may say what persists."""
    before, after = (CUES["stated"].get(runtime, "") for runtime in (source, target))
    if not before:
        return message
    return {**message, "content": message["content"].replace(before, after)}


# Conversations ------------------------------------------------------------------------------------


def row_of(old: Transcript, new: Transcript) -> dict[str, Any]:
    """The conversation with the new code. Raises Unproven where a block does not stand in it."""
    messages = list(old.messages) or [
        message
        for step in old.steps
        for message in (
            {"role": "assistant", "content": step.reply or step.code},
            {"role": "user", "content": step.observation},
        )
    ]
    place = 0
    for before, after in zip(old.steps, new.steps, strict=True):
        place = _put(messages, place, before.code, after.code)
        if before.error_type is not None and place + 1 < len(messages):
            answer = dict(messages[place + 1])
            for name in ("content", "value"):
                if isinstance(text := answer.get(name), str):
                    answer[name] = with_new_lines(text, before.code, after.code)
            messages[place + 1] = answer
    return {
        "id": old.transcript_id,
        "messages": [_as_openai(message) for message in messages],
        **{name: value for name, value in old.labels.items() if name not in ("id", "messages")},
    }


def _put(messages: list[Mapping[str, Any]], first: int, old: str, new: str) -> int:
    """Write the new code into the first message from `first` on that has the old one; where that is."""
    for place in range(first, len(messages)):
        if str(messages[place].get("role") or messages[place].get("from")) in ("user", "human"):
            continue
        found = _with(messages[place], old, new)
        if found is not None:
            messages[place] = found
            return place
    raise Unproven("reply", "the code does not stand in a reply as it was run")


def _with(value: Any, old: str, new: str) -> Any:
    """A JSON value with other code in its first text that holds the old one; None where none does."""
    if isinstance(value, str):
        return _in_json(value, old, new) or (with_code(value, old, new) if old in value else None)
    parts: Sequence[tuple[Any, Any]] = (
        list(value.items())
        if isinstance(value, Mapping)
        else list(enumerate(value))
        if isinstance(value, list)
        else []
    )
    for key, part in parts:
        found = _with(part, old, new)
        if found is not None:
            changed = dict(value) if isinstance(value, Mapping) else list(value)
            changed[key] = found
            return changed
    return None


def _in_json(text: str, old: str, new: str) -> str | None:
    """The same of a text that is JSON itself, as the arguments of a tool call are."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return None
    for plain in (True, False):
        spelt, respelt = (json.dumps(code, ensure_ascii=plain)[1:-1] for code in (old, new))
        if spelt in text:
            return text.replace(spelt, respelt, 1)
    return None


def _as_openai(message: Mapping[str, Any]) -> dict[str, Any]:
    if "from" not in message:
        return dict(message)
    return {"role": ROLES.get(message["from"], message["from"]), "content": message.get("value")}
