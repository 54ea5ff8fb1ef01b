"""Members of tar and zip archives, read in memory and never written, so that no name in one can
reach a file of ours. Names that point outside, links, devices and what is too large are refused in
one line.

    for name, data in members_of(Path("benchmarks.tar.gz"), wanted): ...
"""

from __future__ import annotations

import gzip
import io
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from knapsack_lib.errors import UserError

__all__ = ["ARCHIVES", "LARGEST", "is_archive", "members_of", "shown_name", "unpacked"]

ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".zip")
LARGEST = 512 * 2**20  # bytes of one file
TOTAL = 8 * 2**30  # bytes of all files of an archive
MOST = 200_000  # members
# Bz2 and gzip raise OSError; zipfile RuntimeError for a member with a password, and
# NotImplementedError, which is one, for a packing that it does not know.
DAMAGED = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    ValueError,
    RuntimeError,
    OverflowError,
)


class _Member(NamedTuple):
    name: str
    size: int
    is_file: bool
    is_special: bool  # a link or a device
    read: Callable[[], bytes]


def is_archive(path: Path) -> bool:
    """Whether a file is an archive, by its name or its bytes."""
    if path.name.endswith(ARCHIVES):
        return True  # also when it is damaged: reading it reports that
    with suppress(lzma.LZMAError, OSError, EOFError):
        return tarfile.is_tarfile(path) or _is_zip(path)
    return False


def members_of(
    path: Path, wanted: Callable[[str], bool], litter: Callable[[str], bool]
) -> Iterator[tuple[str, bytes]]:
    """(name, bytes) in the order of names. Raises UserError for an archive that is damaged or
    dangerous. What is litter may be a link: nobody follows it."""
    try:
        with zipfile.ZipFile(path) if _is_zip(path) else tarfile.open(path) as archive:
            chosen, total = [], 0
            for count, member in enumerate(_listed(archive)):
                _check_name(member.name, path.name)
                if litter(member.name):
                    continue
                _check(member, path.name)
                total += member.size
                if count > MOST or total > TOTAL:
                    raise UserError(
                        f"{path.name}: more than {MOST:,} members or {TOTAL // 2**30} GiB; split it"
                    )
                if member.is_file and wanted(member.name):
                    chosen.append(member)
            for member in sorted(chosen, key=lambda one: one.name):
                yield member.name, member.read()
    except DAMAGED as error:
        raise UserError(
            f"{path.name}: the archive is damaged ({shown_name(error)}); fetch it again"
        ) from None


def unpacked(data: bytes, name: str) -> bytes:
    """The bytes of a file that is packed with gzip. Raises UserError."""
    try:
        with gzip.open(io.BytesIO(data)) as file:
            found = file.read(LARGEST + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(
            f"{shown_name(name)}: the file is damaged ({shown_name(error)}); fetch it again"
        ) from None
    if len(found) > LARGEST:
        raise UserError(f"{shown_name(name)}: larger than {LARGEST // 2**20} MiB; split it")
    return found


def shown_name(name: object) -> str:
    """A file's name as a message may show it: on one line, not too long."""
    return repr(str(name))[1:-1][-160:]


def _is_zip(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(4) in (b"PK\x03\x04", b"PK\x05\x06") or path.name.endswith(".zip")


def _listed(archive: zipfile.ZipFile | tarfile.TarFile) -> Iterator[_Member]:
    if isinstance(archive, zipfile.ZipFile):
        for entry in archive.infolist():
            link = stat.S_ISLNK(entry.external_attr >> 16)
            read = partial(archive.read, entry)
            yield _Member(entry.filename, entry.file_size, not entry.is_dir(), link, read)
        return
    for info in archive:
        special = not (info.isfile() or info.isdir())
        yield _Member(info.name, info.size, info.isfile(), special, partial(_read, archive, info))


def _read(archive: tarfile.TarFile, info: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(info)
    assert file is not None  # of a plain file
    return file.read()


def _check_name(name: str, archive: str) -> None:
    parts = PurePosixPath(name)
    if parts.is_absolute() or ".." in parts.parts or "\\" in name:
        raise UserError(
            f"{archive}: member {shown_name(name)} points outside of the archive; do not use this file"
        )


def _check(member: _Member, archive: str) -> None:
    name = shown_name(member.name)
    if member.is_special:
        raise UserError(f"{archive}: member {name} is a link or a device; do not use this file")
    if member.size > LARGEST:
        raise UserError(f"{archive}: member {name} is larger than {LARGEST // 2**20} MiB; split it")
