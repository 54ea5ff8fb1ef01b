"""Memory of an agent of smolagents, as get_full_steps or get_succinct_steps give it, dumped as JSON: a
list of steps for each run, by itself or under `steps`.

A step has its code in `code_action` (older: in the call of python_interpreter), else in
`model_output`; `observations` and `error` say what came of it. Its interpreter keeps state. An error
names the words of the line that failed, and not its number: it is the first line with these words.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from knapsack_lib.audit.formats.base import File, Format, Problems, Sample
from knapsack_lib.audit.formats.common import code_in, code_of_call, labels_of, step_of, text_of
from knapsack_lib.audit.transcripts import Step, Transcript
from knapsack_lib.published.records import as_object

PROVIDED = frozenset({"final_answer"})
LIMIT = "exceeded the maximum execution time"
NOT_RUN = ("AgentParsingError", "AgentGenerationError")  # the reply was no code, or never came


def read(file: File, problems: Problems) -> Iterator[Transcript]:
    for place, value in file.values(problems.add):
        runs = value if _is_list_of_runs(value) else [value]
        for number, run in enumerate(runs, start=1):
            where = f"{place}:{number}" if len(runs) > 1 else place
            steps = _listed(run)
            if steps is None:
                problems.add(f"{where}: no steps of smolagents")
                continue
            found = (_step(one) for one in steps if isinstance(one, dict))
            yield Transcript(
                where, tuple(one for one in found if one is not None), labels_of(run), PROVIDED
            )


def _listed(run: Any) -> list[Any] | None:
    """The steps of a run; None where it is none."""
    steps = run.get("steps") if isinstance(run, dict) else run
    if not isinstance(steps, list):
        return None
    known = (isinstance(one, dict) and ("model_output" in one or "task" in one) for one in steps)
    return steps if any(known) else None


def _is_list_of_runs(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and _listed(value[0]) is not None


def _step(step: dict[str, Any]) -> Step | None:
    error = as_object(step.get("error"))
    if error.get("type") in NOT_RUN or "model_output" not in step:
        return None
    said = text_of(step["model_output"])
    calls = step.get("tool_calls")
    of_calls = (code_of_call(one) for one in calls) if isinstance(calls, list) else ()
    code = step.get("code_action") or next(filter(None, of_calls), None) or code_in(said)
    if not isinstance(code, str):
        return None
    message = str(error.get("message") or "")
    seen = "\n".join(filter(None, (text_of(step.get("observations")), message)))
    found = step_of(code, said or code, message)
    stopped = LIMIT in message
    if stopped:
        found = replace(found, error_type=None, error=None)
    return replace(found, observation=seen, line=_line(code, message), stopped=stopped)


def _line(code: str, message: str) -> int | None:
    """Of an error: `failed at line '<the words of the statement>' due to`."""
    _, _, rest = message.partition("failed at line '")
    words, cut, _ = rest.partition("' due to")
    first = words.strip().partition("\n")[0].strip()
    if not cut or not first:
        return None
    lines = enumerate(code.splitlines(), start=1)
    return next((number for number, line in lines if line.strip().startswith(first)), None)


def knows(sample: Sample) -> bool:
    first = sample.first
    run = first[0] if _is_list_of_runs(first) else first
    steps = _listed(run)
    return steps is not None and any(
        isinstance(one, dict) and {"step_number", "model_output"} <= one.keys() for one in steps
    )


FORMAT = Format(
    "smolagents",
    "memory of an agent of smolagents (a list of its steps, as JSON)",
    read,
    keys=(frozenset({"step_number", "model_output", "observations"}),),
    knows=knows,
)
