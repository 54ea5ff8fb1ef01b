"""paper/numbers.tex: the macros that the text uses, and no others."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from knapsack_lib.analysis import numbers
from knapsack_lib.analysis.latex import escaped
from knapsack_lib.analysis.numbers import macros_of
from knapsack_lib.analysis.quantities import number_named
from knapsack_lib.errors import UserError

TEXT = (Path(__file__).resolve().parents[2] / "paper" / "main.tex").read_text(encoding="utf-8")


@pytest.mark.parametrize("which", ["smoke", "twice"])
def test_the_macros_defined_are_the_macros_used(which: str, request: pytest.FixtureRequest):
    made = request.getfixturevalue(which)
    lines = (made.run.root / "paper" / "numbers.tex").read_text(encoding="utf-8").splitlines()[1:]
    defined = dict(
        re.fullmatch(r"\\newcommand\{\\(\w+)\}\{(.*)\}", line).groups() for line in lines
    )
    body = re.sub(r"(?m)^%.*$", "", TEXT)
    assert len(lines) == len(defined) > 150
    assert all(re.search(rf"\\{name}(?![A-Za-z])", body) for name in defined)
    own = set(re.findall(r"\\newcommand\{\\(\w+)\}", body))
    assert set(re.findall(r"\\([a-z]+[A-Z][A-Za-z]*)", body)) - own == set(defined)
    texts = {name: number_named(name).text(made.evidence) for name in defined}
    assert defined == {name: escaped(text) for name, text in texts.items()}
    assert not [
        n for n, text in texts.items() if not text or re.search(r"\b(nan|inf|None)\b", text)
    ]


def test_a_macro_that_is_no_number_is_named(smoke, tmp_path: Path):
    text = (
        r"% \notInAComment"
        "\n"
        r"\newcommand{\myOwn}{x} \myOwn \section{A} \scorePersistentResetEsy"
    )
    assert macros_of(text) == ["scorePersistentResetEsy"]
    with pytest.raises(
        UserError, match=r"uses \\scorePersistentResetEsy, but .*perhaps: scorePersistentResetEasy"
    ):
        numbers.write(smoke.evidence, tmp_path / "numbers.tex", text)
    assert not (tmp_path / "numbers.tex").exists()


def test_an_escaped_percent_sign_begins_no_comment():
    assert macros_of(r"5\% \scoreBaseResetEasy % \tostLevel") == ["scoreBaseResetEasy"]
