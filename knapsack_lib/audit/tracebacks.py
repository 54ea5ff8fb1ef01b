"""A recorded traceback after its block got other lines.

    with_new_lines("... Cell In[3], line 2 ...", "x = 1\\nprint(y)", "import json\\nx = 1\\nprint(y)")

Python's and IPython's frames of the block itself get the new numbers, and so do the lines that
IPython quotes, where they are the block's. Frames of functions that other blocks defined stay.
"""

from __future__ import annotations

import re
from difflib import SequenceMatcher

__all__ = ["with_new_lines"]

IPYTHON = re.compile(r"^((?:Cell )?In ?\[(\d+)\](?: in|,) ?(?:line |<cell line: ?))(\d+)", re.M)
PYTHON = re.compile(r'^(\s*File "<[^>]*>", line )(\d+)(?=, in <module>)', re.M)
QUOTED = re.compile(r"^(-+> | +)(\d+)( .*|)$", re.M)


def with_new_lines(text: str, old: str, new: str) -> str:
    """The text with the lines of `old`, the block that was run, counted as in `new`."""
    if old == new or "Error" not in text:
        return text
    before = old.splitlines()
    same = SequenceMatcher(None, before, new.splitlines(), autojunk=False).get_matching_blocks()
    lines = {a + n + 1: b + n + 1 for a, b, size in same for n in range(size)}
    first = IPYTHON.search(text)

    def of(number: str) -> str:
        return str(lines.get(int(number), number))

    def quoted(found: re.Match[str]) -> str:
        lead, number, code = found.groups()
        place = int(number) - 1
        if not (0 <= place < len(before) and before[place].strip() == code.strip()):
            return found.group()
        now = of(number)
        longer = len(now) - len(number)
        return lead[0] * -longer + lead[max(0, longer) :] + now + code

    def frame(found: re.Match[str]) -> str:
        own = first is not None and found[2] == first[2]
        return found[1] + of(found[3]) if own else found.group()

    text = IPYTHON.sub(frame, text)
    text = PYTHON.sub(lambda found: found[1] + of(found[2]), text)
    return QUOTED.sub(quoted, text) if first else text
