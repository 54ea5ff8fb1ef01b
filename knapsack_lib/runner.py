"""Run one stage for make: `python -m knapsack_lib.runner 04_cross_eval --train persistent --runtime reset`.

Papermill runs in a child process. This one stays light: it prints plain lines about progress (two stages may run side
by side, so no cursor tricks), shows an error as one line, and takes everything down when it is told to stop.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import IO

from knapsack_lib.papermill_default import KERNEL_ENVIRONMENT, end_descendants, failed_copy
from knapsack_lib.profiles import UserError, project_root
from knapsack_lib.progress import FEED, Meter, clock
from knapsack_lib.stages import STAGES, StageRun, plan, resolve

__all__ = ["main", "run_stage", "still_to_come"]

POLL_SECONDS = 0.2
LINE_SECONDS = 10.0


def run_stage(at: StageRun) -> int:
    """Execute a stage's notebook into its output path and return the exit status (130 when stopped)."""
    at.require()
    at.output.parent.mkdir(parents=True, exist_ok=True)
    feed = at.output.with_name(f".{at.output.stem}.progress")
    feed.write_text("", encoding="utf-8")
    failed_copy(at.output).unlink(missing_ok=True)
    report = _Report(at)
    report.say("started")
    with tempfile.TemporaryFile() as errors:
        child = _start(at, feed, errors)
        try:
            status = _follow(child, feed, report)
        except BaseException as error:  # whatever it is (make | head closes our output), nothing runs on unwatched
            end_descendants(child.pid)
            child.kill()
            if not isinstance(error, KeyboardInterrupt):
                raise
            report.say(f"stopped; what had ended is saved, the same command goes on from there ({at.command})")
            return 130
        finally:
            feed.unlink(missing_ok=True)
        if status != 0:
            report.say(f"failed: {_reason(at, errors, status)}")
            return 1
    report.say(f"done in {clock(time.monotonic() - report.began)}")
    return 0


def _start(at: StageRun, feed: Path, errors: IO[bytes]) -> subprocess.Popen[bytes]:
    root = project_root()
    paths = [f"notebooks/{at.stage.name}.ipynb", at.run.shown(at.output)]
    quiet = ["--engine", "knapsack", "--no-progress-bar", "--log-level", "ERROR"]
    environment = os.environ | KERNEL_ENVIRONMENT | {FEED: str(feed)}
    return subprocess.Popen(
        [sys.executable, "-m", "papermill", *paths, *quiet, *at.arguments],
        cwd=root, env=environment, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, start_new_session=True,
    )  # fmt: skip


def _follow(child: subprocess.Popen[bytes], feed: Path, report: _Report) -> int:
    """Wait for the child, showing what it reports. Raises KeyboardInterrupt when who started this process is gone."""
    parent = os.getppid()
    with open(feed, encoding="utf-8") as file:
        while True:
            try:
                return child.wait(POLL_SECONDS)
            except subprocess.TimeoutExpired:
                report.show(file.readlines())
            if os.getppid() != parent:
                raise KeyboardInterrupt


def _reason(at: StageRun, errors: IO[bytes], status: int) -> str:
    """The error of a failed run in one line, and where the executed notebook is."""
    failed = failed_copy(at.output)
    if failed.exists():
        for cell in json.loads(failed.read_text(encoding="utf-8"))["cells"]:
            for output in cell.get("outputs", []):
                if output["output_type"] == "error":
                    first = (output["evalue"].splitlines() or [""])[0]
                    name = "" if output["ename"] == "UserError" else f"{output['ename']}: "
                    return f"{name}{first} (see {at.run.shown(failed)})"
    errors.seek(0)
    lines = errors.read().decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), f"papermill ended with status {status}")


class _Report:
    """The lines of one stage."""

    def __init__(self, at: StageRun):
        self.at, self.began = at, time.monotonic()
        self._last_line, self._loop, self._share, self._meter = self.began, "", 0.0, Meter("")
        whole = plan(at)
        self._number = f"{whole.index(at) + 1:2d}/{len(whole)}" if at in whole else "-"

    def say(self, text: str) -> None:
        number, _, rest = self.at.stage.name.partition("_")
        title = " ".join(
            [
                number,
                rest.replace("_", "-"),
                *self.at.words,
                *([f"train {self.at.train_seed}"] if self.at.train_seed > 1 else []),
            ]
        )
        sys.stdout.write(f"[{self._number}] {title}  {text}\n")  # one write: lines of two stages do not mix
        sys.stdout.flush()

    def show(self, lines: list[str]) -> None:
        """Print the newest of the child's lines, at every tenth and at most every ten seconds between."""
        whole = [line for line in lines if line.endswith("\n")]
        if not whole or os.environ.get("CI") == "true":
            return
        news, now = json.loads(whole[-1]), time.monotonic()
        share = news["done"] / max(1, news["total"])
        if news["label"] != self._loop:
            self._loop, self._share, self._meter = news["label"], 0.0, Meter(news["unit"])
        text = self._meter.text(news["done"], news["total"], **news["counts"])
        if int(share * 10) > int(self._share * 10) or now - self._last_line >= LINE_SECONDS:
            self._last_line, self._share = now, share
            full, coming = round(share * 10), still_to_come(self.at)
            self.say(" · ".join([f"{'█' * full}{'░' * (10 - full)} {text}", *([f"then {coming}"] if coming else [])]))


def still_to_come(at: StageRun) -> str:
    """What make will run after this stage, in short: "04 x12, 05, paper". Empty for a stage outside the plan."""
    whole = plan(at)
    if at not in whole:
        return ""
    after, stale = whole[whole.index(at) + 1 :], {at.output}
    for later in after:
        if _stale(later, stale):
            stale.add(later.output)
    counts = Counter(later.stage.name[:2] for later in after if later.output in stale)
    return ", ".join([*(f"{name} x{n}" if n > 1 else name for name, n in counts.items()), "paper"])


def _stale(at: StageRun, stale: set[Path]) -> bool:
    if not at.output.exists():
        return True
    made = at.output.stat().st_mtime
    for earlier in at.before():
        if earlier.output in stale or not earlier.output.exists() or earlier.output.stat().st_mtime > made:
            return True
    return False


def _stop(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main(arguments: list[str] | None = None) -> int:
    """The command line; parameters that are left out take their defaults."""
    parser = argparse.ArgumentParser(prog="python -m knapsack_lib.runner", description="run one stage's notebook")
    parser.add_argument("stage", help=", ".join(STAGES))
    for name in ("profile", "train", "runtime", "difficulty"):
        parser.add_argument(f"--{name}")
    for name in ("seed", "train-seed"):
        parser.add_argument(f"--{name}", type=int)
    given = {name: value for name, value in vars(parser.parse_args(arguments)).items() if value is not None}
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        signal.signal(getattr(signal, name), _stop)
    try:
        return run_stage(resolve(given.pop("stage"), given))
    except UserError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
