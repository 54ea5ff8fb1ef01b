"""What a child reports of a block: its error in the block's own lines, the names it wrote. Standard
library only.

Exceptions and namespaces are made by hostile code: attributes are read through the built-in types'
own descriptors, texts are bounded, and whatever an overridden method raises is caught.
"""

import builtins
import linecache
from collections.abc import Iterable
from typing import Any

from knapsack_lib.interpreter.wire import BlockError

QUOTED = 1000  # blocks whose source is kept
FRAMES = 12  # of a traceback: half from its start, half from its end
CAUSED = "\nThe above exception was the direct cause of the following exception:\n\n"
MEANWHILE = "\nDuring handling of the above exception, another exception occurred:\n\n"
of_builtins = vars(builtins)
lines_of: dict[str, list[str]] = {}
# What tracebacks that the block prints itself look lines up in
quotable: dict[str, Any] = linecache.cache


def _readers(kind: type, *names: str) -> list[Any]:
    return [kind.__dict__[name].__get__ for name in names]


_trace, _cause = _readers(BaseException, "__traceback__", "__cause__")
_context, _quiet = _readers(BaseException, "__context__", "__suppress_context__")
_file, _line = _readers(SyntaxError, "filename", "lineno")
_name, _bases = _readers(type, "__name__", "__mro__")
_plain = str.__str__  # the same text without the methods of a subclass


def show(name: str, code: str) -> None:
    """Make a block's source known, so that tracebacks (also those the block itself prints) can
    quote it."""
    if len(lines_of) >= QUOTED:  # forget the oldest: an interpreter may run for days
        oldest = next(iter(lines_of))
        lines_of.pop(oldest)
        quotable.pop(oldest, None)
    lines = lines_of[name] = code.split("\n")
    quotable[name] = (len(code), None, [line + "\n" for line in lines], name)


# Errors -------------------------------------------------------------------------------------------


def error_of(error: BaseException) -> BlockError:
    """`type` is the name of what was raised, `line` the last of the agent's."""
    places = places_of(error)
    return {
        "type": type_of(error),
        "message": message_of(error),
        "line": places[-1][1] if places else None,
        "trace": traceback_of(error),
    }


def message_of(error: BaseException) -> str:
    """One line or more, at most 300 characters. The block is not numbered in it: the same fault
    reads the same."""
    try:
        text = str(error.code if type(error) is SystemExit else error)
        text = str.__getitem__(text, slice(300))
    except BaseException:  # noqa: BLE001 - an exception's own __str__ may raise anything too
        text = "(its message could not be made)"
    unread = unread_of(error)
    return text.replace(f"({unread[0]}, ", "(<turn>, ") if unread else text


def unread_of(error: BaseException) -> tuple[str, int | None] | None:
    """(block, line) of a block that could not be read as Python."""
    if SyntaxError not in _bases(type(error)):
        return None
    name, line = _file(error), _line(error)
    if type(name) is not str or name not in lines_of:
        return None
    return name, line if type(line) is int and abs(line) < 1 << 31 else None


def name_of(error: BaseException) -> str:
    return _plain(_name(type(error)))[:80]


def type_of(error: BaseException) -> str:
    """Its own name where a builtin exception more telling than Exception is among its bases; else
    the builtin one's."""
    own = name_of(error)
    for cls in _bases(type(error)):
        name = _plain(_name(cls))
        if builtin(name) is cls:
            return name if own == name or name in ("Exception", "BaseException") else own
    return "Exception"


def builtin(name: str) -> Any:
    """What a block finds under this name among the builtins."""
    try:
        return of_builtins.get(name)
    except BaseException:  # noqa: BLE001 - a key that a block put there may raise when compared
        return None


def places_of(error: BaseException) -> list[tuple[str, Any, str]]:
    """(block, line, function) of the agent's own frames, outermost first, and last of a block that
    could not be read, whose line may be None."""
    found: list[tuple[str, Any, str]] = []
    trace = _trace(error)
    while trace is not None:
        code = trace.tb_frame.f_code
        block, line = _plain(code.co_filename), trace.tb_lineno
        if block in lines_of and type(line) is int:
            found.append((block, line, _plain(code.co_name)))
        trace = trace.tb_next
    unread = unread_of(error)
    return [*found, (*unread, "<module>")] if unread else found


def traceback_of(error: BaseException) -> str:
    """As Python prints it, with the agent's lines only."""
    parts: list[str] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen and len(parts) < 4:
        seen.add(id(current))
        cause = _cause(current)
        context = None if _quiet(current) else _context(current)
        link = CAUSED if cause is not None else MEANWHILE if context is not None else ""
        parts.append(link + one_traceback(current))
        current = cause if cause is not None else context
    if len(parts) == 4:
        return one_traceback(error)
    return "".join(reversed(parts))[-6000:].lstrip("\n")


def one_traceback(error: BaseException) -> str:
    text = ["Traceback (most recent call last):"]
    places = places_of(error)
    if unread_of(error) and not places[-1][1]:
        places.pop()
    half, skipped = FRAMES // 2, len(places) - FRAMES
    for number, (block, line, function) in enumerate(places):
        if skipped > 0 and number == half:
            text.append(f"  [{skipped} more calls]")
        if skipped > 0 and half <= number < half + skipped:
            continue
        text.append(f'  File "{block}", line {line}, in {function[:80]}')
        quoted = lines_of[block][line - 1 : line] if line > 0 else []
        text += [f"    {source.strip()[:200]}" for source in quoted if source.strip()]
    message = message_of(error)
    return "\n".join([*text, name_of(error) + (f": {message}" if message else "")]) + "\n"


# Names --------------------------------------------------------------------------------------------


def bindings_of(names: Iterable[str]) -> list[str]:
    return [name[:80] for name in names][:500]
