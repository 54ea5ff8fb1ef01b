"""How generated files are written: the provenance line first, no clock, no path, the same bytes
every time."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from knapsack_lib.files import write_whole

__all__ = ["read_csv", "write_csv", "write_tex"]


def write_csv(frame: pd.DataFrame, path: Path, stamp: str) -> Path:
    """A CSV whose first line is '# ' and the stamp; floats to six digits. Read it back with
    `read_csv`."""
    text = frame.to_csv(index=False, lineterminator="\n", float_format="%.6g")
    return write_whole(path, f"# {stamp}\n{text}")


def read_csv(path: Path) -> pd.DataFrame:
    """A CSV as written here: its first line is a comment with the provenance."""
    return pd.read_csv(path, comment="#", encoding="utf-8")


def write_tex(text: str, path: Path, stamp: str) -> Path:
    """LaTeX source whose first line is '% ' and the stamp."""
    return write_whole(path, f"% {stamp}\n{text.rstrip()}\n")
