"""vLLM's server as a context: started, waited for, and gone whatever happens to the process that
started it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from knapsack_lib.chat import CHAT_TEMPLATE
from knapsack_lib.errors import UserError, installs
from knapsack_lib.files import project_root, write_whole
from knapsack_lib.profiles import Evaluation
from knapsack_lib.serving.client import BASE, ask, is_healthy

__all__ = ["VllmServer"]

RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # what --max-lora-rank takes in vLLM 0.32
SECRET = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|CREDENTIALS)S?(_|$)")
# Of vLLM's lines: which process wrote it, when, where in its code.
PREFIX = re.compile(r"^\([^)]*pid=\d+\) (ERROR [^\]]*\] ?)?")
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

    `base` is a model folder, `adapters` name -> PEFT folder; its log and our chat template go to
    `folder`. `arguments` are added to its command line. `environment` is this process's without its
    keys. Raises UserError when the server ends before it is ready, is not ready within
    start_seconds, or does not offer every adapter. It dies with this process.
    """

    def __init__(
        self,
        base: Path,
        adapters: Mapping[str, Path],
        evaluation: Evaluation,
        folder: Path,
        *,
        seed: int,
        arguments: Sequence[str] = (),
        template: str = CHAT_TEMPLATE,
    ):
        if BASE in adapters:
            raise UserError(
                f"an adapter cannot be served as {BASE!r}: that is the model without one; rename it"
            )
        assert evaluation.serving is not None, "the engine is not a server"
        self.setting, self.log = evaluation.serving, folder / "vllm.log"
        self.offered = (BASE, *adapters)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}/v1"
        self._template, self._rendered = folder / "chat_template.jinja", template
        # A slot more than adapters: the CPU kernels of vLLM 0.32 take the last slot's weights for
        # requests to the base when a batch mixes them with requests to an adapter
        # (vllm-project/vllm#48421); an empty slot adds nothing.
        loras = [
            *("--enable-lora", "--max-loras", len(adapters) + 1),
            *("--max-lora-rank", _rank(adapters), "--lora-modules"),
            *(f"{name}={place}" for name, place in adapters.items()),
        ]
        command = [
            project_root() / self.setting.python if self.setting.python else sys.executable,
            *("-m", "vllm.entrypoints.openai.api_server", "--host", "127.0.0.1"),
            *("--port", self.port, "--model", base, "--served-model-name", BASE),
            *(loras if adapters else []),
            *("--seed", seed, "--chat-template", self._template),
            *("--max-model-len", evaluation.context, "--dtype", self.setting.dtype),
            *("--gpu-memory-utilization", self.setting.gpu_memory),
            *("--generation-config", "vllm"),  # else the base's file silently sets top_k and top_p
            *arguments,
        ]
        self.command = list(map(str, command))
        kept = {name: value for name, value in os.environ.items() if not SECRET.search(name)}
        self.environment = {**kept, "VLLM_NO_USAGE_STATS": "1"}
        self._watcher: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> VllmServer:
        write_whole(self._template, self._rendered)
        watch = [sys.executable, "-I", "-S", "-c", WATCHER, str(os.getpid()), str(GRACE_SECONDS)]
        began = time.monotonic()
        try:
            with open(self.log, "wb") as log:
                self._watcher = subprocess.Popen(
                    [*watch, *self.command],
                    env=self.environment,
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

    def __exit__(self, *_: object) -> None:
        self.stop()

    def check(self) -> None:
        """Raise UserError when the server has ended."""
        if self._watcher is None or self._watcher.poll() is not None:
            raise UserError(f"vLLM has ended: {self._fault()}")

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
        with suppress(ProcessLookupError):
            for _ in range(60):
                os.killpg(watcher.pid, signal.SIGKILL)
                watcher.poll()
                time.sleep(0.05)

    def _wait_until_ready(self, deadline: float) -> None:
        while not is_healthy(self.port):
            self.check()
            if time.monotonic() > deadline:
                wait = f"{self.setting.start_seconds:g} s (evaluation.serving.start_seconds)"
                raise UserError(f"vLLM was not ready after {wait}: {self._fault()}")
            time.sleep(0.2)
        served = {str(model["id"]) for model in ask(f"{self.url}/models", None, 30)["data"]}
        if missing := [name for name in self.offered if name not in served]:
            raise UserError(f"vLLM does not offer {', '.join(missing)}: {self._fault()}")

    def _fault(self) -> str:
        """The log's first and last error (the cause, and what it led to), or else its last two
        lines, as one line."""
        text = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        lines = [line for line in (PREFIX.sub("", line).rstrip() for line in text) if line]
        # At the start of a line, since warnings name errors too. Pydantic explains on the next
        # line, indented.
        faults = [
            f"{line} {after.strip()}" if after.startswith("  ") else line
            for line, after in pairwise([*lines, ""])
            if FAULT.match(line)
        ]
        ends = dict.fromkeys([faults[0], faults[-1]] if faults else lines[-2:])
        shown = " | ".join(line[:300] for line in ends) or "it printed nothing"
        hint = f"; run: {installs('gpu')}" if "No module named 'vllm" in shown else ""
        return f"{shown} (log: {os.path.relpath(self.log)}){hint}"


def _rank(adapters: Mapping[str, Path]) -> int:
    """The smallest rank that vLLM takes and that holds every adapter's."""
    configs = [folder / "adapter_config.json" for folder in adapters.values()]
    ranks = [json.loads(file.read_text(encoding="utf-8"))["r"] for file in configs]
    if (rank := max(ranks, default=1)) > RANKS[-1]:
        raise UserError(f"lora_rank = {rank} is more than vLLM serves; choose {RANKS[-1]} at most")
    return next(one for one in RANKS if one >= rank)
