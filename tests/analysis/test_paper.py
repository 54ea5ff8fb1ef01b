"""The paper: what it refers to is made, its text types no number of ours, it is typeset."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from knapsack_lib.analysis.paper import missing_latex, typeset
from knapsack_lib.errors import UserError
from knapsack_lib.profiles import load_profile

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "paper" / "main.tex").read_text(encoding="utf-8")
PLAIN = re.sub(r"(?m)^%.*$", "", TEXT)

# References -------------------------------------------------------------------------------------


def test_every_table_and_figure_of_the_paper_is_made(smoke):
    made = {path.relative_to(smoke.run.root).as_posix() for path in smoke.written}
    inputs = set(re.findall(r"\\input\{([^}]*)\}", PLAIN))
    pictures = set(re.findall(r"\\includegraphics\[[^]]*\]\{([^}]*)\}", PLAIN))
    elsewhere = {"in_the_wild"}  # of another source: tests/audit/test_wild.py
    assert elsewhere <= pictures and all(
        (ROOT / f"figures/{name}.pdf").exists() for name in elsewhere
    )
    suite = "families"  # of a suite, where it was run: tests/analysis/test_suites.py
    assert suite in pictures and {f"tables/{suite}", f"tables/{suite}_claims"} <= inputs
    pictures -= {*elsewhere, suite}
    inputs -= {f"tables/{suite}", f"tables/{suite}_claims"}
    assert {f"paper/{name}.tex" for name in inputs} <= made and {
        f"figures/{name}.pdf" for name in pictures
    } <= made
    assert pictures == {path.stem for path in smoke.written if path.suffix == ".pdf"}


def test_every_label_is_referred_to_and_every_reference_has_its_label():
    labels, references = (
        set(re.findall(rf"\\{word}\{{([^}}]*)\}}", PLAIN)) for word in ("label", "ref")
    )
    assert references == labels


# Prose --------------------------------------------------------------------------------------------

# What may hold a digit: lengths of LaTeX, a name, a unit, the definition of a measure, a level that
# has two sides.
LENGTHS = r"\\(?:includegraphics|setlength|vspace|parbox|begin\{minipage\})(?:\[[^]]*\])*\{[^}]*\}(?:\{[^}]*\})?"
HARMLESS = ("Qwen3", "gsm8k", "score/1k", "is 100 times the mean score", r"$\cdot 10^{15}$")


def test_the_papers_prose_types_no_number_of_ours():
    """From the words of every caption and the title, which stand before the abstract, to the end,
    but for the list of sources and what the original found."""
    start, end = PLAIN.index(r"\newcommand{\bothn}"), PLAIN.index(r"\begin{thebibliography}")
    appendix = PLAIN.index(r"\appendix")
    body = re.sub(LENGTHS, "", PLAIN[start:end] + PLAIN[appendix:])
    for words in HARMLESS:
        assert words in re.sub(r"\s+", " ", body), (
            f"{words} is not in the paper any more: take it from this list"
        )
        body = re.sub(re.escape(words).replace(r"\ ", r"\s+"), "", body)
    sentences = [s for s in re.split(r"(?<=[.:;])\s", body) if re.search(r"\d", s)]
    ours = [s for s in sentences if "original" not in s]
    assert len(sentences) >= 3 and ours == []


# Typesetting --------------------------------------------------------------------------------------


def test_the_paper_of_an_unpublished_run_is_typeset_in_its_folder_with_the_same_bytes(
    copied: Path,
):
    run = load_profile("smoke").run()
    if (
        missing_latex()
    ):  # the library's own answer on a machine without LaTeX: a line that names the packages
        assert "texlive-science" in str(missing_latex())
        return
    first = typeset(run).read_bytes()
    shutil.rmtree(run.root / "latex")
    assert typeset(run).read_bytes() == first and b"/CreationDate" not in first
    log = (run.root / "latex" / "main.log").read_text(errors="replace", encoding="utf-8")
    assert "Output written" in log and not re.search(
        r"undefined (references|citations)|multiply defined", log
    )
    assert "Citation" not in log and "Missing character" not in log


def test_a_paper_without_its_numbers_names_the_command_that_makes_them(run):
    with pytest.raises(
        UserError,
        match=r"no runs/smoke/paper/main.tex; run first: knapsack figures --profile smoke$",
    ):
        typeset(run)
    with pytest.raises(UserError, match=r"--profile smoke --seed 7$"):
        typeset(load_profile("smoke").run(7))


def test_what_latex_does_not_accept_is_reported_in_one_line(copied: Path):
    if missing_latex():
        return
    run = load_profile("smoke").run()
    (run.root / "paper" / "numbers.tex").write_text("% a stamp\n", encoding="utf-8")
    with pytest.raises(
        UserError, match=r"! Undefined control sequence\.; read runs/smoke/latex/main.log$"
    ):
        typeset(run)
