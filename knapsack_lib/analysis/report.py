"""From a run to every figure, table and number of the paper.

    results = collect(run)      # a run -> the compact results/<profile>/, and read back from there
    build(results, run)         # figures/, paper/tables/, paper/numbers.tex under run.published_root

`knapsack figures` does the same from the committed results alone; notebook 05 shows what is in them.
Both build from what was written to disk, so they agree byte for byte.
"""

from __future__ import annotations

from pathlib import Path

from knapsack_lib.analysis import figures, numbers, prompts, tables
from knapsack_lib.analysis.evidence import Evidence
from knapsack_lib.analysis.results import Results, read_results, write_results
from knapsack_lib.files import project_root, write_whole
from knapsack_lib.profiles import COMMITTED, Run, load_profile

__all__ = ["build", "collect", "tells_of"]


def collect(run: Run) -> Results:
    """Write the run's compact results and read them back. Raises UserError naming the stage that is
    missing."""
    write_results(run)
    return read_results(run)


def tells_of(family: str) -> bool:
    """Whether the paper's text is about this family: it is about that of the committed study."""
    return family == load_profile(COMMITTED).family


def build(results: Results, run: Run, root: Path | None = None) -> list[Path]:
    """Every figure, table and number of these results, under `root` (by default
    `run.published_root`), in order.

    Of results that are not whole (published/results.py): the figures and tables that they have the
    rows for.
    """
    root = root or run.published_root
    evidence = Evidence(results)
    written = figures.write_all(evidence, root / "figures")
    written += tables.write_all(evidence, root / "paper" / "tables")
    if not results.whole:  # other people's episodes: the paper's text does not speak of them
        return written
    written.append(prompts.write(results, root / "paper" / "tables" / "prompts.tex"))
    paper = project_root() / "paper" / "main.tex"
    if not paper.exists() or not tells_of(results.settings["family"]):
        return written
    text = paper.read_text(encoding="utf-8")
    written.append(numbers.write(evidence, root / "paper" / "numbers.tex", text))
    if root != project_root():  # another profile or seed: the same text with numbers of its own
        written.append(write_whole(root / "paper" / "main.tex", text))
    return written
