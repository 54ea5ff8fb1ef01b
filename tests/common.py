"""What many tests ask: whether processes still run, in a way that a busy machine does not change,
and for one clear line."""

import contextlib
import os
import signal
import time
from pathlib import Path


def is_running(pid) -> bool:
    """One that is dead and waits for its parent to take note of it is not running."""
    try:
        return (
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
            not in "ZX"
        )
    except OSError:  # gone before it was opened, or between that and reading
        return False


def comes_true(condition, seconds=30.0) -> bool:
    """Whether it does within so many seconds of waiting. Counted in tries: a machine that stands
    still is no failure."""
    for _ in range(round(seconds / 0.01)):
        if condition():
            return True
        time.sleep(0.01)
    return False


def gone(pids) -> bool:
    """Whether all of them end soon. Those that do not are killed, for the sake of the next test."""
    pids = [int(pid) for pid in pids]
    if comes_true(lambda: not any(map(is_running, pids)), 10):
        return True
    for pid in filter(is_running, pids):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return False


def one_line(caught) -> str:
    """The error that pytest caught, as the user sees it."""
    text = str(caught.value)
    assert text and "\n" not in text
    return text
