"""Paid replies on disk, so that no answer is paid for twice.

    with ReplyStore(folder) as store:
        key = reply_key(api="...", model="...", messages=[...], temperature=1.0, seed=7, max_output_tokens=512)
        record = store.get(key) or store.put(key, ask(...))

replies.sqlite3 holds one table, `replies(key, record)`, a row per reply in the order in which the
answers came, and only grows. A reply is on the disk before anyone acts on it: each is a transaction
of its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from knapsack_lib.errors import UserError
from knapsack_lib.files import NO_LOCK, refused_in_one_line

__all__ = ["ReplyStore", "reply_key"]

# The lock is kept until the connection closes: two runs that asked for the same thing at the same
# time would both pay for it. EXTRA also survives a power cut right after a transaction.
PREPARE = """
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA synchronous = EXTRA;
BEGIN EXCLUSIVE;
CREATE TABLE IF NOT EXISTS replies (
    key TEXT PRIMARY KEY NOT NULL, record TEXT NOT NULL CHECK (json_valid(record)));
COMMIT;
"""


def reply_key(**request: Any) -> str:
    """SHA-256 of the canonical JSON of a request. Name everything that changes the answer, and
    nothing else."""
    text = json.dumps(request, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


class ReplyStore(ExitStack):
    """Safe to use from threads. One process at a time: opening a store that another run uses, or
    one that is damaged or cannot be written, raises UserError."""

    def __init__(self, folder: Path):
        super().__init__()
        with refused_in_one_line(folder):
            folder.mkdir(parents=True, exist_ok=True)
        self.path, self._lock = folder / "replies.sqlite3", threading.Lock()
        with ExitStack() as opened, self._one_line_errors():
            self._database = opened.enter_context(
                closing(
                    sqlite3.connect(
                        f"{self.path.absolute().as_uri()}?nolock={os.environ.get(NO_LOCK) == '1':d}",
                        uri=True,
                        timeout=0,
                        isolation_level=None,
                        check_same_thread=False,
                    )
                )
            )
            self._database.executescript(PREPARE)
            problem = self._select("PRAGMA integrity_check(1)")
            if problem != "ok":
                raise sqlite3.DatabaseError(problem)
            self.push(opened.pop_all())

    def __len__(self) -> int:
        return int(self._select("SELECT count(*) FROM replies"))

    def get(self, key: str) -> dict[str, Any] | None:
        """The record of a reply, or None when it was never answered."""
        found = self._select("SELECT record FROM replies WHERE key = ?", key)
        return None if found is None else json.loads(found)

    def put(self, key: str, record: dict[str, Any]) -> dict[str, Any]:
        """Write a reply, wait until the disk has it, and return it as it will be read again, so that
        a resumed run sees exactly what this one sees. The first reply to a request stays the only
        one.

        Raises UserError when the disk does not take it.
        """
        text = json.dumps(record, sort_keys=True, allow_nan=False)
        with self._lock, self._one_line_errors():
            self._database.execute("INSERT OR IGNORE INTO replies VALUES (?, ?)", (key, text))
        kept = self.get(key)
        assert kept is not None
        return kept

    def total(self, field: str) -> float:
        """Sum of one number over all replies."""
        return float(
            self._select("SELECT total(json_extract(record, '$.' || ?)) FROM replies", field)
        )

    def _select(self, query: str, *values: str) -> Any:
        """The first column of the first row; None without a row."""
        with self._lock, self._one_line_errors():
            row = self._database.execute(query, values).fetchone()
        return row[0] if row else None

    @contextmanager
    def _one_line_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            shown = f"{self.path.parent.name}/{self.path.name}"
            reason = " ".join(str(error).split())
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
                # It also says so where the file system has no locks.
                fix = (
                    f"another run uses {shown}; wait for it, then run the same command "
                    f"(where none does, the file system has no locks: set {NO_LOCK}=1)"
                )
            elif isinstance(error, sqlite3.OperationalError):
                fix = f"{shown} cannot be read or written ({reason}); fix that, then run again"
            else:
                fix = f"{shown} is damaged ({reason}); put a copy in its place, or remove it (its replies will be paid for again)"
            raise UserError(fix) from None
