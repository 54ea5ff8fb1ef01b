"""Files of a folder or an archive, read without unpacking anything; and outputs that are written whole
or not at all.

    for name, data in members("benchmarks.tar.gz", wanted=lambda name: name.endswith(".json")): ...
    with written_whole(Path("main.tex")) as part: part.write_text(...)

An archive's members are read in memory and never written, so that no name in it can reach a file of
ours. Names that point outside, links, devices and what is too large are refused in one line.
"""

from __future__ import annotations

import lzma
import os
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from knapsack_lib.errors import UserError

__all__ = [
    "LARGEST",
    "is_archive",
    "members",
    "must_be_new",
    "plain_name",
    "shown_name",
    "written_whole",
]

LARGEST = 512 * 2**20  # bytes of one file
TOTAL = 8 * 2**30  # bytes of all files of an archive
MOST = 200_000  # members
# Bz2 and gzip raise OSError.
DAMAGED = (tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError)


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
        yield from _of_archive(path, wanted)
    elif wanted(path.name):
        yield path.name, _read(path)


def is_archive(path: Path) -> bool:
    """Whether a file is a tar archive, by its name or its bytes."""
    if path.name.endswith((".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")):
        return True  # also when it is damaged: reading it reports that
    with suppress(lzma.LZMAError, OSError, EOFError):
        return tarfile.is_tarfile(path)
    return False


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
    if "/" in name or "\\" in name or not name.isprintable():
        raise UserError(
            f"{what} '{shown_name(name)}' cannot be in a file's name; give it a plain name in the source"
        )
    return name


def shown_name(name: object) -> str:
    """A file's name as a message may show it: on one line, not too long."""
    return repr(str(name))[1:-1][-160:]


def _of_folder(path: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    """A link to a file is followed unless it leads out of the folder; a link to a folder is not."""
    root = path.resolve()
    if root.parent.name == "snapshots" and (root.parents[1] / "blobs").is_dir():
        root = root.parents[1]  # the cache of huggingface_hub, whose files are links into its blobs
    files = [Path(folder, name) for folder, _, names in os.walk(path) for name in names]
    for name, file in sorted((file.relative_to(path).as_posix(), file) for file in files):
        if not wanted(name) or not file.is_file():
            continue
        if file.is_symlink() and not file.resolve().is_relative_to(root):
            raise UserError(f"{shown_name(name)}: a link that leads out of {root.name}; remove it")
        yield name, _read(file)


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
                    raise UserError(
                        f"{path.name}: more than {MOST:,} members or {TOTAL // 2**30} GiB; split it"
                    )
                if member.isfile() and wanted(member.name):
                    chosen.append(member)
            for member in sorted(chosen, key=lambda one: one.name):
                yield member.name, archive.extractfile(member).read()  # type: ignore[union-attr]
    except DAMAGED as error:
        raise UserError(
            f"{path.name}: the archive is damaged ({shown_name(error)}); fetch it again"
        ) from None


def _checked(member: tarfile.TarInfo, archive: str) -> int:
    """The member's size, once it is known to be harmless."""
    name = shown_name(member.name)
    parts = PurePosixPath(member.name)
    if parts.is_absolute() or ".." in parts.parts or "\\" in member.name:
        raise UserError(
            f"{archive}: member {name} points outside of the archive; do not use this file"
        )
    if not (member.isfile() or member.isdir()):
        raise UserError(f"{archive}: member {name} is a link or a device; do not use this file")
    if member.size > LARGEST:
        raise UserError(f"{archive}: member {name} is larger than {LARGEST // 2**20} MiB; split it")
    return member.size
