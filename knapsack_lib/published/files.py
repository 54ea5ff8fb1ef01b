"""Files of a folder or an archive, read without unpacking anything; and outputs that are written whole
or not at all.

    for name, data in members("benchmarks.tar.gz", wanted=lambda name: name.endswith(".json")): ...
    with written_whole(Path("main.tex")) as part: part.write_text(...)

What systems and editors leave behind is passed over.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from knapsack_lib.errors import UserError
from knapsack_lib.published.archives import (
    ARCHIVES,
    LARGEST,
    is_archive,
    members_of,
    shown_name,
    unpacked,
)

__all__ = [
    "ARCHIVES",
    "LARGEST",
    "is_archive",
    "is_litter",
    "members",
    "must_be_new",
    "plain_name",
    "shown_name",
    "unpacked",
    "written_whole",
]

LONGEST = 240  # bytes of a name, so that an ending finds room in the 255 that file systems have
# What Windows, macOS and others put next to data, and copies that a program has not ended or has left.
LITTER = {
    "$recycle.bin",
    "@eadir",
    "__macosx",
    "__pycache__",
    "desktop.ini",
    "ehthumbs.db",
    "lost+found",
    "system volume information",
    "thumbs.db",
}
LEFT = ("~", ".bak", ".crdownload", ".download", ".incomplete", ".orig", ".part", ".temp", ".tmp")


def is_litter(name: str) -> bool:
    """Whether a path within a source is something that no one means by the data in it."""
    return any(_is_litter(part.casefold()) for part in name.split("/"))


def _is_litter(part: str) -> bool:
    """Hidden parts are: ._x and .DS_Store of macOS, .x.swp and .#x of editors, .ipynb_checkpoints."""
    hidden = part.startswith(".") and part not in (".", "..")
    locked = part.startswith("~$") or (part.startswith("#") and part.endswith("#"))
    return hidden or locked or part in LITTER or part.endswith(LEFT)


def members(
    source: str | Path, wanted: Callable[[str], bool] = lambda name: True
) -> Iterator[tuple[str, bytes]]:
    """(name within the source, bytes) in the order of names. Raises UserError for a source that is
    not there, an archive that is damaged or dangerous, and a file that is too large."""
    path = Path(source)
    if path.is_dir():
        yield from _of_folder(path, wanted)
    elif not path.is_file():
        raise UserError(f"{shown_name(source)}: no such folder, archive or file")
    elif is_archive(path):
        yield from members_of(path, wanted, is_litter)
    elif wanted(path.name):
        yield path.name, _read(path)


def must_be_new(folder: Path) -> None:
    """Raises UserError when something is there already."""
    if folder.exists() or folder.is_symlink():
        raise UserError(
            f"{shown_name(folder)} is there already; choose another folder or remove it"
        )


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Where to write a file or a folder that gets the name `path` when the block ends, and is
    removed when it fails.

    It is made in a fresh folder next to `path`: no name that a user may have given to something is
    written to. Raises OSError where the file system refuses.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".knapsack-") as scratch:
        part = Path(scratch) / "part"
        yield part
        part.replace(path)


def plain_name(name: str, what: str) -> str:
    """A word that becomes a part of a file's name. Raises UserError for one that would lead
    elsewhere or cannot be one."""
    if "/" in name or "\\" in name or not name.isprintable() or len(name.encode()) > LONGEST:
        raise UserError(
            f"{what} '{shown_name(name)}' cannot be in a file's name; give it a plain name in the source"
        )
    return name


def _of_folder(path: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    """A link to a file is followed unless it leads out of the folder; a link to a folder is not."""
    root = path.resolve()
    if root.parent.name == "snapshots" and (root.parents[1] / "blobs").is_dir():
        root = root.parents[1]  # the cache of huggingface_hub, whose files are links into its blobs
    files = [Path(folder, name) for folder, _, names in os.walk(path) for name in names]
    for name, file in sorted((file.relative_to(path).as_posix(), file) for file in files):
        if is_litter(name) or not wanted(name) or not file.is_file():
            continue
        if file.is_symlink() and not file.resolve().is_relative_to(root):
            raise UserError(f"{shown_name(name)}: a link that leads out of {root.name}; remove it")
        yield name, _read(file)


def _read(path: Path) -> bytes:
    if path.stat().st_size > LARGEST:
        raise UserError(f"{shown_name(path.name)}: larger than {LARGEST // 2**20} MiB; split it")
    return path.read_bytes()
