"""Paid replies on disk, so that no answer is paid for twice.

    with ReplyStore(folder) as store:
        key = reply_key(api="...", model="...", messages=[...], temperature=1.0, seed=7, max_output_tokens=512)
        record = store.get(key) or store.put(key, ask(...))

replies.jsonl only grows: one line per reply, on the disk before anyone acts on it. Its lines stand
in the order in which the answers came, so two runs' files differ in order; what is read from them
does not.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

from knapsack_lib.errors import UserError

__all__ = ["ReplyStore", "reply_key"]


def reply_key(**request: Any) -> str:
    """SHA-256 of the canonical JSON of a request. Name everything that changes the answer, and
    nothing else."""
    text = json.dumps(request, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


class ReplyStore:
    """Append-only and safe to use from threads. One process at a time; a second one gets a
    UserError."""

    def __init__(self, folder: Path):
        self.path = folder / "replies.jsonl"
        self._lock = threading.Lock()
        self._records: dict[str, dict[str, Any]] = {}

    def __enter__(self) -> ReplyStore:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(self.path, "ab", buffering=0)
        try:
            # Two runs that asked for the same thing at the same time would both pay for it.
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._records = self._whole_lines()
        except BlockingIOError:
            self._file.close()
            raise UserError(
                f"another run uses {self._shown}; wait for it, then run the same command"
            ) from None
        except UserError:
            self._file.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()  # which gives the lock back

    @property
    def _shown(self) -> str:
        return f"{self.path.parent.name}/{self.path.name}"

    def _whole_lines(self) -> dict[str, dict[str, Any]]:
        """What is on disk. A last line that a kill cut short is removed: that answer is asked for
        again."""
        data = self.path.read_bytes()
        end = data.rfind(b"\n") + 1
        if end < len(data):
            os.truncate(self.path, end)
        found: dict[str, dict[str, Any]] = {}
        for number, line in enumerate(data[:end].splitlines(), 1):
            try:
                record = json.loads(line)
                found.setdefault(record.pop("key"), record)
            except (ValueError, KeyError, AttributeError, TypeError):
                raise UserError(
                    f"{self._shown}:{number} is damaged; remove that line (its reply will be paid for again)"
                ) from None
        return found

    def __len__(self) -> int:
        with self._lock:
            return len(self._records)

    def get(self, key: str) -> dict[str, Any] | None:
        """The record of a reply, or None when it was never answered."""
        with self._lock:
            return self._records.get(key)

    def put(self, key: str, record: dict[str, Any]) -> dict[str, Any]:
        """Write a reply, wait until the disk has it, and return it. The first reply to a request
        stays the only one.

        Raises UserError when the disk does not take it.
        """
        line = json.dumps({"key": key, **record}, sort_keys=True, allow_nan=False).encode() + b"\n"
        with self._lock:
            if key in self._records:
                return self._records[key]
            self._append(line)
            # As it will be read again, so that a resumed run sees exactly what this one sees.
            self._records[key] = json.loads(line)
            del self._records[key]["key"]
            return self._records[key]

    def _append(self, line: bytes) -> None:
        end = os.fstat(self._file.fileno()).st_size
        try:
            if self._file.write(line) != len(line):
                raise OSError("no room is left")
            os.fsync(self._file.fileno())
        except OSError as error:
            os.truncate(self.path, end)  # or what is written next would join half a line
            raise UserError(
                f"{self._shown} cannot be written ({error.strerror or error}); mend that, then run again"
            ) from None

    def total(self, field: str) -> float:
        """Sum of one number over all replies."""
        with self._lock:
            return float(sum(record.get(field, 0) for record in self._records.values()))
