"""What an observation says of the block before it: the error that ended it, and in which line.

    error_type, error, line = outcome_of(text)      # ("NameError", "name 'x' is not defined", 3)

Read are tracebacks of Python and IPython, with and without colours, the reports of smolagents and of
our interpreter, an error line alone, and observations that are a JSON object with `output` or
`error`. An error counts where a traceback stands before it, or where it is all that is shown last;
one that a block merely prints on its way does not.
"""

from __future__ import annotations

import json
import re

__all__ = ["missing_name", "outcome_of", "plain", "was_stopped"]

COLOURS = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b?\[(?:\d+;)*\d+m")
NAMED = r"(?:[A-Za-z_]\w*\.)*([A-Za-z_]\w*)"
ERROR = re.compile(
    r"^(?:[\w.]+\.)?([A-Z]\w*(?:Error|Exception|Interrupt|Exit|Iteration|Warning))(?::[ \t]*(.*))?$",
    re.M,
)
ANY = re.compile(rf"^{NAMED}(?::[ \t]+(.*))?$", re.M)  # below the frames of a traceback
TRACE = re.compile(r"Traceback \(most recent call last\)")
HEAD = re.compile(rf"^{NAMED}[ \t]+Traceback \(most recent call last\)", re.M)  # of IPython's
# The frame of the block itself. Frames of its functions come later, those of a host before it.
FRAME = re.compile(
    r"^[ \t]*(?:Cell )?In\s?\[\d+\],? (?:in )?line:? ?(\d+)"
    r'|^[ \t]*File "?<(?!frozen)[^>]*>"?, line (\d+)(?:, in <(?:cell line: \d+|module)>|$)'
    r"|^[ \t]*(?:Input )?In\s?\[\d+\],? in <cell line: (\d+)>"
    r"|^<ipython-input-[^>\n]*> in <?(?:module|cell line: \d+)>?(?:\(\))?\n(?:[ \t]+\d+.*\n)*-+> ?(\d+) ",
    re.M,
)
OURS = re.compile(r"[ \t]*\(line (\d+)\)$")
# In smolagents a name that is not there is an error of its interpreter.
SMOL = re.compile(r"^Code execution failed at line '(.*?)' due to:? (\w+):? ?(.*)$", re.M | re.S)
SMOL_NAMES = re.compile(
    r"The variable `([^`]+)` is not defined|Forbidden function evaluation: '([^']+)'"
)
MISSING = re.compile(r"name '([^'\d]\w*)' is not defined")
STOPPED = re.compile(
    r"(?:execution|cell|code|command|kernel|interpreter|process)\b[^\n]{0,40}\b(?:timed? ?out|killed|died)"
    r"|exceeded[^\n]{0,40}\b(?:time|memory|seconds)|^\W*time(?:d )?out\b",
    re.I | re.M,
)
LAST = 400  # characters at the end, where it is said that a block was stopped
ANSWER = ("error", "traceback", "stderr", "output", "stdout", "result")  # of an observation in JSON


def outcome_of(text: str) -> tuple[str | None, str | None, int | None]:
    """(error type, first line of its message, line of the block) of an observation; Nones where
    none is shown."""
    text = plain(text)
    smol = SMOL.search(text)
    if smol:
        return _smolagents(smol)
    traces = list(TRACE.finditer(text))
    if not traces:
        return _without_trace(text)
    # What was raised last ended the block, also while another error was being handled.
    begin = traces[-1].start()
    below = text[begin:]
    heads = [head for head in HEAD.finditer(text) if head.end() > begin]
    errors = [one for one in ERROR.finditer(below) if not TRACE.search(one.group())]
    if heads:
        kind = heads[-1].group(1)
        said = re.findall(rf"^(?:[\w.]+\.)?{kind}(?::[ \t]*(.*))?$", below, re.M)
        return kind, said[-1].strip() if said else "", _line(below)
    last = errors[-1] if errors else _after_frames(below)
    if last is None:
        return None, None, None
    return _found(last, below)


def _without_trace(text: str) -> tuple[str | None, str | None, int | None]:
    """An error in the last line; nothing else in the text may look like one that it went on after."""
    errors = list(ERROR.finditer(text))
    if not errors or text[errors[-1].end() :].strip():
        return None, None, None
    return _found(errors[-1], text)


def _found(error: re.Match[str], text: str) -> tuple[str, str, int | None]:
    message = (error.group(2) or "").strip()
    ours = OURS.search(message)
    if ours:
        return error.group(1), message[: ours.start()], int(ours.group(1))
    return error.group(1), message, _line(text)


def _line(text: str) -> int | None:
    found = FRAME.search(text)
    return next((int(number) for number in (found.groups() if found else ()) if number), None)


def _after_frames(text: str) -> re.Match[str] | None:
    """An error of any name: the first line below the frames that is not indented."""
    lines = ANY.finditer(text)
    return next(lines, None)


def _smolagents(found: re.Match[str]) -> tuple[str, str, None]:
    _, kind, message = found.groups()
    name = SMOL_NAMES.search(message)
    if kind == "InterpreterError" and name:
        return "NameError", f"name '{name.group(1) or name.group(2)}' is not defined", None
    return kind, message.partition("\n")[0].strip(), None


def missing_name(error_type: str | None, error: str | None) -> str | None:
    """The name of a NameError."""
    found = MISSING.search(error or "") if error_type == "NameError" else None
    return found.group(1) if found else None


def was_stopped(text: str) -> bool:
    """Whether a block was stopped by a limit: the end of what it left says so."""
    return STOPPED.search(plain(text[-LAST:])) is not None


def plain(text: str) -> str:
    """Without colours. Of an observation in JSON, its error if there is one, else its output."""
    text = COLOURS.sub("", text) if "[" in text else text
    if text.lstrip().startswith("{"):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            return text
        if isinstance(found, dict) and found.keys() & set(ANSWER):
            parts = (found.get(name) for name in ANSWER)
            return next((one for one in parts if isinstance(one, str) and one), "")
    return text
