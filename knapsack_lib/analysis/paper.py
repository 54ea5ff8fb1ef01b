"""Typeset the paper: `knapsack pdf --profile pocket`.

Runs latexmk on paper/main.tex (for an unpublished run: on the copy in that run's folder) and leaves
paper/main.pdf. Auxiliary files go to the run's folder. Without LaTeX nothing fails: one line names
the packages to install.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from knapsack_lib.errors import UserError
from knapsack_lib.files import shown
from knapsack_lib.profiles import Run

__all__ = ["missing_latex", "typeset"]

PACKAGES = "latexmk texlive-latex-base texlive-latex-recommended texlive-science"
# What main.tex loads
STYLES = (
    "array",
    "booktabs",
    "geometry",
    "graphicx",
    "hyperref",
    "microtype",
    "xcolor",
)


def missing_latex() -> str | None:
    """None when the paper can be typeset, else the line that says what to install."""
    complete = all(shutil.which(tool) for tool in ("latexmk", "pdflatex", "kpsewhich"))
    if complete:
        names = [f"{name}.sty" for name in STYLES]
        found = subprocess.run(
            ["kpsewhich", *names],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        ).stdout.split()
        complete = len(found) == len(names)
    return (
        None if complete else f"no PDF: LaTeX is not complete here; install the packages {PACKAGES}"
    )


def typeset(run: Run) -> Path:
    """Run latexmk and return paper/main.pdf. The same sources give the same bytes: no clock, no
    random id."""
    folder, work = run.published_root / "paper", run.root / "latex"
    for name in ("main.tex", "numbers.tex"):
        if not (folder / name).exists():
            profile, seed = run.profile.name, "" if run.is_default_seed else f" --seed {run.seed}"
            where = shown(folder / name)
            raise UserError(f"no {where}; run first: knapsack figures --profile {profile}{seed}")
    work.mkdir(parents=True, exist_ok=True)
    command = ["latexmk", "-pdf", "-interaction=nonstopmode", "-halt-on-error"]
    command += [f"-outdir={os.path.relpath(work, folder)}", "main.tex"]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "0", "FORCE_SOURCE_DATE": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False)
    if done.returncode != 0:
        problems = re.findall(r"^! .+$", done.stdout.decode(errors="replace"), re.M)
        raise UserError(
            f"{problems[0] if problems else 'latexmk failed'}; read {shown(work / 'main.log')}"
        )
    return Path(shutil.copyfile(work / "main.pdf", folder / "main.pdf"))
