"""What a child says of a block: its error in the block's own lines, the names it wrote. Standard
library only.

Exceptions and namespaces are made by hostile code: attributes are read through the built-in types'
own descriptors, texts are bounded, and whatever an overridden method raises is caught.
"""

import builtins
import linecache
import opcode
from _ast import (
    AST,
    AsyncFunctionDef,
    ClassDef,
    FunctionDef,
    Import,
    ImportFrom,
    Lambda,
    Name,
    Store,
)
from collections.abc import Iterable
from types import CodeType
from typing import Any

STORES = frozenset(opcode.opmap[name] for name in ("STORE_NAME", "STORE_GLOBAL"))
STORE_GLOBAL, EXTENDED = opcode.opmap["STORE_GLOBAL"], opcode.EXTENDED_ARG
SCOPES = (FunctionDef, AsyncFunctionDef, ClassDef, Lambda)
QUOTED = 1000  # blocks whose source is kept
FRAMES = 12  # of a traceback: half from its start, half from its end
of_builtins = vars(builtins)
lines_of: dict[str, list[str]] = {}
# What tracebacks that the block prints itself look lines up in
quotable: dict[str, Any] = linecache.cache

_trace = BaseException.__dict__["__traceback__"].__get__
_cause = BaseException.__dict__["__cause__"].__get__
_context = BaseException.__dict__["__context__"].__get__
_quiet = BaseException.__dict__["__suppress_context__"].__get__
_file = SyntaxError.__dict__["filename"].__get__
_line = SyntaxError.__dict__["lineno"].__get__
_name = type.__dict__["__name__"].__get__
_bases = type.__dict__["__mro__"].__get__


def show(name: str, code: str) -> None:
    """Make a block's source known, so that tracebacks (also those the block itself prints) can
    quote it."""
    if len(lines_of) >= QUOTED:  # forget the oldest: an interpreter may run for days
        oldest = next(iter(lines_of))
        lines_of.pop(oldest)
        quotable.pop(oldest, None)
    lines = lines_of[name] = code.split("\n")
    quotable[name] = (len(code), None, [line + "\n" for line in lines], name)


def error_of(error: BaseException) -> dict[str, Any]:
    """{"type", "message", "line", "trace"}; `type` is the name of what was raised, `line` the last
    of the agent's."""
    return {
        "type": type_of(error),
        "message": message_of(error),
        "line": line_of(error),
        "trace": traceback_of(error),
    }


def message_of(error: BaseException) -> str:
    """One line or more, at most 300 characters. The block is not numbered in it: the same fault
    reads the same."""
    text = text_of(error.code if type(error) is SystemExit else error)
    unread = _unread(error)
    return text.replace(f"({unread[0]}, ", "(<turn>, ") if unread else text


def _unread(error: BaseException) -> tuple[str, int | None] | None:
    """(block, line) of a block that could not be read as Python."""
    if SyntaxError not in _bases(type(error)):
        return None
    name, line = _file(error), _line(error)
    return (
        (name, line if type(line) is int and abs(line) < 1 << 31 else None)
        if type(name) is str and name in lines_of
        else None
    )


def text_of(value: Any) -> str:
    try:
        return str.__getitem__(str(value), slice(300))
    except BaseException:  # noqa: BLE001 - an exception's own __str__ may raise anything too
        return "(its message could not be made)"


def type_of(error: BaseException) -> str:
    own = plain(_name(type(error)))[:80]
    for cls in _bases(type(error)):
        name = plain(_name(cls))
        if builtin(name) is cls:
            return name if own == name or name in ("Exception", "BaseException") else own
    return "Exception"


def builtin(name: str) -> Any:
    """What a block finds under this name among the builtins."""
    try:
        return of_builtins.get(name)
    except BaseException:  # noqa: BLE001 - a key that a block put there may raise when it is compared
        return None


def plain(text: str) -> str:
    """The same text without the methods of a subclass."""
    return str.__str__(text)


def frames_of(error: BaseException) -> list[tuple[str, int, str]]:
    """(block, line, function) of the agent's own frames, outermost first."""
    found, trace = [], _trace(error)
    while trace is not None:
        code = trace.tb_frame.f_code
        block, line = plain(code.co_filename), trace.tb_lineno
        if block in lines_of and type(line) is int:
            found.append((block, line, plain(code.co_name)))
        trace = trace.tb_next
    return found


def line_of(error: BaseException) -> int | None:
    unread = _unread(error)
    if unread:
        return unread[1]
    frames = frames_of(error)
    return frames[-1][1] if frames else None


def traceback_of(error: BaseException) -> str:
    """As Python prints it, with the agent's lines only."""
    parts: list[str] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen and len(parts) < 4:
        seen.add(id(current))
        parts.append(_one_traceback(current))
        cause, context = _cause(current), _context(current)
        if cause is not None:
            parts[-1] = (
                "\nThe above exception was the direct cause of the following exception:\n\n"
                + parts[-1]
            )
        elif context is not None and not _quiet(current):
            parts[-1] = (
                "\nDuring handling of the above exception, another exception occurred:\n\n"
                + parts[-1]
            )
        current = cause if cause is not None else None if _quiet(current) else context
    return (
        "".join(reversed(parts))[-6000:].lstrip("\n") if len(parts) < 4 else _one_traceback(error)
    )


def _one_traceback(error: BaseException) -> str:
    text = ["Traceback (most recent call last):"]
    frames = frames_of(error)
    unread = _unread(error)
    if unread and unread[1]:
        frames = [*frames, (unread[0], unread[1], "<module>")]
    skipped = len(frames) - FRAMES
    for place, (block, line, function) in enumerate(frames):
        if skipped > 0 and place == FRAMES // 2:
            text.append(f"  [{skipped} more calls]")
        if skipped > 0 and FRAMES // 2 <= place < len(frames) - FRAMES // 2:
            continue
        text.append(f'  File "{block}", line {line}, in {function[:80]}')
        source = lines_of[block][line - 1].strip() if 0 < line <= len(lines_of[block]) else ""
        text += [f"    {source[:200]}"] if source else []
    message = message_of(error)
    name = plain(_name(type(error)))[:80]
    return "\n".join([*text, name + (f": {message}" if message else "")]) + "\n"


# Names --------------------------------------------------------------------------------------------


def stored_names(code: CodeType, outermost: bool = True) -> set[str]:
    """Names of the module that the code may bind: by plain assignment, def, class, import, or
    `global` further in."""
    found, high = set(), 0
    for operation, low in zip(code.co_code[::2], code.co_code[1::2], strict=True):
        argument = high | low
        high = argument << 8 if operation == EXTENDED else 0
        if operation == STORE_GLOBAL or (outermost and operation in STORES):
            found.add(code.co_names[argument])
    for inner in code.co_consts:
        if type(inner) is CodeType:
            found |= stored_names(inner, outermost=False)
    return found


def imported_names(tree: Any) -> frozenset[str]:
    """Names that import statements of the module bind and nothing after them does ("*" among them
    for a star).

    What is inside functions and classes does not count.
    """
    found: set[str] = set()
    todo = list(reversed(tree.body))
    while todo:
        node = todo.pop()
        if type(node) in (Import, ImportFrom):
            found |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}
        elif type(node) is Name:
            found -= {node.id} if type(node.ctx) is Store else set()
        elif type(node) in SCOPES:
            found -= {getattr(node, "name", "")}
        else:
            fields = [getattr(node, field, None) for field in node._fields]
            parts = [
                part for field in fields for part in (field if type(field) is list else [field])
            ]
            todo += [part for part in reversed(parts) if isinstance(part, AST)]
    return frozenset(found)


def bindings_of(names: Iterable[str]) -> list[str]:
    return [name[:80] for name in names][:500]
