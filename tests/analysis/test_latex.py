"""Plain text as LaTeX, and the shape of a tabular."""

from __future__ import annotations

from knapsack_lib.analysis.latex import escaped, tabular


def test_latex_is_escaped():
    assert escaped("5% of a_b & -0.2; +1 → x") == r"5\% of a\_b \& $-$0.2; $+$1 $\to$ x"
    assert (
        escaped("p < 0.05, α ≥ 1 – ±2× #3")
        == r"p $<$ 0.05, $\alpha$ $\geq$ 1 -- $\pm$2$\times$ \#3"
    )


def test_a_tabular_has_as_many_columns_as_its_head():
    text = tabular("lr", ["a", "b"], [("first", [("1", "2")]), ("", [("3", "4")])])
    assert text.splitlines()[3:6] == [
        r"\midrule",
        r"\multicolumn{2}{l}{\emph{first}} \\",
        r"1 & 2 \\",
    ]
    assert text.count(r"\midrule") == 2 and text.endswith("\\bottomrule\n\\end{tabular}")
