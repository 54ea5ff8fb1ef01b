"""Which part of a reply is the block that is run: one rule, for teachers, evaluation, imported files
and the explorer.

    status, block = the_block(reply)     # ("code", Block) or ("no_code" | "several_blocks", None)

A block is a fenced code block as CommonMark reads one (markdown-it-py does the reading): three or
more backticks or tildes, indented by three spaces at most, closed by a line of its own. Four things
CommonMark leaves open are decided here:

1. What a model thinks is no block. Thoughts stand at the beginning of a reply, from `<think>` (or
   `<thinking>`) to its end; a chat template may have opened them before the reply, so that only
   `</think>`, on a line of its own, is there.
2. Blocks that are tagged as Python count. Where none is, those without a tag count. A block of
   another language never does.
3. A last block that is not closed runs to the end of the reply: the model has ended its turn, and
   CommonMark closes it there.
4. Exactly one block is run. With several nobody could say which one the model meant.

docs/replies.md shows a table of cases.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from itertools import accumulate

from markdown_it import MarkdownIt

__all__ = ["Block", "find_blocks", "the_block", "thoughts"]

PYTHON = frozenset({"python", "py", "python3", "py3", "ipython"})
TAG = re.compile(r"[\w+#.-]+")  # Python, {.python .numberLines}, python title="a.py"
THOUGHTS = re.compile(r"\s*(?:<(think|thinking)>.*?(?:</\1>|\Z)\s*)+", re.S)
OPENED_BEFORE = re.compile(r"(?:(?!<think>).)*?^[ \t]*</think>[ \t\r]*$\s*", re.S | re.M)


@dataclass(frozen=True)
class Block:
    """A fenced block. `start` and `end` are characters of the reply, fences included."""

    code: str
    tag: str  # the first word after the fence, in lower case
    start: int
    end: int


@cache
def _reader() -> MarkdownIt:
    """Blocks alone: what stands in a line is nobody's business, and HTML hides no block."""
    reader = MarkdownIt("commonmark").disable("html_block")
    reader.core.ruler.enableOnly(["normalize", "block"])
    return reader


def thoughts(reply: str) -> int:
    """Where a reply's thoughts end, in characters; 0 where it has none."""
    found = THOUGHTS.match(reply) or OPENED_BEFORE.match(reply)
    return found.end() if found else 0


def find_blocks(reply: str) -> list[Block]:
    """Every fenced block after a reply's thoughts, whatever its tag, in order."""
    first = thoughts(reply)
    text = reply[first:]
    lines = re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z", text)
    starts = [first, *accumulate(map(len, lines), initial=first)][1:]
    blocks = []
    for token in _reader().parse(text):
        if token.type != "fence" or token.map is None:
            continue
        begin, end = token.map
        if end - begin < 2:  # a fence at the reply's very end, which opens nothing
            continue
        tag = TAG.search(token.info)
        blocks.append(
            Block(
                token.content.removesuffix("\n"),
                tag.group().lower().lstrip(".") if tag else "",
                starts[begin],
                starts[end],
            )
        )
    return blocks


def the_block(reply: str) -> tuple[str, Block | None]:
    """(parse status, the one block of Python that a reply holds, or None)."""
    blocks = find_blocks(reply)
    counted = [block for block in blocks if block.tag in PYTHON] or [
        block for block in blocks if not block.tag
    ]
    if len(counted) == 1:
        return "code", counted[0]
    return ("several_blocks" if counted else "no_code"), None
