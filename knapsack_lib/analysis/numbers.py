r"""paper/numbers.tex: one \newcommand for every number that the paper's text uses.

    write(evidence, folder / "numbers.tex", text)

A word command of the text with a capital inside is a number of quantities.py, unless the text
defines it itself: \scorePersistentResetEasy.
"""

from __future__ import annotations

import re
from pathlib import Path

from knapsack_lib.analysis.evidence import Evidence
from knapsack_lib.analysis.latex import escaped
from knapsack_lib.analysis.output import write_tex
from knapsack_lib.analysis.quantities import number_named
from knapsack_lib.errors import UserError

__all__ = ["macros_of", "write"]


def macros_of(text: str) -> list[str]:
    """The macros of numbers that a LaTeX text uses, sorted."""
    plain = re.sub(r"(?<!\\)%.*", "", text)
    own = set(re.findall(r"\\newcommand\{\\(\w+)\}", plain))
    return sorted(set(re.findall(r"\\([a-z]+[A-Z][A-Za-z]*)", plain)) - own)


def write(evidence: Evidence, path: Path, text: str) -> Path:
    """Write the macros of `text`, one a line. Raises UserError naming a macro that is no number."""
    lines = []
    for name in macros_of(text):
        try:
            value = number_named(name).text(evidence)
        except UserError as error:
            raise UserError(f"paper/main.tex uses \\{name}, but {error}") from None
        lines.append(rf"\newcommand{{\{name}}}{{{escaped(value)}}}")
    return write_tex("\n".join(lines), path, evidence.results.stamp)
