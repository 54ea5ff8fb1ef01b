"""Trajectories of OpenHands (and OpenDevin): a list of events, by itself or under `history` or
`trajectory` of a line of output.jsonl. In older ones an event is a pair [action, observation].

    {"id": 4, "source": "agent", "action": "run_ipython", "args": {"code": ..., "thought": ...}}
    {"id": 5, "cause": 4, "observation": "run_ipython", "content": ...}

What is run in its IPython is a block; commands of the shell are none, and neither is what its editor
passes through IPython.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from knapsack_lib.audit.formats.base import File, Format, Problems, Sample
from knapsack_lib.audit.formats.common import as_list, labels_of, step_of
from knapsack_lib.audit.transcripts import Step, Transcript
from knapsack_lib.published.records import as_object

LISTS = ("history", "trajectory", "events")
# What the runtime says of itself below the output
AFTER = re.compile(
    r"(?:\n?\[Jupyter (?:current working directory|Python interpreter): [^\n]*\])+\s*\Z"
)
# What its kernel begins with: `from agentskills import *`
SKILLS = frozenset(
    "open_file goto_line scroll_down scroll_up create_file search_dir search_file find_file"
    " edit_file edit_file_by_replace insert_content_at_line append_file file_editor parse_pdf"
    " parse_docx parse_latex parse_audio parse_image parse_video parse_pptx".split()
)
EDITORS = ("str_replace_editor", "edit_file")


def read(file: File, problems: Problems) -> Iterator[Transcript]:
    alone: list[Any] = []  # a file with an event in each line is one trajectory
    for place, value in file.values(problems.add):
        if isinstance(value, dict) and _is_event(value):
            alone.append(value)
        elif (events := _events(value)) is not None:
            yield _transcript(place, events, value)
        else:
            problems.add(f"{place}: no list of events")
    if alone:
        yield _transcript(file.name, alone, None)


def _transcript(place: str, events: list[Mapping[str, Any]], row: Any) -> Transcript:
    inner = as_object(as_object(row).get("metadata"))
    labels = labels_of(row, inner, inner.get("llm_config"))
    return Transcript(place, tuple(_steps(events)), labels, SKILLS)


def _events(value: Any) -> list[Mapping[str, Any]] | None:
    if isinstance(value, dict):
        found = (as_list(value.get(name)) for name in LISTS)
        value = next((one for one in found if one), None)
    if not isinstance(value, list):
        return None
    flat = [event for one in value for event in (one if isinstance(one, list) else [one])]
    events: list[Mapping[str, Any]] = [event for event in flat if isinstance(event, dict)]
    return events if any(map(_is_event, events)) else None


def _is_event(event: Mapping[str, Any]) -> bool:
    return "action" in event or "observation" in event


def _steps(events: list[Mapping[str, Any]]) -> Iterator[Step]:
    answers = {str(one.get("cause")): one for one in events if "observation" in one}
    for place, event in enumerate(events):
        called = str(as_object(event.get("tool_call_metadata")).get("function_name"))
        if event.get("action") != "run_ipython" or called in EDITORS:
            continue
        args = as_object(event.get("args"))
        code = args.get("code") or args.get("command")
        if not isinstance(code, str) or not code.strip():
            continue
        after = events[place + 1] if place + 1 < len(events) else {}
        answer = answers.get(str(event["id"])) if "id" in event else None
        answer = answer or (after if "observation" in after else {})
        thought = args.get("thought") or event.get("thought") or ""
        seen = AFTER.sub("", str(answer.get("content") or ""))
        yield step_of(code, f"{thought}\n{code}" if thought else code, seen)


def knows(sample: Sample) -> bool:
    first = sample.first
    if isinstance(first, dict) and _is_event(first):
        return "source" in first or "args" in first or "cause" in first
    return _events(first) is not None


FORMAT = Format(
    "openhands",
    "trajectories of OpenHands (actions and observations; output.jsonl)",
    read,
    keys=(frozenset({"history", "instance_id"}), frozenset({"action", "args", "source"})),
    knows=knows,
)
