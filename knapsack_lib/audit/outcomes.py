"""What an observation says of the block before it: the error that ended it, and in which line.

    error_type, error, line = outcome_of(text)      # ("NameError", "name 'x' is not defined", 3)

Tracebacks of Python and of IPython are read, and the line alone where only that is shown.
"""

from __future__ import annotations

import re

__all__ = ["missing_name", "outcome_of"]

ERROR = re.compile(
    r"^(?:[\w.]+\.)?([A-Z]\w*(?:Error|Exception|Interrupt|Exit|Iteration|Warning))(?::[ \t]*(.*))?$",
    re.M,
)
# A frame of the block itself: `Cell In[3], line 7`, `<ipython-input-3-...>`, File "<string>", line 7
FRAME = re.compile(
    r'^(?:Cell )?In\s?\[\d+\],? line:? ?(\d+)|^\s*File "<[^>]*>", line (\d+), in <module>', re.M
)
ARROW = re.compile(r"^-+> (\d+) ", re.M)  # IPython marks the line
TRACE = re.compile(r"Traceback \(most recent call last\)|^-{20,}$", re.M)
MISSING = re.compile(r"name '([^'\d]\w*)' is not defined")


def outcome_of(text: str) -> tuple[str | None, str | None, int | None]:
    """(error type, message, line of the block) of an observation; Nones where none is shown. A line
    that looks like an error counts where a traceback precedes it, or where it is the last."""
    errors = list(ERROR.finditer(text))
    trace = TRACE.search(text)
    if not errors or (trace is None and text[errors[-1].end() :].strip() and len(errors) > 1):
        return None, None, None
    last = errors[-1]
    if trace is None and not text.rstrip().endswith(last.group()) and last.start() > 0:
        return None, None, None
    found = FRAME.search(text, trace.start() if trace else 0)
    line = next((int(n) for n in (found.groups() if found else ()) if n), None)
    if line is None and (arrow := ARROW.search(text)):
        line = int(arrow.group(1))
    return last.group(1), (last.group(2) or "").strip(), line


def missing_name(error_type: str | None, error: str | None) -> str | None:
    """The name of a NameError."""
    found = MISSING.search(error or "") if error_type == "NameError" else None
    return found.group(1) if found else None
