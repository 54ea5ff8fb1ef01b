"""The paper's appendix of prompts: real openings and replies, whatever letters they hold."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from knapsack_lib.analysis import prompts


def appendix(episode, turn, tmp_path: Path, changes: dict | None = None) -> str:
    """The appendix out of two aligned cells of two tasks and two adapters each; `changes` of the
    opening by runtime."""
    made = []
    for runtime in ("reset", "persistent"):
        for task, k in (("t2", 1), ("t1", 2), ("t1", 1), ("t0", 1)):
            labels = (runtime, runtime, "medium" if task == "t0" else "easy")
            turns = [
                turn(reply=f"{runtime} {task} {k} {n}", observation="seen" if n < 2 else None)
                for n in range(1, 4)
            ]
            one = episode(task, 40, turns, labels, train_seed=k)
            made.append(
                one if not changes else SimpleNamespace(**{**vars(one), **changes[runtime]})
            )
    path = prompts.write(SimpleNamespace(episodes=made, stamp="a stamp"), tmp_path / "prompts.tex")
    return path.read_text(encoding="utf-8")


def opening(content: str, *runtimes: str) -> dict:
    return {
        runtime: {"opening": [{"role": "user", "content": content}]}
        for runtime in runtimes or ("persistent", "reset")
    }


def test_the_appendix_shows_the_prompt_and_the_first_replies_on_the_first_easy_task(
    episode, turn, tmp_path
):
    text = appendix(episode, turn, tmp_path)
    headings = re.findall(r"\\paragraph\{(.*)\.\}", text)
    assert headings == [
        "The prompt in both runtimes (system message)",
        "The prompt in both runtimes (user message)",
        r"The first replies of persistent$\to$persistent on the same task",
        r"The first replies of reset$\to$reset on the same task",
    ]
    assert text.startswith("% a stamp\n") and "Fill it. Capacity 24." in text
    assert re.findall(r"(?:persistent|reset) t\d \d \d", text) == [
        f"{runtime} t1 1 {n}" for runtime in ("persistent", "reset") for n in (1, 2)
    ]
    assert text.count("# shown to it:\nseen") == 2 and text.count("# shown to it:\n(nothing)") == 2


def test_prompts_that_differ_between_runtimes_are_shown_both(episode, turn, tmp_path):
    words = {
        runtime: {"opening": [{"role": "user", "content": f"It is {runtime}."}]}
        for runtime in ("persistent", "reset")
    }
    text = appendix(episode, turn, tmp_path, words)
    assert text.count("in one of the runtimes (user message)") == 2 and "It is reset." in text


def test_long_lines_are_continued_and_letters_that_latex_lacks_are_replaced(
    turn, episode, tmp_path
):
    long = " ".join(["word"] * 60)
    text = appendix(episode, turn, tmp_path, opening(f"{long}\n\n50% of a_b größe → x"))
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
    text = appendix(episode, turn, tmp_path, opening(f"before {odd} after"))
    assert (
        text.count(r"\end{verbatim}") == text.count(r"\begin{verbatim}")
        and "before" in text
        and "after" in text
    )
    assert set(re.findall(r"[^ -~\n]", text)) == set()
