"""Logs of Inspect: .json, and .eval, which is a zip file with a JSON file for each sample. The code is
an argument of a tool call (python, in a sandbox), what came of it the tool's message. An Inspect that
packs its logs with Zstandard needs pyarrow here, or Python 3.14.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import IO, Any

from knapsack_lib.audit.formats.base import File, Format, Problems, Sample
from knapsack_lib.audit.formats.common import steps_of
from knapsack_lib.audit.transcripts import Transcript
from knapsack_lib.errors import UserError, installs
from knapsack_lib.published.files import LARGEST, shown_name
from knapsack_lib.published.records import as_object

HEADERS = ("header.json", "_journal/start.json")  # the second of a run that has not ended
ATTACHED = "attachment://"  # stands for a text that is kept once
ZSTANDARD = 93  # of the zip format
LOCAL = 30  # bytes of a member's own header, before its name


def read(file: File, problems: Problems) -> Iterator[Transcript]:
    if file.kind == "zip":
        yield from _of_zip(file, problems)
        return
    for place, log in file.values(problems.add):
        samples = log.get("samples") if isinstance(log, dict) else None
        if not isinstance(samples, list) or not samples:
            problems.add(f"{place}: a log without its samples")
            continue
        for sample in samples:
            yield from _transcript(place, sample, log.get("eval"), problems)


def _of_zip(file: File, problems: Problems) -> Iterator[Transcript]:
    where = shown_name(file.name)
    about: Any = None
    try:
        with file.unpacked() as opened, zipfile.ZipFile(opened) as archive:
            members = {one.filename: one for one in archive.infolist()}
            header = next((members[name] for name in HEADERS if name in members), None)
            if header is not None:
                about = _loaded(opened, archive, header).get("eval")
            for name in sorted(one for one in members if one.startswith("samples/")):
                try:
                    sample = _loaded(opened, archive, members[name])
                except ValueError as error:
                    problems.add(f"{where}/{name}: no whole JSON ({shown_name(error)})")
                    continue
                yield from _transcript(where, sample, about, problems)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError) as error:
        problems.add(f"{where}: damaged ({shown_name(error)}); fetch it again")


def _loaded(opened: IO[bytes], archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Any:
    """The object that a member holds. Raises ValueError where it holds none."""
    if member.file_size > LARGEST:
        raise ValueError(f"larger than {LARGEST // 2**20} MiB")
    try:
        found = json.loads(archive.read(member))
    except NotImplementedError:
        if member.compress_type != ZSTANDARD:
            raise
        found = json.loads(_unpacked(opened, member))
    except RecursionError:
        raise ValueError("nested too deep") from None
    if not isinstance(found, dict):
        raise ValueError(f"a {type(found).__name__} where an object is expected")
    return found


def _unpacked(opened: IO[bytes], member: zipfile.ZipInfo) -> bytes:
    """A member that is packed with Zstandard, which zipfile learns in Python 3.14."""
    try:
        arrow = import_module("pyarrow")
    except ImportError:
        raise UserError(
            f"{shown_name(member.filename)}: packed with Zstandard, which needs pyarrow;"
            f" {installs('train')}, or convert the log to JSON with inspect log convert"
        ) from None
    opened.seek(member.header_offset)
    head = opened.read(LOCAL)
    opened.seek(int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little"), 1)
    packed = arrow.BufferReader(opened.read(member.compress_size))
    found: bytes = arrow.CompressedInputStream(packed, "zstd").read()
    return found


def _transcript(place: str, sample: Any, about: Any, problems: Problems) -> Iterator[Transcript]:
    messages = sample.get("messages") if isinstance(sample, dict) else None
    if not isinstance(messages, list):
        problems.add(f"{place}: a sample without messages")
        return
    attached = as_object(sample.get("attachments"))
    whole = [_message(one, attached) for one in messages if isinstance(one, dict)]
    name = f"{place} {sample.get('id')} epoch {sample.get('epoch', 1)}"
    labels = {
        key: str(as_object(about)[key]) for key in ("model", "task") if as_object(about).get(key)
    }
    yield Transcript(name, steps_of(whole), labels)


def _message(message: dict[str, Any], attached: Mapping[str, Any]) -> dict[str, Any]:
    """With the texts that stand elsewhere; the error of a tool is what the agent was shown."""
    whole = _with_texts(message, attached) if attached else message
    error = whole.get("error")
    if not isinstance(error, dict):
        return dict(whole)
    return {**whole, "content": [whole.get("content"), str(error.get("message") or "")]}


def _with_texts(value: Any, attached: Mapping[str, Any]) -> Any:
    if isinstance(value, str) and value.startswith(ATTACHED):
        return attached.get(value.removeprefix(ATTACHED), value)
    if isinstance(value, dict):
        return {key: _with_texts(inner, attached) for key, inner in value.items()}
    return [_with_texts(one, attached) for one in value] if isinstance(value, list) else value


def knows(sample: Sample) -> bool:
    if sample.kind == "zip":
        return any(name in sample.names for name in HEADERS)
    first = sample.first
    return (
        isinstance(first, dict) and "eval" in first and {"samples", "plan"} & first.keys() != set()
    )


FORMAT = Format(
    "inspect",
    "logs of Inspect (.eval, .json)",
    read,
    keys=(frozenset({"eval", "samples"}),),
    knows=knows,
)
