"""vLLM's server as a context: started, waited for, and gone whatever happens to the process that
started it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from knapsack_lib.errors import UserError, installs
from knapsack_lib.profiles import Serving
from knapsack_lib.serving.asking import BASE, ask, is_healthy

__all__ = ["VllmServer"]

RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # what --max-lora-rank takes in vLLM 0.32
SECRET = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|CREDENTIALS)S?(_|$)")
PREFIX = re.compile(
    r"^\([^)]*pid=\d+\) (ERROR [^\]]*\] ?)?"
)  # of vLLM's lines: which process, when, where in its code
FAULT = re.compile(r"(\w+\.)*\w*(Error|Exception): .|.*No module named")
GRACE_SECONDS = 10.0  # between asking the server to end and killing it

# Leads the server's process group and outlives whoever started it just long enough to take the
# group down: when its standard input closes, when its parent is another one, or when the server is
# gone. Standard library only.
WATCHER = """
import ctypes, os, select, signal, subprocess, sys
parent, grace, command = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, lambda *_: None)
prctl = getattr(ctypes.CDLL(None), "prctl", lambda *_: -1)
server = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=lambda: prctl(1, signal.SIGKILL))
while server.poll() is None and os.getppid() == parent and not select.select([0], [], [], 0.2)[0]:
    pass
if server.poll() is None:
    os.killpg(0, signal.SIGTERM)
    try:
        server.wait(grace)
    except subprocess.TimeoutExpired:
        pass
os.killpg(0, signal.SIGKILL)
"""


class VllmServer:
    """vLLM's server of the OpenAI protocol, from __enter__ to __exit__. `url` ends in /v1.

    `base` is a folder or hub id, `adapters` name -> PEFT folder, `context` in tokens, `rank` the
    adapters' largest. `python` is an interpreter that has vLLM, `arguments` are further ones of its
    command line, `environment` variables beside those of this process (which hands on no keys).
    Raises UserError when the server ends before it is ready, is not ready within
    setting.start_seconds, or does not offer every adapter. It dies with this process.
    """

    def __init__(
        self,
        base: Path | str,
        adapters: Mapping[str, Path],
        setting: Serving,
        *,
        context: int,
        rank: int,
        seed: int,
        template: Path,
        log: Path,
        python: str = sys.executable,
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ):
        if BASE in adapters:
            raise UserError(
                f"an adapter cannot be served as {BASE!r}: that is the model without one; rename it"
            )
        self.setting, self.log, self.offered = setting, log, (BASE, *adapters)
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}/v1"
        self.seconds_to_start = 0.0
        # A slot more than adapters: the CPU kernels of vLLM 0.32 take the last slot's weights for
        # requests to the base when a batch mixes them with requests to an adapter
        # (vllm-project/vllm#48421); an empty slot adds nothing.
        loras = [
            "--enable-lora",
            "--max-loras",
            str(len(adapters) + 1),
            "--max-lora-rank",
            str(_served_rank(rank)),
            "--lora-modules",
            *(f"{name}={folder}" for name, folder in adapters.items()),
        ]
        self.command = [
            python,
            "-m",
            "vllm.entrypoints.openai.api_server",
            "--host",
            "127.0.0.1",
            "--port",
            str(self.port),
            "--model",
            str(base),
            "--served-model-name",
            BASE,
            *(loras if adapters else []),
            "--seed",
            str(seed),
            "--chat-template",
            str(template),
            "--max-model-len",
            str(context),
            "--dtype",
            setting.dtype,
            "--gpu-memory-utilization",
            str(setting.gpu_memory),
            "--generation-config",
            "vllm",  # else the base's own file silently sets top_k and top_p
            *arguments,
        ]
        kept = {name: value for name, value in os.environ.items() if not SECRET.search(name)}
        self._environment = {**kept, "VLLM_NO_USAGE_STATS": "1", **(environment or {})}
        self._watcher: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> VllmServer:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        watch = [
            sys.executable,
            "-I",
            "-S",
            "-c",
            WATCHER,
            str(os.getpid()),
            str(GRACE_SECONDS),
            *self.command,
        ]
        began = time.monotonic()
        try:
            with open(self.log, "wb") as log:
                self._watcher = subprocess.Popen(
                    watch,
                    env=self._environment,
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    process_group=0,
                )
            self._wait_until_ready(began + self.setting.start_seconds)
        except BaseException:
            self.stop()
            raise
        self.seconds_to_start = time.monotonic() - began
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def check(self) -> None:
        """Raise UserError when the server has ended."""
        if self._watcher is None or self._watcher.poll() is not None:
            raise UserError(f"vLLM has ended: {self._said()}")

    def stop(self) -> None:
        """End the server and everything it started; returns when they are gone. May be called
        again."""
        watcher, self._watcher = self._watcher, None
        if watcher is None:
            return
        if watcher.stdin:
            watcher.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            watcher.wait(GRACE_SECONDS + 5)
        # The watcher has killed the group and itself. If somebody killed the watcher, the group is
        # still there.
        for _ in range(60):
            try:
                os.killpg(watcher.pid, signal.SIGKILL)
            except ProcessLookupError:
                break
            watcher.poll()
            time.sleep(0.05)

    def _wait_until_ready(self, deadline: float) -> None:
        while not is_healthy(self.port):
            self.check()
            if time.monotonic() > deadline:
                wait = f"{self.setting.start_seconds:g} s (evaluation.serving.start_seconds)"
                raise UserError(f"vLLM was not ready after {wait}: {self._said()}")
            time.sleep(0.2)
        served = {str(model["id"]) for model in ask(f"{self.url}/models", None, 30)["data"]}
        if missing := [name for name in self.offered if name not in served]:
            raise UserError(f"vLLM does not offer {', '.join(missing)}: {self._said()}")

    def _said(self) -> str:
        """The log's first and last fault (the cause, and what came of it), or else its last two
        lines, as one line."""
        text = self.log.read_text(errors="replace").splitlines()
        lines = [line for line in (PREFIX.sub("", line).rstrip() for line in text) if line]
        # At the start of a line, since warnings name errors too. Pydantic says what is wrong on the
        # next one, indented.
        faults = [
            " ".join(
                [
                    line,
                    *(after.strip() for after in lines[at + 1 : at + 2] if after.startswith("  ")),
                ]
            )
            for at, line in enumerate(lines)
            if FAULT.match(line)
        ]
        shown = list(dict.fromkeys([faults[0], faults[-1]] if faults else lines[-2:])) or [
            "it said nothing"
        ]
        hint = (
            f"; run: {installs('gpu')}" if "No module named 'vllm" in shown[0] + shown[-1] else ""
        )
        return (
            f"{' | '.join(line[:300] for line in shown)} (log: {os.path.relpath(self.log)}){hint}"
        )


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _served_rank(rank: int) -> int:
    """The smallest rank vLLM can be told that holds this one."""
    if rank > RANKS[-1]:
        raise UserError(f"lora_rank = {rank} is more than vLLM serves; choose {RANKS[-1]} at most")
    return next(one for one in RANKS if one >= rank)
