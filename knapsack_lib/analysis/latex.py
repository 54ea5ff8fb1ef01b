"""Plain text and cells as LaTeX: what every table is written with."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["escaped", "tabular"]

ESCAPES = {
    "&": r"\&",
    "%": r"\%",
    "#": r"\#",
    "_": r"\_",
    "→": r"$\to$",
    "×": r"$\times$",
    "+": "$+$",
    "−": "$-$",
    "$": r"\$",
    "{": r"\{",
    "}": r"\}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "\\": r"\textbackslash{}",
    "±": r"$\pm$",
    "<": "$<$",
    ">": "$>$",
    "α": r"$\alpha$",
    "–": "--",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "\N{EM SPACE}": r"\quad ",
}


def escaped(text: object) -> str:
    """Plain text as LaTeX; a hyphen before a digit is a minus sign."""
    out = "".join(ESCAPES.get(letter, letter) for letter in str(text))
    return re.sub(r"(?<![\w$])-(?=\d)", "$-$", out)


def tabular(
    layout: str, head: Sequence[str], groups: Sequence[tuple[str, Sequence[Sequence[str]]]]
) -> str:
    """A booktabs tabular of cells that are LaTeX already; a group with a title gets a line of its
    own."""
    lines = [rf"\begin{{tabular}}{{{layout}}}", r"\toprule", " & ".join(head) + r" \\"]
    for title, rows in groups:
        lines.append(r"\midrule")
        if title:
            lines.append(rf"\multicolumn{{{len(head)}}}{{l}}{{\emph{{{title}}}}} \\")
        lines += [" & ".join(row) + r" \\" for row in rows]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"])
