"""Files of a folder or an archive, read without unpacking anything.

    for name, data in members("benchmarks.tar.gz", wanted=lambda name: name.endswith(".json")): ...

An archive's members are read in memory and never written, so that no name in it can reach a file of ours. Names that
point outside, links, devices and what is too large are refused in one line.
"""

from __future__ import annotations

import os
import shutil
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from knapsack_lib.profiles import UserError

__all__ = ["LARGEST", "is_archive", "members", "part_of", "shown_name"]

LARGEST = 512 * 2**20  # bytes of one file
TOTAL = 8 * 2**30  # bytes of all files of an archive
MOST = 200_000  # members


def members(source: str | Path, wanted: Callable[[str], bool] = lambda name: True) -> Iterator[tuple[str, bytes]]:
    """(name within the source, bytes) in the order of names. Raises UserError for a source that is not there, an archive
    that is damaged or dangerous, and a file that is too large."""
    path = Path(source)
    if path.is_dir():
        yield from _of_folder(path, wanted)
    elif path.is_file() and is_archive(path):
        yield from _of_archive(path, wanted)
    elif path.is_file():
        yield path.name, _read(path)
    else:
        raise UserError(f"{shown_name(source)}: no such folder, archive or file")


def is_archive(path: Path) -> bool:
    """Whether a file is a tar archive, by its name or its bytes."""
    if path.name.endswith((".tar", ".tar.gz", ".tgz")):
        return True  # also when it is damaged: then it is told so
    try:
        return tarfile.is_tarfile(path)
    except (OSError, EOFError):
        return False


def part_of(folder: Path) -> Path:
    """Where a folder is written before it gets its name: empty of what a kill left. Raises UserError when it is there."""
    if folder.exists():
        raise UserError(f"{shown_name(folder)} is there already; choose another folder or remove it")
    part = folder.with_name(f"{folder.name}.part")
    if part.exists():
        shutil.rmtree(part)
    return part


def shown_name(name: object) -> str:
    """A file's name as a message may show it: on one line, not too long."""
    return repr(str(name))[1:-1][-160:]


def _of_folder(path: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    root = path.resolve()
    if root.parent.name == "snapshots" and (root.parents[1] / "blobs").is_dir():
        root = root.parents[1]  # the cache of huggingface_hub, whose files are links into its blobs
    for name in sorted(_names(path, root, "")):
        if wanted(name):
            yield name, _read(path / name)


def _names(folder: Path, root: Path, before: str) -> Iterator[str]:
    """Names of the files in and below a folder; a link is followed unless it leads out of `root`, or is a folder's."""
    with os.scandir(folder) as entries:
        for entry in entries:
            name = before + entry.name
            if entry.is_dir(follow_symlinks=False):
                yield from _names(folder / entry.name, root, f"{name}/")
            elif entry.is_file():
                if entry.is_symlink() and not Path(entry.path).resolve().is_relative_to(root):
                    raise UserError(f"{shown_name(name)}: a link that leads out of {root.name}; remove it")
                yield name


def _read(path: Path) -> bytes:
    if path.stat().st_size > LARGEST:
        raise UserError(f"{shown_name(path.name)}: larger than {LARGEST // 2**20} MiB; split it")
    return path.read_bytes()


def _of_archive(path: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    try:
        with tarfile.open(path) as archive:
            chosen, total = [], 0
            for count, member in enumerate(archive):
                total += _checked(member, path.name)
                if count > MOST or total > TOTAL:
                    raise UserError(f"{path.name}: more than {MOST:,} members or {TOTAL // 2**30} GiB; split it")
                if member.isfile() and wanted(member.name):
                    chosen.append(member)
            for member in sorted(chosen, key=lambda one: one.name):
                file = archive.extractfile(member)
                if file is not None:
                    yield member.name, file.read()
    except (tarfile.TarError, zlib.error, EOFError, OSError, ValueError) as error:
        raise UserError(f"{path.name}: the archive is damaged ({shown_name(error)}); fetch it again") from None


def _checked(member: tarfile.TarInfo, archive: str) -> int:
    """The member's size, once it is known to be harmless."""
    name = shown_name(member.name)
    parts = PurePosixPath(member.name)
    if parts.is_absolute() or ".." in parts.parts or "\\" in member.name:
        raise UserError(f"{archive}: member {name} points outside of the archive; do not use this file")
    if not (member.isfile() or member.isdir()):
        raise UserError(f"{archive}: member {name} is a link or a device; do not use this file")
    if member.size > LARGEST:
        raise UserError(f"{archive}: member {name} is larger than {LARGEST // 2**20} MiB; split it")
    return member.size
