"""Run what is stale of a study: `knapsack run --profile pocket`.

    run_steps([step for step in graph(run) if step.is_stale()], jobs=2)

Each step is papermill in a process of its own. This process stays light: it starts a step when what it needs is there,
prints plain lines about progress (several steps run side by side, so no cursor tricks), shows an error as one line, and
takes everything down when it is stopped.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence

from knapsack_lib.errors import UserError
from knapsack_lib.files import project_root, shown
from knapsack_lib.papermill_default import (
    KERNEL_ENVIRONMENT,
    STEP_KEY,
    end_descendants,
    failed_copy,
)
from knapsack_lib.policy_factory import SERVER, served
from knapsack_lib.profiles import Profile
from knapsack_lib.progress import FEED, Meter, clock
from knapsack_lib.study import Step, graph

__all__ = ["run_steps", "run_study", "stale_steps", "starts_server"]

PR_SET_PDEATHSIG = 1
POLL_SECONDS = 0.2
LINE_SECONDS = 10.0
CELLS = "04_cross_eval"
prctl = getattr(ctypes.CDLL(None), "prctl", lambda *_: -1)


def stale_steps(steps: Sequence[Step]) -> list[Step]:
    """Those that have to be run: the stale ones, and what needs one of them."""
    stale: list[Step] = []
    for step in steps:
        if step.is_stale() or any(earlier in stale for earlier in step.needs()):
            stale.append(step)
    return stale


def run_study(steps: Sequence[Step], jobs: int) -> int:
    """Run what is stale of these steps, of one study or of several, at most `jobs` at once. Returns the exit status (130
    when stopped).

    Cells that are served by vLLM share one server, which starts when the adapters are there.
    """
    todo = stale_steps(steps)
    cells = [step for step in todo if step.stage.name == CELLS]
    if not any(starts_server(step.profile) for step in cells):
        return run_steps(todo, jobs)
    first, last = todo[: todo.index(cells[0])], todo[todo.index(cells[-1]) + 1 :]
    status = run_steps(first, jobs)
    if not status:
        with served(cells[0].run) as (url, description):
            print(description, flush=True)
            status = run_steps(cells, jobs, {SERVER: url})
    return status or run_steps(last, jobs)


def starts_server(profile: Profile) -> bool:
    """Whether cells of this study are played by a server that is started for them."""
    serving = profile.evaluation.serving
    return serving is not None and not serving.url


def run_steps(todo: Sequence[Step], jobs: int, environment: dict[str, str] | None = None) -> int:
    """Run all of these. After a failure nothing new is started; what runs already is waited for.

    Ends, as by Ctrl-C, when the process that started this one is gone, unless it was to outlive it (nohup).
    """
    waiting, running, status = list(todo), list[_Child](), 0
    several = len({step.profile.name for step in todo}) > 1
    parent = os.getppid()
    outlives = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    try:
        while running or (waiting and not status):
            while not status and len(running) < jobs and (step := _next(waiting, running)):
                waiting.remove(step)
                try:
                    running.append(_Child(step, environment or {}, several))
                except UserError as error:
                    print(f"{step.name}: {error}", flush=True)
                    status = 1
            time.sleep(POLL_SECONDS)
            for child in [child for child in running if child.poll(waiting) is not None]:
                running.remove(child)
                status = child.finish() or status
            if os.getppid() != parent and not outlives:
                raise KeyboardInterrupt
    except BaseException as error:  # whatever it is (a closed pipe, too), nothing runs on unwatched
        for child in running:
            child.stop()
        if not isinstance(error, KeyboardInterrupt):
            raise
        return 130
    return status


def _next(waiting: Sequence[Step], running: Sequence[_Child]) -> Step | None:
    """The first step that needs nothing which is still to be made."""
    unmade = [*waiting, *(child.step for child in running)]
    return next(
        (step for step in waiting if not any(need in unmade for need in step.needs())), None
    )


class _Child:
    """One step under way: papermill in a process of its own, and the lines about it."""

    def __init__(self, step: Step, environment: dict[str, str], named: bool = False):
        step.require()
        self._study = f"{step.profile.name} " if named else ""
        self.step, self._began = step, time.monotonic()
        self._last_line, self._loop, self._share, self._meter = self._began, "", 0.0, Meter("")
        whole = graph(step.run, step.given_profile)
        self._number = f"{whole.index(step) + 1:2d}/{len(whole)}" if step in whole else "-"
        output = step.output
        output.parent.mkdir(parents=True, exist_ok=True)
        failed_copy(output).unlink(missing_ok=True)
        self._feed = output.with_name(f".{output.stem}.progress")
        self._feed.write_text("", encoding="utf-8")
        self._unread = ""
        self._news = open(self._feed, encoding="utf-8")  # noqa: SIM115, open as long as the child
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        notebook = f"notebooks/{step.stage.name}.ipynb"
        quiet = ["--engine", "knapsack", "--no-progress-bar", "--log-level", "ERROR"]
        settings = KERNEL_ENVIRONMENT | {FEED: str(self._feed), STEP_KEY: step.key} | environment
        self.say("started")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "papermill", notebook, shown(output), *quiet, *step.arguments],
            cwd=project_root(),
            env=os.environ | settings,
            stdin=subprocess.DEVNULL,
            stdout=self._errors,
            stderr=self._errors,
            start_new_session=True,
            # Where the kernel can (Linux), it ends the step when this process is killed.
            preexec_fn=lambda: prctl(PR_SET_PDEATHSIG, signal.SIGKILL),
        )

    def poll(self, waiting: Sequence[Step] = ()) -> int | None:
        """The exit status, or None after showing what is new. `waiting` is still to come."""
        self._unread += self._news.read()
        lines, _, self._unread = self._unread.rpartition("\n")
        self._show(lines, waiting)
        return self._process.poll()

    def finish(self) -> int:
        """Say how it ended; 0 or 1."""
        self._close()
        if self._process.returncode:
            self.say(f"failed: {self._reason()}")
            return 1
        self.say(f"done in {clock(time.monotonic() - self._began)}")
        return 0

    def stop(self) -> None:
        end_descendants(self._process.pid)
        self._process.kill()
        self._process.wait()
        self._close()
        saved = "what had ended is saved, the same command continues from there"
        with contextlib.suppress(OSError):  # nobody may be reading; the other steps must be stopped
            self.say(f"stopped; {saved} ({self.step.command})")

    def _close(self) -> None:
        self._news.close()
        self._feed.unlink(missing_ok=True)

    def say(self, text: str) -> None:
        number, _, rest = self.step.stage.name.partition("_")
        seed = [f"train {self.step.train_seed}"] if self.step.train_seed > 1 else []
        title = " ".join([number, rest.replace("_", "-"), *self.step.words, *seed])
        print(f"[{self._study}{self._number}] {title}  {text}", flush=True)

    def _reason(self) -> str:
        """The error of a failed run in one line, and where the executed notebook is."""
        failed = failed_copy(self.step.output)
        with contextlib.suppress(OSError, ValueError):  # not there, or half there on a full disk
            for cell in json.loads(failed.read_text(encoding="utf-8"))["cells"]:
                for output in cell.get("outputs", []):
                    if output["output_type"] == "error":
                        first = (output["evalue"].splitlines() or [""])[0]
                        name = "" if output["ename"] == "UserError" else f"{output['ename']}: "
                        return f"{name}{first} (see {shown(failed)})"
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return last or f"papermill ended with status {self._process.returncode}"

    def _show(self, lines: str, waiting: Sequence[Step]) -> None:
        """Print the newest of the child's lines, at every tenth and at most every ten seconds between."""
        if not lines or os.environ.get("CI") == "true":
            return
        news, now = json.loads(lines.rpartition("\n")[2]), time.monotonic()
        share = news["done"] / max(1, news["total"])
        if news["label"] != self._loop:
            self._loop, self._share, self._meter = news["label"], 0.0, Meter(news["unit"])
        text = self._meter.text(news["done"], news["total"], **news["counts"])
        if int(share * 10) > int(self._share * 10) or now - self._last_line >= LINE_SECONDS:
            self._last_line, self._share = now, share
            full, coming = round(share * 10), _still_to_come(waiting)
            bar = f"{'█' * full}{'░' * (10 - full)} {text}"
            self.say(" · ".join([bar, *([f"then {coming}"] if coming else [])]))


def _still_to_come(waiting: Sequence[Step]) -> str:
    """The steps that are not begun, in short: "04 x12, 05"."""
    counts = Counter(step.stage.name[:2] for step in waiting)
    return ", ".join(f"{name} x{n}" if n > 1 else name for name, n in counts.items())
