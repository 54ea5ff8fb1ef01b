"""The files of a source, opened one by one, and the values that a file holds: lines of JSON, a JSON
document, rows of Parquet or Arrow. Of lines and rows no more than one, or one batch, is in memory.

    for file in files_of("logs/"):
        file.sample().names                     # of the first object in it
        for place, value in file.values(bad): ...
"""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import IO, Any, BinaryIO

from knapsack_lib.errors import UserError, installs
from knapsack_lib.files import refusal
from knapsack_lib.published.files import is_archive, is_litter, members, shown_name
from knapsack_lib.published.layout import Place, folders_above

__all__ = ["File", "Sample", "files_of"]

HALVES = re.compile(r"\\ud[89a-f]", re.I)  # half a character, which JSON can spell
LINES = re.compile(r"\.(jsonl|ndjson|jsonlines)(\.gz)?$", re.I)
JSON = re.compile(
    r'\s*(?:\{\s*(?:["}]|\Z)|\[\s*(?:[\[\]{"\d-]|\Z))'
)  # how an object or a list begins
NOT_ARCHIVES = (".eval", ".npz", ".docx", ".xlsx", ".whl")  # zip files that are one thing
BATCH = 256  # rows
KINDS = {b"PAR1": "parquet", b"ARRO": "arrow", b"PK\x03\x04": "zip", b"\xff\xff\xff\xff": "arrow"}
SAID = {
    "json": "JSON",
    "jsonl": "lines of JSON",
    "parquet": "Parquet",
    "arrow": "Arrow",
    "zip": "a zip file",
    "text": "no JSON, Parquet, Arrow or zip file",
}


@dataclass(frozen=True)
class Sample:
    """`first`: the first value of a file, None where there is none. `kind`: jsonl, json, parquet,
    arrow, zip (whose
    members stand for a first object) or text. `where`: what its path says."""

    name: str
    kind: str
    first: Any = None
    where: Place = field(default_factory=lambda: Place(""))

    @property
    def names(self) -> frozenset[str]:
        """Of the first object; of a list, of its first object."""
        first = self.first[0] if isinstance(self.first, list) and self.first else self.first
        return frozenset(map(str, first)) if isinstance(first, dict) else frozenset()

    @property
    def said(self) -> str:
        names = ", ".join(repr(name)[1:-1][:40] for name in sorted(self.names)[:8])
        if names:
            return f"{SAID[self.kind]} whose first object has {names}"
        if self.kind in ("json", "jsonl"):
            if self.first is None:
                return "an empty file"
            return f"{SAID[self.kind]} that begins with a {type(self.first).__name__}"
        return SAID[self.kind]


@dataclass
class File:
    """`name`: within its source. `path`: on this disk, None for one in an archive. `inside`: the folder
    or archive that is the source, where it is one."""

    name: str
    opened: Callable[[], IO[bytes]]
    path: Path | None = None
    inside: Path | None = None

    @property
    def where(self) -> Place:
        """What its path says, with the folders above the source."""
        source = self.inside or self.path
        return Place(self.name, folders_above(source) if source else ())

    def unpacked(self) -> IO[bytes]:
        """Its bytes, without gzip."""
        file = self.opened()
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if not packed:
            return file
        inner: Any = gzip.GzipFile(fileobj=file)
        inner.myfileobj = file  # is closed with it
        return inner

    @cached_property
    def kind(self) -> str:
        with self.unpacked() as file:
            head = file.read(4096)
        found = next((kind for mark, kind in KINDS.items() if head.startswith(mark)), "")
        if found:
            return found
        if LINES.search(self.name):
            return "jsonl"
        return "json" if JSON.match(_text(io.BytesIO(head)).read()) else "text"

    @cached_property
    def _lines(self) -> bool:
        """Whether it holds a value in each line: by its name, or since its first line is one and
        another follows."""
        if LINES.search(self.name):
            return True
        with _text(self.unpacked()) as text:
            first = _loaded(next((line for line in text if line.strip()), ""))
            if isinstance(first, ValueError):
                return False
            if any(line.strip() for line in text):
                return isinstance(first, dict)
            self.__dict__["document"] = first  # all of it, read once
            return False

    @cached_property
    def document(self) -> Any:
        """Of a file that is one JSON value. Raises UserError."""
        with _text(self.unpacked()) as text:
            found = _loaded(text.read())
        if isinstance(found, ValueError):
            raise UserError(f"{shown_name(self.name)}: no whole JSON ({shown_name(found)})")
        return found

    def sample(self) -> Sample:
        """Raises UserError for a file that is damaged from its beginning."""
        if self.kind == "text":
            return Sample(self.name, self.kind)
        if self.kind == "zip":
            return Sample(self.name, self.kind, dict.fromkeys(self._members()), self.where)
        lines = self.kind == "jsonl" or (self.kind == "json" and self._lines)
        damage: list[str] = []
        first = next((value for _, value in self.values(damage.append)), None)
        if first is None and damage:
            raise UserError(damage[0])
        return Sample(self.name, "jsonl" if lines else self.kind, first, self.where)

    def _members(self) -> list[str]:
        try:
            with self.unpacked() as file, zipfile.ZipFile(file) as archive:
                return archive.namelist()
        except (zipfile.BadZipFile, OSError, ValueError):
            return []

    def values(self, bad: Callable[[str], None]) -> Iterator[tuple[str, Any]]:
        """(where it stands, value). `bad` is told, in a line, of a line that is no JSON."""
        try:
            if self.kind in ("parquet", "arrow"):
                yield from self._rows()
            elif self.kind in ("json", "jsonl") and self._lines:
                yield from self._of_lines(bad)
            elif self.kind == "json":
                yield shown_name(self.name), self.document
        except (EOFError, zlib.error, OSError) as error:
            if isinstance(error, OSError) and error.errno:
                raise UserError(refusal(error, Path(self.name))) from None
            bad(f"{shown_name(self.name)}: damaged ({shown_name(error)}); fetch it again")

    def _of_lines(self, bad: Callable[[str], None]) -> Iterator[tuple[str, Any]]:
        name = shown_name(self.name)
        with _text(self.unpacked()) as text:
            for number, line in enumerate(text, start=1):
                if not line.strip():
                    continue
                value = _loaded(line)
                if isinstance(value, ValueError):
                    bad(f"{name}:{number}: no whole JSON ({shown_name(value)})")
                else:
                    yield f"{name}:{number}", value

    def _rows(self) -> Iterator[tuple[str, Any]]:
        name = shown_name(self.name)
        part = "parquet" if self.kind == "parquet" else "ipc"
        try:
            arrow, reader = import_module("pyarrow"), import_module(f"pyarrow.{part}")
        except ImportError:
            raise UserError(
                f"{name}: {SAID[self.kind]} needs pyarrow; {installs('train')}"
            ) from None
        number = 0
        try:
            with self.unpacked() as file:
                for batch in _batches(file, self.kind, reader):
                    for row in batch.to_pylist():
                        number += 1
                        yield f"{name}:{number}", row
        except arrow.ArrowException as error:
            raise UserError(f"{name}: damaged ({shown_name(error)}); fetch it again") from None


def _batches(file: IO[bytes], kind: str, reader: Any) -> Iterator[Any]:
    if kind == "parquet":
        yield from reader.ParquetFile(file).iter_batches(batch_size=BATCH)
    elif file.read(6) == b"ARROW1":
        file.seek(0)
        whole = reader.open_file(file)
        yield from (whole.get_batch(number) for number in range(whole.num_record_batches))
    else:
        file.seek(0)
        yield from reader.open_stream(file)


def _text(file: IO[bytes]) -> io.TextIOWrapper:
    """In the encoding that its first bytes tell. What is no character is replaced."""
    head = file.read(4)
    file.seek(0)
    encoding = json.detect_encoding(head)
    encoding = "utf-8-sig" if encoding.startswith("utf-8") else encoding
    return io.TextIOWrapper(file, encoding=encoding, errors="replace", newline="\n")


def _loaded(text: str) -> Any:
    """The value, or the ValueError that says why there is none."""
    try:
        found = json.loads(text)
        if HALVES.search(text):
            found = json.loads(json.dumps(found, ensure_ascii=False).encode("utf-8", "replace"))
        return found
    except ValueError as error:
        return error
    except RecursionError:
        return ValueError("nested too deep")


def files_of(source: str | Path, bad: Callable[[str], None]) -> Iterator[File]:
    """The files of a file, folder or archive in the order of their names, without litter; archives
    in a folder are read too, and `bad` is told of one that cannot be.

    Raises UserError for a source that is not there, and for an archive that is damaged.
    """
    path = Path(source)
    if path.is_dir():
        yield from _of_folder(path, bad)
    elif not path.is_file():
        raise UserError(f"{shown_name(source)}: no such folder, archive or file")
    elif _is_archive(path):
        for name, data in members(path):
            yield _in_memory(name, data, path)
    else:
        yield File(path.name, lambda: _opened(path), path)


def _of_folder(folder: Path, bad: Callable[[str], None]) -> Iterator[File]:
    for name, path in _listed(folder):
        if not _is_archive(path):
            yield File(name, lambda path=path: _opened(path), path, folder)  # type: ignore[misc]
            continue
        try:
            for inner, data in members(path):
                yield _in_memory(f"{name}/{inner}", data, folder)
        except UserError as error:
            bad(str(error))


def _listed(folder: Path) -> list[tuple[str, Path]]:
    """A link to a folder is not followed, so that no walk goes round."""
    found = (Path(above, name) for above, _, names in os.walk(folder) for name in names)
    named = sorted((path.relative_to(folder).as_posix(), path) for path in found)
    return [(name, path) for name, path in named if not is_litter(name) and path.is_file()]


def _is_archive(path: Path) -> bool:
    try:
        return path.suffix not in NOT_ARCHIVES and is_archive(path) and not _zipped_log(path)
    except OSError:
        return False


def _zipped_log(path: Path) -> bool:
    """Whether a zip file is a log of Inspect under another name."""
    names = File(path.name, lambda: _opened(path))._members() if zipfile.is_zipfile(path) else []
    return "header.json" in names or "_journal/start.json" in names


def _opened(path: Path) -> BinaryIO:
    try:
        return open(path, "rb")
    except OSError as error:
        raise UserError(refusal(error, path)) from None


def _in_memory(name: str, data: bytes, source: Path) -> File:
    return File(name, lambda: io.BytesIO(data), inside=source)
