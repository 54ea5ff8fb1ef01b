"""Plain text and cells as LaTeX: what every table is written with."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

__all__ = ["escaped", "number", "percent", "span", "tabular"]

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
}


def escaped(text: object) -> str:
    """Plain text as LaTeX; a hyphen before a digit is a minus sign."""
    out = "".join(ESCAPES.get(letter, letter) for letter in str(text))
    return re.sub(r"(?<![\w$])-(?=\d)", "$-$", out)


def number(value: float, form: str) -> str:
    """A number as LaTeX; a dash where there is none."""
    return "--" if value is None or math.isnan(value) else escaped(f"{value:{form}}")


def percent(share: float) -> str:
    """A share from 0 to 1 in percent."""
    return "--" if math.isnan(share) else rf"{100 * share:.0f}\%"


def span(value: float, low: float, high: float, form: str) -> str:
    """An estimate with its interval."""
    return (
        "--"
        if math.isnan(value)
        else f"{number(value, form)} [{number(low, form)}, {number(high, form)}]"
    )


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
