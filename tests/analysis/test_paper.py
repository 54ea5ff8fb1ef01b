"""The paper: its macros exist, its prose types no number of ours, its appendix shows real prompts,
it is typeset."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from knapsack_lib.analysis import prompts
from knapsack_lib.analysis.numbers import numbers
from knapsack_lib.analysis.paper import main, missing_latex, typeset
from knapsack_lib.errors import UserError
from knapsack_lib.profiles import load_profile

TEXT = (Path(__file__).resolve().parents[2] / "paper" / "main.tex").read_text()
PLAIN = re.sub(r"(?m)^%.*$", "", TEXT)

# Macros -------------------------------------------------------------------------------------------


def test_every_macro_in_the_paper_exists(smoke, twice):
    own = set(re.findall(r"\\newcommand\{\\(\w+)\}", PLAIN))
    used = set(re.findall(r"\\([a-z]+[A-Z][A-Za-z]*)", PLAIN)) - {
        "baselineskip"
    }  # ours have a capital inside
    for made in (smoke, twice):
        found = numbers(made.evidence)
        assert len(used) > 100 and used <= set(found), sorted(used - set(found))
        assert {"margin", "level", "resamples", "temperature"} <= set(found) and not own & set(
            found
        )


def test_every_table_and_figure_of_the_paper_is_made(smoke):
    made = {path.relative_to(smoke.run.root).as_posix() for path in smoke.written}
    inputs = set(re.findall(r"\\input\{([^}]*)\}", PLAIN))
    pictures = set(re.findall(r"\\includegraphics\[[^]]*\]\{([^}]*)\}", PLAIN))
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
HARMLESS = ("Qwen3", "score/1k", "is 100 times the mean score", r"$\cdot 10^{15}$")


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


# Prompts ------------------------------------------------------------------------------------------


def told(episode, turn, tmp_path: Path, changes: dict | None = None) -> str:
    """The appendix out of two aligned cells of two tasks and two adapters each; `changes` of the
    opening by regime."""
    made = []
    for regime in ("reset", "persistent"):
        for task, k in (("t2", 1), ("t1", 2), ("t1", 1), ("t0", 1)):
            cast = (regime, regime, "medium" if task == "t0" else "easy")
            turns = [
                turn(reply=f"{regime} {task} {k} {n}", observation="seen" if n < 2 else None)
                for n in range(1, 4)
            ]
            one = episode(task, 40, turns, cast, train_seed=k)
            made.append(one if not changes else SimpleNamespace(**{**vars(one), **changes[regime]}))
    path = prompts.write(SimpleNamespace(episodes=made, stamp="a stamp"), tmp_path / "prompts.tex")
    return path.read_text()


def said(content: str, *regimes: str) -> dict:
    return {
        regime: {"opening": [{"role": "user", "content": content}]}
        for regime in regimes or ("persistent", "reset")
    }


def test_the_appendix_shows_the_prompt_and_the_first_replies_on_the_first_easy_task(
    episode, turn, tmp_path
):
    text = told(episode, turn, tmp_path)
    headings = re.findall(r"\\paragraph\{(.*)\.\}", text)
    assert headings == [
        "What the model is told, in both runtimes (system message)",
        "What the model is told, in both runtimes (user message)",
        r"The first replies of persistent$\to$persistent on the same task",
        r"The first replies of reset$\to$reset on the same task",
    ]
    assert text.startswith("% a stamp\n") and "Fill it. Capacity 24." in text
    assert re.findall(r"(?:persistent|reset) t\d \d \d", text) == [
        f"{regime} t1 1 {n}" for regime in ("persistent", "reset") for n in (1, 2)
    ]
    assert text.count("# shown to it:\nseen") == 2 and text.count("# shown to it:\n(nothing)") == 2


def test_prompts_that_differ_between_runtimes_are_shown_both(episode, turn, tmp_path):
    words = {
        regime: {"opening": [{"role": "user", "content": f"It is {regime}."}]}
        for regime in ("persistent", "reset")
    }
    text = told(episode, turn, tmp_path, words)
    assert text.count("in one of the runtimes (user message)") == 2 and "It is reset." in text


def test_long_lines_go_on_and_letters_that_latex_lacks_are_replaced(turn, episode, tmp_path):
    long = " ".join(["word"] * 60)
    text = told(episode, turn, tmp_path, said(f"{long}\n\n50% of a_b größe → x"))
    first = text.split("\\begin{verbatim}\n")[1].split("\n\\end{verbatim}")[0].splitlines()
    assert max(map(len, first)) <= prompts.WIDTH + 4 and "50% of a_b gr??e ? x" in first
    assert (
        " ".join(line.removeprefix("  > ") for line in first[: first.index("")]).split()
        == long.split()
    )


@pytest.mark.parametrize(
    "odd",
    [r"\end{verbatim}", r"\end{ver\end{verbatim}batim}", "a bell\x07", "nothing\0", "\x1b[0m"],
)
def test_no_text_ends_the_appendix_early_or_stops_latex(odd: str, turn, episode, tmp_path):
    text = told(episode, turn, tmp_path, said(f"before {odd} after"))
    assert (
        text.count(r"\end{verbatim}") == text.count(r"\begin{verbatim}")
        and "before" in text
        and "after" in text
    )
    assert set(re.findall(r"[^ -~\n]", text)) == set()


# Typesetting --------------------------------------------------------------------------------------


def test_the_paper_of_an_unpublished_run_is_typeset_in_its_folder_with_the_same_bytes(
    copied: Path, capsys
):
    run = load_profile("smoke").run()
    if (
        missing_latex()
    ):  # the library's own answer on a machine without LaTeX: a line that names the packages
        assert "texlive-science" in str(missing_latex())
        return
    first = typeset(run).read_bytes()
    shutil.rmtree(run.root / "latex")
    main(["--profile", "smoke"])
    assert capsys.readouterr().out == "wrote runs/smoke/paper/main.pdf\n"
    assert (run.root / "paper" / "main.pdf").read_bytes() == first and b"/CreationDate" not in first
    log = (run.root / "latex" / "main.log").read_text(errors="replace")
    assert "Output written" in log and not re.search(
        r"undefined (references|citations)|multiply defined", log
    )
    assert "Citation" not in log and "Missing character" not in log


def test_a_paper_without_its_numbers_names_the_command_that_makes_them(run):
    with pytest.raises(
        UserError,
        match=r"no runs/smoke/paper/main.tex; run first: python -m knapsack_lib.analysis --profile smoke$",
    ):
        typeset(run)
    with pytest.raises(UserError, match=r"--profile smoke --seed 7$"):
        typeset(load_profile("smoke").run(7))


def test_what_latex_does_not_accept_is_told_in_one_line(copied: Path):
    if missing_latex():
        return
    run = load_profile("smoke").run()
    (run.root / "paper" / "numbers.tex").write_text("% a stamp\n")
    with pytest.raises(
        UserError, match=r"! Undefined control sequence\.; read runs/smoke/latex/main.log$"
    ):
        typeset(run)
