"""A folder of small text files that exists in memory alone.

It is a mapping name -> text: no name is ever part of a path, so none can lead out of it, and an episode that ends leaves
nothing behind. Names, sizes and answers are bounded, since a model chooses all of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from knapsack_lib.families.base import ToolError

__all__ = ["ANSWER", "FILES", "FILE_BYTES", "TOTAL_BYTES", "Folder"]

FILES = 16
FILE_BYTES, TOTAL_BYTES = 12_000, 48_000  # of one file, of the folder
ANSWER = 6_000  # characters of one answer
# Lower case alone, so that no two names differ in case only
NAME = re.compile(r"[a-z][a-z0-9_]{0,23}\.[a-z]{1,4}")
# Printable ASCII, tabs and line ends: what every terminal, file and tokenizer shows the same way
TEXT = re.compile(r"[\t\n\r -~]*")


class Folder:
    """The files of one episode. Every method raises ToolError for a value of the wrong kind. `page`: lines that an
    answer may hold. `read` and `written` collect the names of files that were."""

    def __init__(self, files: Mapping[str, str], page: int):
        self._start, self._page = dict(files), page
        self.read: set[str] = set()
        self.written: set[str] = set()
        self.restore()

    def restore(self) -> None:
        """Bring the files back to how they were at the start."""
        self.texts = dict(self._start)

    def listing(self) -> str:
        """JSON text: name -> lines, by name."""
        sizes = {name: len(text.splitlines()) for name, text in sorted(self.texts.items())}
        return json.dumps(sizes, separators=(",", ":"))

    def text(self, name: Any) -> str:
        _check_name(name)
        if name not in self.texts:
            raise ToolError("FileNotFoundError", f"there is no file {name}")
        return self.texts[name]

    def answer(self, name: str, lines: list[str], asked: int = 0) -> str:
        """Lines of a file as an agent is shown them, unless they are too many, or so many were asked for."""
        text = "\n".join(lines)
        if max(asked, len(lines)) > self._page or len(text) > ANSWER:
            raise ToolError("RuntimeError", "too long for one answer; ask for fewer lines")
        self.read.add(name)
        return text

    def put(self, name: Any, text: Any) -> None:
        """Write a whole file, within the quotas."""
        _check_name(name)
        if type(text) is not str or len(text) > FILE_BYTES or not TEXT.fullmatch(text):
            raise ToolError(
                "ValueError", f"a file holds ASCII text of at most {FILE_BYTES} characters"
            )
        others = {other: size for other, size in self.texts.items() if other != name}
        if len(others) >= FILES:
            raise ToolError("OSError", f"the folder holds at most {FILES} files")
        if sum(map(len, others.values())) + len(text) > TOTAL_BYTES:
            raise ToolError("OSError", f"the folder holds at most {TOTAL_BYTES} bytes")
        self.texts[name] = text
        self.written.add(name)


def _check_name(name: Any) -> None:
    if type(name) is not str or not NAME.fullmatch(name):
        raise ToolError(
            "ValueError", "a name is like result.csv: small letters, digits and an ending"
        )
