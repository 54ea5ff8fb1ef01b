"""What each block does with the state that earlier blocks left.

    for found in measured(transcript): ...      # a BlockUse for each step

A block that comes after another
- *relies* on state where it reads a name that an earlier block bound and that it does not bind first;
- *restates* where a statement of it binds again, in the same words or as a literal, what was bound;
- *guards* where it asks whether a name is there, or catches that it is not;
- *stands alone* where it does none of these;
- reads *unknown* names where nobody bound them.

A block that failed has bound what stands before the failing line (nothing, where the line is not
known, but its imports); one that was stopped has bound nothing.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache

from knapsack_lib.audit.outcomes import missing_name
from knapsack_lib.audit.transcripts import Step, Transcript
from knapsack_lib.syntax.names import BUILTINS, Names, names_of

__all__ = ["BlockUse", "KINDS", "bound_alone", "measured", "read_block"]

KINDS = ("import", "function", "class", "data")
# What IPython takes and Python does not: a statement with its time is that statement, the rest passes.
TIMED = re.compile(r"^([ \t]*)%(?:time|timeit)[ \t]+(?=\S)", re.M)
MAGIC = re.compile(r"^([ \t]*)[%!?].*$", re.M)
LITERALS = (ast.Constant, ast.List, ast.Tuple, ast.Dict, ast.Set, ast.UnaryOp, ast.USub, ast.Load)


@dataclass(frozen=True)
class BlockUse:
    """One block. `relies`: name -> kind of what it relies on; `later`: names that only functions
    defined here take; `back`: how many blocks ago the newest of what it relies on was bound, and
    `back_characters` how many characters of replies. `again`: statements that bind in the same words
    what was bound, `again_characters` their length; `rewritten`: names bound again as other literals.
    `missing`: the name of a NameError; `after`: what the next block did about it."""

    number: int  # of the step, from 1
    step: Step
    parsed: bool
    first: bool  # nothing of Python came before it
    relies: dict[str, str] = field(default_factory=dict)
    later: frozenset[str] = frozenset()
    back: int = 0
    back_characters: int = 0
    again: tuple[str, ...] = ()
    again_characters: int = 0
    rewritten: tuple[str, ...] = ()
    guarded: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    missing: str | None = None
    after: str = ""

    @property
    def restates(self) -> bool:
        return bool(self.again or self.rewritten)

    @property
    def alone(self) -> bool:
        return not (self.relies or self.restates or self.guarded)


@dataclass(frozen=True)
class _Bound:
    kind: str
    block: int
    position: int  # characters of replies before the end of that block
    words: str  # of the statement that bound it, where one did by itself


def measured(transcript: Transcript) -> list[BlockUse]:
    """Every block of an episode."""
    found = list(_walk(transcript))
    return [
        _with_after(use, found[place + 1] if place + 1 < len(found) else None)
        for place, use in enumerate(found)
    ]


def _walk(transcript: Transcript) -> Iterator[BlockUse]:
    known: dict[str, _Bound] = {}
    star = first = False
    first, position = True, 0
    for number, step in enumerate(transcript.steps, start=1):
        missing = missing_name(step.error_type, step.error)
        block = read_block(step.code)
        position += len(step.reply or step.code)
        if block is None:
            yield BlockUse(number, step, parsed=False, first=first, missing=missing)
            continue
        tree, names = block
        star |= names.star
        relies = {name: known[name].kind for name in names.needs if name in known}
        if names.star:  # it may well bring them itself
            relies = {name: kind for name, kind in relies.items() if kind != "import"}
        newest = max((known[name] for name in relies), key=lambda one: one.block, default=None)
        again, rewritten = _restated(tree, step.code, names, known)
        unknown = {*names.needs} - known.keys() - transcript.provided - BUILTINS
        yield BlockUse(
            number,
            step,
            parsed=True,
            first=first,
            relies=relies,
            later=frozenset(names.later & known.keys()),
            back=number - newest.block if newest else 0,
            back_characters=position - newest.position if newest else 0,
            again=tuple(again),
            again_characters=sum(again.values()),
            rewritten=tuple(rewritten),
            guarded=tuple(sorted(names.guarded & known.keys())),
            unknown=() if star else tuple(sorted(unknown)),
            missing=missing,
        )
        first = False
        for name, (kind, words) in _left(tree, step).items():
            known[name] = _Bound(kind, number, position, words)


@lru_cache(maxsize=4096)  # models repeat themselves, and a training set holds an episode twice
def read_block(code: str) -> tuple[ast.Module, Names] | None:
    """A block and its names; None for what is no Python, also without the lines that are IPython's."""
    for text in (code, MAGIC.sub(r"\1pass", TIMED.sub(r"\1", code))):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # "\d" in a text that is not raw
                tree = ast.parse(text)
            return tree, names_of(tree)
        except (SyntaxError, ValueError):
            continue
        except (RecursionError, MemoryError):
            return None
    return None


def _restated(
    tree: ast.Module, code: str, names: Names, known: dict[str, _Bound]
) -> tuple[dict[str, int], list[str]]:
    """(name -> length of the statement that binds it in the words that bound it before; names that
    are bound again as other literals)."""
    again: dict[str, int] = {}
    rewritten: list[str] = []
    for statement in tree.body:
        for name, words in bound_alone(statement, code).items():
            if name in known and words == known[name].words:
                again[name] = len(words)
            elif name in known and _is_restated_data(statement):
                rewritten.append(name)
    return again, rewritten


def bound_alone(statement: ast.stmt, code: str) -> dict[str, str]:
    """The names that a statement binds by itself, with its words."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        names = [statement.name]
    elif isinstance(statement, (ast.Import, ast.ImportFrom)):
        # Each name of an import counts by itself: `import a, b` says `import b` again.
        origin = f"from {statement.module}" if isinstance(statement, ast.ImportFrom) else ""
        return {
            one.asname or one.name.partition(".")[0]: f"{origin} import {one.name} {one.asname}"
            for one in statement.names
        }
    elif isinstance(statement, (ast.Assign, ast.AnnAssign)) and statement.value is not None:
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        names = [one.id for one in targets if isinstance(one, ast.Name)]
        if isinstance(statement.value, ast.Constant) and len(str(statement.value.value)) < 2:
            names = []  # `total = 0` begins a sum
    else:
        return {}
    lines = code.splitlines()[statement.lineno - 1 : statement.end_lineno]
    return dict.fromkeys(names, "\n".join(lines))


def _is_restated_data(statement: ast.stmt) -> bool:
    """Whether it assigns a literal that holds at least two values."""
    if not isinstance(statement, ast.Assign):
        return False
    parts = list(ast.walk(statement.value))
    values = sum(isinstance(part, ast.Constant) for part in parts)
    return values > 1 and all(isinstance(part, LITERALS) for part in parts)


def _left(tree: ast.Module, step: Step) -> dict[str, tuple[str, str]]:
    """What a block has bound when it has ended: name -> (kind, words of its own statement)."""
    if step.stopped:
        return {}
    body = tree.body
    if step.error_type is not None:
        if step.error_type in ("SyntaxError", "IndentationError", "TabError"):
            return {}
        line = step.line
        if line is None:
            body = [one for one in body if isinstance(one, (ast.Import, ast.ImportFrom))]
        else:
            body = [one for one in body if (one.end_lineno or one.lineno) < line]
    names = read_block(step.code)[1] if body is tree.body else names_of(body)  # type: ignore[index]
    words = {name: text for one in body for name, text in bound_alone(one, step.code).items()}
    return {name: (kind, words.get(name, "")) for name, kind in names.binds.items()}


def _with_after(use: BlockUse, following: BlockUse | None) -> BlockUse:
    """What followed a missing name: `given up` (no further block), `same again` (the same code, or
    the same name missing), `mended` (bound again, nothing else said again), `restated` (and more
    said again), or `other`."""
    if use.missing is None:
        return use
    if following is None:
        after = "given up"
    elif (
        "".join(following.step.code.split()) == "".join(use.step.code.split())
        or following.missing == use.missing
    ):
        after = "same again"
    elif following.parsed and use.missing in read_block(following.step.code)[1].binds:  # type: ignore[index]
        more = {*following.again, *following.rewritten} - {use.missing}
        after = "restated" if more else "mended"
    else:
        after = "other"
    return replace(use, after=after)
