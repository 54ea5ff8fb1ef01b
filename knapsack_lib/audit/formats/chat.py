"""Conversations, as chat fine-tuning and servers keep them: a JSON object for each, in lines, in a
list, or as rows of Parquet.

    {"messages": [{"role": "assistant", "content": "...", "tool_calls": [...]}, ...]}    OpenAI's shape
    {"conversations": [{"from": "gpt", "value": "..."}, ...]}                            ShareGPT's
    {"prompt": [...], "completion": [...]}, {"prompt": ..., "chosen": ...}               TRL's columns
    {"text": "<|im_start|>assistant\\n...<|im_end|>"}                                     ChatML

Of a pair of preferred and rejected answers the preferred one is read. Nobody says whether a block was
run; what follows a reply is taken for what came of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from knapsack_lib.audit.formats.base import File, Format, Problems, Sample
from knapsack_lib.audit.formats.common import as_list, labels_of, steps_of
from knapsack_lib.audit.transcripts import Transcript
from knapsack_lib.published.records import as_object

__all__ = ["FORMAT", "messages_of"]

LISTS = ("messages", "conversations", "conversation", "trajectory", "dialog")
ANSWERS = ("completion", "chosen", "response")
TURN = re.compile(
    r"<\|im_start\|>[ \t]*(\w+)[ \t]*\n?(.*?)(?=<\|im_end\|>|<\|im_start\|>|\Z)", re.S
)
MARK = "<|im_start|>"


def read(file: File, problems: Problems) -> Iterator[Transcript]:
    for place, value in file.values(problems.add):
        several = isinstance(value, list) and not _is_message(value)
        for number, row in enumerate(value if several else [value], start=1):
            where = f"{place}:{number}" if several else place
            messages = messages_of(row)
            if messages is None:
                problems.add(f"{where}: has no messages that could be read")
            else:
                yield Transcript(
                    where,
                    steps_of(messages),
                    labels_of(row, as_object(row).get("metadata")),
                    messages=tuple(messages),
                )


def messages_of(row: Any) -> list[Any] | None:
    """The messages of a row; None where it holds none."""
    if isinstance(row, list):
        return row if _is_message(row) else None
    if not isinstance(row, dict):
        return None
    for name in LISTS:
        if (found := as_list(row.get(name))) and _is_message(found):
            return found
    for name in ANSWERS:
        if name in row and (answer := _part(row[name], "assistant")):
            asked = _part(row.get("prompt") or row.get("instruction"), "user")
            # TRL's `chosen` may hold the whole conversation, its prompt too.
            return answer if answer[0].get("role") in ("system", "user") else asked + answer
    text = row.get("text")
    return _chatml(text) if isinstance(text, str) and MARK in text else None


def _is_message(value: list[Any]) -> bool:
    first = value[0] if value else None
    return isinstance(first, dict) and ("role" in first or "from" in first)


def _part(value: Any, role: str) -> list[dict[str, Any]]:
    if isinstance(value, str) and MARK in value:
        return _chatml(value)
    found = as_list(value)
    if found and _is_message(found):
        return found
    return [{"role": role, "content": value}] if isinstance(value, str) and value else []


def _chatml(text: str) -> list[dict[str, Any]]:
    return [{"role": one.group(1), "content": one.group(2)} for one in TURN.finditer(text)]


def knows(sample: Sample) -> bool:
    first = sample.first
    if isinstance(first, list) and first and not _is_message(first):
        first = first[0]
    return messages_of(first) is not None


FORMAT = Format(
    "chat",
    "conversations: OpenAI messages, ShareGPT, ChatML text, TRL's columns; JSON or Parquet",
    read,
    keys=tuple(
        map(
            frozenset,
            (["messages"], ["conversations"], ["prompt", "completion"], ["prompt", "chosen"]),
        )
    ),
    knows=knows,
    last=True,
)
