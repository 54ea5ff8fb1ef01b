"""Where the project is, how a file is written (whole or not at all), who may write where, and what tells one content
from another."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from knapsack_lib.errors import UserError

__all__ = [
    "NO_LOCK",
    "REFUSALS",
    "digest_of",
    "only_one",
    "own_modules",
    "path_digest",
    "project_root",
    "refusal",
    "refused_in_one_line",
    "shown",
    "write_whole",
]

NO_LOCK = (
    "KNAPSACK_NO_LOCK"  # environment variable: 1 where the user sees to it that one run writes
)

# What a file system refuses, whatever the program does: no space, no right to write
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
NO_RIGHT = (errno.EROFS, errno.EACCES, errno.EPERM)
REFUSALS = (*NO_SPACE, *NO_RIGHT, errno.ENAMETOOLONG)
# Of an output: clocks, half episodes, the commit, and what keeps other writers out.
UNCOMPARED = ("timings.jsonl", "turns.jsonl", "provenance.json", "current", ".lock")


def project_root() -> Path:
    """The folder that holds params/ and notebooks/: KNAPSACK_ROOT, else the nearest such folder
    above here.

    Raises UserError when there is none.
    """
    named = os.environ.get("KNAPSACK_ROOT")
    starts = [Path(named)] if named else [Path.cwd(), Path(__file__).parent]
    for start in starts:
        for folder in (start, *start.resolve().parents):
            if (folder / "params").is_dir() and (folder / "notebooks").is_dir():
                return folder.resolve()
    raise UserError(
        "no folder with params/ and notebooks/ here or above; run from the project or set KNAPSACK_ROOT"
    )


def shown(path: Path) -> str:
    """A path as outputs and messages show it: relative to the project."""
    return os.path.relpath(path, project_root())


def refusal(error: OSError, place: Path | None = None) -> str:
    """What the file system refused, as one line: where, the reason, the mend."""
    where = place or error.filename2 or error.filename  # the second is what was to be replaced
    reason = error.strerror or " ".join(str(error).split()) or type(error).__name__
    if error.errno in NO_SPACE:
        mend = "; free some space, then run the same command"
    elif error.errno == errno.EROFS:
        mend = "; give another path, or work in a copy of the project that can be written"
    else:
        mend = "; give another path" if where else ""
    return f"{repr(str(where))[1:-1]}: {reason}{mend}" if where else f"{reason}{mend}"


@contextmanager
def refused_in_one_line(place: Path) -> Iterator[None]:
    """Around what writes to `place`: a full disk, no right to write there, or too long a name is a
    UserError."""
    try:
        yield
    except OSError as error:
        if error.errno not in REFUSALS:
            raise
        raise UserError(refusal(error, place)) from None


def write_whole(path: Path, content: str | bytes | Iterable[bytes]) -> Path:
    """Write a file so that it holds the old content or all of the new one, after a kill too.

    Text is UTF-8 with plain newlines, whatever the machine's language. Folders are made. Raises UserError when the disk
    is full or may not be written; nothing is left behind then.
    """
    # Two writers at once have a file each: the last one to end wins, whole.
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    parts = (
        [content.encode()]
        if isinstance(content, str)
        else [content]
        if isinstance(content, bytes)
        else content
    )
    with refused_in_one_line(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(part, "wb") as file:
                file.writelines(parts)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except BaseException:
            with suppress(OSError):
                part.unlink()
            raise
    return path


def own_modules(folder: str, taken: Collection[str]) -> dict[str, Path]:
    """Name -> file of the modules in a folder of the project (families/, formats/); none outside of
    a project. Raises UserError for one with a name that the library has."""
    try:
        files = (project_root() / folder).glob("*.py")
    except UserError:
        return {}
    found = {path.stem: path for path in files if path.stem.isidentifier()}
    for name in found.keys() & taken:
        raise UserError(f"{folder}/{name}.py has the name of a module of the library; rename it")
    return found


@contextmanager
def only_one(lock: Path, busy: str) -> Iterator[None]:
    """Hold a lock for the length of a block. Raises UserError with the line `busy` when another process holds it, and
    one that names the way out where the file system has no locks."""
    if os.environ.get(NO_LOCK) == "1":
        yield
        return
    held = FileLock(lock, timeout=0, fallback_to_soft=False)
    try:
        held.acquire()
    except Timeout:
        raise UserError(busy) from None
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
            raise
        raise UserError(
            f"the file system of {lock.parent.parent.name}/{lock.parent.name} has no locks ({error.strerror}); move the "
            f"project to another, or set {NO_LOCK}=1 and see to it that only one run writes at a time"
        ) from None
    try:
        yield
    finally:
        held.release()


def digest_of(data: Any) -> str:
    """SHA-256 of JSON values, whatever the order of their keys."""
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def path_digest(path: Path) -> str:
    """SHA-256 of a file, or of a folder's files with their names (without clocks and half-written files)."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    if not path.is_dir():
        raise UserError(
            f"input {path.name} of this output is not there; run the stage that makes it first"
        )
    files = [
        p
        for p in path.rglob("*")
        if p.is_file() and p.suffix != ".part" and p.name not in UNCOMPARED
    ]
    return digest_of({p.relative_to(path).as_posix(): path_digest(p) for p in files})
