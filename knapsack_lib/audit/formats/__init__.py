"""Readers of transcripts, one module a format.

    for transcript in read_transcripts("logs/"): ...
    for transcript in read_transcripts("-", format="chat"): ...       # lines of JSON on stdin

A format is found by what its files hold, so that a folder may hold several. Episodes are read one
after another and not kept; a JSON document is in memory as a whole, lines and rows are not.
"""

from __future__ import annotations

import importlib
import importlib.util
import shutil
import sys
import tempfile
from collections.abc import Iterator
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from pkgutil import iter_modules

from knapsack_lib.audit.formats.base import Format, Problems
from knapsack_lib.audit.formats.files import File, Sample, files_of
from knapsack_lib.audit.transcripts import Transcript
from knapsack_lib.errors import UserError
from knapsack_lib.files import own_modules
from knapsack_lib.hub import ID, fetched
from knapsack_lib.published.files import shown_name

__all__ = ["Format", "Problems", "format_named", "formats", "read_transcripts"]

PARTS = {"base", "common", "files"}  # what formats share
DATA = (".jsonl", ".ndjson", ".json", ".parquet", ".arrow", ".eval", ".ipynb")  # of a folder


@cache
def formats() -> tuple[Format, ...]:
    """Those of the library, then the project's own (formats/*.py), the most general last."""
    found = [_offered(name) for name in sorted(_library() - PARTS)]
    found += [_offered(name, path) for name, path in sorted(_own_files().items())]
    return tuple(sorted(found, key=lambda one: one.last))


def format_named(name: str) -> Format:
    """Raises UserError with the list of formats."""
    for one in formats():
        if one.name == name:
            return one
    raise UserError(f"format {name!r} is unknown; choose one of: {_names()}")


def read_transcripts(
    source: str | Path, format: str = "", problems: Problems | None = None
) -> Iterator[Transcript]:
    """The episodes of a file, a folder, an archive, `-` (lines of JSON on stdin) or a data set id.

    `format` names a reader, where none would be found or another is meant. `problems` is told of
    what could not be read. Raises UserError where there is no episode, naming what was found.
    """
    problems = Problems() if problems is None else problems
    chosen = format_named(format) if format else None
    if str(source) == "-":
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "stdin.jsonl")
            with open(path, "wb") as file:
                shutil.copyfileobj(sys.stdin.buffer, file)
            yield from _read(path, chosen, problems)
        return
    path = Path(source)
    if not path.exists() and ID.fullmatch(str(source)):
        path = fetched(str(source), "dataset")
    yield from _read(path, chosen, problems)


def _read(path: Path, chosen: Format | None, problems: Problems) -> Iterator[Transcript]:
    before, told = problems.transcripts, len(problems.lines)
    unknown, alone = "", path.is_file()
    for file in files_of(path, problems.add):
        found = None
        try:
            beside = any(one.passes(file.name) for one in formats())
            found = (None if beside and not alone else chosen) or _format_of(file)
            if found is None and not beside:
                raise UserError(_unknown(file))
            for transcript in found.read(file, problems) if found else ():
                problems.transcripts += 1
                yield transcript
        except UserError as error:
            if found or file.name.removesuffix(".gz").endswith(DATA):
                problems.add(str(error))
            unknown = unknown or str(error)
    if problems.transcripts == before:
        said = next(iter(problems.lines[told:]), unknown)
        raise UserError(said or f"{shown_name(path)}: no transcript in it; formats: {_names()}")


def _format_of(file: File) -> Format | None:
    """Raises UserError for a file that is damaged from its beginning."""
    sample = file.sample()
    return next((one for one in formats() if one.takes(sample)), None)


def _unknown(file: File) -> str:
    sample = file.sample()
    nearest = _nearest(sample)
    near = ""
    if nearest is not None:
        one, lacks = nearest
        what = f"{', '.join(sorted(lacks))} is missing" if lacks else "its values are no episodes"
        near = f"the nearest reader is {one.name}, and {what}; "
    return (
        f"{shown_name(file.name)}: {sample.said}, which no reader knows; {near}name one with --format:"
        f" {_names()}"
    )


def _nearest(sample: Sample) -> tuple[Format, frozenset[str]] | None:
    """The format most of whose names are there, or are nearly."""
    found = []
    for one in formats():
        for keys in one.keys if sample.names else ():
            close = [key for key in keys if get_close_matches(key, sample.names, 1, 0.75)]
            if close:
                found.append((-len(close) / len(keys), one.last, one.name, one, keys))
    if not found:
        return None
    *_, one, keys = min(found, key=lambda entry: entry[:3])
    return one, keys - sample.names


def _names() -> str:
    return ", ".join(sorted(one.name for one in formats()))


def _offered(name: str, own: Path | None = None) -> Format:
    module = f"{__name__}.{name}"
    if own is not None:
        spec = importlib.util.spec_from_file_location(module, own)
        assert spec is not None and spec.loader is not None
        loaded = sys.modules[module] = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(loaded)
        except Exception as error:
            del sys.modules[module]
            what = f"{type(error).__name__}: {' '.join(str(error).split())}"
            raise UserError(f"format {name}: {own.name} cannot be imported ({what})") from error
    found = getattr(importlib.import_module(module), "FORMAT", None)
    if not isinstance(found, Format) or found.name != name:
        raise UserError(f"format {name}: its module needs FORMAT = a Format whose name is {name!r}")
    return found


def _library() -> set[str]:
    return {module.name for module in iter_modules(__path__)}


def _own_files() -> dict[str, Path]:
    return own_modules("formats", _library())
