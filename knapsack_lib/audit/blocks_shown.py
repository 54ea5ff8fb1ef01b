"""The blocks that show what an audit found, with the names marked, for its page."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from knapsack_lib.audit.audit import Audit, Example
from knapsack_lib.audit.measures import BlockUse, bound_alone, read_block
from knapsack_lib.audit.transcripts import Step
from knapsack_lib.explorer.markup import chip, code, text
from knapsack_lib.explorer.reading import marks_of

__all__ = ["AFTER", "LEGEND", "blocks_shown", "short"]

ID, NAME = 200, 40  # letters of a transcript's id and of a name that are shown
CODE, LINES = 1_600, 40  # of a block
SEEN, SEEN_LINES = 500, 6  # of an observation
NAMES = 12  # of one kind
OPEN = 2  # of each kind; the others are folded
BUDGET = 200_000  # bytes of all blocks of a page
TITLES = {
    "relies": "Rely on earlier state",
    "restates": "Make it again",
    "missing": "Met a missing name",
}
AFTER = {
    "mended": "only the missing name was bound",
    "restated": "more than the missing name was said again",
    "same again": "the same block, or the same name missing again",
    "other": "something else was tried",
    "given up": "no further block",
}
HALF = re.compile("[\ud800-\udfff]")
LEGEND = (
    '<p class="soft">Marked: <mark class="relied">bound by an earlier block</mark>, '
    '<mark class="restated">said again</mark>, <mark class="missing">missing</mark>.</p>'
)


def blocks_shown(audit: Audit, of: int = 1) -> str:
    """The examples of an audit by kind, the most telling first, in its part (1/`of`) of BUDGET."""
    examples = sorted(audit.examples, key=lambda one: list(TITLES).index(one.kind))
    left, shut, out = BUDGET // of, 0, []
    for kind, found in groupby(examples, key=lambda one: one.kind):
        shown = []
        for example in found:
            drawn = _block(example)
            left -= len(drawn.encode())
            shut += left < 0
            if left >= 0:
                shown.append(drawn)
        folded = "".join(shown[OPEN:])
        if folded:
            folded = f"<details><summary>{len(shown[OPEN:])} more</summary>{folded}</details>"
        out.append(f"<h3>{TITLES[kind]}</h3>{''.join(shown[:OPEN])}{folded}")
    if shut:
        out.append(
            f'<p class="soft">{shut} more blocks are left out: the page would be too large.</p>'
        )
    return "".join(out) or "<p>No block relies, restates or met a missing name.</p>"


def short(value: str, limit: int, lines: int = 0) -> str:
    """The beginning of a text as HTML, and how much is left out. `lines`: at most so many."""
    piece = _cut(value, limit, lines)
    return text(piece) + _beyond(len(value) - len(piece))


def _cut(value: str, limit: int, lines: int = 0) -> str:
    piece = value[:limit]
    return "".join(piece.splitlines(keepends=True)[:lines]) if lines else piece


def _beyond(letters: int) -> str:
    return f' <span class="soft">… {letters:,} more characters</span>' if letters > 0 else ""


def _block(example: Example) -> str:
    use = example.use
    whole = use.step.code
    piece = HALF.sub("\ufffd", _cut(whole, CODE, LINES))
    trouble = " bad" if use.step.error_type else ""
    marks = list(marks_of(piece, list(_marked(use, piece))))
    return (
        f'<article><p class="soft id">{short(example.transcript_id, ID)}, step {use.number}</p><p>{_said(use)}</p>'
        f"<pre>{code(piece, marks)}{_beyond(len(whole) - len(piece))}</pre>"
        f'<pre class="out{trouble}">{_answer(use.step)}</pre></article>'
    )


def _answer(step: Step) -> str:
    """How the observation begins, and the error, which stands at its end."""
    seen, error = step.observation.lstrip("\n"), f"{step.error_type}: {step.error or ''}"
    begin = short(seen, SEEN, SEEN_LINES) if seen else ""
    if step.error_type and error[:SEEN] not in _cut(seen, SEEN, SEEN_LINES):
        return f"{begin}\n{short(error, SEEN)}".lstrip("\n")
    return begin or "(nothing was shown)"


def _said(use: BlockUse) -> str:
    """What it does, in words."""
    said = []
    if use.missing:
        said.append(f"{_names([use.missing])} was missing; then {AFTER.get(use.after, '')}")
    if use.relies:
        ago = "1 block ago" if use.back == 1 else f"{use.back} blocks ago"
        names = _names([f"{name} ({kind})" for name, kind in use.relies.items()])
        said.append(f"relies on {names}, the newest bound {ago}")
    if use.again:
        said.append(f"says again in the same words {_names(use.again)}")
    if use.rewritten:
        said.append(f"gives another value to {_names(use.rewritten)}")
    return "; ".join(said)


def _names(names: Any) -> str:
    shown = "".join(chip(one[:NAME] + "…" * (len(one) > NAME)) for one in names[:NAMES])
    return shown + (f" and {len(names) - NAMES:,} more" if len(names) > NAMES else "")


def _marked(use: BlockUse, piece: str) -> Iterator[tuple[Any, str]]:
    """(node, kind) for what stands at least partly in the piece that is shown."""
    block = read_block(use.step.code)
    if block is None:
        return
    tree, names = block
    last = piece.count("\n") + piece.count("\r") + 1
    again = {*use.again, *use.rewritten}
    for statement in tree.body:
        if statement.lineno <= last and again & bound_alone(statement, use.step.code).keys():
            yield statement, "restated"
    for node in names.places:
        if node.lineno <= last and node.id in use.relies:
            yield node, "relied"
    for one in ast.walk(tree) if use.missing else ():
        if isinstance(one, ast.Name) and one.id == use.missing and one.lineno <= last:
            yield one, "missing"
