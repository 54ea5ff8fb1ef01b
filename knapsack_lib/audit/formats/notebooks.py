"""Executed notebooks (.ipynb): a kernel keeps state, so that the cells are blocks of a persistent
runtime, in the order in which they were run last. Cells that were not run are none, and neither are
those that are handed to another program whole (%%bash). Magics of a line stay in the code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from knapsack_lib.audit.formats.base import File, Format, Problems, Sample
from knapsack_lib.audit.formats.common import as_list, step_of
from knapsack_lib.audit.outcomes import plain
from knapsack_lib.audit.transcripts import Step, Transcript
from knapsack_lib.published.records import as_object

# Magics of a whole cell whose code is still Python run in the kernel
PYTHON = {"time", "timeit", "capture", "prun", "mypy", "debug", "px"}
MAGIC = re.compile(r"\s*%%(\w+)")


def read(file: File, problems: Problems) -> Iterator[Transcript]:
    for place, notebook in file.values(problems.add):
        cells = _cells(notebook)
        language = _language(notebook)
        if cells is None:
            problems.add(f"{place}: no notebook with cells")
        elif language != "python":
            problems.add(f"{place}: a notebook of {language:.40}")
        elif not any(_count(cell) for cell in cells):
            problems.add(f"{place}: none of its cells was run; run the notebook and save it")
        else:
            run = sorted((cell for cell in cells if _count(cell)), key=_count)
            steps = (_step(cell) for cell in run)
            yield Transcript(place, tuple(one for one in steps if one is not None))


def _cells(notebook: Any) -> list[dict[str, Any]] | None:
    """Code cells; of format 3 too, where they lie in worksheets."""
    if not isinstance(notebook, dict):
        return None
    sheets = as_list(notebook.get("worksheets")) or [notebook]
    found = [as_object(sheet).get("cells") for sheet in sheets]
    if not any(isinstance(cells, list) for cells in found):
        return None
    every = [cell for cells in found for cell in as_list(cells)]
    return [one for one in every if isinstance(one, dict) and one.get("cell_type") == "code"]


def _language(notebook: Any) -> str:
    about = as_object(as_object(notebook).get("metadata"))
    for name, key in (("language_info", "name"), ("kernelspec", "language")):
        if said := as_object(about.get(name)).get(key):
            return str(said).lower()
    return "python"


def _count(cell: dict[str, Any]) -> int:
    found = cell.get("execution_count") or cell.get("prompt_number")
    return found if isinstance(found, int) else 0


def _step(cell: dict[str, Any]) -> Step | None:
    code = _text(cell.get("source") or cell.get("input"))
    magic = MAGIC.match(code)
    if not code.strip() or (magic and magic.group(1) not in PYTHON):
        return None
    outputs = [one for one in as_list(cell.get("outputs")) if isinstance(one, dict)]
    texts = [_shown(one) for one in outputs]
    failed = [one for one in outputs if one.get("output_type") in ("error", "pyerr")]
    found = step_of(code, code, _trace(failed[-1]) if failed else "")
    observation = "\n".join(text for text in texts if text)
    kind = str(failed[-1].get("ename") or "Error") if failed else None
    message = str(failed[-1].get("evalue") or "") if failed else None
    return Step(code, code, observation, kind, message, found.line)


def _shown(output: dict[str, Any]) -> str:
    if output.get("output_type") in ("error", "pyerr"):
        return plain(_trace(output))
    data = as_object(output.get("data"))
    return _text(output.get("text") or data.get("text/plain")).rstrip("\n")


def _trace(output: dict[str, Any]) -> str:
    lines = output.get("traceback")
    return "\n".join(map(str, lines)) if isinstance(lines, list) else ""


def _text(value: Any) -> str:
    """Text that is given as one, or as a list of parts or of lines."""
    if isinstance(value, list):
        return "".join(one if isinstance(one, str) else "" for one in value)
    return value if isinstance(value, str) else ""


def knows(sample: Sample) -> bool:
    first = sample.first
    return isinstance(first, dict) and "nbformat" in first and _cells(first) is not None


FORMAT = Format(
    "notebooks",
    "executed Jupyter notebooks (.ipynb)",
    read,
    keys=(frozenset({"cells", "nbformat"}),),
    knows=knows,
)
