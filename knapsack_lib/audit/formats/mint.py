"""Outputs of MINT-bench: data/outputs/<model>/F=<feedback>/<setting>/<group>/<task>/results.jsonl, a
line {"state": {"history": [{role, content}], ...}, "task": {...}} for each episode.

The runtime is one IPython for an episode. It ran what stands between <execute> and </execute>, all of
a reply, without the blanks around it; a reply that proposes a solution was only judged, so that its
blocks ran nowhere and are none. An episode that is out of steps ends with a block whose outcome is
not recorded (`latest_output` holds that of the one before it).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from knapsack_lib.audit.formats.base import File, Format, Problems, Sample
from knapsack_lib.audit.formats.common import step_of
from knapsack_lib.audit.transcripts import Step, Transcript

EXECUTE = re.compile(r"<execute>(.*?)</execute>", re.S)
AFTER = re.compile(
    r"\nYou have \d+ steps left and \d+ chances to propose solution left\..*\Z", re.S
)
REFUSED = "I don't understand your input"
PROVIDED = frozenset({"wikipedia_search"})
PLACE = re.compile(r"([^/]+)/F=[^/]*/[^/]+/[^/]+/([^/]+)/[^/]+$")


def read(file: File, problems: Problems) -> Iterator[Transcript]:
    model, task = _place(file)
    for place, line in file.values(problems.add):
        try:
            history = line["state"]["history"]
            steps = tuple(_steps(history))
            item = str(line["task"]["task_id"])
            labels = {"model": model, "task": task or str(line["task"]["task_name"]), "item": item}
            labels["solved"] = "true" if line["state"].get("success") else "false"
            name = f"{model}/{labels['task']}/{item}"
        except (KeyError, TypeError, AttributeError) as error:
            problems.add(f"{place}: no MINT episode ({type(error).__name__}: {error})")
            continue
        yield Transcript(f"{place} {name}", steps, labels, PROVIDED, messages=tuple(history))


def _place(file: File) -> tuple[str, str]:
    """(model, task) by the folders, those above the source too."""
    found = PLACE.search(file.path.resolve().as_posix() if file.path else file.where.path)
    return (found.group(1), found.group(2)) if found else ("(unknown)", "")


def _steps(history: list[dict[str, str]]) -> Iterator[Step]:
    answers = [_seen(one["content"]) for one in history[1:]]
    for message, seen in zip(history, [*answers, ""], strict=False):
        reply = message["content"]
        if message["role"] != "assistant" or "<execute>" not in reply or "<solution>" in reply:
            continue
        parts = (part.strip() for part in EXECUTE.findall(reply))
        code = "\n".join(part for part in parts if part)
        if code and not seen.startswith(REFUSED):
            yield step_of(code, reply, seen)


def _seen(text: str) -> str:
    return AFTER.sub("", text.removeprefix("Observation:\n")).strip("\n")


def knows(sample: Sample) -> bool:
    first = sample.first
    state = first.get("state") if isinstance(first, dict) and "task" in first else None
    return isinstance(state, dict) and "history" in state


FORMAT = Format(
    "mint",
    "outputs of MINT-bench (results.jsonl)",
    read,
    keys=(frozenset({"state", "task"}),),
    knows=knows,
)
