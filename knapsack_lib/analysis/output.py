"""How generated files are written: the provenance line first, no clock, no path, the same bytes
every time."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

__all__ = ["read_csv", "write_csv", "write_tex"]


def write_csv(frame: pd.DataFrame, path: Path, stamp: str) -> Path:
    """A CSV whose first line is '# ' and the stamp; floats to six digits. Read it back with
    `read_csv`."""
    return _write(
        path, f"# {stamp}\n" + frame.to_csv(index=False, lineterminator="\n", float_format="%.6g")
    )


def read_csv(path: Path) -> pd.DataFrame:
    """A CSV as written here: its first line is a comment with the provenance."""
    return pd.read_csv(path, comment="#", encoding="utf-8")


def write_tex(text: str, path: Path, stamp: str) -> Path:
    """LaTeX source whose first line is '% ' and the stamp."""
    return _write(path, f"% {stamp}\n{text.rstrip()}\n")


def _write(path: Path, text: str) -> Path:
    """Whole or not at all, the same bytes whatever the machine's language."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    part.write_text(text, encoding="utf-8", newline="\n")
    part.replace(path)
    return path
